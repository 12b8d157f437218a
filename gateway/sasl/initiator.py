"""What a client says to log in: the other side of this room, for the relay that mail is handed to."""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Container
from typing import Final, Protocol

from gateway.sasl.prepare import Unprepared, saslprep

FEWEST_ITERATIONS: Final = 4096
"""RFC 7677 section 4: what a server may ask for at least; fewer would make our answer worth guessing at."""
MOST_ITERATIONS: Final = 1_000_000
"""Some tenths of a second; a server that asks for more only wants to keep us busy."""
NONCE_OCTETS: Final = 18

_FIRST: Final = re.compile(
    rb"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{1,1024}),s=(?P<salt>[A-Za-z0-9+/]{1,1024}={0,2}),i=(?P<count>[1-9][0-9]{0,8})(?:,.*)?"
)
_FINAL: Final = re.compile(rb"v=(?P<signature>[A-Za-z0-9+/]{43}=)(?:,.*)?")


class Unfit(Exception):
    """What the server says is no answer, or does not prove that it knows the password. The words have no secret."""


class Initiator(Protocol):
    """One exchange. `initial`: what is said with or right after the command; None: nothing, the server speaks first."""

    mechanism: str
    initial: bytes | None

    def respond(self, challenge: bytes) -> bytes:
        """To what the server says. May take a while (SCRAM). Raises Unfit."""

    @property
    def is_satisfied(self) -> bool:
        """Has the server, too, shown who it is, where the mechanism asks for that?"""


def initiators(offered: Container[str], username: str, *, password: str | None = None, token: str | None = None) -> list[Initiator]:
    """Those to be tried, best first, of the mechanisms offered (upper case). A server may offer SCRAM and not have what it needs of
    this account, so that plain passwords come after it: we only log in where TLS was verified, or on this machine."""
    made: list[Initiator] = []
    if token is not None:
        made += [Bearer("OAUTHBEARER", username, token), Bearer("XOAUTH2", username, token)]
        return [one for one in made if one.mechanism in offered][:1]
    secret = password or ""
    try:
        made.append(Scram(username, secret))
    except Unprepared:
        pass  # a password that no SCRAM can have
    made += [Plain(username, secret), Login(username, secret)]
    found = [one for one in made if one.mechanism in offered]
    # PLAIN and LOGIN say the same.
    return found[:1] + [one for one in found[1:2] if isinstance(found[0], Scram)]


class Plain:
    """RFC 4616."""

    mechanism = "PLAIN"
    is_satisfied = True

    def __init__(self, username: str, password: str) -> None:
        self.initial: bytes | None = f"\0{username}\0{password}".encode()

    def respond(self, challenge: bytes) -> bytes:
        """Raises Unfit."""
        raise Unfit("it asks for more than PLAIN has")


class Login:
    """As it is commonly done; there is no RFC."""

    mechanism = "LOGIN"
    is_satisfied = True
    initial: bytes | None = None

    def __init__(self, username: str, password: str) -> None:
        self._words = [username.encode(), password.encode()]

    def respond(self, challenge: bytes) -> bytes:
        """Raises Unfit."""
        if not self._words:
            raise Unfit("it asks for more than LOGIN has")
        return self._words.pop(0)


class Scram:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), not bound to a channel. `nonce`: ours, for tests. Raises Unprepared."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, username: str, password: str, nonce: bytes | None = None) -> None:
        name = saslprep(username, stored=False).replace("=", "=3D").replace(",", "=2C").encode()
        self._password = saslprep(password, stored=False).encode()
        self._nonce = nonce or b64encode(secrets.token_bytes(NONCE_OCTETS))
        self._bare = b"n=%b,r=%b" % (name, self._nonce)
        self._signature: bytes | None = None
        self.is_satisfied = False
        self.initial: bytes | None = b"n,," + self._bare

    def respond(self, challenge: bytes) -> bytes:
        """To server-first-message and server-final-message. Raises Unfit."""
        if self.is_satisfied:
            raise Unfit("it asks for more than SCRAM has")
        return self._prove(challenge) if self._signature is None else self._verify(challenge, self._signature)

    def _prove(self, first: bytes) -> bytes:
        found = _FIRST.fullmatch(first)
        if found is None or not found["nonce"].startswith(self._nonce) or found["nonce"] == self._nonce:
            raise Unfit("that is no first message of SCRAM's")
        iterations = int(found["count"])
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise Unfit(f"it asks for {iterations} iterations")
        try:
            salt = b64decode(found["salt"], validate=True)
        except Base64Error:
            raise Unfit("that is no first message of SCRAM's") from None
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        without_proof = b"c=biws,r=" + found["nonce"]
        signed = b"%b,%b,%b" % (self._bare, first, without_proof)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return b"%b,p=%b" % (without_proof, b64encode(proof))

    def _verify(self, final: bytes, signature: bytes) -> bytes:
        found = _FINAL.fullmatch(final)
        if found is None or not hmac.compare_digest(b64decode(found["signature"]), signature):
            raise Unfit("it does not prove that it knows the password")
        self.is_satisfied = True
        return b""


class Bearer:
    """OAUTHBEARER (RFC 7628) and XOAUTH2, the older form of it."""

    is_satisfied = True

    def __init__(self, mechanism: str, username: str, token: str) -> None:
        self.mechanism = mechanism
        if mechanism == "XOAUTH2":
            text = f"user={username}\x01auth=Bearer {token}\x01\x01"
        else:
            name = username.replace("=", "=3D").replace(",", "=2C")
            text = f"n,a={name},\x01auth=Bearer {token}\x01\x01"
        self.initial: bytes | None = text.encode()

    def respond(self, challenge: bytes) -> bytes:
        """A challenge says what is wrong with the token; the refusal comes once it was acknowledged (RFC 7628 section 3.2.3)."""
        return b"" if self.mechanism == "XOAUTH2" else b"\x01"
