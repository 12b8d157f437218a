"""The record of decisions in the store: signed heads, the owner's view, and one flipped octet anywhere."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.directory.faults import Fault
from gateway.exported import prove
from gateway.seals import spell_head
from policy.identity import AccountId
from store.audit import AuditEntry, RecordAudit
from tests.gateway.administration import Office, opened_office

FULL = AuditEntry(
    "d-9", "päge", False, 2, "b@x", 3, "c@x", 1, "a@x", "read", "no grant", "imap", "192.0.2.1", "<m@x>", "q1", "\N{SNOWMAN}\n", '[["x"]]'
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path) as office:
        await office.store.do(RecordAudit((FULL, AuditEntry("d-1", "send-as", True), AuditEntry("d-2", "folder access", False, 7, "z@x"))))
        yield office


def raw(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "procura.db", isolation_level=None)


async def test_a_head_is_signed_once_and_again_when_there_is_more(office: Office) -> None:
    trail = office.directory.trail
    first = await trail.seal()
    assert first is not None
    office.clock.turn(5)
    assert await trail.seal() == first
    await office.done("cd acme.test")
    second = await trail.seal()
    assert second is not None
    assert (second.head.number, second.at - first.at) == (4, 5_000_000)
    proof = await trail.verify([spell_head(first), spell_head(second)])
    assert (proof.broken, proof.sealed) == (None, second)


async def test_one_flipped_octet_anywhere_in_the_store_is_found_and_named(office: Office, tmp_path: Path) -> None:
    trail = office.directory.trail
    signed = await trail.seal()
    assert signed is not None
    connection = raw(tmp_path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(audit)")]
    flipped = 0
    for number in (1, 2, 3):
        for column in columns:
            spelled = f'"{column}"'
            (value,) = connection.execute(f"SELECT {spelled} FROM audit WHERE number = ?", (number,)).fetchone()
            changes: list[object]
            match value:
                case None:
                    changes = [0]
                case int():
                    changes = [value ^ (1 << bit) for bit in (3, 7, 9, 40)] + ([1 - value] if column == "allowed" else [])
                case bytes():
                    changes = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(len(value))]
                case str():
                    octets = value.encode()
                    changes = [octets[:at] + bytes([octets[at] ^ bit]) + octets[at + 1 :] for at in range(len(octets)) for bit in (1, 0x80)]
            for change in changes:
                # What the file would hold after a flipped bit: text stays text, UTF-8 or not.
                what = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
                connection.execute(f"UPDATE audit SET {spelled} = {what} WHERE number = ?", (change, number))
                broken = (await trail.verify()).broken
                assert broken is not None, (number, column, change)
                assert broken.number == number, (column, change, broken)
                where = change if column == "number" else number
                connection.execute(f"UPDATE audit SET {spelled} = ? WHERE number = ?", (value, where))
                flipped += 1
    assert flipped > 300
    assert (await trail.verify()).broken is None
    connection.close()


async def test_a_flipped_octet_of_a_signed_head_or_its_key_is_found(office: Office, tmp_path: Path) -> None:
    trail = office.directory.trail
    assert await trail.seal() is not None
    connection = raw(tmp_path)
    for table, column in (
        ("audit_head", "signature"),
        ("audit_head", "hash"),
        ("audit_head", "key"),
        ("audit_key", "public"),
        ("audit_head", "at"),
    ):
        (value,) = connection.execute(f"SELECT {column} FROM {table}").fetchone()
        change = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) else "0" + value[1:]
        if change == value:
            change = "1" + value[1:]
        connection.execute(f"UPDATE {table} SET {column} = ?", (change,))
        broken = (await trail.verify()).broken
        assert broken is not None, (table, column)
        assert broken.number == 3
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    assert (await trail.verify()).broken is None
    connection.close()


async def test_records_taken_off_the_end_are_missed(office: Office, tmp_path: Path) -> None:
    await office.directory.trail.seal()
    connection = raw(tmp_path)
    connection.execute("DELETE FROM audit WHERE number = 3")
    broken = (await office.directory.trail.verify()).broken
    assert broken is not None
    assert (broken.number, broken.what) == (3, "missing: a signed head is beyond the end")
    connection.close()


async def test_an_export_is_proved_elsewhere(office: Office) -> None:
    trail = office.directory.trail
    await trail.seal()
    await office.done("cd acme.test")
    key = await trail.key()
    text = "".join([piece async for piece in trail.export()])
    proof = prove(text.encode().splitlines(keepends=True), [key.public])
    assert (proof.broken, proof.head.number) == (None, 4)
    assert proof.sealed is not None
    assert proof.sealed.head == proof.head


async def test_a_changed_key_is_trusted_through_the_old_one(office: Office) -> None:
    trail = office.directory.trail
    old = await trail.key()
    new = await trail.change_key()
    assert (await trail.key()).public == new.public != old.public
    await office.done("cd acme.test")
    head = await trail.seal()
    assert head is not None
    assert head.key == new.id
    text = "".join([piece async for piece in trail.export()])
    proof = prove(text.encode().splitlines(keepends=True), [old.public])
    assert (proof.broken, proof.sealed) == (None, head)
    assert (await trail.verify()).broken is None


async def test_filters_narrow_and_combine(office: Office) -> None:
    await office.done("cd acme.test", "ca a@acme.test ''", "ca b@acme.test ''")
    office.clock.turn(60)
    await office.done("grr account a@acme.test usr b@acme.test sendAs")
    trail, now = office.directory.trail, office.clock.at
    assert [row.entry.right for row in await trail.find(10, owner="a@acme.test", since=now)] == ["sendAs"]
    assert [row.entry.event for row in await trail.find(10, right="SENDas")] == ["grant changed"]
    assert [row.number for row in await trail.find(10, refused=True)] == [3, 1]
    assert await trail.find(10, until=0) == []
    with pytest.raises(Fault, match=r"NO_SUCH_ACCOUNT .*ghost@acme\.test"):
        await trail.find(10, actor="ghost@acme.test")


async def test_an_owner_reads_what_is_about_the_own_mailbox_and_no_more(office: Office) -> None:
    mine = [
        AuditEntry("d-a", "folder access", False, 50, "b@x", principal=40, principal_address="me@x"),
        AuditEntry("d-b", "send-as", True, 40, "me@x", 60, "helper@x", 70, "third@x"),
    ]
    others = [
        AuditEntry("d-c", "send-as", True, 40, "me@x", principal=70),
        AuditEntry("d-d", "folder access", True, 50, "b@x", principal=70),
    ]
    await office.store.do(RecordAudit((*mine, *others)))
    assert [row.entry for row in await office.directory.trail.about(AccountId(40))] == mine[::-1]
