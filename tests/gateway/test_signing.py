"""Who signs which message, with which keys, and how often that is computed; that it holds is judged by dkimpy."""

import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import signing
from gateway.message.arc import Validation
from gateway.origin import Findings, Origin, Seal, marked
from gateway.outgoing import on_the_wire
from gateway.signatures import new_key, record
from gateway.signing import Signing, SigningRules
from policy.identity import AccountId
from store.dkim import ActivateKey, KeepKey
from store.model import BlobId, QueueId, QueueKind, QueueRow, QueueState
from store.port import Store
from tests.gateway.house import SECOND, House, opened
from tests.live.judges import dkimpy

RULES = SigningRules("mx.acme.test")
MAIL = b"From: Anna <anna@acme.test>\r\nTo: x@far.test\r\nSubject: hello\r\n\r\nHello\r\n"
KEYS = {"rsa": new_key("rsa", 1024), "ed25519": new_key("ed25519")}
ROW = QueueRow(
    id=QueueId(1),
    accepted="q1",
    kind=QueueKind.RELAY,
    state=QueueState.LEASED,
    due=0,
    lease="l",
    recipient="x@far.test",
    reverse_path="anna@acme.test",
    account=None,
    sender=AccountId(1),
    parameters="{}",
    blob=BlobId(1),
    size=1,
    created=0,
    expires=1,
    attempts=1,
    last_attempt=None,
    last_reply="",
    destination="far.test",
    stopped=False,
    warned=False,
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", relays=True) as house:
        house.clock.at = int(time.time()) * SECOND  # dkimpy believes no signature from the future
        yield house


async def key(store: Store, domain: str, algorithm: str = "rsa", selector: str = "") -> None:
    made = KEYS[algorithm]
    selector = selector or algorithm
    await store.do(KeepKey(domain, selector, algorithm, made.private, made.public))
    await store.do(ActivateKey(domain, selector))


def who(octets: bytes) -> list[str]:
    """d= of each signature."""
    head = octets.partition(b"\r\n\r\n")[0].decode()
    return [one.partition("d=")[2].partition(";")[0] for one in head.split("DKIM-Signature:")[1:]]


def holds(octets: bytes) -> list[bool]:
    records = {f"{name}._domainkey.{domain}": record(name, one.public) for name, one in KEYS.items() for domain in set(who(octets))}
    return dkimpy(octets, records)


async def test_no_key_no_signature(house: House) -> None:
    assert await Signing(house.store, RULES).signed(ROW, MAIL) == MAIL


@pytest.mark.parametrize("by", [-365 * 86400, -86400, 86400, 365 * 86400])
async def test_a_signature_is_dated_by_the_clock_of_now_however_it_was_set(house: House, by: int) -> None:
    await key(house.store, "acme.test")
    signs = Signing(house.store, SigningRules("mx.acme.test", expires=600))
    dated = []
    for seconds in (0, by):
        house.clock.turn(seconds)
        octets = await signs.signed(ROW, MAIL)
        now = house.clock.at // SECOND
        dated.append(b"t=%d;" % now in octets and b"x=%d;" % (now + 600) in octets)
    assert dated == [True, True], "what was computed by the clock before is not used again"


@pytest.mark.parametrize(
    ("from_", "keys", "parents", "expected"),
    [
        ("anna@acme.test", ["acme.test"], False, ["acme.test"]),
        ("anna@ACME.Test", ["acme.test"], False, ["acme.test"]),
        ("anna@host.acme.test", ["acme.test"], False, []),
        ("anna@host.acme.test", ["acme.test"], True, ["acme.test"]),
        ("anna@a.b.acme.test", ["b.acme.test", "acme.test"], True, ["b.acme.test"]),
        ("anna@acme.test", ["test"], True, []),
        ("anna@xacme.test", ["acme.test"], True, []),
        ("anna@bücher.test", ["xn--bcher-kva.test"], False, ["xn--bcher-kva.test"]),
        ("anna@acme.test, otto@other.test", ["acme.test", "other.test"], False, ["acme.test", "other.test"]),
        ("anna@acme.test, otto@other.test", ["other.test"], False, ["other.test"]),
        ("anna@host.acme.test, bo@acme.test", ["acme.test"], True, ["acme.test"]),
    ],
)
async def test_the_domain_of_from(house: House, from_: str, keys: list[str], parents: bool, expected: list[str]) -> None:
    for domain in keys:
        await key(house.store, domain)
    rules = dataclasses.replace(RULES, parents=parents)
    octets = MAIL.replace(b"Anna <anna@acme.test>", from_.encode())
    signed = await Signing(house.store, rules).signed(ROW, octets)
    assert who(signed) == expected
    assert signed.endswith(octets)
    assert all(holds(signed))


@pytest.mark.parametrize(
    ("row", "signs"),
    [
        (ROW, True),
        (dataclasses.replace(ROW, sender=None), False),
        (dataclasses.replace(ROW, sender=None, reverse_path=""), False),
        (dataclasses.replace(ROW, sender=None, parameters=marked("{}", Origin(ours=True))), True),
    ],
)
async def test_only_what_was_judged_or_written_here(house: House, row: QueueRow, signs: bool) -> None:
    await key(house.store, "acme.test")
    assert (await Signing(house.store, RULES).signed(row, MAIL) != MAIL) is signs


async def test_of_what_is_resent_it_is_who_resends_it(house: House) -> None:
    """From may then be anybody's (delegation.md section 5.5)."""
    for domain in ("acme.test", "other.test"):
        await key(house.store, domain)
    octets = b"Resent-From: otto@other.test\r\nResent-To: x@far.test\r\n" + MAIL
    assert who(await Signing(house.store, RULES).signed(ROW, octets)) == ["other.test"]


@pytest.mark.parametrize(
    "octets", [b"", b"To: x\r\n\r\n", b"From: \r\n\r\n", b"From: a b c\r\n\r\n", b"\x00\xff" * 100, MAIL.replace(b"\r\n", b"\n")]
)
async def test_whatever_leaves_leaves(house: House, octets: bytes) -> None:
    await key(house.store, "acme.test")
    assert (await Signing(house.store, RULES).signed(ROW, octets)).endswith(octets)


@pytest.mark.parametrize("end", [b"no end", b"a bare\nline feed and\rreturn\r\n", b"..dots\r\n.\r\n", "ä".encode() * 5000])
async def test_what_is_signed_is_what_is_sent(house: House, end: bytes) -> None:
    await key(house.store, "acme.test")
    signed = await Signing(house.store, RULES).signed(ROW, MAIL + end)
    assert holds(on_the_wire(signed)) == [True]


async def test_it_is_computed_once_for_several_destinations_and_anew_with_other_keys(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    through = signing._made

    def counted(*arguments: object) -> bytes:
        made.append(1)
        return through(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(signing, "_made", counted)
    await key(house.store, "acme.test")
    one = Signing(house.store, RULES)
    first = await one.signed(ROW, MAIL)
    assert await one.signed(dataclasses.replace(ROW, recipient="y@near.test"), MAIL) == first
    assert len(made) == 1
    await one.signed(dataclasses.replace(ROW, accepted="q2"), MAIL)
    await key(house.store, "acme.test", "ed25519")
    assert holds(await one.signed(ROW, MAIL)) == [True, True]
    assert len(made) == 3
    house.clock.turn(signing.FRESH + 1)
    assert await one.signed(ROW, MAIL) != first
    nameless = dataclasses.replace(ROW, accepted="")
    await one.signed(nameless, MAIL)
    assert b"other" in await one.signed(nameless, MAIL.replace(b"acme.test>", b"acme.test>\r\nX: other"))
    assert len(made) == 6


async def test_a_key_that_cannot_be_used_costs_the_signature_and_not_the_mail(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.store.do(KeepKey("acme.test", "bad", "rsa", b"nonsense", b""))
    await house.store.do(ActivateKey("acme.test", "bad"))
    assert await Signing(house.store, RULES).signed(ROW, MAIL) == MAIL
    assert caplog.records[-1].getMessage() == "dkim"
    assert "nonsense" not in str(caplog.records[-1].__dict__)


# --- seals

SEAL = Seal("lists.test", Findings(("dkim=none", "arc=none"), Validation.NONE))
POSTED = dataclasses.replace(ROW, sender=None, parameters=marked("{}", Origin(seal=SEAL)))


@pytest.mark.parametrize(
    ("keys", "sealer", "expected"),
    [
        ([("lists.test", "rsa")], "", "lists.test"),
        ([("lists.test", "rsa"), ("acme.test", "rsa")], "acme.test", "acme.test"),
        ([("lists.test", "ed25519")], "", None),
        ([("acme.test", "rsa")], "", None),
        ([("lists.test", "rsa")], "acme.test", None),
    ],
)
async def test_who_seals(house: House, keys: list[tuple[str, str]], sealer: str, expected: str | None) -> None:
    for domain, algorithm in keys:
        await key(house.store, domain, algorithm)
    one = Signing(house.store, dataclasses.replace(RULES, sealer=sealer))
    async with house.store.snapshot() as snapshot:
        assert await one.seals(snapshot, "lists.test") is (expected is not None)
    signed = await one.signed(POSTED, MAIL)
    assert who(signed) == [], "nobody has judged its From"
    assert [line.partition(b":")[0] for line in signed.split(b"\r\n") if line.startswith(b"ARC")] == (
        [] if expected is None else [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]
    )
    if expected is not None:
        assert f"cv=none; a=rsa-sha256; d={expected};".encode() in signed


async def test_a_chain_that_was_not_looked_at_is_none_that_held(house: House) -> None:
    """The fields changed between arrival and departure: whatever the reason, we do not vouch for it."""
    await key(house.store, "lists.test")
    one = Signing(house.store, RULES)
    sealed = await one.signed(POSTED, MAIL)
    again = await one.signed(dataclasses.replace(POSTED, accepted="q2"), sealed)
    assert b"ARC-Seal: i=2; cv=fail;" in again


async def test_no_more_is_remembered_than_agreed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "REMEMBERED", 3)
    await key(house.store, "acme.test")
    signs = Signing(house.store, RULES)
    for number in range(10):
        await signs.signed(dataclasses.replace(ROW, accepted=f"q{number}"), MAIL)
    assert [work[0] for work in signs._made] == ["q7", "q8", "q9"]
