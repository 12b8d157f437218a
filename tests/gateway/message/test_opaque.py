"""The content of what is signed and not encrypted."""

from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.opaque import signed_content

CONTENT = b"Content-Type: text/plain\r\n\r\nhello\r\n"
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
DATA = bytes.fromhex("06092a864886f70d010701")


def certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    return made.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())


def signed(content: bytes, *options: PKCS7Options) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = PKCS7SignatureBuilder().set_data(content).add_signer(certificate(key), key, hashes.SHA256())
    return builder.sign(Encoding.DER, [PKCS7Options.Binary, *options])


def test_what_a_library_signs_is_read() -> None:
    assert signed_content(signed(CONTENT)) == CONTENT
    long = CONTENT * 10_000
    assert signed_content(signed(long)) == long
    assert signed_content(signed(CONTENT, PKCS7Options.DetachedSignature)) is None


def test_what_is_encrypted_is_not() -> None:
    cert = certificate(rsa.generate_private_key(65537, 2048))
    assert signed_content(PKCS7EnvelopeBuilder().set_data(CONTENT).add_recipient(cert).encrypt(Encoding.DER, [PKCS7Options.Binary])) is None


def element(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    length = bytes((size,)) if size < 0x80 else bytes((0x84,)) + size.to_bytes(4, "big")
    return bytes((tag,)) + length + contents


def open_ended(tag: int, contents: bytes) -> bytes:
    return bytes((tag, 0x80)) + contents + b"\x00\x00"


ALGORITHMS = element(0x31, element(0x30, b"\x06\x01\x01"))


@pytest.mark.parametrize(
    "string",
    [
        element(0x04, CONTENT),
        element(0x24, element(0x04, CONTENT[:9]) + element(0x04, CONTENT[9:])),
        open_ended(0x24, element(0x04, CONTENT[:9]) + element(0x04, CONTENT[9:])),
        open_ended(0x24, open_ended(0x24, element(0x04, CONTENT)) + element(0x24, element(0x04, b""))),
    ],
    ids=range(4),
)
def test_every_form_of_its_lengths(string: bytes) -> None:
    for wrap in (element, open_ended):
        for algorithms in (ALGORITHMS, open_ended(0x31, open_ended(0x30, b"\x06\x01\x01"))):
            inner = wrap(0x30, DATA + wrap(0xA0, string))
            octets = wrap(0x30, SIGNED_DATA + wrap(0xA0, wrap(0x30, b"\x02\x01\x01" + algorithms + inner + element(0x31, b""))))
            assert signed_content(octets) == CONTENT


CHANGES = st.tuples(st.integers(0, 300), st.binary(max_size=6))


@given(
    st.binary(max_size=80)
    | st.integers(0, 300).map(lambda cut: GOOD[:cut])
    | CHANGES.map(lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + 1 :])
)
@settings(max_examples=500)
def test_any_octets_have_a_content_or_none(octets: bytes) -> None:
    found = signed_content(octets)
    assert found is None or isinstance(found, bytes)


GOOD = signed(CONTENT)
BEFORE = b"\x30\x80" + SIGNED_DATA + b"\xa0\x80\x30\x80\x02\x01\x01"


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80" * 500_000,
        BEFORE + b"\x31\x80" * 300_000,
        BEFORE + ALGORITHMS + b"\x30\x80" + DATA + b"\xa0\x80" + b"\x24\x80" * 300_000,
        BEFORE + ALGORITHMS + b"\x30\x80" + DATA + b"\xa0\x80\x24\x80" + b"\x04\x01a" * 300_000,
    ],
    ids=range(4),
)
def test_bombs_take_little_time(octets: bytes) -> None:
    begin = process_time()
    signed_content(octets)
    assert process_time() - begin < 2.5
