"""Whose is this token? A JSON Web Token (RFC 7519) is checked against the issuer's keys and what it has to say."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Algorithm = Literal["RS256", "ES256", "EdDSA"]

LONGEST: Final = 16_384
"""Octets of a token; those of large issuers, with a list of groups in them, have a few thousand."""
MOST_KEYS: Final = 64
_RSA_BITS: Final = 2048
_FAULTS: Final = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What hostile JSON can bring a reader of it to raise."""


class Untrusted(Exception):
    """The token is not taken. `status`: an error code of RFC 6750 section 3.1."""

    def __init__(self, message: str, status: str = "invalid_token") -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class BadKeys(Exception):
    """What should be a set of keys is none."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of the issuer. `id` "": it has none; `algorithm`: the one it is for, which its kind decides."""

    id: str
    algorithm: Algorithm
    public: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to say. `claim`: the one that has the account's address; `scope` "": none is asked for; `leeway`: seconds
    that the issuer's clock may differ from ours."""

    issuer: str
    audience: Sequence[str]
    claim: str
    algorithms: Sequence[Algorithm]
    scope: str = ""
    leeway: float = 30


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose a token is: the name of an account, and until when (microseconds since 1970 UTC)."""

    name: str
    until: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of its signature, which nothing has confirmed yet."""

    algorithm: str
    key_id: str | None


def header(token: str, rules: TokenRules) -> Header:
    """Raises Untrusted: no token, or one of an algorithm that is not allowed."""
    if len(token) > LONGEST or token.count(".") != 2:
        raise Untrusted("it is no JSON Web Token")
    try:
        found = jwt.get_unverified_header(token)
    except _FAULTS:
        raise Untrusted("it is no JSON Web Token") from None
    algorithm, key_id = found.get("alg"), found.get("kid")
    if algorithm not in rules.algorithms:
        raise Untrusted("its algorithm is not allowed")
    if "crit" in found:
        # RFC 7515 section 4.1.11: what has to be understood and is not, there is none that we know.
        raise Untrusted("it has to be read in a way that is not known here")
    if key_id is not None and not isinstance(key_id, str):
        raise Untrusted("it is no JSON Web Token")
    return Header(str(algorithm), key_id)


def suitable(keys: Sequence[Key], wanted: Header) -> Sequence[Key]:
    """The keys that may have signed it: of its id if it names one, and of its algorithm, whatever it claims the key to be."""
    return [key for key in keys if key.algorithm == wanted.algorithm and (wanted.key_id is None or key.id == wanted.key_id)]


def read(token: str, keys: Sequence[Key], rules: TokenRules, now: int) -> Bearer:
    """Whose the token is. `keys`: suitable ones; `now`: microseconds since 1970 UTC. Raises Untrusted."""
    claims = _claims(token, keys, rules)
    _check_time(claims, rules, now)
    if rules.scope and rules.scope not in _scopes(claims):
        raise Untrusted("it lacks the scope that is asked for", "insufficient_scope")
    name = claims.get(rules.claim)
    if not isinstance(name, str) or not name:
        raise Untrusted(f"it has no {rules.claim}")
    if rules.claim == "email" and claims.get("email_verified", True) not in (True, "true"):
        # OpenID Connect Core section 5.1: anybody may have typed the address there.
        raise Untrusted("its address was not verified by the issuer")
    return Bearer(name, int((_seconds(claims, "exp") + rules.leeway) * 1_000_000))


def _claims(token: str, keys: Sequence[Key], rules: TokenRules) -> Mapping[str, Any]:
    for key in keys[:MOST_KEYS]:
        try:
            # The times are looked at by our own clock.
            found: Mapping[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                audience=[*rules.audience],
                issuer=rules.issuer,
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAudienceError:
            raise Untrusted("it is for another service") from None
        except jwt.InvalidIssuerError:
            raise Untrusted("it is of another issuer") from None
        except _FAULTS:
            raise Untrusted("it is no token of the issuer's") from None
        return found
    raise Untrusted("none of the issuer's keys signed it")


def _check_time(claims: Mapping[str, Any], rules: TokenRules, now: int) -> None:
    seconds = now / 1_000_000
    if _seconds(claims, "exp") + rules.leeway <= seconds:
        raise Untrusted("it has expired")
    if "nbf" in claims and _seconds(claims, "nbf") - rules.leeway > seconds:
        raise Untrusted("it is not valid yet")


def _seconds(claims: Mapping[str, Any], claim: str) -> float:
    """NumericDate (RFC 7519 section 2), within what a clock can show."""
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value < 1 << 40:
        raise Untrusted(f"its {claim} is no time")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> Sequence[str]:
    """RFC 9068 section 2.2.3; some issuers say `scp`, some give a list."""
    found: list[str] = []
    for value in (claims.get("scope"), claims.get("scp")):
        if isinstance(value, str):
            found += value.split()
        elif isinstance(value, list):
            found += [one for one in value if isinstance(one, str)]
    return found


def read_keys(document: bytes) -> Sequence[Key]:
    """The keys of a JWK Set (RFC 7517 section 5) that can sign a token here; others in it are passed over. Raises BadKeys."""
    try:
        entries = json.loads(document)["keys"]
        if not isinstance(entries, list):
            raise BadKeys("its keys are no list")
        found = [key for entry in entries[:MOST_KEYS] if (key := _key(entry)) is not None]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadKeys("it is no JWK Set") from None
    if not found:
        raise BadKeys("it has no key that can be used here")
    return found


def _key(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    # An own public key would let whoever sends it sign: that the set has only public ones is the issuer's to see to.
    known = {name: value for name, value in entry.items() if name in ("kty", "crv", "n", "e", "x", "y")}
    try:
        public: Any = jwt.PyJWK.from_dict(known).key
    except _FAULTS:
        return None
    match public:
        case RSAPublicKey() if public.key_size >= _RSA_BITS:
            algorithm: Algorithm = "RS256"
        case EllipticCurvePublicKey() if isinstance(public.curve, SECP256R1):
            algorithm = "ES256"
        case Ed25519PublicKey():
            algorithm = "EdDSA"
        case _:
            return None
    if entry.get("alg", algorithm) not in (algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm):
        return None
    key_id = entry.get("kid", "")
    return Key(key_id if isinstance(key_id, str) else "", algorithm, public)
