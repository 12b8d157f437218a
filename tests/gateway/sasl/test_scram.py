"""SCRAM-SHA-256: the RFC's own example, an independent client, and every way to get it wrong."""

from base64 import b64decode, b64encode

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl.exchange import Challenge, Claimed, KeysWanted, Malformed, ScramProof, Unbound
from gateway.sasl.prepare import Unprepared
from gateway.sasl.scram import Scram, is_proved, keys_of, keys_of_nobody
from store.model import ScramKeys

END_POINT = b"\x01" * 32
KEYS = keys_of("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO" + NONCE + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def begun(mechanism: str = "SCRAM-SHA-256", first: bytes = FIRST, end_point: bytes | None = None, keys: ScramKeys = KEYS) -> Scram:
    exchange = Scram(mechanism, end_point, NONCE)
    assert isinstance(exchange.take(first), KeysWanted)
    exchange.found(keys)
    return exchange


def test_the_example_of_rfc_7677() -> None:
    exchange = Scram("SCRAM-SHA-256", None, NONCE)
    assert exchange.prompt == b""
    assert exchange.take(FIRST) == KeysWanted("user")
    expected = b"r=rOprNGfwEbeRWgbNEkqO" + NONCE + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert exchange.found(KEYS) == Challenge(expected)
    step = exchange.take(FINAL)
    assert isinstance(step, Claimed)
    assert step.welcome == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert isinstance(step.claim, ScramProof)
    assert (step.claim.authcid, step.claim.authzid) == ("user", "")
    assert is_proved(step.claim)


def play(exchange: Scram, client: scramp.core.ScramClient, keys: ScramKeys, header: bytes | None = None) -> tuple[Claimed, KeysWanted]:
    wanted = exchange.take(client.get_client_first().encode())
    assert isinstance(wanted, KeysWanted)
    challenge = exchange.found(keys)
    assert isinstance(challenge, Challenge)
    client.set_server_first(challenge.octets.decode())
    claimed = exchange.take(client.get_client_final().encode())
    assert isinstance(claimed, Claimed)
    return claimed, wanted


@pytest.mark.parametrize("password", ["pencil", "gr\u00f6\u00dfer als 7", "I\u00adX", "a,b=c"])
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("user", ["anna@acme.test", "b\u00f6se,=2C@acme.test"])
def test_an_independent_client(password: str, bound: bool, user: str) -> None:
    keys = keys_of(password, b"0123456789abcdef", 4096)
    binding = ("tls-server-end-point", END_POINT) if bound else None
    mechanism = "SCRAM-SHA-256-PLUS" if bound else "SCRAM-SHA-256"
    client = scramp.ScramClient([mechanism], user, password, channel_binding=binding)
    claimed, wanted = play(Scram(mechanism, END_POINT if bound else None), client, keys)
    assert wanted.authcid == user
    assert isinstance(claimed.claim, ScramProof)
    assert is_proved(claimed.claim)
    assert claimed.welcome is not None
    client.set_server_final(claimed.welcome.decode())
    wrong, _ = play(Scram(mechanism, END_POINT), scramp.ScramClient([mechanism], user, password + "x", channel_binding=binding), keys)
    assert isinstance(wrong.claim, ScramProof)
    assert not is_proved(wrong.claim)


def test_another_password_or_account_does_not_prove_this_one() -> None:
    for keys in (keys_of("pen", KEYS.salt, 4096), keys_of("pencil", b"other", 4096), keys_of_nobody(b"k", b"user", 4096)):
        step = begun(keys=keys).take(FINAL)
        assert isinstance(step, Claimed)
        assert isinstance(step.claim, ScramProof)
        assert not is_proved(step.claim)


@pytest.mark.parametrize(
    ("first", "authcid", "authzid"),
    [
        (b"n,a=boss@acme.test,n=anna@acme.test,r=x", "anna@acme.test", "boss@acme.test"),
        (b"y,,n=a=2Cb=3D,r=x", "a,b=", ""),
        (b"n,a=,n=user,r=x", "user", ""),
        (b"n,a=a=3D,n=\xc3\xbc,r=x,x=extension,y=more", "ü", "a="),
        (b"n,,n=\xc2\xaa,r=x", "a", ""),
    ],
)
def test_first_messages(first: bytes, authcid: str, authzid: str) -> None:
    exchange = Scram("SCRAM-SHA-256", None, NONCE)
    assert exchange.take(first) == KeysWanted(authcid)
    assert exchange._authzid == authzid


@pytest.mark.parametrize(
    "first",
    [
        b"", b"n", b"n,", b"n,,", b"n,,n=user", b"n,,r=x", b"n,,n=,r=x", b"n,,n=user,r=", b"n,,r=x,n=user", b"n,,m=ext,n=user,r=x",
        b"n,,n=us=er,r=x", b"n,,n=us=2cer,r=x", b"n,,n=user,r=a b", b"n,,n=user,r=x,", b"n,,n=user,r=x,ext", b"n,,n=\xff,r=x",
        b"n,,n=a\0b,r=x", b"n,,n=a\x07b,r=x", b"n,,n=\xc2\xad,r=x", b"n,a=\xff,n=user,r=x", b"x,,n=user,r=x",
        b"p=,,n=user,r=x", b"N,,n=user,r=x", b"n,,n=user,r=x\n", b"n,,n=user,r=" + b"x" * 600, b"n,,n=user,r=x\xff",
        b"n,,n=" + b"x" * 321 + b",r=x",
    ],
)  # fmt: skip
def test_what_is_no_first_message(first: bytes) -> None:
    with pytest.raises(Malformed):
        Scram("SCRAM-SHA-256", None, NONCE).take(first)


@pytest.mark.parametrize(
    ("mechanism", "flag", "end_point", "fault"),
    [
        ("SCRAM-SHA-256", b"n", None, None),
        ("SCRAM-SHA-256", b"n", END_POINT, None),
        ("SCRAM-SHA-256", b"y", None, None),
        # RFC 5802 section 6: the client could bind, and we offered it, but it did not see that.
        ("SCRAM-SHA-256", b"y", END_POINT, Unbound),
        ("SCRAM-SHA-256", b"p=tls-server-end-point", END_POINT, Malformed),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point", END_POINT, None),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique", END_POINT, Unbound),
        ("SCRAM-SHA-256-PLUS", b"p=tls-exporter", END_POINT, Unbound),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point", None, Unbound),
        ("SCRAM-SHA-256-PLUS", b"n", END_POINT, Malformed),
        ("SCRAM-SHA-256-PLUS", b"y", END_POINT, Malformed),
    ],
)
def test_how_the_client_wants_to_be_bound(mechanism: str, flag: bytes, end_point: bytes | None, fault: type[Exception] | None) -> None:
    exchange = Scram(mechanism, end_point, NONCE)
    if fault is None:
        assert exchange.take(flag + b",,n=user,r=x") == KeysWanted("user")
    else:
        with pytest.raises(fault):
            exchange.take(flag + b",,n=user,r=x")


@pytest.mark.parametrize(
    "final",
    [
        b"", b"x", FINAL[:-1], FINAL + b",x=y",
        FINAL.replace(b"hvYD", b"hvYE"), FINAL.replace(b"c=biws,", b""), FINAL.replace(b"p=", b"P="),
        FINAL.replace(b",r=", b",q="), FINAL.replace(b"VQ=", b"VQ"), FINAL + b"\n", b"r=rOprNGfwEbeRWgbNEkqO" + NONCE,
    ],
)  # fmt: skip
def test_what_is_no_final_message(final: bytes) -> None:
    with pytest.raises(Malformed):
        begun().take(final)


@pytest.mark.parametrize(
    ("mechanism", "first", "bound"),
    [
        ("SCRAM-SHA-256", b"n,,", b"y,,"),
        ("SCRAM-SHA-256", b"n,,", b"n,a=x,"),
        ("SCRAM-SHA-256", b"n,,", b"n,," + END_POINT),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", b"p=tls-server-end-point,,"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", b"p=tls-server-end-point,," + b"\x02" * 32),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", b"n,," + END_POINT),
    ],
)
def test_who_is_bound_to_something_else_is_not_believed(mechanism: str, first: bytes, bound: bytes) -> None:
    exchange = begun(mechanism, first + b"n=user,r=x", END_POINT if mechanism.endswith("PLUS") else None)
    with pytest.raises(Unbound):
        exchange.take(b"c=" + b64encode(bound) + b",r=x" + NONCE + b",p=" + b64encode(bytes(32)))


def test_extensions_are_signed_and_passed_over() -> None:
    step = begun().take(FINAL.replace(b",p=", b",x=new,p="))
    assert isinstance(step, Claimed)
    assert isinstance(step.claim, ScramProof)
    assert step.claim.signed.endswith(b",x=new")
    assert not is_proved(step.claim), "the proof was for a message without it"


PIECES = [
    b"n",
    b"y",
    b"p=",
    b"tls-server-end-point",
    b",",
    b"n=",
    b"r=",
    b"a=",
    b"c=",
    b"biws",
    b"m=x",
    b"=2C",
    b"=",
    b"\0",
    b"\xff",
    b"user",
]


@given(st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_any_octets_are_a_step_or_malformed(message: bytes) -> None:
    for exchange in (Scram("SCRAM-SHA-256", None), Scram("SCRAM-SHA-256-PLUS", END_POINT), begun()):
        try:
            step = exchange.take(message)
        except (Malformed, Unbound):
            continue
        assert isinstance(step, KeysWanted)


def test_nonces_are_our_own() -> None:
    said = set()
    for _ in range(50):
        exchange = Scram("SCRAM-SHA-256", None)
        exchange.take(FIRST)
        challenge = exchange.found(KEYS)
        assert isinstance(challenge, Challenge)
        said.add(challenge.octets)
    assert len(said) == 50


def test_keys_agree_with_another_implementation() -> None:
    salt, stored, server, iterations = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info("größe", 5000, b"0123456789abcdef")
    assert keys_of("größe", b"0123456789abcdef", 5000) == ScramKeys(bytes(salt), int(iterations), stored, server)


@pytest.mark.parametrize("password", ["", "\u00ad", "\x07", "a\U0001f600"])
def test_a_password_that_no_client_could_send_has_no_keys(password: str) -> None:
    with pytest.raises(Unprepared):
        keys_of(password, b"salt", 4096)


def test_nobodys_keys_are_stable_and_look_like_anybodys() -> None:
    keys = keys_of_nobody(b"secret", b"a@b.c", 60_000)
    assert keys == keys_of_nobody(b"secret", b"a@b.c", 60_000)
    real = keys_of("x", b"0" * 16, 4096)
    assert [len(part) for part in (keys.salt, keys.stored_key, keys.server_key)] == [
        len(part) for part in (real.salt, real.stored_key, real.server_key)
    ]
    others = {keys_of_nobody(b"secret", b"a@b.d", 60_000).salt, keys_of_nobody(b"other", b"a@b.c", 60_000).salt}
    assert len(others | {keys.salt}) == 3
