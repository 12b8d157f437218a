"""For whom an invitation answer speaks, and adding SENT-BY to it."""

import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar as Independent

from gateway.message.calendar import Attendee, Calendar, MalformedCalendar, add_sent_by, calendars, mentions_calendar
from gateway.message.structure import parse


def event(*lines: str, method: str = "METHOD:REPLY") -> str:
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", method, "BEGIN:VEVENT", "UID:1", "DTSTAMP:20240101T000000Z", *lines]
    return "".join(row + "\r\n" for row in (*rows, "END:VEVENT", "END:VCALENDAR") if row)


ANNA = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@acme.test"


def mail(body: bytes, kind: bytes = b"text/calendar; charset=utf-8; method=REPLY", encoding: bytes = b"8bit") -> bytes:
    return b"From: a@b\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


def found(octets: bytes) -> tuple[Calendar, ...]:
    return calendars(octets, parse(octets))


def only(octets: bytes) -> Calendar:
    (one,) = found(octets)
    return one


@pytest.mark.parametrize(
    ("lines", "attendees"),
    [
        ([ANNA], [Attendee("anna@acme.test", None)]),
        (["attendee:MAILTO:anna@acme.test"], [Attendee("anna@acme.test", None)]),
        (['ATTENDEE;SENT-BY="mailto:bea@acme.test":mailto:anna@acme.test'], [Attendee("anna@acme.test", "bea@acme.test")]),
        (['ATTENDEE;CN="A: B; C";X=1,2,"3":mailto:anna@acme.test'], [Attendee("anna@acme.test", None)]),
        (["ATTENDEE;PARTSTAT=ACC\r\n EPTED:mai\r\n\tlto:anna@acme.test"], [Attendee("anna@acme.test", None)]),
        ([ANNA, ANNA], [Attendee("anna@acme.test", None)]),
        ([ANNA, "ATTENDEE:mailto:bea@acme.test"], [Attendee("anna@acme.test", None), Attendee("bea@acme.test", None)]),
        (["ATTENDEE:mailto:anna%40acme.test"], [Attendee("anna@acme.test", None)]),
        (["ATTENDEE:urn:uuid:1"], [Attendee(None, None)]),
        (["ATTENDEE;EMAIL=anna@acme.test:urn:uuid:1"], [Attendee("anna@acme.test", None)]),
        (["BEGIN:VALARM", "ATTENDEE:mailto:x@y", "END:VALARM", ANNA], [Attendee("anna@acme.test", None)]),
        (["DESCRIPTION:ATTENDEE:mailto:x@y\\n", "X-ODD;a b=c:d", ANNA], [Attendee("anna@acme.test", None)]),
        ([], []),
    ],
)
def test_attendees(lines: list[str], attendees: list[Attendee]) -> None:
    one = only(mail(event(*lines).encode()))
    assert list(one.attendees) == attendees
    assert one.speaks
    assert one.speaker == (attendees[0] if len(attendees) == 1 else None)


def test_every_transfer_encoding_and_charset_is_read() -> None:
    text = event("SUMMARY:Größe", ANNA)
    for encoding, body in (
        (b"base64", b64encode(text.encode())),
        (b"8bit", text.encode()),
        (b"quoted-printable", text.encode().replace(b"=", b"=3D").replace(b"\xc3", b"=C3").replace(b"anna@", b"an=\r\nna@")),
    ):
        assert only(mail(body, encoding=encoding)).attendees == (Attendee("anna@acme.test", None),)
    latin = mail(text.encode("latin-1"), b"text/calendar; charset=iso-8859-1")
    assert only(latin).method == "REPLY"


@pytest.mark.parametrize(
    ("method", "kind", "expected", "speaks"),
    [
        ("METHOD:REPLY", b"text/calendar", "REPLY", True),
        ("METHOD:counter", b"text/calendar; method=COUNTER", "COUNTER", True),
        ("METHOD:REQUEST", b"text/calendar; method=request", "REQUEST", False),
        ("METHOD:CANCEL", b"TEXT/Calendar", "CANCEL", False),
        ("", b"text/calendar", "", False),
    ],
)
def test_methods(method: str, kind: bytes, expected: str, speaks: bool) -> None:
    one = only(mail(event(ANNA, method=method).encode(), kind))
    assert (one.method, one.speaks) == (expected, speaks)


REPLY = event(ANNA).encode()


@pytest.mark.parametrize(
    "octets",
    [
        mail(REPLY, b"text/calendar; method=REQUEST"),
        mail(event(ANNA, method="").encode(), b"text/calendar; method=REPLY"),
        mail(REPLY, b"text/calendar; method=REPLY; method=REQUEST"),
        mail(event(ANNA, "METHOD:REQUEST").encode()),
        mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:REPLY\r\nMETHOD:REQUEST")),
        mail(REPLY.replace(b"METHOD:REPLY", b"METHOD:")),
        mail(REPLY.replace(b"END:VEVENT", b"END:VTODO")),
        mail(REPLY.replace(b"END:VCALENDAR\r\n", b"")),
        mail(b"METHOD:REPLY\r\n" + REPLY),
        mail(REPLY.replace(b"UID:1", b"UID:1\x0bATTENDEE:mailto:x@y")),
        mail(REPLY.replace(b"UID:1", b"UID:1\rATTENDEE:mailto:x@y")),
        mail(REPLY.replace(b"UID:1", "UID:1\u2028ATTENDEE:mailto:x@y".encode())),
        mail(REPLY.replace(b"UID:1", b"UID:\xff")),
        mail(REPLY.replace(b"UID:1", b"no colon")),
        mail(REPLY.replace(b"UID:1", b"ATTENDEE;X:mailto:x@y")),
        mail(REPLY.replace(b"mailto:anna", b"mailto:")),
        mail(REPLY.replace(b"mailto:anna", b"anna")),
        mail(REPLY.replace(b"anna@acme.test", b"anna@acme.test,x@y")),
        mail(REPLY.replace(b"anna@acme.test", b"anna@acme.test?cc=x@y")),
        mail(event("ATTENDEE;EMAIL=x@y:mailto:anna@acme.test").encode()),
        mail(event('ATTENDEE;SENT-BY="mailto:a@b";SENT-BY="mailto:c@d":mailto:anna@acme.test').encode()),
        mail(event("ATTENDEE;SENT-BY=urn:x:mailto:anna@acme.test").encode()),
        mail(b"!!!!", encoding=b"base64"),
        mail(REPLY, encoding=b"x-uuencode"),
        mail(REPLY, b"text/calendar; charset=x-nothing"),
        b"Content-Type: text/plain\r\n" + mail(REPLY),
        mail(REPLY, b"x text/calendar"),
        mail(b"BEGIN:VCALENDAR\r\n" * 3),
        mail(b"BEGIN:VCALENDAR\r\n" + b"BEGIN:X\r\n" * 100),
    ],
    ids=range(29),
)
def test_a_calendar_that_can_be_read_twice_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedCalendar):
        found(octets)


def multipart(kind: bytes, *parts: bytes) -> bytes:
    return (
        b"From: a@b\r\nContent-Type: "
        + kind
        + b"; boundary=xx\r\n\r\n"
        + b"".join(b"--xx\r\n" + part + b"\r\n" for part in parts)
        + b"--xx--\r\n"
    )


PART = b"Content-Type: text/calendar; method=REPLY\r\n\r\n" + REPLY


def test_calendars_are_leaves_outside_embedded_messages() -> None:
    octets = multipart(b"multipart/mixed", b"\r\ntext", PART, b"Content-Type: message/rfc822\r\n\r\n" + PART)
    assert mentions_calendar(octets)
    assert not mentions_calendar(b"Subject: calends\r\n\r\ncalenda\r\n")
    assert mentions_calendar(b"x CALendar")
    assert len(found(octets)) == 1
    assert not only(octets).sealed
    assert only(multipart(b"multipart/signed", PART, b"\r\nsignature")).sealed
    assert only(multipart(b"multipart/signed", multipart(b"multipart/mixed", PART).replace(b"xx", b"yy"), b"\r\ns")).sealed
    with pytest.raises(MalformedCalendar):
        found(multipart(b"multipart/mixed", *[PART] * 30))


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
        (multipart(b"multipart/mixed; boundary*=yy", PART), False),
        (multipart(b"multipart/mixed; boundary*0=yy", PART), False),
        (multipart(b"multipart/mixed", PART.replace(b"text/calendar", b"text/(c)calendar")), True),
        (multipart(b"multipart/mixed", PART.replace(b"text/calendar", b"te(c)xt/calendar")), False),
        (multipart(b"multipart/mixed", *[INNER.replace(b"xx2", b"%d" % n) for n in range(60)], PART), False),
    ],
    ids=range(12),
)
def test_a_calendar_cannot_be_hidden_between_two_readings_of_mime(octets: bytes, clear: bool) -> None:
    if clear:
        assert only(octets).attendees == (Attendee("anna@acme.test", None),)
    else:
        with pytest.raises(MalformedCalendar):
            found(octets)


@pytest.mark.parametrize("encoding", [b"8bit", b"7bit", b"base64", b"quoted-printable"])
def test_sent_by_is_added_and_nothing_else_changes(encoding: bytes) -> None:
    text = event(
        "SUMMARY:" + "x" * 200,
        'ATTENDEE;CN="A\r\n nna";PARTSTAT=ACCEPTED:mailto:anna@acme.test',
        "BEGIN:VALARM",
        "ATTENDEE:mailto:z@z",
        "END:VALARM",
    )
    body = b64encode(text.encode()) if encoding == b"base64" else text.encode()
    if encoding == b"quoted-printable":
        body = body.replace(b"=", b"=3D")
    octets = multipart(b"multipart/mixed", b"\r\nbefore", mail(body, encoding=encoding), b"\r\nafter")
    one = only(octets)
    made = add_sent_by(octets, one, "bea@acme.test")
    again = only(made)
    assert again.attendees == (Attendee("anna@acme.test", "bea@acme.test"),)
    assert made[: again.part.body] == octets[: one.part.body]
    assert made[again.part.end :] == octets[one.part.end :]
    assert all(len(line) <= 76 or b"SUMMARY" in line for line in made.split(b"\r\n"))
    if encoding in (b"7bit", b"8bit"):
        raw = made[again.part.body : again.part.end]
        (attendee,) = [line for line in raw.replace(b"\r\n ", b"").split(b"\r\n") if line.startswith(b"ATTENDEE;")]
        assert attendee == b'ATTENDEE;SENT-BY="mailto:bea@acme.test";CN="Anna";PARTSTAT=ACCEPTED:mailto:anna@acme.test'
        (theirs,) = Independent.from_ical(raw).walk("VEVENT")
        assert theirs["ATTENDEE"].params["SENT-BY"] == "mailto:bea@acme.test"
    assert add_sent_by(made, again, "other@acme.test") == made


def test_what_cannot_carry_sent_by_is_refused() -> None:
    signed = multipart(b"multipart/signed", PART, b"\r\ns")
    plain = mail(REPLY, encoding=b"7bit")
    for octets, sender in ((signed, "bea@acme.test"), (plain, "béa@acme.test"), (plain, 'b"@acme.test'), (plain, "b@c\r\nX:y")):
        with pytest.raises(MalformedCalendar):
            add_sent_by(octets, only(octets), sender)


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
        b"mailto:",
        b"\xff",
        b"SENT-BY=",
    ]
)


@given(st.lists(LINES, max_size=20).map(b"".join) | st.binary(max_size=100), st.sampled_from([b"7bit", b"base64", b"quoted-printable"]))
@settings(max_examples=300, deadline=None)
def test_any_octets_are_a_calendar_or_malformed(body: bytes, encoding: bytes) -> None:
    octets = mail(body, encoding=encoding)
    try:
        one = only(octets)
        made = add_sent_by(octets, one, "s@t")
    except MalformedCalendar:
        return
    assert all(attendee.sent_by is not None for attendee in only(made).attendees)


@pytest.mark.parametrize(
    "body",
    [
        b"A:b\r\n" * 200_000,
        b"\r\n" * 2_000_000,
        b"A:" + b"b\r\n " * 800_000,
        b"ATTENDEE" + b";X=y" * 900_000,
        b'ATTENDEE;X="' * 300_000,
        b"ATTENDEE:" + b"m" * 4_000_000,
        event(*[f"ATTENDEE:mailto:a{n}@b" for n in range(50_000)]).encode(),
        b"BEGIN:VCALENDAR\r\n" + b"ATTENDEE;X=" + b",a" * 1_000_000 + b":mailto:a@b\r\nEND:VCALENDAR\r\n",
    ],
    ids=range(8),
)
def test_bombs_take_little_time(body: bytes) -> None:
    octets = mail(body)
    begin = time.process_time()
    try:
        found(octets)
    except MalformedCalendar:
        pass
    assert time.process_time() - begin < 2.5
