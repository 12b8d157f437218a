"""What is kept in memory because it may be wanted again: how much of it at most, and what drops it.

A row for each; `config.limits` writes them on its page, and tests/limits/ goes past each bound. Bounds are of one process unless the
row says otherwise.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cache:
    """`where`: FILE:NAME of the constant, of the field of a dataclass, or of the function whose answers are kept. `takes`: memory, where
    it is full. `drops`: what puts an entry away."""

    keeps: str
    most: int
    unit: str
    takes: str
    drops: str
    where: str


_OLDEST: Final = "the one not asked for longest goes"
_FIRST: Final = "the oldest goes"
_NEWER: Final = f"a newer epoch; {_OLDEST}"
_ALWAYS_TRUE: Final = f"never wrong; {_OLDEST}"

CACHES: Final[tuple[Cache, ...]] = (
    # SQLite
    Cache("pages of the connection that writes", 32 << 20, "octets", "33 MiB, in the process that writes", "SQLite, as it needs room", "store/sqlite.py:WRITER_PAGES"),
    Cache("pages of a connection that reads", 8 << 20, "octets", "8 times 9 MiB, which malloc keeps also when they are dropped", "each commit of the writer; SQLite, as it needs room", "store/sqlite.py:READER_PAGES"),
    Cache("connections that read", 8, "connections", "their pages and statements", "the end of the process", "store/connect.py:READERS"),
    Cache("prepared statements of a connection", 1_024, "statements", "some 4 KiB each", _OLDEST, "store/sqlite.py:STATEMENTS"),
    Cache("pages of the connection that writes the search index", 8 << 20, "octets", "8 MiB, in the process that writes", "SQLite, as it needs room", "store/fulltext.py:WRITER_PAGES"),
    Cache("pages of a connection that searches", 4 << 20, "octets", "8 times 4 MiB", "each batch that is indexed; SQLite, as it needs room", "store/fulltext.py:READER_PAGES"),
    Cache("connections that search", 8, "connections", "their pages", "the index is made anew", "store/fulltext.py:IDLE"),
    # IMAP
    Cache("answers to FETCH", 48 << 20, "octets", "48 MiB", f"another answer to the same; {_OLDEST}", "gateway/imap/told.py:LIMIT"),
    Cache("answers to LIST and LSUB, with their questions", 16 << 20, "octets", "16 MiB", f"another answer to the same; {_OLDEST}", "gateway/imap/listed.py:LIMIT"),
    Cache("UIDs, flags and mod-sequences of folders that nobody has open", 64 << 20, "octets", "64 MiB; of those that somebody has open 20 octets a message", _OLDEST, "gateway/imap/session.py:STATES"),
    Cache("changes of flags of a folder", 65_536, "changes", "200 octets each; no more than the folder has messages, or 256", _FIRST, "gateway/imap/view.py:LOG_LIMIT"),
    Cache("sets of flags of a folder, as they are written", 1_024, "sets", "200 KiB", "all at once, when there are so many, or a keyword is new", "gateway/imap/view.py:SPELLED"),
    Cache("answers to searches for flags, of a folder", 4, "answers", "their octets and 4 KiB each, counted with the folder's UIDs", "any change of the folder; all, when there are more", "gateway/imap/view.py:ANSWERS"),
    Cache("commands that were read: SELECT, LIST, LSUB, STATUS, SEARCH, the items of FETCH", 512, "texts", "256 octets each, and what they mean: 0.5 MiB, of the longest searches 5", _ALWAYS_TRUE, "gateway/imap/grammar/cursor.py:_read"),
    Cache("what the items of FETCH need", 256, "lists of items", "256 octets each, and what they mean: 0.5 MiB", _ALWAYS_TRUE, "gateway/imap/handlers/fetch.py:_sorted_out"),
    Cache("own folders that were judged, by session's person and name", 500, "folders", "1 MiB", f"what has moved since is judged anew; {_OLDEST}", "gateway/folders/judging.py:REMEMBERED"),
    Cache("epochs of what policy reads, as the one that writes knows them", 10_000, "scopes", "1 MiB, in the process that writes", "a change of them; what is undone; all, when there are more", "store/sqlite.py:REMEMBERED"),
    Cache("what has moved", 10_000, "scopes, and folders", "3 MiB", "all at once, when there are more: what is asked next is looked at", "store/moved.py:REMEMBERED"),
    Cache("dates as IMAP writes them", 4_096, "days", "0.5 MiB", _ALWAYS_TRUE, "gateway/imap/handlers/fetch.py:_date"),
    Cache("how a domain's people see folders' names", 256, "domains", "0.1 MiB", _ALWAYS_TRUE, "gateway/imap/names.py:namespace_of"),
    Cache("PERMANENTFLAGS", 256, "sets", "0.5 MiB", _ALWAYS_TRUE, "gateway/imap/session.py:_permanent"),
    Cache("which flags may be changed with which rights", 256, "sets", "0.1 MiB", _ALWAYS_TRUE, "policy/folders.py:permitted_flags"),
    Cache("patterns that find fields of a header", 64, "sets of names", "as long as the commands that asked, some ten times", _ALWAYS_TRUE, "gateway/message/split.py:_of_names"),
    # who is who
    Cache("marks of passwords that were right", 10_000, "passwords", "2 MiB", "another verifier; an hour; the oldest goes", "gateway/passwords.py:PasswordCost.remembered"),
    Cache("when a login from a network was noted", 50_000, "accounts in networks", "15 MiB", _OLDEST, "gateway/login.py:MOST_NOTED"),
    Cache("failed logins of sources", 50_000, "networks", "40 MiB", "the one that failed longest ago goes", "gateway/sources.py:MOST"),
    Cache("rows of accounts, read", 1_000, "rows", "3 MiB", _ALWAYS_TRUE, "store/accounts.py:_made"),
    Cache("mechanisms that are offered", 64, "certificates", "0.1 MiB", _ALWAYS_TRUE, "gateway/mechanisms.py:offered"),
    Cache("what connections are counted by", 4_096, "addresses", "1 MiB", _ALWAYS_TRUE, "gateway/smtp/listener.py:_source_of"),
    Cache("networks of addresses", 4_096, "addresses", "1 MiB", _ALWAYS_TRUE, "gateway/sources.py:network_of"),
    Cache("what is known of senders", 1_024, "accounts", "2 MiB", _NEWER, "gateway/own_senders.py:MOST"),
    Cache("whose mailbox an address is", 2_048, "addresses", "4 MiB", _NEWER, "gateway/known_recipients.py:MOST"),
    Cache("whose folder it is (PostgreSQL)", 200_000, "folders", "30 MiB", "all at once, when there are so many", "store/owners.py:MOST"),
    Cache("attributes, read", 4_096, "texts", "8 MiB", _ALWAYS_TRUE, "store/cos.py:unpack"),
    Cache("attributes in force", 4_096, "accounts that differ", "8 MiB", _ALWAYS_TRUE, "store/cos.py:values_in_force"),
    Cache("attributes of lists, read", 1_024, "texts", "2 MiB", _ALWAYS_TRUE, "store/lists.py:_unpack"),
    Cache("filters of dynamic lists, read", 1_024, "filters", "4 MiB", _ALWAYS_TRUE, "store/people.py:read_filter"),
    # statements
    Cache("statements that are put together (SQLite)", 1_000, "statements", "3 MiB", _ALWAYS_TRUE, "store/sqlite.py:_composed"),
    Cache("statements that are put together (PostgreSQL)", 1_000, "statements", "3 MiB", _ALWAYS_TRUE, "store/numbered.py:composed"),
    Cache("the table that a statement changes (PostgreSQL)", 4_000, "statements", "6 MiB", _ALWAYS_TRUE, "store/postponed.py:changed_by"),
    Cache("tables that a statement names (PostgreSQL)", 4_000, "statements", "6 MiB", _ALWAYS_TRUE, "store/postponed.py:names_in"),
    Cache("statements done in one (PostgreSQL)", 1_000, "sets", "10 MiB", _ALWAYS_TRUE, "store/postponed.py:together"),
    Cache("questions asked in one (PostgreSQL)", 1_000, "sets", "10 MiB", _ALWAYS_TRUE, "store/foreseen.py:at_once"),
    # refusals, the way out, neighbours
    Cache("ids of refusals that are alike", 20_000, "ids", "20 MiB", "all at once, after an hour", "gateway/refusals.py:KNOWN"),
    Cache("how many refusals of an actor went on record", 100_000, "actors", "10 MiB", "all at once, after ten minutes, or when there are so many", "gateway/refusals.py:ACTORS"),
    Cache("logins to be written", 20_000, "rows", "15 MiB, for two seconds", "they are written", "gateway/loginhistory.py:MOST"),
    Cache("records of reading to be written", 10_000, "records", "10 MiB", "they are written; past it delegated reading is refused", "gateway/folders/records.py:RECORDS"),
    Cache("rows of the queue in hand", 1_000, "rows", "1 MiB, and the messages that are being handed on", "their attempt ends", "gateway/queue.py:IN_HAND"),
    Cache("destinations that failed", 10_000, "destinations", "5 MiB", "mail was taken there; the one that failed longest ago goes", "gateway/queue.py:KNOWN"),
    Cache("connections to other servers that wait for a next message", 100, "connections", "as many descriptors", "15 seconds", "gateway/relay.py:MOST_IDLE"),
    Cache("servers that cannot do what they say", 1_000, "servers", "0.2 MiB", _FIRST, "gateway/relay.py:MOST_STUMBLING"),
    Cache("answers of the DNS", 5_000, "answers", "some 4 KiB each", "the time they give themselves; the one not asked for longest goes", "gateway/resolver.py:CACHED"),
    Cache("MTA-STS policies", 1_000, "domains", "10 MiB; 64 KiB each at most", f"the time they give themselves; {_OLDEST}", "gateway/policies.py:IN_MEMORY"),
    Cache("when MTA-STS policies were used, or could not be had", 10_000, "domains", "3 times 2 MiB", _FIRST, "gateway/policies.py:KNOWN"),
    Cache("fields that sign a message", 1_000, "messages", "4 MiB", "five minutes' age; the oldest goes", "gateway/signing.py:REMEMBERED"),
    Cache("keys to sign with, read", 256, "keys", "1 MiB", _ALWAYS_TRUE, "gateway/signing.py:_private"),
    Cache("what a neighbour was told of a message", 10_000, "answers", "10 MiB", _FIRST, "gateway/neighbour/access.py:REMEMBERED"),
    Cache("who may log in for an address", 10_000, "addresses", "10 MiB, where few may send; 99 000 octets each at most", "any change of a right; the oldest goes", "gateway/neighbour/logins.py:REMEMBERED"),
    Cache("how short fields of messages read", 512, "values of each kind", "1 MiB", _ALWAYS_TRUE, "gateway/message/remembered.py:_MOST"),
    Cache("time zones, read", 256, "zones", "0.1 MiB", _ALWAYS_TRUE, "gateway/message/dates.py:_zone"),
    Cache("time zones, written", 64, "zones", "-", _ALWAYS_TRUE, "gateway/message/dates.py:_offset"),
    Cache("the second that a greeting says", 16, "seconds", "-", _ALWAYS_TRUE, "gateway/smtp/engine.py:_spelled"),
    Cache("the order of fields in the log", 256, "sets", "0.1 MiB", _ALWAYS_TRUE, "config/logs.py:_order"),
    Cache("the second that the log says", 1, "second", "-", "the next one", "config/logs.py:_second"),
)  # fmt: skip
