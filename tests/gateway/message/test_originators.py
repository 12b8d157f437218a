"""Which headers are read as authors, and which are refused: hand-written tables (robustness.md 2.4)."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.message.originators import Originators, RawMailbox, originators
from gateway.message.split import MalformedHeader, Offence, read_submitted_header


def read(header: bytes, *, smtputf8: bool = False) -> Originators:
    octets = header + b"\r\n\r\nbody\r\n"
    return originators(octets, read_submitted_header(octets), smtputf8=smtputf8)


def shown(found: Originators) -> list[str]:
    return [f"{mailbox.local}@{mailbox.domain}" for mailbox in found.from_]


# What mail programs write in From, with what they mean by it.
HONEST = [
    (b"anna@acme.test", ["anna@acme.test"]),
    (b"<anna@acme.test>", ["anna@acme.test"]),
    (b"Anna <anna@acme.test>", ["anna@acme.test"]),
    (b"Anna Maria Rossi <anna@acme.test>", ["anna@acme.test"]),
    (b'"Rossi, Anna" <anna@acme.test>', ["anna@acme.test"]),
    (b'"Anna \\"A\\" Rossi" <anna@acme.test>', ["anna@acme.test"]),
    (b'"Anna \\\\ Rossi" <anna@acme.test>', ["anna@acme.test"]),
    (b'"" <anna@acme.test>', ["anna@acme.test"]),
    (b'"anna@acme.test" <anna@acme.test>', ["anna@acme.test"]),
    (b'"Anna (Sales)" <anna@acme.test>', ["anna@acme.test"]),
    (b'"Anna <Sales>" <anna@acme.test>', ["anna@acme.test"]),
    (b'"Sales: Anna; Bruno" <anna@acme.test>', ["anna@acme.test"]),
    (b"anna@acme.test (Anna Rossi)", ["anna@acme.test"]),
    (b"Anna <anna@acme.test> (Sales)", ["anna@acme.test"]),
    (b"(Sales) Anna <anna@acme.test>", ["anna@acme.test"]),
    (b"Anna (Sales) Rossi <anna@acme.test>", ["anna@acme.test"]),
    (b"anna@acme.test (Anna (the first) Rossi)", ["anna@acme.test"]),
    (b"anna@acme.test (Anna \\) Rossi)", ["anna@acme.test"]),
    (b"anna@acme.test (also bruno@acme.test)", ["anna@acme.test"]),
    (b"John Q. Public <john@acme.test>", ["john@acme.test"]),
    (b"J.R.R. Tolkien <john@acme.test>", ["john@acme.test"]),
    (b"O'Brien <obrien@acme.test>", ["obrien@acme.test"]),
    (b"o'brien@acme.test", ["o'brien@acme.test"]),
    (b"Anna-Maria <anna-maria@acme.test>", ["anna-maria@acme.test"]),
    (b"Anna+tag <anna+tag@acme.test>", ["anna+tag@acme.test"]),
    (b"anna_rossi@acme.test", ["anna_rossi@acme.test"]),
    (b"anna.maria.rossi@mail.acme.test", ["anna.maria.rossi@mail.acme.test"]),
    (b"ANNA@ACME.TEST", ["ANNA@ACME.TEST"]),
    (b"1234@acme.test", ["1234@acme.test"]),
    (b"a@b", ["a@b"]),
    (b"root@localhost", ["root@localhost"]),
    (b"anna@xn--bcher-kva.test", ["anna@xn--bcher-kva.test"]),
    (b"anna@123.test", ["anna@123.test"]),
    (b"anna@a-b--c.test", ["anna@a-b--c.test"]),
    (b"=?UTF-8?B?QW5uYQ==?= <anna@acme.test>", ["anna@acme.test"]),
    (b"=?UTF-8?Q?Ann=C3=A0?= <anna@acme.test>", ["anna@acme.test"]),
    (b"=?utf-8?Q?Ann=C3=A0?= Rossi <anna@acme.test>", ["anna@acme.test"]),
    (b"=?utf-8?B?QW5u?=\r\n =?utf-8?B?YQ==?= <anna@acme.test>", ["anna@acme.test"]),
    (b"=?ISO-8859-1?Q?Andr=E9_?= <anna@acme.test>", ["anna@acme.test"]),
    (b"=?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <anna@acme.test>", ["anna@acme.test"]),
    (b"=?utf-8*en?Q?Anna?= <anna@acme.test>", ["anna@acme.test"]),
    (b'"=?UTF-8?B?QW5uYQ==?=" <anna@acme.test>', ["anna@acme.test"]),
    (b"anna@acme.test (=?utf-8?Q?Ann=C3=A0?=)", ["anna@acme.test"]),
    (b"=?UTF-8?B?PGV2aWxAZXhhbXBsZS5vcmc+?= <anna@acme.test>", ["anna@acme.test"]),
    (b"Anna Rossi\r\n <anna@acme.test>", ["anna@acme.test"]),
    (b"Anna\r\n\tRossi\r\n\t<anna@acme.test>", ["anna@acme.test"]),
    (b"\r\n anna@acme.test", ["anna@acme.test"]),
    (b'"Anna\r\n Rossi" <anna@acme.test>', ["anna@acme.test"]),
    (b"Anna<anna@acme.test>", ["anna@acme.test"]),
    (b'"Anna"<anna@acme.test>', ["anna@acme.test"]),
    (b"Anna  \t Rossi   <anna@acme.test>", ["anna@acme.test"]),
    (b"< anna@acme.test >", ["anna@acme.test"]),
    ("Annà <anna@acme.test>".encode(), ["anna@acme.test"]),
    ('"Rossi, Annà" <anna@acme.test>'.encode(), ["anna@acme.test"]),
    ("山田 <anna@acme.test>".encode(), ["anna@acme.test"]),
    ("Anna 🙂 <anna@acme.test>".encode(), ["anna@acme.test"]),
    ("anna@acme.test (Annà)".encode(), ["anna@acme.test"]),
    (b"anna@acme.test, bruno@acme.test", ["anna@acme.test", "bruno@acme.test"]),
    (b"anna@acme.test,bruno@acme.test", ["anna@acme.test", "bruno@acme.test"]),
    (b"Anna <anna@acme.test>,\r\n Bruno <bruno@acme.test>", ["anna@acme.test", "bruno@acme.test"]),
    (b'"A, B" <anna@acme.test>, "C, D" <bruno@acme.test>', ["anna@acme.test", "bruno@acme.test"]),
    (b"Anna & Bruno <both@acme.test>", ["both@acme.test"]),
    (b"Anna/Sales <anna@acme.test>", ["anna@acme.test"]),
    (b"Anna {Sales} | Acme! #1 $ % ^ ~ ` * = ? <anna@acme.test>", ["anna@acme.test"]),
    (b"bounces+1234=anna=acme.test@mailer.test", ["bounces+1234=anna=acme.test@mailer.test"]),
    (b"SRS0=xyz=aa=acme.test=anna@relay.test", ["SRS0=xyz=aa=acme.test=anna@relay.test"]),
    (b'"Anna Rossi via List" <list@acme.test>', ["list@acme.test"]),
    (b"Anna Rossi via List <list@acme.test>", ["list@acme.test"]),
    (b"MAILER-DAEMON@acme.test (Mail Delivery System)", ["MAILER-DAEMON@acme.test"]),
    (b"(" * 20 + b")" * 20 + b" anna@acme.test", ["anna@acme.test"]),
]


@pytest.mark.parametrize(("value", "addresses"), HONEST, ids=range(len(HONEST)))
def test_an_honest_from_is_read_as_its_author_means_it(value: bytes, addresses: list[str]) -> None:
    assert shown(read(b"Subject: x\r\nFrom: " + value + b"\r\nTo: c@d")) == addresses


def test_there_are_enough_honest_headers_in_the_table() -> None:
    assert len(HONEST) >= 60


HOSTILE = [
    (b"alice@example.org <bob@example.org>", Offence.TWO_ADDRESSES),
    (b"alice@example.org<bob@example.org>", Offence.TWO_ADDRESSES),
    (b"<alice@example.org> <bob@example.org>", Offence.TEXT_AFTER_ADDRESS),
    (b"<alice@example.org><bob@example.org>", Offence.TEXT_AFTER_ADDRESS),
    (b"alice@example.org: bob@example.org;", Offence.GROUP),
    (b"Group: bob@example.org;", Offence.GROUP),
    (b"undisclosed-recipients:;", Offence.GROUP),
    (b"<@bob@example.org:alice@example.org>", Offence.ROUTE),
    (b"<@relay.test:alice@example.org>", Offence.ROUTE),
    (b"", Offence.EMPTY),
    (b"   ", Offence.EMPTY),
    (b"(only a comment)", Offence.EMPTY),
    (b"<>", Offence.BAD_ANGLE),
    (b"Anna <>", Offence.BAD_ANGLE),
    (b"Anna", Offence.NO_ADDRESS),
    (b'"Anna"', Offence.NO_ADDRESS),
    (b"Anna, anna@acme.test", Offence.NO_ADDRESS),
    (b"anna@acme.test,", Offence.EMPTY_ELEMENT),
    (b",anna@acme.test", Offence.EMPTY_ELEMENT),
    (b"anna@acme.test,,bruno@acme.test", Offence.EMPTY_ELEMENT),
    (b'"anna"@acme.test', Offence.QUOTED_LOCAL_PART),
    (b'<"anna"@acme.test>', Offence.QUOTED_LOCAL_PART),
    (b'"anna@acme.test> "@evil.test', Offence.QUOTED_LOCAL_PART),
    (b"anna@[192.0.2.1]", Offence.DOMAIN_LITERAL),
    (b"<anna@[192.0.2.1]>", Offence.DOMAIN_LITERAL),
    (b"=?utf-8?B?YW5uYQ==?=@evil.test", Offence.ENCODED_WORD),
    (b"<=?utf-8?Q?anna=40acme.test=00?=@evil.test>", Offence.ENCODED_WORD),
    (b"Anna <anna@acme.test> Rossi", Offence.TEXT_AFTER_ADDRESS),
    (b'Anna <anna@acme.test> "Rossi"', Offence.TEXT_AFTER_ADDRESS),
    (b"anna@acme.test Rossi", Offence.TEXT_AFTER_ADDRESS),
    (b"anna@acme.test bruno@acme.test", Offence.TEXT_AFTER_ADDRESS),
    (b"anna@acme.test (x) <bruno@acme.test>", Offence.TEXT_AFTER_ADDRESS),
    (b"anna@acme.test@evil.test", Offence.TWO_ADDRESSES),
    (b"<anna@acme.test@evil.test>", Offence.TWO_ADDRESSES),
    (b"<anna@acme.test,bruno@acme.test>", Offence.TWO_ADDRESSES),
    (b"Anna anna@acme.test", Offence.TWO_ADDRESSES),
    (b"Anna @ Acme <anna@acme.test>", Offence.BAD_LOCAL_PART),
    (b"Anna@Acme <anna@acme.test>", Offence.TWO_ADDRESSES),
    (b"=?utf-8?Q?a@b?= <anna@acme.test>", Offence.ENCODED_WORD),
    (b"@acme.test", Offence.BAD_LOCAL_PART),
    (b"anna@", Offence.BAD_DOMAIN),
    (b"<anna@>", Offence.BAD_ANGLE),
    (b"<anna>", Offence.BAD_ANGLE),
    (b"<anna@acme.test", Offence.BAD_ANGLE),
    (b"anna@acme.test>", Offence.TEXT_AFTER_ADDRESS),
    (b"<<anna@acme.test>>", Offence.BAD_ANGLE),
    (b"<(c)anna@acme.test>", Offence.BAD_ANGLE),
    (b"<anna@acme.test(c)>", Offence.BAD_ANGLE),
    (b"anna(c)@acme.test", Offence.BAD_LOCAL_PART),
    (b"anna @acme.test", Offence.BAD_LOCAL_PART),
    (b"anna@ acme.test", Offence.BAD_DOMAIN),
    (b"<anna @acme.test>", Offence.BAD_ANGLE),
    (b"<anna@acme.\r\n test>", Offence.BAD_ANGLE),
    (b"anna.@acme.test", Offence.BAD_LOCAL_PART),
    (b".anna@acme.test", Offence.BAD_LOCAL_PART),
    (b"an..na@acme.test", Offence.BAD_LOCAL_PART),
    (b"anna@acme..test", Offence.BAD_DOMAIN),
    (b"anna@.acme.test", Offence.BAD_DOMAIN),
    (b"anna@acme.test.", Offence.BAD_DOMAIN),
    (b"anna@-acme.test", Offence.BAD_DOMAIN),
    (b"anna@acme-.test", Offence.BAD_DOMAIN),
    (b"anna@ac_me.test", Offence.BAD_DOMAIN),
    (b"anna@acme.test\\", Offence.SPECIAL),
    (b"an\\na@acme.test", Offence.SPECIAL),
    (b"[Sales] Anna <anna@acme.test>", Offence.SPECIAL),
    (b"anna@acme.test;", Offence.GROUP),
    (b'"Anna <anna@acme.test>', Offence.UNBALANCED_QUOTE),
    (b'Anna" <anna@acme.test>', Offence.UNBALANCED_QUOTE),
    (b'"Anna\\" <anna@acme.test>', Offence.UNBALANCED_QUOTE),
    (b"(Anna <anna@acme.test>", Offence.UNBALANCED_COMMENT),
    (b"Anna) <anna@acme.test>", Offence.UNBALANCED_COMMENT),
    (b"anna@acme.test (comment\\", Offence.UNBALANCED_COMMENT),
    (b"anna@acme.test (comment\\)", Offence.UNBALANCED_COMMENT),
    (b"(" * 21 + b")" * 21 + b" anna@acme.test", Offence.DEEP_COMMENT),
    (b"(" * 5000 + b" anna@acme.test", Offence.DEEP_COMMENT),
    (b"Anna\x00 <anna@acme.test>", Offence.NUL),
    (b"Anna\x0b <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x0c <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x1c <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x1d <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x1e <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x7f <anna@acme.test>", Offence.CONTROL),
    (b"Anna\x1b <anna@acme.test>", Offence.CONTROL),
    (b"Anna\r <anna@acme.test>", Offence.BARE_CR),
    (b"Anna\n <anna@acme.test>", Offence.BARE_LF),
    ("Anna\u0085 <anna@acme.test>".encode(), Offence.LINE_SEPARATOR),
    ("Anna\u2028 <anna@acme.test>".encode(), Offence.LINE_SEPARATOR),
    ("Anna\u2029 <anna@acme.test>".encode(), Offence.LINE_SEPARATOR),
    ("Anna\u009b <anna@acme.test>".encode(), Offence.LINE_SEPARATOR),
    (b"Andr\xe9 <anna@acme.test>", Offence.INVALID_UTF8),
    (b"\xc0\xbcanna <anna@acme.test>", Offence.INVALID_UTF8),
    (b"\xed\xa0\x80 <anna@acme.test>", Offence.INVALID_UTF8),
    (b"anna@acme.test (\xff)", Offence.INVALID_UTF8),
    ("annà@acme.test".encode(), Offence.NEEDS_SMTPUTF8),
    ("anna@bücher.test".encode(), Offence.NEEDS_SMTPUTF8),
    ("anna\uff20acme.test".encode(), Offence.NO_ADDRESS),
    (b"a" * 300 + b"@acme.test", Offence.BAD_LOCAL_PART),
    (b"a@" + b"b." * 200 + b"c", Offence.BAD_DOMAIN),
    (b", ".join([b"a@b"] * 101), Offence.TOO_MANY_ADDRESSES),
]


@pytest.mark.parametrize(("value", "offence"), HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", [b"From", b"Sender", b"Resent-From", b"Resent-Sender"])
def test_a_value_that_can_be_read_twice_is_refused_by_name(value: bytes, offence: Offence, name: bytes) -> None:
    with pytest.raises(MalformedHeader) as refused:
        read(b"Subject: x\r\n" + name + b": " + value + b"\r\nTo: c@d")
    assert refused.value.offence is offence
    assert refused.value.field == name.lower()
    assert name.lower().decode() in str(refused.value)


@pytest.mark.parametrize("name", [b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Subject", b"Date", b"Message-ID"])
def test_a_field_that_must_stand_alone_is_refused_twice(name: bytes) -> None:
    with pytest.raises(MalformedHeader) as refused:
        read(name + b": a@b\r\nX: y\r\n" + name.upper() + b": a@b")
    assert (refused.value.offence, refused.value.field) == (Offence.DUPLICATE, name.lower())


def test_a_sender_with_two_addresses_is_refused() -> None:
    with pytest.raises(MalformedHeader) as refused:
        read(b"From: a@b\r\nSender: a@b, c@d")
    assert refused.value.offence is Offence.NOT_ONE


def test_reply_to_is_free() -> None:
    assert read(b"From: a@b\r\nReply-To: list: c@d, <e@f>;").from_ == (RawMailbox(b"", "a", "b"),)


def test_a_header_without_from_has_no_author() -> None:
    found = read(b"Subject: x\r\nSender: Anna <a@b>")
    assert found.from_ == ()
    assert found.sender == RawMailbox(b"Anna", "a", "b")


def test_the_display_name_stays_as_its_octets_are() -> None:
    assert read(b'From: =?utf-8?B?QQ==?=\r\n "B, C" (d) E <a@b>').from_[0].display == b'=?utf-8?B?QQ==?= "B, C" (d) E'


def test_utf8_addresses_are_read_where_the_transaction_says_smtputf8() -> None:
    found = read("From: Ä <annà@bücher.test>".encode(), smtputf8=True)
    assert found.from_ == (RawMailbox("Ä".encode(), "annà", "bücher.test"),)


@pytest.mark.parametrize("hidden", ["\u200b", "\u200e", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u3164", "\ufe0f", "\u00a0", "\U000e0041"])
def test_an_address_with_invisible_characters_is_refused(hidden: str) -> None:
    for address in (f"an{hidden}na@acme.test", f"anna@ac{hidden}me.test"):
        with pytest.raises(MalformedHeader):
            read(f"From: <{address}>".encode(), smtputf8=True)


def test_joiners_in_a_domain_are_left_to_the_policy() -> None:
    assert shown(read("From: <a@نامه\u200cای.test>".encode(), smtputf8=True)) == ["a@نامه\u200cای.test"]


def test_resent_blocks_come_newest_first_and_only_the_newest_is_read() -> None:
    found = read(
        b"Resent-From: new@acme.test\r\nResent-Sender: S <s@acme.test>\r\nResent-Date: x\r\nReceived: by y\r\n"
        b"Resent-From: older: broken;\r\nResent-To: z@acme.test\r\nResent-From: oldest@acme.test\r\nFrom: a@b"
    )
    assert [block.from_ for block in found.resent] == [(RawMailbox(b"", "new", "acme.test"),), (), ()]
    assert found.resent[0].sender == RawMailbox(b"S", "s", "acme.test")
    assert [field.name for field in found.resent[1].fields] == [b"resent-from", b"resent-to"]


PIECES = st.sampled_from(
    [
        b"a@b.c",
        b"<",
        b">",
        b"@",
        b",",
        b":",
        b";",
        b'"',
        b"\\",
        b"(",
        b")",
        b" ",
        b"\t",
        b"\r\n ",
        b"\x00",
        b"\xc3\xa4",
        b"\xff",
        b"x",
        b".",
        b"[",
    ]
)


@given(st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=200), st.booleans())
@example(b'"' * 50, False)
@settings(max_examples=400)
def test_any_octets_are_mailboxes_or_malformed(value: bytes, smtputf8: bool) -> None:
    try:
        found = read(b"From: " + value, smtputf8=smtputf8)
    except MalformedHeader:
        return
    for mailbox in found.from_:
        # Every address that is reported stands in the octets as it is reported.
        assert f"{mailbox.local}@{mailbox.domain}".encode() in value
        assert "@" not in mailbox.local + mailbox.domain


@pytest.mark.parametrize(
    "value",
    [
        b"a@b, " * 40_000 + b"a@b",
        b"(" * 500_000,
        b"x " * 400_000,
        b'"x" ' * 200_000,
        b'"' + b"\\" * 500_001,
        b"a." * 400_000 + b"@b",
        b"a@" + b"b." * 400_000,
        b"<a@b" + b" " * 800_000,
        b"a@b" + b" " * 800_000 + b"x",
        b"()" * 400_000 + b"a@b",
    ],
    ids=range(10),
)
def test_a_bomb_is_judged_in_little_time(value: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(MalformedHeader) if not value.endswith(b")a@b") else _nothing():
        read(b"From: " + value)
    assert time.process_time() - begin < 2


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
