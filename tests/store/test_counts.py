"""The counters of a folder are what counting gives."""

import pytest

from policy.identity import FolderId
from store.appending import AppendMessages, NewInFolder
from store.errors import LimitReached
from store.flags import NO_FLAGS, ChangeFlags, FlagMode
from store.model import Flag
from tests.store.letters import Bench, letter, put


def test_the_last_uid_is_a_limit(bench: Bench, inbox: FolderId) -> None:
    bench.raw.execute("UPDATE folder SET uidnext = 4294967294 WHERE id = ?", (inbox,))
    assert put(bench, inbox) == (4294967294,)
    with pytest.raises(LimitReached):
        put(bench, inbox)


@pytest.mark.parametrize("mode", list(FlagMode))
@pytest.mark.parametrize(
    "flags", [Flag.SEEN, Flag.DELETED, Flag.FLAGGED, Flag.SEEN | Flag.FLAGGED, Flag.SEEN | Flag.DELETED, NO_FLAGS], ids=int
)
def test_what_is_unseen_and_deleted_is_counted_whatever_changes(bench: Bench, inbox: FolderId, mode: FlagMode, flags: Flag) -> None:
    had = [NO_FLAGS, Flag.SEEN, Flag.DELETED, Flag.SEEN | Flag.DELETED, Flag.FLAGGED | Flag.SEEN]
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(n), one) for n, one in enumerate(had * 2)), 0))
    wanted = {FlagMode.ADD: lambda one: one | flags, FlagMode.REMOVE: lambda one: one & ~flags, FlagMode.REPLACE: lambda _: flags}[mode]
    before = bench.folder(bench.anna).modseq
    done = bench.do(ChangeFlags(inbox, ((2, 9),), mode, flags))
    after = [wanted(one) if 1 <= place <= 8 else one for place, one in enumerate(had * 2)]
    assert list(bench.flags(inbox).values()) == [int(one) for one in after]
    row = bench.folder(bench.anna)
    assert (row.unseen, row.deleted) == (sum(Flag.SEEN not in one for one in after), sum(Flag.DELETED in one for one in after))
    assert done.changed is (after != had * 2)
    assert row.modseq == done.modseq == before + done.changed
    assert not bench.do(ChangeFlags(inbox, ((2, 9),), mode, flags)).changed
    bench.check()
