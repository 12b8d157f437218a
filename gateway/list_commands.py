"""What does a mail to a list's own addresses ask for, in which words?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.message.split import Header, unfolded
from gateway.message.structure import parse
from gateway.message.text import decode_header, part_text

MOST_LINES: Final = 50
"""Of a body, until a word was found: what stands above it are greetings."""
MOST_BODY: Final = 16 * 1024
MOST_REASON: Final = 1000
_ANSWER: Final = re.compile(r"(?:\s*(?:re|aw|sv|vs|antw|r)(?:\[\d+\])?\s*:)*\s*", re.IGNORECASE)
_COMMAND: Final = re.compile(r"\s*(subscribe|join|unsubscribe|leave|help|confirm|approve|reject)\b[.!:]?[ \t]*(.*)", re.IGNORECASE)
_KEY: Final = re.compile(r"[a-z2-7]{16}\b", re.IGNORECASE)


class Word(StrEnum):
    """What can be asked. `join` and `leave` mean `subscribe` and `unsubscribe`."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    HELP = "help"
    CONFIRM = "confirm"
    APPROVE = "approve"
    REJECT = "reject"


_MEANT: Final = {"join": "subscribe", "leave": "unsubscribe"}
_TO_MEMBERS: Final = frozenset({Word.SUBSCRIBE, Word.UNSUBSCRIBE, Word.HELP, Word.CONFIRM})
_TO_OWNERS: Final = frozenset({Word.APPROVE, Word.REJECT})


@dataclass(frozen=True, slots=True)
class Command:
    """`rest`: the key to confirm, or an owner's reason."""

    word: Word
    rest: str = ""


def request(octets: bytes, header: Header) -> Command | None:
    """The one thing that a mail to `-request` asks for: by its Subject, else by the first line of its text that says something."""
    for line in _lines(octets, header):
        found = _read(line, _TO_MEMBERS)
        if found is not None and (found.word is not Word.CONFIRM or found.rest):
            return found
    return None


def decision(octets: bytes, header: Header) -> Command | None:
    """What an owner decides: the first line of the text that is no quotation counts, else the one word in the Subject that a link puts
    there."""
    subject, *body = _lines(octets, header)
    for line in [*body[:1], subject]:
        found = _read(line, _TO_OWNERS)
        if found is not None and not (line is subject and found.rest):
            more = [one for one in body[1:] if one] if line is not subject else body
            rest = "\n".join(one for one in (found.rest, *more) if one)
            return Command(found.word, rest[:MOST_REASON])
    return None


def _read(line: str, known: frozenset[Word]) -> Command | None:
    found = _COMMAND.match(line)
    if found is None:
        return None
    name = found[1].lower()
    word = Word(_MEANT.get(name, name))
    rest = found[2].strip()
    if word not in known:
        return None
    if word is Word.CONFIRM:
        key = _KEY.match(rest)
        return Command(word, "" if key is None else key[0].lower())
    if word in _TO_MEMBERS and (" " in rest or "@" in rest):
        return None  # a sentence that begins so, or an address that somebody else would have us write to
    return Command(word, rest)


def _lines(octets: bytes, header: Header) -> Iterator[str]:
    """The subject without `Re:` (empty where there is none), then the lines of the first text: neither blank nor quoted, and nothing
    of the signature."""
    subject = header.first(b"subject")
    text = "" if subject is None else decode_header(unfolded(octets, subject))
    start = _ANSWER.match(text)
    yield text[start.end() :].strip() if start is not None else text
    part = next((one for one in parse(octets).walk() if one.type == b"text" and one.subtype == b"plain"), None)
    if part is None:
        return
    for line in part_text(octets, part, MOST_BODY).splitlines()[:MOST_LINES]:
        if line.rstrip("\r") == "-- ":
            return
        if line.strip() and not line.lstrip().startswith(">"):
            yield line.strip()
