"""Authentication-Results of others: taken where they are trusted, and only what is plainly a result."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.results import spelled, trusted_results, word
from gateway.message.split import read_header


def results(*values: str) -> list[str]:
    octets = "".join(f"Authentication-Results: {value}\r\n" for value in values).encode() + b"\r\n"
    return trusted_results(octets, read_header(octets), ["front.test"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("front.test; spf=pass smtp.mailfrom=a@b.test", ["spf=pass smtp.mailfrom=a@b.test"]),
        ("FRONT.test 1;\r\n spf=pass  smtp.mailfrom=x;\r\n spf = pass (a; b) c=d", ["spf=pass smtp.mailfrom=x", "spf = pass c=d"]),
        ('front.test; dkim=fail reason="a; b" header.d=x', ['dkim=fail reason="a; b" header.d=x']),
        ("other.test; spf=pass", []),
        ("front.test; none", []),
        ("front.test; arc=pass; spf=none", ["spf=none"]),
        ("front.test; spf", []),
        ("front.test; spf=pass \xe4", []),
        ("front.test; spf=pass " + "x" * 600, []),
        ("front.test", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_taken(value: str, expected: list[str]) -> None:
    assert results(value) == expected


def test_only_so_many() -> None:
    assert len(results("front.test;" + "; ".join(["a=b"] * 90))) == 20


def test_it_is_written_on_lines_of_its_own() -> None:
    assert spelled("mx.test", ["dkim=none", "arc=pass"]) == b"mx.test;\r\n\tdkim=none;\r\n\tarc=pass"
    assert spelled("mx.test", []) == b"mx.test;\r\n\tnone"


@given(st.text(max_size=300))
def test_nothing_that_is_taken_could_end_the_field(value: str) -> None:
    octets = b"Authentication-Results: front.test; " + value.encode("utf-8", "replace") + b"\r\n\r\n"
    for one in trusted_results(octets, read_header(octets), ["front.test"]):
        assert re.fullmatch(r"[ -~]+", one)
    assert re.fullmatch(r"[!-~]+", word(value))
