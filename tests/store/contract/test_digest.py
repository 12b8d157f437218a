import pytest

from store import digest
from store.audit import AuditEntry, RecordAudit
from store.digest import BeginDigests, Mark, MarkDigest
from store.errors import Conflict
from tests.store.conftest import START, Directory


async def test_a_mark_is_made_once_and_moved_once(directory: Directory) -> None:
    await directory.store.do(RecordAudit((AuditEntry("d-1", "send-as", True),)))
    made = await directory.store.do(BeginDigests())
    assert made >= 2
    assert await directory.store.do(BeginDigests()) == 0
    marks = await directory.ask(digest.due, START)
    assert Mark(directory.anna, START, 1) in marks
    assert await directory.ask(digest.due, START - 1) == []
    assert await directory.ask(digest.due, START, marks[0].account, 1) == [marks[1]]
    stale = Mark(directory.anna, START - 5, 1)
    with pytest.raises(Conflict):
        await directory.store.do(MarkDigest(stale, 2))
    await directory.store.do(MarkDigest(marks[0], 9))
    assert (await directory.ask(digest.due, START))[0].number == 9
