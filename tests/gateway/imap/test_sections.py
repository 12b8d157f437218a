"""BODY[section] of messages as RFC 3501 section 6.4.5 lays them out."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.grammar.fetch import Section, SectionText
from gateway.imap.sections import PartReader, clip, cut, encoded, extent, find_part, header_cutter, header_section, section
from gateway.message.encoding import CHUNK, UnknownEncoding
from gateway.message.layout import ENCODINGS, Layout, pack
from gateway.message.split import end_of_header, read_header
from gateway.message.structure import Part, parse

PLAIN = b"From: a@b\r\nSubject: one\r\n two\r\nTo: c@d\r\n\r\nbody\r\n"
INNER = (
    b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>\r\n--i--\r\n"
)
MIXED = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n"
    b"--o\r\nContent-Type: text/plain\r\nContent-ID: <1>\r\n\r\nfirst\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + PLAIN + b"\r\n"
    b"--o\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n--n\r\n\r\nnested\r\n--n--\r\n"
    b"--o--\r\nepilogue\r\n"
)
FORWARD = b"Content-Type: message/rfc822\r\n\r\n" + PLAIN


def laid_out(message: bytes) -> Layout:
    return Layout(pack(parse(message)))


def of(message: bytes, path: tuple[int, ...] = (), text: SectionText | None = None, fields: tuple[bytes, ...] = ()) -> bytes | None:
    return section(message, Section(path, text, fields), laid_out(message))


H, T, M = SectionText.HEADER, SectionText.TEXT, SectionText.MIME
F, N = SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT


@pytest.mark.parametrize(
    ("message", "path", "text", "fields", "octets"),
    [
        (PLAIN, (), None, (), PLAIN),
        (PLAIN, (), H, (), b"From: a@b\r\nSubject: one\r\n two\r\nTo: c@d\r\n\r\n"),
        (PLAIN, (), T, (), b"body\r\n"),
        (PLAIN, (1,), None, (), b"body\r\n"),
        (PLAIN, (1,), M, (), b"From: a@b\r\nSubject: one\r\n two\r\nTo: c@d\r\n\r\n"),
        (PLAIN, (1,), H, (), None),
        (PLAIN, (2,), None, (), None),
        (PLAIN, (1, 1), None, (), None),
        (PLAIN, (), F, (b"SUBJECT", b"X"), b"Subject: one\r\n two\r\n\r\n"),
        (PLAIN, (), F, (b"TO", b"FROM"), b"From: a@b\r\nTo: c@d\r\n\r\n"),
        (PLAIN, (), F, (b"X",), b"\r\n"),
        (PLAIN, (), N, (b"SUBJECT",), b"From: a@b\r\nTo: c@d\r\n\r\n"),
        (b"A: b", (), F, (b"A",), b"A: b\r\n\r\n"),
        (b"", (), H, (), b""),
        (b"", (), T, (), b""),
        (MIXED, (1,), None, (), b"first"),
        (MIXED, (1,), M, (), b"Content-Type: text/plain\r\nContent-ID: <1>\r\n\r\n"),
        (MIXED, (1,), T, (), None),
        (MIXED, (1, 1), None, (), None),
        (MIXED, (2,), None, (), INNER),
        (MIXED, (2,), M, (), b"Content-Type: message/rfc822\r\n\r\n"),
        (MIXED, (2,), H, (), b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"),
        (MIXED, (2,), F, (b"SUBJECT",), b"Subject: inner\r\n\r\n"),
        (MIXED, (2, 1), None, (), b"plain"),
        (MIXED, (2, 2), None, (), b"<p>"),
        (MIXED, (2, 2), M, (), b"Content-Type: text/html\r\n\r\n"),
        (MIXED, (2, 3), None, (), None),
        (MIXED, (3,), T, (), b"body\r\n"),
        (MIXED, (3, 1), None, (), b"body\r\n"),
        (MIXED, (3, 1), M, (), b"From: a@b\r\nSubject: one\r\n two\r\nTo: c@d\r\n\r\n"),
        (MIXED, (4, 1), None, (), b"nested"),
        (MIXED, (5,), None, (), None),
        (FORWARD, (1,), None, (), PLAIN),
        (FORWARD, (1,), H, (), b"From: a@b\r\nSubject: one\r\n two\r\nTo: c@d\r\n\r\n"),
        (FORWARD, (1, 1), None, (), b"body\r\n"),
    ],
)
def test_sections_are_cut_out(
    message: bytes, path: tuple[int, ...], text: SectionText | None, fields: tuple[bytes, ...], octets: bytes | None
) -> None:
    assert of(message, path, text, fields) == octets


@pytest.mark.parametrize(
    ("octets", "partial", "found"),
    [
        (b"abcdef", None, b"abcdef"),
        (b"abcdef", (0, 3), b"abc"),
        (b"abcdef", (4, 65536), b"ef"),
        (b"abcdef", (6, 1), b""),
        (b"abcdef", (2**32 - 1, 2**32 - 1), b""),
        (None, (0, 1), None),
    ],
)
def test_partials_are_cut(octets: bytes | None, partial: tuple[int, int] | None, found: bytes | None) -> None:
    assert cut(octets, partial) == found


@given(st.binary(max_size=30), st.integers(0, 30), st.integers(0, 30), st.none() | st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_where_a_partial_stands_is_where_it_is_cut(octets: bytes, low: int, count: int, partial: tuple[int, int] | None) -> None:
    low = min(low, len(octets))
    found = low, min(low + count, len(octets))
    first, end = clip(found, partial)
    assert first <= end
    assert octets[first:end] == cut(octets[found[0] : found[1]], partial)


pieces = st.sampled_from(
    [
        b"--o\r\n",
        b"--o--\r\n",
        b"\r\n",
        b"Content-Type: multipart/mixed; boundary=o\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Subject: x\r\n",
        b"text",
        b"\n",
        b"\0",
    ]
)


@given(
    st.lists(pieces, max_size=14).map(b"".join), st.lists(st.integers(1, 3), max_size=4).map(tuple), st.sampled_from([None, H, T, M, F, N])
)
def test_any_message_has_a_section_or_none(message: bytes, path: tuple[int, ...], text: SectionText | None) -> None:
    found = of(message, path, text, (b"SUBJECT",) if text in (F, N) else ())
    assert found is None or text in (F, N) or found in message


@given(st.lists(pieces, max_size=14).map(b"".join))
def test_header_and_text_are_the_whole(message: bytes) -> None:
    assert (of(message, (), H) or b"") + (of(message, (), T) or b"") == message


def in_the_tree(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part with these numbers, found in what `parse` gave, as RFC 3501 section 6.4.5 tells it: slowly."""
    message: Part | None = root
    part = root
    for number in path:
        if message is None:
            message = part.embedded
        if message is not None and not message.is_multipart:
            if number != 1:
                return None
            part, message = message, None
            continue
        around = part if message is None else message
        if not around.is_multipart or not 1 <= number <= len(around.children):
            return None
        part, message = around.children[number - 1], None
    return part


def parsed(message: bytes, wanted: Section) -> bytes | None:
    root = parse(message)
    part = in_the_tree(root, wanted.path)
    if part is None:
        return None
    around = part.embedded if wanted.path else root
    match wanted.text:
        case None:
            return message[part.body : part.end] if wanted.path else message
        case SectionText.MIME:
            return message[part.start : part.body]
    if around is None:
        return None
    match wanted.text:
        case SectionText.HEADER:
            return message[around.start : around.body]
        case SectionText.TEXT:
            return message[around.body : around.end]
    names = {name.lower() for name in wanted.fields}
    chosen = [one for one in around.header.fields if (one.name in names) is (wanted.text is SectionText.HEADER_FIELDS)]
    octets = b"".join(message[one.start : one.end] for one in chosen)
    return octets + (b"\r\n\r\n" if octets and not octets.endswith(b"\n") else b"\r\n")


def paths(root: Part) -> Iterator[tuple[int, ...]]:
    """Every path that could mean something, and some that mean nothing."""
    waiting: list[tuple[Part, tuple[int, ...]]] = [(root, ())]
    while waiting:
        part, path = waiting.pop()
        yield from (path, (*path, 1), (*path, 1, 1), (*path, len(part.children) + 1), (*path, 0))
        around = part.embedded or part
        if around.is_multipart:
            waiting.extend((child, (*path, number)) for number, child in enumerate(around.children, 1))
        elif path == () and part.children:
            waiting.append((part, (1,)))


FIELDS = st.lists(
    st.sampled_from(
        [b"Subject: x\r\n y\r\n", b"Content-Transfer-Encoding: Base64\r\n", b"Content-Transfer-Encoding: own\r\n", b"X\n", b"X: \n"]
    ),
    max_size=3,
).map(b"".join)


def nested(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Messages within messages and among parts, boundaries used twice and not closed."""
    within = st.builds(lambda fields, one: fields + b"Content-Type: message/rfc822\r\n\r\n" + one, FIELDS, inner)
    among = st.builds(
        lambda fields, kind, boundary, several, end: (
            fields
            + b"Content-Type: multipart/%b; boundary=%b\r\n\r\n" % (kind, boundary)
            + b"".join(b"\r\n--%b\r\n%b" % (boundary, one) for one in several)
            + end
        ),
        FIELDS,
        st.sampled_from([b"mixed", b"digest"]),
        st.sampled_from([b"o", b"n", b"on"]),
        st.lists(inner, max_size=4),
        st.sampled_from([b"", b"\r\n--o--", b"\r\n--n--\r\n", b"\r\n--on--\r\nepilogue"]),
    )
    return within | among


LEAVES = st.builds(lambda fields, body: fields + body, FIELDS, st.sampled_from([b"\r\n", b"\r\ntext", b"", b"\n\n", b"\r\n\r\n--o"]))
MESSAGES = st.recursive(LEAVES, nested, max_leaves=10)


@given(MESSAGES | st.binary(max_size=60) | st.lists(pieces | st.binary(max_size=4), max_size=20).map(b"".join))
def test_what_the_layout_tells_is_what_the_parser_tells(message: bytes) -> None:
    root = parse(message)
    layout = laid_out(message)
    for path in set(paths(root)):
        for text in (None, *SectionText):
            wanted = Section(path, text, (b"SUBJECT", b"Content-Type") if text in (F, N) else ())
            assert section(message, wanted, layout) == parsed(message, wanted), wanted
        part = in_the_tree(root, path)
        if part is None:
            assert encoded(layout, path) is None
        elif path:
            encoding = b"binary" if part.children else part.encoding
            assert encoded(layout, path) == (part.body, part.end, encoding if encoding in ENCODINGS else b"")


@given(
    st.lists(pieces, max_size=14).map(b"".join), st.lists(st.integers(0, 3), max_size=5).map(tuple), st.sampled_from([None, *SectionText])
)
def test_no_more_than_the_extent_is_read(message: bytes, path: tuple[int, ...], text: SectionText | None) -> None:
    wanted = Section(path, text, (b"SUBJECT",) if text in (F, N) else ())
    found = extent(laid_out(message), wanted)
    if found is None:
        assert section(message, wanted, laid_out(message)) is None
    else:
        assert 0 <= found[0] <= found[1] <= len(message)
        octets = message[found[0] : found[1]]
        assert (header_section(octets, wanted) if text in (H, F, N) else octets) == section(message, wanted, laid_out(message))


def test_part_numbers_find_parts() -> None:
    found = find_part(laid_out(MIXED), (2, 2))
    assert found is not None
    assert read_header(MIXED[found.start : found.body]).first(b"content-type") is not None
    assert MIXED[found.body : found.end] == b"<p>"


ENCODED = (
    b"Content-Type: multipart/mixed; boundary=o\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"--o\r\nContent-Transfer-Encoding: Base64\r\n\r\nAAEC\r\nAw==\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nSubject: x\r\n\r\nHi\r\n"
    b"--o\r\nContent-Transfer-Encoding: x-own\r\n\r\nA\r\n--o--\r\n"
)


def read(reader: PartReader, octets: bytes, first: int = 0, count: int | None = None) -> bytes:
    stop = None if count is None else first + count
    found = b""
    more = reader.goes_on(stop)
    while more:
        low, high = reader.wanted
        piece, more = reader.feed(octets[low:high], first, stop)
        found += piece
    return found


@pytest.mark.parametrize(
    ("path", "octets"),
    [((), ENCODED), ((1,), b"\0\1\2\3"), ((2,), b"Subject: x\r\n\r\nHi"), ((2, 1), b"Hi"), ((4,), None), ((1, 1), None)],
)
def test_binary_of_a_part(path: tuple[int, ...], octets: bytes | None) -> None:
    found = encoded(laid_out(ENCODED), path)
    if found is None:
        assert octets is None
    else:
        assert read(PartReader(path, *found), ENCODED) == octets


def test_binary_of_a_part_whose_encoding_is_unknown() -> None:
    found = encoded(laid_out(ENCODED), (3,))
    assert found is not None
    with pytest.raises(UnknownEncoding):
        PartReader(1, *found)


@given(
    st.sampled_from([b"base64", b"quoted-printable"]),
    st.binary(max_size=60),
    st.integers(0, CHUNK),
    st.lists(st.tuples(st.integers(0, 3 * CHUNK), st.integers(1, 2 * CHUNK)), max_size=6),
)
def test_pieces_in_any_order_are_those_of_the_whole(encoding: bytes, end: bytes, filling: int, windows: list[tuple[int, int]]) -> None:
    octets = b"AQID=41 \r\n" * (filling // 5) + end
    whole = read(PartReader(0, 0, len(octets), encoding), octets)
    reader = PartReader(0, 0, len(octets), encoding)
    for first, count in windows:
        if not reader.reaches(first):
            reader = PartReader(0, 0, len(octets), encoding)
        assert read(reader, octets, first, count) == whole[first : first + count]


def test_who_reads_on_pays_once() -> None:
    octets = b"QUJD" * CHUNK
    reader = PartReader(0, 0, len(octets), b"base64")
    fed = 0
    feed = reader._decoder.feed

    class Counting:
        def feed(self, piece: bytes) -> bytes:
            nonlocal fed
            fed += len(piece)
            return feed(piece)

        def finish(self) -> bytes:
            return b""

        def copy(self) -> "Counting":
            return self

    reader._decoder = Counting()
    for first in range(0, 3 * CHUNK, CHUNK):
        assert len(read(reader, octets, first, CHUNK)) == CHUNK
    assert fed <= len(octets) + 4 * CHUNK


HEADER_LINES = (
    *(b"From: a\r\n", b"FROM : b\n", b" folded\r\n", b"\tfrom: c\r\n", b"Fro: d\r\n"),
    *(b"from-x: e\n", b"from\r\n", b":\r\n", b"To:\r\n"),
)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(HEADER_LINES), max_size=8),
    st.sampled_from([b"", b"\n", b"\r\n", b"\r\nfrom: body\r\n", b"To: open"]),
    st.sampled_from([(b"FROM",), (b"from", b"To", b"Fro"), (b"from-x", b"subject"), (b"no name",), tuple(b"x%d" % n for n in range(50))]),
    st.sampled_from([H, F, N]),
)
def test_headers_of_many_are_cut_like_that_of_one(lines: list[bytes], end: bytes, names: tuple[bytes, ...], text: SectionText) -> None:
    octets = b"".join(lines) + end
    wanted = Section((), text, names)
    at = end_of_header(octets)
    assert header_cutter(wanted)(octets) == header_section(octets[:at], wanted)
