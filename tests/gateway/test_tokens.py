"""Which tokens are believed: of the issuer, for us, now, signed with a key of the kind that it says; and no forgery of any kind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import BadKeys, Bearer, Key, TokenRules, Untrusted, header, read, read_keys, suitable
from tests.live.issuer import AUDIENCE, Issuer, Keys, b64, jwk, signed

ISSUER = Issuer(1)
RULES = TokenRules(ISSUER.url, [AUDIENCE, "other"], "email", ["RS256", "ES256", "EdDSA"], leeway=30)
KEYS = read_keys(json.dumps(ISSUER.jwks).encode())
ANNA = "anna@acme.test"


def bearer(token: str, rules: TokenRules = RULES, keys: Any = KEYS, now: float | None = None) -> Bearer:
    return read(token, suitable(keys, header(token, rules)), rules, int((time.time() if now is None else now) * 1_000_000))


def why_not(token: str, rules: TokenRules = RULES, **more: Any) -> str:
    with pytest.raises(Untrusted) as refused:
        bearer(token, rules, **more)
    return refused.value.message


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_good_token(algorithm: str) -> None:
    now = int(time.time())
    found = bearer(ISSUER.token(ANNA, algorithm, exp=now + 60, nbf=now, aud=["x", "other"]))
    assert found == Bearer(ANNA, (now + 90) * 1_000_000)


def test_a_token_without_the_name_of_its_key() -> None:
    assert bearer(ISSUER.token(ANNA, head={"kid": None})).name == ANNA


FORGERIES = {
    "alg none": signed({"alg": "none"}, ISSUER.claims(ANNA), None),
    "alg None": signed({"alg": "None", "kid": "r"}, ISSUER.claims(ANNA), None),
    "no alg": signed({"kid": "r"}, ISSUER.claims(ANNA), ISSUER.keys.rsa),
    "alg list": signed({"alg": ["RS256"], "kid": "r"}, ISSUER.claims(ANNA), ISSUER.keys.rsa),
    # The public key, which everybody knows, as a shared secret.
    "HS256 with the public key": signed(
        {"alg": "HS256", "kid": "r"},
        ISSUER.claims(ANNA),
        ISSUER.keys.rsa.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    ),
    "an algorithm that is not allowed": signed({"alg": "RS512", "kid": "r"}, ISSUER.claims(ANNA), ISSUER.keys.rsa),
    "another's key": signed({"alg": "RS256", "kid": "r"}, ISSUER.claims(ANNA), rsa.generate_private_key(65537, 2048)),
    "another key's name": signed({"alg": "RS256", "kid": "e"}, ISSUER.claims(ANNA), ISSUER.keys.rsa),
    "a key in the header": signed(
        {"alg": "ES256", "jwk": jwk(Keys().ec), "x5u": "http://evil.test", "jku": "http://evil.test"}, ISSUER.claims(ANNA), Keys().ec
    ),
    "a signature taken off": ISSUER.token(ANNA).rpartition(".")[0] + ".",
    "crit": ISSUER.token(ANNA, head={"crit": ["b64"], "b64": False}),
    "kid that is no text": ISSUER.token(ANNA, head={"kid": 7}),
    "claims that are no object": signed({"alg": "ES256", "kid": "e"}, ["anna"], ISSUER.keys.ec),
    "claims that are null": signed({"alg": "ES256", "kid": "e"}, None, ISSUER.keys.ec),
    "a header deep enough to drown in": f"{b64(b'[' * 9000)}.e30.AAAA",
    "a header that is a number": f"{b64(b'1')}.e30.AAAA",
    "too long": "a" * 17_000 + ".b.c",
    "five parts": "a.b.c.d.e",
    "nothing": "",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES.keys())
def test_forgeries(token: str) -> None:
    assert why_not(token)


def test_claims_of_another_token() -> None:
    head, _, signature = ISSUER.token(ANNA).split(".")
    _, claims, _ = ISSUER.token("boss@acme.test").split(".")
    assert why_not(f"{head}.{claims}.{signature}") == "none of the issuer's keys signed it"


NOW = 1_900_000_000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"iss": "http://127.0.0.1:1/"}, "it is of another issuer"),
        ({"iss": None}, "it is no token of the issuer's"),
        ({"aud": "web"}, "it is for another service"),
        ({"aud": []}, "it is no token of the issuer's"),
        ({"aud": None}, "it is no token of the issuer's"),
        ({"aud": {"mail": 1}}, "it is for another service"),
        ({"exp": NOW - 29}, None),
        ({"exp": NOW - 30}, "it has expired"),
        ({"exp": None}, "it is no token of the issuer's"),
        ({"exp": "soon"}, "its exp is no time"),
        ({"exp": True}, "its exp is no time"),
        ({"exp": 1e300}, "its exp is no time"),
        ({"exp": float("inf")}, "its exp is no time"),
        ({"exp": float("nan")}, "its exp is no time"),
        ({"exp": -1}, "its exp is no time"),
        ({"nbf": NOW + 29}, None),
        ({"nbf": NOW + 31}, "it is not valid yet"),
        ({"nbf": []}, "its nbf is no time"),
        ({"iat": NOW + 9999}, None),
        ({"sub": 17, "jti": 3}, None),
        ({"email": None}, "it has no email"),
        ({"email": ["anna@acme.test"]}, "it has no email"),
        ({"email": ""}, "it has no email"),
        ({"email_verified": True}, None),
        ({"email_verified": False}, "its address was not verified by the issuer"),
        ({"email_verified": "false"}, "its address was not verified by the issuer"),
    ],
)
def test_what_a_token_says(changes: dict[str, Any], reason: str | None) -> None:
    token = ISSUER.token(ANNA, "ES256", **{"exp": NOW + 600, "iat": NOW, **changes})
    if reason is None:
        assert bearer(token, now=NOW).name == ANNA
    else:
        assert why_not(token, now=NOW) == reason


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"scope": "mail"}, True),
        ({"scope": "openid mail profile"}, True),
        ({"scp": ["openid", "mail"]}, True),
        ({"scp": "mail"}, True),
        ({}, False),
        ({"scope": "mail.read"}, False),
        ({"scope": {"mail": True}}, False),
        ({"scp": [["mail"]]}, False),
    ],
)
def test_a_scope_that_is_asked_for(changes: dict[str, Any], allowed: bool) -> None:
    rules = TokenRules(ISSUER.url, [AUDIENCE], "email", ["ES256"], scope="mail")
    token = ISSUER.token(ANNA, "ES256", **changes)
    if allowed:
        assert bearer(token, rules).name == ANNA
        return
    with pytest.raises(Untrusted) as refused:
        bearer(token, rules)
    assert refused.value.status == "insufficient_scope"


def test_algorithms_and_claims_are_the_administrators_choice() -> None:
    narrow = TokenRules(ISSUER.url, [AUDIENCE], "upn", ["EdDSA"])
    assert bearer(ISSUER.token("", "EdDSA", upn=ANNA, email_verified=False), narrow).name == ANNA
    assert why_not(ISSUER.token("", "RS256", upn=ANNA), narrow) == "its algorithm is not allowed"
    nobodys = TokenRules(ISSUER.url, [], "email", ["RS256"])
    assert why_not(ISSUER.token(ANNA), nobodys) == "it is for another service"


@pytest.mark.parametrize(
    "entry",
    [
        jwk(rsa.generate_private_key(65537, 1024), "short"),
        jwk(ec.generate_private_key(ec.SECP384R1()), "p384"),
        jwk(ISSUER.keys.rsa, "x", use="enc"),
        jwk(ISSUER.keys.rsa, "x", key_ops=["encrypt"]),
        jwk(ISSUER.keys.rsa, "x", alg="RS512"),
        jwk(ISSUER.keys.ec, "x", alg="RS256"),
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "n": "!!!", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "nothing"},
        {},
        7,
        None,
    ],
    ids=[
        "short",
        "p384",
        "to-encrypt",
        "to-encrypt-by-key-ops",
        "of-RS512",
        "of-another-kind",
        "octets",
        "no-number",
        "no-point",
        "of-no-kind",
        "empty",
        "number",
        "nothing",
    ],
)
def test_keys_that_cannot_be_used_are_passed_over(entry: object) -> None:
    with pytest.raises(BadKeys):
        read_keys(json.dumps({"keys": [entry]}).encode())
    assert [key.id for key in read_keys(json.dumps({"keys": [entry, jwk(ISSUER.keys.ed, "good")]}).encode())] == ["good"]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"7", b'{"keys": 7}', b'{"keys": {}}', b"[" * 100_000, b"\xff", b'{"keys": []}'])
def test_what_is_no_set_of_keys(document: bytes) -> None:
    with pytest.raises(BadKeys):
        read_keys(document)


def test_a_private_key_in_the_set_is_read_as_the_public_one() -> None:
    entry = {**jwk(ISSUER.keys.ed, "d"), "d": b64(ISSUER.keys.ed.private_bytes_raw())}
    (key,) = read_keys(json.dumps({"keys": [entry]}).encode())
    assert not hasattr(key.public, "sign")


def test_suitable_keys_are_of_the_right_kind() -> None:
    assert [key.id for key in suitable(KEYS, header(ISSUER.token(ANNA, "ES256"), RULES))] == ["e"]
    assert suitable(KEYS, header(ISSUER.token(ANNA, head={"kid": "zzz"}), RULES)) == []
    two = [*KEYS, Key("r2", "RS256", Keys().rsa.public_key())]
    assert [key.id for key in suitable(two, header(ISSUER.token(ANNA, head={"kid": None}), RULES))] == ["r", "r2"]


NAMES = st.sampled_from(["alg", "kid", "iss", "aud", "exp", "nbf", "email", "scope", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(head=JSON, claims=JSON)
def test_any_token_is_read_or_untrusted(head: Any, claims: Any) -> None:
    for whole in (head, {"alg": "ES256", "kid": "e"}):
        try:
            bearer(signed(whole, claims, ISSUER.keys.ec))
        except Untrusted:
            continue


@given(st.text(max_size=60) | st.lists(st.sampled_from(["e30", ".", "eyJhbGciOiJSUzI1NiJ9", "AAAA", "=", "é"]), max_size=8).map("".join))
def test_any_text_is_read_or_untrusted(token: str) -> None:
    with pytest.raises(Untrusted):
        bearer(token)
