"""METHOD and ATTENDEEs of a calendar, as two readers agree on them."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar as Library

from gateway.message.itip import Attendee, MalformedCalendar, Reading, plain_address, read


def event(*lines: str, method: str = "METHOD:REPLY", name: str = "VEVENT") -> str:
    rows = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", method, f"BEGIN:{name}", "UID:1", "DTSTAMP:20240101T000000Z", *lines]
    return "".join(row + "\r\n" for row in (*rows, f"END:{name}", "END:VCALENDAR") if row)


ANNA = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@acme.test"
REPLY = event(ANNA)


def named(text: str, encoding: str = "utf-8") -> list[list[tuple[str | None, str | None]]]:
    return [[(one.address, one.sent_by) for one in each] for each in read(text.encode(encoding), encoding).components]


@pytest.mark.parametrize(
    ("line", "address", "sent_by"),
    [
        (ANNA, "anna@acme.test", None),
        ("attendee:MAILTO:anna@acme.test", "anna@acme.test", None),
        ("Attendee;Cutype=Individual:MailTo:Anna@ACME.test", "Anna@ACME.test", None),
        ('ATTENDEE;SENT-BY="mailto:bea@acme.test":mailto:anna@acme.test', "anna@acme.test", "bea@acme.test"),
        ('ATTENDEE;sent-by="MAILTO:bea@acme.test";CN=x:mailto:anna@acme.test', "anna@acme.test", "bea@acme.test"),
        ('ATTENDEE;CN="A: B; C, D";X=1,2,"3":mailto:anna@acme.test', "anna@acme.test", None),
        ("ATTENDEE;CN='anna@other.test':mailto:anna@acme.test", "anna@acme.test", None),
        ("ATTENDEE;CN=Anna^nOwner^':mailto:anna@acme.test", "anna@acme.test", None),  # RFC 6868
        ("ATTENDEE;CN=:mailto:anna@acme.test", "anna@acme.test", None),
        ("ATTENDEE;PARTSTAT=ACC\r\n EPTED:mai\r\n\tlto:anna@acme.test", "anna@acme.test", None),
        ("ATTENDEE\r\n ;CN=Anna\r\n :mailto:anna@acme.test", "anna@acme.test", None),
        ("ATTENDEE:mailto:anna%40acme.test", "anna@acme.test", None),
        ("ATTENDEE:mailto:anna+tag@acme.test", "anna+tag@acme.test", None),
        ("ATTENDEE:mailto:o'brien@acme.test", "o'brien@acme.test", None),
        ("ATTENDEE:mailto:änna@acme.test", "änna@acme.test", None),
        ("ATTENDEE:urn:uuid:1", None, None),
        ("ATTENDEE:invalid:nomail", None, None),
        ("ATTENDEE:https://cal.acme.test/p/a%20b@c", None, None),
        ("ATTENDEE;EMAIL=anna@acme.test:urn:uuid:1", "anna@acme.test", None),
        ("ATTENDEE;EMAIL=anna@acme.test:mailto:Anna@acme.test", "anna@acme.test", None),
        ('ATTENDEE;EMAIL="mailto:anna@acme.test":mailto:anna@acme.test', "anna@acme.test", None),
    ],
)
def test_attendees(line: str, address: str | None, sent_by: str | None) -> None:
    text = event("SUMMARY:before", line, "COMMENT:after").encode()
    ((one,),) = read(text).components
    assert (one.address, one.sent_by) == (address, sent_by)
    assert text[: one.place].rpartition(b"\n")[2].upper() == b"ATTENDEE"


@pytest.mark.parametrize(
    ("method", "expected", "components"),
    [
        ("METHOD:REPLY", "REPLY", 1),
        ("method:counter", "COUNTER", 1),
        ("METHOD:REQUEST", "REQUEST", 0),
        ("METHOD:DECLINECOUNTER", "DECLINECOUNTER", 0),
        ("METHOD:X-OWN", "X-OWN", 0),
        ("", "", 0),
    ],
)
def test_methods(method: str, expected: str, components: int) -> None:
    reading = read(event(ANNA, method=method).encode())
    assert (reading.method, len(reading.components)) == (expected, components)


ZONE = "BEGIN:VTIMEZONE\r\nTZID:Nowhere\r\nBEGIN:STANDARD\r\nDTSTART:x\r\nRRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"


def test_every_component_but_zones_is_read() -> None:
    two = REPLY.replace("END:VCALENDAR", "BEGIN:VEVENT\r\nRECURRENCE-ID:x\r\nATTENDEE:mailto:bea@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR")
    assert named(two) == [[("anna@acme.test", None)], [("bea@acme.test", None)]]
    assert named(REPLY.replace("BEGIN:VEVENT", ZONE + "BEGIN:VEVENT")) == [[("anna@acme.test", None)]]
    assert named(REPLY.replace("END:VCALENDAR", ZONE + "END:VCALENDAR")) == [[("anna@acme.test", None)]]
    for name in ("VTODO", "VJOURNAL", "VFREEBUSY", "X-OTHER"):
        assert named(event(ANNA, "ATTENDEE:mailto:bea@acme.test", name=name)) == [[("anna@acme.test", None), ("bea@acme.test", None)]]
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM"
    assert named(event(alarm, ANNA)) == [[("anna@acme.test", None)]]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + REPLY,
        REPLY.replace("\r\n", "\n"),
        REPLY.removesuffix("\r\n"),
        REPLY + "\r\n\r\n",
        REPLY.replace("UID:1", "X-ODD;a b=c:d"),
        REPLY.replace("UID:1", "DESCRIPTION:METHOD:REQUEST\\nATTENDEE:mailto:x@y"),
        REPLY.replace("UID:1", "DESCRIPTION:one\r\n METHOD:REQUEST"),
        REPLY.replace("UID:1", "DTSTART;TZID=../../etc/passwd:nonsense\r\nRRULE:FREQ=SECONDLY;COUNT=999999999"),
        REPLY.replace("UID:1", "SUMMARY:a\u2028b, “Method of\x85”"),
        REPLY.replace("UID:1", 'X-QUOTE;P="unbalanced:x'),
    ],
    ids=range(10),
)
def test_what_does_not_matter_is_not_looked_at(text: str) -> None:
    assert named(text) == [[("anna@acme.test", None)]]


def test_a_character_may_be_folded() -> None:
    octets = REPLY.encode().replace(b"UID:1", b"SUMMARY:Gr\xc3\r\n \xb6\xc3\x9fe")
    assert read(octets).method == "REPLY"


MALFORMED = {
    "METHOD twice": REPLY.replace("METHOD:REPLY", "METHOD:REPLY\r\nMETHOD:REPLY"),
    "METHOD twice, another": REPLY.replace("METHOD:REPLY", "METHOD:REQUEST\r\nMETHOD:REPLY"),
    "METHOD in the event": event(ANNA, "METHOD:REPLY", method=""),
    "METHOD in the event too": event(ANNA, "METHOD:REQUEST"),
    "METHOD empty": REPLY.replace("METHOD:REPLY", "METHOD:"),
    "METHOD blank": REPLY.replace("METHOD:REPLY", "METHOD: REPLY"),
    "METHOD and a blank behind": REPLY.replace("METHOD:REPLY", "METHOD:REPLY "),
    "METHOD with a parameter": REPLY.replace("METHOD:REPLY", "METHOD;X=1:REPLY"),
    "METHOD folded": REPLY.replace("METHOD:REPLY", "METHOD:REP\r\n LY"),
    "BEGIN folded": REPLY.replace("BEGIN:VEVENT", "BEGIN:V\r\n EVENT"),
    "METHOD after a line separator": REPLY.replace("METHOD:REPLY", "METHOD:\u2028REPLY"),
    "two kinds of line breaks": REPLY.replace("UID:1\r\n", "UID:1\n"),
    "a fold of another kind": REPLY.replace("anna@acme", "anna@\n acme"),
    "METHOD quoted": REPLY.replace("METHOD:REPLY", 'METHOD:"REPLY"'),
    "METHOD escaped": REPLY.replace("METHOD:REPLY", "METHOD:RE\\PLY"),
    "blank before the colon": REPLY.replace("METHOD:REPLY", "METHOD :REPLY"),
    "blank in the name": REPLY.replace("UID:1", "ATTEND EE:mailto:x@y"),
    "name folded": REPLY.replace("UID:1", "ATTEND\r\n EE:mailto:x@y"),
    "group": REPLY.replace("METHOD:REPLY", "METHOD:REQUEST\r\na.METHOD:REPLY"),
    "underscore": REPLY.replace("UID:1", "X_Y:1"),
    "not ASCII in a name": REPLY.replace("UID:1", "METHÖD:REPLY"),
    "dotless i": REPLY.replace("BEGIN:VEVENT", "BEGıN:VEVENT"),
    "no colon": REPLY.replace("UID:1", "no colon"),
    "two calendars": REPLY + REPLY,
    "two calendars, one other": REPLY + REPLY.replace("REPLY", "REQUEST"),
    "calendar in calendar": REPLY.replace("BEGIN:VEVENT", "BEGIN:VCALENDAR").replace("END:VEVENT", "END:VCALENDAR"),
    "event without calendar": "BEGIN:VEVENT\r\nEND:VEVENT\r\n",
    "END of another": REPLY.replace("END:VEVENT", "END:VTODO"),
    "no END": REPLY.replace("END:VCALENDAR\r\n", ""),
    "END without BEGIN": "END:VCALENDAR\r\n",
    "METHOD before": "METHOD:REPLY\r\n" + REPLY,
    "METHOD behind": REPLY + "METHOD:REPLY\r\n",
    "BEGIN with parameter": REPLY.replace("BEGIN:VEVENT", "BEGIN;X=1:VEVENT"),
    "deep": "BEGIN:VCALENDAR\r\n" + "BEGIN:X\r\n" * 100,
    "vertical tab": REPLY.replace("UID:1", "UID:1\x0bATTENDEE:mailto:x@y"),
    "form feed": REPLY.replace("UID:1", "UID:1\x0cATTENDEE:mailto:x@y"),
    "NUL": REPLY.replace("ATTENDEE", "ATT\x00ENDEE"),
    "NUL in a text": REPLY.replace("UID:1", "UID:1\x00"),
    "escape": REPLY.replace("UID:1", "UID:1\x1b(B"),
    "carriage return": REPLY.replace("UID:1", "UID:1\rATTENDEE:mailto:x@y"),
    "only carriage returns": REPLY.replace("\r\n", "\r"),
    "line separator": REPLY.replace("UID:1", "UID:1\u2028ATTENDEE:mailto:x@y"),
    "next line": REPLY.replace("UID:1", "UID:1\x85 METHOD:REQUEST"),
    "byte order mark inside": REPLY.replace("METHOD", "\ufeffMETHOD"),
    "two byte order marks": "\ufeff\ufeff" + REPLY,
    "folded after an empty line": REPLY.replace("UID:1", "UID:1\r\n\r\n ATTENDEE:mailto:x@y"),
    "folded at first": " " + REPLY,
    "no attendee": event(),
    "no event": "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nEND:VCALENDAR\r\n",
    "a zone only": "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n" + ZONE + "END:VCALENDAR\r\n",
    "an event without attendee": REPLY.replace("END:VCALENDAR", "BEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR"),
    "attendee in an alarm": event(ANNA, "BEGIN:VALARM", ANNA, "END:VALARM"),
    "attendee of the calendar": REPLY.replace("METHOD", ANNA + "\r\nMETHOD"),
    "attendee of a zone only": REPLY.replace("BEGIN:VEVENT", ZONE.replace("BEGIN:STANDARD", "BEGIN:STANDARD\r\n" + ANNA) + "BEGIN:VEVENT"),
    "attendee outside": ANNA + "\r\n" + REPLY,
    "parameter without value": event("ATTENDEE;X:mailto:a@b"),
    "parameter with a blank": event("ATTENDEE;X =1:mailto:a@b"),
    "quote inside": event('ATTENDEE;CN=a"b:mailto:a@b'),
    "quote escaped": event('ATTENDEE;CN="a\\"b":mailto:a@b'),
    "quote open": event('ATTENDEE;CN="a:mailto:a@b'),
    "address empty": event("ATTENDEE:mailto:"),
    "no address": event("ATTENDEE:"),
    "no scheme": event("ATTENDEE:anna@acme.test"),
    "blank before": event("ATTENDEE: mailto:anna@acme.test"),
    "blank behind": event("ATTENDEE:mailto:anna@acme.test "),
    "blank in scheme": event("ATTENDEE:mailto :anna@acme.test"),
    "two addresses": event("ATTENDEE:mailto:anna@acme.test,x@y"),
    "query": event("ATTENDEE:mailto:anna@acme.test?cc=x@y"),
    "angles": event("ATTENDEE:mailto:<anna@acme.test>"),
    "display": event("ATTENDEE:mailto:Anna <anna@acme.test>"),
    "X.500": event("ATTENDEE:mailto:/o=acme/ou=x/cn=anna"),
    "escapes": event("ATTENDEE:mailto:anna%2Btag@acme.test"),
    "escaped escape": event("ATTENDEE:mailto:anna%2540acme.test"),
    "backslash": event("ATTENDEE:mailto:anna\\,x@acme.test"),
    "a mark before the scheme": event("ATTENDEE:\ufeffmailto:anna@acme.test"),
    "mailto in another scheme": event("ATTENDEE:x:mailto:anna@acme.test"),
    "a parameter with a colon": event("ATTENDEE;CN=mailto:a@b:mailto:anna@acme.test"),
    "slashes": event("ATTENDEE:mailto://anna@acme.test,"),
    "EMAIL of another": event("ATTENDEE;EMAIL=x@y:mailto:anna@acme.test"),
    "EMAIL twice": event("ATTENDEE;EMAIL=anna@acme.test;EMAIL=x@y:urn:x"),
    "EMAIL no address": event("ATTENDEE;EMAIL=anna:urn:x"),
    "EMAIL escaped": event("ATTENDEE;EMAIL=anna^^x@acme.test:urn:x"),
    "SENT-BY twice": event('ATTENDEE;SENT-BY="mailto:a@b";SENT-BY="mailto:c@d":mailto:anna@acme.test'),
    "SENT-BY two": event('ATTENDEE;SENT-BY="mailto:a@b","mailto:c@d":mailto:anna@acme.test'),
    "SENT-BY two in one": event('ATTENDEE;SENT-BY="mailto:a@b,mailto:c@d":mailto:anna@acme.test'),
    "SENT-BY other": event("ATTENDEE;SENT-BY=urn:x:mailto:anna@acme.test"),
    "SENT-BY not quoted": event("ATTENDEE;SENT-BY=mailto:a@b:mailto:anna@acme.test"),
    "SENT-BY uri": event('ATTENDEE;SENT-BY="urn:uuid:1":mailto:anna@acme.test'),
    "SENT-BY empty": event('ATTENDEE;SENT-BY="":mailto:anna@acme.test'),
    "SENT-BY bare": event('ATTENDEE;SENT-BY="a@b":mailto:anna@acme.test'),
    "SENT-BY with a caret": event('ATTENDEE;SENT-BY="mailto:a^^b@c":mailto:anna@acme.test'),
    "no UTF-8": REPLY.replace("UID:1", "UID:\udcff"),
    "nothing": "",
    "words": "nonsense",
}


@pytest.mark.parametrize("what", [one for one in MALFORMED if one != "nothing"])
def test_what_can_be_read_in_two_ways_is_malformed(what: str) -> None:
    with pytest.raises(MalformedCalendar) as refused:
        read(MALFORMED[what].encode("utf-8", "surrogateescape"))
    assert str(refused.value)


def test_nothing_is_no_calendar() -> None:
    assert read(b"") == Reading("", ())


def test_of_other_methods_attendees_are_not_judged() -> None:
    for line in ("ATTENDEE:mailto:/o=acme/cn=anna", "ATTENDEE;X:y", "ATTENDEE:MAILTO:", "BEGIN:VALARM\r\nATTENDEE:z\r\nEND:VALARM"):
        assert read(event(line, line, method="METHOD:REQUEST").encode()) == Reading("REQUEST", ())


def test_other_charsets() -> None:
    text = event("SUMMARY:Größe", 'ATTENDEE;CN="Ölsen":mailto:anna@acme.test')
    for encoding in ("latin-1", "cp1252", "utf-8"):
        assert named(text, encoding) == [[("anna@acme.test", None)]]
    japanese = event('ATTENDEE;CN="ソ表能":mailto:anna@acme.test')
    assert named(japanese, "shift_jis") == [[("anna@acme.test", None)]]
    with pytest.raises(MalformedCalendar):
        read(text.encode("latin-1"))


def test_plain_addresses() -> None:
    assert plain_address("bea@acme.test")
    assert plain_address("bea+x@acme.test")
    for odd in ('b"@acme.test', "b;c@acme.test", "b%c@acme.test", "b c@acme.test", "b@c\r\nX:y", "b", "b\\c@d", "b:c@d"):
        assert not plain_address(odd)


LINES = st.sampled_from(
    [f"{line}\r\n" for line in ("BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "METHOD:REPLY", "METHOD:COUNTER")]
    + ["ATTENDEE:mailto:a@b\r\n", "ATTENDEE\r\n ;", "ATTENDEE;", 'X="', 'SENT-BY="mailto:c@d"', "EMAIL=a@b", "mailto:", "BEGIN:", "END:"]
    + ["\r\n ", "\n", "\r", ":", ";", ",", "=", " ", '"', "^^", "\\,", "%40", "\ufeff"]
)


@given(
    st.lists(LINES, max_size=25).map("".join).map(str.encode)
    | st.binary(max_size=60).map(lambda odd: REPLY.encode().replace(b"UID:1", odd))
)
@settings(max_examples=400)
def test_any_octets_are_a_reading_or_malformed_and_the_library_agrees(octets: bytes) -> None:
    try:
        reading = read(octets)
    except MalformedCalendar:
        return
    if not reading.components:
        return
    # All of it this time, not only the lines that matter; its values may be anything.
    try:
        calendars = Library.from_ical(octets, multiple=True)
    except Exception:
        return
    (calendar,) = calendars
    assert calendar["METHOD"].upper() == reading.method
    whole = [one.get("ATTENDEE") for one in calendar.subcomponents if one.name != "VTIMEZONE"]
    theirs = [[str(one) for one in (each if isinstance(each, list) else [each])] for each in whole]
    assert [len(each) for each in theirs] == [len(each) for each in reading.components]


@given(st.sampled_from([ANNA, 'ATTENDEE;SENT-BY="mailto:b@c";CN=x:mailto:anna@acme.test']), st.data())
@settings(max_examples=200)
def test_folds_change_nothing(line: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(len("ATTENDEE"), len(line) - 1), max_size=6, unique=True))
    folded = "".join(("\r\n " if at in cuts else "") + character for at, character in enumerate(line))
    assert named(event(folded)) == named(event(line))


@pytest.mark.parametrize(
    "body",
    [
        b"A:b\r\n" * 200_000,
        b"\r\n" * 500_000,
        b"A:" + b"b\r\n " * 250_000,
        b"A" + b"\r\n " * 300_000,
        b"ATTENDEE" + b";X=y" * 250_000,
        b'ATTENDEE;X="' * 90_000,
        b"ATTENDEE:" + b"m" * 1_000_000,
        b"ATTENDEE:mailto:" + b"%41" * 40_000,
        event(*[f"ATTENDEE:mailto:a{n}@b" for n in range(40_000)]).encode(),
        event(*[f"ATTENDEE:mailto:a{n}@b" for n in range(4_500)]).encode(),
        event("ATTENDEE;X=" + ",a" * 60_000 + ":mailto:a@b").encode(),
        event("ATTENDEE;" + ";".join(f"X{n}=1" for n in range(18_000)) + ":mailto:a@b").encode(),
        b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n" + b"BEGIN:VEVENT\r\nATTENDEE:mailto:a@b\r\nEND:VEVENT\r\n" * 2_500 + b"END:VCALENDAR\r\n",
        b"BEGIN:X\r\n" * 100_000,
    ],
    ids=range(14),
)
def test_bombs_take_little_time(body: bytes) -> None:
    begin = time.process_time()
    try:
        read(body)
    except MalformedCalendar:
        pass
    assert time.process_time() - begin < 2.5


def test_a_thousand_guests_are_read() -> None:
    guests = [f"ATTENDEE;CN=Guest {n};ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION:mailto:guest{n}@acme.test" for n in range(1_000)]
    (component,) = read(event(*guests, method="METHOD:COUNTER").encode()).components
    assert component[7] == Attendee("guest7@acme.test", None, component[7].place)
    assert len(component) == 1_000
