"""Documents put in force: the whole of one or nothing of it, on the state it was planned on, and taken back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.directory.faults import Fault
from policy.document import read, write
from store import applied
from tests.gateway.administration import Office, opened_office

PEOPLE = ("anna", "bert", "carl")
SETTING = (
    "createDomain acme.test",
    "createAliasDomain also.test acme.test",
    "createCos staff delegationWhenLocked full",
    *(f"createAccount {name}@acme.test '' displayName {name}" for name in PEOPLE),
    "createDistributionList team@acme.test",
    "createDistributionList crew@acme.test",
    "createDynamicDistributionList folk@acme.test (displayName=*)",
    "selectMailbox carl@acme.test createFolder /Work",
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
        "modifyDomain acme.test maxAccounts 50",
        "modifyDomain acme.test maxQuota 2g aggregateQuotaPolicy BLOCKSEND",
        "modifyDomain acme.test aggregateQuota 5g aggregateQuotaWarnPercent 0 aggregateQuotaWarnEmailRecipient b@x.test,a@x.test",
        "modifyDomain acme.test cosMaxAccounts staff:2 cosMaxAccounts default:9",
        "initDomainForDelegation acme.test",
        "modifyAccount bert@acme.test isDelegatedAdminAccount TRUE",
        "roles grant bert@acme.test domain",
        "roles grant carl@acme.test help-desk --until +2h --note 'for the \"fair\"'",
        "modifyDistributionList folk@acme.test filter (status=active)",
        "modifyDistributionList folk@acme.test filter (|(cos=staff)(isGlobalAdministrator=TRUE))",
        "modifyDistributionList crew@acme.test postingRestricted TRUE moderation all",
        "grantRight account carl@acme.test usr bert@acme.test sendAs --until +3h --review +2h",
        "principal freeze anna@acme.test --note 'a \"b\"'",
        "actor freeze carl@acme.test",
        "principal freeze team@acme.test",
        "share create carl@acme.test --members anna@acme.test --preset read-only --folders INBOX --until +1h",
        "share create carl@acme.test --members bert@acme.test --preset manage --folders /Work --review +5h",
    ]
)


async def type_in(office: Office, line: str) -> None:
    """Whatever comes of it."""
    await (office.command(line) if line.split()[0] in ("roles", "principal", "actor", "share") else office.prov(line))


async def _records(office: Office) -> int:
    return len(await office.directory.trail.find(1000))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=8))
def test_what_is_exported_applies_to_itself(some: list[str]) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as place:
            async with opened_office(Path(place)) as office:
                await office.done(*SETTING)
                for line in some:
                    await type_in(office, line)
                policy = office.directory.policy
                text = await policy.export()
                records = await _records(office)
                planned = await policy.apply(text)
                assert (planned.plan.changes, planned.plan.effects) == ((), ())
                assert await policy.export() == text == write(read(text))
                assert await _records(office) == records, "where nothing is changed nothing is on record"

    asyncio.run(play())


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_from_one_state_to_another_and_back(one: list[str], other: list[str]) -> None:
    # What objects there are is the same in both: only what is said of them differs.
    made = [line for line in (*one, *other) if "createFolder" in line or "Alias" in line or "share" in line]

    async def play() -> None:
        with tempfile.TemporaryDirectory() as place:
            texts = []
            for name, lines in (("other", other), ("one", one)):
                async with opened_office(Path(place) / name) as office:
                    await office.done(*SETTING)
                    for line in (*made, *lines):
                        await type_in(office, line)
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
    newest = [row.entry for row in await office.directory.trail.find(10)]
    assert {one.event for one in newest[:4]} == {"policy applied", "policy changed"}
    assert len({one.decision for one in newest[:4]}) == 1, "one decision, a record for each change"
    assert any("[rw] -> [r]" in one.detail for one in newest)
    await policy.rollback()
    assert await policy.export() == before
    with pytest.raises(Fault, match="nothing to take back"):
        await policy.rollback()


EVERYTHING = (
    "initDomainForDelegation acme.test",
    "modifyDomain acme.test maxAccounts 50 maxQuota 2g cosMaxAccounts staff:2 aggregateQuota 5g aggregateQuotaPolicy BLOCKSEND",
    "modifyAccount bert@acme.test isDelegatedAdminAccount TRUE",
    "roles grant bert@acme.test domain --until +2h --note 'for the fair'",
    "modifyDistributionList crew@acme.test postingRestricted TRUE moderation all",
    "principal freeze anna@acme.test --note 'broken into'",
    "share create carl@acme.test --members anna@acme.test --preset manage --folders /Work --review +5h --note n",
)


async def test_everything_that_decides_stands_in_it_and_is_taken_back(office: Office) -> None:
    policy = office.directory.policy
    bare = await policy.export()
    for line in EVERYTHING:
        await type_in(office, line)
    full = await policy.export()
    told = [
        "initialised = true",
        'maxAccounts = "50"',
        'maxQuota = "2147483648"',
        'aggregateQuota = "5368709120"\naggregateQuotaPolicy = "BLOCKSEND"\n',
        'cosMaxAccounts = ["staff:2"]\n',
        "delegatedAdministrator = true",
        'filter = "(displayName=*)"',
        "postingRestricted = true",
        'moderation = "all"',
        '[[freeze]]\nof = "anna@acme.test"\nside = "principal"\nnote = "broken into"\n',
        '[[role]]\naccount = "bert@acme.test"\nrole = "domain"\ndomain = "acme.test"\nuntil = "2027-01-15T10:00:00Z"\n',
        'rights = "rwixda"\nnote = "n"\nreview = "2027-01-15T13:00:00Z"\nshare = "1"\n',
        'right = "sendAs"\nnote = "n"\nreview = "2027-01-15T13:00:00Z"\nshare = "1"\n',
    ]
    assert [one for one in told if one not in full] == []
    # The share stays, without anything in it; the rest is as if it had not been.
    planned = await policy.plan(bare)
    said = {str(one) for one in planned.plan.effects}
    assert {
        "acme.test loses its last administrator",
        "bert@acme.test loses the role domain of acme.test",
        "bert@acme.test gains sendAs on anna@acme.test",
        "bert@acme.test gains sendToDistList on crew@acme.test",
        "anna@acme.test loses rwixda on carl@acme.test /Work",
        "list crew@acme.test gets moderation none instead of all",
        "domain acme.test gets maxAccounts no limit instead of 50",
        "domain acme.test gets maxQuota no limit instead of 2147483648",
        "domain acme.test gets aggregateQuotaPolicy ALLOWSENDRECEIVE instead of BLOCKSEND",
        "domain acme.test gets cosMaxAccounts no limit instead of staff:2",
        "anna@acme.test gets quota 0 instead of 2147483648",
    } <= said
    await policy.apply(bare, planned.state)
    assert await policy.export() == bare
    assert "nothing stands of it" in (await office.command("share list")).out
    await policy.rollback()
    assert await policy.export() == full
    assert "nothing stands of it" not in (await office.command("share list")).out
    await policy.apply(bare)
    await office.command("share end 1")
    with pytest.raises(Fault, match=r"carl@acme\.test has no share 1"):
        await policy.rollback()


async def test_what_a_domain_has_room_for_is_changed_before_who_is_in_it(office: Office) -> None:
    """A class of service that is full takes one more where the same document says so, and none where it does not."""
    policy = office.directory.policy
    await office.done("modifyDomain acme.test cosMaxAccounts staff:1", "setAccountCos bert@acme.test staff")
    before = await policy.export()
    moved = before.replace('[account."carl@acme.test"]\n', '[account."carl@acme.test"]\ncos = "staff"\n')
    with pytest.raises(Fault, match="may have 1 accounts of this class"):
        await policy.apply(moved)
    assert await policy.export() == before
    await policy.apply(moved.replace("staff:1", "staff:2"))
    assert (await office.prov("setAccountCos anna@acme.test staff")).status == 1
    await policy.rollback()
    assert await policy.export() == before
    with pytest.raises(Fault, match="there is no cos ghost"):
        await policy.plan(before.replace("staff:1", "ghost:1"))


async def test_whom_a_filter_means_is_part_of_the_plan(office: Office) -> None:
    policy = office.directory.policy
    await office.done(
        "modifyDistributionList folk@acme.test filter (status=active)", "grr account anna@acme.test grp folk@acme.test loginAs"
    )
    before = await policy.export()
    after = before.replace('[account."bert@acme.test"]\nstatus = "active"', '[account."bert@acme.test"]\nstatus = "locked"')
    planned = await policy.plan(after)
    assert [str(one) for one in planned.plan.effects if "folk" in str(one)] == ["bert@acme.test loses the mail of folk@acme.test"]
    (change,) = [one for one in planned.plan.changes if one.key[0] == "list"]
    assert (
        str(change) == "list folk@acme.test members: [anna@acme.test, bert@acme.test, carl@acme.test] -> [anna@acme.test, carl@acme.test]"
    )
    await policy.apply(after, planned.state)
    assert await policy.export() == after
    assert "bert" not in (await office.prov("getDistributionList folk@acme.test")).out
    other = after.replace("(status=active)", "(displayName=bert)")
    planned = await policy.plan(other)
    assert "bert@acme.test gains the mail of folk@acme.test" in {str(one) for one in planned.plan.effects}
    await policy.apply(other)
    told = (await office.prov("getDistributionList folk@acme.test")).out
    assert [one for one in ("anna", "bert", "carl") if f"{one}@acme.test" in told] == ["bert"]
    await policy.rollback()
    await policy.rollback()
    assert await policy.export() == before


async def test_a_document_of_the_version_before_still_applies(office: Office) -> None:
    policy = office.directory.policy
    for line in EVERYTHING:
        await type_in(office, line)
    full = await policy.export()
    lines = [
        line for line in full.replace("format = 2", "format = 1").split("\n") if not line.startswith(("review =", "share =", "filter ="))
    ]
    older = "\n".join(
        line for line in lines if line not in ("initialised = true", "delegatedAdministrator = true", "postingRestricted = true")
    )
    limits = ("maxAccounts", "maxQuota", "aggregateQuota", "cosMaxAccounts")
    older = "\n".join(line for line in older.split("\n") if not line.startswith(limits))
    older = "\n\n".join(part for part in older.split("\n\n") if not part.startswith(("[[role]]", "[[freeze]]")))
    older = older.replace('[list."folk@acme.test"]', '[list."folk@acme.test"]\nmembers = ["anna@acme.test"]')
    assert (await policy.apply(older)).plan.changes == ()
    await policy.apply(older.replace('rights = "rwixda"', 'rights = "r"'))
    expected = full.replace(
        'rights = "rwixda"\nnote = "n"\nreview = "2027-01-15T13:00:00Z"\nshare = "1"',
        'rights = "r"\nnote = "n"\nreview = "2027-01-15T13:00:00Z"',
    )
    assert await policy.export() == expected
    await policy.rollback()
    assert await policy.export() == full


async def test_what_an_older_version_applied_is_not_taken_back(office: Office, tmp_path: Path) -> None:
    """Its changes were kept by name alone, and somebody else may have the name now."""
    policy = office.directory.policy
    await office.done("selectMailbox anna@acme.test modifyFolderGrant /INBOX account bert@acme.test rw")
    before = await policy.export()
    await policy.apply(before.replace('rights = "rw"', 'rights = "r"'))
    applied_then = await policy.export()
    async with office.store.snapshot() as snapshot:
        row = await snapshot.ask(applied.last)
    assert row is not None
    kept = [one[:3] for one in json.loads(row.changes)]
    raw = sqlite3.connect(tmp_path / "procura.db")
    with raw:
        raw.execute("UPDATE applied SET changes = ?", (json.dumps(kept),))
    raw.close()
    with pytest.raises(Fault, match="an earlier version applied that"):
        await policy.rollback()
    assert await policy.export() == applied_then


ADMINISTRATORS = [
    ("administrator = true\n", ""),
    ('administrator = true\ncos = "default"\nstatus = "active"', 'administrator = true\ncos = "default"\nstatus = "locked"'),
]


@pytest.mark.parametrize(("old", "new"), ADMINISTRATORS)
async def test_the_last_administrator_stays(office: Office, old: str, new: str) -> None:
    await office.done("modifyAccount anna@acme.test isGlobalAdministrator TRUE", "setAccountCos anna@acme.test default")
    boss = await office.directory.acting("anna@acme.test")
    before = await boss.policy.export()
    assert old in before
    with pytest.raises(Fault, match="would leave no global administrator"):
        await boss.policy.apply(before.replace(old, new))
    assert await boss.policy.export() == before
    # The domain's status does not touch a global administrator; roles in it end, which the plan tells.
    suspended = before.replace('delimiter = "+"\nstatus = "active"', 'delimiter = "+"\nstatus = "suspended"')
    planned = await boss.policy.apply(suspended)
    assert "bert@acme.test loses log in" in {str(one) for one in planned.plan.effects}
    assert "anna@acme.test loses log in" not in {str(one) for one in planned.plan.effects}
    # Two of them: one may go.
    await office.done("modifyAccount carl@acme.test isGlobalAdministrator TRUE")
    now = await boss.policy.export()
    await boss.policy.apply(now.replace(old, new, 1))
    assert await office.directory.policy.export() == now.replace(old, new, 1)


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
