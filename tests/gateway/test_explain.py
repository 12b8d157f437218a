"""What may this person do, and why: the trace with names, the status of owner and actor, every kind of grantee."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.directory.faults import Fault
from gateway.directory.send_rights import ObjectKind
from gateway.explain import Act, Explained
from policy.grantees import GranteeKind
from policy.grants import SendRight
from policy.rates import Rate, limits
from store.queue import AcceptMessage
from tests.gateway.administration import Office, opened_office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path) as office:
        await office.done(
            "cd acme.test",
            "cc staff",
            "ca owner@acme.test '' cos staff",
            "ca delegate@acme.test ''",
            "cdl team@acme.test",
            "cdl inner@acme.test",
            "adlm team@acme.test inner@acme.test",
            "adlm inner@acme.test delegate@acme.test",
        )
        yield office


async def can(office: Office, act: Act, folder: str | None = None) -> Explained:
    return await office.desk.explain.can("delegate@acme.test", act, "owner@acme.test", folder)


@pytest.mark.parametrize(
    ("letters", "allowed"),
    [
        ("r", {Act.READ}),
        ("rw", {Act.READ, Act.WRITE}),
        ("ri", {Act.READ, Act.INSERT}),
        ("rd", {Act.READ, Act.DELETE}),
        ("x", {Act.ACCEPT}),
        ("rwixd", {Act.READ, Act.WRITE, Act.INSERT, Act.DELETE, Act.ACCEPT}),
        ("none", set()),
    ],
)
async def test_each_letter_allows_its_act(office: Office, letters: str, allowed: set[Act]) -> None:
    await office.done(f"sm owner@acme.test mfg / account delegate@acme.test {letters} {'--block' if letters == 'none' else ''}")
    found = {act for act in (Act.READ, Act.WRITE, Act.INSERT, Act.DELETE, Act.ACCEPT) if (await can(office, act)).allowed}
    assert found == allowed


@pytest.mark.parametrize(
    ("grantee", "words"),
    [
        ("account delegate@acme.test", "account delegate@acme.test on /: r"),
        ("group inner@acme.test", "group inner@acme.test on /: r"),
        ("group team@acme.test", "group team@acme.test, through group inner@acme.test on /: r"),
        ("domain acme.test", "domain acme.test on /: r"),
        ("cos default", "cos default on /: r"),
        ("all", "everybody on /: r"),
    ],
)
async def test_every_kind_of_grantee_is_called_by_its_name(office: Office, grantee: str, words: str) -> None:
    assert not (await can(office, Act.READ)).allowed
    await office.done(f"sm owner@acme.test mfg / {grantee} r")
    found = await can(office, Act.READ)
    assert found.allowed
    assert found.because == words


async def test_the_group_path_is_told(office: Office) -> None:
    await office.done("grr account owner@acme.test grp team@acme.test sendAs")
    found = await can(office, Act.SEND_AS)
    assert (found.allowed, found.grantee_kind, found.grantee) == (True, GranteeKind.GROUP, "team@acme.test")
    assert found.through == ["inner@acme.test", "team@acme.test"]


async def test_a_status_of_the_owner_counts(office: Office) -> None:
    await office.done("sm owner@acme.test mfg / account delegate@acme.test rw", "grr account owner@acme.test usr delegate@acme.test sendAs")
    for status, acts in {"active": {Act.READ, Act.SEND_AS}, "maintenance": set(), "locked": set(), "closed": set()}.items():
        await office.done(f"ma owner@acme.test status {status}")
        assert {act for act in (Act.READ, Act.SEND_AS) if (await can(office, act)).allowed} == acts, status
    await office.done("ma owner@acme.test status locked delegationWhenLocked read")
    assert [(await can(office, act)).allowed for act in (Act.READ, Act.WRITE, Act.SEND_AS)] == [True, False, False]


async def test_an_actor_who_cannot_log_in_can_do_nothing(office: Office) -> None:
    await office.done("sm owner@acme.test mfg / account delegate@acme.test r", "ma delegate@acme.test status locked")
    found = await can(office, Act.READ)
    assert not found.allowed
    assert found.because == "but delegate@acme.test is locked and cannot log in"
    assert found.trace[0] == ("account delegate@acme.test on /: r", False)


async def test_an_owner_can_do_everything_at_home(office: Office) -> None:
    for act in Act:
        assert (await office.desk.explain.can("owner@acme.test", act, "owner@acme.test", None)).allowed, act


async def test_a_right_on_fewer_addresses_does_not_hold_for_the_others(office: Office) -> None:
    await office.done(
        "aaa owner@acme.test alias@acme.test",
        "grr account owner@acme.test usr delegate@acme.test sendAs",
        "ma owner@acme.test delegatedSenderAddresses alias@acme.test",
    )
    explain = office.desk.explain
    assert (await explain.can("delegate@acme.test", Act.SEND_AS, "alias@acme.test")).allowed
    found = await explain.can("delegate@acme.test", Act.SEND_AS, "owner@acme.test")
    assert not found.allowed
    assert "delegatedSenderAddresses does not name owner@acme.test" in found.because


async def test_a_list_may_be_sent_as(office: Office) -> None:
    await office.done("grr dl team@acme.test usr delegate@acme.test sendOnBehalfOf")
    explain = office.desk.explain
    assert (await explain.can("delegate@acme.test", Act.SEND_ON_BEHALF_OF, "team@acme.test")).allowed
    assert not (await explain.can("delegate@acme.test", Act.SEND_AS, "team@acme.test")).allowed
    assert (await explain.holds("delegate@acme.test", SendRight.SEND_TO_LIST, ObjectKind.LIST, "team@acme.test")).allowed


async def test_check_right_does_not_look_at_the_status(office: Office) -> None:
    await office.done("grr account owner@acme.test usr delegate@acme.test sendAs", "ma owner@acme.test status closed")
    found = await office.desk.explain.holds("delegate@acme.test", SendRight.SEND_AS, ObjectKind.ACCOUNT, "owner@acme.test")
    assert found.allowed


async def test_what_is_not_there_is_named(office: Office) -> None:
    explain = office.desk.explain
    with pytest.raises(Fault, match=r"account\.NO_SUCH_ACCOUNT .*ghost@acme\.test"):
        await explain.can("ghost@acme.test", Act.READ, "owner@acme.test")
    with pytest.raises(Fault, match=r"account\.NO_SUCH_ACCOUNT .*ghost@acme\.test"):
        await explain.can("delegate@acme.test", Act.SEND_AS, "ghost@acme.test")
    with pytest.raises(Fault, match=r"mail\.NO_SUCH_FOLDER .*/Nope"):
        await explain.can("delegate@acme.test", Act.READ, "owner@acme.test", "/Nope")


# --- what else keeps somebody from sending


@pytest.mark.parametrize("act", [Act.SEND_AS, Act.ACCEPT])
@pytest.mark.parametrize(("side", "who"), [("principal", "owner"), ("actor", "delegate")])
async def test_the_kill_switches_are_told(office: Office, act: Act, side: str, who: str) -> None:
    await office.done("grr account owner@acme.test usr delegate@acme.test sendAs", "sm owner@acme.test mfg / account delegate@acme.test x")
    await office.command(f"{side} freeze {who}@acme.test --note 'lost laptop'")
    found = await can(office, act)
    assert (found.allowed, found.refusal) == (False, f"{who}@acme.test is frozen as {side}")
    assert found.because == f"but {who}@acme.test is frozen as {side} (lost laptop)"
    assert (await office.desk.explain.holds("delegate@acme.test", SendRight.SEND_AS, ObjectKind.ACCOUNT, "owner@acme.test")).allowed
    await office.command(f"{side} unfreeze {who}@acme.test")
    assert (await can(office, act)).allowed


async def test_what_is_left_of_the_limits_and_how_long_it_waits_is_told(office: Office) -> None:
    await office.done(
        "grr account owner@acme.test usr delegate@acme.test sendAs",
        "ma delegate@acme.test sendRate 5/1h",
        "ma owner@acme.test delegatedSendRecipientRate 9/1d undoWindow 30s",
    )
    ids = [(await office.directory.accounts.get(f"{name}@acme.test")).row.id for name in ("delegate", "owner")]
    counting = limits(ids[0], (Rate(5, 3600), Rate()), ((ids[1], Rate(), Rate(9, 86400)),))
    await office.store.do(AcceptMessage("", limits=counting, recipients=9))
    found = await can(office, Act.SEND_AS)
    assert (found.allowed, found.refusal) == (
        False,
        "you may send to 9 recipients in the name of owner@acme.test within 1d; again from 2027-01-16 08:00:00 UTC",
    )
    office.clock.turn(3000)
    await office.done("ma owner@acme.test delegatedSendRecipientRate 99/1d")
    found = await can(office, Act.SEND_AS)
    assert found.allowed
    assert [text for text, decided in found.trace if not decided] == [
        "1 of 5/1h messages in any name",
        "9 of 99/1d recipients in this name",
        "it waits 30 s, and can be recalled so long",
    ]
    await office.done("grr account owner@acme.test usr delegate@acme.test sendAs --undo-window 0")
    assert not any("waits" in text for text, _ in (await can(office, Act.SEND_AS)).trace)
