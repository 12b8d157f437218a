"""What is made of a message again stands where that was."""

from policy.identity import FolderId
from store import messages
from store.appending import AppendMessages, NewInFolder
from store.copying import CopyMessages, MoveMessages
from store.model import Uid, WireRow
from store.remade import Rerendered, SetLayouts
from tests.store.letters import Bench, letter, put


def test_a_rendering_is_replaced_where_the_message_is_still_there(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    bench.do(Rerendered(inbox, (WireRow(Uid(1), 2, b"e", b"s", b"b"), WireRow(Uid(2), 2, b"", b"", b""))))
    assert bench.ask(messages.wires, inbox, ((1, 9),)) == [WireRow(Uid(1), 2, b"e", b"s", b"b")]


def test_what_is_made_again_is_so_for_every_message_of_the_same_octets(bench: Bench, inbox: FolderId) -> None:
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)), NewInFolder(letter(2)), NewInFolder(letter(1))), 0))
    bench.do(Rerendered(inbox, (WireRow(Uid(3), 2, b"e", b"s", b"b"),)))
    assert [row.rendering for row in bench.ask(messages.wires, inbox, ((1, 9),))] == [2, 1, 2]
    # Whoever comes with an older one changes nothing.
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)),), 0))
    assert bench.ask(messages.envelopes, inbox, ((1, 1), (4, 4))) == [(1, b"e", 2), (4, b"e", 2)]


def test_where_the_parts_stand_goes_with_every_copy(bench: Bench, inbox: FolderId) -> None:
    noted = NewInFolder(letter(1)._replace(layout=b"parts"))
    bench.do(AppendMessages(inbox, (noted, NewInFolder(letter(2))), 0))
    assert bench.ask(messages.layouts, inbox, ((1, 9),)) == [(1, b"parts"), (2, None)]
    bench.do(SetLayouts(inbox, ((Uid(2), b"others"), (Uid(3), b"none"))))
    theirs = bench.inbox(bench.bruno)
    bench.do(CopyMessages(inbox, theirs, ((1, 2),), 0))
    bench.do(MoveMessages(inbox, inbox, ((1, 1),), 0))
    assert bench.ask(messages.layouts, theirs, ((1, 9),)) == [(1, b"parts"), (2, b"others")]
    assert bench.ask(messages.layouts, inbox, ((1, 9),)) == [(2, b"others"), (3, b"parts")]
