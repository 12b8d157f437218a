"""Conversations: RFC 5256's rules as a table, then anything at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.threads import Forest, Letter, by_references, by_subject, spell


def letter(number: int, subject: str, identifier: str = "", *ancestors: str, sent: int | None = None, is_reply: bool = False) -> Letter:
    return Letter(number, number if sent is None else sent, subject, is_reply, identifier, ancestors)


REFERENCES: list[tuple[str, list[Letter], bytes]] = [
    ("nothing", [], b""),
    ("one", [letter(1, "a", "1")], b"(1)"),
    ("a chain", [letter(1, "a", "1"), letter(2, "a", "2", "1"), letter(3, "a", "3", "1", "2")], b"(1 2 3)"),
    ("two answers", [letter(1, "a", "1"), letter(2, "a", "2", "1"), letter(3, "a", "3", "1")], b"(1 (2)(3))"),
    (
        "RFC 5256 section 4",
        [letter(2, "a", "2"), letter(3, "b", "3"), letter(6, "b", "6", "3"), letter(4, "b", "4", "3", "6"), letter(23, "b", "23", "4"),
         letter(44, "b", "44", "3", "6"), letter(7, "b", "7", "44"), letter(96, "b", "96", "7")],
        b"(2)(3 6 (4 23)(44 7 96))",
    ),
    ("the answer came first", [letter(1, "a", "2", "1", sent=2), letter(2, "a", "1", sent=1)], b"(2 1)"),
    ("who is missing in the middle is left out", [letter(1, "a", "1"), letter(3, "a", "3", "1", "2")], b"(1 3)"),
    ("who is missing at the top with one answer", [letter(2, "a", "2", "1")], b"(2)"),
    ("who is missing at the top with two answers", [letter(2, "a", "2", "1"), letter(3, "b", "3", "1")], b"((2)(3))"),
    ("answers below who is missing are raised", [letter(1, "a", "1"), letter(3, "b", "3", "1", "2"), letter(4, "c", "4", "1", "2")],
     b"(1 (3)(4))"),
    ("an empty chain of missing ones", [letter(1, "a", "1", "x", "y", "z")], b"(1)"),
    ("references to itself", [letter(1, "a", "1", "1")], b"(1)"),
    ("each the other's answer", [letter(1, "a", "1", "2"), letter(2, "b", "2", "1")], b"(2 1)"),
    ("a circle of three", [letter(1, "a", "1", "3"), letter(2, "b", "2", "1"), letter(3, "c", "3", "2")], b"(3 1 2)"),
    ("one identifier twice", [letter(1, "a", "1"), letter(2, "b", "1"), letter(3, "c", "3", "1")], b"(1 3)(2)"),
    ("no identifier", [letter(1, "a"), letter(2, "b")], b"(1)(2)"),
    ("siblings by date", [letter(1, "a", "1"), letter(2, "b", "2", "1", sent=9), letter(3, "c", "3", "1", sent=4)], b"(1 (3)(2))"),
    ("roots by date", [letter(1, "a", "1", sent=5), letter(2, "b", "2", sent=3)], b"(2)(1)"),
    ("equal dates: as in the folder", [letter(1, "a", "1", sent=5), letter(2, "b", "2", sent=5)], b"(1)(2)"),
    ("an own statement counts more than another's", [letter(1, "a", "1"), letter(2, "b", "2"), letter(3, "c", "3", "2", "1"),
     letter(4, "d", "4", "1")], b"(2 1 (3)(4))"),
    # Step 5: by subject.
    ("a reply without references", [letter(1, "a", "1"), letter(2, "a", "2", is_reply=True)], b"(1 2)"),
    ("a reply that came before", [letter(1, "a", "1", is_reply=True), letter(2, "a", "2")], b"(2 1)"),
    ("two that are no replies", [letter(1, "a", "1"), letter(2, "a", "2")], b"((1)(2))"),
    ("two replies", [letter(1, "a", "1", is_reply=True), letter(2, "a", "2", is_reply=True)], b"((1)(2))"),
    ("three that are no replies", [letter(1, "a", "1"), letter(2, "a", "2"), letter(3, "a", "3")], b"((1)(2)(3))"),
    ("no subject", [letter(1, "", "1"), letter(2, "", "2", is_reply=True)], b"(1)(2)"),
    ("a missing one takes others in", [letter(1, "a", "1", "x"), letter(2, "b", "2", "x"), letter(3, "a", "3")], b"((1)(2)(3))"),
    ("two missing ones are one", [letter(1, "a", "1", "x"), letter(2, "b", "2", "x"), letter(3, "a", "3", "y"), letter(4, "c", "4", "y")],
     b"((1)(2)(3)(4))"),
]  # fmt: skip


@pytest.mark.parametrize(("letters", "threads"), [row[1:] for row in REFERENCES], ids=[row[0] for row in REFERENCES])
def test_references(letters: list[Letter], threads: bytes) -> None:
    assert spell(by_references(letters)) == threads


@pytest.mark.parametrize(
    ("letters", "threads"),
    [
        ([], b""),
        ([letter(1, "a")], b"(1)"),
        ([letter(1, "a"), letter(2, "a")], b"(1 2)"),
        ([letter(1, "a"), letter(2, "b"), letter(3, "a"), letter(4, "a")], b"(1 (3)(4))(2)"),
        ([letter(1, "a", sent=9), letter(2, "b", sent=5), letter(3, "a", sent=1)], b"(3 1)(2)"),
        ([letter(1, ""), letter(2, "")], b"(1 2)"),
    ],
)
def test_ordered_subject(letters: list[Letter], threads: bytes) -> None:
    assert spell(by_subject(letters)) == threads


def members(forest: Forest) -> list[int]:
    """Every message below the roots; fails on one that is there twice, or on a loop."""
    found: list[int] = []
    todo = list(forest.roots)
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        assert node not in seen
        seen.add(node)
        number = forest.numbers[node]
        if number:
            found.append(number)
        else:
            assert node in forest.roots
            assert len(forest.children[node]) > 1
        todo.extend(forest.children[node])
    return sorted(found)


names = st.sampled_from("abcdefgh")
letters = st.lists(st.builds(Letter, st.just(0), st.integers(0, 5), st.sampled_from(["", "S", "T"]), st.booleans(),
                             names | st.just(""), st.lists(names, max_size=6).map(tuple)), max_size=30)  # fmt: skip


@given(letters)
def test_every_message_is_in_exactly_one_place(found: list[Letter]) -> None:
    numbered = [one._replace(number=number) for number, one in enumerate(found, 1)]
    everyone = list(range(1, len(found) + 1))
    assert members(by_references(numbered)) == everyone
    assert members(by_subject(numbered)) == everyone
    spelled = spell(by_references(numbered))
    assert sorted(int(number) for number in spelled.replace(b"(", b" ").replace(b")", b" ").split()) == everyone
    assert spelled.count(b"(") == spelled.count(b")")


@pytest.mark.parametrize(
    "many",
    [
        [letter(n, "", f"{n}", f"{n - 1}") for n in range(1, 20_001)],
        [letter(n, "", f"{n}", f"{n + 1}") for n in range(1, 20_001)],
        [letter(n, "", f"{n}", *(f"x{k}" for k in range(n * 50, n * 50 + 51))) for n in range(1, 501)],
        [letter(n, "same", f"{n}", "x") for n in range(1, 20_001)],
        [letter(n, "same", f"{n}") for n in range(1, 20_001)],
        [letter(n, "", f"{n}", *(f"{k}" for k in range(n + 1, n + 50))) for n in range(1, 3_001)],
    ],
    ids=["a chain", "a chain from its end", "a chain of missing ones", "one missing root", "one subject", "all refer forward"],
)
def test_it_takes_no_more_than_linear_time(many: list[Letter]) -> None:
    start = time.process_time()
    assert len(members(by_references(many))) == len(many)
    spell(by_references(many))
    assert time.process_time() - start < 5
