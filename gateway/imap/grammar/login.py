"""LOGIN and AUTHENTICATE: credentials, which are never shown."""

import re
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass, field

from gateway.imap.grammar.cursor import BadSyntax, Cursor, atom
from gateway.imap.grammar.strings import astring, text

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """A SASL mechanism in upper case, and the initial response, decoded, if one came (RFC 4959)."""

    mechanism: bytes
    initial: bytes | None = field(repr=False, default=None)


def login(c: Cursor) -> Login:
    """`login = "LOGIN" SP userid SP password`, both `astring`; UTF-8 is let through."""
    c.sp()
    user = text(c, astring(c, "a user name"))
    c.sp()
    return Login(user, text(c, astring(c, "a password")))


def authenticate(c: Cursor) -> Authenticate:
    """`authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")] *(CRLF base64)` (RFC 3501, RFC 4959 section 4);
    `=` is the empty initial response.
    """
    c.sp()
    mechanism = atom(c, "a SASL mechanism").upper()
    if not c.skip(b" "):
        return Authenticate(mechanism)
    if c.skip(b"="):
        return Authenticate(mechanism, b"")
    return Authenticate(mechanism, b64decode(c.expect(_BASE64, "base64")))


def sasl_answer(line: bytes) -> bytes | None:
    """The client's answer to a challenge, decoded; None when it cancels with `*`. Raises BadSyntax."""
    if line == b"*":
        return None
    try:
        return b64decode(line, validate=True)
    except (Error, ValueError):
        raise BadSyntax("expected base64 as the answer to the challenge") from None
