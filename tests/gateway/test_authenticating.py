"""Is what we say of others' signatures right? They are made by dkimpy, and by ourselves, whole and spoilt."""

import asyncio
import base64
import time
from dataclasses import dataclass, field

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import authenticating
from gateway.authenticating import Authenticating
from gateway.message.arc import Validation
from gateway.origin import Findings, Seal
from gateway.resolver import Silent
from gateway.signatures import new_key, record
from gateway.signing import SigningRules, _made
from store.dkim import KeyId, KeyRow

KEY = generate_private_key(65537, 1024)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
SEED = new_key("ed25519")
RAW = base64.b64encode(SEED.private[-32:])
OURS = new_key("rsa", 1024)
ROW = KeyRow(KeyId(9), "lists.test", "r", "rsa", OURS.private, OURS.public, 0, 1, None)
MAIL = (
    b"From: Rita <rita@origin.test>\r\nTo: team@lists.test\r\nSubject:  two  words \r\n\t and a fold\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@origin.test>\r\n\r\nHello \t  there\r\n\r\nbye\r\n\r\n\r\n"
)


@dataclass
class Published:
    """TXT records without a network."""

    zone: dict[str, list[bytes]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    async def of(self, name: str) -> list[bytes]:
        if name in self.broken:
            raise Silent(name)
        return self.zone.get(name, [])


@pytest.fixture
def zone() -> Published:
    return Published(
        {
            "s._domainkey.origin.test": [record("rsa", PUBLIC).encode()],
            "e._domainkey.origin.test": [record("ed25519", SEED.public).encode()],
            "r._domainkey.lists.test": [record("rsa", OURS.public).encode()],
        }
    )


async def found(zone: Published, octets: bytes, *trusted: str, neighbour: bool = True) -> Findings | None:
    return await Authenticating(zone, trusted).findings(octets, from_neighbour=neighbour)  # type: ignore[arg-type]


async def results(zone: Published, octets: bytes) -> list[str]:
    """The words of the DKIM results."""
    findings = await found(zone, octets)
    assert findings is not None
    return [one.split()[0].removeprefix("dkim=") for one in findings.results if one.startswith("dkim")]


def by_dkimpy(octets: bytes = MAIL, **more: object) -> bytes:
    return bytes(dkim.sign(octets, b"s", b"origin.test", PEM, **more)) + octets


@pytest.mark.parametrize("head", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("ed25519", [False, True])
async def test_what_dkimpy_signs_holds_and_spoilt_it_does_not(zone: Published, head: bytes, body: bytes, ed25519: bool) -> None:
    how = (b"e", b"origin.test", RAW) if ed25519 else (b"s", b"origin.test", PEM)
    algorithm = b"ed25519-sha256" if ed25519 else b"rsa-sha256"
    octets = dkim.sign(MAIL, *how, canonicalize=(head, body), signature_algorithm=algorithm) + MAIL
    assert await results(zone, octets) == ["pass"]
    for was, becomes in ((b"Rita", b"Rosa"), (b"bye", b"hey"), (b"a fold", b"a fold x")):
        assert await results(zone, octets.replace(was, becomes)) == ["fail"], was
    assert await results(zone, octets.replace(b"two  words", b"two words")) == ["pass" if head == b"relaxed" else "fail"]
    assert await results(zone, octets.replace(b"\t  there", b" there ")) == ["pass" if body == b"relaxed" else "fail"]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"\xc3\xa4", b"\r\n\r\n"]), max_size=20).map(b"".join),
    st.sampled_from([b"simple", b"relaxed"]),
    st.sampled_from([b"simple", b"relaxed"]),
)
async def test_messages_of_all_shapes(body: bytes, head: bytes, form: bytes) -> None:
    zone = Published({"s._domainkey.origin.test": [record("rsa", PUBLIC).encode()]})
    octets = by_dkimpy(MAIL + body + b"end\r\n", canonicalize=(head, form))
    assert await results(zone, octets) == ["pass"]


def tagged(octets: bytes, was: bytes, becomes: bytes) -> bytes:
    assert was in octets
    return octets.replace(was, becomes, 1)


async def test_each_way_not_to_hold_has_its_word(zone: Published) -> None:
    octets = by_dkimpy()
    now = int(time.time())
    signed_at = f"t={octets.partition(b't=')[2].partition(b';')[0].decode()}"
    spoilt = {
        "neutral": [
            tagged(octets, b"v=1", b"v=2"),
            tagged(octets, b"v=1; ", b""),
            tagged(octets, b"d=origin.test", b"d="),
            tagged(octets, b"q=dns/txt", b"q=other"),
            tagged(octets, b"s=s;", b"s=..;"),
            tagged(octets, b"a=rsa", b"a=rsa; a=rsa"),
        ],
        "permerror": [
            tagged(octets, b"s=s;", b"s=none;"),
            tagged(octets, b"i=@origin.test", b"i=@evil.test"),
            tagged(octets, b"d=origin.test", b"d=elsewhere.test"),
            tagged(octets.replace(b": from", b": form"), b"h=from", b"h=form"),
        ],
        "fail": [
            tagged(octets, b"a=rsa-sha256", b"a=rsa-sha1"),
            tagged(octets, signed_at.encode(), f"t={now + 9999}".encode()),
            tagged(octets, signed_at.encode(), f"x={now - 9999}".encode()),
            tagged(octets, b"c=relaxed/simple", b"c=none"),
            tagged(octets, b"bh=", b"bh=%"),
        ],
    }
    for word, some in spoilt.items():
        for one in some:
            assert await results(zone, one) == [word], one[:300]
    zone.broken.add("s._domainkey.origin.test")
    assert await results(zone, octets) == ["temperror"]
    zone.broken.clear()
    for text, word in (([b"p="], "permerror"), ([b"x", b"y"], "permerror"), ([b"k=ed25519; p=AAAA"], "permerror")):
        zone.zone["s._domainkey.origin.test"] = text
        assert await results(zone, octets) == [word]


async def test_a_part_of_a_body_is_not_the_body(zone: Published) -> None:
    octets = by_dkimpy(length=True)
    assert await results(zone, octets) == ["pass"]
    assert await results(zone, octets + b"buy this\r\n") == ["policy"]


async def test_a_strict_key_is_for_its_very_domain(zone: Published) -> None:
    octets = bytes(dkim.sign(MAIL, b"s", b"origin.test", PEM, identity=b"x@sub.origin.test")) + MAIL
    assert await results(zone, octets) == ["pass"]
    zone.zone["s._domainkey.origin.test"] = [b"t=s; " + record("rsa", PUBLIC).removeprefix("v=DKIM1; ").encode()]
    assert await results(zone, octets) == ["permerror"]
    assert await results(zone, by_dkimpy()) == ["pass"]


async def test_many_signatures_cost_ten_questions_at_most(zone: Published) -> None:
    octets = by_dkimpy()
    assert len(await results(zone, octets.partition(b"From: ")[0] * 40 + MAIL)) == 10


class Mute(Published):
    """A DNS that keeps its peace."""

    async def of(self, name: str) -> list[bytes]:
        await asyncio.Event().wait()
        return []


async def test_a_dns_that_keeps_its_peace_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "PATIENCE", 0.05)
    mute = Mute()
    assert await results(mute, by_dkimpy()) == ["temperror"]
    assert await found(mute, sealed(MAIL, Validation.NONE)) is None


async def test_a_body_is_hashed_so_often_and_no_more(zone: Published) -> None:
    cut = [tagged(by_dkimpy(length=True), b"l=", b"l=%d" % number).partition(b"From: ")[0] for number in range(1, 9)]
    assert await results(zone, b"".join(cut) + by_dkimpy()) == ["fail"] * 9
    assert await results(zone, by_dkimpy().partition(b"From: ")[0] * 9 + MAIL) == ["pass"] * 9


async def test_a_message_without_signatures(zone: Published) -> None:
    assert await found(zone, MAIL) == Findings(("dkim=none", "arc=none"), Validation.NONE)


@pytest.mark.parametrize(("neighbour", "expected"), [(True, ("spf=pass", "dkim=pass", "arc=none")), (False, ("dkim=none", "arc=none"))])
async def test_who_is_believed(zone: Published, neighbour: bool, expected: tuple[str, ...]) -> None:
    octets = b"Authentication-Results: front.test; spf=pass; dkim=pass; arc=fail\r\n" + MAIL
    findings = await found(zone, octets, "front.test", neighbour=neighbour)
    assert findings is not None
    assert tuple(findings.results) == expected


# --- chains


def sealed(octets: bytes, validation: Validation) -> bytes:
    seal = Seal("lists.test", Findings((f"arc={validation}",), validation))
    return _made(octets, (), ROW, seal, int(time.time()), SigningRules("mx.lists.test")) + octets


async def chain(zone: Published, octets: bytes) -> Validation | None:
    findings = await found(zone, octets)
    return None if findings is None else findings.chain


async def test_our_chains_hold_and_spoilt_they_do_not(zone: Published) -> None:
    octets = MAIL
    validation = Validation.NONE
    for _ in range(3):
        octets = b"X-Changed: here\r\n" + sealed(octets, validation)
        validation = Validation.PASS
        assert await chain(zone, octets) is validation
    for was, becomes in (
        (b"bye", b"hey"),
        (b"cv=none", b"cv=pass"),
        (b"i=2;", b"i=5;"),
        (b"arc=none", b"arc=best"),
        (b"i=1; a=", b"i=1;a="),
    ):
        spoilt = tagged(octets, was, becomes)
        assert await chain(zone, spoilt) is Validation.FAIL, was
    zone.broken.add("r._domainkey.lists.test")
    assert await found(zone, octets) is None


async def test_dkimpy_says_the_same_of_our_chains(zone: Published) -> None:
    octets = sealed(b"X: y\r\n" + sealed(MAIL, Validation.NONE), Validation.PASS)
    said, _, _ = dkim.ARC(octets).verify(dnsfunc=lambda name, timeout=5: zone.zone[name.decode().rstrip(".")][0])
    assert said == b"pass"


async def test_a_chain_that_failed_is_sealed_alone_and_no_further(zone: Published) -> None:
    octets = sealed(MAIL, Validation.NONE).replace(b"bye", b"hey")
    assert await chain(zone, octets) is Validation.FAIL
    failed = sealed(octets, Validation.FAIL)
    assert failed.count(b"ARC-Seal: i=2; cv=fail") == 1
    assert await chain(zone, failed) is Validation.FAIL
    assert sealed(failed, Validation.FAIL) == failed


async def test_fifty_are_enough(zone: Published) -> None:
    octets = MAIL
    for number in range(1, 52):
        octets = sealed(octets, Validation.PASS if number > 1 else Validation.NONE)
    assert octets.count(b"ARC-Seal:") == 50
    assert await chain(zone, octets) is Validation.PASS


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]).flatmap(
    lambda name: st.text("i=1;vbhdsaq,@:/.\x7fä\t ", max_size=60).map(lambda value: f"{name}: {value}\r\n")), max_size=9))  # fmt: skip
async def test_whatever_comes_something_is_found_out(lines: list[str]) -> None:
    findings = await found(Published(), "".join(lines).encode() + MAIL)
    assert findings is not None
    assert all(one.isascii() and one.isprintable() for one in findings.results)
