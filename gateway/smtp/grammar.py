"""What do the arguments of SMTP's commands say? (RFC 5321 section 4.1.2, RFC 1870, 3030, 3461, 4865, 4954, 6152, 6531)"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.dsn import BadRequest, canonical_mail, canonical_rcpt

# What stands in `<` and `>`: a quoted local part may hold `>` and blanks, nothing else may. A source route before it is recognised
# and means nothing (RFC 5321 section 4.1.1.3).
_PATH: Final = r'<(?:@[^<>"@:, ]++(?>(?:,@[^<>"@:, ]++)*):(?!>))?((?:"(?:[^"\\]|\\.)*+")?[^<>" ]*+)>(?: ++(.*))?'
_MAIL: Final = re.compile(r"FROM: *+" + _PATH, re.IGNORECASE)
_RCPT: Final = re.compile(r"TO: *+" + _PATH, re.IGNORECASE)
# esmtp-param: keyword, and a value of printable characters without `=`. (RFC 6531 allows more; no parameter of ours needs it.)
_PARAMETER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-<>-~]++))?")
_SIZE: Final = re.compile(r"[0-9]{1,20}")
# future-release-integer and date-time (RFC 4865 section 3, RFC 3339 section 5.6).
_HOLD_FOR: Final = re.compile(r"[0-9]{1,9}")
_HOLD_UNTIL: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)
# xtext (RFC 3461 section 4) or `<>`: the AUTH parameter of MAIL.
_AUTH: Final = re.compile(r"<>|(?>(?:[!-*,-<>-~]|\+[0-9A-F]{2})+)")
# chunk-size is 1*DIGIT; what needs more than twenty of them is nobody's message.
_BDAT: Final = re.compile(r"([0-9]{1,20})(?: ++(LAST))?", re.IGNORECASE)
_HELLO: Final = re.compile(r"[!-~]{1,255}")


class BadSyntax(ValueError):
    """The reply, code and all, in constant words."""


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM. `path` as it stands between the angle brackets, without a source route, empty for `<>`; `size` as declared, 0 if
    not; `hold_for` in seconds."""

    path: str
    size: int
    smtputf8: bool
    parameters: list[str]
    binary: bool = False
    hold_for: int | None = None
    hold_until: datetime | None = None
    dsn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO. `path` as in Mail; `dsn`: NOTIFY and ORCPT, see gateway.dsn."""

    path: str
    dsn: tuple[str, ...] = ()


def mail(argument: str, *, extended: bool, auth: bool, hold: bool = False) -> Mail:
    """`mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]`. Blanks after the colon are let pass: old clients write them.

    `extended`: after EHLO, where alone parameters may stand; `auth`: AUTH was announced; `hold`: FUTURERELEASE was. Raises BadSyntax.
    """
    match = _MAIL.fullmatch(argument)
    if match is None:
        raise BadSyntax("501 5.5.4 Syntax: MAIL FROM:<address> [parameters]")
    path, rest = match.groups()
    size, smtputf8, binary, words = 0, False, False, []
    hold_for, hold_until = None, None
    dsn: list[str] = []
    if rest:
        words = [word for word in rest.split(" ") if word]
        found = _parameters(words, extended=extended)
        for keyword, value in found.items():
            match keyword:
                case "SIZE":
                    if value is None or _SIZE.fullmatch(value) is None:
                        raise BadSyntax("501 5.5.4 Syntax: SIZE=number")
                    size = int(value)
                case "BODY":
                    if value is None or value.upper() not in ("7BIT", "8BITMIME", "BINARYMIME"):
                        raise BadSyntax("501 5.5.4 Syntax: BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME")
                    binary = value.upper() == "BINARYMIME"
                case "SMTPUTF8":
                    if value is not None:
                        raise BadSyntax("501 5.5.4 SMTPUTF8 takes no value")
                    smtputf8 = True
                case "AUTH" if auth:
                    # RFC 4954 section 5: understood and not trusted, which is the same as <>.
                    if value is None or _AUTH.fullmatch(value) is None:
                        raise BadSyntax("501 5.5.4 Syntax: AUTH=<>")
                case "HOLDFOR" if hold:
                    if value is None or _HOLD_FOR.fullmatch(value) is None:
                        raise BadSyntax("501 5.5.4 Syntax: HOLDFOR=seconds")
                    hold_for = int(value)
                case "HOLDUNTIL" if hold:
                    hold_until = _date_time(value or "")
                case "RET" | "ENVID":
                    dsn.append(_request(canonical_mail, keyword, value))
                case _:
                    raise BadSyntax("555 5.5.4 a parameter is not supported")
    if hold_for is not None and hold_until is not None:
        raise BadSyntax("501 5.5.4 HOLDFOR or HOLDUNTIL, not both")
    if not path.isascii() and not smtputf8:
        raise BadSyntax("553 5.6.7 the address needs SMTPUTF8")
    return Mail(path, size, smtputf8, words, binary, hold_for, hold_until, tuple(dsn))


def rcpt(argument: str, *, extended: bool, smtputf8: bool) -> Rcpt:
    """`rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters]`. Raises BadSyntax."""
    match = _RCPT.fullmatch(argument)
    if match is None:
        raise BadSyntax("501 5.5.4 Syntax: RCPT TO:<address>")
    path, rest = match.groups()
    dsn: list[str] = []
    if rest:
        for keyword, value in _parameters([word for word in rest.split(" ") if word], extended=extended).items():
            if keyword not in ("NOTIFY", "ORCPT"):
                raise BadSyntax("555 5.5.4 a parameter is not supported")
            dsn.append(_request(canonical_rcpt, keyword, value))
    if not path.isascii() and not smtputf8:
        raise BadSyntax("553 5.6.7 the address needs SMTPUTF8")
    return Rcpt(path, tuple(dsn))


def bdat(argument: str) -> tuple[int, bool]:
    """`bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF` (RFC 3030 section 2): octets, and whether it is the last chunk.
    Raises BadSyntax."""
    match = _BDAT.fullmatch(argument)
    if match is None:
        raise BadSyntax("501 5.5.4 Syntax: BDAT octets [LAST], goodbye")
    return int(match[1]), match[2] is not None


def hello(argument: str) -> str:
    """The name in EHLO, HELO and LHLO: any word, for clients write what they like (clients.md note 33). Raises BadSyntax."""
    if _HELLO.fullmatch(argument) is None:
        raise BadSyntax("501 5.5.4 your host name is missing")
    return argument


def _request(read: Callable[[str, str | None], str], keyword: str, value: str | None) -> str:
    """Raises BadSyntax."""
    try:
        return read(keyword, value)
    except BadRequest as bad:
        raise BadSyntax(f"501 5.5.4 {bad}") from None


def _date_time(text: str) -> datetime:
    """RFC 3339 section 5.6. Raises BadSyntax."""
    if _HOLD_UNTIL.fullmatch(text) is not None:
        try:
            return datetime.fromisoformat(text.upper())
        except ValueError:
            pass
    raise BadSyntax("501 5.5.4 Syntax: HOLDUNTIL=2027-03-20T18:15:00Z")


def _parameters(words: list[str], *, extended: bool) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is not None:
            keyword, value = match[1].upper(), match[2]
        elif word[:6].upper() == "ORCPT=":  # the one value that may have other letters than ASCII's (RFC 6533 section 3)
            keyword, value = "ORCPT", word[6:]
        else:
            raise BadSyntax("501 5.5.4 a parameter is malformed")
        if keyword in found:
            raise BadSyntax("501 5.5.4 a parameter is given twice")
        found[keyword] = value
    if found and not extended:
        raise BadSyntax("555 5.5.4 parameters need EHLO")
    return found
