"""Records of delegated access come to the audit even when the store is busy, and one that cannot holds up no other."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from gateway.folders import records
from gateway.folders.records import Recorder
from policy.identity import FolderId
from store.audit import AuditEntry, RecordAudit
from store.errors import Broken, Busy, NotFound
from store.folders import ClaimRecent
from store.port import Deed

ENTRY = AuditEntry("d-0", "folder access", True)
CLAIM = ClaimRecent(FolderId(1))


class Written:
    """A store that only writes down; `faults` come first, and `poison` is refused each time."""

    def __init__(self, *faults: Exception, poison: str = "", error: Exception | None = None) -> None:
        self.found: list[str] = []
        self.deeds = 0
        self._faults = [*faults]
        self._poison = poison
        self._error = error

    async def do(self, deed: Deed[Any], witness: object = None, *, bulk: bool = False) -> None:
        await asyncio.sleep(0)
        if self._faults:
            raise self._faults.pop(0)
        self.deeds += 1
        if not isinstance(deed, RecordAudit):
            self.found.append(type(deed).__name__)
            return
        numbers = [entry.decision for entry in deed.entries]
        if self._error is not None and self._poison in numbers:
            raise self._error
        self.found += numbers


def entry(number: int) -> AuditEntry:
    return replace(ENTRY, decision=f"d-{number}")


async def recorded(store: Any, *what: Any) -> None:
    recorder = Recorder(store)
    assert all(recorder.put(one) for one in what)
    await recorder.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PAUSE", 0.01)


async def test_what_waits_goes_in_together_and_in_order() -> None:
    store = Written()
    await recorded(store, entry(1), entry(2), CLAIM, entry(3))
    assert store.found == ["d-1", "d-2", "ClaimRecent", "d-3"]
    assert store.deeds == 3


@pytest.mark.parametrize("fault", [Busy("disk full"), Busy("stopping")])
async def test_nothing_is_lost_while_the_store_is_busy(fault: Exception) -> None:
    store = Written(fault, fault, fault)
    await recorded(store, CLAIM, entry(1), CLAIM, entry(2))
    assert store.found == ["ClaimRecent", "d-1", "ClaimRecent", "d-2"]


@pytest.mark.parametrize("error", [Broken("a constraint"), UnicodeEncodeError("utf-8", "x", 0, 1, "surrogate"), ValueError("?")])
async def test_a_record_that_cannot_be_written_is_in_the_log_and_the_others_in_the_audit(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Written(poison="d-2", error=error)
    with caplog.at_level(logging.ERROR):
        await recorded(store, *(entry(number) for number in range(5)))
    assert sorted(store.found) == ["d-0", "d-1", "d-3", "d-4"]
    (line,) = caplog.records
    assert "d-2" in line.fields["record"]  # type: ignore[attr-defined]


async def test_a_folder_that_is_gone_is_nothing_to_talk_about(caplog: pytest.LogCaptureFixture) -> None:
    store = Written(NotFound("folder 1"))
    await recorded(store, CLAIM, entry(1))
    assert store.found == ["d-1"]
    assert caplog.records == []


async def test_more_than_may_wait_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORDS", 2)
    recorder = Recorder(Written())  # type: ignore[arg-type]
    assert [recorder.put(entry(number)) for number in range(3)] == [True, True, False]
    await recorder.close()
    assert recorder.put(entry(3))
    await recorder.close()


async def test_what_the_end_comes_before_is_in_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(records, "PATIENCE", 0.05)
    store = Written(*(Busy("disk full") for _ in range(1000)))
    with caplog.at_level(logging.ERROR):
        await recorded(store, entry(1))
    (line,) = caplog.records
    assert "d-1" in line.fields["lost"][0]  # type: ignore[attr-defined]
