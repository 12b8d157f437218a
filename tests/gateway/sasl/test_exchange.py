"""What all mechanisms share: escaped names, UTF-8, and values that never show a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl.exchange import BearerToken, Challenge, Claimed, Credentials, Malformed, ScramProof, unescaped, utf8
from store.model import ScramKeys


@pytest.mark.parametrize(
    ("saslname", "name"), [(b"", b""), (b"anna", b"anna"), (b"a=2Cb", b"a,b"), (b"a=3D2C", b"a=2C"), (b"=3D=3D", b"==")]
)
def test_unescaped(saslname: bytes, name: bytes) -> None:
    assert unescaped(saslname) == name


@pytest.mark.parametrize("saslname", [b"=", b"a=", b"=2c", b"=3d", b"=20", b"==2C", b"=2"])
def test_what_is_no_saslname(saslname: bytes) -> None:
    with pytest.raises(Malformed):
        unescaped(saslname)


@given(st.binary(max_size=40))
def test_a_name_is_read_back(name: bytes) -> None:
    assert unescaped(name.replace(b"=", b"=3D").replace(b",", b"=2C")) == name


def test_a_name_is_utf8() -> None:
    assert utf8("größe".encode()) == "größe"
    with pytest.raises(Malformed):
        utf8(b"\xff")


def test_no_secret_is_shown() -> None:
    keys = ScramKeys(b"salt", 4096, b"hidden", b"hidden")
    shown = [
        Credentials("PLAIN", "anna", "", b"hidden"),
        ScramProof("SCRAM-SHA-256", "anna", "", keys, b"hidden", b"hidden"),
        BearerToken("XOAUTH2", "", "hidden"),
        Challenge(b"hidden"),
        Claimed(Credentials("PLAIN", "anna", "", b"hidden"), b"hidden"),
        keys,
    ]
    assert "hidden" not in repr(shown)
