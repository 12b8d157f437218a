"""The lenient reading of address lists: a table of what mail contains."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.addresses import Entry, GroupEnd, GroupStart, Mailbox, addresses


def box(local: bytes | None, domain: bytes | None, display: bytes | None = None, route: bytes | None = None) -> Mailbox:
    return Mailbox(display, route, local, domain)


AB = box(b"a", b"b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" \r\n\t", []),
        (b",,,", []),
        (b"a@b", [AB]),
        (b"<a@b>", [AB]),
        (b"a@b,c@d", [AB, box(b"c", b"d")]),
        (b"A B <a@b>", [box(b"a", b"b", b"A B")]),
        (b'"A, B" <a@b>', [box(b"a", b"b", b"A, B")]),
        (b'"A \\"B\\"" C <a@b>', [box(b"a", b"b", b'A "B" C')]),
        (b"A Q. B <a@b>", [box(b"a", b"b", b"A Q. B")]),
        (b"a@b (A (B) C)", [box(b"a", b"b", b"A (B) C")]),
        (b"A\r\n <a@b>", [box(b"a", b"b", b"A")]),
        (b"A\r\n  B\r\n <a@b>", [box(b"a", b"b", b"A B")]),
        (b'"A\r\n B" <a@b>', [box(b"a", b"b", b"A B")]),
        (b"a (x) @ (y) b", [box(b"a", b"b", b"x")]),
        (b"a . c @ b . d", [box(b"a.c", b"b.d")]),
        (b'"a b"@c', [box(b"a b", b"c")]),
        (b'<"a@x"@c>', [box(b"a@x", b"c")]),
        (b"a@[192.0.2.1]", [box(b"a", b"[192.0.2.1]")]),
        (b"< a @ b >", [AB]),
        (b"<a@x@b>", [box(b"a@x", b"b")]),
        (b"g: a@b;", [GroupStart(b"g"), AB, GroupEnd()]),
        (b"g h: ;, a@b", [GroupStart(b"g h"), GroupEnd(), AB]),
        (b"g: a@b", [GroupStart(b"g"), AB, GroupEnd()]),
        (b"g: h: a@b;", [GroupStart(b"g"), AB, GroupEnd()]),
        (b"a@b; c@d", [AB, box(b"c", b"d")]),
        (b"<@r,@s:a@b>", [box(b"a", b"b", None, b"@r,@s")]),
        (b"A B", [box(b"A B", None)]),
        (b"A <a>", [box(b"a", None, b"A")]),
        (b"\xe4 <a@b>", [box(b"a", b"b", b"\xe4")]),
        (b"=?utf-8?Q?a?= <a@b>", [box(b"a", b"b", b"=?utf-8?Q?a?=")]),
        (b"a@b <c@d>", [box(b"c", b"d", b"a@b")]),
        (b"<a@b> <c@d>", [AB]),
    ],
    ids=range(33),
)
def test_what_an_address_list_shows(value: bytes, expected: list[Entry]) -> None:
    assert list(addresses(value)) == expected


def test_the_limit_bounds_the_list() -> None:
    assert len(addresses(b"a@b," * 100, limit=10)) == 10


@given(st.binary(max_size=200) | st.text('a@b,.:;<>()[]"\\ \r\n').map(str.encode))
@settings(max_examples=500)
def test_any_octets_are_a_list_with_groups_in_pairs(value: bytes) -> None:
    within = False
    for entry in addresses(value):
        if isinstance(entry, GroupStart):
            assert not within
            within = True
        elif isinstance(entry, GroupEnd):
            assert within
            within = False
    assert not within
