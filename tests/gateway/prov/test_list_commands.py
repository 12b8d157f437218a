"""`procura list`, as an operator types it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policy.identity import Address, ListId
from policy.lists import DAY, BounceRules
from store import members
from store.list_bounces import CountBounce
from store.list_requests import OpenRequest
from store.model import RequestKind, Stage
from tests.gateway.administration import SECOND, Office, opened_office

FRIEND = "friend@else.where"
KEYS = ("aaaabbbbccccdddd", "aaaaccccccccdddd", "ffffbbbbccccdddd")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path) as office:
        await office.done(
            "createDomain acme.test",
            "createAccount anna@acme.test ''",
            "createDistributionList team@acme.test",
            f"addDistributionListMember team@acme.test anna@acme.test {FRIEND}",
        )
        yield office


async def team_of(office: Office) -> ListId:
    return (await office.directory.lists.get("team@acme.test")).row.id


async def asks(office: Office, key: str, name: str, stage: Stage = Stage.OWNERS, kind: RequestKind = RequestKind.SUBSCRIBE) -> None:
    until = office.clock.at + 60 * SECOND
    await office.store.do(OpenRequest(key, await team_of(office), kind, stage, Address(name, "else.where"), until, "a subject"))


async def test_who_is_on_a_list(office: Office) -> None:
    for line, told in (
        ("list", "team@acme.test\n"),
        ("list all acme.test", "team@acme.test\n"),
        ("list members team@acme.test", f"anna@acme.test\n{FRIEND}\n"),
        (f"list remove team@acme.test {FRIEND}", ""),
        ("list members team@acme.test", "anna@acme.test\n"),
        ("list add team@acme.test new@else.where", ""),
    ):
        done = await office.command(line)
        assert (done.status, done.out, done.err) == (0, told, ""), line
    assert "# distributionList team@acme.test memberCount=2" in (await office.command("list show team@acme.test")).out


async def test_requests_are_shown_and_decided(office: Office) -> None:
    assert (await office.command("list pending")).out == "nobody waits for anything\n"
    for key, name in zip(KEYS, "xyz", strict=True):
        await asks(office, key, name)
    shown = json.loads((await office.command("list pending team@acme.test", as_json=True)).out)
    assert [(one["key"], one["address"], one["stage"]) for one in shown] == [
        (key, f"{name}@else.where", "owners") for key, name in zip(KEYS, "xyz", strict=True)
    ]
    assert "for the owners" in (await office.command("list pending")).out
    assert (await office.command("list approve ffff")).out == "1 approved\n"
    assert (await office.command(f"list reject --reason 'not now' {KEYS[0]} {KEYS[1].upper()}")).out == "2 rejected\n"
    assert "z@else.where" in (await office.command("list members team@acme.test")).out
    assert (await office.command("list pending")).out == "nobody waits for anything\n"
    records = json.loads((await office.command("audit list --owner team@acme.test", as_json=True)).out)
    assert [one["event"] for one in records[:3]] == ["subscribe rejected", "subscribe rejected", "subscribe approved"]
    assert "not now" in records[0]["detail"]


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("list approve nothing", 1, "nothing that waits is called nothing"),
        ("list approve aaa", 1, "nothing that waits is called aaa"),
        ("list approve aaaa", 1, "the beginning of several"),
        (f"list approve {KEYS[2]}", 1, "waits for the one who asked"),
        ("list pending nobody@acme.test", 1, "account.NO_SUCH_DISTRIBUTION_LIST"),
        ("list resume team@acme.test who@else.where", 1, "account.NO_SUCH_MEMBER"),
        ("list resume team@acme.test anna@acme.test", 1, "account.NO_SUCH_MEMBER"),
        ("list resume team@acme.test @", 1, "must be a valid email address"),
        (f"list resume team@acme.test {FRIEND}", 1, "nothing has come back"),
        ("list frobnicate", 2, "usage: list"),
        ("list approve", 2, "usage: list"),
        ("list reject --quiet", 2, "reject [--reason TEXT]"),
        ("list bounces", 2, "usage: list"),
        ("list add team@acme.test", 2, "usage: list"),
    ],
)
async def test_what_cannot_be_is_said(office: Office, line: str, status: int, said: str) -> None:
    await asks(office, KEYS[0], "x")
    await asks(office, KEYS[1], "y")
    await asks(office, KEYS[2], "z", Stage.CONFIRM)
    done = await office.command(line)
    assert done.status == status
    assert said in done.err


async def test_posts_and_requests_are_told_apart(office: Office) -> None:
    await asks(office, KEYS[0], "x", kind=RequestKind.POST)
    assert (await office.command("list held")).out.count("a subject") == 1
    assert (await office.command("list pending")).out == "nobody waits for anything\n"


async def test_who_cannot_be_reached_is_shown_and_resumed(office: Office) -> None:
    async with office.store.snapshot() as snapshot:
        number = await snapshot.ask(members.number_of, await team_of(office), Address("friend", "else.where"))
    assert number is not None
    assert (await office.command("list bounces team@acme.test")).out == "nothing has come back\n"
    await office.store.do(CountBounce(number, "5.1.1 no such user", BounceRules(2, 9 * DAY)))
    assert "is sent" in (await office.command("list bounces team@acme.test")).out
    office.clock.turn(86400)
    await office.store.do(CountBounce(number, "5.1.1 no such user", BounceRules(2, 9 * DAY)))
    told = (await office.command("list bounces team@acme.test")).out
    assert "suspended" in told
    assert "5.1.1 no such user" in told
    assert (await office.command(f"list resume team@acme.test {FRIEND}")).out == "1 resumed\n"
    assert (await office.command("list bounces team@acme.test", as_json=True)).out == "[]\n"
