"""What is marked goes, and nothing else."""

import pytest

from policy.identity import FolderId
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from tests.store.letters import Bench, put, uids


def test_only_what_is_marked_and_named_goes(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 6)
    bench.do(ChangeFlags(inbox, ((1, 2), (4, 4), (6, 6)), FlagMode.ADD, Flag.DELETED))
    done = bench.do(Expunge(inbox, ((2, 5),)))
    assert done.runs == ((2, 2), (4, 4))
    assert uids(bench, inbox) == [1, 3, 5, 6]
    assert bench.do(Expunge(inbox)).runs == ((1, 1), (6, 6))
    assert bench.do(Expunge(inbox)).runs == ()
    bench.check()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("places", [(1500,), (7, 900, 1500, 2990)])
def test_few_among_many_are_looked_for_once(bench: Bench, inbox: FolderId, places: tuple[int, ...]) -> None:
    """In steps of SQLite's machine, some six for each message that is passed over."""
    put(bench, inbox, 3000)
    bench.do(ChangeFlags(inbox, tuple((place, place) for place in places), FlagMode.ADD, Flag.DELETED))
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    bench.raw.set_progress_handler(step, 100)  # type: ignore[attr-defined]
    bench.raw.execute("SELECT key FROM message WHERE flags & 8 = 8").fetchall()
    once, steps = steps, 0
    assert once > 50
    assert bench.do(Expunge(inbox)).runs == tuple((place, place) for place in places)
    bench.raw.set_progress_handler(None, 0)  # type: ignore[attr-defined]
    assert steps < 2 * once
    bench.check()
