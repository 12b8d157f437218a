"""What administrators call by one name when they share a mailbox, and which letters and rights to send it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from policy.grants import SendRight
from policy.rights import Right, parse_letters


@dataclass(frozen=True, slots=True)
class Preset:
    """`title`: as the administrators' pages have it; `letters`: the least that do it, "" none at all.

    `needs_folders`: whoever shares an existing mailbox says which folders. `bends`: "on behalf" may be meant instead of "as".
    """

    name: str
    title: str
    letters: str = ""
    sends: tuple[SendRight, ...] = ()
    needs_folders: bool = False
    bends: bool = False

    @property
    def rights(self) -> Right:
        """What is granted on each folder."""
        return parse_letters(self.letters) if self.letters else Right.NONE

    def on_behalf(self) -> "Preset":
        """The same with sendOnBehalfOf for sendAs."""
        return replace(self, sends=tuple(SendRight.SEND_ON_BEHALF_OF for _ in self.sends))


class NoPreset(ValueError):
    """The name stands for nothing; the message tells which do."""


SIMPLIFIED: tuple[Preset, ...] = (
    Preset("read", "Read", "r"),
    Preset("read/write", "Read and write", "rwid"),
    Preset("send", "Send", sends=(SendRight.SEND_AS,)),
    Preset("send-on-behalf", "Send on behalf of", sends=(SendRight.SEND_ON_BEHALF_OF,)),
)
"""Each is one thing."""

ADVANCED: tuple[Preset, ...] = (
    Preset("send-only", "Send Mails only", sends=(SendRight.SEND_AS,), bends=True),
    Preset("read-only", "Read Mails only", "r", needs_folders=True),
    Preset("send-and-read", "Send and Read Mails", "r", (SendRight.SEND_AS,), bends=True),
    Preset("manage", "Send, Read and Manage Mails", "rwidxa", (SendRight.SEND_AS,), bends=True),
)
"""Each is a role that a delegate has."""

_SYNONYMS: Mapping[str, str] = MappingProxyType({"sendas": "send", "sendonbehalfof": "send-on-behalf", "sendreadandmanage": "manage"})


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


_BY_NAME: Mapping[str, Preset] = MappingProxyType(
    {
        **{_plain(name): one for one in (*SIMPLIFIED, *ADVANCED) for name in (one.name, one.title)},
        **{word: one for word, name in _SYNONYMS.items() for one in (*SIMPLIFIED, *ADVANCED) if one.name == name},
    }
)
NAMES: tuple[str, ...] = tuple(one.name for one in (*SIMPLIFIED, *ADVANCED))


def preset_named(text: str) -> Preset:
    """In any case, with or without blanks, hyphens and strokes; the title works too. Raises NoPreset."""
    found = _BY_NAME.get(_plain(text))
    if found is None:
        raise NoPreset("one of " + ", ".join(NAMES))
    return found


_LETTERS_IN_WORDS: tuple[tuple[str, str], ...] = (
    ("r", "see and read"),
    ("w", "mark as read and flag"),
    ("i", "put messages in and make folders"),
    ("d", "delete messages and folders"),
    ("x", "answer invitations in the owner's name"),
    ("a", "give and take rights"),
)
_SENDS_IN_WORDS: Mapping[SendRight, str] = MappingProxyType(
    {
        SendRight.SEND_AS: "send as {}: recipients see nothing of the delegate",
        SendRight.SEND_ON_BEHALF_OF: "send on behalf of {}: recipients see who sent it",
        SendRight.SEND_TO_LIST: "post to {}",
        SendRight.LOGIN_AS: "log in as {}",
    }
)


def letters_in_words(letters: str) -> str:
    """`rw` is "see and read, mark as read and flag"; "" where there are none."""
    return ", ".join(words for letter, words in _LETTERS_IN_WORDS if letter in letters)


def send_in_words(right: SendRight, principal: str) -> str:
    """What it allows, for people."""
    return _SENDS_IN_WORDS[right].format(principal)
