"""Which changes are put together into one statement, and that each is done before anything that may see it."""

from pathlib import Path

from store import blobs, deeds, folders, messages
from store.appending import AppendMessages, NewInFolder
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from store.numbered import numbered, numbered_all
from store.port import Tx
from store.postponed import Postponed, changed_by, names_in, together
from store.statements import load
from tests.store.letters import SharedBench, letter

STATEMENTS = numbered_all(load("postgres"))


def test_several_are_one_statement_with_their_parameters_one_after_the_other() -> None:
    one, other = numbered("INSERT INTO a (x, y) VALUES (:x, :y)"), numbered("UPDATE b SET x = :x WHERE y = :y AND x <> :x")
    made = together((one, other))
    assert made.sql == (
        "WITH done0 AS (INSERT INTO a (x, y) VALUES ($1, $2)), done1 AS (UPDATE b SET x = $3 WHERE y = $4 AND x <> $3) SELECT 1"
    )


def test_what_names_a_table_that_another_changes_is_not_done_with_it() -> None:
    postponed = Postponed()
    postponed.add(numbered("UPDATE folder SET modseq = :modseq WHERE id = :folder"), [1, 2])
    assert not postponed.admits(numbered("UPDATE folder SET size = :size WHERE id = :folder"))
    assert not postponed.admits(numbered("INSERT INTO seen (key) SELECT m.key FROM message m JOIN folder ON true"))
    assert not postponed.admits(numbered("DELETE FROM seen USING folder WHERE seen.key = folder.id"))
    assert not postponed.admits(numbered("SELECT 1"))
    assert postponed.admits(numbered("INSERT INTO change (folder, modseq) VALUES (:folder, :modseq)"))
    assert postponed.admits(numbered("INSERT INTO change (owner, folder) VALUES (:owner, :folder)"))
    assert postponed.concerns("SELECT 1 FROM message, folder")
    assert not postponed.concerns("SELECT folder FROM change")
    # What one that waits looks at may be changed beside it: it sees what was before.
    postponed.forget()
    postponed.add(numbered("DELETE FROM filed WHERE key IN (SELECT key FROM message)"), [])
    assert postponed.admits(numbered("DELETE FROM message WHERE key = :key"))


def test_what_looks_at_what_goes_beside_it_sees_all_of_it(shared_url: str) -> None:
    """Each of the octets that go is noted, whatever the server does first."""
    bench = SharedBench(shared_url)
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(number), Flag.DELETED) for number in range(300)), 0))
    loosen, delete = (STATEMENTS[f"stretches.{name}_marked"] for name in ("loosen", "delete"))
    postponed = Postponed()
    postponed.add(loosen, [])
    assert postponed.admits(delete)
    bench.do(Expunge(inbox))
    assert bench.raw.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert bench.raw.execute("SELECT count(*) FROM loose").fetchone() == (300,)
    bench.check()
    bench.raw.close()


def test_each_change_of_ours_names_the_table_that_it_changes() -> None:
    changing = [one.sql for name, one in STATEMENTS.items() if not one.sql.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert len(changing) > 100
    for sql in changing:
        table = changed_by(sql.replace('"', ""))
        assert table is not None, sql
        assert table in names_in(sql), sql


def test_a_change_that_waits_is_seen_by_what_is_asked_next(shared_url: str) -> None:
    bench = SharedBench(shared_url)
    inbox = bench.inbox(bench.anna)

    def several(tx: Tx) -> list[tuple[int, int]]:
        found = []
        for number in (1, 2, 3):
            deeds.perform(tx, AppendMessages(inbox, (NewInFolder(letter(number)),), 0))
            deeds.perform(tx, ChangeFlags(inbox, ((number, number),), FlagMode.ADD, Flag.DELETED))
            row = folders.existing(tx, inbox)
            found.append((row.exists, row.deleted))
        deeds.perform(tx, Expunge(inbox, ((2, 3),)))
        row = folders.existing(tx, inbox)
        assert [one.uid for one in messages.rows(tx, inbox, ((1, 9),))] == [1]
        blobs.loosen(tx, bench.anna, [])
        return [*found, (row.exists, row.deleted)]

    assert bench.within(several) == [(1, 1), (2, 2), (3, 3), (1, 1)]
    bench.check()
    bench.raw.close()


def test_what_is_undone_is_not_done_later(shared_url: str, tmp_path: Path) -> None:
    bench = SharedBench(shared_url)

    def fails(tx: Tx) -> None:
        folders.charge(tx, bench.anna, 100)
        raise LookupError

    try:
        bench.within(fails)
    except LookupError:
        pass
    assert bench.used(bench.anna) == 0
    bench.raw.close()
