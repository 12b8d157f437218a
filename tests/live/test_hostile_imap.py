"""IMAP peers that mean harm (robustness.md section 2.2): each gets the named answer, nobody else notices."""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Iterator

import pytest

from tests.live.hostile import Bystander, Raw, Watched, costing_less_than, imap, resident, unharmed
from tests.live.server import PASSWORD, Server

USER = "mallory@acme.test"
QUIET = "quiet@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Watched(tmp_path_factory.mktemp("hostile-imap"), {"limits.output_timeout": "3s"})
    made.people("mallory", "quiet", "owner", "hoarder", "dear")
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, QUIET) as watching:
        yield watching


def append(raw: Raw, octets: bytes, folder: bytes = b"INBOX") -> bytes:
    raw.send(b"app APPEND %b {%d+}\r\n" % (folder, len(octets)) + octets + b"\r\n")
    return raw.until(b"app").splitlines(keepends=True)[-1]


def still_fine(raw: Raw) -> None:
    assert raw.do(b"fine", b"NOOP").startswith(b"fine OK")


def ended(raw: Raw) -> bytes:
    """The BYE that ends it."""
    said = raw.rest()
    assert b"* BYE " in said, said[-300:]
    return said[said.index(b"* BYE ") :]


# --- 15 literals

HUGE = [b"4294967295", b"2147483648", b"18446744073709551616", b"9" * 5000, b"999999999999999999999999", b"0" * 6000 + b"99999999"]


@pytest.mark.parametrize("size", HUGE, ids=lambda size: size[:12].decode())
@pytest.mark.parametrize("logged_in", [False, True])
def test_a_literal_that_is_too_big_is_refused_before_it_is_sent(server: Server, size: bytes, logged_in: bool) -> None:
    with imap(server, USER if logged_in else None) as raw:
        said = raw.do(b"a", b"SELECT {" + size + b"}" if logged_in else b"LOGIN {" + size + b"}")
        assert said.startswith((b"a NO [TOOBIG] ", b"a BAD [TOOBIG] ")), said
        still_fine(raw)


@pytest.mark.parametrize("size", HUGE, ids=lambda size: size[:12].decode())
@pytest.mark.parametrize("command", [b"LOGIN", b"SELECT", b"APPEND INBOX", b"SEARCH SUBJECT"])
def test_a_literal_that_comes_unasked_and_is_too_big_ends_the_connection(server: Server, size: bytes, command: bytes) -> None:
    with imap(server, USER if command != b"LOGIN" else None) as raw:
        raw.send(b"a " + command + b" {" + size + b"+}\r\n" + b"b LOGOUT\r\n" * 10)
        said = ended(raw)
        assert said.startswith(b"* BYE [TOOBIG] ")
        assert b"b OK" not in said


@pytest.mark.parametrize(
    "command",
    [
        b"LOGIN {-1}",
        b"LOGIN {}",
        b"LOGIN {a}",
        b"LOGIN {1",
        b"LOGIN 1}",
        b"LOGIN {1}}",
        b"LOGIN {1++}",
        b"LOGIN { 1}",
        b"LOGIN {0x10}",
        b"LOGIN {\xb2}",
    ],
    ids=repr,
)
def test_literals_written_wrongly(server: Server, command: bytes) -> None:
    with imap(server) as raw:
        raw.send(b"a " + command + b"\r\n")
        said = raw.line()
        assert said.startswith((b"a BAD ", b"* BAD ")), said
        still_fine(raw)


def test_a_thousand_small_literals_in_one_command(server: Server) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a SEARCH " + b"{1+}\r\nx" * 5_000 + b"\r\n")
        assert ended(raw).startswith(b"* BYE [TOOBIG] ")


def test_all_literals_of_a_command_are_counted_together(server: Server) -> None:
    with imap(server, USER) as raw:
        assert raw.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        raw.send(b"a SEARCH " + b" ".join(b"SUBJECT {100000+}\r\n" + b"x" * 100_000 for _ in range(5)) + b"\r\n")
        assert ended(raw).startswith(b"* BYE [TOOBIG] ")


def test_a_nul_in_a_literal_or_a_quoted_string_or_a_line(server: Server) -> None:
    with imap(server, USER) as raw:
        for command in (b"SELECT {3+}\r\na\0b", b"CREATE {3+}\r\na\0b", b"LIST {1+}\r\n\0 *", b'SELECT "a\0b"', b"NO\0OP", b"SELECT a\0b"):
            raw.send(b"a " + command + b"\r\n")
            assert raw.line().startswith((b"a BAD ", b"* BAD ", b"a NO ")), command
        assert raw.do(b"l", b'LIST "" a*').startswith(b"l OK")


def test_an_append_too_big_is_refused_before_the_client_sends_it(server: Server) -> None:
    with imap(server, USER) as raw:
        said = raw.do(b"a", b"APPEND INBOX {%d}" % ((50 << 20) + 1))
        assert said.startswith(b"a NO [TOOBIG] "), said
        assert raw.do(b"b", b"APPEND INBOX (\\Seen) {99999999999}").startswith(b"b NO [TOOBIG] ")
        still_fine(raw)


# --- what costs the client a few octets, and the server a message


def _ask(raw: Raw, command: bytes) -> tuple[int, bytes]:
    """How many octets the answer has, and its last line; nothing of it is kept."""
    raw.send(b"q " + command + b"\r\n")
    count, last = 0, b""
    while not re.search(rb"(?:\A|\n)q (?:OK|NO|BAD) .*\r\n\Z", last):
        octets = raw.socket.recv(1 << 20)
        assert octets, last
        count += len(octets)
        last = (last + octets)[-200:]
    return count, last.splitlines(keepends=True)[-1]


def test_a_large_message_many_times_in_one_answer(server: Server) -> None:
    encoded = b"Content-Transfer-Encoding: base64\r\nSubject: large\r\n\r\n" + (b"QUFB" * 19 + b"\r\n") * 150_000
    with imap(server, "hoarder@acme.test", seconds=60) as raw:
        assert append(raw, encoded, b"Archive").startswith(b"app OK")
        assert raw.do(b"s", b"SELECT Archive").startswith(b"s OK")
        pieces = b" ".join(b"BODY.PEEK[]<%d.50000000> BODY.PEEK[1]<%d.50000000>" % (at, at) for at in range(20))
        count, last = _ask(raw, b"UID FETCH * (" + pieces + b")")
        assert last.startswith(b"q OK")
        assert count > 35 * len(encoded)
        # What is decoded is made anew each time: as often as anybody needs it.
        pieces = b" ".join(b"BINARY.PEEK[1]<%d.50000000>" % at for at in range(40))
        count, last = _ask(raw, b"UID FETCH * (" + pieces + b")")
        assert last.startswith(b"q NO [LIMIT] ")
        assert count < 1_000
        count, last = _ask(raw, b"UID FETCH * (BINARY.PEEK[1] BODY.PEEK[] BODY.PEEK[1] BODY.PEEK[TEXT] BODY.PEEK[HEADER])")
        assert last.startswith(b"q OK")
        assert raw.do(b"d", b"STORE 1:* +FLAGS.SILENT (\\Deleted)").startswith(b"d OK")
        assert raw.do(b"e", b"EXPUNGE").startswith(b"e OK")


@pytest.fixture
def large_header(server: Server, bystander: Bystander) -> Iterator[tuple[Raw, bytes]]:
    """A session in Archive, and the UID of a message there whose header is 19 MiB long."""
    header = b"X-Field: some words\r\n" * 900_000
    with imap(server, "hoarder@acme.test", seconds=60) as raw:
        assert append(raw, header + b"\r\nbody\r\n", b"Archive").startswith(b"app OK")
        assert raw.do(b"s", b"SELECT Archive").startswith(b"s OK")
        raw.send(b"u UID SEARCH *\r\n")
        found = re.search(rb"SEARCH (\d+)", raw.until(b"u"))
        assert found is not None
        yield raw, found[1]
        assert raw.do(b"d", b"STORE 1:* +FLAGS.SILENT (\\Deleted)").startswith(b"d OK")
        assert raw.do(b"e", b"EXPUNGE").startswith(b"e OK")


def test_a_large_header_taken_apart_many_times(large_header: tuple[Raw, bytes]) -> None:
    raw, uid = large_header
    names = [b"X-%d" % at for at in range(250)]
    asked = b" ".join(b"BODY.PEEK[HEADER.FIELDS (%b)]" % fields for fields in names)
    assert raw.do(b"f", b"UID FETCH %b (%b)" % (uid, asked)).startswith(b"f OK")


@pytest.mark.parametrize(("count", "answer"), [(10, b"c OK"), (400, b"c NO [LIMIT] ")])
def test_a_large_header_taken_apart_many_times_by_url(large_header: tuple[Raw, bytes], count: int, answer: bytes) -> None:
    raw, uid = large_header
    urls = b" ".join(b'URL "/Archive/;UID=%b/;SECTION=HEADER.FIELDS%%20(X-%d)"' % (uid, at) for at in range(count))
    assert raw.do(b"c", b"APPEND Drafts CATENATE (" + urls + b")").startswith(answer)


def test_many_messages_of_many_parts_in_one_append(server: Server) -> None:
    parts = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na b c\r\n" * 4_500
    with imap(server, "hoarder@acme.test", seconds=60) as raw:
        raw.send(b"m APPEND Trash " + b" ".join([b"{%d+}\r\n%b" % (len(parts), parts)] * 50) + b"\r\n")
        assert raw.until(b"m").splitlines()[-1].startswith(b"m OK")


def test_large_sets_in_a_large_folder_many_times_in_one_search(server: Server) -> None:
    with imap(server, "hoarder@acme.test", seconds=60) as raw:
        assert raw.do(b"c", b"CREATE many").startswith(b"c OK")
        for _ in range(6):
            raw.send(b"m APPEND many " + b" ".join([b"{8+}\r\na: b\r\n\r\n"] * 1_000) + b"\r\n")
            assert raw.until(b"m").splitlines()[-1].startswith(b"m OK")
        assert raw.do(b"s", b"SELECT many").startswith(b"s OK")
        raw.send(b"f SEARCH " + b" ".join(b"1:3000,%d:*" % (3_002 + at) for at in range(990)) + b"\r\n")
        found = raw.until(b"f")
        numbers = b" ".join(b"%d" % number for number in (*range(1, 3_001), *range(3_991, 6_001)))
        assert found == b"* SEARCH " + numbers + b"\r\nf OK SEARCH completed\r\n"
        assert raw.do(b"d", b"DELETE many").startswith(b"d OK")


# --- 16 parentheses


@pytest.mark.parametrize(
    "command",
    [
        b"FETCH 1 " + b"(" * 30_000,
        b"FETCH 1 (" + b"(" * 20_000 + b")" * 20_000 + b")",
        b"SEARCH " + b"(" * 30_000 + b"ALL" + b")" * 30_000,
        b"SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"SEARCH " + b"OR " * 20_000 + b"ALL",
        b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
        b"SEARCH " + b"OR NOT (" * 6_000,
        b"STORE 1 FLAGS " + b"(" * 30_000,
        b"STATUS INBOX " + b"(" * 30_000,
        b"LIST " + b"(" * 30_000,
        b'LIST (SUBSCRIBED) "" (' + b'"a" ' * 12_000 + b")",
        b'LIST "" * RETURN ' + b"(" * 30_000,
        b"ID (" + b"(" * 30_000,
        b"FETCH 1 BODY[" + b"1." * 25_000 + b"1]",
        b"FETCH 1 BODY[HEADER.FIELDS " + b"(" * 30_000,
        b"FETCH 1 BODY[" + b".".join([b"1"] * 200) + b"]",
        b"FETCH 1 (" + b"BODY[] " * 5_000 + b"BODY[])",
        b"APPEND INBOX (" + b"(" * 30_000,
        b'SEARCH SUBJECT "' + b"\\\\" * 30_000,
        b"ENABLE " + b"X " * 20_000,
        b"ESEARCH IN " + b"(" * 30_000,
        b"ESEARCH IN (subtree (" + b"INBOX " * 900 + b"INBOX)) ALL",
        b"ESEARCH IN (mailboxes (" + b"INBOX " * 9_000 + b"INBOX)) ALL",
        b"ESEARCH IN (" + b"personal " * 900 + b"inboxes) ALL",
        b"ESEARCH IN (" + b"subscribed " * 5_000 + b"inboxes) ALL",
        b"CANCELUPDATE" + b' "a"' * 15_000,
        b"SEARCH RETURN (" + b"PARTIAL 1:2 " * 5_000 + b") ALL",
        b"SEARCH RETURN (PARTIAL " + b"1" * 30_000 + b":2) ALL",
        b"UID SEARCH RETURN (UPDATE) UID " + b",".join([b"*:1"] * 15_000),
        b"UID SORT RETURN (UPDATE PARTIAL -1:-4294967295) (DATE) UTF-8 " + b"OR ALL " * 9_000,
    ],
    ids=lambda command: command[:24].decode(),
)
def test_nesting_and_repetition_without_end(server: Server, command: bytes) -> None:
    with imap(server, USER) as raw:
        assert raw.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        with costing_less_than(server, 5):
            said = raw.do(b"a", command)
        assert said.startswith((b"a BAD ", b"a NO ", b"a OK ")), said[:200]
        assert b"SERVERBUG" not in said
        still_fine(raw)


@pytest.mark.parametrize(
    "command", [b"(" * 8_000, b"a " + b"(" * 8_000, b"a LOGIN " + b"(" * 8_000, b"a ID " + b"(" * 8_000, b"a AUTHENTICATE " + b"(" * 8_000]
)
def test_nesting_before_login(server: Server, command: bytes) -> None:
    with imap(server) as raw:
        raw.send(command + b"\r\n")
        assert b" BAD " in raw.line()
        still_fine(raw)


# --- 17 sequence sets


@pytest.mark.parametrize(
    "numbers",
    [
        b",".join([b"1:4294967295"] * 2_000),
        b"1:" + b"9" * 5_000,
        b"9" * 5_000,
        b"4294967296",
        b"0",
        b"1:0",
        b"-1",
        b"1:2:3",
        b"1,,2",
        b"," * 30_000,
        b":" * 30_000,
        b"*:*," * 10_000 + b"*",
        b",".join(b"%d" % number for number in range(1, 24_000, 2)),
        b"4294967295:1",
        b"*:4294967295",
    ],
    ids=lambda numbers: numbers[:20].decode(),
)
@pytest.mark.parametrize(
    "command", [b"UID FETCH %b (FLAGS)", b"FETCH %b FLAGS", b"SEARCH %b", b"UID SEARCH UID %b", b"UID COPY %b INBOX", b"STORE %b +FLAGS ()"]
)
def test_sequence_sets(server: Server, command: bytes, numbers: bytes) -> None:
    with imap(server, USER) as raw:
        raw.do(b"c", b"CREATE Numbers")
        assert raw.do(b"s", b"SELECT Numbers").startswith(b"s OK")
        with costing_less_than(server, 5):
            said = raw.do(b"a", command % numbers)
        assert said.startswith((b"a BAD ", b"a NO ", b"a OK ")), said[:200]
        assert b"SERVERBUG" not in said
        still_fine(raw)


# --- 18 patterns


@pytest.mark.parametrize(
    "pattern",
    [
        b"*" * 20_000,
        b"%" * 20_000,
        b"*%" * 10_000,
        b"*a" * 10_000 + b"b",
        b"%/" * 10_000,
        b"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab",
        b"**********x",
    ],
    ids=lambda pattern: pattern[:10].decode(),
)
@pytest.mark.parametrize("command", [b'LIST "" "%b"', b'LSUB "" "%b"', b'LIST "%b" *'])
def test_patterns_that_would_backtrack(server: Server, command: bytes, pattern: bytes) -> None:
    with imap(server, USER) as raw:
        raw.do(b"c", b"CREATE " + b"a" * 200)
        raw.do(b"c", b"CREATE " + b"a/" * 30 + b"a")
        raw.do(b"c", b"SUBSCRIBE " + b"a" * 200)
        with costing_less_than(server, 3):
            said = raw.do(b"a", command % pattern)
        assert said.startswith((b"a BAD ", b"a NO ", b"a OK ")), said[:200]
        assert b"SERVERBUG" not in said
        still_fine(raw)


# --- 19 messages


def nested(kind: bytes, depth: int) -> bytes:
    if kind == b"multipart":
        head = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(depth))
    else:
        head = b"Content-Type: message/rfc822\r\n\r\n" * depth
    return b"From: <a@x.test>\r\n" + head + b"\r\nbottom\r\n"


DEAR = {
    "multiparts in multiparts": nested(b"multipart", 5_000),
    "messages in messages": nested(b"message", 20_000),
    "many parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000 + b"--b--\r\n",
    "one boundary for all": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 10_000,
    "boundaries that begin alike": b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * level, b"b" * level) for level in range(1, 60)
    )
    + (b"--" + b"b" * 59 + b"\r\n") * 20_000,
    "an endless boundary": b'Content-Type: multipart/mixed; boundary="' + b"b" * 500_000 + b'"\r\n\r\n--b\r\n',
    "an empty boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    "many addresses": b"To: " + b"a@x.test, " * 50_000 + b"b@x.test\r\n\r\n",
    "addresses without an end": b"To: " + b"<" * 200_000 + b"\r\nCc: " + b'"' * 100_001 + b"\r\n\r\n",
    "comments in comments": b"From: " + b"(" * 200_000 + b"\r\nTo: " + b"(" * 5_000 + b")" * 5_000 + b" a@x.test\r\n\r\n",
    "a comment that ends in a backslash": b'From: (a\\\r\nTo: "a\\\r\nSender: a <b@c\\\r\nDate: \\\r\n\r\n',
    "groups": b"To: " + b"a:" * 50_000 + b"\r\nCc: " + b"a:b@x.test;" * 30_000 + b"\r\nReply-To: " + b";" * 50_000 + b"\r\n\r\n",
    "routes": b"To: <" + b"@a," * 50_000 + b":b@x.test>\r\n\r\n",
    "parameters": b"Content-Type: text/plain" + b"; a=b" * 50_000 + b"\r\n\r\n",
    "parameters in pieces": b"Content-Type: text/plain" + b"".join(b"; name*%d*=%%41" % at for at in range(30_000)) + b"\r\n\r\n",
    "a parameter piece far away": b"Content-Type: text/plain; name*99999999999999999999*=x; name*-1=y; name**=z\r\n\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 30_000 + b"\r\n\r\n",
    "encoded words without an end": b"Subject: " + b"=?" * 100_000 + b"\r\nFrom: =?utf-8?b?" + b"A" * 100_001 + b"?= <a@x.test>\r\n\r\n",
    "encoded words in strange charsets": b"".join(
        b"Subject: =?%b?b?////?=\r\n" % name for name in (b"utf-7", b"idna", b"rot13", b"zlib", b"unicode_escape", b"../x")
    )
    + b"\r\n",
    "a folded field": b"Subject: x\r\n" + b" y\r\n" * 300_000 + b"\r\n",
    "fields": b"X: y\r\n" * 150_000 + b"\r\n",
    "no colons": b"xxxxxxxx\r\n" * 50_000 + b"\r\n",
    "a field without an end": b"Subject: " + b"x" * 900_000,
    "8-bit everywhere": bytes(range(128, 256)) * 50
    + b"\r\nSubject: \xff\xfe\r\nFrom: \xc3\x28 <\xf0\x28\x8c\xbc@\xff>\r\nContent-Type: text/\xff; charset=\xfe\r\n\r\n\xff",
    "controls": b"Subject: a\x0bb\x0cc\x1cd\x85e\x7f\r\nFrom: \x01 <a\x02@b\x03>\r\n\r\n",
    "bare newlines": b"From: a@x.test\nSubject: x\rTo: y\n\n\r\r\n\n",
    "nothing": b"",
    "only newlines": b"\r\n" * 1000,
    "dates": b"Date: " + b"Mon, " * 20_000 + b"\r\nDate: 99 Foo 99999999999999999999 99:99:99 +99999\r\n\r\n",
    "calendar": b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 20_000,
    "base64": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=" * 300_000 + b"A" * 300_001,
    "quoted printable": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 200_000 + b"=ZZ=",
    "charset": b"Content-Type: text/plain; charset=" + b"x" * 10_000 + b"\r\n\r\nx",
    "a charset of Python's": b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\N{BEL}\\xzz",
}


@pytest.mark.parametrize("kind", DEAR)
def test_messages_that_are_dear_to_look_at(server: Server, kind: str) -> None:
    folder = b'"' + kind.encode() + b'"'
    # A message has no NUL; everything else is taken as it is, for an owner may keep what he likes.
    octets = DEAR[kind]
    with imap(server, "dear@acme.test", seconds=30) as raw:
        assert raw.do(b"c", b"CREATE " + folder).startswith(b"c OK")
        said = append(raw, octets, folder)
        assert said.startswith((b"app OK", b"app NO", b"app BAD")), said
        assert b"SERVERBUG" not in said, said
        if not said.startswith(b"app OK"):
            return
        assert raw.do(b"s", b"SELECT " + folder).startswith(b"s OK")
        for command in (
            b"FETCH 1 ENVELOPE",
            b"FETCH 1 BODYSTRUCTURE",
            b"FETCH 1 (UID FLAGS BODY RFC822.SIZE INTERNALDATE RFC822.HEADER)",
            b"FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.1.1.1.1.1.1] BODY.PEEK[1.MIME] BODY.PEEK[2.1.HEADER] BODY.PEEK[9999.1])",
            b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X)] BODY.PEEK[HEADER.FIELDS.NOT (X)] BODY.PEEK[TEXT]<100.4294967295>)",
            b"FETCH 1 BODY.PEEK[" + b".".join([b"1"] * 90) + b"]",
            b'SEARCH TEXT "needle" OR BODY "hay" SUBJECT "stack"',
            b'SEARCH CHARSET UTF-8 FROM "a" TO "b" CC "c" BCC "d" HEADER X y SENTON 1-Jan-2020',
        ):
            with costing_less_than(server, 3):
                raw.send(b"a " + command + b"\r\n")
                answer = raw.until(b"a")
            assert b"SERVERBUG" not in answer[-300:], (command, answer[-300:])
            assert b"\na OK" in b"\n" + answer[-300:], (command, answer[-300:])
        found = re.search(rb"RFC822.SIZE (\d+)", (raw.send(b"z FETCH 1 (RFC822.SIZE BODY.PEEK[])\r\n"), raw.until(b"z"))[1])
        assert found is not None
        assert int(found[1]) == len(octets)


# --- 20 names


@pytest.mark.parametrize(
    "name",
    [
        b'"../../../etc/passwd"',
        b'"../owner@acme.test/INBOX"',
        b'"&AC4ALgAv-"',
        b'"&AC4-&AC4-/x"',
        b'"&"',
        b'"&-"',
        b'"&AA-"',
        b'"&AAA-"',
        b'"&2D0-"',
        b'"&3g0-"',
        b'"&AGEAYgBj-"',
        b'"&,,,,-"',
        b'"a&b"',
        b'"&Jjo!"',
        b'"' + b"&Jjo-" * 5_000 + b'"',
        b'"' + b"a" * 10_000 + b'"',
        b'"' + b"a/" * 500 + b'a"',
        b'"/"',
        b'"//"',
        b'"/a"',
        b'"a//b"',
        b'""',
        b'" "',
        b'"a/"',
        b'"*"',
        b'"%"',
        b'"a\x7f"',
        b'"\xff"',
        b'"\xc3\xa4"',
        b'"\xed\xa0\x80"',
        b'"Other Users"',
        b'"Other Users/"',
        b'"Other Users/owner@acme.test"',
        b'"Other Users/owner@acme.test/INBOX"',
        b'"Other Users/nobody@acme.test/INBOX"',
        b'"Other Users/owner@acme.test/../mallory@acme.test/INBOX"',
        b'"INBOX"',
        b'"inbox/InBoX"',
        b"{4+}\r\na\r\nb",
        b"NIL",
    ],
    ids=lambda name: repr(name[:30]),
)
def test_names(server: Server, name: bytes) -> None:
    with imap(server, USER) as raw:
        raw.do(b"c", b"CREATE here")
        for command in (
            b"SELECT %b",
            b"STATUS %b (MESSAGES)",
            b"CREATE %b",
            b"RENAME here %b",
            b"SUBSCRIBE %b",
            b'LIST "" %b',
            b"LIST %b *",
            b"MYRIGHTS %b",
            b"GETACL %b",
            b"LISTRIGHTS %b owner@acme.test",
            b"SETACL INBOX %b lr",
            b"DELETEACL INBOX %b",
            b"APPEND %b {1+}\r\nx",
            b"UNSUBSCRIBE %b",
            b"DELETE %b",
        ):
            # Some count as bad commands; what is tested is each on its own.
            raw.send(b"a " + command % name + b"\r\n")
            answer = raw.until(b"a")
            assert b"SERVERBUG" not in answer, (command, answer)
            assert re.search(rb"^(a (OK|NO|BAD)|\* BAD|\* BYE)", answer, re.MULTILINE), (command, answer)
            if b"BYE" in answer or not answer:
                break
            raw.do(b"n", b"NOOP")
        for made in (b"here", b"a", b'" "'):
            raw.do(b"d", b"DELETE " + made)


def test_another_persons_folders_cannot_be_told_from_folders_that_are_not_there(server: Server) -> None:
    with imap(server, USER) as raw:
        for command in (
            b"SELECT",
            b"EXAMINE",
            b"DELETE",
            b"MYRIGHTS",
            b"GETACL",
            b"STATUS%",
            b"SUBSCRIBE",
            b"RENAME#",
            b"APPEND!",
            b"CREATE/",
        ):
            verb = command.rstrip(b"%#!/")
            behind = {b"%": b" (MESSAGES)", b"#": b" x", b"!": b" {1+}\r\nx", b"/": b""}.get(command[-1:], b"")
            inner = b"/deeper" if command.endswith(b"/") else b""
            said = []
            for who in (b"owner@acme.test", b"nobody@acme.test"):
                raw.send(b"a " + verb + b' "Other Users/' + who + b"/INBOX" + inner + b'"' + behind + b"\r\n")
                said.append(raw.until(b"a"))
            assert said[0].replace(b"owner", b"nobody") == said[1], command
            raw.do(b"n", b"NOOP")


# --- 21 output that nobody reads, and floods


def test_who_reads_nothing_is_cut_off_and_costs_nothing(server: Server) -> None:
    with imap(server, "hoarder@acme.test") as raw:
        message = b"Subject: big\r\n\r\n" + (b"x" * 98 + b"\r\n") * 20_000
        for _ in range(5):
            assert append(raw, message).startswith(b"app OK")
    before = resident(server)
    raw = imap(server, "hoarder@acme.test", receive_buffer=4096)
    assert raw.do(b"s", b"SELECT INBOX").startswith(b"s OK")
    raw.socket.settimeout(1)
    try:
        for number in range(400):
            raw.socket.sendall(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % number)
    except OSError:
        pass
    end = time.monotonic() + 60
    while True:
        try:
            # The other end is closed once writing fails; nothing is read meanwhile.
            raw.socket.sendall(b"n NOOP\r\n")
        except TimeoutError:
            pass
        except OSError:
            break
        assert time.monotonic() < end, "who reads nothing is kept for ever"
        time.sleep(0.1)
    assert resident(server, "VmHWM") - before < 48 << 20
    raw.socket.close()


def test_a_hundred_thousand_pipelined_commands(server: Server) -> None:
    with imap(server, USER) as raw:
        raw.socket.settimeout(60)
        count = 20_000
        wanted = [b"a%d OK" % number for number in range(count)]
        octets = b"".join(b"a%d NOOP\r\n" % number for number in range(count))
        at = 0
        seen = 0
        before = resident(server)
        raw.socket.setblocking(False)
        end = time.monotonic() + 100
        while seen < count:
            assert time.monotonic() < end, f"{seen} of {count} answered"
            try:
                if at < len(octets):
                    at += raw.socket.send(octets[at : at + 65_536])
            except BlockingIOError:
                pass
            try:
                raw.buffer += raw.socket.recv(1 << 18)
            except BlockingIOError:
                time.sleep(0.001)
            *lines, raw.buffer = raw.buffer.split(b"\r\n")
            for line in lines:
                if line.startswith(b"a"):
                    assert line.startswith(wanted[seen]), line
                    seen += 1
        assert resident(server) - before < 32 << 20


@pytest.mark.parametrize("logged_in", [False, True])
def test_bad_commands_end_the_connection(server: Server, logged_in: bool) -> None:
    with imap(server, USER if logged_in else None) as raw:
        raw.send(b"".join(b"a%d XYZZY\r\n" % number for number in range(60)))
        said = raw.rest()
        assert said.count(b" BAD ") == (20 if logged_in else 5)
        assert said.splitlines()[-1].startswith(b"* BYE ")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nQUIT\r\n",
        b"\r\n" * 50,
        b"a\r\n" * 50,
        b"\n" * 50,
        b"\r" * 50 + b"\r\n" * 10,
        b"\xff\xfe\xfd\r\n" * 50,
        b"* OK\r\n" * 50,
        b"+ x\r\n" * 50,
        b"\0\0\0\0\r\n" * 50,
        b"{10+}\r\n" * 50,
        b"a {5+}\r\nhello\r\n" * 50,
    ],
    ids=lambda octets: repr(octets[:12]),
)
def test_what_is_no_imap_at_all_ends_the_connection(server: Server, octets: bytes) -> None:
    with imap(server) as raw:
        raw.send(octets)
        said = ended(raw)
        assert b"SERVERBUG" not in said


@pytest.mark.parametrize("octets", [b"a NOOP\nb NOOP\r\n", b"a NOOP\rb NOOP\r\n", b"a NO\rOP\r\n", b'a LIST "" "x\ny"\r\n'], ids=repr)
def test_a_bare_newline_is_refused(server: Server, octets: bytes) -> None:
    with imap(server, USER) as raw:
        raw.send(octets)
        assert b" BAD " in raw.line()
        raw.do(b"x", b"NOOP")
        still_fine(raw)


def test_a_long_line_is_refused_and_the_next_one_served(server: Server) -> None:
    with imap(server) as raw:
        assert raw.do(b"a", b"NOOP " + b"x" * 40_000).startswith((b"a BAD [TOOBIG] ", b"a NO [TOOBIG] "))
        still_fine(raw)
    with imap(server, USER) as raw:
        said = raw.do(b"a", b"SEARCH " + b"x" * 200_000)
        assert said.startswith((b"a BAD [TOOBIG] ", b"a NO [TOOBIG] ")), said
        still_fine(raw)


# --- STARTTLS


@pytest.mark.parametrize("behind", [b"b NOOP\r\n", b"b LOGIN a b\r\n", b"\r\n", b"b"], ids=repr)
def test_nothing_said_in_the_clear_behind_starttls_is_answered_in_tls(server: Server, behind: bytes) -> None:
    with imap(server) as raw:
        raw.send(b"a STARTTLS\r\n" + behind)
        raw.line()
        try:
            raw.start_tls()
            raw.send(b"c NOOP\r\n")
            said = raw.until(b"c")
        except (ssl.SSLError, OSError):
            return
        assert b"b OK" not in said
        assert b"b BAD" not in said


def test_starttls_twice_after_login_and_on_implicit_tls(server: Server) -> None:
    with imap(server) as raw:
        assert raw.do(b"a", b"STARTTLS").startswith(b"a OK")
        raw.start_tls()
        raw.send(b"b CAPABILITY\r\n")
        assert b"STARTTLS" not in raw.until(b"b")
        assert raw.do(b"c", b"STARTTLS").startswith((b"c BAD", b"c NO"))
        assert raw.do(b"d", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"d OK")
        assert raw.do(b"e", b"STARTTLS").startswith(b"e BAD")
        still_fine(raw)
    with imap(server, door="imaps") as raw:
        assert raw.do(b"a", b"STARTTLS").startswith((b"a BAD", b"a NO"))
        still_fine(raw)


# --- AUTHENTICATE


def plain(*parts: bytes) -> bytes:
    return base64.b64encode(b"\0".join(parts))


BAD_LOGINS = [
    b"LOGIN",
    b"LOGIN a",
    b"LOGIN a b c",
    b'LOGIN "a',
    b'LOGIN "a\\x" b',
    b"LOGIN {1+}\r\n\xff {1+}\r\n\xfe",
    b"LOGIN NIL NIL",
    b"LOGIN %u%d ${x}",
    b'LOGIN "\' OR 1=1 --" x',
    b"LOGIN owner@acme.test wrong",
    b"LOGIN nobody@acme.test wrong",
    b"LOGIN {3000+}\r\n" + b"x" * 3000 + b" y",
    b"AUTHENTICATE",
    b"AUTHENTICATE FOO",
    b"AUTHENTICATE __init__ =",
    b"AUTHENTICATE PLAIN !!!",
    b"AUTHENTICATE PLAIN AGE",
    b"AUTHENTICATE PLAIN =",
    b"AUTHENTICATE PLAIN " + plain(b"a"),
    b"AUTHENTICATE PLAIN " + plain(b"", b"", b""),
    b"AUTHENTICATE PLAIN " + plain(b"owner@acme.test", USER.encode(), PASSWORD.encode()),
    b"AUTHENTICATE PLAIN " + plain(b"", USER.encode(), PASSWORD.encode(), b"more"),
    b"AUTHENTICATE PLAIN " + plain(b"", b"\xff\xfe", b"x"),
    b"AUTHENTICATE PLAIN " + plain(b"", USER.encode(), b"\xff\xfe"),
    b"AUTHENTICATE PLAIN\r\n*",
    b"AUTHENTICATE PLAIN\r\n!!!",
    b"AUTHENTICATE PLAIN\r\n",
    b"AUTHENTICATE PLAIN\r\n" + b"A" * 7_000,
    b"AUTHENTICATE SCRAM-SHA-256 =",
    b"AUTHENTICATE SCRAM-SHA-256 " + plain(b"n,,n=", b",r=x"),
    b"AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,m=x,n=owner@acme.test,r=x"),
    b"AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,n=" + b"\xef\xb7\xba" * 1_500 + b",r=x"),
    b"AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,n=owner@acme.test,r=x") + b"\r\n*",
    b"AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,n=owner@acme.test,r=x") + b"\r\n" + base64.b64encode(b"c=biws,r=x,p=x"),
    b"AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,n=nobody@acme.test,r=x") + b"\r\n",
    b"AUTHENTICATE SCRAM-SHA-256-PLUS " + base64.b64encode(b"p=tls-unique,,n=owner@acme.test,r=x"),
    b"AUTHENTICATE OAUTHBEARER " + base64.b64encode(b"n,,\x01auth=Bearer eyJhbGciOiJub25lIn0.e30.\x01\x01"),
]


def test_logins_gone_wrong_log_nobody_in(server: Server) -> None:
    # All at once: a failure may be answered late.
    trying = [imap(server) for _ in BAD_LOGINS]
    for raw, command in zip(trying, BAD_LOGINS, strict=True):
        raw.send(b"a " + command + b"\r\n")
    for raw, command in zip(trying, BAD_LOGINS, strict=True):
        with raw:
            answer = raw.until(b"a")
            last = answer.splitlines()[-1]
            assert last.startswith((b"a NO", b"a BAD", b"* BAD")), (command[:60], answer)
            assert b"SERVERBUG" not in answer, (command[:60], answer)
            assert raw.do(b"b", b"SELECT INBOX").startswith(b"b BAD"), command[:60]
            assert raw.do(b"c", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"c OK"), command[:60]


def test_what_a_refusal_says_is_the_same_for_everybody(server: Server) -> None:
    users = (b"owner@acme.test", b"nobody@acme.test", b"nobody@elsewhere.test", b"x")
    trying = [imap(server) for _ in users]
    for raw, user in zip(trying, users, strict=True):
        raw.send(b"a LOGIN " + user + b" guessed\r\n")
    # The decision ids differ as the questions do.
    said = {re.sub(rb" \[d-[0-9a-f]{12}\]", b"", raw.until(b"a")) for raw in trying}
    for raw in trying:
        raw.socket.close()
    assert len(said) == 1, said
    assert said.pop().startswith(b"a NO [AUTHENTICATIONFAILED] ")


def test_login_twice_and_commands_in_the_wrong_state(server: Server) -> None:
    with imap(server) as raw:
        assert raw.do(b"a", b"SELECT INBOX").startswith(b"a BAD")
        assert raw.do(b"b", b"IDLE").startswith(b"b BAD")
    with imap(server, USER) as raw:
        assert raw.do(b"a", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"a BAD")
        assert raw.do(b"b", b"AUTHENTICATE PLAIN " + plain(b"", USER.encode(), PASSWORD.encode())).startswith(b"b BAD")
        for number, command in enumerate(
            (b"FETCH 1 FLAGS", b"SEARCH ALL", b"EXPUNGE", b"CLOSE", b"UNSELECT", b"CHECK", b"UID MOVE 1 x", b"COPY 1 x")
        ):
            assert raw.do(b"c%d" % number, command).startswith(b"c%d BAD" % number), command
        still_fine(raw)


def test_the_client_that_leaves_in_the_middle_of_a_login(server: Server) -> None:
    for octets in (
        b"a AUTHENTICATE PLAIN\r\n",
        b"a AUTHENTICATE PLAIN\r\nAG",
        f'a LOGIN {USER} "{PASSWORD}"\r\n'.encode(),
        b"a LOGIN {10}\r\nabc",
    ):
        with imap(server) as raw:
            raw.send(octets)
    with imap(server, USER) as raw:
        still_fine(raw)


def test_octets_behind_a_login_wait_for_it(server: Server) -> None:
    with imap(server) as raw:
        raw.send(b"a LOGIN owner@acme.test wrong\r\nb SELECT INBOX\r\n" + f'c LOGIN {USER} "{PASSWORD}"\r\nd SELECT INBOX\r\n'.encode())
        assert raw.until(b"a").startswith(b"a NO")
        assert raw.until(b"b").startswith(b"b BAD")
        assert b"c OK" in raw.until(b"c")
        assert b"d OK" in raw.until(b"d")


# --- IDLE, ID, ENABLE


@pytest.mark.parametrize("line", [b"done", b"DONE", b"DoNe"])
def test_idle_ends_with_done(server: Server, line: bytes) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a IDLE\r\n")
        assert raw.line().startswith(b"+ ")
        raw.send(line + b"\r\n")
        assert raw.until(b"a").startswith(b"a OK")


@pytest.mark.parametrize(
    "line", [b"b NOOP", b"", b"DONE x", b"\xff", b"IDLE", b"x" * 100_000, b"DO\0NE", b"{10+}"], ids=lambda line: repr(line[:10])
)
def test_idle_that_does_not_end_with_done(server: Server, line: bytes) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a IDLE\r\n")
        assert raw.line().startswith(b"+ ")
        raw.send(line + b"\r\n")
        said = raw.until(b"a")
        assert b"a BAD" in said or b"a NO [TOOBIG]" in said or b"* BYE" in said, said
        if b"* BYE" not in said:
            still_fine(raw)


def test_idle_with_everything_in_one_packet(server: Server) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a IDLE\r\nDONE\r\nb IDLE\r\nDONE\r\nc NOOP\r\n")
        assert b"a OK" in raw.until(b"a")
        assert b"b OK" in raw.until(b"b")
        assert b"c OK" in raw.until(b"c")
        raw.send(b"d IDLE now\r\n")
        assert raw.until(b"d").startswith(b"d BAD")


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        (b"ID NIL", (b"OK",)),
        (b"ID", (b"BAD",)),
        (b"ID ()", (b"OK", b"BAD")),
        (b'ID ("name")', (b"BAD",)),
        (b'ID ("name" NIL)', (b"OK",)),
        (b"ID (" + b" ".join(b'"k%d" "v"' % number for number in range(31)) + b")", (b"BAD", b"NO")),
        (b'ID ("' + b"k" * 31 + b'" "v")', (b"BAD", b"NO")),
        (b'ID ("k" "' + b"v" * 1025 + b'")', (b"BAD", b"NO")),
        (b'ID ("k" "v" "k" "w")', (b"OK", b"BAD")),
        (b'ID ("name" "x\x1b[2J")', (b"OK", b"BAD")),
        (b'ID ("name" {3+}\r\na\r\n)', (b"OK", b"BAD")),
        (b"ENABLE", (b"BAD",)),
        (b"ENABLE FOO", (b"OK",)),
        (b"ENABLE IDLE CONDSTORE QRESYNC UTF8=ACCEPT X X X", (b"OK",)),
        (b"ENABLE (FOO)", (b"BAD",)),
        (b'ENABLE "FOO"', (b"BAD",)),
        (b"NOOP now", (b"BAD",)),
        (b"CAPABILITY x", (b"BAD",)),
        (b"NAMESPACE x", (b"BAD",)),
        (b"LOGOUT x", (b"BAD",)),
        (b"UID", (b"BAD",)),
        (b"UID NOOP", (b"BAD",)),
        (b"UID UID FETCH 1 FLAGS", (b"BAD",)),
        (b" NOOP", (b"BAD",)),
        (b"NOOP ", (b"BAD", b"OK")),
        (b'XLIST "" *', (b"BAD",)),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1", (b"BAD",)),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_nonsense(server: Server, command: bytes, kinds: tuple[bytes, ...]) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a " + command + b"\r\n")
        said = raw.line()
        while not re.match(rb"a |\* B", said):
            said = raw.line()
        assert said.split(b" ")[1] in kinds, said
        assert b"SERVERBUG" not in said
        still_fine(raw)


def test_hanging_up_at_any_moment(server: Server) -> None:
    with imap(server, USER) as raw:
        raw.do(b"c", b"CREATE Cut")
        assert append(raw, b"Subject: x\r\n\r\n" + b"y" * 200_000, b"Cut").startswith(b"app OK")
    dialogue = (
        b"s SELECT Cut\r\nf FETCH 1 BODY[]\r\ni IDLE\r\nDONE\r\na APPEND Cut {5+}\r\nhello\r\n"
        b"x STORE 1 +FLAGS (\\Seen)\r\nu UID COPY 1:* Cut\r\n"
    )
    for cut in range(0, len(dialogue), 7):
        with imap(server, USER) as raw:
            raw.send(dialogue[:cut])
    with imap(server, USER) as raw:
        assert raw.do(b"s", b"SELECT Cut").startswith(b"s OK")
        still_fine(raw)


def test_octet_after_octet_is_a_command_too(server: Server) -> None:
    with imap(server, USER) as raw:
        octets = b'a LIST "" {1+}\r\n*\r\n'
        raw.send(*(octets[at : at + 1] for at in range(len(octets))))
        assert raw.until(b"a").splitlines()[-1].startswith(b"a OK")


PIECES = [
    b"SELECT", b"FETCH", b"UID", b"STORE", b"SEARCH", b"APPEND", b"COPY", b"MOVE", b"LIST", b"STATUS", b"IDLE", b"DONE", b"EXPUNGE",
    b"CLOSE", b"INBOX", b"Fuzz", b'"Other Users/owner@acme.test"', b"1", b"1:*", b"*", b"0", b"4294967295", b"(", b")", b"((", b'"',
    b'""', b"{1+}\r\nx", b"{0+}\r\n", b"{3}", b"BODY[]", b"BODY.PEEK[1.MIME]<0.5>", b"BODYSTRUCTURE", b"ENVELOPE", b"FLAGS",
    b"+FLAGS.SILENT", b"\\Seen", b"\\Deleted", b"NOT", b"OR", b"CHARSET", b"UTF-8", b"RETURN", b"(COUNT)", b"NIL", b"\r\n", b"\r",
    b"\n", b"\x00", b"\xff", b"%", b"&", b"[", b"]", b"<", b" ", b"  ", b"AUTHENTICATE", b"PLAIN", b"=", b"LOGIN", b"CREATE", b"RENAME",
    b"DELETE", b"SETACL", b"GETACL", b"MYRIGHTS", b"ENABLE", b"NOOP", b"ID", b"STARTTLS",
]  # fmt: skip
BEGINNINGS = [b"", b"s SELECT Fuzz\r\n", b"s EXAMINE Fuzz\r\n", b"i IDLE\r\n", b"p APPEND Fuzz {4}\r\n", b"a AUTHENTICATE PLAIN\r\n"]


@pytest.mark.parametrize("seed", range(6))
def test_random_dialogues_in_every_state_find_no_fault_of_ours(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    with imap(server, USER) as raw:
        raw.do(b"c", b"CREATE Fuzz")
        append(raw, b"Subject: x\r\n\r\ny\r\n", b"Fuzz")
    for _ in range(40):
        with imap(server, USER if chance.random() < 0.8 else None) as raw:
            raw.send(chance.choice(BEGINNINGS))
            for number in range(chance.randrange(1, 25)):
                words = [chance.choice(PIECES) for _ in range(chance.randrange(1, 9))]
                raw.send(b"r%d " % number + chance.choice((b" ", b" ", b" ", b"")).join(words) + b"\r\n")
            raw.send(b"\r\nDONE\r\nz LOGOUT\r\n")
            raw.finish()
            assert b"SERVERBUG" not in raw.rest()
