import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.port import EverythingChanged, FolderChanged, FoldersChanged, MetadataChanged, PolicyChanged, QueueChanged, RoomTaken
from store.wakes import read, spelled

NUMBER = st.integers(0, 1 << 62)
EVENTS = st.one_of(
    st.builds(PolicyChanged, st.frozensets(NUMBER)),
    st.builds(FolderChanged, NUMBER, NUMBER),
    st.builds(FoldersChanged, NUMBER),
    st.builds(MetadataChanged, NUMBER, NUMBER, NUMBER, st.tuples(st.text(), st.text())),
    st.builds(QueueChanged, st.booleans()),
    st.builds(RoomTaken, NUMBER),
    st.just(EverythingChanged()),
)


@given(st.lists(EVENTS))
def test_what_is_spelled_is_read(events: list[object]) -> None:
    assert read(spelled(events)) == events  # type: ignore[arg-type]


def test_whose_session_it_was_is_for_its_own_node_only() -> None:
    (event,) = read(spelled([MetadataChanged(1, 2, 3, ("/private/comment",), origin=9)]))  # type: ignore[arg-type]
    assert event == MetadataChanged(1, 2, 3, ("/private/comment",))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["news"]]', '[["folder", 1]]', '[["folder", "x", 2]]', "null", '{"a": 1}', "[[]]"])
def test_what_is_not_understood_may_have_changed_everything(text: str) -> None:
    assert read(text) == [EverythingChanged()]


def test_it_is_json() -> None:
    assert json.loads(spelled([FolderChanged(1, 2)])) == [["folder", 1, 2]]  # type: ignore[arg-type]
