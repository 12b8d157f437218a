"""What one IMAP command may hold: as much as is allowed is read, one more is refused, and the session goes on. Through a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.imap import names
from gateway.imap.grammar import (
    acl,
    append,
    condstore,
    connection,
    contexts,
    fetch,
    flags,
    listing,
    metadata,
    numbers,
    quota,
    search,
    sort,
    url,
)
from store import model
from store.flags import MAX_KEYWORD
from tests.live.hostile import Raw, imap
from tests.live.server import Server

USER = "user@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("commands"), {"limits.bad_commands": 1000})
    made.people("user")
    with made:
        yield made


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[Raw]:
    with imap(server, USER) as raw:
        raw.send(b"a APPEND INBOX {20+}\r\nSubject: one\r\n\r\nhi\r\n\r\n")
        assert raw.until(b"a").splitlines()[-1].startswith(b"a OK")
        assert raw.do(b"e", b"ENABLE QRESYNC").startswith(b"e OK")
        assert raw.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        yield raw


def several(word: bytes, count: int) -> bytes:
    return b" ".join([word] * count)


def numbered(word: bytes, count: int) -> bytes:
    return b" ".join(b"%b%d" % (word, number) for number in range(count))


Command = Callable[[int], bytes]
# The limit's place -> its value, a command with so much of it, and what is said to one more.
ROWS: dict[str, tuple[int, Command, bytes]] = {
    "acl:MAX_IDENTIFIER": (acl.MAX_IDENTIFIER, lambda n: b'DELETEACL INBOX "' + b"x" * n + b'"', b"BAD"),
    "append:MAX_PARTS": (append.MAX_PARTS, lambda n: b"APPEND INBOX CATENATE (" + several(b'URL "/x"', n) + b")", b"BAD"),
    "condstore:_MOST_MATCHES": (
        condstore._MOST_MATCHES,
        lambda n: b"SELECT INBOX (QRESYNC (1 1 1:99999 (1:%d 1:%d)))" % (n, n),
        b"BAD",
    ),
    "connection:MAX_ENABLE": (connection.MAX_ENABLE, lambda n: b"ENABLE " + numbered(b"X", n), b"BAD"),
    "connection:MAX_ID_PAIRS": (connection.MAX_ID_PAIRS, lambda n: b"ID (" + b" ".join(b'"f%d" "v"' % i for i in range(n)) + b")", b"BAD"),
    "connection:MAX_ID_FIELD": (connection.MAX_ID_FIELD, lambda n: b'ID ("' + b"f" * n + b'" "v")', b"BAD"),
    "connection:MAX_ID_VALUE": (connection.MAX_ID_VALUE, lambda n: b'ID ("f" "' + b"v" * n + b'")', b"BAD"),
    "contexts:MAX_TAGS": (contexts.MAX_TAGS, lambda n: b"CANCELUPDATE " + b" ".join(b'"t%d"' % i for i in range(n)), b"BAD"),
    "fetch:MAX_ITEMS": (fetch.MAX_ITEMS, lambda n: b"FETCH 1 (" + b" ".join(b"BODY.PEEK[%d]" % (i + 1) for i in range(n)) + b")", b"BAD"),
    "fetch:MAX_PATH": (fetch.MAX_PATH, lambda n: b"FETCH 1 BODY.PEEK[" + b".".join([b"1"] * n) + b"]", b"BAD"),
    "fetch:MAX_FIELDS": (fetch.MAX_FIELDS, lambda n: b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + numbered(b"X", n) + b")]", b"BAD"),
    "fetch:MAX_FIELD": (fetch.MAX_FIELD, lambda n: b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + b"x" * n + b")]", b"BAD"),
    "flags:MAX_KEYWORD": (flags.MAX_KEYWORD, lambda n: b"SEARCH KEYWORD " + b"x" * n, b"BAD"),
    "flags:MAX_FLAGS": (flags.MAX_FLAGS, lambda n: b"STORE 1 FLAGS (" + several(rb"\Seen", n) + b")", b"BAD"),
    "listing:MAX_PATTERNS": (listing.MAX_PATTERNS, lambda n: b'LIST "" (' + numbered(b"x", n) + b")", b"BAD"),
    "listing:MAX_OPTIONS": (listing.MAX_OPTIONS, lambda n: b"LIST (" + several(b"SUBSCRIBED", n) + b') "" *', b"BAD"),
    "metadata:MAX_ENTRIES": (metadata.MAX_ENTRIES, lambda n: b"GETMETADATA INBOX (" + numbered(b"/private/x", n) + b")", b"BAD"),
    "metadata:MAX_ENTRY": (metadata.MAX_ENTRY, lambda n: b"GETMETADATA INBOX /private/" + b"x" * (n - 9), b"BAD"),
    "numbers:MAX_MEMBERS": (numbers.MAX_MEMBERS, lambda n: b"UID FETCH " + b",".join([b"1"] * n) + b" UID", b"BAD"),
    "quota:MAX_ROOT": (quota.MAX_ROOT, lambda n: b'GETQUOTA "' + b"x" * n + b'"', b"BAD"),
    "search:MAX_DEPTH": (search.MAX_DEPTH, lambda n: b"SEARCH " + b"(" * n + b"ALL" + b")" * n, b"BAD"),
    "search:MAX_KEYS": (search.MAX_KEYS, lambda n: b"SEARCH " + several(b"ALL", n), b"BAD"),
    "sort:MAX_CRITERIA": (sort.MAX_CRITERIA, lambda n: b"SORT (" + several(b"DATE", n) + b") UTF-8 ALL", b"BAD"),
    "url:MAX_URL": (url.MAX_URL, lambda n: b'APPEND INBOX CATENATE (URL "/' + b"x" * (n - 1) + b'")', b"BAD"),
    "names:MAX_ELEMENT_OCTETS": (names.MAX_ELEMENT_OCTETS, lambda n: b"CREATE " + b"e" * n, b"NO"),
    "names:MAX_NAME_OCTETS": (
        names.MAX_NAME_OCTETS,
        lambda n: b"CREATE " + b"/".join([b"n" * 200] * 4) + b"/" + b"n" * (n - 804),
        b"NO",
    ),
    "names:MAX_LEVELS": (names.MAX_LEVELS, lambda n: b"CREATE " + b"/".join([b"l"] * n), b"NO"),
    "messages:MAX_KEYWORD": (MAX_KEYWORD, lambda n: b"STORE 1 +FLAGS (" + b"k" * n + b")", b"NO [LIMIT]"),
    # One is there already: that of the row above.
    "model:KEYWORDS_PER_FOLDER": (
        model.KEYWORDS_PER_FOLDER - 1,
        lambda n: b"STORE 1 +FLAGS.SILENT (" + numbered(b"word", n) + b")",
        b"NO [LIMIT]",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_at_the_limit_and_one_past_it(session: Raw, name: str) -> None:
    limit, command, refusal = ROWS[name]
    said = session.do(b"at", command(limit))
    assert not said.startswith((b"at BAD", b"at " + refusal)) or b"[BADURL" in said or b"[NONEXISTENT]" in said, said
    said = session.do(b"past", command(limit + 1))
    assert said.startswith(b"past " + refusal), said
    assert b"[BADURL" not in said, said
    assert b"[NONEXISTENT]" not in said, said
    assert session.do(b"fine", b"NOOP").startswith(b"fine OK")


def test_a_thousand_literals_in_one_command(session: Raw) -> None:
    for count, said in ((1_000, b"OK"), (1_001, b"NO [TOOBIG]")):
        session.send(b"l SEARCH" + b" SUBJECT {1+}\r\nx" * (count - 1) + b" SUBJECT {1}\r\n")
        if count == 1_000:
            assert session.line().startswith(b"+ ")
            session.send(b"x\r\n")
        assert session.until(b"l").splitlines()[-1].startswith(b"l " + said) or said == b"OK"
    assert session.do(b"fine", b"NOOP").startswith(b"fine OK")
