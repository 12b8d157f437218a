"""Which folder of whose mailbox does an IMAP mailbox name mean, and which names does a LIST pattern mean?"""

import re
import unicodedata
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache

SEPARATOR = "/"
INBOX = "INBOX"

MISSPELT = "\udcff"
"""What a mailbox name begins with that is not in modified UTF-7: no folder's name does."""
# An element has to fit into a file name of an export, the whole name, encoded, into a line of 8192 octets.
MAX_ELEMENT_OCTETS = 255
MAX_NAME_OCTETS = 1000
MAX_LEVELS = 30
# A pattern longer than any name can only match by its wildcards; nobody types one.
MAX_PATTERN = 2000
# Normalizing takes time quadratic in a run of combining marks; a name that is too long in any form is left as it is, and refused.
MAX_NORMALIZED = 3 * MAX_NAME_OCTETS

_PRINTABLE = re.compile(rb"[\x20-\x7e]*\Z")
_SHIFTED = re.compile(rb"&([^-]*)(-?)")
_ENCODE = re.compile(r"&|[^\x20-\x7e]+")
# RFC 5198 section 2 and RFC 6855 section 3: no controls, no line or paragraph separators, no byte order mark.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_BASE64 = re.compile(rb"[A-Za-z0-9+,]+\Z")
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class BadName(Exception):
    """A mailbox name that cannot be one. `message` says in words why; it is fit to be shown to the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NoFolder(BadName):
    """A name that is a node above folders (the prefix of other people's folders), never a folder."""


def decode_utf7(octets: bytes) -> str:
    """Modified UTF-7 to text, strictly: one spelling per name.

    RFC 3501 section 5.1.3: `&` begins modified base64 of UTF-16, `-` ends it, `&-` is `&`; printable ASCII stands for
    itself and must not be encoded; no superfluous shifts. Raises BadName.
    """
    if not _PRINTABLE.match(octets):
        raise BadName("a mailbox name has printable ASCII only; everything else is spelled in modified UTF-7")
    if b"&" not in octets:
        return octets.decode("ascii")
    pieces: list[str] = []
    position = 0
    shift_ended = -1
    for shift in _SHIFTED.finditer(octets):
        pieces.append(octets[position : shift.start()].decode("ascii"))
        position = shift.end()
        encoded = shift[1]
        if not shift[2]:
            raise BadName("modified UTF-7: a & without its -")
        if not encoded:
            pieces.append("&")
            continue
        if shift.start() == shift_ended:
            raise BadName("modified UTF-7: two encoded runs beside each other")
        shift_ended = shift.end()
        pieces.append(_decode_run(encoded))
    pieces.append(octets[position:].decode("ascii"))
    return "".join(pieces)


def _decode_run(encoded: bytes) -> str:
    if not _BASE64.match(encoded) or len(encoded) % 4 == 1:
        raise BadName("modified UTF-7: not base64 between & and -")
    octets = b64decode(encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4))
    if len(octets) % 2:
        raise BadName("modified UTF-7: half a character")
    try:
        text = octets.decode("utf-16-be")
    except UnicodeDecodeError:
        raise BadName("modified UTF-7: half a surrogate pair") from None
    if b64encode(octets).rstrip(b"=").replace(b"/", b",") != encoded:
        raise BadName("modified UTF-7: bits left over")
    for character in text:
        if " " <= character <= "~":
            raise BadName("modified UTF-7: a printable ASCII character was encoded")
    return text


def encode_utf7(text: str) -> bytes:
    """Text to modified UTF-7 (RFC 3501 section 5.1.3). The text has no lone surrogates: UnicodeEncodeError otherwise."""
    if text.isascii() and "&" not in text and text.isprintable():
        return text.encode("ascii")
    return _ENCODE.sub(_encode_run, text).encode("ascii")


def _encode_run(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    return "&" + b64encode(run[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def fold_inbox(name: str) -> str:
    """INBOX in one spelling (RFC 3501 section 5.1: case-insensitive), also as the parent of a name."""
    if name[:5].upper() == INBOX and (len(name) == 5 or name[5] == SEPARATOR):
        return INBOX + name[5:]
    return name


def normalized(name: str) -> str:
    """The name in Normalization Form C: one folder for all that looks the same (RFC 9051 section 5.1, RFC 5198 section 2)."""
    if name.isascii() or len(name) > MAX_NORMALIZED:
        return name
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=256)
def namespace_of(prefix: str, domain: str) -> "Namespace":
    """One for all actors of a domain; `prefix` as it was set."""
    return Namespace(normalized(prefix), domain)


def fold_owner(owner: str) -> str:
    """An owner in the form in which local addresses are compared: A to Z as a to z and nothing else (delegation.md section 1)."""
    return owner.translate(_FOLD)


@dataclass(frozen=True, slots=True)
class FolderName:
    """A folder: `owner` is None for the actor's own, else the owner's address; `path` below the owner's mailbox root.

    The path `""` is the owner's mailbox root, which is a node above folders (only with an owner).
    """

    owner: str | None
    path: str


def check_path(path: str) -> None:
    """Raises BadName unless this may be the path of a folder (to be looked up or to be created)."""
    if path.startswith(MISSPELT):
        raise BadName("a mailbox name is spelled in modified UTF-7")
    if _FORBIDDEN.search(path):
        raise BadName("a mailbox name has no control characters")
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadName("a mailbox name has no lone surrogates") from None
    if size > MAX_NAME_OCTETS:
        raise BadName(f"a mailbox name may have {MAX_NAME_OCTETS} octets")
    elements = path.split(SEPARATOR)
    if len(elements) > MAX_LEVELS:
        raise BadName(f"mailboxes nest {MAX_LEVELS} levels deep at most")
    for element in elements:
        if not element:
            raise BadName("a mailbox name has an empty element")
        if element in (".", ".."):
            raise BadName("a mailbox name has an element . or ..")
        if len(element.encode("utf-8")) > MAX_ELEMENT_OCTETS:
            raise BadName(f"an element of a mailbox name may have {MAX_ELEMENT_OCTETS} octets")


@dataclass(frozen=True, slots=True)
class Namespace:
    """How one actor names folders: `prefix` of other people's (`Other Users/`), `domain` of the actor.

    Source: delegation.md section 2, "Names over IMAP"; RFC 2342.
    """

    prefix: str
    domain: str

    @property
    def node(self) -> str:
        """The prefix as a name in LIST: without its separator."""
        return self.prefix.rstrip(SEPARATOR)

    def parse(self, mailbox: str, *, to_create: bool = False) -> FolderName:
        """The folder a mailbox name means. Own folders have no prefix; the owner stands below the prefix by local part (same
        domain) or by address. `to_create`: one separator at the end is allowed (RFC 3501 section 6.3.3). However the client spells
        it, it is the name in Normalization Form C that counts.

        Raises BadName, NoFolder for the prefix itself.
        """
        mailbox = normalized(mailbox)
        if to_create and len(mailbox) > 1 and mailbox.endswith(SEPARATOR):
            mailbox = mailbox[:-1]
        if mailbox == self.node or mailbox == self.prefix:
            raise NoFolder("that is where other people's mailboxes are listed, not a mailbox")
        if not mailbox.startswith(self.prefix):
            check_path(mailbox)
            return FolderName(None, fold_inbox(mailbox))
        shown, below, path = mailbox.removeprefix(self.prefix).partition(SEPARATOR)
        check_path(shown)
        if below:
            check_path(path)
        owner = shown if "@" in shown else f"{shown}@{self.domain}"
        return FolderName(fold_owner(owner), fold_inbox(path))

    def canonical(self, mailbox: str) -> str:
        """The mailbox name as it is listed, whatever its form was; the owner stays as written."""
        mailbox = normalized(mailbox)
        if len(mailbox) > 1:
            mailbox = mailbox.removesuffix(SEPARATOR)
        if not mailbox.startswith(self.prefix):
            return fold_inbox(mailbox)
        shown, below, path = mailbox.removeprefix(self.prefix).partition(SEPARATOR)
        return f"{self.prefix}{shown}{below}{fold_inbox(path)}"

    def spell(self, name: FolderName) -> str:
        """The mailbox name that LIST shows for a folder: owners of the actor's own domain by local part."""
        if name.owner is None:
            return name.path
        return f"{self.owner_node(name.owner)}{SEPARATOR}{name.path}" if name.path else self.owner_node(name.owner)

    def owner_node(self, owner: str) -> str:
        """The node above the folders of this owner."""
        local, _, domain = owner.rpartition("@")
        # A quoted local part may hold anything; only the address is free of doubt then.
        plain = domain == self.domain and local and "@" not in local
        return self.prefix + (local if plain else owner)


class Pattern:
    """A LIST pattern: `*` matches anything, `%` anything within one level; time linear in the name.

    RFC 3501 section 6.3.8. INBOX is matched without regard to case. The reference is put before the pattern.
    """

    __slots__ = ("_all", "_characters", "_final", "_level", "_literal", "_tree", "_wild")

    def __init__(self, reference: str, pattern: str) -> None:
        whole = reference + pattern if len(reference) + len(pattern) <= MAX_PATTERN else "*\0"
        self._literal = fold_inbox(whole) if "*" not in whole and "%" not in whole else None
        # Each state is a bit: how much of the pattern is matched. Wildcards side by side are one.
        whole = re.sub("[*%]*[*][*%]*", "*", re.sub("%+", "%", whole))
        characters: dict[str, int] = {}
        self._tree = self._level = 0
        for position, character in enumerate(whole):
            if character == "*":
                self._tree |= 1 << position
            elif character == "%":
                self._level |= 1 << position
            else:
                characters[character] = characters.get(character, 0) | 1 << position
        self._characters = characters
        self._wild = self._tree | self._level
        self._final = 1 << len(whole)
        # What nearly every client asks for.
        self._all = whole == "*"

    @property
    def literal(self) -> str | None:
        """The only name that matches, if the pattern has no wildcard."""
        return self._literal

    def _run(self, name: str) -> int:
        characters = self._characters
        tree = self._tree
        wild = self._wild
        states = 1 | (wild & 1) << 1
        inbox = name == INBOX or name.startswith(INBOX + SEPARATOR)
        for position, character in enumerate(name):
            step = characters.get(character, 0)
            if inbox and position < 5:
                step |= characters.get(character.lower(), 0)
            stay = states & (tree if character == SEPARATOR else wild)
            states = (states & step) << 1 | stay
            states |= (states & wild) << 1
            if not states:
                return 0
        return states

    def matches(self, name: str) -> bool:
        """Is this mailbox name (INBOX in upper case) one that the pattern asks for?"""
        if self._literal is not None:
            return self._literal == name
        if self._all:
            return True
        return bool(self._run(name) & self._final)

    def reaches(self, parent: str) -> bool:
        """Could any name below `parent` match? Saves looking up subtrees nobody asked for."""
        return self._run(parent + SEPARATOR) != 0
