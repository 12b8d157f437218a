"""What did the sender ask to be told, and of whom? (RFC 3461, RFC 6533)

A request is kept, and passed on, as the words of the commands that made it: `RET=HDRS`, `NOTIFY=SUCCESS,DELAY`. `canonical_mail` and
`canonical_rcpt` are where they are read; everything else here reads words that went through them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
DELAY: Final = "DELAY"
NEVER: Final = "NEVER"
MOST_ENVELOPE_ID: Final = 100
MOST_ORIGINAL: Final = 500
"""RFC 3461 sections 4.4 and 4.2: characters."""

_EVENTS: Final = frozenset({SUCCESS, FAILURE, DELAY})
_DEFAULT: Final = frozenset({FAILURE, DELAY})
_XTEXT: Final = re.compile(r"(?>(?:[!-*,-<>-~]|\+[0-9A-F]{2})+)")
_ORIGINAL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,40});([^\x00-\x20=\x7f-\xa0]++)")
_ENCODED: Final = re.compile(r"\+([0-9A-F]{2})")
_UNICODE: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


class BadRequest(ValueError):
    """In words for the client."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Of one message; `each` has the words of each recipient, in their order, and may be shorter than they are many."""

    mail: Sequence[str] = ()
    each: Sequence[Sequence[str]] = ()

    def of(self, index: int) -> Sequence[str]:
        """The words of one recipient."""
        return self.each[index] if index < len(self.each) else ()

    def parameters(self, index: int) -> str:
        """As a queue row keeps them (store.queue.OntoQueue)."""
        words = self.of(index)
        return json.dumps({"mail": [*self.mail], "rcpt": [*words]}) if self.mail or words else "{}"


NOTHING_ASKED: Final = Requests()


def of_row(parameters: str) -> Requests:
    """The reverse of `Requests.parameters`: that of one recipient."""
    if parameters == "{}":
        return NOTHING_ASKED
    kept = json.loads(parameters)
    return Requests(tuple(kept.get("mail", ())), (tuple(kept.get("rcpt", ())),))


def canonical_mail(keyword: str, value: str | None) -> str:
    """RET or ENVID (RFC 3461 sections 4.3 and 4.4). Raises BadRequest."""
    if keyword == "RET":
        if value is None or value.upper() not in ("FULL", "HDRS"):
            raise BadRequest("Syntax: RET=FULL or RET=HDRS")
        return f"RET={value.upper()}"
    if value is None or len(value) > MOST_ENVELOPE_ID or _XTEXT.fullmatch(value) is None:
        raise BadRequest("Syntax: ENVID=xtext, of 100 characters at most")
    return f"ENVID={value}"


def canonical_rcpt(keyword: str, value: str | None) -> str:
    """NOTIFY or ORCPT (RFC 3461 sections 4.1 and 4.2, RFC 6533 section 3). Raises BadRequest."""
    if keyword == "NOTIFY":
        events = (value or "").upper().split(",")
        if events != [NEVER] and (not _EVENTS.issuperset(events) or len(set(events)) != len(events)):
            raise BadRequest("Syntax: NOTIFY=NEVER, or of SUCCESS,FAILURE,DELAY")
        return "NOTIFY=" + ",".join(events)
    match = None if value is None or len(value) > MOST_ORIGINAL else _ORIGINAL.fullmatch(value)
    if match is not None:
        ascii_only = match[2].isascii()
        if (ascii_only and _XTEXT.fullmatch(match[2]) is None) or not (ascii_only or match[1].lower() == "utf-8"):
            match = None
    if match is None:
        raise BadRequest("Syntax: ORCPT=rfc822;xtext, of 500 characters at most")
    # Servers without SMTPUTF8 may be on the way: utf-8-addr-xtext says the same to everybody.
    return f"ORCPT={match[1]};" + "".join(one if one.isascii() else f"\\x{{{ord(one):X}}}" for one in match[2])


def wants(words: Sequence[str], event: str) -> bool:
    """Is the sender told of this? Without NOTIFY of failures and delays."""
    for word in words:
        if word.startswith("NOTIFY="):
            return event in word[7:].split(",")
    return event in _DEFAULT


def original_recipient(words: Sequence[str]) -> str:
    """`rfc822;bob@acme.test`, decoded; empty where it was not said."""
    for word in words:
        if word.startswith("ORCPT="):
            kind, _, address = word[6:].partition(";")
            text = _ENCODED.sub(lambda found: chr(int(found[1], 16)), address)
            return f"{kind};{_UNICODE.sub(_character, text) if kind.lower() == 'utf-8' else text}"
    return ""


def envelope_id(mail: Sequence[str]) -> str:
    """ENVID, decoded; empty where it was not said."""
    return next((_ENCODED.sub(lambda found: chr(int(found[1], 16)), word[6:]) for word in mail if word.startswith("ENVID=")), "")


def without_envelope_id(mail: Sequence[str]) -> tuple[str, ...]:
    """For who writes in another's name: an id of the client's own may name him (delegation.md section 5.8)."""
    return tuple(word for word in mail if not word.startswith("ENVID="))


def wants_whole(mail: Sequence[str]) -> bool:
    """Is the message to come back with a failure, and not its header only?"""
    return "RET=FULL" in mail


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "?"
