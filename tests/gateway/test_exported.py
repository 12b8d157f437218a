"""A file with the record of decisions: one flipped octet anywhere is found, and the record named."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exported import KEY_CHANGED, line_of_head, line_of_record, lines_of_keys, prove
from gateway.seals import Seals, key_id, spell_key
from store.audit import GENESIS, AuditEntry, AuditRow, Head, chained

ENTRIES = [
    AuditEntry("d-1", "send-as", True, 2, "bruno@acme.test", None, "", 1, "anna@acme.test", "sendAs", "account #2: sendAs", "smtp"),
    AuditEntry(
        "d-2", "folder access", False, 2, "b@x", 3, "c@x", 1, "é☃", "read", "none", "imap", "192.0.2.1", "<m@x>", "q1", "/A\n", "[]"
    ),
    AuditEntry("d-3", "grant changed", True, None, "operator"),
]


def rows(entries: list[AuditEntry]) -> list[AuditRow]:
    found: list[AuditRow] = []
    before = GENESIS
    for number, entry in enumerate(entries, 1):
        before = chained(before, number, 1000 + number, entry)
        found.append(AuditRow(number, 1000 + number, entry, before))
    return found


def whole(seals: Seals, entries: list[AuditEntry], heads: tuple[int, ...]) -> list[bytes]:
    lines = [*lines_of_keys([seals.public()])]
    for row in rows(entries):
        lines.append(line_of_record(row))
        if row.number in heads:
            lines.append(line_of_head(seals.sign(Head(row.number, row.hash))))
    return [line.encode() for line in lines]


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    return Seals(tmp_path, lambda: 2000)


def test_a_whole_file_is_proved_by_the_public_key_alone(seals: Seals) -> None:
    public = seals.public().public
    proof = prove(whole(seals, ENTRIES, (2, 3)), [public])
    assert proof.broken is None
    assert proof.head == Head(3, rows(ENTRIES)[2].hash)
    assert proof.sealed is not None
    assert (proof.sealed.head, proof.keys) == (proof.head, (key_id(public),))


def test_one_flipped_octet_anywhere_is_found_and_the_record_named(seals: Seals) -> None:
    lines = whole(seals, ENTRIES, (2, 3))
    public = seals.public().public
    # Which record a line is about: keys and the first line are before all of them.
    about = [1, 1, 1, 2, 2, 3, 3]
    assert len(lines) == len(about)
    flipped = 0
    for place, line in enumerate(lines):
        for at in range(len(line)):
            for bit in (0x01, 0x20, 0x80):
                changed = [*lines]
                changed[place] = line[:at] + bytes([line[at] ^ bit]) + line[at + 1 :]
                # As a file is read: a flipped line end makes one line of two, or two of one.
                again = re.findall(rb"[^\n]*\n|[^\n]+", b"".join(changed))
                proof = prove(again, [public])
                assert proof.broken is not None, (place, at, bit)
                assert abs(proof.broken.number - about[place]) <= (1 if place == 1 or b"head" in line[:8] or line[at] == 0x0A else 0), (
                    place,
                    at,
                    bit,
                    proof,
                )
                flipped += 1
    assert flipped > 4000


@pytest.mark.parametrize("entry", range(3))
def test_what_is_made_anew_behind_a_change_is_betrayed_by_the_signature(seals: Seals, tmp_path: Path, entry: int) -> None:
    forged = [*ENTRIES]
    forged[entry] = AuditEntry("d-9", "send-as", True)
    (tmp_path / "thief").mkdir()
    lines = whole(Seals(tmp_path / "thief", lambda: 1), forged, (3,))
    assert prove(lines).broken is None  # it agrees with itself
    proof = prove(lines, [seals.public().public])
    assert proof.sealed is None
    true = rows(ENTRIES)[2]
    signed = seals.sign(Head(3, true.hash))
    broken = prove(lines, [seals.public().public], [signed]).broken
    assert broken is not None
    assert (broken.number, broken.what) == (3, "not what the kept head says")


def test_records_that_are_missing_at_the_end_are_betrayed_by_a_kept_head(seals: Seals) -> None:
    lines = whole(seals, ENTRIES, (2,))
    broken = prove(lines[:-1], None, [Head(3, rows(ENTRIES)[2].hash)]).broken
    assert broken is not None
    assert broken.number == 3


def test_who_trusts_the_old_key_may_trust_the_new_one_that_it_signed_for(tmp_path: Path) -> None:
    seals = Seals(tmp_path, lambda: 2000)
    old, new = seals.public(), seals.prepare()
    entries = [*ENTRIES, AuditEntry("d-4", KEY_CHANGED, True, detail=spell_key(new.public)), ENTRIES[0]]
    found = rows(entries)
    signed_by_old = seals.sign(Head(4, found[3].hash))
    seals.turn()
    signed_by_new = seals.sign(Head(5, found[4].hash))
    lines = [*lines_of_keys([old, new]), *(line_of_record(row) for row in found[:4])]
    tail = [line_of_record(found[4]), line_of_head(signed_by_new)]
    with_it = prove([line.encode() for line in [*lines, line_of_head(signed_by_old), *tail]], [old.public])
    assert with_it.broken is None
    assert with_it.sealed == signed_by_new
    without = prove([line.encode() for line in [*lines, *tail]], [old.public])
    assert without.sealed is None


def test_a_head_of_a_key_that_nobody_named_is_found(seals: Seals, tmp_path: Path) -> None:
    (tmp_path / "thief").mkdir()
    thief = Seals(tmp_path / "thief", lambda: 1)
    lines = whole(seals, ENTRIES, ())
    forged = line_of_head(thief.sign(Head(3, rows(ENTRIES)[2].hash))).encode()
    broken = prove([*lines, forged], [seals.public().public]).broken
    assert broken is not None
    assert broken.number == 3


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_octets_are_proved_or_refused(lines: list[bytes]) -> None:
    assert prove(lines).broken is not None
