"""Two servers write one record, and each signs it with a key of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.directory.records import Records
from gateway.directory.trail import Trail
from gateway.exported import prove
from gateway.prov.audit_verbs import told_proof
from gateway.seals import Seals, read_key, spell_head, spell_key
from store.audit import AuditEntry, RecordAudit
from store.connect import connect
from store.port import Store


@pytest.fixture
async def nodes(shared_url: str, tmp_path: Path) -> AsyncIterator[list[tuple[Store, Trail]]]:
    stores = [await connect(shared_url, tmp_path / name) for name in ("one", "other")]
    yield [(store, Trail(store, Records(store), Seals(tmp_path / name))) for store, name in zip(stores, ("one", "other"), strict=True)]
    for store in stores:
        await store.close()


async def write(store: Store, number: int) -> None:
    await store.do(RecordAudit((AuditEntry(f"d-{number}", "opened", True),)))


async def test_heads_of_either_key_hold_and_a_key_that_was_not_given_is_named(nodes: list[tuple[Store, Trail]]) -> None:
    (one, first), (other, second) = nodes
    heads = []
    for number, (store, trail) in enumerate([(one, first), (other, second), (one, first), (other, second)], 1):
        await write(store, number)
        heads.append(await trail.seal())
    ours, theirs = [(await trail.key()).public for trail in (first, second)]
    assert ours != theirs
    assert [key.public for key in await first.keys()] == [ours, theirs]
    for trail in (first, second):
        proof = await trail.verify([spell_head(head) for head in heads if head is not None])
        assert (proof.broken, proof.sealed, proof.beyond) == (None, heads[3], None)
        proof = await trail.verify(keys=[spell_key(ours), spell_key(theirs)])
        assert (proof.broken, proof.sealed, proof.beyond) == (None, heads[3], None)
        # One alone covers what it has signed, and says that there is more.
        proof = await trail.verify(keys=[spell_key(ours)])
        assert (proof.broken, proof.sealed, proof.beyond) == (None, heads[2], heads[3])
        assert "record 4 is signed with key" in told_proof(proof).text
        proof = await trail.verify(keys=[spell_key(theirs)])
        assert (proof.broken, proof.sealed, proof.beyond) == (None, heads[3], None)
    exported = [line.encode() + b"\n" async for text in first.export() for line in text.splitlines()]
    # What exports signs its end, with its own key.
    proof = prove(exported, [read_key(spell_key(theirs))])
    assert proof.broken is None
    assert proof.sealed == heads[3]
    assert proof.beyond is None
    proof = prove(exported, [ours])
    assert proof.sealed is not None
    assert (proof.broken, proof.sealed.head, proof.beyond) == (None, proof.head, None)
    proof = prove(exported, [ours, theirs])
    assert (proof.broken, proof.beyond) == (None, None)


async def test_a_key_that_changes_on_one_server_is_no_matter_for_the_other(nodes: list[tuple[Store, Trail]]) -> None:
    (one, first), (other, second) = nodes
    await write(one, 1)
    await second.seal()
    before = (await second.key()).public
    ours = await first.key()
    await first.seal()
    new = await first.change_key()
    await write(other, 2)
    await second.seal()
    last = await first.seal()
    proof = await second.verify()
    assert proof.broken is None
    assert last is not None
    assert proof.sealed is not None
    assert proof.sealed.head == last.head  # two keys have signed it
    assert (await second.key()).public == before
    # Who trusted the old one trusts the new one, which it has introduced.
    proof = await second.verify(keys=[spell_key(ours.public)])
    assert (proof.broken, proof.sealed) == (None, last)
    assert new.public != ours.public
