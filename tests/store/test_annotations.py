"""Entries of folders and of the server."""

import pytest

from policy.identity import AccountId
from store import annotations
from store.accounts import DeleteAccount
from store.annotations import SERVER, SetAnnotations
from store.errors import LimitReached, NotFound
from store.folders import RenameFolder
from store.port import MetadataChanged
from tests.store.letters import Bench


def count(bench: Bench) -> int:
    return int(bench.raw.execute("SELECT count(*) FROM annotation").fetchone()[0])


def test_all_or_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = bench.inbox(bench.anna)
    monkeypatch.setattr(annotations, "MAX_OCTETS", 10)
    bench.do(SetAnnotations(bench.anna, bench.anna, inbox, (("/private/a", b"12345"),)))
    with pytest.raises(LimitReached):
        bench.do(SetAnnotations(bench.anna, bench.anna, inbox, (("/private/a", None), ("/private/b", b"12345678901"))))
    assert bench.ask(annotations.values, bench.anna, bench.anna, inbox, ["/private/a", "/private/b"]) == [
        ("/private/a", b"12345"),
        ("/private/b", None),
    ]


def test_no_such_folder(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.do(SetAnnotations(bench.anna, bench.anna, type(SERVER)(999), (("/private/a", b"1"),)))


def test_inbox_renamed_leaves_a_copy(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(SetAnnotations(bench.anna, bench.anna, inbox, (("/private/a", b"1"), ("/shared/a", b"2"))))
    made = bench.do(RenameFolder(inbox, "/Old", ()))
    for folder in (inbox, made.id):
        assert bench.ask(annotations.values, bench.anna, bench.anna, folder, ["/private/a", "/shared/a"]) == [
            ("/private/a", b"1"),
            ("/shared/a", b"2"),
        ]


@pytest.mark.parametrize(("who", "left"), [("anna", 1), ("bruno", 2)])
def test_an_account_that_goes_takes_its_entries_along(bench: Bench, who: str, left: int) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(SetAnnotations(bench.anna, bench.anna, inbox, (("/private/a", b"1"), ("/shared/a", b"2"))))
    bench.do(SetAnnotations(bench.anna, bench.bruno, inbox, (("/private/a", b"1"),)))
    bench.do(SetAnnotations(bench.bruno, bench.bruno, SERVER, (("/private/a", b"1"),)))
    assert count(bench) == 4
    bench.do(DeleteAccount(bench.anna if who == "anna" else bench.bruno))
    assert count(bench) == left


def test_neighbours_in_the_alphabet_are_not_below(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    names = ["/private/a", "/private/a!", "/private/a/b", "/private/a/b/c", "/private/a0", "/private/ab"]
    bench.do(SetAnnotations(bench.anna, bench.anna, inbox, tuple((name, b"1") for name in names)))
    for depth, found in ((0, 1), (1, 2), (None, 3)):
        assert len(bench.ask(annotations.values, bench.anna, bench.anna, inbox, ["/private/a"], depth)) == found


def test_who_follows_is_told_which_entries_changed(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(SetAnnotations(bench.anna, bench.bruno, inbox, (("/private/a", b"1"), ("/shared/a", b"2"), ("/shared/b", b"3")), origin=7))
    assert set(bench.events) == {
        MetadataChanged(bench.anna, inbox, bench.bruno, ("/private/a",), 7),
        MetadataChanged(bench.anna, inbox, AccountId(0), ("/shared/a", "/shared/b"), 7),
    }
    # What was not there cannot go.
    bench.do(SetAnnotations(bench.anna, bench.anna, inbox, (("/private/a", None), ("/shared/b", None))))
    assert list(bench.events) == [MetadataChanged(bench.anna, inbox, AccountId(0), ("/shared/b",))]
