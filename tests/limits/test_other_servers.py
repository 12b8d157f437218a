"""What an issuer, a DNS server, a policy's host, a list's member or an administrator may have us read, at the limit and one past it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway import control
from gateway.dane import MOST_CERTIFICATES, MOST_RECORDS, Tlsa, anchors, usable
from gateway.directory.accounts import MOST_PASSWORD
from gateway.documents import LARGEST, Document, Unavailable, _document
from gateway.exchangers import MOST_ADDRESSES, MOST_HOSTS
from gateway.list_commands import MOST_BODY, MOST_LINES, request
from gateway.message.split import read_header
from gateway.prov.run import Ended, Request, Said
from gateway.sasl.exchange import Malformed
from gateway.sasl.scram import _LONGEST_NAME, _LONGEST_NONCE, Scram
from gateway.signatures import LONGEST_RECORD, MOST_BITS, BadSignature, read_key, read_record
from gateway.sts import LARGEST as LARGEST_POLICY
from gateway.sts import MOST_EXCHANGERS, BadPolicy, read_policy
from gateway.textrecords import MOST as MOST_TEXTS
from gateway.textrecords import TextRecords
from gateway.tokens import LONGEST, MOST_KEYS, TokenRules, Untrusted, header, read_keys
from tests.gateway.administration import Office, opened_office
from tests.gateway.test_control import asked, running
from tests.gateway.test_exchangers import asking
from tests.live.issuer import Issuer, signed
from tests.live.names import Names


def token(size: int) -> object:
    rules = TokenRules("https://issuer.test", ["us"], "email", ["ES256"], leeway=30)
    for more in range(4):
        start = signed({"alg": "ES256"}, {"x": "y" * more}, None)
        left = size - len(start)
        if left % 4 != 1:  # base64 has no such length
            return header(start + "e" * left, rules)
    raise AssertionError(size)


def policy(octets: int = 0, exchangers: int = 1) -> object:
    said = b"version: STSv1\nmode: enforce\nmax_age: 86400\n" + b"".join(b"mx: m%d.test\n" % number for number in range(exchangers))
    return read_policy(said + b"x: " + b"y" * (octets - len(said) - 3) if octets else said)


def nonce(size: int) -> object:
    return Scram("SCRAM-SHA-256", None, b"ours").take(b"n,,n=user,r=" + b"n" * size)


def name(size: int) -> object:
    return Scram("SCRAM-SHA-256", None, b"ours").take(b"n,,n=" + b"u" * size + b",r=nonce")


def key_record(size: int) -> object:
    said = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; n="
    return read_record(said + b"x" * (size - len(said)))


def document(size: int) -> Document:
    return _document(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size, LARGEST)


@pytest.mark.parametrize(
    ("said", "limit", "fault"),
    [
        (token, LONGEST, Untrusted),
        (policy, LARGEST_POLICY, BadPolicy),
        (partial(policy, 0), MOST_EXCHANGERS, BadPolicy),
        (nonce, _LONGEST_NONCE, Malformed),
        (name, _LONGEST_NAME, Malformed),
        (key_record, LONGEST_RECORD, BadSignature),
        (document, LARGEST, Unavailable),
    ],
    ids=["token", "policy", "exchangers of a policy", "nonce", "name", "key record", "document"],
)
def test_one_more_is_refused(said: Callable[[int], object], limit: int, fault: type[Exception]) -> None:
    assert said(limit)
    with pytest.raises(fault):
        said(limit + 1)


def test_keys_of_an_issuer() -> None:
    (key,) = [one for one in Issuer(1).jwks["keys"] if one["kty"] == "EC"]

    def read(count: int) -> list[str | None]:
        return [one.id for one in read_keys(json.dumps({"keys": [{**key, "kid": f"{number}"} for number in range(count)]}).encode())]

    assert len(read(MOST_KEYS)) == MOST_KEYS
    assert read(MOST_KEYS + 1) == read(MOST_KEYS)


def test_records_of_a_certificate() -> None:
    def taken(count: int) -> int:
        return len(usable([Tlsa(3, 1, 1, number.to_bytes(32, "big")) for number in range(count)]))

    assert (taken(MOST_RECORDS), taken(MOST_RECORDS + 1)) == (MOST_RECORDS, MOST_RECORDS)


def test_certificates_of_a_chain() -> None:
    wanted = [Tlsa(2, 0, 1, hashlib.sha256(b"the authority").digest())]

    def found(place: int) -> list[bytes]:
        return anchors(wanted, [b"another"] * place + [b"the authority"])

    assert found(MOST_CERTIFICATES - 1) == [b"the authority"]
    assert found(MOST_CERTIFICATES) == []


def test_bits_of_a_key() -> None:
    def read(bits: int) -> object:
        numbers = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1)
        return read_key(b"rsa", numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    assert read(MOST_BITS)
    with pytest.raises(BadSignature):
        read(MOST_BITS + 1)


async def test_answers_of_the_dns() -> None:
    zone: dict[str, dict[str, list[str]]] = {}
    for more in (0, 1):
        zone[f"texts{more}.test"] = {"TXT": [f'"{number}"' for number in range(MOST_TEXTS + more)]}
        zone[f"hosts{more}.test"] = {"MX": [f"{10 + number} h{number}.test." for number in range(MOST_HOSTS + more)]}
        zone[f"addresses{more}.test"] = {"A": [f"192.0.2.{number + 1}" for number in range(MOST_ADDRESSES + more)]}
        zone[f"absent{more}.test"] = {"MX": [f"{10 + number} nowhere{number}.test." for number in range(MOST_HOSTS - 1 + more)]}
        zone[f"absent{more}.test"]["MX"].append("99 h0.test.")
    for number in range(MOST_HOSTS + 1):
        zone[f"h{number}.test"] = {"A": [f"198.51.100.{number + 1}"]}
    names = Names(zone)
    try:
        records = TextRecords([("127.0.0.1", names.port)])
        assert [len(await records.of(f"texts{more}.test")) for more in (0, 1)] == [MOST_TEXTS] * 2
        for what in ("hosts", "addresses"):
            found = [len(await asking(names).peers(f"{what}{more}.test")) for more in (0, 1)]
            assert found == [MOST_ADDRESSES] * 2, what
        # The tenth is still asked for its address, and the eleventh is not.
        assert len(await asking(names).peers("absent0.test")) == 1
        with pytest.raises(Exception, match="none of the servers"):
            await asking(names).peers("absent1.test")
    finally:
        names.close()


@pytest.mark.parametrize(
    ("limit", "text"),
    [(MOST_LINES, lambda n: "\r\n" * (n - 1)), (MOST_BODY, lambda n: "\r\n" + " " * (n - len("\r\nsubscribe")))],
    ids=["lines", "octets"],
)
def test_how_far_a_mail_to_a_list_is_read(limit: int, text: Callable[[int], str]) -> None:
    def read(size: int) -> object:
        octets = f"Subject: hello\r\nContent-Type: text/plain\r\n\r\n{text(size)}subscribe".encode()
        return request(octets, read_header(octets))

    assert read(limit) is not None
    assert read(limit + 1) is None


async def test_a_password(tmp_path: Path) -> None:
    async with opened_office(tmp_path) as office:
        await office.done("cd acme.test")
        assert await created(office, "x" * MOST_PASSWORD) == 0
        assert await created(office, "x" * (MOST_PASSWORD + 1)) == 1
        assert await created(office, "ü" * (MOST_PASSWORD // 2) + "x") == 1, "octets are counted"


async def created(office: Office, password: str) -> int:
    return (await office.ask(Request("prov", ("createAccount", f"n{len(password)}@acme.test", password)))).status


async def test_calls_of_administrators_at_once(tmp_path: Path) -> None:
    async with running(tmp_path):
        with ExitStack() as waiting:
            for _ in range(control.CONNECTIONS - 1):
                _, writer = await asyncio.open_unix_connection(str(tmp_path / control.SOCKET))
                waiting.callback(writer.close)
            await asyncio.sleep(0.05)
            assert await asked(tmp_path, Request("prov", ("gad",))) == [Said(""), Ended(0)]
            await asyncio.sleep(0.05)
            _, writer = await asyncio.open_unix_connection(str(tmp_path / control.SOCKET))
            waiting.callback(writer.close)
            await asyncio.sleep(0.05)
            told = await asked(tmp_path, Request("prov", ("gad",)))
            assert told[-1] == Ended(1)
            assert "too many calls at once" in str(told[0])
