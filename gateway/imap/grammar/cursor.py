"""Where in a command are we, and what is wrong there?"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeVar

from gateway.imap.framing import TAG, Frame, tag_of

T = TypeVar("T")

_REPEATED: Final = 256
"""Octets of what is short enough to be given again and again."""
_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_WORD = re.compile(rb"[A-Za-z0-9.=+_-]{1,40}(?= |\Z)")
_START = re.compile(rb"(%b) (%b)" % (TAG.pattern, _WORD.pattern))


class BadSyntax(Exception):
    """A command that the grammar does not have. `message` says what was wrong and where, never what the client sent.

    `tag` is the command's tag, None where it cannot be read (the answer is then untagged).
    """

    def __init__(self, message: str, tag: bytes | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tag = tag


class BadCharset(BadSyntax):
    """A charset that is not known: NO [BADCHARSET] instead of BAD (RFC 3501 section 6.4.4). `saves`: with SAVE among the return
    options, so that nothing is left in `$` (RFC 5182 section 2.1).
    """

    saves = False


class Cursor:
    """Walks over one command. Every rule takes a cursor, uses up what it matches and raises BadSyntax otherwise.

    `utf8`: the client enabled UTF8=ACCEPT or IMAP4rev2, mailbox names and quoted strings are UTF-8 (RFC 6855 section 3).
    `charset_is_utf8`: it enabled UTF8=ACCEPT, no other charset may be named.
    """

    __slots__ = ("_index", "_parts", "charset_is_utf8", "position", "tag", "text", "utf8")

    def __init__(self, frame: Frame, *, utf8: bool = False, charset_is_utf8: bool = False) -> None:
        self._parts = frame.parts
        self._index = 0
        self.text = frame.parts[0]
        self.position = 0
        self.tag: bytes | None = None
        self.utf8 = utf8
        self.charset_is_utf8 = charset_is_utf8

    def fail(self, message: str) -> NoReturn:
        """Raise BadSyntax with the place added."""
        raise BadSyntax(f"{message}, at octet {self.place()}", self.tag)

    def place(self) -> int:
        """Octets of the command before the cursor, braces of literals not counted."""
        return sum(map(len, self._parts[: self._index])) + self.position

    def peek(self) -> bytes:
        """The next octet of text; empty at the end of the text or before a literal."""
        return self.text[self.position : self.position + 1]

    def at_end(self) -> bool:
        """True when the command is used up."""
        return self.position == len(self.text) and self._index + 1 == len(self._parts)

    def at_literal(self) -> bool:
        """True before a literal (without the `~` of a literal8)."""
        return self.position == len(self.text) and self._index + 1 < len(self._parts)

    def at_literal8(self) -> bool:
        """True before the `~` of a literal8."""
        return self.text[self.position :] == b"~" and self._index + 1 < len(self._parts)

    @property
    def has_literals(self) -> bool:
        """Is there any in the command, wherever?"""
        return len(self._parts) > 1

    def match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        """Use up what the pattern matches here, if it does."""
        found = pattern.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return found[0]

    def expect(self, pattern: re.Pattern[bytes], wanted: str) -> bytes:
        """Use up what the pattern matches here, which has to be `wanted`."""
        found = self.match(pattern)
        if found is None:
            self.fail(f"expected {wanted}")
        return found

    def skip(self, octets: bytes) -> bool:
        """Use up exactly these octets, if they are next."""
        if self.text.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def need(self, octets: bytes, wanted: str) -> None:
        """Use up exactly these octets, which have to be next."""
        if not self.skip(octets):
            self.fail(f"expected {wanted}")

    def sp(self) -> None:
        """`SP = %x20`: one space, as the grammar has it."""
        if not self.text.startswith(b" ", self.position):
            self.fail("expected a space")
        self.position += 1

    def take_literal(self) -> bytes:
        """Use up the literal before which the cursor stands."""
        octets = self._parts[self._index + 1]
        self._index += 2
        self.text = self._parts[self._index]
        self.position = 0
        return octets

    def end(self) -> None:
        """The command has to be used up."""
        if not self.at_end():
            self.fail("expected the end of the command")

    def whole(self, rule: Callable[["Cursor"], T]) -> T:
        """What the rule makes of all that is left."""
        value = rule(self)
        self.end()
        return value


def command_name(frame: Frame, *, utf8: bool = False, charset_is_utf8: bool = False) -> tuple[bytes, bytes, Cursor]:
    """Tag, name in upper case (`UID FETCH` for a command under UID), and a cursor before the arguments.

    RFC 3501: `command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF`,
    `tag = 1*<any ASTRING-CHAR except "+">`, `uid = "UID" SP (copy / fetch / search / store)`.
    Raises BadSyntax, with the tag where there is one.
    """
    c = Cursor(frame, utf8=utf8, charset_is_utf8=charset_is_utf8)
    found = _START.match(c.text)
    if found is None:
        _no_command(c)
    tag, name = found.groups()
    c.tag = tag
    c.position = found.end()
    name = name.upper()
    if name == b"UID":
        c.sp()
        name = b"UID " + c.expect(_WORD, "the name of a command after UID").upper()
    return tag, name, c


def _no_command(c: Cursor) -> NoReturn:
    """Raise BadSyntax: what is missing of a tag, a space and a name?"""
    c.tag = tag_of(c.text)
    if c.tag is None:
        raise BadSyntax("expected a tag (up to 64 octets) and a command")
    c.position = len(c.tag)
    c.sp()
    c.fail("expected the name of a command")


def again(rule: Callable[[Cursor], T]) -> Callable[[Cursor], T]:
    """The rule for all that is left of a command that clients give again and again: the same text is read once. Not for secrets."""

    def read(c: Cursor) -> T:
        left = c.text[c.position :]
        if c.has_literals or len(left) > _REPEATED:
            return rule(c)
        try:
            value: T = _read(rule, left, c.utf8, c.charset_is_utf8)
        except BadSyntax:
            return rule(c)  # raises with the place and the tag
        c.position = len(c.text)
        return value

    return read


@lru_cache(maxsize=512)
def _read(rule: Callable[[Cursor], Any], text: bytes, utf8: bool, charset_is_utf8: bool) -> Any:
    return Cursor(Frame((text,)), utf8=utf8, charset_is_utf8=charset_is_utf8).whole(rule)


def atom(c: Cursor, wanted: str = "an atom") -> bytes:
    """`atom = 1*ATOM-CHAR` (RFC 3501 section 9)."""
    return c.expect(_ATOM, wanted)


def nothing(c: Cursor) -> None:
    """The arguments of a command that has none."""
