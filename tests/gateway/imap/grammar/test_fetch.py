"""FETCH: every item, macros, sections, partials."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.fetch import (
    FETCH_ITEMS,
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    Section,
    SectionText,
    fetch,
    section,
)
from gateway.imap.grammar.numbers import SequenceSet
from gateway.imap.grammar.parameters import Parameter
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced

by_number = partial(fetch, by_uid=False)


def body(text: bytes, *, label: bytes | None = None, peek: bool = False, part: tuple[int, int] | None = None) -> BodySection:
    wanted = read(spaced(section), b" [" + text + b"]")
    return BodySection(label or b"BODY[" + text + b"]", wanted, peek, part)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (b"FLAGS", [Attribute(b"FLAGS")]),
        (b"(flags uid)", [Attribute(b"FLAGS"), Attribute(b"UID")]),
        (b"FAST", [Attribute(b"FLAGS"), Attribute(b"INTERNALDATE"), Attribute(b"RFC822.SIZE")]),
        (b"all", [Attribute(b"FLAGS"), Attribute(b"INTERNALDATE"), Attribute(b"RFC822.SIZE"), Attribute(b"ENVELOPE")]),
        (b"Full", [Attribute(b"FLAGS"), Attribute(b"INTERNALDATE"), Attribute(b"RFC822.SIZE"), Attribute(b"ENVELOPE"), Attribute(b"BODY")]),
        (b"(BODY BODYSTRUCTURE ENVELOPE)", [Attribute(b"BODY"), Attribute(b"BODYSTRUCTURE"), Attribute(b"ENVELOPE")]),
        (b"(RFC822 RFC822.HEADER RFC822.TEXT)", [Attribute(b"RFC822"), Attribute(b"RFC822.HEADER"), Attribute(b"RFC822.TEXT")]),
        (b"BODY[]", [body(b"")]),
        (b"BODY.PEEK[]", [body(b"", peek=True)]),
        (b"body.peek[header]", [body(b"HEADER", peek=True)]),
        (b"BODY[1.2.3]", [body(b"1.2.3")]),
        (b"BODY.PEEK[1.MIME]", [body(b"1.MIME", peek=True)]),
        (b"BODY[4.1.HEADER.FIELDS.NOT (A)]", [body(b"4.1.HEADER.FIELDS.NOT (A)")]),
        (b"BODY.PEEK[1]<0.65536>", [body(b"1", label=b"BODY[1]<0>", peek=True, part=(0, 65536))]),
        (
            b'(UID BODY.PEEK[HEADER.FIELDS (date "From" {2}\r\nto Date)])',
            [Attribute(b"UID"), body(b"HEADER.FIELDS (DATE FROM TO DATE)", peek=True)],
        ),
        (b"(UID UID)", [Attribute(b"UID")]),
        (b"BINARY[]", [BinarySection(b"BINARY[]")]),
        (b"binary.peek[1.2]", [BinarySection(b"BINARY[1.2]", (1, 2), peek=True)]),
        (b"BINARY[2]<10.20>", [BinarySection(b"BINARY[2]<10>", (2,), partial=(10, 20))]),
        (
            b"(BINARY.SIZE[1] BINARY.PEEK[1]<0.5>)",
            [BinarySize(b"BINARY.SIZE[1]", (1,)), BinarySection(b"BINARY[1]<0>", (1,), peek=True, partial=(0, 5))],
        ),
    ],
)
def test_fetch_is_read(items: bytes, expected: list[FetchItem]) -> None:
    found = read(by_number, b" 1:* " + items)
    assert list(found.items) == expected
    assert found.messages == SequenceSet(((1, 0),))


def test_modifiers_are_read() -> None:
    found = read(partial(fetch, by_uid=True), b" 1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 5 VANISHED)".replace(b" MODSEQ", b""))
    assert found.by_uid
    assert found.modifiers == (Parameter(b"CHANGEDSINCE", b"5"), Parameter(b"VANISHED"))


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" 1",
        b" 1 ",
        b" 1 ()",
        b" 1 FOO",
        b" 1 (ALL)",
        b" 1 (FLAGS",
        b" 1 (FLAGS )",
        b" 1 FLAGS UID",
        b" 1 BODY[",
        b" 1 BODY[]]",
        b" 1 BODY.PEEK",
        b" 1 BODY[MIME]",
        b" 1 BODY[1.]",
        b" 1 BODY[0]",
        b" 1 BODY[1.0]",
        b" 1 BODY[01x]",
        b" 1 BODY[1.FOO]",
        b" 1 BODY[HEADER.FIELDS]",
        b" 1 BODY[HEADER.FIELDS ()]",
        b" 1 BODY[HEADER.FIELDS (A:)]",
        b' 1 BODY[HEADER.FIELDS ("A B")]',
        b' 1 BODY[HEADER.FIELDS ("")]',
        b" 1 BODY[TEXT]<0>",
        b" 1 BODY[TEXT]<0.0>",
        b" 1 BODY[TEXT]<1.9223372036854775808>",
        b" 1 BODY[TEXT]<.1>",
        b" 1 BODY[" + b"1." * 101 + b"1]",
        b" 1 BODY[" + b"9" * 5000 + b"]",
        b" 1 (" + b" ".join(b"BODY[%d]" % at for at in range(1, 300)) + b")",
        b" 1 BODY[HEADER.FIELDS (" + b" ".join(b"X%d" % at for at in range(600)) + b")]",
        b" 1 " + b"(" * 50000,
        b" 9999999999 FLAGS",
        b" 1 FLAGS (",
    ],
)
def test_fetch_that_is_none_is_refused(arguments: bytes) -> None:
    refused(by_number, arguments)


def test_an_extension_adds_an_item() -> None:
    def modseq(c: Cursor, name: bytes) -> FetchItem:
        return Attribute(name)

    found = read(lambda c: fetch(c, by_uid=False, items={**FETCH_ITEMS, b"MODSEQ": modseq}), b" 1 (UID MODSEQ)")
    assert [item.label for item in found.items] == [b"UID", b"MODSEQ"]


names = st.sets(st.text('ABCXYZ-()%"\\0', min_size=1, max_size=6).map(str.encode), min_size=1, max_size=4)
sections = st.one_of(
    st.builds(Section, st.lists(st.integers(1, 99), max_size=4).map(tuple), st.sampled_from([None, SectionText.HEADER, SectionText.TEXT])),
    st.builds(Section, st.lists(st.integers(1, 99), min_size=1, max_size=4).map(tuple), st.just(SectionText.MIME)),
    st.builds(
        Section,
        st.lists(st.integers(1, 99), max_size=4).map(tuple),
        st.sampled_from([SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT]),
        names.map(lambda found: tuple(sorted(found))),
    ),
)


@given(sections)
def test_a_section_that_is_spelled_is_read_back(wanted: Section) -> None:
    assert read(spaced(section), b" [" + wanted.spell() + b"]") == wanted


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(by_number, found)
    never_crashes(by_number, Frame((b" 1 BODY[HEADER.FIELDS (" + found.parts[0], *found.parts[1:])))


@pytest.mark.parametrize(
    "arguments", [b" 1 PREVIEW", b" 1 (preview)", b" 1 PREVIEW (LAZY)", b" 1 (PREVIEW (lazy LAZY))", b" 1 (PREVIEW PREVIEW (LAZY))"]
)
def test_preview_is_read(arguments: bytes) -> None:
    assert read(partial(fetch, by_uid=False), arguments).items == (Attribute(b"PREVIEW"),)


@pytest.mark.parametrize("arguments", [b" 1 (PREVIEW (EAGER))", b" 1 (PREVIEW ())", b" 1 (PREVIEW (LAZY)FLAGS)", b" 1 PREVIEW(LAZY)"])
def test_preview_that_is_none_is_refused(arguments: bytes) -> None:
    refused(partial(fetch, by_uid=False), arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            b" 1 BINARY",
            b" 1 BINARY[HEADER]",
            b" 1 BINARY[1.MIME]",
            b" 1 BINARY[0]",
            b" 1 BINARY[1",
            b" 1 BINARY[1]<0>",
            b" 1 BINARY[1]<0.0>",
        ),
        *(
            b" 1 BINARY.SIZE",
            b" 1 BINARY.SIZE[1]<0.1>",
            b" 1 BINARY.SIZE[TEXT]",
            b" 1 BINARY.PEEK",
            b" 1 BINARY.PEEK [1]",
            b" 1 BINARY[1.]",
        ),
    ],
)
def test_binary_that_is_none_is_refused(arguments: bytes) -> None:
    refused(by_number, arguments)
