"""The directory of backups: what is kept once, what is never written over, which names are believed."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.backups import FORMAT, PIECE, Backups, Damaged, Kept, Run, is_name, read_contents
from store.errors import InUse, NotFound, Unusable

SECOND = 1_000_000
AT = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z
PLACE = "ab/" + "0" * 32


def unwatched(what: str, done: int, total: int) -> None:
    assert 0 <= done <= max(total, done)


def made(backups: Backups, directory: Path, database: bytes, at: int = AT, message: bytes = b"m" * 10) -> Run:
    """A backup of a database and one message."""
    directory.mkdir(exist_ok=True)
    (directory / "db").write_bytes(database)
    (directory / "m").write_bytes(message)
    (directory / "secret.key").write_bytes(b"key")
    with backups.held():
        draft = backups.begin(at)
        size = backups.keep_database(draft, directory / "db", unwatched)
        backups.keep_message(draft, (directory / "m").read_bytes, Kept(PLACE, sha256(message).hexdigest(), len(message)))
        backups.keep_other(draft, directory / "secret.key")
        return backups.finish(draft, version="1", schema=14, database=size)


def test_what_is_there_is_not_kept_again_and_comes_back_the_same(tmp_path: Path) -> None:
    backups = Backups(tmp_path / "b")
    first = bytes(PIECE) + b"1" * PIECE + b"end"
    second = bytes(PIECE) + b"2" * PIECE + b"end"
    one = made(backups, tmp_path / "data", first)
    two = made(backups, tmp_path / "data", second, AT + SECOND)
    assert (one.added, two.added) == (len(first) + 13, PIECE)
    assert [run.id for run in backups.runs()] == ["20270115T080000.000000Z", "20270115T080001.000000Z"]
    for run, octets in ((one, first), (two, second)):
        target = tmp_path / run.id
        backups.database(run, backups.contents(run), target, unwatched)
        assert target.read_bytes() == octets
        assert target.stat().st_mode & 0o777 == 0o600
    assert backups.faults(backups.names(), unwatched) == []


@pytest.mark.parametrize(
    ("moment", "found"),
    [(None, 2), (AT + 9 * SECOND, 2), (AT + 2 * SECOND, 2), (AT + 2 * SECOND - 1, 1), (AT, 1), (AT - 1, None)],
)
def test_the_run_of_a_moment(tmp_path: Path, moment: int | None, found: int | None) -> None:
    backups = Backups(tmp_path / "b")
    runs = [made(backups, tmp_path / "data", b"x", at) for at in (AT + 5, AT + 2 * SECOND + 999_999)]
    if found is None:
        with pytest.raises(NotFound):
            backups.at(moment)
    else:
        assert backups.at(moment) == runs[found - 1]


def test_a_run_that_did_not_end_is_none_and_goes_with_the_next(tmp_path: Path) -> None:
    backups = Backups(tmp_path / "b")
    with backups.held():
        draft = backups.begin(AT)
        backups.keep(draft, b"half")
    assert (backups.runs(), backups.unfinished()) == ([], ["20270115T080000.000000Z.unfinished"])
    run = made(backups, tmp_path / "data", b"x", AT + 1)
    assert (backups.runs(), backups.unfinished()) == ([run], [])
    with backups.held():
        assert backups.prune(1) == []
    assert backups.faults([run.id], unwatched) == []
    assert len(list((tmp_path / "b" / "objects").glob("*/*"))) == 3


def test_pruning_believes_no_damaged_list(tmp_path: Path) -> None:
    backups = Backups(tmp_path / "b")
    runs = [made(backups, tmp_path / "data", bytes([number]), AT + number) for number in range(3)]
    contents = tmp_path / "b" / "runs" / runs[2].id / "contents"
    contents.write_bytes(contents.read_bytes() + b"\n")
    with backups.held(), pytest.raises(Damaged):
        backups.prune(1)
    assert [run.id for run in backups.runs()] == [run.id for run in runs]
    assert backups.faults([runs[0].id, runs[1].id], unwatched) == []


def test_one_at_a_time(tmp_path: Path) -> None:
    with Backups(tmp_path / "b").held(), pytest.raises(InUse), Backups(tmp_path / "b").held():
        pass


@pytest.mark.parametrize("text", ["", "{}", "[]", "no", json.dumps({"format": FORMAT + 1}), '{"format": {}}'])
def test_a_mark_that_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "procura-backups").write_text(text)
    with pytest.raises(Unusable):
        Backups(tmp_path).check()


@given(st.sampled_from(["id", "at", "contents", "missing", "digest", "format"]), st.none() | st.integers() | st.text(max_size=3))
def test_a_manifest_that_was_changed_is_damaged(tmp_path_factory: pytest.TempPathFactory, name: str, value: object) -> None:
    directory = tmp_path_factory.mktemp("b")
    backups = Backups(directory / "b")
    run = made(backups, directory / "data", b"x")
    manifest = directory / "b" / "runs" / run.id / "manifest"
    said = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**said, name: value}))
    if said[name] != value:
        with pytest.raises(Damaged):
            backups.run(run.id)


@given(st.binary(max_size=200))
def test_a_list_is_read_or_it_is_not(octets: bytes) -> None:
    found = read_contents(octets)
    assert found is None or found.hashes() or not octets.strip(b"\n")


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/x", ".", "..", ".hidden", "", "a\nb", "a\0", "ä", "a b", "x" * 102], ids=lambda name: repr(name)[:12]
)
def test_names_that_lead_elsewhere_are_not_believed(name: str) -> None:
    assert not is_name(name)
    digest = "0" * 64
    if "\n" not in name:
        assert read_contents(f"file {digest} 1 {name}\n".encode()) is None
    assert read_contents(f"message {digest} 1 {name}\n".encode()) is None
    assert is_name("secret.key")


def test_what_a_killed_run_has_left_is_on_the_disk_before_another_rests_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backups = Backups(tmp_path / "b")
    with backups.held():
        left = backups.begin(AT)
        digest = backups.keep(left, b"database")
        backups.keep_message(left, lambda: b"m" * 10, Kept(PLACE, sha256(b"m" * 10).hexdigest(), 10))
    synced: list[Path] = []
    monkeypatch.setattr("store.backups.sync_directory", synced.append)
    run = made(backups, tmp_path / "data", b"database", AT + SECOND)
    assert run.added == len(b"key")
    objects = tmp_path / "b" / "objects"
    assert {objects, *(objects / one[:2] for one in (digest, sha256(b"m" * 10).hexdigest()))} <= set(synced)
