"""ESEARCH: sources, return options, criteria."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadCharset
from gateway.imap.grammar.esearch import Esearch, Source, esearch
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import Contains, Everything, HasFlag, Search
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

ALL = (Parameter(b"ALL"),)
UNSEEN = Search(HasFlag(b"\\Seen", False), True, ALL)


@pytest.mark.parametrize(
    ("arguments", "sources"),
    [
        (b" unseen", ()),
        (b" IN (selected) unseen", (Source(b"SELECTED"),)),
        (
            b' IN (mailboxes "folder1" subtree "folder2") unseen',
            (Source(b"MAILBOXES", ("folder1",)), Source(b"SUBTREE", ("folder2",))),
        ),
        (b" in (Subtree-One (a inbox {1}\r\nc) INBOXES) unseen", (Source(b"SUBTREE-ONE", ("a", "INBOX", "c")), Source(b"INBOXES"))),
        (b" IN (personal subscribed) unseen", (Source(b"PERSONAL"), Source(b"SUBSCRIBED"))),
        (b" IN (mailboxes personal) unseen", (Source(b"MAILBOXES", ("personal",)),)),
        (b" IN (mailboxes &AOQ-) unseen", (Source(b"MAILBOXES", ("ä",)),)),
    ],
)
def test_sources_are_read(arguments: bytes, sources: tuple[Source, ...]) -> None:
    found = read(esearch, arguments)
    assert found == Esearch(sources, UNSEEN)


def test_what_is_searched_for_and_returned() -> None:
    found = read(esearch, b' IN (personal) RETURN (MIN COUNT) CHARSET UTF-8 SUBJECT "\xc3\xa4"')
    assert found.search == Search(Contains(b"SUBJECT", "ä"), True, (Parameter(b"MIN"), Parameter(b"COUNT")))
    assert read(esearch, b" IN (personal) RETURN () ALL").search == Search(Everything(), True, ALL)
    assert read(esearch, b" RETURN (SAVE) ALL").search.returning == (Parameter(b"SAVE"),)
    with pytest.raises(BadCharset):
        read(esearch, b" IN (personal) CHARSET X-KLINGON ALL")


@pytest.mark.parametrize(
    ("arguments", "selected", "only"),
    [
        (b" ALL", True, True),
        (b" IN (selected) ALL", True, True),
        (b" IN (selected personal) ALL", True, False),
        (b" IN (inboxes) ALL", False, False),
    ],
)
def test_what_concerns_the_selected_mailbox(arguments: bytes, selected: bool, only: bool) -> None:
    found = read(esearch, arguments)
    assert (found.selected, found.only_selected) == (selected, only)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" IN ALL",
        b" IN () ALL",
        b" IN (selected-delayed) ALL",
        b" IN (everything) ALL",
        b" IN (mailboxes) ALL",
        b" IN (mailboxes ()) ALL",
        b" IN (mailboxes a b) ALL",
        b" IN (mailboxes (a b) ALL",
        b" IN (mailboxes a*) ALL",
        b" IN (personal ) ALL",
        b" IN (personal (depth 1)) ALL",
        b" IN (personal)",
        b" IN (personal) RETURN (ALL)",
        b" IN (personal) RETURN (MIN MIN) ALL",
        b" RETURN (MIN) IN (personal) ALL",
        b" IN (personal) IN (personal) ALL",
        b" IN (mailboxes (" + b" ".join(b"m%d" % number for number in range(1200)) + b")) ALL",
        b" IN (" + b" ".join([b"personal"] * 1200) + b") ALL",
    ],
)
def test_what_is_no_search_is_refused(arguments: bytes) -> None:
    refused(esearch, arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(esearch, found)
