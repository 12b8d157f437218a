"""Which parts of a message answer an invitation, for whom, and adding SENT-BY to them."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from email import message_from_bytes
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar as Library

from gateway.message.calendar import Answer, MalformedCalendar, Speaker, add_sent_by, answers, mentions_calendar
from gateway.message.insertion import decoded
from gateway.message.structure import parse
from policy.identity import Address
from tests.gateway.message.replies import EXCHANGE, SHAPES, Shape
from tests.gateway.message.test_opaque import signed

ANNA = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@acme.test"
FROM = Address("anna", "acme.test")


def event(*lines: str, method: str = "METHOD:REPLY") -> str:
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", method, "BEGIN:VEVENT", "UID:1", "DTSTAMP:20240101T000000Z", *lines]
    return "".join(row + "\r\n" for row in (*rows, "END:VEVENT", "END:VCALENDAR") if row)


def mail(body: bytes, kind: bytes = b"text/calendar; charset=utf-8; method=REPLY", encoding: bytes = b"8bit", more: bytes = b"") -> bytes:
    return b"From: a@b\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n" + more + b"\r\n" + body


def found(octets: bytes) -> tuple[Answer, ...]:
    return answers(octets, parse(octets)) if mentions_calendar(octets) else ()


def only(octets: bytes) -> Answer:
    (one,) = found(octets)
    return one


REPLY = event(ANNA).encode()


# --- as programs write them


@pytest.mark.parametrize("name", SHAPES)
def test_what_programs_write_is_read(name: str) -> None:
    shape = SHAPES[name]
    read = found(shape.octets)
    assert len(read) == shape.answers
    for one in read:
        assert one.method == shape.method
        assert all(len(attendees) == shape.listed for attendees in one.components)
        speaker = one.speaker(FROM)
        assert (speaker.address, speaker.sent_by) == (FROM, None)
        assert len(speaker.places) == len(one.components)


def leaves(octets: bytes) -> list[tuple[bytes, bytes]]:
    """By an independent reader: header and content of each leaf."""
    return [
        (str(part.items()).encode(), part.get_payload(decode=True)) for part in message_from_bytes(octets).walk() if not part.is_multipart()
    ]


def unfolded(content: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]", b"", content)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "by", ["bea@acme.test", "a-delegate-with-a-long-name.of-many-parts@a-department.of-a-large-organisation.acme.test"]
)
def test_sent_by_is_added_and_nothing_else_changes(name: str, by: str) -> None:
    shape = SHAPES[name]
    made = shape.octets
    for one in reversed(found(shape.octets)):
        made = add_sent_by(made, one, one.speaker(FROM), by)
    again = found(made)
    assert [one.speaker(FROM).sent_by for one in again] == [Address(*by.split("@"))] * shape.answers
    before, after = leaves(shape.octets), leaves(made)
    assert [head for head, _ in before] == [head for head, _ in after]
    for (head, was), (_, now) in zip(before, after, strict=True):
        if b"calendar" not in head and b"ics" not in head:
            assert was == now
            continue
        plain = unfolded(now)
        assert plain.count(b"SENT-BY") == was.count(b"BEGIN:VEVENT") + was.count(b"BEGIN:VTODO") + was.count(b"BEGIN:VFREEBUSY")
        assert plain.replace(f';SENT-BY="mailto:{by}"'.encode(), b"") == unfolded(was)
        lines = now.split(b"\n")
        assert all(len(line.rstrip(b"\r")) <= 75 for line in lines if line not in was.split(b"\n"))
    # what stands before and behind the parts, and every line but those of the attendee
    old, new = shape.octets.split(b"\r\n"), made.split(b"\r\n")
    assert new[0] == old[0]
    if b"multipart" in shape.octets:
        assert new[-2:] == old[-2:]
    assert all(len(line) <= 78 for line in new if line not in old)


@pytest.mark.parametrize("name", [one for one in SHAPES if one not in ("Shift_JIS", "Outlook, windows-1252", "ISO-8859-1")])
def test_icalendar_reads_the_same_and_sent_by(name: str) -> None:
    shape = SHAPES[name]
    one = found(shape.octets)[-1]
    made = add_sent_by(shape.octets, one, one.speaker(FROM), "bea@acme.test")
    changed = parse(made)
    part = next(each for each in reversed([*changed.walk()]) if each.start == one.part.start)
    was = Library.from_ical(decoded(shape.octets[one.part.body : one.part.end], one.part.encoding))
    now = Library.from_ical(decoded(made[part.body : part.end], part.encoding))
    for component in now.walk():
        attendees = component.get("ATTENDEE", [])
        for attendee in attendees if isinstance(attendees, list) else [attendees]:
            if str(attendee).lower() == "mailto:anna@acme.test":
                assert attendee.params.pop("SENT-BY") == "mailto:bea@acme.test"
    assert now.to_ical() == was.to_ical()


# --- for whom


BEA = Address("bea", "acme.test")


def speaks(*events: tuple[str, ...], method: str = "REPLY", author: Address = FROM) -> Speaker:
    body = "".join("".join(line + "\r\n" for line in ("BEGIN:VEVENT", *lines, "END:VEVENT")) for lines in events)
    text = f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\n{body}END:VCALENDAR\r\n"
    return only(mail(text.encode(), b"text/calendar")).speaker(author)


BY_BEA = 'ATTENDEE;SENT-BY="mailto:bea@acme.test":mailto:anna@acme.test'
CARLA = "ATTENDEE:mailto:carla@acme.test"


@pytest.mark.parametrize(
    ("events", "method", "author", "address", "sent_by"),
    [
        ([(ANNA,)], "REPLY", BEA, FROM, None),
        ([(BY_BEA,)], "REPLY", BEA, FROM, BEA),
        ([(ANNA,), ("ATTENDEE:mailto:ANNA@ACME.TEST",)], "REPLY", FROM, FROM, None),
        ([(BY_BEA,), (BY_BEA,)], "COUNTER", BEA, FROM, BEA),
        ([("ATTENDEE:urn:uuid:1",)], "REPLY", FROM, None, None),
        # a COUNTER may list the other guests
        ([(CARLA, ANNA)], "COUNTER", FROM, FROM, None),
        ([(CARLA, ANNA)], "COUNTER", Address("Anna", "acme.test"), FROM, None),
        ([(CARLA, BY_BEA)], "COUNTER", BEA, FROM, BEA),
        ([(CARLA, BY_BEA)], "COUNTER", Address("carla", "acme.test"), FROM, BEA),
        ([(CARLA, ANNA), (ANNA,)], "COUNTER", FROM, FROM, None),
    ],
)
def test_for_whom_it_speaks(
    events: list[tuple[str, ...]], method: str, author: Address, address: Address | None, sent_by: Address | None
) -> None:
    speaker = speaks(*events, method=method, author=author)
    assert (speaker.address, speaker.sent_by) == (address, sent_by)
    assert len(speaker.places) == len(events)


@pytest.mark.parametrize(
    ("events", "method"),
    [
        ([(ANNA, ANNA)], "REPLY"),
        ([(ANNA, CARLA)], "REPLY"),
        ([(BY_BEA, CARLA)], "REPLY"),
        ([(ANNA,), (CARLA,)], "REPLY"),
        ([(ANNA,), (BY_BEA,)], "REPLY"),
        ([(ANNA,), ("ATTENDEE:urn:uuid:1",)], "REPLY"),
        ([("ATTENDEE:mailto:a..b@acme.test",)], "REPLY"),
        ([("ATTENDEE:mailto:anna@[192.0.2.1]",)], "REPLY"),
        ([("ATTENDEE:mailto:a@b@c",)], "REPLY"),
        ([('ATTENDEE;SENT-BY="mailto:.b@c":mailto:anna@acme.test',)], "REPLY"),
        ([(ANNA, ANNA)], "COUNTER"),
        ([(CARLA, "ATTENDEE:mailto:dora@acme.test")], "COUNTER"),
        ([(BY_BEA, 'ATTENDEE;SENT-BY="mailto:bea@acme.test":mailto:carla@acme.test')], "COUNTER"),
        ([(CARLA, ANNA), (CARLA,)], "COUNTER"),
    ],
)
def test_what_could_speak_for_another_is_malformed(events: list[tuple[str, ...]], method: str) -> None:
    with pytest.raises(MalformedCalendar):
        speaks(*events, method=method)


# --- what is an answer, and what is none


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL", "PUBLISH", "ADD", "REFRESH", "DECLINECOUNTER", ""])
def test_other_methods_are_nobodys_business(method: str) -> None:
    for line in (ANNA, "ATTENDEE;CN=Room:mailto:/o=acme/cn=room", "DESCRIPTION:a\r\nbroken line without a colon", "X:\x07"):
        text = event(line, line, method=f"METHOD:{method}" if method else "")
        kind = b"text/calendar; charset=utf-8" + (f"; method={method.lower()}".encode() if method else b"")
        assert found(mail(text.encode(), kind)) == ()
        assert found(mail(b64encode(text.encode()), kind, b"base64")) == ()


def test_a_large_calendar_that_is_no_answer_may_be_sent() -> None:
    entry = "BEGIN:VEVENT\r\nSUMMARY:please REPLY, this METHOD counts; COUNTER\r\nEND:VEVENT\r\n"
    export = ("BEGIN:VCALENDAR\r\n" + entry * 40_000 + "END:VCALENDAR\r\n").encode()
    assert found(mail(export, b"text/calendar; name=all.ics")) == ()


@pytest.mark.parametrize(
    "kind",
    [
        b"text/calendar",
        b"TEXT/Calendar; charset=us-ascii",
        b"text/calendar; method=reply",
        b"text/(a comment)calendar",
        b"text / calendar",
        b'text/calendar; x="a;method=REQUEST"',
        b"\r\n text/calendar",
        b"application/ics",
        b"application/x-ics",
        b"text/x-vcalendar",
        b"application/calendar",
        b"application/octet-stream; name=invite.ics",
        b'application/octet-stream; name="Invite.ICS"',
        b"application/octet-stream; name*=utf-8''inv%69te.ics",
        b"application/octet-stream; name*0=inv; name*1=ite.ics",
        b"application/octet-stream; name*0=invite.i; name*1=cs; x=a.ics",
        b"application/octet-stream; name*=utf-8''invite%2Eics; x=a.ics",
        b"text/plain; name=x.vcs",
        b"application/octet-stream\r\nContent-Disposition: attachment; filename=a.ics",
        b'application/octet-stream\r\nContent-Disposition: attachment;\r\n filename="=?utf-8?q?a?=.ics"',
    ],
)
def test_it_is_found_however_it_is_spelled(kind: bytes) -> None:
    assert only(mail(REPLY, kind)).speaker(FROM).address == FROM


@pytest.mark.parametrize("kind", [b"text/plain", b"application/octet-stream; name=calendar.txt", b"application/pdf; name=basics.pdf"])
def test_what_no_program_takes_for_a_calendar_is_none(kind: bytes) -> None:
    assert found(mail(REPLY, kind)) == ()


def test_the_word_alone_opens_no_body() -> None:
    assert not mentions_calendar(b"Subject: calendar\r\n\r\nmy calendar: see invite.ics\r\n")
    assert not mentions_calendar(b"Content-Type: text/plain\r\n\r\ncalendar\r\n")
    assert not mentions_calendar(b"Content-Type: text/plain; name=topics.txt\r\n\r\n")
    assert mentions_calendar(b"x\r\ncontent-TYPE :\r\n text/CALendar\r\n")
    assert mentions_calendar(b"Content-Disposition: inline;\r\n\tx=y;\r\n filename=A.ICS")


# --- what cannot be read with certainty


def multipart(kind: bytes, *parts: bytes) -> bytes:
    return (
        b"From: a@b\r\nContent-Type: "
        + kind
        + b"; boundary=xx\r\n\r\n"
        + b"".join(b"--xx\r\n" + part + b"\r\n" for part in parts)
        + b"--xx--\r\n"
    )


PART = b"Content-Type: text/calendar; method=REPLY\r\n\r\n" + REPLY
UTF16 = b"text/calendar; charset=utf-16; method=REPLY"

MALFORMED = {
    "another method": mail(REPLY, b"text/calendar; method=REQUEST"),
    "another method, no answers": mail(event(ANNA, method="METHOD:CANCEL").encode(), b"text/calendar; method=REQUEST"),
    "an answer by its type only": mail(event(ANNA, method="METHOD:REQUEST").encode()),
    "no METHOD": mail(event(ANNA, method="").encode()),
    "no METHOD in ics": mail(event(ANNA, method="").encode(), b"application/ics; method=COUNTER"),
    "two method parameters": mail(REPLY, b"text/calendar; method=REPLY; method=REQUEST"),
    "method in pieces": mail(REPLY, b"text/calendar; method*0=REP; method*1=LY"),
    "two METHODs": mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:REPLY\r\nMETHOD:REQUEST"), b"text/calendar"),
    "METHOD obscured by blanks": mail(REPLY.replace(b"METHOD:REPLY", b"MET HOD: REPLY"), b"text/calendar"),
    "METHOD obscured by NUL": mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:RE\x00PLY"), b"text/calendar"),
    "METHOD obscured by folds": mail(REPLY.replace(b"METHOD:REPLY", b"MET\r\n HOD:REPLY"), b"text/calendar"),
    "METHOD obscured by marks": mail(REPLY.replace(b"METHOD:REPLY", "METHOD:\u2028REP\ufeffLY".encode()), b"text/calendar"),
    "METHOD with a parameter": mail(REPLY.replace(b"METHOD:REPLY", b"METHOD;VALUE=TEXT:REPLY"), b"text/calendar"),
    "METHOD behind a carriage return": mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:REQUEST\rMETHOD:REPLY"), b"text/calendar"),
    "truncated": mail(REPLY[:-20]),
    "base64 with garbage": mail(b64encode(REPLY).replace(b"Q", b"!", 1), encoding=b"base64"),
    "base64 twice": mail(b64encode(REPLY + b" ") + b64encode(b"x"), encoding=b"base64"),
    "a footer behind base64": mail(b64encode(REPLY) + b"\r\n-- \r\nfooter", encoding=b"base64"),
    "base64 of no answer, broken": mail(b"!!!!", b"text/calendar", b"base64"),
    "unknown encoding": mail(REPLY, encoding=b"x-uuencode"),
    "two encodings": mail(REPLY, more=b"Content-Transfer-Encoding: base64\r\n"),
    "an encoding and more": mail(REPLY, encoding=b"7bit base64"),
    "no encoding": mail(REPLY, encoding=b"(7bit)"),
    "METHOD broken softly": mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:RE= \r\nPLY"), b"text/calendar", b"quoted-printable"),
    "loose equals sign": mail(REPLY.replace(b"UID:1", b"UID=:1"), encoding=b"quoted-printable"),
    "blanks at the end of a line": mail(REPLY.replace(b"UID:1", b"UID:1\r\n \r\n x"), encoding=b"quoted-printable"),
    "unknown charset": mail(REPLY, b"text/calendar; charset=x-nothing"),
    "two charsets": mail(REPLY, b"text/calendar; charset=utf-8; charset=utf-7"),
    "wrong charset": mail(REPLY.replace(b"UID:1", b"UID:\xe4")),
    "ISO-2022-JP": mail(event(ANNA, "SUMMARY:会議").encode("iso2022_jp"), b"text/calendar; charset=iso-2022-jp"),
    "an address in another charset": mail(event("ATTENDEE:mailto:änna@acme.test").encode("latin-1"), b"text/calendar; charset=iso-8859-1"),
    "an address in two charsets": mail(event("ATTENDEE:mailto:an\ufeffna@acme.test").encode(), b"text/calendar; charset=iso-8859-1"),
    "UTF-16": mail(b64encode(REPLY.decode().encode("utf-16")), UTF16, b"base64"),
    "UTF-16, without method": mail(b64encode(REPLY.decode().encode("utf-16")), b"text/calendar; charset=utf-16", b"base64"),
    "UTF-16, undeclared": mail(b64encode(REPLY.decode().encode("utf-16-le")), b"text/calendar", b"base64"),
    "UTF-32": mail(b64encode(REPLY.decode().encode("utf-32")), b"text/calendar; charset=utf-32", b"base64"),
    "UTF-7": mail(REPLY.replace(b"mailto:anna", b"mailto:+AGI-nna"), b"text/calendar; charset=utf-7"),
    "UTF-7, METHOD": mail(REPLY.replace(b"METHOD", b"+AE0-ETHOD"), b"text/calendar; charset=utf-7"),
    "EBCDIC": mail(b64encode(REPLY.decode().encode("cp037")), b"text/calendar; charset=cp037", b"base64"),
    "HZ": mail(REPLY.replace(b"UID:1", b"X~{~}:1"), b"text/calendar; charset=hz-gb-2312"),
    "two types": b"Content-Type: text/plain\r\n" + mail(REPLY),
    "a type nobody knows": mail(REPLY, b"x text/calendar"),
    "too large": mail(REPLY.replace(b"UID:1", b"UID:1\r\nX:" + b"x" * 1_100_000)),
    "no base64 in an attachment": mail(b"METHOD:REPLY", b"application/octet-stream; name=a.ics", b"base64"),
    "an attachment obscured": mail(REPLY.replace(b"UID:1", b"UID:1\rX:"), b"application/octet-stream; name=a.ics"),
    "too many": multipart(b"multipart/mixed", *[PART] * 30),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_two_programs_could_read_differently_is_malformed(what: str) -> None:
    with pytest.raises(MalformedCalendar) as refused:
        found(MALFORMED[what])
    assert str(refused.value)


def test_calendars_are_leaves_outside_embedded_messages() -> None:
    octets = multipart(b"multipart/mixed", b"\r\ntext", PART, b"Content-Type: message/rfc822\r\n\r\n" + PART)
    assert len(found(octets)) == 1
    assert not only(octets).sealed
    assert only(multipart(b"multipart/signed", PART, b"\r\nsignature")).sealed
    assert only(multipart(b"multipart/signed", multipart(b"multipart/mixed", PART).replace(b"xx", b"yy"), b"\r\ns")).sealed


SMIME = b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"


@pytest.mark.parametrize("kind", [SMIME, b"application/x-pkcs7-mime", b"application/octet-stream; name=smime.p7m"])
def test_an_answer_inside_its_signature_is_read_and_sealed(kind: bytes) -> None:
    octets = mail(b64encode(signed(multipart(b"multipart/alternative", b"\r\ntext", PART))), kind, b"base64")
    one = only(octets)
    assert one.sealed
    assert one.speaker(FROM).address == FROM
    again = only(mail(b64encode(signed(octets)), kind, b"base64"))
    assert again.sealed
    with pytest.raises(MalformedCalendar):
        found(mail(b64encode(signed(mail(REPLY.replace(b"METHOD", b"METHOD:REQUEST\r\nMETHOD")))), kind, b"base64"))
    deep = mail(REPLY)
    for _ in range(5):
        deep = mail(b64encode(signed(deep)), kind, b"base64")
    with pytest.raises(MalformedCalendar):
        found(deep)


@pytest.mark.parametrize("content", [b"no CMS", signed(b"Content-Type: text/plain\r\n\r\nmy calendar\r\n"), signed(event(ANNA).encode())])
def test_other_signed_mail_is_let_alone(content: bytes) -> None:
    assert found(mail(b64encode(content), SMIME, b"base64")) == ()
    assert found(mail(b"!" + b64encode(content), SMIME, b"base64")) == ()


INNER = b"Content-Type: multipart/alternative; boundary=xx2\r\n\r\n--xx2\r\n\r\ntext\r\n--xx2--\r\n"


@pytest.mark.parametrize(
    ("octets", "clear"),
    [
        (multipart(b"multipart/mixed", b"\r\ntext", PART), True),
        (multipart(b"multipart/mixed", INNER, PART), True),
        (multipart(b"multipart/mixed", b"Content-Type: message/rfc822\r\n\r\n" + INNER, PART), True),
        (multipart(b"multipart/mixed", PART).replace(b"--xx--", b"--xx-- \r\nepilogue"), True),
        # To some readers these lines end the message or begin a part, to others they do not.
        (multipart(b"multipart/mixed", b"\r\n\r\n--xx--junk", PART), False),
        (multipart(b"multipart/mixed", b"\r\n\r\n--xx--", PART), False),
        (multipart(b"multipart/mixed", b"\r\n\r\n--xxjunk\r\nContent-Type: message/rfc822\r\n", PART), False),
        (multipart(b"multipart/mixed", b"Content-Type: message/rfc822\r\n;\r\n\r\n" + PART, PART), False),
        (multipart(b"multipart/mixed", b"Content-Type: text/calendar\r\n\xff\r\n" + REPLY, PART), False),
        (multipart(b"multipart/mixed", PART).replace(b"multipart/mixed", b"multipart/;"), False),
        (multipart(b"multipart/mixed", PART).replace(b"multipart/mixed", b"multipart/mi(xed"), False),
        (multipart(b"multipart/mixed", PART).replace(b"multipart/mixed", b"multi\x00part/mixed, multipart/mixed"), False),
        (multipart(b"multipart/mixed", PART).replace(b"; boundary=xx", b""), False),
        (multipart(b"multipart/mixed", b"\r\ntext\r--xx\r\n" + PART, PART), False),
        (multipart(b"multipart/mixed; boundary*=yy", PART), False),
        (multipart(b"multipart/mixed; boundary*0=yy", PART), False),
        (multipart(b"multipart/mixed", PART.replace(b"text/calendar", b"text/(c)calendar")), True),
        (multipart(b"multipart/mixed", PART.replace(b"text/calendar", b"te(c)xt/calendar")), False),
        (multipart(b"multipart/mixed", *[INNER.replace(b"xx2", b"%d" % n) for n in range(60)], PART), False),
    ],
    ids=range(19),
)
def test_a_calendar_cannot_be_hidden_between_two_readings_of_mime(octets: bytes, clear: bool) -> None:
    if clear:
        assert only(octets).speaker(FROM).address == FROM
    else:
        with pytest.raises(MalformedCalendar):
            found(octets)


# --- SENT-BY


@pytest.mark.parametrize("encoding", ["8bit", "7bit", "base64", "quoted-printable"])
def test_sent_by_goes_behind_the_name(encoding: str) -> None:
    text = event("SUMMARY:" + "x" * 200, 'ATTENDEE;CN="A\r\n nna";PARTSTAT=ACCEPTED:mailto:anna@acme.test').encode()
    body = {"base64": b64encode(text), "quoted-printable": text.replace(b"=", b"=3D")}.get(encoding, text)
    octets = multipart(b"multipart/mixed", b"\r\nbefore", mail(body, encoding=encoding.encode()), b"\r\nafter")
    one = only(octets)
    made = add_sent_by(octets, one, one.speaker(FROM), "bea@acme.test")
    again = only(made)
    content = decoded(made[again.part.body : again.part.end], encoding.encode())
    assert content == text.replace(b'ATTENDEE;CN="A', b'ATTENDEE;SENT-BY="mailto:bea@acme.test"\r\n ;CN="A')


def test_only_who_speaks_gets_sent_by() -> None:
    octets = mail(event(CARLA, ANNA, method="METHOD:COUNTER").encode(), b"text/calendar")
    one = only(octets)
    made = add_sent_by(octets, one, one.speaker(FROM), "bea@acme.test")
    assert made == octets.replace(b"ATTENDEE;PARTSTAT", b'ATTENDEE;SENT-BY="mailto:bea@acme.test"\r\n ;PARTSTAT')


def test_a_fold_behind_the_name_is_not_doubled() -> None:
    octets = mail(event("ATTENDEE\r\n ;CN=x:mailto:anna@acme.test").encode())
    one = only(octets)
    made = add_sent_by(octets, one, one.speaker(FROM), "bea@acme.test")
    assert b'ATTENDEE;SENT-BY="mailto:bea@acme.test"\r\n ;CN=x' in made


def test_an_address_beyond_ascii() -> None:
    octets = mail(REPLY)
    one = only(octets)
    made = add_sent_by(octets, one, one.speaker(FROM), "béa@acme.test")
    assert only(made).speaker(FROM).sent_by == Address("béa", "acme.test")
    octets = mail(b64encode(REPLY), encoding=b"base64")
    one = only(octets)
    assert only(add_sent_by(octets, one, one.speaker(FROM), "b" + "é" * 60 + "@acme.test")).speaker(FROM).sent_by == Address(
        "b" + "é" * 60, "acme.test"
    )


def test_what_cannot_carry_sent_by_is_refused() -> None:
    signed = multipart(b"multipart/signed", PART, b"\r\ns")
    plain = mail(REPLY, encoding=b"7bit")
    latin = mail(REPLY, b"text/calendar; charset=iso-8859-1")
    for octets, sender in (
        (signed, "bea@acme.test"),
        (plain, "béa@acme.test"),
        (latin, "béa@acme.test"),
        (plain, 'b"@acme.test'),
        (plain, "b@c\r\nX:y"),
    ):
        with pytest.raises(MalformedCalendar):
            add_sent_by(octets, only(octets), only(octets).speaker(FROM), sender)


# --- any octets


LINES = st.sampled_from(
    [
        b"BEGIN:VCALENDAR\r\n",
        b"END:VCALENDAR\r\n",
        b"BEGIN:VEVENT\r\n",
        b"END:VEVENT\r\n",
        b"METHOD:REPLY\r\n",
        b"ATTENDEE:mailto:a@b\r\n",
        b"ATTENDEE;",
        b'X="',
        b"\r\n ",
        b":",
        b";",
        b"\n",
        b"\r",
        b"=",
        b"=\r\n",
        b"mailto:",
        b"\xff",
        b"SENT-BY=",
    ]
)
ENCODINGS = st.sampled_from([b"7bit", b"base64", b"quoted-printable"])
CHARSETS = st.sampled_from(
    [b"utf-8", b"utf-16", b"utf-7", b"shift_jis", b"iso-2022-kr", b"hz", b"cp037", b"latin1", b"gb18030", b"punycode"]
)


@given(st.lists(LINES, max_size=20).map(b"".join) | st.binary(max_size=100), ENCODINGS, CHARSETS)
@settings(max_examples=400)
def test_any_octets_are_an_answer_or_none_or_malformed(body: bytes, encoding: bytes, charset: bytes) -> None:
    octets = mail(body, b"text/calendar; charset=" + charset, encoding)
    try:
        for one in found(octets):
            made = add_sent_by(octets, one, one.speaker(FROM), "s@t")
            assert only(made).speaker(FROM).sent_by == Address("s", "t")
    except MalformedCalendar:
        return


ODD = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\r\n ",
    b"\n\t",
    b"\x00",
    b"\x0b",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b'"',
    b";",
    b":",
    b",",
    b"=",
]
ODD += [
    b"=\r\n",
    b"= \r\n",
    b"=3D",
    b"=0D=0A",
    b"\\",
    b"^n",
    b"%40",
    b"\xff",
    b"\xe4",
    b"X:",
    b"METHOD",
    b"ATTENDEE",
    b"mailto:eve@acme.test",
]
ODD += [
    b"METHOD:REQUEST\r\n",
    b"METHOD:COUNTER\r\n",
    b"ATTENDEE:mailto:eve@acme.test\r\n",
    b"BEGIN:VALARM\r\n",
    b"END:VALARM\r\n",
    b"BEGIN:VEVENT\r\n",
]
KINDS = st.sampled_from([b"text/calendar", b"text/calendar; method=REPLY", b"text/calendar; charset=shift_jis", b"application/ics"])
CHANGES = st.lists(st.tuples(st.integers(0, len(REPLY)), st.sampled_from(ODD), st.integers(0, 3)), min_size=1, max_size=4)


def lenient(text: str) -> tuple[set[str], set[str]]:
    """METHODs and ATTENDEEs as a careless program finds them: any line break, any fold, blanks anywhere, no components."""
    methods: set[str] = set()
    attendees: set[str] = set()
    for fold in (r"(\r?\n)+[ \t]", r"\r\n[ \t]"):
        for line in re.sub(fold, "", text.replace("\ufeff", "")).splitlines():
            if (method := re.match(r"\s*METHOD\s*(?:;[^:]*)?:\s*\"?(\w+)", line, re.IGNORECASE)) is not None:
                methods.add(method[1].upper())
            if (attendee := re.match(r"\s*ATTENDEE\s*(?:;.*?)?:\s*mailto:\s*([^\s;,\"]+)\s*$", line, re.IGNORECASE)) is not None:
                attendees.add(attendee[1].lower())
    return methods, attendees


@given(KINDS, ENCODINGS, CHANGES)
@settings(max_examples=500)
def test_no_careless_program_finds_another_answer(kind: bytes, encoding: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    body = REPLY
    for at, odd, without in changes:
        body = body[:at] + odd + body[at + without :]
    octets = mail(b64encode(body) if encoding == b"base64" else body, kind, encoding)
    try:
        read = found(octets)
        speaks = {str(one.speaker(FROM).address).lower() for one in read}
    except MalformedCalendar:
        return
    content = message_from_bytes(octets).get_payload(decode=True)
    for charset in ("utf-8", "latin-1", "shift_jis"):
        methods, attendees = lenient(content.decode(charset, "replace"))
        assert methods <= {one.method for one in read} or not methods & {"REPLY", "COUNTER"}
        ours = {one for one in attendees if one.isascii() and "%" not in one}
        assert not read or ours <= speaks


MIME = [
    b"--=_limit\r\n",
    b"--=_limit--\r\n",
    b"--=_inner\r\n",
    b"\r\n--=_limit",
    b"\r\n",
    b"\n",
    b" ",
    b"\r\n ",
    b"\x00",
    b'"',
    b";",
    b"(",
    b")",
    b"\\",
    b"/",
]
MIME += [
    b"Content-Type: text/plain\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"--",
    b"\xff",
    b"*=",
    b"*0=",
]
MIME += [
    b"Content-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\n",
    b"--zz--\r\n",
    b"boundary=zz;",
    b"charset=utf-16;",
    b"method=REQUEST;",
]
PLACES = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from(MIME), st.integers(0, 5)), min_size=1, max_size=4)


def elsewhere(message: Message) -> int:
    """The answers that Python's own reader finds outside embedded messages."""
    if message.get_content_type().startswith("message/"):
        return 0
    if message.is_multipart():
        return sum(elsewhere(one) for one in message.get_payload() if isinstance(one, Message))
    if message.get_content_type() not in ("text/calendar", "application/ics"):
        return 0
    content = message.get_payload(decode=True)
    return isinstance(content, bytes) and re.search(rb"^METHOD:(?:REPLY|COUNTER)\r?$", content, re.MULTILINE) is not None


@given(st.sampled_from(list(SHAPES)), PLACES)
@settings(max_examples=500)
def test_no_part_is_found_elsewhere_that_is_not_found_here(name: str, changes: list[tuple[int, bytes, int]]) -> None:
    octets = SHAPES[name].octets
    for at, odd, without in changes:
        at %= len(octets)
        octets = octets[:at] + odd + octets[at + without :]
    try:
        read = found(octets)
    except MalformedCalendar:
        return
    assert elsewhere(message_from_bytes(octets)) <= len(read)


@given(st.binary(max_size=300), st.sampled_from(list(SHAPES)), st.data())
@settings(max_examples=200)
def test_any_change_to_a_real_answer_keeps_it_readable_or_malformed(noise: bytes, name: str, data: st.DataObject) -> None:
    whole = SHAPES[name].octets
    at = data.draw(st.integers(0, len(whole)))
    octets = whole[:at] + noise + whole[at + data.draw(st.integers(0, 40)) :]
    try:
        for one in found(octets):
            one.speaker(FROM)
    except MalformedCalendar:
        return


@pytest.mark.parametrize(
    "octets",
    [
        mail(b"METHOD;" * 600_000),
        mail(b"METHOD:" * 600_000, b"text/calendar; method=REQUEST"),
        mail(b"\nMETHOD:A" * 500_000, b"text/calendar; method=A"),
        mail(b"\r\n" * 2_000_000),
        mail(b"=\r\n" * 1_000_000, encoding=b"quoted-printable"),
        mail(b" \t" * 1_000_000, encoding=b"quoted-printable"),
        mail(b"QUFB\r\n" * 700_000, encoding=b"base64"),
        mail(b"content-type:\n " * 300_000),
        mail(b"content-type:" * 300_000),
        mail(event(ANNA, "X:" + "x" * 1_000_000).encode()),
        mail(event(ANNA, *["X:y"] * 200_000).encode()),
        mail(event(ANNA, *["X:y\r\n z"] * 100_000).encode().replace(b"=", b"=3D"), encoding=b"quoted-printable"),
        mail(event(*[f"ATTENDEE:mailto:a{n}@b" for n in range(4_500)], method="METHOD:COUNTER").encode(), b"text/calendar"),
        mail(event(ANNA, *["X:+AGE-"] * 80_000).encode(), b"text/calendar; charset=utf-7; method=REPLY"),
        mail(b"x", b"text/calendar; " + b"a=b; " * 20_000),
    ],
    ids=range(15),
)
def test_bombs_take_little_time(octets: bytes) -> None:
    begin = time.process_time()
    try:
        for one in found(octets):
            add_sent_by(octets, one, one.speaker(FROM), "bea@acme.test")
    except MalformedCalendar:
        pass
    assert time.process_time() - begin < 2.5


def test_exchange_writes_what_was_meant() -> None:
    """The shapes are no use if they do not hold what they are there for."""
    assert "Größe" in EXCHANGE
    assert all(isinstance(shape, Shape) and b"calendar" in shape.octets for shape in SHAPES.values())
