"""What others found out about a message, as Authentication-Results says it (RFC 8601): read where it is trusted, and written."""

import re
from collections.abc import Collection, Sequence
from typing import Final

from gateway.message.headers import authentication_results_of
from gateway.message.lexis import without_comments
from gateway.message.split import Header, unfolded

MOST: Final = 20
"""Results taken; honest servers write about five."""
LONGEST: Final = 500

_RESULT: Final = re.compile(rb"([A-Za-z][A-Za-z0-9_-]*)(?: ?/ ?[0-9]+)? ?= ?[A-Za-z]+(?: (?>(?:[ !#-:<-~]++|\"[ !#-~]*+\")*))?")
_PIECE: Final = re.compile(rb"(?:[^;\"]++|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"?)++")
_BLANKS: Final = re.compile(rb"[ \t]+")


def trusted_results(octets: bytes, header: Header, authserv_ids: Collection[str]) -> list[str]:
    """The results in the Authentication-Results fields of these servers, without comments, those about ARC left out: a chain is judged
    by whoever goes on with it. What is not plainly a result is passed over. Never raises."""
    found: list[str] = []
    for field in authentication_results_of(octets, header, authserv_ids):
        if field.name != b"authentication-results":
            continue
        pieces = _PIECE.findall(without_comments(unfolded(octets, field)))
        for piece in pieces[1:]:
            said = _BLANKS.sub(b" ", piece).strip()
            match = _RESULT.fullmatch(said)
            if match is not None and match[1].lower() != b"arc" and len(said) <= LONGEST and len(found) < MOST:
                found.append(said.decode("ascii"))
    return found


def spelled(authserv_id: str, results: Sequence[str]) -> bytes:
    """The value of such a field, each result on a line of its own. `results`: ASCII without controls, as `trusted_results` has them."""
    lines = [authserv_id, *(results or ["none"])]
    return ";\r\n\t".join(lines).encode("ascii", "replace")


def word(text: str) -> str:
    """A value of a property: as it is where it is a plain word, else what is strange about it as `?`."""
    return "".join(one if one.isascii() and one.isprintable() and one not in ' ();"\\,<>' else "?" for one in text)[:255] or "?"
