from dataclasses import replace

import pytest

from policy.identity import AccountId
from policy.status import AccountStatus
from store import audit
from store.accounts import SetAccountStatus
from store.audit import AuditEntry, Broken, Head, RecordAudit
from store.deeds import Audited
from store.errors import NotFound
from tests.store.behind import Behind
from tests.store.conftest import START, Directory

ENTRY = AuditEntry("d-1", "send-as", True, 2, "bruno@acme.test", None, "", 1, "anna@acme.test", "sendAs", "usr bruno@acme.test sendAs")


async def fill(directory: Directory, count: int = 6) -> Head:
    return await directory.store.do(RecordAudit(tuple(replace(ENTRY, decision=f"d-{number}") for number in range(1, count + 1))))


async def test_records_come_back_as_they_were_given(directory: Directory) -> None:
    full = AuditEntry(
        "d-9", "päge", False, 2, "b@x", 3, "c@x", 1, "a@x", "read", "no grant", "imap", "192.0.2.1", "<m@x>", "q1", "\N{SNOWMAN}\n"
    )
    head = await directory.store.do(RecordAudit((ENTRY, full)))
    assert await directory.ask(audit.head) == head
    assert [row.entry for row in await directory.ask(audit.newest)] == [full, ENTRY]
    assert [row.at for row in await directory.ask(audit.of_actor, 2)] == [START, START]
    assert [row.entry for row in await directory.ask(audit.of_owner, 1, None, 1)] == [full]
    assert [row.entry for row in await directory.ask(audit.of_owner, 1, 2)] == [ENTRY]
    assert await directory.ask(audit.of_owner, 2) == []
    assert [row.entry for row in await directory.ask(audit.by_decision, "d-9")] == [full]
    assert await directory.ask(audit.verify) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET allowed = 0 WHERE number = 3", Broken(3, "changed")),
        ("UPDATE audit SET principal = NULL WHERE number = 3", Broken(3, "changed")),
        ("UPDATE audit SET at = at + 1 WHERE number = 3", Broken(3, "changed")),
        ("UPDATE audit SET detail = because, because = detail WHERE number = 3", Broken(3, "changed")),
        ("DELETE FROM audit WHERE number = 3", Broken(3, "missing")),
        # By way of numbers that nobody has: which row an UPDATE changes first is nobody's promise.
        (
            "UPDATE audit SET number = -number WHERE number IN (3, 4); UPDATE audit SET number = number + 7 WHERE number IN (-3, -4)",
            Broken(3, "changed"),
        ),
        ("DELETE FROM audit WHERE number = 6", Broken(6, "missing: a kept head is beyond the end")),
        ("DELETE FROM audit", Broken(6, "missing: a kept head is beyond the end")),
    ],
)
async def test_what_was_changed_taken_out_or_reordered_is_found(
    directory: Directory, behind: Behind, statement: str, broken: Broken
) -> None:
    head = await fill(directory)
    assert await directory.ask(audit.verify, [head]) is None
    for one in statement.split("; "):
        behind.execute(one)
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.work(audit.verify, [head]) == broken


async def test_a_chain_that_was_made_anew_betrays_itself_by_a_kept_head(directory: Directory, behind: Behind) -> None:
    head = await fill(directory)
    behind.execute("DELETE FROM audit")
    await directory.store.do(RecordAudit(tuple(replace(ENTRY, decision=f"e-{number}") for number in range(1, 7))))
    assert await directory.ask(audit.verify) is None
    assert await directory.ask(audit.verify, [head]) == Broken(6, "not what the kept head says")


async def test_the_walk_goes_on_from_a_trusted_head_and_over_pages(directory: Directory, behind: Behind) -> None:
    middle = await fill(directory, 3)
    last = await fill(directory, audit.PAGE + 5)
    assert await directory.ask(audit.verify, [middle, last]) is None
    behind.execute("UPDATE audit SET event = 'x' WHERE number = 2")
    assert await directory.ask(audit.verify, [last], middle) is None
    assert await directory.ask(audit.verify, [last]) == Broken(2, "changed")


async def test_a_deed_and_its_record_are_one(directory: Directory) -> None:
    await directory.store.do(Audited(SetAccountStatus(directory.anna, AccountStatus.CLOSED), (ENTRY,)))
    with pytest.raises(NotFound):
        await directory.store.do(Audited(SetAccountStatus(AccountId(99), AccountStatus.CLOSED), (ENTRY,)))
    assert len(await directory.ask(audit.newest)) == 1
    assert await directory.ask(audit.verify) is None
