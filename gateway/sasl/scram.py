"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): neither side shows the other a password or what could stand for one."""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from typing import Final

from gateway.sasl.exchange import Challenge, Claimed, KeysWanted, Malformed, ScramProof, Step, Unbound, unescaped, utf8
from gateway.sasl.prepare import Unprepared, saslprep
from store.model import ScramKeys

SALT_OCTETS: Final = 16
NONCE_OCTETS: Final = 18
"""24 characters in base64, none of them a comma or `=`."""
BINDING: Final = b"tls-server-end-point"
"""RFC 5929 section 4; the only type that works the same over TLS 1.2 and 1.3 behind any TLS library."""

# client-first-message (RFC 5802 section 7). `m=` (reserved-mext) matches nothing here: a server that does not know it must refuse.
_FIRST: Final = re.compile(
    rb"(?P<header>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>[^,\0]*))?,)"
    rb"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
# client-final-message: what is signed, and the proof.
_FINAL: Final = re.compile(
    rb"(?P<signed>c=(?P<bound>[A-Za-z0-9+/]+={0,2}),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*?)"
    rb",p=(?P<proof>[A-Za-z0-9+/]{43}=)"
)
_LONGEST_NONCE: Final = 512
_LONGEST_NAME: Final = 320
"""Octets: an address (RFC 5321 section 4.5.3.1). SASLprep looks at each character many times, and a stranger may ask for it."""


class Scram:
    """One exchange. `end_point`: the hash of our certificate that binds to this channel (`certificate.ServerContext`), None where
    there is none: no TLS, or a certificate whose signature has no such hash. `nonce`: the server's part, for tests.
    """

    prompt = b""

    def __init__(self, mechanism: str, end_point: bytes | None, nonce: bytes | None = None) -> None:
        self._mechanism = mechanism
        self._plus = mechanism.endswith("-PLUS")
        self._end_point = end_point
        self._nonce = nonce or b64encode(secrets.token_bytes(NONCE_OCTETS))
        self._header = b""
        self._bare = b""
        self._server_first = b""
        self._authcid = ""
        self._authzid = ""
        self._keys: ScramKeys | None = None

    def take(self, response: bytes) -> Step:
        """client-first-message, then client-final-message. Raises Malformed, Unbound."""
        return self._first(response) if self._keys is None else self._final(response, self._keys)

    def found(self, keys: ScramKeys) -> Step:
        """server-first-message, from the keys of the account that was asked for."""
        self._keys = keys
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, b64encode(keys.salt), keys.iterations)
        return Challenge(self._server_first)

    def _first(self, message: bytes) -> Step:
        found = _FIRST.fullmatch(message)
        if found is None or len(found["nonce"]) > _LONGEST_NONCE:
            raise Malformed("that is no first message of SCRAM")
        flag = found["flag"]
        if self._plus:
            if found["binding"] is None:
                raise Malformed("SCRAM-SHA-256-PLUS is bound to the channel")
            if found["binding"] != BINDING or self._end_point is None:
                raise Unbound("another type of channel binding")
        elif found["binding"] is not None:
            raise Malformed("SCRAM-SHA-256 is not bound to the channel")
        elif flag == b"y" and self._end_point is not None:
            # RFC 5802 section 6: the client could bind and was told that we cannot, but not by us.
            raise Unbound("somebody took SCRAM-SHA-256-PLUS out of what we offer")
        self._header = found["header"]
        self._bare = found["bare"]
        self._authcid = _name(found["name"])
        # GNU SASL says `a=` where nobody in particular is meant.
        self._authzid = _name(found["authzid"]) if found["authzid"] else ""
        self._nonce = found["nonce"] + self._nonce
        return KeysWanted(self._authcid)

    def _final(self, message: bytes, keys: ScramKeys) -> Step:
        found = _FINAL.fullmatch(message)
        if found is None or not hmac.compare_digest(found["nonce"], self._nonce):
            raise Malformed("that is no final message of SCRAM")
        bound = self._header + (self._end_point or b"" if self._plus else b"")
        if not hmac.compare_digest(found["bound"], b64encode(bound)):
            raise Unbound("the channel is bound to another certificate than ours")
        signed = b"%b,%b,%b" % (self._bare, self._server_first, found["signed"])
        proof = ScramProof(self._mechanism, self._authcid, self._authzid, keys, signed, b64decode(found["proof"]))
        return Claimed(proof, welcome=b"v=" + b64encode(hmac.digest(keys.server_key, signed, "sha256")))


def is_proved(claim: ScramProof) -> bool:
    """Does the client know the ClientKey? (RFC 5802 section 3)"""
    signature = hmac.digest(claim.keys.stored_key, claim.signed, "sha256")
    client_key = bytes(one ^ other for one, other in zip(claim.proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), claim.keys.stored_key)


def keys_of(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """What is kept of a password. Takes as long as `iterations` say. Raises Unprepared: no SCRAM client could send it."""
    prepared = saslprep(password, stored=True)
    if not prepared:
        raise Unprepared("nothing is left of it")
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(salt, iterations, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def keys_of_nobody(secret: bytes, name: bytes, iterations: int) -> ScramKeys:
    """For an account that there is not: the same whenever it is asked for, and like those of any other that nobody can log in as."""

    def drawn(what: bytes) -> bytes:
        return hmac.digest(secret, b"scram %b\0%b" % (what, name), "sha256")

    return ScramKeys(drawn(b"salt")[:SALT_OCTETS], iterations, drawn(b"stored"), drawn(b"server"))


def _name(octets: bytes) -> str:
    """`saslname`: `,` is `=2C` and `=` is `=3D`; then SASLprep (RFC 5802 section 5.1). Raises Malformed."""
    if len(octets) > _LONGEST_NAME:
        raise Malformed("the user name is too long")
    try:
        name = saslprep(utf8(unescaped(octets)), stored=False)
    except Unprepared:
        raise Malformed("a user name has no control characters") from None
    if not name:
        raise Malformed("a user name is not empty")
    return name
