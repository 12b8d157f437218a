"""OAUTHBEARER (RFC 7628) and XOAUTH2, the older form of it: a token that an issuer gave out."""

import json
import re
from dataclasses import dataclass
from typing import Final

from gateway.sasl.exchange import BearerToken, Claimed, Malformed, Step, unescaped, utf8

# client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep (RFC 7628 section 3.1); a binding to the channel it has none.
_OAUTHBEARER: Final = re.compile(rb"[ny],(?:a=(?P<authzid>[^,\0\x01]*))?,\x01(?P<pairs>(?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*)\x01")
_XOAUTH2: Final = re.compile(rb"user=(?P<authzid>[^\0\x01]*)\x01(?P<pairs>(?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*)\x01")
# RFC 6750 section 2.1: b64token; the scheme in any case (RFC 7235 section 2.1).
_TOKEN: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


@dataclass(frozen=True, slots=True)
class Hints:
    """What a client whose token was not taken is told, so that it can get a better one. `configuration`: a URL; "": not told."""

    scope: str = ""
    configuration: str = ""


class Bearer:
    """One exchange. A client that sends no token, to learn where to get one (RFC 7628 section 4.3), is told so like any other."""

    prompt = b""

    def __init__(self, mechanism: str, hints: Hints) -> None:
        self._mechanism = mechanism
        self._hints = hints

    def take(self, response: bytes) -> Step:
        """The one message there is. Raises Malformed."""
        form = _XOAUTH2 if self._mechanism == "XOAUTH2" else _OAUTHBEARER
        found = form.fullmatch(response)
        if found is None:
            raise Malformed(f"that is no {self._mechanism} response")
        authzid = found["authzid"] or b""
        if self._mechanism == "OAUTHBEARER":
            authzid = unescaped(authzid)
        values = [value for key, _, value in (pair.partition(b"=") for pair in found["pairs"].split(b"\x01")) if key.lower() == b"auth"]
        if len(values) > 1:
            raise Malformed(f"that is no {self._mechanism} response")
        token = _TOKEN.fullmatch(values[0].strip(b" \t")) if values else None
        claim = BearerToken(self._mechanism, utf8(authzid), "" if token is None else token[1].decode("ascii"))
        return Claimed(claim, rejection=self._rejection)

    def _rejection(self, status: str) -> bytes:
        """RFC 7628 section 3.2.2; XOAUTH2's has other names for the same."""
        if self._mechanism == "XOAUTH2":
            said = {"status": "401", "schemes": "bearer", "scope": self._hints.scope}
        else:
            said = {"status": status, "scope": self._hints.scope, "openid-configuration": self._hints.configuration}
        return json.dumps({name: value for name, value in said.items() if value}).encode("ascii")
