"""What a client says to log in, against our own server's side and another's; and servers that cannot be trusted."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramMechanism

from gateway.sasl.bearer import Bearer as Server
from gateway.sasl.bearer import Hints
from gateway.sasl.exchange import BearerToken, Claimed
from gateway.sasl.initiator import Bearer, Login, Plain, Scram, Unfit, initiators

# RFC 7677 section 3
NONCE = b"rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_example_of_the_rfc() -> None:
    one = Scram("user", "pencil", NONCE)
    assert one.initial == b"n,,n=user,r=" + NONCE
    assert one.respond(FIRST) == PROOF
    assert not one.is_satisfied
    assert one.respond(FINAL) == b""
    assert one.is_satisfied


@pytest.mark.parametrize("password", ["pencil", "pä=ss,wörd", "Ⅸ", "x" * 500])
def test_against_another_servers_side(password: str) -> None:
    mechanism = ScramMechanism("SCRAM-SHA-256")
    server = mechanism.make_server(lambda name: mechanism.make_auth_info(password))
    one = Scram("us=er,", password)
    assert one.initial is not None
    server.set_client_first(one.initial.decode())
    server.set_client_final(one.respond(server.get_server_first().encode()).decode())
    assert one.respond(server.get_server_final().encode()) == b""
    assert one.is_satisfied


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"x",
        FIRST.replace(b"i=4096", b"i=4095"),
        FIRST.replace(b"i=4096", b"i=1000001"),
        FIRST.replace(b"i=4096", b"i=0"),
        FIRST.replace(b"rOprN", b"xOprN"),
        b"r=" + NONCE + b",s=AAAA,i=4096",
        FIRST.replace(b"W22ZaJ0SNY7soEsUEjb6gQ==", b"W22Za"),
        b"m=x," + FIRST,
        b"e=other-error",
    ],
)
def test_first_messages_that_are_not_answered(challenge: bytes) -> None:
    with pytest.raises(Unfit):
        Scram("user", "pencil", NONCE).respond(challenge)


@pytest.mark.parametrize("challenge", [b"", b"e=other-error", FINAL.replace(b"6rri", b"7rri"), FINAL[:-3], b"v="])
def test_a_server_that_proves_nothing(challenge: bytes) -> None:
    one = Scram("user", "pencil", NONCE)
    one.respond(FIRST)
    with pytest.raises(Unfit):
        one.respond(challenge)
    assert not one.is_satisfied


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_no_challenge_is_too_odd(challenges: list[bytes]) -> None:
    for one in (Scram("user", "pencil", NONCE), Plain("a", "b"), Login("a", "b"), Bearer("XOAUTH2", "a", "b")):
        try:
            for challenge in challenges:
                one.respond(challenge)
        except Unfit:
            pass


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_tokens_as_a_server_reads_them(mechanism: str) -> None:
    one = Bearer(mechanism, "us@acme.test", "ab.c-d")
    assert one.initial is not None
    step = Server(mechanism, Hints()).take(one.initial)
    assert isinstance(step, Claimed)
    assert step.claim == BearerToken(mechanism, "us@acme.test", "ab.c-d")
    assert one.respond(b"{}") == (b"" if mechanism == "XOAUTH2" else b"\x01")


def test_plain_and_login() -> None:
    assert Plain("us", "sécret").initial == b"\0us\0" + "sécret".encode()
    one = Login("us", "secret")
    assert (one.initial, one.respond(base64.b64decode("VXNlcm5hbWU6")), one.respond(b"")) == (None, b"us", b"secret")
    with pytest.raises(Unfit):
        one.respond(b"")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["PLAIN", "LOGIN"], ["PLAIN"]),
        (["LOGIN"], ["LOGIN"]),
        (["LOGIN", "SCRAM-SHA-256", "PLAIN"], ["SCRAM-SHA-256", "PLAIN"]),
        (["SCRAM-SHA-256"], ["SCRAM-SHA-256"]),
        (["CRAM-MD5", "XOAUTH2"], []),
    ],
)
def test_what_is_chosen_for_a_password(offered: list[str], chosen: list[str]) -> None:
    assert [one.mechanism for one in initiators(offered, "us", password="secret")] == chosen


def test_a_token_is_no_password() -> None:
    assert [one.mechanism for one in initiators(["PLAIN", "XOAUTH2", "OAUTHBEARER"], "us", token="t")] == ["OAUTHBEARER"]
    assert initiators(["PLAIN", "SCRAM-SHA-256"], "us", token="t") == []


def test_a_password_that_scram_cannot_have_goes_in_the_plain() -> None:
    assert [one.mechanism for one in initiators(["PLAIN", "SCRAM-SHA-256"], "us", password="a\u0007b")] == ["PLAIN"]
