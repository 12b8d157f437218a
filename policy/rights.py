"""The rights on a folder as RFC 4314 keeps them apart, and Carbonio's letters `r w i x d a` as names for sets of them."""

from collections.abc import Mapping
from enum import IntFlag, StrEnum
from types import MappingProxyType


class Right(IntFlag):
    """RFC 4314 section 2.1, and ACTION for invitations (delegation.md section 7), which has no IMAP letter."""

    NONE = 0
    LOOKUP = 1  # l
    READ = 2  # r
    SEEN = 4  # s
    WRITE = 8  # w
    INSERT = 16  # i
    CREATE = 32  # k
    DELETE_FOLDER = 64  # x
    DELETE_MESSAGES = 128  # t
    EXPUNGE = 256  # e
    ADMIN = 512  # a
    ACTION = 1024


ALL_RIGHTS = Right((1 << 11) - 1)
READ_ONLY_RIGHTS = Right.LOOKUP | Right.READ

LETTERS: Mapping[str, Right] = MappingProxyType(
    {
        "r": Right.LOOKUP | Right.READ,
        "w": Right.SEEN | Right.WRITE,
        "i": Right.INSERT,
        "x": Right.ACTION,
        "d": Right.DELETE_FOLDER | Right.DELETE_MESSAGES | Right.EXPUNGE,
        "a": Right.ADMIN,
    }
)
"""Carbonio's letters in the order of output; `i` beside `r` in one entry means CREATE too (delegation.md section 2)."""

RFC_LETTERS: Mapping[str, Right] = MappingProxyType(
    {
        "l": Right.LOOKUP,
        "r": Right.READ,
        "s": Right.SEEN,
        "w": Right.WRITE,
        "i": Right.INSERT,
        "k": Right.CREATE,
        "x": Right.DELETE_FOLDER,
        "t": Right.DELETE_MESSAGES,
        "e": Right.EXPUNGE,
        "a": Right.ADMIN,
    }
)
"""RFC 4314 section 2.1 in the order of output; `p` (post) is left out, since nothing here grants it."""

OBSOLETE_LETTERS: Mapping[str, Right] = MappingProxyType(
    {"c": Right.CREATE, "d": Right.DELETE_FOLDER | Right.DELETE_MESSAGES | Right.EXPUNGE}
)
"""RFC 4314 section 2.1.1: what RFC 2086 clients write; shown when any right of the set is held."""

# Plain numbers: an operation on an IntFlag costs ten times one on an int, and these two are asked for every folder listed.
_LETTER_BITS = tuple((letter, int(named)) for letter, named in LETTERS.items())
_RFC_BITS = tuple((letter, int(named)) for letter, named in RFC_LETTERS.items())
_SHOWN_BITS = (*_RFC_BITS, *((letter, int(named)) for letter, named in OBSOLETE_LETTERS.items()))

_WORDS: Mapping[Right, str] = MappingProxyType(
    {
        Right.LOOKUP: "'l' (lookup)",
        Right.READ: "'r' (read)",
        Right.SEEN: "'s' (mark as seen)",
        Right.WRITE: "'w' (write)",
        Right.INSERT: "'i' (insert)",
        Right.CREATE: "'k' (create folders)",
        Right.DELETE_FOLDER: "'x' (delete the folder)",
        Right.DELETE_MESSAGES: "'t' (delete messages)",
        Right.EXPUNGE: "'e' (expunge)",
        Right.ADMIN: "'a' (administer)",
        Right.ACTION: "'x' (accept invitations)",
    }
)


class BadRights(ValueError):
    """The text names no set of rights; the message names the offending letter."""


class UnknownLetter(BadRights):
    """A letter that is none of ours. Over IMAP: BAD (RFC 4314 section 3.1)."""


class UnsupportedRight(BadRights):
    """A right that exists (RFC 4314's `p`) but cannot be granted here. Over IMAP: NO [CANNOT]."""


class Change(StrEnum):
    """What SETACL does with the rights it names (RFC 4314 section 3.1); the values are its signs."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


def parse_letters(text: str) -> Right:
    """The rights of one entry from Carbonio's letters, any order, repeats allowed; `none` is the empty set.

    Raises UnknownLetter, also for an empty text: whoever means nothing says `none`.
    """
    if text == "none":
        return Right.NONE
    if not text:
        raise UnknownLetter("no letters: say r, w, i, x, d, a in any combination, or none")
    found = Right.NONE
    for letter in text:
        named = LETTERS.get(letter)
        if named is None:
            raise UnknownLetter(f"unknown right {letter!r}: the letters are r, w, i, x, d, a, or none")
        found |= named
    if Right.INSERT in found and Right.READ in found:
        found |= Right.CREATE
    return found


def spell_letters(rights: Right) -> str:
    """Carbonio's letters; what they cannot say follows as RFC letters in square brackets (`r[s]`); `none` for no right.

    Where there are no brackets, `parse_letters` gives back the same set: `r` and `i` without CREATE is `r[i]`.
    """
    left = held = int(rights)
    plain = ""
    for letter, named in _LETTER_BITS:
        if held & named != named:
            continue
        if letter == "i" and "r" in plain:
            if not held & Right.CREATE.value:
                continue
            named |= Right.CREATE.value
        plain += letter
        left &= ~named
    rest = "".join([letter for letter, named in _RFC_BITS if left & named]) if left else ""
    return f"{plain}[{rest}]" if rest else plain or "none"


def parse_rfc(text: str) -> Right:
    """The rights of a SETACL, without its sign (RFC 4314 section 3.1); an empty text is the empty set.

    `c` means `k`, `d` means `x t e`. Raises UnknownLetter (BAD) or else UnsupportedRight for `p` (NO [CANNOT]).
    """
    found = Right.NONE
    post = False
    for letter in text:
        named = RFC_LETTERS.get(letter) or OBSOLETE_LETTERS.get(letter)
        if named is not None:
            found |= named
        elif letter == "p":
            post = True
        else:
            raise UnknownLetter(f"unknown right {letter!r}")
    if post:
        raise UnsupportedRight("'p' (post) cannot be granted here")
    return found


def spell_rfc(rights: Right) -> str:
    """As MYRIGHTS and GETACL show it: `l r s w i k x t e a` as held, then the obsolete `c` and `d` (RFC 4314 section 2.1.1)."""
    held = int(rights)
    return "".join([letter for letter, named in _SHOWN_BITS if held & named])


def changed(current: Right, change: Change, named: Right) -> Right:
    """The entry a SETACL leaves. `current`: the rights of the grantee's entry that counts now, inherited or own.

    `+` and `-` keep ACTION as it stands, since IMAP has no letter for it; REPLACE writes what was named and nothing else.
    """
    match change:
        case Change.REPLACE:
            return named
        case Change.ADD:
            return current | named
        case Change.REMOVE:
            return current & ~named


def spell_right(right: Right) -> str:
    """For refusals: `'i' (insert)`; several as `'t' (delete messages) and 'e' (expunge)`."""
    words = [word for one, word in _WORDS.items() if right & one]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else "no right"


def list_rights(actor: Right, entry: Right, owner: bool = False) -> tuple[str, tuple[str, ...]]:
    """LISTRIGHTS (RFC 4314 section 3.7): the letters the grantee always has, and those the actor may give or take, each alone.

    `actor`: what the asking account holds; `entry`: the rights of the grantee's entry that counts; `owner`: the grantee is
    the folder's owner, who always has everything. A right that the actor lacks can be neither given nor taken, so it is
    required where the entry has it, and missing where it has not.
    """
    if owner:
        return spell_rfc(ALL_RIGHTS), ()
    movable = {letter: named for letter, named in RFC_LETTERS.items() if actor & named}
    obsolete = tuple(letter for letter, named in OBSOLETE_LETTERS.items() if actor & named == named)
    return spell_rfc(entry & ~actor), (*movable, *obsolete)
