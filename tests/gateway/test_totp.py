"""Codes by the vectors of RFC 6238, secrets that only open for their account, one-time codes."""

from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.totp import CODES, Unsealable, code_verifier, new_secret, one_time_codes, seal, step_of, unseal, uri

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238 appendix B: "12345678901234567890"
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors_of_the_rfc(second: int, code: str) -> None:
    assert step_of(SECRET, code, second * 1_000_000) == second // 30
    assert step_of(SECRET, f"{code[:3]} {code[3:]}", second * 1_000_000) == second // 30


def test_clocks_may_be_off_by_a_step() -> None:
    step = 1111111111 // 30
    for late, found in ((-60, None), (-30, step), (0, step), (30, step), (60, None)):
        assert step_of(SECRET, "050471", (step * 30 + late) * 1_000_000) == found


@pytest.mark.parametrize("code", ["", "05047", "0504711", "05047x", "٠٥٠٤٧١", "-50471"])
def test_what_is_no_code(code: str) -> None:
    assert step_of(SECRET, code, 1111111111 * 1_000_000) is None


def test_the_uri_is_what_apps_read() -> None:
    secret = new_secret()
    found = urlsplit(uri(secret, "anna@acme.test"))
    assert (found.scheme, found.netloc, parse_qs(found.query)["secret"]) == ("otpauth", "totp", [secret])
    assert pyotp.parse_uri(uri(secret, "anna@acme.test")).name == "anna@acme.test"
    assert len(secret) >= 32


def test_a_secret_opens_for_its_account_and_key_only() -> None:
    sealed = seal(SECRET, KEY, 7)
    assert SECRET.encode() not in sealed
    assert unseal(sealed, KEY, 7) == SECRET
    for wrong in ((sealed, KEY, 8), (sealed, b"x" * 32, 7), (sealed[:-1], KEY, 7), (b"", KEY, 7)):
        with pytest.raises(Unsealable):
            unseal(*wrong)


@given(st.binary(max_size=80), st.text(max_size=20))
def test_whatever_comes(sealed: bytes, code: str) -> None:
    with pytest.raises(Unsealable):
        unseal(sealed, KEY, 7)
    assert step_of(SECRET, code, 0) is None or len(code.replace(" ", "")) == 6


def test_one_time_codes() -> None:
    codes = one_time_codes()
    assert len(set(codes)) == CODES
    assert code_verifier(codes[0], KEY, 7) == code_verifier(codes[0].upper().replace("-", " "), KEY, 7)
    assert len({code_verifier(codes[0], KEY, 7), code_verifier(codes[0], KEY, 8), code_verifier(codes[1], KEY, 7)}) == 3
