"""One form for every spelling of an address; and what is no address."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.canonical import UnstableAddress, read_address, read_address_octets, read_domain
from policy.identity import Address, BadAddress


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("anna@acme.test", "anna", "acme.test"),
        ("Anna.Rossi+tag@ACME.Test", "Anna.Rossi+tag", "acme.test"),
        ("!#$%&'*+/=?^_`{|}~-@a.b", "!#$%&'*+/=?^_`{|}~-", "a.b"),
        ('"anna"@acme.test', "anna", "acme.test"),
        ('"an\\na"@acme.test', "anna", "acme.test"),
        ("bob@localhost", "bob", "localhost"),
        ("bob@bücher.test", "bob", "xn--bcher-kva.test"),
        ("bob@BÜCHER.test", "bob", "xn--bcher-kva.test"),
        ("bob@bu\u0308cher.test", "bob", "xn--bcher-kva.test"),
        ("bob@XN--BCHER-KVA.test", "bob", "xn--bcher-kva.test"),
        ("bob@faß.de", "bob", "xn--fa-hia.de"),  # IDNA 2008, not the transitional fass.de
        ("bob@ｅｘample\u3002org", "bob", "example.org"),  # UTS 46 maps full width and the ideographic full stop
        ("annä@acme.test", "annä", "acme.test"),
        ("用户@例子.test", "用户", "xn--fsqu00a.test"),
        ("نمی\u200cدانم@acme.test", "نمی\u200cدانم", "acme.test"),
        ("x" * 200 + "@a.b", "x" * 200, "a.b"),
    ],
)
def test_an_address(text: str, local: str, domain: str) -> None:
    assert read_address(text) == Address(local, domain)
    assert read_address_octets(text.encode()) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "anna",
        "anna@",
        "@acme.test",
        "a b@c.d",
        ".a@b.c",
        "a.@b.c",
        "a..b@c.d",
        "a@b@c.d",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@-b.c",
        "a@b-.c",
        "a@b_c.d",
        "a@[192.0.2.1]",
        "a@[IPv6:::1]",
        '""@a.b',
        '"a b"@c.d',
        '"a@b"@c.d',
        '"a\\"b"@c.d',
        '"a@b.c',
        '"a"b@c.d',
        "a,b@c.d",
        "<a@b.c>",
        "a@b.c ",
        " a@b.c",
        "a@b.c\r\n",
        "a\0@b.c",
        "a@b\0.c",
        "@x:a@b.c",
        "a@xn--zzzz.org",
        "a@xn--a",
        "a@" + "x" * 64 + ".org",
        "x" * 256 + "@a.b",
        "a@" + "x.y" * 85,
        "a@ \u3002org",
        "a@\u3002",
        "a@b\u3002",
        "a\u202eb@c.d",
        "a\u00a0b@c.d",
        "a\u2028b@c.d",
        "a\x85b@c.d",
        "a\ud800@b.c",
        "a@b\ud800.c",
        "a\u200bb@c.d",
        "a@b\u200b\u200b..c",
        "ä" * 200 + "@a.b",
    ],
)
def test_no_address(text: str) -> None:
    with pytest.raises(BadAddress):
        read_address(text)


@pytest.mark.parametrize("local", ["anna\u0308", "\u212aelvin", "ﬁn", "ｆull", "a\u2126"])
def test_another_unicode_form_is_refused_and_not_mapped(local: str) -> None:
    with pytest.raises(UnstableAddress):
        read_address(f"{local}@acme.test")


def test_octets_that_are_no_utf8() -> None:
    with pytest.raises(BadAddress, match="UTF-8"):
        read_address_octets(b"a\xff@b.c")


def test_domains() -> None:
    assert read_domain("ACME.test") == "acme.test"
    for bad in ("", ".", "a.", "a b", "[1.2.3.4]", "x" * 300, "ä" * 300, "xn--\u00e4"):
        with pytest.raises(BadAddress):
            read_domain(bad)


@given(st.text(max_size=80) | st.text('ab.@"\\xn-ä\u0308Kß\u200d\u3002', max_size=40))
def test_any_text_is_an_address_or_bad_and_an_address_reads_as_itself(text: str) -> None:
    try:
        address = read_address(text)
    except BadAddress:
        return
    assert read_address(str(address)) == address
    assert address.domain.isascii()
    assert address.domain == address.domain.lower()
    assert unicodedata.is_normalized("NFKC", address.local)


@given(st.binary(max_size=60))
def test_any_octets_are_an_address_or_bad(octets: bytes) -> None:
    try:
        read_address_octets(octets)
    except BadAddress:
        pass


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "a." * 500_000 + "@", '"' + "\\a" * 500_000, "a@" + "b." * 500_000, "ä@" + "ä." * 500_000, "@" * 100_000]
)
def test_time_is_bounded(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadAddress):
        read_address(text)
    assert time.process_time() - began < 0.2
