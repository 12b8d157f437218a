"""ENVELOPE, BODY and BODYSTRUCTURE: exact octets by hand, shape by an independent reader, bombs in bounded time."""

import email.policy
import time
from email.message import EmailMessage
from email.utils import formataddr, getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.envelope import VERSION, envelope, may_differ_in_rev2, nstring, render, render_rev2, string
from gateway.message.split import read_header
from tests.gateway.message.wire import Value, read_wire


def envelope_of(header: bytes) -> bytes:
    octets = header + b"\r\n\r\n"
    return envelope(octets, read_header(octets))


def test_an_envelope_by_hand() -> None:
    assert envelope_of(
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nFrom: Fred Foobar <foobar@Blurdybloop.test>\r\nSubject: afternoon meeting\r\n"
        b'To: mooch@owatagu.test, "O\'Neil, \\"T\\"" <t@x.test>\r\nMessage-Id: <B27397@Blurdybloop.test>\r\nIn-Reply-To: <a@b>\r\n <c@d>'
    ) == (
        b'("Mon, 7 Feb 1994 21:52:25 -0800" "afternoon meeting" (("Fred Foobar" NIL "foobar" "Blurdybloop.test")) '
        b'(("Fred Foobar" NIL "foobar" "Blurdybloop.test")) (("Fred Foobar" NIL "foobar" "Blurdybloop.test")) '
        b'((NIL NIL "mooch" "owatagu.test")("O\'Neil, \\"T\\"" NIL "t" "x.test")) NIL NIL "<a@b> <c@d>" "<B27397@Blurdybloop.test>")'
    )


@pytest.mark.parametrize(
    ("header", "item", "expected"),
    [
        (b"X: y", slice(0, 10), [None] * 10),
        (b"Subject:", 1, b""),
        (b"Subject: a\r\n\tb", 1, b"a\tb"),
        (b"Subject: =?utf-8?Q?=C3=A4?=", 1, b"=?utf-8?Q?=C3=A4?="),
        (b"Subject: \xc3\xa4", 1, b"\xc3\xa4"),
        (b"Subject: a\x00b", 1, b"a\x80b"),
        (b"Subject: a\rb", 1, b"a\rb"),
        (b'Subject: a "b" \\c', 1, b'a "b" \\c'),
        (b"Subject: 1\r\nSubject: 2", 1, b"1"),
        (b"From: a@b\r\nSender: c@d", 3, [[None, None, b"c", b"d"]]),
        (b"From: a@b\r\nSender:", 3, [[None, None, b"a", b"b"]]),
        (b"From: a@b\r\nReply-To: c@d", 4, [[None, None, b"c", b"d"]]),
        (b"From: a@b\r\nReply-To: (none)", 4, [[None, None, b"a", b"b"]]),
        # Both authors are shown, whichever a reader of the message would take.
        (b"From: a@b\r\nFrom: c@d", 2, [[None, None, b"a", b"b"], [None, None, b"c", b"d"]]),
        (
            b"To: friends: a@b, C <c@d>;, e@f",
            5,
            [[None, None, b"friends", None], [None, None, b"a", b"b"], [b"C", None, b"c", b"d"], [None] * 4, [None, None, b"e", b"f"]],
        ),
        (b"To: undisclosed-recipients:;", 5, [[None, None, b"undisclosed-recipients", None], [None] * 4]),
        (b"Cc: <@x.test,@y.test:a@b>", 6, [[None, b"@x.test,@y.test", b"a", b"b"]]),
        (b"Bcc: nobody", 7, [[None, None, b"nobody", b"MISSING_DOMAIN"]]),
        (b"To: Anna <>", 5, [[b"Anna", None, b"MISSING_MAILBOX", b"MISSING_DOMAIN"]]),
        (b"To: alice@example.org <bob@example.org>", 5, [[b"alice@example.org", None, b"bob", b"example.org"]]),
    ],
    ids=range(20),
)
def test_the_items_of_an_envelope(header: bytes, item: int | slice, expected: Value) -> None:
    read = read_wire(envelope_of(header))
    assert isinstance(read, list)
    assert len(read) == 10
    assert read[item] == expected


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"\xff", b"{1}\r\n\xff"),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\nb", b"{3}\r\na\nb"),
        (b"\x00", b"{1}\r\n\x80"),
        (b"\x01\x7f\t", b'"\x01\x7f\t"'),
    ],
)
def test_strings_are_quoted_where_they_can_be(value: bytes, spelled: bytes) -> None:
    assert string(value) == spelled
    assert nstring(value) == spelled
    assert nstring(None) == b"NIL"


def test_structures_by_hand() -> None:
    octets = (
        b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Language: en\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Disposition: inline\r\n\r\none\r\ntwo\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\nContent-Description: =?x?\xc3\xa4\r\n\r\n"
        b"Subject: s\r\nTo: c@d, e@f\r\nCc: g@h\r\n\r\nhello\r\n\r\n"
        b'--b\r\nContent-Type: application/pdf; name="a b.pdf"\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: m==\r\n'
        b"Content-ID: <i@j>\r\nContent-Location: l\r\nContent-Disposition: attachment;\r\n filename*0*=utf-8''a; filename*1=b\r\n\r\n"
        b"QUJD\r\n--b--\r\n"
    )
    made = render(octets)
    inner = b'(NIL "s" NIL NIL NIL ((NIL NIL "c" "d")(NIL NIL "e" "f")) ((NIL NIL "g" "h")) NIL NIL NIL)'
    plain = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1'
    assert made.bodystructure == (
        b'(("text" "plain" ("charset" "utf-8" "format" "flowed") NIL NIL "7bit" 10 2 NIL ("inline" NIL) NIL NIL)'
        b'("message" "rfc822" NIL NIL {6}\r\n=?x?\xc3\xa4 "7bit" 44 ' + inner + b" " + plain + b" NIL NIL NIL NIL) 5 NIL NIL NIL NIL)"
        b'("application" "pdf" ("name" "a b.pdf") "<i@j>" NIL "base64" 4 "m=="'
        b' ("attachment" ("filename*0*" "utf-8\'\'a" "filename*1" "b")) NIL "l")'
        b' "mixed" ("boundary" "b") NIL ("en") NIL)'
    )
    assert made.body == (
        b'(("text" "plain" ("charset" "utf-8" "format" "flowed") NIL NIL "7bit" 10 2)'
        b'("message" "rfc822" NIL NIL {6}\r\n=?x?\xc3\xa4 "7bit" 44 ' + inner + b" " + plain + b") 5)"
        b'("application" "pdf" ("name" "a b.pdf") "<i@j>" NIL "base64" 4) "mixed")'
    )
    assert made.version == VERSION


def check_body(read: Value, *, extended: bool) -> None:
    """RFC 3501 `body`: the number and kind of elements."""
    waiting = [read]
    while waiting:
        body = waiting.pop()
        assert isinstance(body, list)
        if isinstance(body[0], list):
            count = sum(isinstance(element, list) for element in body[: next(n for n, one in enumerate(body) if not isinstance(one, list))])
            waiting.extend(body[:count])
            assert isinstance(body[count], bytes)
            assert len(body) == count + (5 if extended else 1)
            continue
        size = 7
        assert isinstance(body[6], int)
        if body[0] == b"text":
            size = 8
            assert isinstance(body[7], int)
        elif (body[0], body[1]) == (b"message", b"rfc822"):
            size = 10
            assert isinstance(body[7], list)
            assert len(body[7]) == 10
            waiting.append(body[8])
            assert isinstance(body[9], int)
        assert len(body) == size + (4 if extended else 0)


def check(octets: bytes) -> None:
    made = render(octets)
    read = read_wire(made.envelope)
    assert isinstance(read, list)
    assert len(read) == 10
    for addresses in read[2:8]:
        assert addresses is None or (
            isinstance(addresses, list) and addresses and all(isinstance(one, list) and len(one) == 4 for one in addresses)
        )
    check_body(read_wire(made.body), extended=False)
    check_body(read_wire(made.bodystructure), extended=True)


SCRAPS = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b'Content-Type: text/x; a="\\"\xff"; b\r\n',
        b"\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"From: ",
        b"To: ",
        b"<a@b>",
        b'"',
        b"(",
        b")",
        b"x:",
        b";",
        b",",
        b"@",
        b"<",
        b">",
        b"\\",
        b"[",
        b"\x00",
        b"\xe4",
        b" ",
        b".",
        b"a b",
        b"Content-Disposition: a; b=c\r\n",
        b"Content-Language: a, b\r\n",
        b"Content-Description:\r\n",
        b"Subject: {3}\r\n",
        b"NIL",
        b"{1}\r\n",
    ]
)


@given(st.lists(SCRAPS, max_size=50).map(b"".join) | st.binary(max_size=300))
@settings(max_examples=500)
def test_whatever_the_octets_are_the_answer_can_be_read(octets: bytes) -> None:
    check(octets)


NAMES = st.text('abc ,."\\()<>äé', max_size=12).map(lambda text: " ".join(text.split()))


@given(st.lists(st.tuples(NAMES, st.sampled_from(["a@b.test", "c.d@e.test"])), min_size=1, max_size=5), st.text('xyz ä"', max_size=20))
@settings(max_examples=80)
def test_well_formed_messages_are_shown_as_python_reads_them(people: list[tuple[str, str]], subject: str) -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = " ".join(subject.split())
    message.set_content("text")
    message.add_attachment(b"123", maintype="application", subtype="x-y", filename="ä b.bin")
    # Python's own generator changes some names on the way; they are written as they are.
    octets = b"To: " + ",\r\n ".join(formataddr(person) for person in people).encode() + b"\r\n" + message.as_bytes()
    check(octets)
    read = read_wire(render(octets).envelope)
    assert isinstance(read, list)
    written = email.message_from_bytes(octets)
    theirs = getaddresses([written["To"].replace("\r\n", "").replace("\n", "")])
    ours = [(name or b"", local + b"@" + domain) for name, _, local, domain in read[5]]  # type: ignore[misc,operator,union-attr]
    assert [(name.encode("utf-8", "surrogateescape"), address.encode()) for name, address in theirs] == ours


ADDRESS_BOMBS = {
    "8,000 addresses": b"a@b.example, " * 8_000,
    "commas": b"," * 1_000_000,
    "comments": b"(" * 1_000_000,
    "comments, closed": b"()" * 400_000,
    "quotes": b'"' * 1_000_000,
    "backslashes": b'"' + b"\\" * 1_000_000,
    "angles": b"<" * 1_000_000,
    "angles, closed": b"<>" * 400_000,
    "brackets": b"[" * 500_000,
    "brackets and backslashes": b"[\\" * 400_000,
    "groups": b"a:" * 400_000,
    "groups, closed": b"a:;" * 300_000,
    "words": b"a " * 400_000,
    "dots": b"." * 1_000_000,
    "words and dots": b"a . " * 250_000 + b"@b",
    "at signs": b"@" * 1_000_000,
    "routes": b"<" + b"@a," * 300_000 + b":b@c>",
    "names without address": b"abc def " * 120_000 + b"<",
    "comments that never close after words": b"a (b " * 200_000,
}


@pytest.mark.parametrize("name", ADDRESS_BOMBS)
def test_an_address_bomb_takes_time_by_its_size(name: str) -> None:
    octets = b"To: " + ADDRESS_BOMBS[name] + b"\r\n\r\n"
    begin = time.process_time()
    made = render(octets)
    elapsed = time.process_time() - begin
    assert elapsed < 2.5, f"{elapsed:.2f} s"
    read_wire(made.envelope)


def test_deep_nesting_renders() -> None:
    rfc822 = b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"x"
    multipart = b"".join(b"Content-Type: multipart/mixed; boundary=%d.\r\n\r\n--%d.\r\n" % (n, n) for n in range(2000))
    for octets in (rfc822, multipart, multipart[: 90 * 50] + rfc822):
        check(octets)


# IMAP4rev2 (RFC 9051 section 7.5.2)

EMBEDDED = b"Content-Type: message/%b\r\n\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHallo\r\n"


def test_message_global_is_rendered_as_a_message_for_rev2_only() -> None:
    octets = EMBEDDED % b"global"
    old, new = render(octets), render_rev2(octets)
    assert old.bodystructure == b'("message" "global" NIL NIL NIL "7bit" 27 NIL NIL NIL NIL)'
    inner = b"(NIL {7}\r\nGr\xc3\xbc\xc3\x9fe NIL NIL NIL NIL NIL NIL NIL NIL)"
    text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1'
    assert new.body == b'("message" "global" NIL NIL NIL "7bit" 27 ' + inner + b" " + text + b") 3)"
    assert may_differ_in_rev2(old.body)
    assert may_differ_in_rev2(old.bodystructure)
    assert new.envelope == old.envelope


@pytest.mark.parametrize(
    "octets", [b"", b"Subject: x\r\n\r\ny", EMBEDDED % b"rfc822", b"Content-Type: text/plain; name=x\r\nContent-Language: a\r\n\r\n"]
)
def test_most_is_the_same_in_both(octets: bytes) -> None:
    assert render(octets) == render_rev2(octets)
    assert not may_differ_in_rev2(render(octets).bodystructure)


def test_parameters_in_pieces_are_joined_for_rev2_only() -> None:
    octets = b"Content-Type: a/b; x*0=1; x*1=2\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A4\r\n\r\n"
    old, new = render(octets), render_rev2(octets)
    assert may_differ_in_rev2(old.bodystructure)
    assert may_differ_in_rev2(old.body)
    assert b'("x*0" "1" "x*1" "2")' in old.body
    assert b'("x" "12")' in new.body
    assert b'("filename*" {2}\r\n\xc3\xa4)' in new.bodystructure


@given(
    st.lists(
        st.sampled_from(
            [b"Content-Type: ", b"message/global", b"; a*0=b", b"; a*=utf-8''%41", b"\r\n", b"x: y", b"multipart/x; boundary=b", b"--b"]
        ),
        max_size=14,
    )
)
def test_what_differs_is_seen(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    old, new = render(octets), render_rev2(octets)
    read_wire(new.bodystructure)
    for before, after in ((old.body, new.body), (old.bodystructure, new.bodystructure)):
        assert before == after or may_differ_in_rev2(before)
