"""OAUTHBEARER and XOAUTH2: the token, who its bearer wants to be, and what is said to one whose token is not taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl.bearer import Bearer, Hints
from gateway.sasl.exchange import BearerToken, Claimed, Malformed

HINTS = Hints("mail", "https://issuer.test/.well-known/openid-configuration")


def taken(mechanism: str, message: bytes) -> BearerToken:
    step = Bearer(mechanism, HINTS).take(message)
    assert isinstance(step, Claimed)
    assert isinstance(step.claim, BearerToken)
    return step.claim


@pytest.mark.parametrize(
    ("message", "authzid", "token"),
    [
        # RFC 7628 section 4.1
        (
            (
                b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
                b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
            ),
            "user@example.com",
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
        ),
        (b"n,,\x01auth=Bearer a.b-c_d~e+f/g==\x01\x01", "", "a.b-c_d~e+f/g=="),
        (b"y,,\x01auth=bearer  x\x01\x01", "", "x"),
        (b"n,a=,\x01auth=Bearer x\x01\x01", "", "x"),
        (b"n,a=b=2C=3D,\x01AUTH=BEARER x\x01\x01", "b,=", "x"),
        # Section 4.3: a client that wants to learn where to get a token.
        (b"n,a=user@example.com,\x01auth=\x01\x01", "user@example.com", ""),
        (b"n,,\x01host=x\x01\x01", "", ""),
        (b"n,,\x01\x01", "", ""),
        (b"n,,\x01auth=Basic YTpi\x01\x01", "", ""),
        (b"n,,\x01auth=Bearer a b\x01\x01", "", ""),
    ],
)
def test_oauthbearer(message: bytes, authzid: str, token: str) -> None:
    assert taken("OAUTHBEARER", message) == BearerToken("OAUTHBEARER", authzid, token)


@pytest.mark.parametrize(
    ("message", "authzid", "token"),
    [
        (b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01", "someuser@example.com",
         "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"),
        (b"user=\x01auth=Bearer x\x01\x01", "", "x"),
        (b"user=a=2C\x01auth=Bearer x\x01\x01", "a=2C", "x"),
    ],
)  # fmt: skip
def test_xoauth2(message: bytes, authzid: str, token: str) -> None:
    assert taken("XOAUTH2", message) == BearerToken("XOAUTH2", authzid, token)


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        *(("OAUTHBEARER", message) for message in (
            b"", b"\x01", b"n,,", b"n,,\x01", b"n,,\x01auth=Bearer x\x01", b"p=tls-unique,,\x01auth=Bearer x\x01\x01",
            b"n,a=\xff,\x01auth=Bearer x\x01\x01", b"n,a==,\x01auth=Bearer x\x01\x01",
            b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", b"n,,\x01auth=Bearer \xff\x01\x01", b"n,,\x01auth=Bearer x\x01\x01\x01",
            b"n,,\x01=Bearer x\x01\x01", b"user=a\x01auth=Bearer x\x01\x01",
        )),
        *(("XOAUTH2", message) for message in (
            b"", b"\x01", b"user=a", b"user=a\x01auth=Bearer x\x01", b"auth=Bearer x\x01\x01", b"user=\xff\x01auth=Bearer x\x01\x01",
            b"n,,\x01auth=Bearer x\x01\x01", b"user=a\x01auth=Bearer x\x01auth=Bearer x\x01\x01",
        )),
    ],
)  # fmt: skip
def test_what_is_none(mechanism: str, message: bytes) -> None:
    with pytest.raises(Malformed):
        Bearer(mechanism, HINTS).take(message)


@pytest.mark.parametrize(
    ("mechanism", "hints", "said"),
    [
        ("OAUTHBEARER", HINTS, {"status": "invalid_token", "scope": "mail", "openid-configuration": HINTS.configuration}),
        ("OAUTHBEARER", Hints(), {"status": "invalid_token"}),
        ("XOAUTH2", HINTS, {"status": "401", "schemes": "bearer", "scope": "mail"}),
    ],
)
def test_what_a_bearer_of_a_bad_token_is_told(mechanism: str, hints: Hints, said: dict[str, str]) -> None:
    message = b"user=a\x01auth=Bearer x\x01\x01" if mechanism == "XOAUTH2" else b"n,,\x01auth=Bearer x\x01\x01"
    step = Bearer(mechanism, hints).take(message)
    assert isinstance(step, Claimed)
    assert step.welcome is None
    assert step.rejection is not None
    assert json.loads(step.rejection("invalid_token")) == said


PIECES = [b"n,", b"y,", b"a=", b",", b"\x01", b"auth=", b"Bearer ", b"host=", b"user=", b"x", b"=2C", b"=", b"\0", b"\xff", b"\r\n"]


@given(st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_any_octets_are_a_claim_or_malformed(message: bytes) -> None:
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        try:
            claim = taken(mechanism, message)
        except Malformed:
            continue
        assert claim.token.isascii()
