"""Answering invitations in another's name, which needs `x` on the Calendar: delegation.md section 7, through the submission door."""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterator

import pytest

from tests.live.post import DECISION, Clients, Letter, Postbox, submit
from tests.live.server import PASSWORD, Server

OWNERS = ("plain", "x", "as", "behalf", "x-as", "x-behalf", "inherited", "resting", "gone")
DORA = "Dora Delegate <dora@acme.test>"
REFUSED = "550 5.7.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("invitations"))
    server.directory.mkdir(exist_ok=True)
    server.prov(
        "createDomain acme.test",
        "createDomain other.test",
        f"createAccount dora@acme.test '{PASSWORD}' displayName 'Dora Delegate'",
        "addAccountAlias dora@acme.test dd@acme.test",
        f"createAccount rita@other.test '{PASSWORD}'",
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in OWNERS),
        "addAccountAlias x@acme.test boss@acme.test",
        *(f"selectMailbox {name}@acme.test modifyFolderGrant /Calendar account dora@acme.test x" for name in OWNERS if "x" in name),
        *(f"selectMailbox {name}@acme.test modifyFolderGrant /Calendar account dora@acme.test x" for name in ("resting", "gone")),
        "selectMailbox inherited@acme.test modifyFolderGrant / account dora@acme.test rwixd",
        *(f"grantRight account {name}@acme.test usr dora@acme.test sendAs" for name in OWNERS if name.endswith("as")),
        *(f"grantRight account {name}@acme.test usr dora@acme.test sendOnBehalfOf" for name in OWNERS if name.endswith("behalf")),
        "modifyAccount resting@acme.test status maintenance",
        "modifyAccount gone@acme.test status closed",
        "createDistributionList round@acme.test",
    )
    with server:
        yield server


def calendar(attendee: str | None, sent_by: str | None = None, method: str = "REPLY", attendees: int = 1, extra: str = "") -> str:
    by = "" if sent_by is None else f';SENT-BY="mailto:{sent_by}"'
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    lines += [f"METHOD:{method}"] if method else []
    lines += [
        "BEGIN:VEVENT",
        "UID:1@other.test",
        "DTSTAMP:20261101T100000Z",
        "DTSTART:20261102T100000Z",
        "ORGANIZER:mailto:rita@other.test",
    ]
    if attendee is not None:
        lines += [f"ATTENDEE{by};PARTSTAT=ACCEPTED:mailto:{attendee}"]
        lines += [f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:more{number}@acme.test" for number in range(1, attendees)]
    lines += [extra] if extra else []
    return "".join(line + "\r\n" for line in [*lines, "END:VEVENT", "END:VCALENDAR"])


def answer(
    from_: str,
    text: str,
    *,
    method: str | None = "REPLY",
    encoding: str = "7bit",
    fields: tuple[str, ...] = (),
    kind: str = "text/calendar",
) -> bytes:
    """multipart/alternative with a text and the calendar, as Apple Mail and Thunderbird write it."""
    parameter = "" if method is None else f"; method={method}"
    body = text.encode()
    if encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = [
        f"From: {from_}",
        *fields,
        "To: rita@other.test",
        "Subject: Accepted",
        "Date: Sun, 1 Nov 2026 10:00:00 +0000",
        "Message-ID: <answer@acme.test>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative; boundary=cut",
    ]
    part = [f"Content-Type: {kind}; charset=utf-8{parameter}", f"Content-Transfer-Encoding: {encoding}"]
    return (
        "\r\n".join(head).encode()
        + b"\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nI come.\r\n--cut\r\n"
        + "\r\n".join(part).encode()
        + b"\r\n\r\n"
        + body
        + b"\r\n--cut--\r\n"
    )


def sent_by(letter: Letter) -> list[str]:
    return re.findall(r'SENT-BY="mailto:([^"]+)"', letter.octets.replace(b"\r\n ", b"").decode())


# --- From is the ATTENDEE


@pytest.mark.parametrize("method", ["REPLY", "COUNTER", "reply"])
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("plain", REFUSED),
        ("as", REFUSED),  # whatever send rights are held
        ("behalf", REFUSED),
        ("x", "on-behalf"),
        ("x-behalf", "on-behalf"),
        ("x-as", "send-as"),
        ("inherited", "on-behalf"),
    ],
)
def test_a_from_of_the_attendee(clients: Clients, rita: Postbox, name: str, method: str, outcome: str) -> None:
    octets = answer(f"{name}@acme.test", calendar(f"{name}@acme.test", method=method), method=method)
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets)
    if outcome == REFUSED:
        assert said.enhanced == REFUSED, said
        assert "'x'" in said.text
        assert DECISION.search(said.text)
        assert rita.new() == []
        return
    assert said.accepted, said
    letter = rita.the_one()
    if outcome == "send-as":
        assert letter.every("Sender") == []
        assert sent_by(letter) == []
        assert letter.submitted == octets
        assert b"dora" not in letter.octets
    else:
        assert letter.one("Sender") == DORA
        assert sent_by(letter) == ["dora@acme.test"]
        # the one place where a body is changed: nothing else is
        unfolded = letter.submitted.replace(b"\r\n ", b"").replace(b';SENT-BY="mailto:dora@acme.test"', b"")
        assert unfolded.replace(f"Sender: {DORA}\r\n".encode(), b"") == octets


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_sent_by_is_added_in_every_encoding(clients: Clients, rita: Postbox, encoding: str) -> None:
    octets = answer("x@acme.test", calendar("x@acme.test", extra="SUMMARY:Größe"), encoding=encoding)
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    letter = rita.the_one()
    part = letter.octets.split(b"\r\n--cut")[2].partition(b"\r\n\r\n")[2]
    decode = {"base64": base64.b64decode, "quoted-printable": quopri.decodestring, "8bit": bytes}[encoding]
    text = decode(part).decode().replace("\r\n ", "").replace("\n ", "")
    assert 'SENT-BY="mailto:dora@acme.test"' in text
    assert "SUMMARY:Größe" in text


def test_a_sent_by_that_names_the_actor_stays(clients: Clients, rita: Postbox) -> None:
    octets = answer("x@acme.test", calendar("x@acme.test", "dd@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    letter = rita.the_one()
    assert sent_by(letter) == ["dd@acme.test"]
    assert letter.submitted.replace(f"Sender: {DORA}\r\n".encode(), b"") == octets


@pytest.mark.parametrize("named", ["rita@other.test", "plain@acme.test", "x@acme.test"])
def test_a_sent_by_that_names_another_is_refused(clients: Clients, named: str) -> None:
    octets = answer("x@acme.test", calendar("x@acme.test", named))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


def test_x_without_a_send_right_allows_nothing_else(clients: Clients) -> None:
    octets = answer("x@acme.test", calendar("x@acme.test", method="REQUEST"), method="REQUEST")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED
    octets = answer("x@acme.test", "no calendar at all", kind="text/x-calendar", method=None)
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


def test_an_alias_of_the_attendee(clients: Clients, rita: Postbox) -> None:
    octets = answer("boss@acme.test", calendar("BOSS@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().one("Sender") == DORA


def test_the_envelope_sender_may_be_the_attendees(clients: Clients, rita: Postbox) -> None:
    for name in ("x-behalf", "x"):  # with a send right, and with `x` alone
        octets = answer(f"{name}@acme.test", calendar(f"{name}@acme.test"))
        assert submit(clients["dora@acme.test"], f"{name}@acme.test", "rita@other.test", octets).accepted
        assert rita.the_one().one("Return-Path") == f"<{name}@acme.test>"
    # but only with a From of the attendee, and not without `x`
    said = submit(clients["dora@acme.test"], "x@acme.test", "rita@other.test", answer("dora@acme.test", calendar("dora@acme.test")))
    assert (said.enhanced, said.at) == ("553 5.7.1", "DATA")
    said = submit(clients["dora@acme.test"], "plain@acme.test", "rita@other.test", answer("plain@acme.test", calendar("plain@acme.test")))
    assert (said.enhanced, said.at) == ("553 5.7.1", "MAIL")


# --- From is the actor's own, with SENT-BY


@pytest.mark.parametrize(
    ("name", "by", "allowed"),
    [
        ("x", "dora@acme.test", True),
        ("x", "DORA@acme.test", True),
        ("x-as", "dd@acme.test", True),
        ("inherited", "dora@acme.test", True),
        ("x", None, False),
        ("x", "rita@other.test", False),
        ("plain", "dora@acme.test", False),
        ("as", "dora@acme.test", False),
        ("behalf", "dora@acme.test", False),
    ],
)
def test_a_from_of_the_actor(clients: Clients, rita: Postbox, name: str, by: str | None, allowed: bool) -> None:
    octets = answer("dora@acme.test", calendar(f"{name}@acme.test", by))
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets)
    if not allowed:
        assert said.enhanced == REFUSED
        return
    assert said.accepted, said
    assert rita.the_one().submitted == octets


@pytest.mark.parametrize("from_", ["as@acme.test", "x-as@acme.test", "dora@acme.test, x@acme.test"])
def test_a_from_that_is_neither_is_refused(clients: Clients, from_: str) -> None:
    octets = answer(from_, calendar("x@acme.test", "dora@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


# --- where section 5 alone decides


@pytest.mark.parametrize(
    ("attendee", "sent_by"),
    [
        ("dora@acme.test", None),
        ("dd@acme.test", None),
        ("dora+tag@acme.test", None),
        ("guest@elsewhere.test", None),
        ("guest@elsewhere.test", "whoever@elsewhere.test"),
        ("nobody@acme.test", None),
        ("round@acme.test", None),
    ],
)
def test_the_attendee_is_the_actor_or_no_local_account(clients: Clients, rita: Postbox, attendee: str, sent_by: str | None) -> None:
    octets = answer("dora@acme.test", calendar(attendee, sent_by))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL", "PUBLISH", "ADD", "REFRESH", "DECLINECOUNTER"])
@pytest.mark.parametrize(("name", "expected"), [("plain", REFUSED), ("as", "250"), ("behalf", "250"), ("x", REFUSED)])
def test_other_methods_follow_the_table(clients: Clients, method: str, name: str, expected: str) -> None:
    octets = answer(f"{name}@acme.test", calendar("plain@acme.test", method=method), method=method)
    said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
    assert said.accepted if expected == "250" else said.enhanced == expected, said


def test_a_calendar_inside_a_forwarded_message_is_not_judged(clients: Clients, rita: Postbox) -> None:
    inner = answer("plain@acme.test", calendar("plain@acme.test"))
    octets = b"From: dora@acme.test\r\nDate: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


@pytest.mark.parametrize("kind", ["TEXT/CALENDAR", 'text/calendar; name="invite.ics"'])
def test_it_is_found_however_it_is_spelled(clients: Clients, kind: str) -> None:
    octets = answer("plain@acme.test", calendar("plain@acme.test"), kind=kind)
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


def test_a_calendar_as_the_whole_body(clients: Clients, rita: Postbox) -> None:
    head = b"Date: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    octets = b"From: x@acme.test\r\n" + head + calendar("x@acme.test").encode()
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert sent_by(rita.the_one()) == ["dora@acme.test"]
    octets = b"From: plain@acme.test\r\n" + head + calendar("plain@acme.test").encode()
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


# --- what cannot be read with certainty


@pytest.mark.parametrize(
    "octets",
    [
        answer("dora@acme.test", calendar("dora@acme.test"), method="REQUEST"),
        answer("dora@acme.test", calendar("dora@acme.test", method="REQUEST"), method="REPLY"),
        answer("dora@acme.test", calendar("dora@acme.test", method=""), method="REPLY"),
        answer("dora@acme.test", calendar(None)),
        answer("dora@acme.test", calendar("dora@acme.test", attendees=2)),
        answer("dora@acme.test", calendar("x@acme.test", attendees=2, method="COUNTER"), method="COUNTER"),
        answer("x@acme.test", calendar("dora@acme.test", attendees=2, method="COUNTER"), method="COUNTER"),
        answer("dora@acme.test", calendar("dora@acme.test") * 2),
        answer("dora@acme.test", calendar("dora@acme.test"), method=None, fields=()).replace(
            b"METHOD:REPLY", b"METHOD:REPLY\r\nMETHOD:REPLY"
        ),
        answer("dora@acme.test", calendar("dora@acme.test"), encoding="base64").replace(b"\r\n--cut--", b"\r\n!\r\n--cut--"),
        answer("dora@acme.test", "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n"),
        answer("dora@acme.test", "nonsense"),
        answer("dora@acme.test", calendar("dora@acme.test", extra="METHOD:REQUEST")),
        answer("dora@acme.test", calendar("dora@acme.test"), encoding="x-unknown"),
    ],
)
def test_malformed_calendars(clients: Clients, octets: bytes) -> None:
    said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
    assert said.enhanced == "550 5.6.0", said


def test_an_answer_of_several_events_for_one_attendee(clients: Clients, rita: Postbox) -> None:
    text = calendar("x@acme.test").replace(
        "END:VCALENDAR", "BEGIN:VEVENT\r\nUID:1@other.test\r\nATTENDEE;PARTSTAT=DECLINED:mailto:x@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR"
    )
    assert submit(clients["dora@acme.test"], "", "rita@other.test", answer("x@acme.test", text)).accepted
    assert sent_by(rita.the_one()) == ["dora@acme.test", "dora@acme.test"]


def sealed(octets: bytes) -> bytes:
    return octets.replace(b"multipart/alternative; boundary=cut", b'multipart/signed; protocol="application/pgp-signature"; boundary=cut')


def test_a_signed_answer_without_sent_by_is_refused_and_with_it_goes_out(clients: Clients, rita: Postbox) -> None:
    octets = sealed(answer("x@acme.test", calendar("x@acme.test")))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).code == 550
    octets = sealed(answer("x@acme.test", calendar("x@acme.test", "dora@acme.test")))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted.replace(f"Sender: {DORA}\r\n".encode(), b"") == octets


def test_a_signature_over_the_changed_body_is_removed(clients: Clients, rita: Postbox) -> None:
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=acme.test; s=x; h=from; bh=abc; b=def"
    octets = answer("x@acme.test", calendar("x@acme.test"), fields=(signature,))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().every("DKIM-Signature") == []


# --- the owner's status, and filing


def test_the_owners_status(clients: Clients) -> None:
    octets = answer("resting@acme.test", calendar("resting@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == "450 4.2.1"
    octets = answer("gone@acme.test", calendar("gone@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


def test_an_answer_on_behalf_is_filed_in_the_owners_sent(server: Server, clients: Clients) -> None:
    box = Postbox(server, "x-behalf@acme.test", "Sent")
    box.new()
    octets = answer("x-behalf@acme.test", calendar("x-behalf@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert sent_by(box.the_one()) == ["dora@acme.test"]
    box.close()


def test_x_ends_with_its_grant(server: Server, clients: Clients) -> None:
    octets = answer("x-as@acme.test", calendar("x-as@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    server.prov("selectMailbox x-as@acme.test modifyFolderGrant /Calendar account dora@acme.test none")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED
