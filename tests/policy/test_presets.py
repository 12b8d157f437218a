import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.grants import SendRight
from policy.presets import ADVANCED, NAMES, SIMPLIFIED, NoPreset, letters_in_words, preset_named, send_in_words
from policy.rights import Right

READ = Right.LOOKUP | Right.READ
WRITE = READ | Right.SEEN | Right.WRITE | Right.INSERT | Right.CREATE | Right.DELETE_FOLDER | Right.DELETE_MESSAGES | Right.EXPUNGE

# By hand from the issue: the least letters that do it.
TABLE = {
    "read": ("r", READ, ()),
    "read/write": ("rwid", WRITE, ()),
    "send": ("", Right.NONE, ("sendAs",)),
    "send-on-behalf": ("", Right.NONE, ("sendOnBehalfOf",)),
    "send-only": ("", Right.NONE, ("sendAs",)),
    "read-only": ("r", READ, ()),
    "send-and-read": ("r", READ, ("sendAs",)),
    "manage": ("rwidxa", WRITE | Right.ACTION | Right.ADMIN, ("sendAs",)),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_a_preset_stands_for(name: str) -> None:
    found = preset_named(name)
    assert (found.letters, found.rights, found.sends) == TABLE[name]


def test_every_preset_has_a_row() -> None:
    assert set(NAMES) == set(TABLE)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("READ", "read"),
        ("Read and Write", "read/write"),
        ("read write", "read/write"),
        ("readWrite", "read/write"),
        ("send on behalf", "send-on-behalf"),
        ("Send on behalf of", "send-on-behalf"),
        ("sendAs", "send"),
        ("Send Mails only", "send-only"),
        ("Read Mails only", "read-only"),
        ("send and read", "send-and-read"),
        ("Manage", "manage"),
        ("Send, Read and Manage", "manage"),
        ("", None),
        ("rw", None),
        ("owner", None),
    ],
)
def test_names_as_people_write_them(typed: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(NoPreset, match="one of read, read/write, send"):
            preset_named(typed)
    else:
        assert preset_named(typed).name == name


@given(st.text(max_size=40))
def test_any_text_is_a_preset_or_the_one_error(text: str) -> None:
    try:
        assert preset_named(text).name in NAMES
    except NoPreset:
        pass


def test_on_behalf_bends_what_is_sent_and_nothing_else() -> None:
    bent = preset_named("manage").on_behalf()
    assert (bent.letters, bent.sends) == ("rwidxa", (SendRight.SEND_ON_BEHALF_OF,))
    assert [one.name for one in (*SIMPLIFIED, *ADVANCED) if one.bends] == ["send-only", "send-and-read", "manage"]


def test_words_say_every_letter_and_right() -> None:
    assert letters_in_words("") == ""
    assert letters_in_words("ra") == "see and read, give and take rights"
    assert len(letters_in_words("rwidxa").split(", ")) == 6
    assert {send_in_words(right, "a@b").split()[0] for right in SendRight} == {"send", "post", "log"}
