"""Keys, their records, and what is signed with them."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.dkim import BadSignature
from gateway.signatures import PrivateKey, new_key, read_key, read_record, record, zone_line

RSA, ED25519 = new_key("rsa"), new_key("ed25519")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "rsa"), (ED25519, "ed25519")])
def test_what_is_signed_holds_with_the_record_and_with_no_other(key: object, algorithm: str) -> None:
    made = RSA if algorithm == "rsa" else ED25519
    private = PrivateKey(made.private)
    public = read_record(record(algorithm, made.public).encode())
    signature = private.sign(b"octets")
    public.verify(private.spelled, b"octets", signature)
    other = read_record(record(algorithm, new_key(algorithm).public).encode())
    for judge, octets, said in ((public, b"others", signature), (other, b"octets", signature), (public, b"octets", b"x" * 64)):
        with pytest.raises(BadSignature):
            judge.verify(private.spelled, octets, said)
    for spelled in (b"rsa-sha1", b"ed25519-sha256" if algorithm == "rsa" else b"rsa-sha256", b""):
        with pytest.raises(BadSignature):
            public.verify(spelled, b"octets", signature)


def test_the_example_of_rfc_8463() -> None:
    """Appendix A.2: the public key of this seed."""
    seed = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = read_record(b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    public.verify(b"ed25519-sha256", b"x", PrivateKey(der).sign(b"x"))


@pytest.mark.parametrize("bits", [0, 512, 1023, 4097, 100_000])
def test_keys_of_no_use_are_not_made(bits: int) -> None:
    with pytest.raises(ValueError):
        new_key("rsa", bits)


def test_what_is_no_private_key() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for octets in (b"", b"x", curve, RSA.public):
        with pytest.raises(ValueError):
            PrivateKey(octets)


def test_a_key_says_nothing_of_its_private_half() -> None:
    assert repr(RSA.private)[:20] not in repr(RSA)
    assert "private" not in repr(PrivateKey(RSA.private))


def p(public: bytes = ED25519.public) -> str:
    return base64.b64encode(public).decode()


GOOD = ["p={}", "v=DKIM1; p={}", "v=DKIM1;p={};", "n=note; h=sha1:sha256; s=email; p={}", "s=*; t=y; p={}", "p = {} ; x=unknown"]


@pytest.mark.parametrize("text", GOOD)
def test_records_that_are_taken(text: str) -> None:
    assert read_record(text.format(p(RSA.public)).encode()).bits == 2048
    spread = text.format(" ".join(re.findall(".{1,50}", p(RSA.public))))
    assert read_record(spread.encode()).bits == 2048


@pytest.mark.parametrize(
    "text",
    ["", "v=DKIM1", "v=DKIM2; p={}", "p=", "p=%%%", "p=AAAA", "k=ed25519; p={}", "k=dsa; p={}",
     "h=sha1; p={}", "s=tlsrpt; p={}", "p={}; p={}"],
)  # fmt: skip
def test_records_with_which_nothing_holds(text: str) -> None:
    with pytest.raises(BadSignature):
        read_record(text.format(p(RSA.public), p()).encode())


def test_weak_and_enormous_keys_are_not_computed_with() -> None:
    """RFC 8301 section 3.2; who publishes a key must not decide how long we compute."""
    weak = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    huge = rsa.RSAPublicNumbers(65537, (1 << 8192) + 1)
    slow = rsa.RSAPublicNumbers((1 << 1000) + 1, weak.n)
    for numbers in (huge, slow):
        try:
            der = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except ValueError:
            continue
        with pytest.raises(BadSignature):
            read_key(b"rsa", der)


def test_rsa_keys_are_read_in_both_spellings() -> None:
    """RFC 6376 section 3.6.1 says RSAPublicKey, its examples and everybody else SubjectPublicKeyInfo."""
    key = rsa.generate_private_key(65537, 1024).public_key()
    assert read_key(b"rsa", key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).bits == 1024


def test_records_are_cut_as_zone_files_need_it() -> None:
    text = record("rsa", RSA.public)
    line = zone_line("s._domainkey.acme.test", text)
    strings = re.findall(r'"([^"]*)"', line)
    assert line.startswith("s._domainkey.acme.test. IN TXT (\n")
    assert "".join(strings) == text
    assert [len(one) for one in strings[:-1]] == [255] * (len(strings) - 1)
    assert zone_line("x", "short") == 'x. IN TXT "short"'


@given(st.binary(max_size=400))
def test_whatever_the_dns_says_it_is_read_or_refused(text: bytes) -> None:
    for octets in (text, b"p=" + base64.b64encode(text), b"k=ed25519; p=" + base64.b64encode(text)):
        try:
            read_record(octets)
        except BadSignature:
            pass
