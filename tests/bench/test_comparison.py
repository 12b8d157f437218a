"""The arithmetic of `make bench`, its table and its file, and one case that is played on procura alone; nothing depends on a clock."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.bench.comparison import ratios, table
from tests.bench.comparison.__main__ import arguments, is_comparable, turn
from tests.bench.comparison.cases import CASES, ROWS, Bench, Sizes
from tests.bench.comparison.letters import RARE, SENDER, SUBJECT, letter, plain
from tests.bench.comparison.load import Clock, Figure, Imap, Wrong, counted, mean, middle
from tests.bench.comparison.peers import Dovecot, Hibernating, Mdbox, Postfix, Procura
from tests.bench.comparison.ratios import NOTHING, Kind, Recorded, Row, compared, lost, read, written
from tests.bench.results import RESULTS, placed

MAIL = Row("lmtp", "LMTP", ("mdbox", "maildir"), 2, Kind.MESSAGES)
SEARCH = Row("search", "SEARCH", ("mdbox",), 2, Kind.MILLISECONDS)
LATE = Row("late", "to EXISTS", ("hibernating",), 5, Kind.AT_MOST)


def ms(*costs: float, cpu: float | None = None) -> list[Figure]:
    return [Figure(cost / 1000, None if cpu is None else cpu / 1000) for cost in costs]


# --- ratios


def test_a_ratio_says_how_many_times_less_it_costs() -> None:
    found = compared(MAIL, {"procura": ms(2, cpu=1), "mdbox": ms(5, cpu=3)})
    assert (found.wall, found.cpu) == pytest.approx((2.5, 3))
    assert found.better == "mdbox"


def test_medians_are_compared() -> None:
    found = compared(MAIL, {"procura": ms(100, 1, 2), "mdbox": ms(4, 0.1, 90)})
    assert found.wall == pytest.approx(2)


def test_the_peer_that_is_better_counts_by_time_and_by_processor_time() -> None:
    found = compared(MAIL, {"procura": ms(1, cpu=1), "mdbox": ms(2, cpu=6), "maildir": ms(3, cpu=4)})
    assert (found.wall, found.cpu) == pytest.approx((2, 4))
    assert found.better == "mdbox"


@pytest.mark.parametrize(
    "turns", [{"procura": ms(1)}, {"mdbox": ms(1)}, {"procura": ms(1), "other": ms(1)}, {"procura": [], "mdbox": ms(1)}]
)
def test_without_one_of_both_there_is_no_ratio(turns: dict[str, list[Figure]]) -> None:
    found = compared(MAIL, turns)
    assert (found.wall, found.cpu, found.better, found.reached) == (None, None, None, "")


@pytest.mark.parametrize(
    ("row", "ours", "theirs", "reached"),
    [
        (MAIL, ms(1, cpu=1), ms(2, cpu=1), "yes"),
        (MAIL, ms(1.01, cpu=1), ms(2, cpu=1), "no"),
        (MAIL, ms(3, cpu=1), ms(2, cpu=2), "by processor time"),
        (LATE, ms(5), ms(1), "yes"),
        (LATE, ms(5.1), ms(100), "no"),
    ],
)
def test_a_goal_is_reached_or_not(row: Row, ours: list[Figure], theirs: list[Figure], reached: str) -> None:
    assert compared(row, {"procura": ours, row.against[0]: theirs}).reached == reached


def test_what_costs_nothing_has_a_ratio_yet() -> None:
    assert compared(SEARCH, {"procura": ms(0), "mdbox": ms(1)}).wall == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("now", "before", "part"), [(3.0, 4.0, 0.25), (5.0, 4.0, 0.0), (None, 4.0, 0.0), (3.0, None, 0.0), (3.0, 0.0, 0.0)]
)
def test_what_is_lost_is_a_part_of_what_was_recorded(now: float | None, before: float | None, part: float) -> None:
    assert lost(now, before) == pytest.approx(part)


def test_more_than_a_fifth_is_shown_and_less_is_not() -> None:
    recorded = Recorded({}, {"lmtp": {"wall": 2.0, "cpu": 4.0}})
    found = compared(MAIL, {"procura": ms(1, cpu=1), "mdbox": ms(1.7, cpu=3)})
    assert recorded.lost(found) == {"cpu": pytest.approx(0.25)}
    assert table.marks(found, recorded) == "LOST 25% (cpu)"


def test_medians_and_means_keep_what_was_not_measured_apart() -> None:
    assert middle([Figure(1, None), Figure(3, 0.5), Figure(2, None)]) == Figure(2, 0.5)
    assert mean([Figure(1, 0.01), Figure(3, 0)]) == Figure(2, 0.005)


# --- the file and the tables


def test_what_is_written_is_read_again_and_rows_that_were_not_measured_stay(tmp_path: Path) -> None:
    kept = tmp_path / "ratios.json"
    told: dict[str, Any] = {"date": "2026-11-22", "machine": "2 cores", "busy": 0.1, "rounds": 3, "peers": {"mdbox": "Dovecot 2.3"}}
    kept.write_text(written(told, [compared(MAIL, {"procura": ms(2, cpu=1), "mdbox": ms(5, cpu=3)})]))
    kept.write_text(written(told, [compared(SEARCH, {"procura": ms(2), "mdbox": ms(5)})], read(kept)))
    again = read(kept)
    assert (again.ratios["lmtp"]["wall"], again.ratios["lmtp"]["cpu"], again.ratios["lmtp"]["goal"]) == (2.5, 3, 2)
    assert again.ratios["search"]["wall"] == 2.5
    assert again.ratios["search"]["cpu"] is None
    assert again.told == told


def test_a_row_without_a_ratio_is_not_recorded(tmp_path: Path) -> None:
    assert json.loads(written({}, [compared(MAIL, {"procura": ms(1)})]))["rows"] == {}
    assert read(tmp_path / "none.json") == NOTHING


def test_the_text_shows_ratio_recorded_ratio_goal_and_what_is_wrong() -> None:
    found = compared(MAIL, {"procura": ms(2, cpu=1), "mdbox": ms(5, cpu=3)}, ["maildir: Wrong answers"])
    (head, line) = table.text([found], Recorded({}, {"lmtp": {"wall": 4.0, "cpu": 3.1}})).splitlines()
    assert head.split() == ["procura", "better", "peer", "ratio", "processor", "recorded", "goal"]
    cells = [cell for cell in line.split("  ") if cell]
    assert [one.strip() for one in cells] == [
        "LMTP",
        "500 msg/s (1)",
        "200 msg/s (3) mdbox",
        "2.50",
        "3.00",
        "4.00 / 3.10",
        "2 ✓",
        "LOST 38% (wall); ERROR maildir: Wrong answers",
    ]


def test_a_client_that_was_busy_is_named() -> None:
    found = compared(MAIL, {"procura": [Figure(1, 1, 0.95)], "mdbox": [Figure(1, 1, 0.3)]})
    assert table.marks(found, NOTHING) == "the client was busy (procura)"


@pytest.mark.parametrize(("kept_busy", "doubtful"), [(0.1, False), (1.9, True)])
def test_the_page_has_the_recorded_rows_in_order_and_says_when_the_machine_was_busy(kept_busy: float, doubtful: bool) -> None:
    told: dict[str, Any] = {"date": "2026-11-22", "machine": "2 cores", "busy": kept_busy, "rounds": 3, "peers": {"mdbox": "Dovecot 2.3"}}
    founds = [compared(row, {"procura": ms(2, cpu=1), row.against[0]: ms(5, cpu=3)}) for row in (SEARCH, LATE, MAIL)]
    kept = json.loads(written(told, founds))
    rows = (MAIL, SEARCH, LATE)
    page = table.page(Recorded(told, kept["rows"]), {row.key: row.words for row in rows}, {row.key: row.kind for row in rows})
    assert page.splitlines()[4:] == [
        "| LMTP | 500 msg/s (1) | 200 msg/s (3) mdbox | 2.50 | 3.00 | 2 |",
        "| SEARCH | 2 ms (1) | 5 ms (3) mdbox | 2.50 | 3.00 | 2 |",
        "| to EXISTS | 2 ms (1) | 5 ms (3) hibernating | 2.50 | 3.00 | 5 ms |",
    ]
    assert ("The machine was busy" in page) is doubtful


def test_what_is_recorded_goes_between_its_own_marks_and_nowhere_else() -> None:
    document = "before\n<!-- one: begin -->\nold\n<!-- one: end -->\n<!-- two: begin -->\nother\n<!-- two: end -->\n"
    assert placed(document, "one", "new") == document.replace("old", "\nnew\n")
    with pytest.raises(ValueError, match="marks"):
        placed(document, "three", "new")


@pytest.mark.parametrize("name", ["comparison", "decisions", "startup", "memory"])
def test_results_have_a_place_for_what_each_command_records(name: str) -> None:
    assert placed(RESULTS.read_text(), name, "new") != RESULTS.read_text()


def test_other_sizes_are_neither_compared_nor_recorded() -> None:
    assert is_comparable(arguments(["--rounds", "1", "--record"]))
    assert not is_comparable(arguments(["--messages", "2000"]))
    for wrong in (["--idle", "5", "--record"], ["--cases", "nonsense"]):
        with pytest.raises(SystemExit):
            arguments(wrong)


# --- cases, letters, clients


def test_every_row_has_its_key_once_and_peers_that_exist() -> None:
    keys = [row.key for row in ROWS]
    assert len(keys) == len(set(keys)) == 39
    assert {name for row in ROWS for name in row.against} == {one.name for one in (Mdbox, Dovecot, Hibernating, Postfix)}
    assert len({case.name for case in CASES}) == len(CASES)


def test_letters_are_the_same_every_time_and_hold_what_they_say() -> None:
    for number in range(300):
        one = letter(number)
        assert one == letter(number)
        assert b"\n." not in one.octets
        assert one.octets.count(b"\n") == one.octets.count(b"\r\n")
        assert (RARE.encode() in one.octets) is one.has_rare
        assert (f"From: {SENDER} ".encode() in one.octets) is one.has_sender
        assert max(map(len, one.octets.split(b"\r\n"))) < 200
        assert one.has_subject or SUBJECT.encode() not in one.octets
    assert len(plain(1, 4096)) == pytest.approx(4096, abs=80)


def test_answers_are_counted_by_lines() -> None:
    said = b"\r\n* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* LIST () NIL x\r\n* 3 EXISTS\r\nt1 OK FETCH done\r\n"
    assert (counted(said), counted(said, b"LIST"), counted(said, b"EXPUNGE")) == (2, 1, 0)


def test_a_clock_tells_what_one_operation_cost() -> None:
    told = iter((10.0, 16.0))
    figure = Clock(lambda: next(told)).figure(3)
    assert figure.cpu == pytest.approx(2)
    assert figure.cost > 0
    with pytest.raises(Wrong):
        Clock(lambda: 0.0).figure(0)


async def test_what_a_server_refuses_is_wrong() -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        for answer in (b"OK done", b"NO never"):
            tag = (await reader.readline()).split()[0]
            writer.write(b"* 1 FETCH (UID 1)\r\n" + tag + b" " + answer + b"\r\n")
        await reader.readline()
        writer.close()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        client = await Imap.to(listening.sockets[0].getsockname()[1])
        assert counted(await client.do("NOOP")) == 1
        with pytest.raises(Wrong, match="NO never"):
            await client.do("NOOP")
        with pytest.raises(Wrong, match="closed"):
            await client.do("NOOP")


@pytest.mark.slow
def test_some_cases_run_on_procura_alone(tmp_path: Path) -> None:
    peer = Procura(tmp_path)
    sizes = Sizes(seconds=0.02, messages=120, folders=12, sharers=3, some=20, visible=12, idle=12, probes=3)
    peer.start()
    try:
        bench = Bench(peer, sizes)
        chosen = {"submit-8", "lmtp", "append-many", "select", "fetch-flags", "search-subject", "copy", "list", "shared", "mixed"}
        rows: dict[str, Figure] = {}
        for case in CASES:
            if case.name in chosen:
                rows |= uvloop.run(turn(case, bench))
        assert rows.keys() == {row.key for case in CASES if case.name in chosen for row in case.rows}
        assert all(figure.cost > 0 for figure in rows.values())
        assert peer.memory() > 10_000
    finally:
        peer.stop()


def test_a_wrong_number_of_answers_is_an_error() -> None:
    assert ratios.compared(MAIL, {"procura": ms(1), "mdbox": ms(1)}, ["mdbox: 3 answers instead of 4"]).faults == (
        "mdbox: 3 answers instead of 4",
    )
