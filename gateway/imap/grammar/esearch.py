"""ESEARCH: in which mailboxes, and what is looked for there?"""

import re
from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import Search, search
from gateway.imap.grammar.strings import MAX_MAILBOXES, one_or_more_mailboxes

_IN = re.compile(rb" IN(?= )", re.IGNORECASE)
_SOURCE = re.compile(rb"[A-Za-z][A-Za-z-]{0,20}")
NAMED = frozenset({b"MAILBOXES", b"SUBTREE", b"SUBTREE-ONE"})
UNNAMED = frozenset({b"SELECTED", b"INBOXES", b"PERSONAL", b"SUBSCRIBED"})


@dataclass(frozen=True, slots=True)
class Source:
    """Mailboxes to search: `kind` in upper case, with the names that some kinds have, decoded, INBOX in upper case."""

    kind: bytes
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Esearch:
    """A search by UID, with return options always. No `sources`: the selected mailbox."""

    sources: tuple[Source, ...]
    search: Search

    @property
    def only_selected(self) -> bool:
        """Is nothing searched but the selected mailbox?"""
        return all(source.kind == b"SELECTED" for source in self.sources)

    @property
    def selected(self) -> bool:
        """Is the selected mailbox named as such, or meant because none is?"""
        return not self.sources or any(source.kind == b"SELECTED" for source in self.sources)


def esearch(c: Cursor) -> Esearch:
    """`esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program` (RFC 7377 section 4).

    Without result options it is ALL (section 2.1). Raises BadSyntax, BadCharset.
    """
    sources: tuple[Source, ...] = ()
    if c.match(_IN) is not None:
        c.sp()
        sources = _sources(c)
    found = search(c, by_uid=True)
    return Esearch(sources, Search(found.key, True, found.returning or (Parameter(b"ALL"),)))


def _sources(c: Cursor) -> tuple[Source, ...]:
    """`esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"`,
    `source-mbox = filter-mailboxes *(SP filter-mailboxes)`, `filter-mailboxes` as in RFC 5465 section 8 with "subtree-one" and
    without "selected-delayed". There are no scope options yet.
    """
    c.need(b"(", "mailboxes to search")
    found: list[Source] = []
    names = 0
    while True:
        kind = c.expect(_SOURCE, "selected, inboxes, personal, subscribed, mailboxes, subtree or subtree-one").upper()
        if kind in NAMED:
            c.sp()
            mailboxes = one_or_more_mailboxes(c)
            names += len(mailboxes)
            found.append(Source(kind, mailboxes))
        elif kind in UNNAMED:
            found.append(Source(kind))
        else:
            c.fail("expected selected, inboxes, personal, subscribed, mailboxes, subtree or subtree-one before this place")
        if c.skip(b")"):
            return tuple(found)
        if names > MAX_MAILBOXES or len(found) == MAX_MAILBOXES:
            c.fail(f"expected at most {MAX_MAILBOXES} mailboxes to search")
        c.sp()
