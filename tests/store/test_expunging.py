"""What is marked goes, and nothing else."""

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
