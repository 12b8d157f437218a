"""PLAIN and LOGIN: a claim, or that it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl.exchange import Challenge, Claimed, Credentials, Malformed
from gateway.sasl.password import Login, Plain


@pytest.mark.parametrize(
    ("message", "credentials"),
    [
        (b"\0a@b.c\0secret", Credentials("PLAIN", "a@b.c", "", b"secret")),
        (b"a@b.c\0a@b.c\0s\xff", Credentials("PLAIN", "a@b.c", "a@b.c", b"s\xff")),
        ("größe\0a\0b".encode(), Credentials("PLAIN", "a", "größe", b"b")),
    ],
)
def test_plain(message: bytes, credentials: Credentials) -> None:
    assert Plain().take(message) == Claimed(credentials)


@pytest.mark.parametrize("message", [b"", b"\0", b"\0\0", b"a\0b", b"\0a\0b\0c", b"\0\0b", b"\0a\0", b"\0\xff\0b", b"\xff\0a\0b"])
def test_what_is_not_plain(message: bytes) -> None:
    with pytest.raises(Malformed):
        Plain().take(message)


def test_login() -> None:
    exchange = Login()
    assert exchange.prompt == b"Username:"
    assert exchange.take(b"a@b.c") == Challenge(b"Password:")
    assert exchange.take(b"s\xff") == Claimed(Credentials("LOGIN", "a@b.c", "", b"s\xff"))


@pytest.mark.parametrize("messages", [(b"",), (b"a\0",), (b"\xff",), (b"a", b""), (b"a", b"b\0")])
def test_what_is_not_login(messages: tuple[bytes, ...]) -> None:
    exchange = Login()
    for message in messages[:-1]:
        exchange.take(message)
    with pytest.raises(Malformed):
        exchange.take(messages[-1])


@given(st.binary() | st.lists(st.sampled_from([b"\0", b"a", b"\xff", b"\xc3\xbc"])).map(b"".join))
def test_any_octets_are_a_claim_or_malformed(message: bytes) -> None:
    for exchange in (Plain(), Login()):
        try:
            step = exchange.take(message)
        except Malformed:
            continue
        assert isinstance(step, Claimed | Challenge)
