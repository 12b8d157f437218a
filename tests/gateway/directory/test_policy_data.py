"""Documents put in force: the whole of one or nothing of it, on the state it was planned on, and taken back."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.directory.faults import Fault
from policy.document import read, write
from tests.gateway.administration import Office, opened_office

PEOPLE = ("anna", "bert", "carl")
SETTING = (
    "createDomain acme.test",
    "createAliasDomain also.test acme.test",
    "createCos staff delegationWhenLocked full",
    *(f"createAccount {name}@acme.test '' displayName {name}" for name in PEOPLE),
    "createDistributionList team@acme.test",
    "createDistributionList crew@acme.test",
    "addDistributionListMember team@acme.test bert@acme.test",
    "grantRight account anna@acme.test grp team@acme.test sendAs",
    "selectMailbox anna@acme.test modifyFolderGrant /INBOX account bert@acme.test rw",
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path) as office:
        await office.done(*SETTING)
        yield office


LINES = st.sampled_from(
    [
        *(
            f"grantRight account anna@acme.test {to} {right}"
            for to in ("usr carl@acme.test", "dom acme.test", "all", "cos staff")
            for right in ("sendAs", "-sendAs", "loginAs")
        ),
        "grantRight dl team@acme.test usr carl@acme.test sendToDistList --from 2026-01-01 --until 2027-12-31 --note 'the \"fair\"'",
        "grantRight account carl@acme.test usr anna@acme.test sendOnBehalfOf --undo-window 90s",
        "selectMailbox anna@acme.test modifyFolderGrant / group team@acme.test rwidxa --until +90m",
        "selectMailbox anna@acme.test modifyFolderGrant /INBOX group team@acme.test none --block",
        "selectMailbox anna@acme.test createFolder '/Pöst \"x\"'",
        "addDistributionListMember crew@acme.test team@acme.test x@far.test nobody@acme.test",
        "addDistributionListMember team@acme.test crew@acme.test",
        "modifyDistributionList crew@acme.test owners anna@acme.test subscriptionPolicy approval",
        "modifyAccount bert@acme.test status locked delegationWhenLocked read",
        "setAccountCos bert@acme.test staff",
        "modifyAccount anna@acme.test isGlobalAdministrator TRUE allowFromAddresses 'x@far.test, y@far.test' quotaWarnMessage 'a \"c\"'",
        "addAccountAlias bert@acme.test bb@acme.test",
        "modifyDomain acme.test status suspended cos staff",
        "modifyCos staff sendRate 200/1h lockoutDuration 2h",
    ]
)


async def _records(office: Office) -> int:
    return len(await office.directory.trail.newest(1000))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=8))
def test_what_is_exported_applies_to_itself(some: list[str]) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as place:
            async with opened_office(Path(place)) as office:
                await office.done(*SETTING)
                for line in some:
                    await office.prov(line)
                policy = office.directory.policy
                text = await policy.export()
                records = await _records(office)
                planned = await policy.apply(text)
                assert (planned.plan.changes, planned.plan.effects) == ((), ())
                assert await policy.export() == text == write(read(text))
                assert await _records(office) == records, "where nothing is changed nothing is on record"

    asyncio.run(play())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_from_one_state_to_another_and_back(one: list[str], other: list[str]) -> None:
    # What objects there are is the same in both: only what is said of them differs.
    made = [line for line in (*one, *other) if "createFolder" in line or "Alias" in line]

    async def play() -> None:
        with tempfile.TemporaryDirectory() as place:
            texts = []
            for name, lines in (("other", other), ("one", one)):
                async with opened_office(Path(place) / name) as office:
                    await office.done(*SETTING)
                    for line in (*made, *lines):
                        await office.prov(line)
                    policy = office.directory.policy
                    texts.append(await policy.export())
                    if name == "one":
                        try:
                            await policy.apply(texts[0])
                        except Fault as fault:
                            # A list in a circle is not put there by a document; neither is an address that is nobody's.
                            assert "contain itself" in str(fault) or "nobody@acme.test" in str(fault)
                            assert await policy.export() == texts[1]
                            return
                        assert await policy.export() == texts[0]
                        if texts[0] != texts[1]:
                            try:
                                await policy.rollback()
                            except Fault as fault:
                                assert "contain itself" in str(fault) or "nobody@acme.test" in str(fault)
                                return
                        assert await policy.export() == texts[1]

    asyncio.run(play())


async def test_applied_planned_and_taken_back(office: Office) -> None:
    policy = office.directory.policy
    before = await policy.export()
    after = before.replace('right = "sendAs"', 'right = "sendOnBehalfOf"').replace('rights = "rw"', 'rights = "r"')
    planned = await policy.plan(after)
    told = ["bert@acme.test loses sendAs on anna@acme.test", "bert@acme.test gains sendOnBehalfOf on anna@acme.test"]
    assert sorted(str(one) for one in planned.plan.effects) == sorted([*told, "bert@acme.test loses w on anna@acme.test /INBOX"])
    assert await policy.export() == before, "a plan changes nothing"
    assert (await policy.apply(after, planned.state)).plan == planned.plan
    assert await policy.export() == after
    assert (await office.prov("checkRight account anna@acme.test bert@acme.test sendAs")).out.startswith("DENIED")
    newest = [row.entry for row in await office.directory.trail.newest(10)]
    assert {one.event for one in newest[:4]} == {"policy applied", "policy changed"}
    assert len({one.decision for one in newest[:4]}) == 1, "one decision, a record for each change"
    assert any("[rw] -> [r]" in one.detail for one in newest)
    await policy.rollback()
    assert await policy.export() == before
    with pytest.raises(Fault, match="nothing to take back"):
        await policy.rollback()


async def test_a_state_that_is_not_the_planned_one_is_refused(office: Office) -> None:
    policy = office.directory.policy
    before = await policy.export()
    after = before.replace('rights = "rw"', 'rights = "r"')
    planned = await policy.plan(after)
    await office.done("modifyAccount carl@acme.test status locked")
    with pytest.raises(Fault, match="changed since it was planned"):
        await policy.apply(after, planned.state)
    assert 'rights = "rw"' in await policy.export()
    # Without a state it is what the file says, carl's status included.
    await policy.apply(after)
    assert await policy.export() == after


async def test_taking_back_leaves_what_others_changed(office: Office) -> None:
    policy = office.directory.policy
    before = await policy.export()
    await policy.apply(before.replace('rights = "rw"', 'rights = "r"'))
    await office.done("modifyAccount carl@acme.test status locked")
    await policy.rollback()
    now = await policy.export()
    assert 'rights = "rw"' in now
    assert 'status = "locked"' in now
    await policy.apply(now.replace('rights = "rw"', 'rights = "r"'))
    await office.done("selectMailbox anna@acme.test modifyFolderGrant /INBOX account bert@acme.test rwi")
    with pytest.raises(Fault, match="has been changed since it was applied"):
        await policy.rollback()
    assert 'rights = "rwi"' in await policy.export()


async def test_taking_back_what_somebody_lost_who_is_gone(office: Office) -> None:
    policy = office.directory.policy
    await office.done("setAccountCos carl@acme.test staff")
    before = await policy.export()
    await policy.apply(before.replace('cos = "staff"\n', ""))
    await office.done("deleteAccount carl@acme.test")
    with pytest.raises(Fault, match=r'account "carl@acme.test": there is no such object'):
        await policy.rollback()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('path = "/INBOX"', 'path = "/Nowhere"', "anna@acme.test has no folder /Nowhere"),
        ('to = "group team@acme.test"', 'to = "group gone@acme.test"', "there is no list gone@acme.test"),
        ('members = ["bert@acme.test"]', 'members = ["team@acme.test"]', "contain itself"),
        ('delegationWhenLocked = "full"', 'allowFromAddresses = "carl@acme.test"', "it is an address of carl@acme.test"),
        ('status = "active"', 'status = "active"\ndelegatedSenderAddresses = "carl@acme.test"', "no address of the account"),
    ],
)
async def test_nothing_of_it_where_something_cannot_be(office: Office, old: str, new: str, words: str) -> None:
    policy = office.directory.policy
    before = await policy.export()
    records = await _records(office)
    # Something else in the same file could well be done.
    after = before.replace('rights = "rw"', 'rights = "rwid"').replace(old, new, 1)
    for ask in (policy.plan, policy.apply):
        with pytest.raises(Fault, match=words):
            await ask(after)
    assert await policy.export() == before
    assert await _records(office) == records


async def test_nesting_too_deep_is_undone_whole(office: Office) -> None:
    """The store itself refuses in the middle of the transaction."""
    for number in range(40):
        await office.done(f"createDistributionList l{number:02}@acme.test")
    before = await office.directory.policy.export()
    after = before.replace('rights = "rw"', 'rights = "r"')
    for number in range(39):
        after = after.replace(
            f'[list."l{number:02}@acme.test"]', f'[list."l{number:02}@acme.test"]\nmembers = ["l{number + 1:02}@acme.test"]'
        )
    with pytest.raises(Fault, match="nothing was changed"):
        await office.directory.policy.apply(after)
    assert await office.directory.policy.export() == before


async def test_two_at_once(office: Office) -> None:
    policy = office.directory.policy
    before = await policy.export()
    one = before.replace('rights = "rw"', 'rights = "r"')
    other = before.replace('rights = "rw"', 'rights = "rwid"')
    state = (await policy.plan(one)).state
    done = await asyncio.gather(policy.apply(one, state), policy.apply(other, state), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Fault", "Planned"]
    assert await policy.export() in (one, other)
