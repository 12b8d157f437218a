"""What one value, one message or one owner may hold, at the limit and one past it: where no door has it, but what is behind them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gateway.dsn import MOST_ENVELOPE_ID, MOST_ORIGINAL, BadRequest, canonical_mail, canonical_rcpt
from gateway.imap.grammar.parameters import MAX_PARAMETERS, MAX_VALUES, parameters
from gateway.imap.names import MAX_PATTERN, Pattern
from gateway.message.addresses import MAX_ADDRESSES, addresses
from gateway.message.arc import MOST_INSTANCES, read_chain
from gateway.message.originators import MAX_COMMENT_DEPTH, MAX_MAILBOXES, MalformedHeader, mailboxes
from gateway.message.split import MAX_HEADER_FIELDS, MAX_HEADER_OCTETS, read_header
from gateway.message.structure import MAX_DEPTH, parse
from gateway.message.text import MAX_BODY_TEXT, MAX_HEADER_TEXT, body_texts, header_text
from policy import filters
from policy.identity import Address
from store import dynamic, folders
from store.connect import connect
from store.domains import CreateDomain
from store.dynamic import CreateDynamicList
from store.errors import LimitReached
from store.folders import CreateFolder
from store.lists import CreateList
from tests.gateway.imap.grammar.reading import read, refused, spaced
from tests.store.conftest import Directory, clock, directory, store, url

__all__ = ["clock", "directory", "store", "url"]


def from_field(value: bytes) -> int:
    octets = b"From: " + value + b"\r\n\r\n"
    return len(mailboxes(octets, read_header(octets).fields[0]))


def test_comments_of_an_author() -> None:
    def nested(depth: int) -> bytes:
        return b"anna@acme.test " + b"(" * depth + b"x" + b")" * depth

    assert from_field(nested(MAX_COMMENT_DEPTH)) == 1
    with pytest.raises(MalformedHeader):
        from_field(nested(MAX_COMMENT_DEPTH + 1))


def test_authors() -> None:
    assert from_field(b", ".join([b"anna@acme.test"] * MAX_MAILBOXES)) == MAX_MAILBOXES
    with pytest.raises(MalformedHeader):
        from_field(b", ".join([b"anna@acme.test"] * (MAX_MAILBOXES + 1)))


def test_addresses_of_a_field() -> None:
    for count in (MAX_ADDRESSES, MAX_ADDRESSES + 1):
        assert len(addresses(b"a@b," * count)) == MAX_ADDRESSES


def test_the_header_of_a_stored_message() -> None:
    line = b"A: " + b"x" * 1019 + b"\r\n"
    whole = line * (MAX_HEADER_OCTETS // len(line))
    assert len(whole) == MAX_HEADER_OCTETS
    found = read_header(whole + b"\r\nbody")
    assert found.complete
    assert not read_header(whole + b"B: c\r\n\r\nbody").complete
    assert len(read_header(b"A: b\r\n" * MAX_HEADER_FIELDS + b"\r\n").fields) == MAX_HEADER_FIELDS
    more = read_header(b"A: b\r\n" * (MAX_HEADER_FIELDS + 1) + b"\r\nbody")
    assert (len(more.fields), more.complete) == (MAX_HEADER_FIELDS, False)


def test_levels_of_mime() -> None:
    head = b"Content-Type: message/rfc822\r\n\r\n"
    for depth, cut in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True)):
        parts = [*parse(head * depth + b"Subject: x\r\n\r\nhi").walk()]
        assert any(part.cut for part in parts) is cut
        assert len(parts) == MAX_DEPTH + 1


def test_text_that_is_looked_at() -> None:
    for size in (MAX_HEADER_TEXT, MAX_HEADER_TEXT * 2):
        octets = b"X: " + b"y" * size + b"\r\n\r\n"
        # With the field's name and a line end.
        assert MAX_HEADER_TEXT <= len(header_text(octets, read_header(octets))) <= MAX_HEADER_TEXT + 4
    octets = b"Content-Type: text/plain\r\n\r\n" + b"z" * (MAX_BODY_TEXT + 1000)
    assert sum(map(len, body_texts(octets, parse(octets)))) == MAX_BODY_TEXT


def test_seals_of_a_message() -> None:
    def sealed(count: int) -> str:
        fields = b""
        for number in range(1, count + 1):
            said = b"none" if number == 1 else b"pass"
            fields += b"ARC-Seal: i=%d; cv=%b; a=rsa-sha256; d=a.test; s=s; b=x\r\n" % (number, said)
            fields += b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=a.test; s=s; h=from; bh=x; b=x\r\n" % number
            fields += b"ARC-Authentication-Results: i=%d; a.test; spf=pass\r\n" % number
        octets = fields + b"From: a@a.test\r\n\r\n"
        return read_chain(octets, read_header(octets)).fault

    assert sealed(MOST_INSTANCES) == ""
    assert sealed(MOST_INSTANCES + 1) == "too many instances"


def test_what_dsn_parameters_hold() -> None:
    assert canonical_mail("ENVID", "x" * MOST_ENVELOPE_ID)
    with pytest.raises(BadRequest):
        canonical_mail("ENVID", "x" * (MOST_ENVELOPE_ID + 1))
    assert canonical_rcpt("ORCPT", "rfc822;" + "x" * (MOST_ORIGINAL - 7))
    with pytest.raises(BadRequest):
        canonical_rcpt("ORCPT", "rfc822;" + "x" * (MOST_ORIGINAL - 6))


def test_parameters_of_a_command() -> None:
    rule = spaced(partial(parameters, wanted="one"))

    def several(count: int) -> bytes:
        return b" (" + b" ".join(b"X%d" % number for number in range(count)) + b")"

    assert len(read(rule, several(MAX_PARAMETERS))) == MAX_PARAMETERS
    assert "parameters" in refused(rule, several(MAX_PARAMETERS + 1)).message
    # The parenthesis counts.
    read(rule, b" (X (" + b" ".join([b"1"] * (MAX_VALUES - 1)) + b"))")
    assert "values" in refused(rule, b" (X (" + b" ".join([b"1"] * MAX_VALUES) + b"))").message


def test_a_pattern() -> None:
    assert Pattern("", "a" * (MAX_PATTERN - 1) + "*").matches("a" * (MAX_PATTERN - 1))
    assert not Pattern("", "a" * MAX_PATTERN + "*").matches("a" * MAX_PATTERN)


def test_a_filter() -> None:
    known = {"title": "title"}

    def wide(terms: int) -> str:
        return "(|" + "(title=x)" * (terms - 1) + ")"

    def deep(levels: int) -> str:
        return "(!" * (levels - 1) + "(title=x)" + ")" * (levels - 1)

    def long(octets: int) -> str:
        return "(title=" + "x" * (octets - 8) + ")"

    for make, limit in ((wide, filters.MOST_TERMS), (deep, filters.DEEPEST), (long, filters.MOST_OCTETS)):
        filters.parse(make(limit), known)
        with pytest.raises(filters.BadFilter, match=str(limit)):
            filters.parse(make(limit + 1), known)


async def test_dynamic_lists(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/x.db", tmp_path)
    try:
        await store.do(CreateDomain("acme.test"))
        for number in range(dynamic.MOST):
            await store.do(CreateDynamicList(CreateList(Address(f"l{number}", "acme.test")), "(title=x)"))
        with pytest.raises(LimitReached):
            await store.do(CreateDynamicList(CreateList(Address("one-more", "acme.test")), "(title=x)"))
    finally:
        await store.close()


async def test_folders_of_an_account(directory: Directory) -> None:
    there = len(await directory.ask(folders.of_owner, directory.anna))
    for number in range(folders.MAX_FOLDERS - there):
        await directory.store.do(CreateFolder(directory.anna, f"/f{number}"))
    with pytest.raises(LimitReached):
        await directory.store.do(CreateFolder(directory.anna, "/one-more"))
    await directory.store.do(CreateFolder(directory.bruno, "/another"))
