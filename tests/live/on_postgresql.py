"""A choice of the live tests once more, with servers that keep everything in a database of PostgreSQL: what an administrator, an owner, a
delegate and mail itself do, and what becomes of it when processes end. Three files run it, as whole files are what a run shares out."""

from __future__ import annotations

import os

import pytest

from tests.live.again import passes
from tests.live.cluster import missing
from tests.live.server import STORE

SOAKED = "PROCURA_SOAK" in os.environ
FEWER = {"PROCURA_ROUNDS": "6"}
"""Kills (test_crash.py); as many as on SQLite only in `make soak`."""

# The words choose among the tests of a file (-k); all where there are none.
ADMINISTRATION = {
    "test_explained.py": "nobody_makes or in_the_store",
    "test_verify.py": "counts",
    "test_objects.py": "attribute or deleted or bad_input or cycle",
    "test_shares.py": "one_command or behalf or without_a_server",
}
MAIL = {
    "test_recall.py": "by_move or by_copy or by_command or two_at_once",
    "test_lists.py": "",
    "test_sent_copies.py": "",
    "test_shared_folders.py": "",
    "test_search_index.py": "delegates or expunged",
    "test_many_sessions.py": "1-shared or 2-private or crosses",
    "test_remote.py": "own_fate or may_pass or final or held or restart",
}
PROCESSES = {
    "test_workers.py": "",
    "test_killed_processes.py": "not again_and_again",
    "test_crash.py": "again_and_again or doubles_at_most_once",
    "test_resets.py": "",
    "test_disk.py": "descriptors",
}
HOSTILE = {
    "test_hostile_lmtp.py": "",
    "test_hostile_smtp.py": "",
    "test_hostile_imap.py": "",
    "test_hostile_senders.py": "",
    "../hostile/test_rights.py": "",
    "../hostile/test_accounts.py": "",
    "test_kill_points.py": "mail_that or without_being_asked",
    "test_memory.py": "",
}
"""Minutes each: the first one always, the others in the long version (test_hostile_on_postgresql.py)."""
CHOSEN = {**ADMINISTRATION, **MAIL, **PROCESSES, **HOSTILE}


def passes_there(file: str) -> None:
    """The chosen tests of this file pass; skipped by name where there is no PostgreSQL."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    fewer = {name: os.environ.get(name, value) for name, value in FEWER.items()}
    passes(file, {**({} if SOAKED else fewer), STORE: "postgresql"}, CHOSEN[file])
