"""What of a parsed message is packed comes back; IMAP's numbers of parts are tests/gateway/imap/test_sections.py's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import layout
from gateway.message.layout import ENCODINGS, Layout, Place, is_current, pack
from gateway.message.structure import MAX_PARTS, Part, parse

MIXED = (
    b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\nfirst\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n"
    b"--o\r\nContent-Transfer-Encoding: x-own\r\n\r\nthird\r\n--o--\r\n"
)


def same(packed: Layout, root: Part) -> bool:
    """Are these the same trees?"""
    waiting: list[tuple[int, Part]] = [(0, root)]
    while waiting:
        number, part = waiting.pop()
        place = packed.place(number)
        assert (place.start, place.body, place.end, place.within) == (part.start, part.body, part.end, len(part.children))
        assert place.is_multipart is part.is_multipart
        assert place.is_message is (part.embedded is not None)
        assert place.encoding == (part.encoding if part.encoding in ENCODINGS else b"")
        waiting.extend((place.first + number, child) for number, child in enumerate(part.children))
    return True


def test_a_message_of_one_part() -> None:
    packed = pack(parse(b"Content-Transfer-Encoding: base64\r\n\r\nQQ=="))
    assert len(packed) == 12
    assert Layout(packed).place(0) == Place(0, 37, 41, 0, 0, ENCODINGS.index(b"base64"))


def test_parts_stand_level_by_level() -> None:
    packed = Layout(pack(parse(MIXED)))
    assert [packed.place(number).within for number in range(5)] == [3, 0, 1, 0, 0]
    assert [packed.place(number).encoding for number in range(5)] == [b"7bit", b"quoted-printable", b"7bit", b"", b"base64"]
    assert [packed.place(number).first for number in range(5)] == [1, 0, 4, 0, 0]
    assert same(packed, parse(MIXED))


@given(
    st.lists(
        st.sampled_from(
            [
                b"--o\r\n", b"--o--\r\n", b"\r\n", b"Content-Type: multipart/mixed; boundary=o\r\n", b"Content-Type: message/rfc822\r\n",
                b"Content-Transfer-Encoding: base64\r\n", b"text", b"\n", b"Content-Type: multipart/digest; boundary=oo\r\n", b"--oo\r\n",
            ]
        ),
        max_size=25,
    ).map(b"".join)
)  # fmt: skip
def test_any_message_comes_back(octets: bytes) -> None:
    assert same(Layout(pack(parse(octets))), parse(octets))


@pytest.mark.parametrize(("size", "record"), [(0xFFFF, 11), (0x10000, 17)])
def test_a_large_message_has_wider_offsets(size: int, record: int) -> None:
    octets = MIXED + b"x" * (size - len(MIXED))
    packed = pack(parse(octets))
    assert len(packed) == 1 + 5 * record
    assert same(Layout(packed), parse(octets))


def test_offsets_that_no_message_here_has() -> None:
    """limits.message_size lets no message be so large; the format would."""
    root = parse(MIXED)
    huge = Part(
        root.header, 1 << 32, root.type, root.subtype, (), None, None, root.encoding, None, None, (), (), None, 0, root.children, False
    )  # fmt: skip
    packed = Layout(pack(huge))
    assert packed.place(0).end == 1 << 32
    assert packed.place(1).end == root.children[0].end


def test_as_many_parts_as_there_may_be() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n" + b"--o\r\n\r\n" * (MAX_PARTS + 10)
    root = parse(octets)
    packed = pack(root)
    assert len(packed) <= 1 + 17 * (MAX_PARTS + 1)
    assert same(Layout(packed), root)


def test_a_layout_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(parse(MIXED))
    assert is_current(packed)
    assert not is_current(None)
    assert not is_current(b"")
    assert not is_current(bytes((layout.VERSION + 1 << 2,)) + packed[1:])
