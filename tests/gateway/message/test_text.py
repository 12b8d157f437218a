"""Decoded header values, base subjects, bodies and columns: tables, hypothesis and bombs."""

import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.split import read_header
from gateway.message.structure import parse
from gateway.message.text import (
    SortKeys,
    base_subject,
    body_texts,
    charset_codec,
    collated,
    columns,
    decode_header,
    decode_octets,
    fold,
    header_text,
    joined_parameters,
    message_texts,
    part_text,
    sort_keys,
    transfer_decoded,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        (b"=?utf-8?Q?a_b=C3=A4?=", "a bä"),
        (b"=?UTF-8?b?w6Q=?=", "ä"),
        (b"=?utf-8?B?w6Q?=", "ä"),
        (b"=?utf-8?B?w6Q=x?=", "ä"),
        (b"=?utf-8?B?w?=", ""),
        (b"=?iso-8859-1?q?=E4?= x", "ä x"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\t  =?iso-8859-1?q?b?=", "ab"),
        (b"x =?utf-8?q?a?= y", "x a y"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        (b"=?utf-8*de?q?a?=", "a"),
        (b"=?gb2312?B?1tA=?=", "中"),
        (b"=?iso-2022-jp?B?GyRCJCIbKEI=?=", "あ"),
        (b"=?koi8-r?B?0dLLz8TFzg==?=", "яркоден"),
        (b"=?windows-1251?Q?=CF?=", "П"),
        (b"=?nonsense?Q?=C3=A4?=", "ä"),
        (b"=?nonsense?Q?=E4?=", "ä"),
        (b"=?punycode?Q?a?=", "a"),
        (b"=?zlib?Q?a?=", "a"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        ("ä".encode(), "ä"),
        (b"\xe4", "ä"),
        (b"=?utf-8?q?=FF?=", "\ufffd"),
        (b"=?utf-16?Q?a?=", "\ufffd"),
    ],
)
def test_header_values_are_decoded(value: bytes, text: str) -> None:
    assert decode_header(value) == text


@pytest.mark.parametrize(
    ("charset", "known"),
    [
        (b"UTF-8", True),
        (b"iso-8859-15", True),
        (b"Windows-1252", True),
        (b"big5", True),
        (b"KOI8-U", True),
        (b"x-unknown", False),
        (b"us-ascii", False),
        (b"hex", False),
        (b"bz2", False),
        (b"idna", False),
        (b"unicode_escape", False),
        (b"../../x", False),
        (b"\xff", False),
    ],
)
def test_charsets_are_a_closed_set(charset: bytes, known: bool) -> None:
    assert (charset_codec(charset) is not None) is known


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("", "", False),
        ("x", "x", False),
        ("Re: x", "x", True),
        ("re : x", "x", True),
        ("RE: Fw: FWD: x", "x", True),
        ("Re[2]: x", "x", True),
        ("Re [list]: x", "x", True),
        ("[list] Re: x", "x", True),
        ("[a] [b] Re: [c] x", "x", True),
        ("[list] x", "x", False),
        ("[list]", "[list]", False),
        ("[a][b]", "[b]", False),
        ("x (fwd)", "x", True),
        ("x (FWD) (fwd)  ", "x", True),
        ("[fwd: x]", "x", True),
        ("[Fwd: Re: [list] x]", "x", True),
        ("Re: [fwd: x (fwd)]", "x", True),
        ("  a \t b  ", "a b", False),
        ("Resume: x", "Resume: x", False),
        ("Re:", "", True),
        ("[unclosed Re: x", "[unclosed Re: x", False),
        ("x [blob]", "x [blob]", False),
    ],
)
def test_base_subjects(subject: str, base: str, is_reply: bool) -> None:
    found = base_subject(subject)
    assert (found.text, found.is_reply) == (base, is_reply)


def test_texts_of_a_message() -> None:
    octets = (
        b"Subject: =?utf-8?q?=C3=A4?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nl=F6n=\r\ng\r\n"
        b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64encode("grün".encode()) + b"\r\n"
        b"--b\r\nContent-Type: application/x\r\n\r\nsecret\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\n"
    )
    root = parse(octets)
    body = "\n".join(body_texts(octets, root))
    assert "löng" in body
    assert "grün" in body
    assert "subject: inner" in body
    assert "inside" in body
    assert "secret" not in body
    assert "subject: ä" not in body
    assert "subject: ä" in "\n".join(message_texts(octets, root))
    assert part_text(octets, root.children[0], limit=4) == "lö"
    assert header_text(octets, root.header).startswith("subject: ä\n")
    assert len("".join(body_texts(octets, root, limit=10))) < 100


def test_columns() -> None:
    octets = (
        b"From: =?utf-8?q?=C3=84?= <Anna@Acme.test>\r\nTo: g: B <Bea@x>;\r\nCc: c@d\r\nCc: e@f\r\nSubject: Re: [x] HELLO\r\n"
        b"Date: Mon, 1 Jan 2024 12:00:00 +0100\r\nMessage-ID:\r\n <1@x> junk\r\n\r\n"
    )
    found = columns(octets, read_header(octets))
    assert (found.from_, found.to, found.cc) == ("ä <anna@acme.test>", "g: b <bea@x>;", "c@d, e@f")
    assert found.subject == "re: [x] hello"
    assert found.sent == datetime(2024, 1, 1, 11, tzinfo=UTC)
    assert found.message_id == b"<1@x>"
    empty = columns(b"", read_header(b""))
    assert (empty.from_, empty.sent, empty.message_id) == ("", None, None)


@pytest.mark.parametrize(
    ("written", "looked_at"),
    [
        (b"anna@acme.test (Anna A)", "anna@acme.test (anna a)"),
        (b"<anna (my name)@ (where) Acme.test>", "<anna (my name)@ (where) acme.test>\nanna@acme.test"),
        (b'"anna"@acme.test, b @ c.test', '"anna"@acme.test, b @ c.test\nanna@acme.test\nb@c.test'),
        (b"a . b@c.test", "a . b@c.test\na.b@c.test"),
    ],
)
def test_addresses_are_looked_for_as_envelope_shows_them_too(written: bytes, looked_at: str) -> None:
    octets = b"From: %b\r\nTo: %b\r\nCc: %b\r\n\r\n" % (written, written, written)
    found = columns(octets, read_header(octets))
    assert (found.from_, found.to, found.cc) == (looked_at,) * 3


def test_folding_makes_case_not_count() -> None:
    assert fold("STRASSE Ä") == fold("straße ä")


ENCODED = st.sampled_from(
    [b"=?utf-8?q?", b"=?utf-16?b?", b"=?iso-2022-kr?b?", b"=?utf-7?q?", b"?=", b"=C3", b"w6Q", b" ", b"=", b"?", b"\x1b$", b"\xff", b"+AAA"]
)


@given(st.lists(ENCODED, max_size=30).map(b"".join) | st.binary())
@settings(max_examples=300)
def test_any_octets_have_columns_and_texts(value: bytes) -> None:
    octets = b"Subject: " + value + b"\r\nDate: " + value + b"\r\nFrom: " + value + b"\r\n\r\n" + value
    columns(octets, read_header(octets))
    list(message_texts(octets, parse(octets)))
    for encoding in (b"base64", b"quoted-printable", b"x"):
        transfer_decoded(value, encoding)


@given(
    st.binary(max_size=60),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-7", "hz", "iso-2022-jp", "iso-2022-kr", "gb18030", "big5", "cp1252", "euc-jp", "x"]),
)
@settings(max_examples=300)
def test_any_octets_are_text_of_any_charset(octets: bytes, charset: str) -> None:
    assert isinstance(decode_octets(octets, charset), str)


@given(st.text("re:[]fwd() x"))
@settings(max_examples=300)
def test_a_base_subject_is_a_piece_of_the_subject_and_stays(subject: str) -> None:
    found = base_subject(subject)
    assert found.text in " ".join(subject.split(" ")).replace("  ", " ") or found.text in " ".join(subject.split())
    if not found.is_reply:
        assert base_subject(found.text).text == found.text


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?q?" * 400_000,
        b"=?utf-8?q?a?= " * 300_000,
        b"=?" * 2_000_000,
        b"[a]" * 1_000_000,
        b"Re: " * 1_000_000,
        b"[fwd:" * 800_000,
        b"(fwd)" * 800_000,
        b"(" * 4_000_000,
        b" " * 4_000_000,
        b"1 " * 2_000_000,
        b"[" * 4_000_000,
    ],
    ids=range(11),
)
def test_bombs_take_little_time(value: bytes) -> None:
    octets = b"Subject: " + value + b"\r\nDate: " + value + b"\r\n\r\n"
    begin = time.process_time()
    columns(octets, read_header(octets, max_octets=1 << 30))
    base_subject(value.decode())
    decode_header(value, limit=1 << 30)
    assert time.process_time() - begin < 2.5


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", SortKeys("", "", "", "", "", "", False, ())),
        (
            b"From: Zoe <a.b@x.test>\r\nTo: c@y.test, d@y.test\r\nCc: E <e@z.test>\r\nSubject: Re: [l] Hallo  du\r\n",
            SortKeys("A.B", "C", "E", "ZOE", "C@Y.TEST", "HALLO DU", True, ()),
        ),
        (b'From: "" <a@x.test>\r\n', SortKeys("A", "", "", "A@X.TEST", "", "", False, ())),
        (b"From: =?utf-8?q?J=C3=BCrgen?= <j@x.test>\r\n", SortKeys("J", "", "", "JU\N{COMBINING DIAERESIS}RGEN", "", "", False, ())),
        (
            b"References: <1@a> <2@a>\r\n <3@a>\r\nIn-Reply-To: <9@a>\r\n",
            SortKeys("", "", "", "", "", "", False, ("<1@a>", "<2@a>", "<3@a>")),
        ),
        (b"In-Reply-To: <9@a> <8@a>\r\n", SortKeys("", "", "", "", "", "", False, ("<9@a>",))),
        (b"References: none\r\nIn-Reply-To: Your message of yesterday <9@a>\r\n", SortKeys("", "", "", "", "", "", False, ("<9@a>",))),
        (b'References: <"1"@a>\r\n', SortKeys("", "", "", "", "", "", False, ("<1@a>",))),
    ],
)
def test_sort_keys(header: bytes, expected: SortKeys) -> None:
    assert sort_keys(header + b"\r\n", read_header(header + b"\r\n")) == expected


def test_of_many_references_the_last_ones_count() -> None:
    octets = b"References:" + b"".join(b"\r\n <%d@a>" % number for number in range(500)) + b"\r\n\r\n"
    assert sort_keys(octets, read_header(octets)).ancestors == tuple(f"<{number}@a>" for number in range(400, 500))
    octets = b"References: " + b" ".join(b"<%b%d@a>" % (b"x" * 900, number) for number in range(50)) + b"\r\n\r\n"
    assert 1 < len(sort_keys(octets, read_header(octets)).ancestors) < 10


@pytest.mark.parametrize(
    ("low", "high"), [("a", "B"), ("ab", "a_"), ("z", "_"), ("a", "\u00e4"), ("\u00e4", "b"), ("", "a"), ("1", "a"), ("Z", "\u00df")]
)
def test_texts_are_ordered_by_title_case(low: str, high: str) -> None:
    assert collated(low) < collated(high)
    assert collated(low) == collated(low.upper()) or not low.isascii()


@given(st.binary(max_size=300))
def test_sort_keys_of_anything(octets: bytes) -> None:
    found = sort_keys(octets, read_header(octets))
    assert all(" " not in identifier for identifier in found.ancestors)


# RFC 2231, as IMAP4rev2 wants it (RFC 9051 section 7.5.2)


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ((), ()),
        (((b"name", b"x"),), ((b"name", b"x"),)),
        (((b"baz*0", b"a"), (b"x", b"y"), (b"baz*1", b"b"), (b"baz*2", b"c")), ((b"baz", b"abc"), (b"x", b"y"))),
        (((b"foo*", b"utf-8''gr%C3%BC%C3%9Fe"),), ((b"foo*", "grüße".encode()),)),
        (((b"foo*", b"iso-8859-1'de'gr%FC%DFe"),), ((b"foo*", "grüße".encode()),)),
        (((b"foo*1*", b"%BCn"), (b"foo*0*", b"utf-8''gr%C3")), ((b"foo*", "grün".encode()),)),
        (((b"foo*0*", b"utf-8''a%20b"), (b"foo*1", b"%20c")), ((b"foo*", b"a b%20c"),)),
        (((b"foo*0", b"a%20"), (b"foo*1*", b"%41")), ((b"foo*", b"a%20A"),)),
        (((b"foo", b"plain"), (b"foo*", b"utf-8''x")), ((b"foo", b"plain"), (b"foo*", b"x"))),
        # What has no first piece, a gap, the same piece twice, no number, or a charset that nobody knows.
        (((b"foo*1", b"b"),), ((b"foo", b""),)),
        (((b"foo*0", b"a"), (b"foo*2", b"c")), ((b"foo", b"a"),)),
        (((b"foo*0", b"a"), (b"foo*0", b"z"), (b"foo*1", b"b")), ((b"foo", b"ab"),)),
        (
            ((b"foo*x", b"a"), (b"*", b"b"), (b"*0", b"c"), (b"f*0*0", b"d")),
            ((b"foo*x", b"a"), (b"*", b"b"), (b"*0", b"c"), (b"f*0*0", b"d")),
        ),
        (((b"foo*", b"x-none''a%E4"),), ((b"foo*", "aä".encode()),)),
        (((b"foo*", b"no quotes %41"),), ((b"foo*", b"no quotes A"),)),
        (((b"foo*", b"utf-8''%00%FF"),), ((b"foo*", "\0\ufffd".encode()),)),
    ],
)
def test_parameters_are_joined(given: tuple[tuple[bytes, bytes], ...], joined: tuple[tuple[bytes, bytes], ...]) -> None:
    assert joined_parameters(given) == joined


@given(st.lists(st.tuples(st.text("ab*019", max_size=5).map(str.encode), st.binary(max_size=6)), max_size=8))
def test_any_parameters_are_joined_or_left(given: list[tuple[bytes, bytes]]) -> None:
    joined = joined_parameters(tuple(given))
    assert len(joined) <= len(given)
    plain = [one for one in given if b"*" not in one[0]]
    assert [one for one in joined if one in plain] == plain or len(plain) < len(joined)
