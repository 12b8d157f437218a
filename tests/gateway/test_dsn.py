"""What may be asked, and what is told: RFC 3461's parameters as tables, and the reports on a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dsn import (
    BadRequest,
    Requests,
    canonical_mail,
    canonical_rcpt,
    envelope_id,
    of_row,
    original_recipient,
    wants,
    wants_whole,
    without_envelope_id,
)
from gateway.queue import Queue, QueueRules
from gateway.relay import NextHop, Relay
from policy.delivery import Door
from policy.grants import SendRight
from policy.status import AccountStatus
from tests.gateway.house import House, address, letter, opened
from tests.live.next_hop import NextHop as Sink
from tests.live.next_hop import next_hop as listening


@pytest.mark.parametrize(
    ("keyword", "value", "word"),
    [
        ("RET", "full", "RET=FULL"),
        ("RET", "", None),
        ("ENVID", "x" * 100, "ENVID=" + "x" * 100),
        ("ENVID", "x" * 101, None),
        ("ENVID", "a+3D", "ENVID=a+3D"),
        ("ENVID", "a+3d", None),
        ("NOTIFY", "never", "NOTIFY=NEVER"),
        ("NOTIFY", "Success,Delay", "NOTIFY=SUCCESS,DELAY"),
        ("NOTIFY", "SUCCESS,", None),
        ("NOTIFY", "", None),
        ("ORCPT", "rfc822;a@b", "ORCPT=rfc822;a@b"),
        ("ORCPT", "utf-8;a\\x{FC}@b", "ORCPT=utf-8;a\\x{FC}@b"),
        ("ORCPT", "utf-8;aü@b", "ORCPT=utf-8;a\\x{FC}@b"),
        ("ORCPT", "rfc822;aü@b", None),
        ("ORCPT", ";a", None),
        ("ORCPT", "rfc822;", None),
        ("ORCPT", "rfc822;" + "a" * 500, None),
        ("ORCPT", None, None),
    ],
)
def test_words(keyword: str, value: str | None, word: str | None) -> None:
    read = canonical_mail if keyword in ("RET", "ENVID") else canonical_rcpt
    if word is None:
        with pytest.raises(BadRequest):
            read(keyword, value)
    else:
        assert read(keyword, value) == word


def test_what_words_say() -> None:
    assert [wants((), event) for event in ("SUCCESS", "FAILURE", "DELAY")] == [False, True, True]
    assert [wants(("NOTIFY=NEVER",), event) for event in ("SUCCESS", "FAILURE", "DELAY")] == [False, False, False]
    assert [wants(("ORCPT=x;y", "NOTIFY=SUCCESS"), event) for event in ("SUCCESS", "FAILURE", "DELAY")] == [True, False, False]
    assert original_recipient(("ORCPT=rfc822;a+2Bb@c",)) == "rfc822;a+b@c"
    assert original_recipient(("ORCPT=utf-8;a\\x{FC}@b",)) == "utf-8;aü@b"
    assert original_recipient(("ORCPT=utf-8;a\\x{D800}@b",)) == "utf-8;a?@b"
    assert original_recipient(()) == ""
    assert envelope_id(("RET=FULL", "ENVID=a+3Db")) == "a=b"
    assert without_envelope_id(("RET=FULL", "ENVID=a")) == ("RET=FULL",)
    assert wants_whole(("RET=FULL",))
    assert not wants_whole(())
    assert of_row(Requests(("RET=HDRS",), ((), ("NOTIFY=NEVER",))).parameters(1)) == Requests(("RET=HDRS",), (("NOTIFY=NEVER",),))
    assert Requests().parameters(3) == "{}"


@given(st.sampled_from(["NOTIFY", "ORCPT"]), st.text(max_size=40) | st.text("utf-8rfc2;+0A\\x{}ü", max_size=20))
def test_any_value_is_a_word_that_can_be_sent_or_refused(keyword: str, value: str) -> None:
    try:
        word = canonical_rcpt(keyword, value)
    except BadRequest:
        return
    assert word.isascii()
    assert not set(word) & set(" \r\n\0")
    original_recipient((word,))


# --- reports

STRANGER = "stan@elsewhere.test"
MAIL = letter("anna@acme.test", "bruno@acme.test", "Subject: hello")
ASKED = ("NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;B+2B@acme.test")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "dora", "olga", relays=True) as house:
        yield house


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as sink:
        yield sink


async def submit(house: House, who: str, to: str, words: Sequence[str], octets: bytes = MAIL, mail: Sequence[str] = ()) -> None:
    transaction = await house.submission.begin(house.actor(who), house.actor(who).address, False, dsn=mail)
    await transaction.add(address(to), words)
    await transaction.commit(octets)


async def once(house: House, sink: Sink | None = None, delay: float = 3600.0) -> None:
    relay = None if sink is None else Relay(NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False), "mx.acme.test", 5)
    queue = Queue(house.store, house.files, house.delivery, relay, QueueRules(retries=(60.0,), delay=delay, concurrency=4))
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
    if relay is not None:
        await relay.close()


def fields(report: bytes) -> tuple[dict[str, str], dict[str, str], EmailMessage]:
    """About the message, about its one recipient, and what comes back with it."""
    read = message_from_bytes(report, policy=policy.default)
    assert isinstance(read, EmailMessage)
    _, status, returned = read.iter_parts()
    message, recipient = status.iter_parts() if status.is_multipart() else status.get_payload()
    assert isinstance(returned, EmailMessage)
    return dict(message.items()), dict(recipient.items()), returned


async def test_delivery_is_told_to_who_asked(house: House) -> None:
    await submit(house, "anna", "bruno@acme.test", ASKED, mail=("ENVID=a+3Db", "RET=FULL"))
    (report,) = await house.mail("anna")
    message, recipient, returned = fields(report)
    assert message["Original-Envelope-Id"] == "a=b"
    assert (recipient["Action"], recipient["Status"]) == ("delivered", "2.1.5")
    assert recipient["Original-Recipient"] == "rfc822;B+@acme.test"
    assert recipient["Final-Recipient"] == "rfc822; bruno@acme.test"
    assert returned.get_content_type() == "text/rfc822-headers", "RET is for failures"
    assert b"Return-Path: <>" in report.split(b"\r\n\r\n")[0]


@pytest.mark.parametrize("words", [(), ("NOTIFY=NEVER",), ("NOTIFY=FAILURE,DELAY",)])
async def test_and_to_nobody_else(words: tuple[str, ...], house: House) -> None:
    await submit(house, "anna", "bruno@acme.test", words)
    assert len(await house.mail("bruno")) == 1
    assert await house.mail("anna") == []


@pytest.mark.parametrize("door", [Door.LMTP, Door.MX])
async def test_at_every_door(door: Door, house: House) -> None:
    inbound = await house.delivery.begin(door, address("anna@acme.test"), "192.0.2.9", dsn=())
    await inbound.add(address("bruno"), ASKED)
    await inbound.add(address("olga"))
    await inbound.commit(MAIL)
    (report,) = await house.mail("anna")
    assert fields(report)[1]["Action"] == "delivered"
    assert b"olga" not in report


async def test_the_empty_path_is_told_nothing(house: House) -> None:
    inbound = await house.delivery.begin(Door.LMTP, None, "192.0.2.9")
    await inbound.add(address("bruno"), ASKED)
    await inbound.commit(MAIL)
    assert await house.queued() == []


async def test_a_list_is_where_it_was_delivered(house: House) -> None:
    await house.group("team", "bruno", "olga")
    await submit(house, "anna", "team@acme.test", ASKED)
    (report,) = await house.mail("anna")
    assert fields(report)[1]["Final-Recipient"] == "rfc822; team@acme.test"


async def test_held_mail_is_told_when_it_is_delivered(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await submit(house, "anna", "bruno@acme.test", ASKED)
    assert await house.mail("anna") == []
    await house.status("bruno", AccountStatus.ACTIVE)
    await once(house)
    (report,) = await house.mail("anna")
    assert fields(report)[1]["Action"] == "delivered"


async def test_a_next_hop_with_dsn_is_asked_and_tells_itself(house: House, sink: Sink) -> None:
    sink.extensions = (*sink.extensions, "DSN")
    await submit(house, "anna", STRANGER, ASKED, mail=("RET=HDRS", "ENVID=x"))
    await once(house, sink)
    assert len(sink.wait(1)) == 1
    assert "RET=HDRS ENVID=x" in sink.taken[0].options
    assert any("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;B+2B@acme.test" in command for _, command in sink.seen)
    assert await house.mail("anna") == []


async def test_behind_one_without_dsn_nobody_tells(house: House, sink: Sink) -> None:
    await submit(house, "anna", STRANGER, ASKED, mail=("ENVID=x",))
    await submit(house, "anna", STRANGER, ())
    await once(house, sink)
    assert len(sink.wait(2)) == 2
    assert not any("NOTIFY" in command or "ENVID" in command for _, command in sink.seen)
    (report,) = await house.mail("anna")
    message, recipient, _ = fields(report)
    assert (message["Original-Envelope-Id"], recipient["Action"], recipient["Status"]) == ("x", "relayed", "2.1.9")


@pytest.mark.parametrize(
    ("words", "told"), [((), True), (ASKED, True), (("NOTIFY=FAILURE",), True), (("NOTIFY=SUCCESS",), False), (("NOTIFY=NEVER",), False)]
)
async def test_failures_are_told_to_who_did_not_decline(words: tuple[str, ...], told: bool, house: House, sink: Sink) -> None:
    sink.answers[f"RCPT {STRANGER}"] = ["550 5.1.1 nobody"]
    await submit(house, "anna", STRANGER, words, mail=("RET=FULL", "ENVID=x"))
    await once(house, sink)
    assert await house.queued() == []
    reports = await house.mail("anna")
    assert len(reports) == told
    for report in reports:
        message, recipient, returned = fields(report)
        assert (message["Original-Envelope-Id"], recipient["Action"], recipient["Status"]) == ("x", "failed", "5.1.1")
        assert ("Original-Recipient" in recipient) == (words == ASKED)
        assert returned.get_content_type() == "message/rfc822"
        assert b"hello" in report


@pytest.mark.parametrize(
    ("words", "told"), [((), True), (("NOTIFY=DELAY",), True), (("NOTIFY=FAILURE",), False), (("NOTIFY=NEVER",), False)]
)
async def test_delays_are_told_to_who_did_not_decline(words: tuple[str, ...], told: bool, house: House) -> None:
    await submit(house, "anna", STRANGER, words)
    house.clock.turn(3601)
    await once(house)
    reports = await house.mail("anna")
    assert [fields(report)[1]["Action"] for report in reports] == ["delayed"] * told


async def test_no_report_and_no_next_hop_learns_who_really_sent(house: House, sink: Sink) -> None:
    """Delegation.md section 5.8."""
    sink.extensions = (*sink.extensions, "DSN")
    await house.grant("olga", "dora", SendRight.SEND_AS)
    octets = letter("olga@acme.test", "bruno@acme.test", "Subject: hello")
    await submit(house, "dora", "bruno@acme.test", ASKED, octets, ("ENVID=from-dora", "RET=FULL"))
    await submit(house, "dora", STRANGER, ASKED, octets, ("ENVID=from-dora", "RET=FULL"))
    (report,) = await house.mail("olga")
    assert b"dora" not in report
    assert await house.mail("dora") == []
    await once(house, sink)
    sink.wait(1)
    assert "RET=FULL" in sink.taken[0].options
    assert not any("dora" in command for _, command in sink.seen)


async def test_utf_8_has_media_types_of_its_own(house: House) -> None:
    """RFC 6533 section 4."""
    await submit(house, "anna", "bruno@acme.test", ("NOTIFY=SUCCESS", "ORCPT=utf-8;br\\x{FC}no@acme.test"))
    (report,) = await house.mail("anna")
    assert b"Content-Type: message/global-delivery-status\r\n" in report
    assert "Original-Recipient: utf-8;brüno@acme.test".encode() in report
