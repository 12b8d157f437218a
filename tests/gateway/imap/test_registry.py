"""One owner per name, and what is announced when."""

import pytest

from gateway.imap.grammar.connection import Noop, noop
from gateway.imap.phases import ANY, Phase
from gateway.imap.registry import (
    Capability,
    Circumstances,
    DuplicateOwner,
    after_login,
    before_login,
    build,
    command,
    may_log_in,
    may_not_log_in,
    may_secure,
)


async def answer(session: object, wanted: Noop, emit: object) -> None:
    """Nobody asks."""


NOOP = command(b"NOOP", noop, answer, ANY)


def test_rows_are_found_by_name() -> None:
    table = build(
        [Capability(b"IMAP4rev1".upper(), (NOOP,), fetch_items=frozenset({b"UID"})), Capability(b"CONDSTORE", enabled_by_enable=True)]
    )
    assert table.commands[b"NOOP"] is NOOP
    assert table.owners["fetch_items", b"UID"] == b"IMAP4REV1"
    assert table.enables(b"CONDSTORE")
    assert not table.enables(b"IMAP4REV1")
    assert not table.enables(b"X")


@pytest.mark.parametrize(
    "rows",
    [
        [Capability(b"A"), Capability(b"A")],
        [Capability(b"A", (NOOP,)), Capability(b"B", (NOOP,))],
        [Capability(b"A", (NOOP, NOOP))],
        [Capability(b"A", fetch_items=frozenset({b"X"})), Capability(b"B", fetch_items=frozenset({b"X"}))],
        [Capability(b"A", search_keys=frozenset({b"x"}))],
        [Capability(b"A", (command(b"noop", noop, answer, ANY),))],
    ],
)
def test_two_owners_and_names_nobody_would_find_are_refused(rows: list[Capability]) -> None:
    with pytest.raises(DuplicateOwner):
        build(rows)


@pytest.mark.parametrize(
    ("phase", "secure", "can_secure", "plaintext", "announced"),
    [
        (Phase.NOT_AUTHENTICATED, False, True, False, [b"X", b"STARTTLS", b"LOGINDISABLED", b"BEFORE"]),
        (Phase.NOT_AUTHENTICATED, False, True, True, [b"X", b"STARTTLS", b"AUTH=PLAIN", b"BEFORE"]),
        (Phase.NOT_AUTHENTICATED, True, False, False, [b"X", b"AUTH=PLAIN", b"BEFORE"]),
        (Phase.AUTHENTICATED, True, False, False, [b"X", b"AFTER"]),
        (Phase.SELECTED, False, True, True, [b"X", b"AFTER"]),
    ],
)
def test_what_is_announced_depends(phase: Phase, secure: bool, can_secure: bool, plaintext: bool, announced: list[bytes]) -> None:
    table = build(
        [
            Capability(b"X"),
            Capability(b"STARTTLS", announced=may_secure),
            Capability(b"AUTH=PLAIN", announced=may_log_in),
            Capability(b"LOGINDISABLED", announced=may_not_log_in),
            Capability(b"BEFORE", announced=before_login),
            Capability(b"AFTER", announced=after_login),
        ]
    )
    assert list(table.announce(Circumstances(phase, secure, can_secure, plaintext))) == announced
