"""The answer to each request of policy delegation, and what of it is on record."""

import ipaddress
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.login import Login
from gateway.neighbour.access import Access
from gateway.neighbour.attributes import Request
from gateway.refusal import Refused
from gateway.sources import FailingSources
from policy.grants import SendRight
from policy.identity import Actor
from policy.login import Failure
from policy.reasons import Defer, Reason
from policy.status import AccountStatus
from store.accounts import SetMustChangePassword
from store.errors import Busy
from store.login import RecordFailure
from tests.gateway.house import House, opened

TRUSTED = [ipaddress.ip_network("127.0.0.0/8")]


class Neighbour:
    """Asks as Postfix does. Names without @ are acme.test's."""

    def __init__(self, house: House, **options: object) -> None:
        self.house = house
        login = Login(house.store, house.passwords, FailingSources(1000, 600, []))
        self.access = Access(house.store, login, house.submission, house.delivery, trusted=TRUSTED, **options)  # type: ignore[arg-type]

    async def ask(self, login: str = "", sender: str = "", recipient: str = "bruno", **more: object) -> str:
        request = Request("RCPT", _whole(sender), _whole(recipient), _whole(login), client="192.0.2.7", instance="1.2.3")
        return await self.access.action(replace(request, **more))  # type: ignore[arg-type]


def _whole(name: str) -> str:
    return f"{name}@acme.test" if name and "@" not in name else name


@pytest.fixture
async def neighbour(tmp_path: Path) -> AsyncIterator[Neighbour]:
    async with opened(tmp_path, "anna", "bruno", "carla") as house:
        for status in AccountStatus:
            await house.account(status.value, status=status)
        await house.grant("bruno", "anna", SendRight.SEND_AS)
        await house.grant("carla", "anna", SendRight.SEND_ON_BEHALF_OF)
        await house.group("board", "carla")
        await house.grant("board", "carla", SendRight.SEND_TO_LIST)
        yield Neighbour(house)


NEEDED = "no sendAs or sendOnBehalfOf grant [d-"


@pytest.mark.parametrize(
    ("login", "sender", "answer"),
    [
        ("anna", "anna", "DUNNO"),
        ("ANNA@Acme.Test", "anna+tag", "DUNNO"),
        ("anna", "", "DUNNO"),
        ("anna", "bruno", "DUNNO"),
        ("anna", "carla", "DUNNO"),
        ("bruno", "anna", f"553 5.7.1 bruno@acme.test may not send as anna@acme.test: {NEEDED}"),
        ("bruno", "nobody", f"553 5.7.1 bruno@acme.test may not send as nobody@acme.test: {NEEDED}"),
        ("bruno", "board", f"553 5.7.1 bruno@acme.test may not send as board@acme.test: {NEEDED}"),
        ("bruno", "x@elsewhere.test", "553 5.7.1 bruno@acme.test may not send as x@elsewhere.test: no allowFromAddresses entry [d-"),
        ("bruno", "two@signs@acme.test", "553 5.7.1 bruno@acme.test may not send from this address: "),
        ("nobody", "nobody", "535 5.7.8 authentication failed"),
        ("anna+tag", "anna", "535 5.7.8 authentication failed"),
        ("someone@elsewhere.test", "someone@elsewhere.test", "535 5.7.8 authentication failed"),
        ("no address", "anna", "535 5.7.8 authentication failed"),
        ("locked", "locked", "525 5.7.13 account is locked"),
        ("closed", "closed", "525 5.7.13 account is closed"),
        ("maintenance", "maintenance", "454 4.7.0 account is in maintenance, try again later"),
        ("", "bruno", "DUNNO"),
        ("", "x@elsewhere.test", "DUNNO"),
    ],
)
async def test_the_sender(neighbour: Neighbour, login: str, sender: str, answer: str) -> None:
    said = await neighbour.ask(login, sender)
    assert said == answer if answer == "DUNNO" else said.startswith(answer), said


@pytest.mark.parametrize(
    ("recipient", "stranger", "ours"),
    [
        ("bruno", "DUNNO", "DUNNO"),
        ("active+tag", "DUNNO", "DUNNO"),
        ("locked", "DUNNO", "DUNNO"),
        ("maintenance", "450 4.2.1", "DUNNO"),
        ("closed", "550 5.2.1", "550 5.2.1"),
        ("pending", "550 5.2.1", "550 5.2.1"),
        ("nobody", "DUNNO", "DUNNO"),
        ("x@elsewhere.test", "DUNNO", "DUNNO"),
        ("no address", "DUNNO", "DUNNO"),
        ("", "DUNNO", "DUNNO"),
        ("board", "550 5.7.1", "550 5.7.1"),
    ],
)
async def test_the_recipient(neighbour: Neighbour, recipient: str, stranger: str, ours: str) -> None:
    assert (await neighbour.ask("", "carla", recipient))[: len(stranger)] == stranger
    assert (await neighbour.ask("anna", "anna", recipient))[: len(ours)] == ours


async def test_a_list_asks_who_posts(neighbour: Neighbour) -> None:
    assert await neighbour.ask("carla", "carla", "board") == "DUNNO"
    assert "[d-" in await neighbour.ask("anna", "carla", "board"), "who is judged is who logged in, and it is on record"
    assert await neighbour.ask("", "carla", "board", client="127.0.0.1") == "DUNNO"
    assert (await neighbour.ask("", "bruno", "board", client="127.0.0.1")).startswith("550 5.7.1")
    assert (await neighbour.ask("", "carla", "board", client="unknown")).startswith("550 5.7.1")
    posts = [row.entry for row in await neighbour.house.records() if row.entry.event == "post"]
    assert [(one.actor_address, one.principal_address, one.protocol) for one in posts] == [("anna@acme.test", "board@acme.test", "policy")]


@pytest.mark.parametrize("state", ["MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE"])
async def test_states_that_are_judged(neighbour: Neighbour, state: str) -> None:
    assert (await neighbour.ask("bruno", "anna", state=state)).startswith("553")


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "HELO", "VRFY", "ETRN", "", "rcpt"])
async def test_states_that_are_not(neighbour: Neighbour, state: str) -> None:
    assert await neighbour.ask("bruno", "anna", state=state) == "DUNNO"


async def test_what_ends_in_between_is_gone(neighbour: Neighbour) -> None:
    assert await neighbour.ask("anna", "bruno") == "DUNNO"
    await neighbour.house.revoke("bruno", "anna", SendRight.SEND_AS)
    assert (await neighbour.ask("anna", "bruno", state="END-OF-MESSAGE")).startswith("553")


async def test_the_status_and_the_addresses_of_the_principal_count(neighbour: Neighbour) -> None:
    house = neighbour.house
    await house.status("bruno", AccountStatus.LOCKED)
    assert (await neighbour.ask("anna", "bruno", instance="1")).startswith("550 5.7.1")
    await house.values("bruno", delegation_when_locked="full")
    assert await neighbour.ask("anna", "bruno", instance="2") == "DUNNO"
    await house.status("bruno", AccountStatus.MAINTENANCE)
    assert (await neighbour.ask("anna", "bruno", "carla", instance="3")).startswith("450 4.2.1")
    await house.status("bruno", AccountStatus.ACTIVE)
    await house.values("bruno", delegated_sender_addresses="b@acme.test")
    assert (await neighbour.ask("anna", "bruno", instance="4")).startswith("553")


async def test_rewriting_is_not_for_a_policy_service(neighbour: Neighbour) -> None:
    await neighbour.house.values("bruno", unauthorised_from="rewrite")
    assert (await neighbour.ask("bruno", "anna")).startswith("553")


async def test_lockout_and_a_password_to_be_changed_keep_out(neighbour: Neighbour) -> None:
    house = neighbour.house
    await house.values("anna", lockout_max_failures="1")
    await house.store.do(RecordFailure(house.ids["anna"], Failure(house.clock.at, "198.51.100.0/24", 1)))
    assert await neighbour.ask("anna", "anna") == "535 5.7.8 authentication failed"
    house.clock.turn(7200)
    assert await neighbour.ask("anna", "anna") == "DUNNO"
    await house.store.do(SetMustChangePassword(house.ids["anna"], True))
    assert (await neighbour.ask("anna", "anna")).startswith("525 5.7.13 password must be changed")


async def test_room_as_far_as_the_size_is_known(neighbour: Neighbour) -> None:
    await neighbour.house.values("bruno", quota="1000")
    assert await neighbour.ask("", "x@elsewhere.test", size=999) == "DUNNO"
    assert (await neighbour.ask("", "x@elsewhere.test", size=1001)).startswith("452 4.2.2")
    assert (await neighbour.ask("anna", "anna", size=1001)).startswith("452 4.2.2")


async def test_one_message_makes_one_record(neighbour: Neighbour) -> None:
    for recipient in ("bruno", "carla", "x@elsewhere.test"):
        assert await neighbour.ask("anna", "bruno", recipient, queue_id="Q1") == "DUNNO"
    refusals = {await neighbour.ask("carla", "bruno", recipient, instance="2") for recipient in ("anna", "bruno")}
    assert len(refusals) == 1, "with the same decision's id"
    await neighbour.ask("anna", "bruno", instance="3")
    records = [row.entry for row in await neighbour.house.records()]
    assert [(one.event, one.allowed, one.actor_address, one.principal_address, one.protocol, one.source) for one in records] == [
        ("envelope: send-as", True, "anna@acme.test", "bruno@acme.test", "policy", "192.0.2.7"),
        ("envelope", False, "carla@acme.test", "bruno@acme.test", "policy", "192.0.2.7"),
        ("envelope: send-as", True, "anna@acme.test", "bruno@acme.test", "policy", "192.0.2.7"),
    ]
    assert records[0].queue_id == "Q1"
    assert records[0].because
    assert records[1].right == "sendAs or sendOnBehalfOf"
    assert records[1].decision in refusals.pop()


async def test_without_an_instance_nothing_is_remembered(neighbour: Neighbour) -> None:
    answers = {await neighbour.ask("carla", "bruno", instance="") for _ in range(2)}
    assert len(answers) == 2


async def test_for_oneself_and_by_strangers_nothing_is_written(neighbour: Neighbour) -> None:
    await neighbour.ask("anna", "anna")
    await neighbour.ask("", "x@elsewhere.test", "closed")
    assert await neighbour.house.records() == []


async def test_what_cannot_be_put_on_record_is_neither_allowed_nor_refused(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise Busy("the disk is full")

    monkeypatch.setattr(neighbour.house.store, "do", full)
    for login, sender in (("anna", "bruno"), ("carla", "bruno")):
        assert (await neighbour.ask(login, sender)).startswith("451 4.3.2")
    monkeypatch.undo()
    assert await neighbour.ask("anna", "bruno") == "DUNNO"
    assert (await neighbour.ask("carla", "bruno")).startswith("553")


async def test_something_more_may_be_asked(neighbour: Neighbour) -> None:
    seen: list[tuple[str, object]] = []

    async def rate(request: Request, actor: Actor | None) -> None:
        seen.append((request.recipient, None if actor is None else str(actor.address)))
        if actor is not None:
            raise Refused(Defer(Reason.LIMIT, "messages an hour"))

    asking = Neighbour(neighbour.house, more=[rate])
    assert await asking.ask("anna", "anna") == "452 4.5.3 a limit is reached: messages an hour"
    assert await asking.ask("", "anna") == "DUNNO"
    assert (await asking.ask("carla", "bruno")).startswith("553"), "the right is asked for first"
    assert seen == [("bruno@acme.test", "anna@acme.test"), ("bruno@acme.test", None)]


async def test_a_closed_account_can_look_like_none(neighbour: Neighbour) -> None:
    asking = Neighbour(neighbour.house, closed_reply="5.1.1")
    assert (await asking.ask("", "x@elsewhere.test", "closed")).startswith("550 5.1.1 there is no such recipient")


async def test_no_more_is_remembered_than_agreed(neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.neighbour.access.REMEMBERED", 3)
    for number in range(10):
        await neighbour.ask("carla", "bruno", instance=f"1.2.{number}")
    assert len(neighbour.access._answered) == 3
