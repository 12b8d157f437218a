"""UTF8=ACCEPT (RFC 6855, RFC 9755): names, strings and headers in UTF-8 for who enables it."""

from __future__ import annotations

import asyncio
import imaplib
from base64 import b64encode

import pytest

from store.accounts import SetVerifier
from tests.gateway.imap.handlers.house import Client, House, message

HEADER = "Subject: Grüße\r\nFrom: Jürgen <jürgen@müller.test>\r\n\r\nHallo\r\n".encode()


@pytest.fixture
async def utf8(house: House, port: int) -> Client:
    client = await house.client(port, "anna")
    assert (await client.do("ENABLE UTF8=ACCEPT")).untagged == [b"* ENABLED UTF8=ACCEPT"]
    return client


# Section 3


async def test_names_are_utf8_in_every_answer(house: House, port: int, utf8: Client) -> None:
    assert (await utf8.do('CREATE "Müll/Ünter"'.encode())).ok
    name = "Müll/Ünter"
    answers = {
        'LIST "" "M*r"': f'* LIST (\\HasNoChildren) "/" "{name}"',
        f'SUBSCRIBE "{name}"': None,
        'LSUB "" "M*r"': f'* LSUB () "/" "{name}"',
        f'STATUS "{name}" (MESSAGES)': f'* STATUS "{name}" (MESSAGES 0)',
        f'GETACL "{name}"': f'* ACL "{name}" anna@acme.test lrswikxteacd',
        f'MYRIGHTS "{name}"': f'* MYRIGHTS "{name}" lrswikxteacd',
        f'LISTRIGHTS "{name}" bruno@acme.test': f'* LISTRIGHTS "{name}" bruno@acme.test',
        f'GETQUOTAROOT "{name}"': f'* QUOTAROOT "{name}"',
        f'SETMETADATA "{name}" (/private/comment "ü")': None,
        f'GETMETADATA "{name}" /private/comment': f'* METADATA "{name}" (/private/comment {{2}}\r\nü)',
    }
    for command, answer in answers.items():
        said = await utf8.do(command.encode())
        assert said.ok, said
        if answer is not None:
            assert said.untagged[0].startswith(answer.encode()), said
    other = await house.client(port, "anna")
    assert b'* LIST (\\HasNoChildren) "/" "M&APw-ll/&ANw-nter"' in (await other.do('LIST "" "M*r"')).untagged


async def test_the_rest_stays_as_in_rev1(house: House, utf8: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    said = await utf8.do("SELECT INBOX")
    assert b"* 1 RECENT" in said.untagged
    assert not said.having("* LIST")
    assert (await utf8.do("SEARCH ALL")).untagged == [b"* SEARCH 1"]
    assert (await utf8.do('CREATE "Mu\u0308ll"'.encode())).untagged == []
    assert (await utf8.do('LIST "" "M*"')).having("Müll")


async def test_utf8_in_quotes_before_it_is_enabled(anna: Client) -> None:
    """The client MAY use it wherever a string stands; what the server says stays ASCII."""
    assert (await anna.do('CREATE "Müll"'.encode())).ok
    assert b'* LIST (\\HasNoChildren) "/" "M&APw-ll"' in (await anna.do('LIST "" "Mü*"'.encode())).untagged
    assert (await anna.do(b'CREATE "M\xfcll"')).tagged.startswith(b"BAD")
    await anna.do("SELECT INBOX")
    assert (await anna.do('SEARCH SUBJECT "ü"'.encode())).ok


@pytest.mark.parametrize("octets", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"a\xe2\x82"])
async def test_what_is_no_utf8_is_bad(utf8: Client, octets: bytes) -> None:
    await utf8.do("SELECT INBOX")
    for command in (b'CREATE "%b"', b'SEARCH SUBJECT "%b"', b'SEARCH HEADER X "%b"', b'SETMETADATA "" (/private/x "%b")', b'GETQUOTA "%b"'):
        assert (await utf8.do(command % octets)).tagged.startswith(b"BAD"), command


@pytest.mark.parametrize("written", ["a\u2028b", "a\u2029", "a\x85b", "a\x9f", "a\x7f"])
async def test_controls_are_in_no_name(utf8: Client, written: str) -> None:
    assert (await utf8.do(f'CREATE "{written}"'.encode())).tagged.startswith(b"NO [CANNOT]")


async def test_no_charset_is_named(house: House, utf8: Client) -> None:
    """RFC 6855 section 3 and its erratum 4029: SORT and THREAD have to name one, which is UTF-8."""
    await house.put("anna", "/INBOX", 1)
    await utf8.do("SELECT INBOX")
    for charset in ("UTF-8", "US-ASCII", "ISO-8859-1", "X"):
        assert (await utf8.do(f"SEARCH CHARSET {charset} ALL")).tagged.startswith(b"BAD"), charset
        assert (await utf8.do(f"UID SEARCH RETURN (COUNT) CHARSET {charset} ALL")).tagged.startswith(b"BAD"), charset
    for command in ("SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "SORT (DATE) US-ASCII ALL"):
        assert (await utf8.do(command)).ok, command
    for command in ("SORT (DATE) ISO-8859-1 ALL", "THREAD REFERENCES ISO-8859-1 ALL", "SORT (DATE) X ALL"):
        assert (await utf8.do(command)).tagged.startswith(b"BAD"), command


# Section 4


async def test_append_utf8(house: House, utf8: Client) -> None:
    for command in ("APPEND INBOX UTF8 (~{})", 'APPEND INBOX (\\Seen) " 1-Jan-2024 00:00:00 +0000" utf8 (~{})', "APPEND INBOX (\\Seen) {}"):
        said = await utf8.do(command, HEADER)
        assert b"[APPENDUID" in said.tagged, said
    assert b":" in (await utf8.do("APPEND INBOX UTF8 (~{}) (\\Draft) UTF8 (~{})", HEADER, HEADER)).tagged
    await utf8.do("SELECT INBOX")
    said = await utf8.do("FETCH 1:* (FLAGS BODY.PEEK[])")
    assert [HEADER in one for one in said.untagged] == [True] * 5
    assert [b"\\Draft" in one for one in said.untagged] == [False] * 4 + [True]
    assert (await utf8.do("REPLACE 1 INBOX UTF8 (~{})", HEADER)).ok


@pytest.mark.parametrize("arguments", ["UTF8 ({})", "UTF8 (~{}", "UTF8 ~{}", "UTF8", "UTF8 (~{}) x", "(~{})", "UTF8  (~{})", "UTF-8 (~{})"])
async def test_append_utf8_that_is_none(utf8: Client, arguments: str) -> None:
    assert (await utf8.do(f"APPEND INBOX {arguments}", HEADER)).tagged.startswith(b"BAD")
    assert (await utf8.do("NOOP")).ok


async def test_append_utf8_with_nul_is_as_in_binary(utf8: Client) -> None:
    assert (await utf8.do("APPEND INBOX UTF8 (~{})", b"Subject: \0\r\n\r\n")).tagged.startswith(b"NO [UNKNOWN-CTE]")
    assert (await utf8.do("APPEND INBOX UTF8 (~{})", "Subject: ü\r\n\r\na\0b\r\n".encode())).ok


async def test_the_go_ahead_is_waited_for(utf8: Client) -> None:
    utf8.send(b"w APPEND INBOX UTF8 (~{%d}\r\n" % len(HEADER))
    assert (await utf8.line()).startswith(b"+ ")
    utf8.send(HEADER + b")\r\n")
    assert (await utf8.until("w")).ok


async def test_without_enable_a_header_in_utf8_is_refused(house: House, port: int, anna: Client) -> None:
    for command in ("APPEND INBOX {}", "APPEND INBOX UTF8 (~{})"):
        said = await anna.do(command, HEADER)
        assert said.tagged.startswith(b"NO "), said
        assert b"ENABLE" in said.tagged
    assert (await anna.do("APPEND INBOX {} {}", message(), HEADER)).tagged.startswith(b"NO ")
    assert b"MESSAGES 0" in (await anna.do("STATUS INBOX (MESSAGES)")).untagged[0]
    # Eight bits in the body are no matter, nor are octets of a header that are older than UTF-8.
    assert (await anna.do("APPEND INBOX {}", "Subject: x\r\n\r\nGrüße\r\n".encode())).ok
    assert (await anna.do("APPEND INBOX {}", b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n")).ok
    await anna.do("SELECT INBOX")
    assert (await anna.do("REPLACE 1 INBOX {}", HEADER)).tagged.startswith(b"NO ")


# Sections 7 and 8


async def test_who_did_not_enable_it_gets_the_octets_as_they_are(house: House, port: int, utf8: Client) -> None:
    await utf8.do("APPEND INBOX UTF8 (~{})", HEADER)
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    said = (await other.do("FETCH 1 (RFC822.SIZE ENVELOPE BODY.PEEK[])")).untagged[0]
    assert HEADER in said
    assert b"RFC822.SIZE %d" % len(HEADER) in said
    # Never UTF-8 in quotes.
    assert "{7}\r\nGrüße".encode() in said


# Client code that others wrote


async def test_imaplib_in_its_utf8_mode(house: House, port: int) -> None:
    """imaplib puts the words around the message into the literal; what is stored is the message."""

    def job() -> None:
        with imaplib.IMAP4("127.0.0.1", port) as client:
            client.login("anna@acme.test", "secret")
            assert client.enable("UTF8=ACCEPT")[0] == "OK"
            assert client.utf8_enabled
            assert client.create('"Müll"')[0] == "OK"
            assert client.select('"Müll"')[1] == [b"0"]
            assert client.append('"Müll"', "", imaplib.Time2Internaldate(0), HEADER)[0] == "OK"
            assert client.noop()[0] == "OK"
            assert client.fetch("1", "(BODY.PEEK[])")[1][0][1] == HEADER  # type: ignore[index]
            assert client.search(None, "SUBJECT", '"grüße"')[1] == [b"1"]
            assert '"Müll"'.encode() in b"".join(client.list()[1])  # type: ignore[arg-type]

    await asyncio.to_thread(job)


async def test_as_mutt_does_it(house: House, port: int) -> None:
    """Right behind the login, whether it is announced or not; then names in UTF-8, messages as plain literals."""
    client = await house.client(port, "bruno")
    assert (await client.do("ENABLE UTF8=ACCEPT")).untagged == [b"* ENABLED UTF8=ACCEPT"]
    await house.make("anna", "/Büro")
    await house.put("anna", "/Büro", 1)
    await house.share("anna", "/Büro", "bruno", "rwid")
    assert (await client.do('SELECT "Other Users/anna/Büro"'.encode())).ok
    assert (await client.do('STATUS "Other Users/anna/Büro" (UIDNEXT UIDVALIDITY UNSEEN RECENT)'.encode())).ok
    assert (await client.do('APPEND "Other Users/anna/Büro" (\\Seen) {}'.encode(), message(2))).ok
    assert (await client.do('UID COPY 1 "INBOX"')).ok


async def test_passwords_in_utf8(house: House, port: int) -> None:
    """RFC 6855 section 5: AUTHENTICATE takes them. LOGIN stays as it is, and takes them too."""
    word = "pässwörd"
    await house.store.do(SetVerifier(house.ids["bruno"], (await house.passwords.verifiers(word)).argon2))
    response = b64encode(f"\0bruno@acme.test\0{word}".encode())
    assert (await (await house.client(port)).do(b"AUTHENTICATE PLAIN " + response)).ok
    assert (await (await house.client(port)).do("LOGIN bruno@acme.test {}", word.encode())).ok
    assert (await (await house.client(port)).do("LOGIN bruno@acme.test {}", word.encode("latin-1"))).tagged[:3] in (b"NO ", b"BAD")
