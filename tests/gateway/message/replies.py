"""Answers to invitations in the shapes in which programs write them: MIME structure, encodings, folding, parameters.

Written by hand after what such messages look like; `%s` is the attendee.
"""

from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """`octets`: the message; `attendees` as they are found in each event of each answer, for anna@acme.test."""

    octets: bytes
    answers: int = 1
    method: str = "REPLY"
    listed: int = 1


def lines(text: str, end: str = "\r\n") -> str:
    return text.strip("\n").replace("\n", end) + end


def base64(text: bytes) -> bytes:
    return encodebytes(text).replace(b"\n", b"\r\n").removesuffix(b"\r\n")


def quoted(text: bytes) -> bytes:
    return b2a_qp(text, istext=True)


def mixed(kind: str, *parts: tuple[str, bytes], boundary: str = "=_limit") -> bytes:
    made = b"".join(b"--" + boundary.encode() + b"\r\n" + lines(head).encode() + b"\r\n" + body + b"\r\n" for head, body in parts)
    return made + b"--" + boundary.encode() + b"--\r\n"


def message(content_type: str, body: bytes, from_: str = "anna@acme.test", encoding: str = "7bit") -> bytes:
    head = f"""
From: {from_}
To: rita@other.test
Subject: Accepted: planning
Date: Sun, 1 Nov 2026 10:00:00 +0000
Message-ID: <shape@acme.test>
MIME-Version: 1.0
Content-Type: {content_type}
Content-Transfer-Encoding: {encoding}
"""
    return lines(head).encode() + b"\r\n" + body


EXCHANGE = lines("""
BEGIN:VCALENDAR
METHOD:REPLY
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
ATTENDEE;PARTSTAT=ACCEPTED;CN=Ölsen\\, Anna:mailto:anna@acme.test
COMMENT;LANGUAGE=de-DE:Größe\\n
UID:040000008200E00074C5B7101A82E0080000000010E5A4B6C2A1D901000000000000000
 010000000D2F0E6C1B6A84C4A9E0C
SUMMARY;LANGUAGE=de-DE:Zugesagt: Planung
DTSTART;TZID=W. Europe Standard Time:20261102T100000
DTEND;TZID=W. Europe Standard Time:20261102T110000
CLASS:PUBLIC
PRIORITY:5
DTSTAMP:20261101T100000Z
TRANSP:OPAQUE
STATUS:CONFIRMED
SEQUENCE:0
LOCATION;LANGUAGE=de-DE:Saal 3
X-MICROSOFT-CDO-APPT-SEQUENCE:0
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
X-MICROSOFT-CDO-IMPORTANCE:1
X-MICROSOFT-DISALLOW-COUNTER:FALSE
END:VEVENT
END:VCALENDAR
""").replace("\\, ", " ")

OUTLOOK_OVER_SMTP = lines("""
BEGIN:VCALENDAR
PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
VERSION:2.0
METHOD:REPLY
X-MS-OLK-FORCEINSPECTOROPEN:TRUE
BEGIN:VEVENT
ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@acme.test
CLASS:PUBLIC
CREATED:20261101T100000Z
DESCRIPTION:\\n
DTEND:20261102T110000Z
DTSTAMP:20261101T100000Z
DTSTART:20261102T100000Z
LAST-MODIFIED:20261101T100000Z
PRIORITY:5
SEQUENCE:0
SUMMARY;LANGUAGE=en-gb:Accepted: planning
TRANSP:OPAQUE
UID:1@other.test
X-ALT-DESC;FMTTYPE=text/html:<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2//E
	N"><html></html>
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
END:VEVENT
END:VCALENDAR
""")

EXCHANGE_COUNTER = (
    EXCHANGE.replace("METHOD:REPLY", "METHOD:COUNTER")
    .replace("PARTSTAT=ACCEPTED", "PARTSTAT=TENTATIVE")
    .replace("CLASS:PUBLIC", "X-MS-OLK-ORIGINALSTART;TZID=W. Europe Standard Time:20261102T090000\r\nCLASS:PUBLIC")
)

GOOGLE = lines("""
BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:REPLY
BEGIN:VEVENT
DTSTART:20261102T100000Z
DTEND:20261102T110000Z
DTSTAMP:20261101T100000Z
ORGANIZER;CN=Rita:mailto:rita@other.test
UID:1@other.test
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN=Anna O
 wner;X-NUM-GUESTS=0:mailto:anna@acme.test
X-MICROSOFT-CDO-OWNERAPPTID:-1
CREATED:20261101T090000Z
DESCRIPTION:
LAST-MODIFIED:20261101T100000Z
LOCATION:
SEQUENCE:0
STATUS:CONFIRMED
SUMMARY:planning
TRANSP:OPAQUE
END:VEVENT
END:VCALENDAR
""")

GUESTS = "\r\n".join(
    f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE\r\n ;CN={name};X-NUM-GUESTS=0:mailto:{name}"
    for name in ("rita@other.test", "carla@acme.test", "bea@acme.test")
)
GOOGLE_COUNTER = GOOGLE.replace("METHOD:REPLY", "METHOD:COUNTER").replace("X-MICROSOFT-CDO", GUESTS + "\r\nX-MICROSOFT-CDO")

APPLE = lines("""
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Apple Inc.//macOS 14.1//EN
METHOD:REPLY
BEGIN:VEVENT
UID:4F1C0C2E-3B6F-4C59-9D8B-0D2A7A2C3F11
DTSTART;TZID=Europe/Berlin:20261102T100000
DTEND;TZID=Europe/Berlin:20261102T110000
SUMMARY:planning
SEQUENCE:0
DTSTAMP:20261101T100000Z
ORGANIZER;CN="Rita":mailto:rita@other.test
ATTENDEE;CN="Anna Owner";CUTYPE=INDIVIDUAL;EMAIL="anna@acme.test";PARTSTAT=
 ACCEPTED;ROLE=REQ-PARTICIPANT:mailto:anna@acme.test
END:VEVENT
END:VCALENDAR
""")

THUNDERBIRD = lines("""
BEGIN:VCALENDAR
PRODID:-//Mozilla.org/NONSGML Mozilla Calendar V1.1//EN
VERSION:2.0
METHOD:REPLY
BEGIN:VEVENT
CREATED:20261101T090000Z
LAST-MODIFIED:20261101T100000Z
DTSTAMP:20261101T100000Z
UID:1@other.test
SUMMARY:planning – Größe
ORGANIZER;CN=Rita:mailto:rita@other.test
ATTENDEE;CN=Anna Owner;PARTSTAT=ACCEPTED;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTIC
 IPANT;RSVP=TRUE:mailto:anna@acme.test
DTSTART:20261102T100000Z
DTEND:20261102T110000Z
SEQUENCE:0
END:VEVENT
END:VCALENDAR
""")

ZIMBRA = lines("""
BEGIN:VCALENDAR
PRODID:Zimbra-Calendar-Provider
VERSION:2.0
METHOD:REPLY
BEGIN:VEVENT
UID:9d3f6f0c-6c0b-4b2b-8c0d-7f4c1a5e2b90
SUMMARY:planning
ATTENDEE;CN=Anna Owner;PARTSTAT=ACCEPTED:mailto:anna@acme.test
ORGANIZER;CN=Rita:mailto:rita@other.test
DTSTART;TZID="Europe/Berlin":20261102T100000
DTEND;TZID="Europe/Berlin":20261102T110000
STATUS:CONFIRMED
CLASS:PUBLIC
TRANSP:OPAQUE
DTSTAMP:20261101T100000Z
SEQUENCE:0
END:VEVENT
END:VCALENDAR
""")

NOTES = lines("""
BEGIN:VCALENDAR
X-LOTUS-CHARSET:UTF-8
VERSION:2.0
PRODID:-//Lotus Development Corporation//NONSGML Notes 9.0.1//EN_C
METHOD:REPLY
BEGIN:VEVENT
DTSTART:20261102T100000Z
DTEND:20261102T110000Z
DTSTAMP:20261101T100000Z
UID:1@other.test
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED
 ;CN="Anna Owner/ACME"
 ;RSVP=FALSE:mailto:anna@acme.test
ORGANIZER:mailto:rita@other.test
X-LOTUS-NOTESVERSION:2
END:VEVENT
END:VCALENDAR
""")

SERIES = THUNDERBIRD.replace(
    "END:VCALENDAR",
    """BEGIN:VEVENT
UID:1@other.test
RECURRENCE-ID:20261109T100000Z
DTSTAMP:20261101T100000Z
ORGANIZER;CN=Rita:mailto:rita@other.test
ATTENDEE;CN=Anna Owner;PARTSTAT=DECLINED:mailto:ANNA@acme.test
DTSTART:20261109T100000Z
END:VEVENT
END:VCALENDAR""".replace("\n", "\r\n"),
)

TODO = lines("""
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Ximian//NONSGML Evolution Calendar//EN
METHOD:REPLY
BEGIN:VTODO
UID:1@other.test
DTSTAMP:20261101T100000Z
ORGANIZER:mailto:rita@other.test
ATTENDEE;PARTSTAT=COMPLETED:mailto:anna@acme.test
PERCENT-COMPLETE:100
END:VTODO
END:VCALENDAR
""")

BUSY = lines("""
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
METHOD:REPLY
BEGIN:VFREEBUSY
UID:1@other.test
DTSTAMP:20261101T100000Z
ORGANIZER:mailto:rita@other.test
ATTENDEE:mailto:anna@acme.test
FREEBUSY;FBTYPE=BUSY:20261102T100000Z/PT1H,20261103T100000Z/PT1H
END:VFREEBUSY
END:VCALENDAR
""")

TEXT = ("Content-Type: text/plain; charset=us-ascii", b"I come.")
HTML = ("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", b"<p>I come=2E</p>")


def calendar(head: str, encoding: str) -> str:
    return f"Content-Type: text/calendar; {head}\nContent-Transfer-Encoding: {encoding}"


ATTACHED = (
    'Content-Type: application/ics; name="invite.ics"\nContent-Disposition: attachment; filename="invite.ics"\nContent-Transfer-Encoding: '
)
APPLE_HEAD = """
Content-Disposition: attachment;
 filename="iCal-20261101-100000.ics"
Content-Type: text/calendar;
 charset=utf-8;
 method=REPLY;
 name="iCal-20261101-100000.ics"
Content-Transfer-Encoding: base64
"""

SHAPES: dict[str, Shape] = {
    # text, HTML and base64 without a name; the method parameter last
    "Exchange": Shape(
        message(
            'multipart/alternative;\n\tboundary="=_limit"',
            mixed("alternative", TEXT, HTML, (calendar('charset="utf-8"; method=REPLY', "base64"), base64(EXCHANGE.encode()))),
        )
    ),
    "Exchange, counter": Shape(
        message(
            'multipart/alternative;\n\tboundary="=_limit"',
            mixed("alternative", TEXT, (calendar('charset="utf-8"; method=COUNTER', "base64"), base64(EXCHANGE_COUNTER.encode()))),
        ),
        method="COUNTER",
    ),
    # Outlook by itself: the whole body
    "Outlook": Shape(
        message('text/calendar; method=REPLY;\n\tcharset="utf-8"', OUTLOOK_OVER_SMTP.encode(), encoding="7bit"),
    ),
    "Outlook, windows-1252": Shape(
        message(
            'text/calendar; method=REPLY;\n\tcharset="windows-1252"',
            quoted(OUTLOOK_OVER_SMTP.replace("planning", "“Größe” – 5 €").encode("cp1252")),
            encoding="quoted-printable",
        ),
    ),
    # the same twice: alternative, and attached as application/ics
    "Google": Shape(
        message(
            'multipart/mixed; boundary="=_limit"',
            mixed(
                "mixed",
                (
                    'Content-Type: multipart/alternative; boundary="=_inner"',
                    mixed(
                        "alternative", TEXT, HTML, (calendar('charset="UTF-8"; method=REPLY', "7bit"), GOOGLE.encode()), boundary="=_inner"
                    ),
                ),
                (
                    ATTACHED + "base64",
                    base64(GOOGLE.encode()),
                ),
            ),
        ),
        answers=2,
    ),
    "Google, counter with all guests": Shape(
        message(
            'multipart/alternative; boundary="=_limit"',
            mixed("alternative", TEXT, (calendar('charset="UTF-8"; method=COUNTER', "7bit"), GOOGLE_COUNTER.encode())),
        ),
        method="COUNTER",
        listed=4,
    ),
    # an attachment with a name, LF inside base64 as macOS has it
    "Apple": Shape(
        message(
            'multipart/mixed;\n boundary="=_limit"',
            mixed(
                "mixed",
                TEXT,
                (
                    APPLE_HEAD,
                    base64(APPLE.replace("\r\n", "\n").encode()),
                ),
            ),
        )
    ),
    "Apple, quoted-printable": Shape(
        message(
            'multipart/alternative; boundary="=_limit"',
            mixed(
                "alternative",
                TEXT,
                (
                    calendar('charset=utf-8; method=REPLY; name="meeting.ics"', "quoted-printable"),
                    b2a_qp(APPLE.replace("planning", "Größe").encode(), istext=False).replace(b"=0A", b"=0A=\r\n"),
                ),
            ),
        )
    ),
    "Thunderbird": Shape(
        message(
            'multipart/mixed; boundary="=_limit"',
            mixed(
                "mixed",
                (
                    'Content-Type: multipart/alternative; boundary="=_inner"',
                    mixed("alternative", TEXT, (calendar("method=REPLY; charset=UTF-8", "8bit"), THUNDERBIRD.encode()), boundary="=_inner"),
                ),
                (
                    ATTACHED + "8bit",
                    THUNDERBIRD.encode(),
                ),
            ),
        ),
        answers=2,
    ),
    "Thunderbird, a series": Shape(
        message(
            'multipart/alternative; boundary="=_limit"',
            mixed("alternative", TEXT, (calendar("method=REPLY; charset=UTF-8", "quoted-printable"), quoted(SERIES.encode()))),
        )
    ),
    "Zimbra and Carbonio": Shape(
        message(
            'multipart/alternative;\n\tboundary="=_limit"',
            mixed("alternative", TEXT, HTML, (calendar("charset=utf-8; method=REPLY; name=meeting.ics", "7bit"), ZIMBRA.encode())),
        )
    ),
    # ActiveSync: the phone writes the message, the server only sends it
    "ActiveSync": Shape(
        message(
            "multipart/alternative; boundary=_limit",
            mixed("alternative", TEXT, (calendar("charset=utf-8; method=REPLY", "base64"), base64(EXCHANGE.encode())), boundary="_limit"),
        )
    ),
    "Notes": Shape(
        message(
            'multipart/mixed; boundary="=_limit"',
            mixed("mixed", TEXT, (calendar("method=REPLY; charset=UTF-8; component=vevent", "7bit"), NOTES.encode())),
        )
    ),
    "Evolution, a task": Shape(
        message('text/calendar; name="task.ics"; charset=utf-8; METHOD=REPLY', TODO.encode()),
    ),
    "busy time": Shape(message("text/calendar; method=REPLY; charset=us-ascii", BUSY.encode())),
    "no charset": Shape(message("text/calendar; method=REPLY", THUNDERBIRD.encode(), encoding="8bit")),
    "ISO-8859-1": Shape(
        message("text/calendar; charset=ISO-8859-1; method=REPLY", THUNDERBIRD.replace("–", "-").encode("latin-1"), encoding="8bit")
    ),
    "Shift_JIS": Shape(
        message(
            "text/calendar; charset=Shift_JIS; method=REPLY",
            base64(THUNDERBIRD.replace("planning – Größe", "ソ表能").replace("Anna Owner", '"ソ表能"').encode("shift_jis")),
            encoding="base64",
        )
    ),
    "a byte order mark": Shape(
        message("text/calendar; charset=utf-8; method=REPLY", base64("\ufeff".encode() + THUNDERBIRD.encode()), encoding="base64")
    ),
}
