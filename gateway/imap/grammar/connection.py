"""CAPABILITY, NOOP, LOGOUT, STARTTLS, IDLE, ENABLE, ID, NAMESPACE: what is said about the connection itself."""

import re
from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor, atom, nothing
from gateway.imap.grammar.strings import nstring, string, text

_NIL = re.compile(rb"[Nn][Ii][Ll]\Z")
# RFC 2971 section 3.3: at most 30 pairs, fields of 30 octets, values of 1024.
MAX_ID_PAIRS = 30
MAX_ID_FIELD = 30
MAX_ID_VALUE = 1024
MAX_ENABLE = 64


@dataclass(frozen=True, slots=True)
class Capability:
    """Which capabilities are there?"""


@dataclass(frozen=True, slots=True)
class Noop:
    """Is there news?"""


@dataclass(frozen=True, slots=True)
class Logout:
    """The end."""


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """Back to before the login."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """TLS from here on."""


@dataclass(frozen=True, slots=True)
class Compress:
    """Compression from here on, by this algorithm, in upper case."""

    algorithm: bytes


@dataclass(frozen=True, slots=True)
class Idle:
    """News as it happens, until the line DONE."""


@dataclass(frozen=True, slots=True)
class NamespaceQuery:
    """Under which prefixes are folders?"""


@dataclass(frozen=True, slots=True)
class Enable:
    """Extensions to switch on, in upper case, known or not."""

    names: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Identify:
    """Who the client says it is: field and value, in its order."""

    fields: tuple[tuple[str, str | None], ...]


def capability(c: Cursor) -> Capability:
    """`command-any = "CAPABILITY" / ...` (RFC 3501 section 9)"""
    nothing(c)
    return Capability()


def noop(c: Cursor) -> Noop:
    """`command-any = "NOOP" / ...`"""
    nothing(c)
    return Noop()


def logout(c: Cursor) -> Logout:
    """`command-any = "LOGOUT" / ...`"""
    nothing(c)
    return Logout()


def unauthenticate(c: Cursor) -> Unauthenticate:
    """`unauthenticate = "UNAUTHENTICATE"` (RFC 8437 section 6)"""
    nothing(c)
    return Unauthenticate()


def starttls(c: Cursor) -> StartTls:
    """`command-nonauth = "STARTTLS" / ...`"""
    nothing(c)
    return StartTls()


def compress(c: Cursor) -> Compress:
    """`compress = "COMPRESS" SP algorithm`, `algorithm = "DEFLATE"`: an atom, so that others may come (RFC 4978 section 5)."""
    c.sp()
    algorithm = atom(c, "the name of an algorithm").upper()
    if algorithm != b"DEFLATE":
        c.fail("expected DEFLATE before this place")
    return Compress(algorithm)


def idle(c: Cursor) -> Idle:
    """`idle = "IDLE" CRLF "DONE"` (RFC 2177 section 4); the DONE is a line of its own."""
    nothing(c)
    return Idle()


def namespace(c: Cursor) -> NamespaceQuery:
    """`Namespace_Command = "NAMESPACE"` (RFC 2342 section 6)"""
    nothing(c)
    return NamespaceQuery()


def enable(c: Cursor) -> Enable:
    """`enable = "ENABLE" 1*(SP capability)` (RFC 5161 section 4). Names nobody knows are no error."""
    names: list[bytes] = []
    c.sp()
    while True:
        names.append(atom(c, "the name of an extension").upper())
        if c.at_end():
            return Enable(tuple(names))
        if len(names) == MAX_ENABLE:
            c.fail(f"expected at most {MAX_ENABLE} names")
        c.sp()


def id_command(c: Cursor) -> Identify:
    """`id = "ID" SP id-params-list`, `id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil`
    (RFC 2971 section 4)
    """
    c.sp()
    if not c.skip(b"("):
        if not _NIL.match(atom(c, "( or NIL")):
            c.fail("expected ( or NIL before this place")
        return Identify(())
    pairs: list[tuple[str, str | None]] = []
    while not c.skip(b")"):
        if pairs:
            c.sp()
        if len(pairs) == MAX_ID_PAIRS:
            c.fail(f"expected at most {MAX_ID_PAIRS} fields")
        field = text(c, string(c, "the name of a field"))
        c.sp()
        value = nstring(c)
        if len(field) > MAX_ID_FIELD or (value is not None and len(value) > MAX_ID_VALUE):
            c.fail(f"expected a name of at most {MAX_ID_FIELD} and a value of at most {MAX_ID_VALUE} octets before this place")
        pairs.append((field, None if value is None else text(c, value)))
    return Identify(tuple(pairs))
