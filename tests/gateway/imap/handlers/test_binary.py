"""BINARY (RFC 3516, RFC 9051 section 6.4.5.1): parts with their encoding undone, messages with NUL octets."""

import os
from binascii import b2a_base64

import pytest

from gateway.imap.listener import Limits
from store import accounts
from tests.gateway.imap.handlers.house import Client, House, message

PICTURE = bytes(range(256)) * 3
MIXED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n =\r\nso\r\n\r\n"
    b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b2a_base64(PICTURE) + b"\r\n"
    b"--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-own\r\n\r\nabc\r\n--b--\r\n"
)
TEXT = "sch\u00f6n so\r\n".encode()


async def fetched(client: Client, items: str) -> bytes:
    said = await client.do(f"FETCH 1 {items}")
    assert said.ok, said
    (one,) = said.untagged
    return one


@pytest.fixture
async def reading(anna: Client) -> Client:
    assert (await anna.do("APPEND INBOX {}", MIXED)).ok
    assert (await anna.do("SELECT INBOX")).ok
    return anna


async def test_it_is_announced(anna: Client) -> None:
    assert b" BINARY" in (await anna.do("CAPABILITY")).untagged[0]


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        ("BINARY.PEEK[1]", b"BINARY[1] {%d}\r\n%b" % (len(TEXT), TEXT)),
        ("BINARY.PEEK[1]<2.4>", b"BINARY[1]<2> {4}\r\n%b" % TEXT[2:6]),
        ("BINARY.PEEK[1]<200.4>", b"BINARY[1]<200> {0}\r\n"),
        ("BINARY.PEEK[2]", b"BINARY[2] ~{768}\r\n" + PICTURE),
        ("BINARY.PEEK[2]<1.9>", b"BINARY[2]<1> {9}\r\n" + PICTURE[1:10]),
        ("BINARY.PEEK[2]<256.2>", b"BINARY[2]<256> ~{2}\r\n\0\1"),
        ("BINARY.PEEK[]", b"BINARY[] {%d}\r\n%b" % (len(MIXED), MIXED)),
        ("BINARY.PEEK[]<0.3>", b"BINARY[]<0> {3}\r\nSub"),
        ("BINARY.PEEK[4]", b"BINARY[4] NIL"),
        ("BINARY.PEEK[1.1]<0.1>", b"BINARY[1.1]<0> NIL"),
        ("(BINARY.SIZE[1] BINARY.SIZE[2])", b"BINARY.SIZE[1] %d BINARY.SIZE[2] 768" % len(TEXT)),
        ("(BINARY.SIZE[] BINARY.SIZE[9])", b"BINARY.SIZE[] %d BINARY.SIZE[9] 0" % len(MIXED)),
    ],
)
async def test_parts(reading: Client, items: str, answer: bytes) -> None:
    assert await fetched(reading, items) == b"* 1 FETCH (" + answer + b")"


async def test_it_sets_seen_but_for_peek_and_size(reading: Client) -> None:
    for items in ("BINARY.PEEK[1]", "BINARY.SIZE[1]", "BINARY.PEEK[]"):
        await fetched(reading, items)
    assert b"\\Seen" not in await fetched(reading, "FLAGS")
    assert (await reading.do("FETCH 1 BINARY[1]")).untagged[1:] == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))"]


async def test_an_encoding_that_nobody_knows(reading: Client, house: House) -> None:
    await house.put("anna", "/INBOX")
    await reading.do("NOOP")
    for items in ("BINARY[3]", "BINARY.SIZE[3]", "(UID BINARY.PEEK[1] BINARY[3])"):
        said = await reading.do(f"FETCH 1:2 {items}")
        assert said.tagged.startswith(b"NO [UNKNOWN-CTE] ")
        assert [one for one in said.untagged if one.startswith(b"* 1 ")] == []
        assert len(said.having("* 2 FETCH (")) >= 1
    assert b"\\Seen" not in (await reading.do("FETCH 1 FLAGS")).untagged[0]
    assert b"\\Seen" in (await reading.do("FETCH 2 FLAGS")).untagged[0]
    assert (await reading.do("FETCH 1 BODY.PEEK[3]")).ok


async def test_headers_are_never_decoded(anna: Client) -> None:
    sent = b"Subject: =?utf-8?q?sch=C3=B6n?=\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41"
    assert (await anna.do("APPEND INBOX ~{}", sent)).ok
    await anna.do("SELECT INBOX")
    assert await fetched(anna, "(BINARY.PEEK[] BINARY.PEEK[1])") == b"* 1 FETCH (BINARY[] {%d}\r\n%b BINARY[1] {1}\r\nA)" % (
        len(sent),
        sent,
    )


async def test_a_large_part_in_pieces(anna: Client) -> None:
    octets = os.urandom(300_000)
    lines = b2a_base64(octets, newline=False)
    large = b"Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    large += b"\r\n".join(lines[at : at + 76] for at in range(0, len(lines), 76))
    assert (await anna.do("APPEND INBOX {}", large)).ok
    await anna.do("SELECT INBOX")
    assert b"BINARY.SIZE[1] 300000" in await fetched(anna, "BINARY.SIZE[1]")
    found = []
    for first in (*range(0, 300_000, 65_000), 10, 299_999, 0):
        one = await fetched(anna, f"BINARY.PEEK[1]<{first}.65000>")
        head, _, rest = one.partition(b"}\r\n")
        assert head.startswith(b"* 1 FETCH (BINARY[1]<%d> " % first)
        assert rest[:-1] == octets[first : first + 65_000]
        found.append(rest[:-1])
    assert b"".join(found[:5]) == octets
    assert octets in await fetched(anna, "BINARY.PEEK[1]")


async def test_append_with_nul_is_kept_in_base64(anna: Client) -> None:
    sent = b"Subject: x\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + PICTURE
    assert (await anna.do("APPEND INBOX (\\Seen) ~{}", sent)).ok
    await anna.do("SELECT INBOX")
    one = await fetched(anna, "(FLAGS RFC822.SIZE BODY[] BODYSTRUCTURE BINARY.SIZE[1] BINARY[1])")
    assert b"~{768}\r\n" + PICTURE in one
    assert b'("image" "x" NIL NIL NIL "base64" ' in one
    assert b"BINARY.SIZE[1] 768" in one
    whole = (await fetched(anna, "BODY.PEEK[]")).partition(b"}\r\n")[2][:-1]
    assert b"\0" not in whole
    assert b"RFC822.SIZE %d " % len(whole) in one


async def test_append_of_a_literal8_without_nul_is_kept_as_it_is(anna: Client) -> None:
    sent = b"Content-Transfer-Encoding: binary\r\n\r\nline\n\xff\xfe\r"
    assert (await anna.do("APPEND INBOX ~{}", sent)).ok
    await anna.do("SELECT INBOX")
    assert sent in await fetched(anna, "BODY.PEEK[]")


async def test_a_synchronising_literal8(anna: Client) -> None:
    anna.send(b"x APPEND INBOX ~{4}\r\n")
    assert await anna.line() == b"+ OK"
    anna.send(b"\r\n\0\0\r\n")
    assert (await anna.until("x")).tagged.startswith(b"OK [APPENDUID ")


@pytest.mark.parametrize("sent", [b"Sub\0ject: x\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n\r\nAA\0"])
async def test_nul_that_cannot_be_kept(anna: Client, sent: bytes) -> None:
    said = await anna.do("APPEND INBOX ~{}", sent)
    assert said.tagged.startswith(b"NO [UNKNOWN-CTE] ")
    assert b"(MESSAGES 0)" in (await anna.do("STATUS INBOX (MESSAGES)")).untagged[0]


async def test_nul_in_a_plain_literal_is_no_command(anna: Client) -> None:
    assert (await anna.do("APPEND INBOX {}", b"\r\n\0")).tagged.startswith(b"BAD a literal has no NUL")


async def test_limits_and_quota_count_what_is_kept(house: House) -> None:
    port = await house.listen(Limits(message_size=1000))
    anna = await house.client(port, "anna")
    assert (await anna.do("APPEND INBOX ~{}", b"\r\n" + b"\0" * 900)).tagged.startswith(b"NO [TOOBIG] ")
    anna.send(b"x APPEND INBOX ~{1001}\r\n")
    assert (await anna.until("x")).tagged.startswith(b"NO [TOOBIG] ")
    assert (await anna.do("APPEND INBOX ~{}", b"\r\n" + b"\0" * 600)).ok
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": "1000"}))
    assert (await anna.do("APPEND INBOX ~{}", b"\r\n" + b"\0" * 600)).tagged.startswith(b"NO [OVERQUOTA] ")


async def test_several_messages_and_replace(anna: Client) -> None:
    assert (await anna.do("APPEND INBOX ~{} () {}", b"\r\n\0", message())).ok
    await anna.do("SELECT INBOX")
    said = await anna.do("REPLACE 1 INBOX ~{}", b"\r\n\0\0")
    assert said.ok, said
    assert (await anna.do("UID FETCH 3 BINARY[1]")).having("~{2}\r\n\0\0")


async def test_a_reader_leaves_no_trace(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", "lr", rfc=True)
    await bruno.do('SELECT "Other Users/anna/INBOX"')
    assert (await bruno.do("FETCH 1 BINARY[1]")).untagged == [b"* 1 FETCH (BINARY[1] {9}\r\nHello 1\r\n)"]
    assert b"\\Seen" not in (await bruno.do("FETCH 1 FLAGS")).untagged[0]
