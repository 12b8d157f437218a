"""What does a domain ask of those who hand it mail? Its MTA-STS record and policy, read (RFC 8461)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.dane import covers

LARGEST: Final = 64 << 10
"""Octets of a policy (RFC 8461 section 3.3)."""
LONGEST: Final = 31_557_600
"""Seconds, about a year: the longest `max_age` there is (section 3.2)."""
MOST_EXCHANGERS: Final = 500

# sts-text-record (section 3.1); extensions are passed over.
_RECORD: Final = re.compile(rb"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
# sts-policy-ext-name (section 3.2), which covers the names of the fields that are known.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_AGE: Final = re.compile(r"[0-9]{1,10}")
_EXCHANGER: Final = re.compile(r"(?:\*\.)?(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


class BadPolicy(ValueError):
    """It is none by RFC 8461, in words for the log."""


class Mode(StrEnum):
    """ENFORCE: to the servers named, under TLS, verified, or not at all. TESTING: in any way, but say what would have failed."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """`exchangers`: names and patterns in lower case. `max_age`: seconds for which it is good once it was fetched."""

    mode: Mode
    exchangers: tuple[str, ...]
    max_age: int

    def names(self, host: str) -> bool:
        """Is this server one of those that may have the mail? (section 4.1)"""
        return any(covers(one, host) for one in self.exchangers)


def read_record(texts: tuple[bytes, ...]) -> str | None:
    """The policy's id from the texts at `_mta-sts`; None where the domain announces none: no record, several, or none that is right
    (section 3.1)."""
    records = [match[1] for match in map(_RECORD.fullmatch, texts) if match is not None]
    if len(records) != 1:
        return None
    for field in records[0].decode("ascii", "replace").split(";"):
        name, equals, value = field.strip(" \t").partition("=")
        if equals and name.strip(" \t") == "id":
            found = value.strip(" \t")
            return found if _ID.fullmatch(found) else None
    return None


def read_policy(octets: bytes) -> Policy:
    """Raises BadPolicy. Of a field that is there twice the first counts, `mx` excepted; others are passed over (section 3.2)."""
    if len(octets) > LARGEST:
        raise BadPolicy("it is too long")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise BadPolicy("it is not UTF-8") from None
    fields: dict[str, str] = {}
    exchangers: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip(" \t"):
            continue
        name, colon, value = (piece.strip(" \t") for piece in line.partition(":"))
        if not colon or _NAME.fullmatch(name) is None:
            raise BadPolicy("a line of it is no field")
        if name != "mx":
            fields.setdefault(name, value)
        elif _EXCHANGER.fullmatch(value) is None:
            raise BadPolicy("it names no server in mx")
        else:
            exchangers.append(value.lower().rstrip("."))
    if fields.get("version") != "STSv1":
        raise BadPolicy("it is of no version that is known")
    if fields.get("mode") not in [*Mode]:
        raise BadPolicy("it has no mode")
    if _AGE.fullmatch(fields.get("max_age", "")) is None:
        raise BadPolicy("it has no max_age")
    mode = Mode(fields["mode"])
    if not exchangers and mode is not Mode.NONE:
        raise BadPolicy("it names no servers")
    if len(exchangers) > MOST_EXCHANGERS:
        raise BadPolicy("it names too many servers")
    return Policy(mode, tuple(exchangers), min(int(fields["max_age"]), LONGEST))
