"""The table of capabilities: complete for RFC 3501 and the extensions that are announced, each announced in its place."""

import pytest

from gateway.imap.capabilities import REGISTRY, ROWS
from gateway.imap.grammar.fetch import FETCH_ITEMS
from gateway.imap.grammar.search import SEARCH_KEYS
from gateway.imap.phases import Phase
from gateway.imap.registry import Capability, Circumstances, DuplicateOwner, build

RFC_3501 = [
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
    "STARTTLS",
    "AUTHENTICATE",
    "LOGIN",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "STATUS",
    "APPEND",
    "CHECK",
    "CLOSE",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
]
EXTENSIONS = [
    "UNAUTHENTICATE",
    "IDLE",
    "NAMESPACE",
    "ID",
    "UNSELECT",
    "ENABLE",
    "MOVE",
    "SETACL",
    "DELETEACL",
    "GETACL",
    "LISTRIGHTS",
    "MYRIGHTS",
]
EXTENSIONS += ["GETQUOTA", "GETQUOTAROOT"]
EXTENSIONS += ["SORT", "THREAD"]
EXTENSIONS += ["GETMETADATA", "SETMETADATA", "REPLACE", "NOTIFY"]
EXTENSIONS += ["GETMETADATA", "SETMETADATA", "REPLACE"]
EXTENSIONS += ["COMPRESS"]
EXTENSIONS += ["CANCELUPDATE", "ESEARCH"]
UNDER_UID = ["COPY", "FETCH", "STORE", "SEARCH", "MOVE", "EXPUNGE"]
UNDER_UID += ["SORT", "THREAD", "REPLACE"]


def test_every_command_has_a_row_and_none_is_left_over() -> None:
    expected = {name.encode() for name in (*RFC_3501, *EXTENSIONS)} | {f"UID {name}".encode() for name in UNDER_UID}
    assert set(REGISTRY.commands) == expected


def test_items_and_keys_have_an_owner() -> None:
    assert {name for production, name in REGISTRY.owners if production == "fetch_items"} == set(FETCH_ITEMS)
    assert {name for production, name in REGISTRY.owners if production == "search_keys"} == set(SEARCH_KEYS)


@pytest.mark.parametrize("name", [b"FETCH", b"STORE", b"SEARCH"])
def test_no_expunge_while_numbers_are_named(name: bytes) -> None:
    assert REGISTRY.commands[name].keeps_numbers
    assert not REGISTRY.commands[b"UID " + name].keeps_numbers


def test_who_gave_up_numbers_gets_none_of_the_commands_that_take_them() -> None:
    by_number = {name for name, row in REGISTRY.commands.items() if row.by_number}
    assert by_number == {f"{name}".encode() for name in UNDER_UID if name != "EXPUNGE"}


BEFORE = {"IMAP4REV1", "IMAP4REV2", "LITERAL+", "ENABLE", "ID"}
AFTER = BEFORE | {
    "IDLE", "NAMESPACE", "CHILDREN", "UNSELECT", "UIDPLUS", "MOVE", "ACL", "RIGHTS=KXTE", "SPECIAL-USE", "LIST-EXTENDED",
    "LIST-STATUS", "ESEARCH", "CONDSTORE", "QRESYNC", "SEARCHRES", "WITHIN", "LIST-MYRIGHTS", "CREATE-SPECIAL-USE", "STATUS=SIZE",
    "APPENDLIMIT", "OBJECTID", "SAVEDATE", "UNAUTHENTICATE",
    "MULTIAPPEND", "QUOTA", "QUOTA=RES-STORAGE",
    "NOTIFY", "MESSAGELIMIT", "UIDONLY",
    "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
    "METADATA", "LIST-METADATA", "REPLACE", "PREVIEW",
    "CONTEXT=SEARCH", "CONTEXT=SORT", "PARTIAL", "MULTISEARCH",
    "BINARY", "COMPRESS=DEFLATE", "CATENATE",
    "UTF8=ACCEPT", "INPROGRESS",
}  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "secure", "can_secure", "plaintext", "expected"),
    [
        (Phase.NOT_AUTHENTICATED, False, True, False, BEFORE | {"STARTTLS", "LOGINDISABLED"}),
        (Phase.NOT_AUTHENTICATED, False, False, False, BEFORE | {"LOGINDISABLED"}),
        (Phase.NOT_AUTHENTICATED, True, False, False, BEFORE | {"SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN"}),
        (Phase.NOT_AUTHENTICATED, False, True, True, BEFORE | {"STARTTLS", "SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN"}),
        (Phase.AUTHENTICATED, True, False, False, AFTER),
        (Phase.SELECTED, False, True, True, AFTER),
    ],
)
def test_what_is_announced_when(phase: Phase, secure: bool, can_secure: bool, plaintext: bool, expected: set[str]) -> None:
    announced = REGISTRY.announce(Circumstances(phase, secure, can_secure, plaintext))
    assert {name.decode() for name in announced} == expected
    assert len(announced) == len(expected)


def test_literal_plus_and_literal_minus_are_not_announced_together() -> None:
    """RFC 7888 section 5."""
    assert {row.name for row in ROWS} & {b"LITERAL+", b"LITERAL-"} == {b"LITERAL+"}


def test_what_needs_another_is_there_with_it_only() -> None:
    rows = [row for row in ROWS if row.name in (b"IMAP4REV1", b"IMAP4REV2")]
    anywhere = Circumstances(Phase.AUTHENTICATED, True, False, False)
    alone = build([*rows, Capability(b"X", enabled_by_enable=True, needs=frozenset({b"Y"}))])
    assert b"X" not in alone.announce(anywhere)
    assert not alone.enables(b"X")
    both = build([*rows, Capability(b"X", enabled_by_enable=True, needs=frozenset({b"Y"})), Capability(b"Y")])
    assert b"X" in both.announce(anywhere)
    assert both.enables(b"X")


def test_two_owners_are_a_fault() -> None:
    with pytest.raises(DuplicateOwner):
        build((*ROWS, ROWS[-1]))
