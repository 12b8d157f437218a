"""What the store has dated moves with a clock that is set, and what people chose does not."""

from policy.login import FOREVER, Failure
from store import login
from store.accounts import DeleteAccount
from store.digest import BeginDigests
from store.login import RecordFailure
from store.model import QueueKind
from store.queue import AcceptMessage, ClaimDue, OntoQueue, Reschedule
from store.stepped import NEAR, ClockStepped, DatedAhead
from tests.store.letters import START, Bench, letter

SECOND = 1_000_000
HOUR = 3600 * SECOND
YEAR = 365 * 24 * HOUR


def queued(bench: Bench, name: str, due: int) -> None:
    row = OntoQueue(QueueKind.RELAY, f"{name}@elsewhere.test", letter(), "anna@acme.test", bench.now + 5 * 24 * HOUR, due=due)
    bench.do(AcceptMessage("", queued=(row,)))


def rows(bench: Bench) -> dict[str, tuple[int, int, int]]:
    """Recipient → due, created, expires, each from START."""
    found = bench.raw.execute("SELECT recipient, due, created, expires FROM queue").fetchall()
    return {name.partition("@")[0]: (due - START, created - START, expires - START) for name, due, created, expires in found}


def test_what_waits_in_the_queue_waits_as_long_as_it_would_have(bench: Bench) -> None:
    queued(bench, "soon", START + HOUR)
    for by in (YEAR, -2 * YEAR, YEAR):
        before = bench.now
        bench.now += by
        bench.do(ClockStepped(by, before))
    assert rows(bench)["soon"] == (HOUR, 0, 5 * 24 * HOUR), "there and back again"


def test_a_release_soon_is_moved_in_what_the_row_says_of_it_too(bench: Bench) -> None:
    """And nothing else that looks like it: what people chose is escaped."""
    at = START + HOUR
    said = f'{{"postponed": {{"at": {at}, "path": "\\"at\\": {at},"}}}}'
    message, expires = letter(), START + 5 * 24 * HOUR
    row = OntoQueue(QueueKind.RELAY, "x@elsewhere.test", message, "anna@acme.test", expires, parameters=said, due=at)
    bench.do(AcceptMessage("", queued=(row,)))
    bench.now -= YEAR
    bench.do(ClockStepped(-YEAR, START))
    ((parameters,),) = bench.raw.execute("SELECT parameters FROM queue").fetchall()
    assert parameters == said.replace(f'"postponed": {{"at": {at}', f'"postponed": {{"at": {at - YEAR}')


def test_on_by_a_year_nothing_is_due_or_has_had_its_time(bench: Bench) -> None:
    queued(bench, "soon", START + HOUR)
    queued(bench, "chosen", START + NEAR + HOUR)
    bench.now += YEAR
    assert bench.do(ClockStepped(YEAR, START)) == 1
    assert rows(bench) == {
        "soon": (YEAR + HOUR, YEAR, YEAR + 5 * 24 * HOUR),
        "chosen": (NEAR + HOUR, YEAR, YEAR + 5 * 24 * HOUR),
    }


def test_what_a_clock_ahead_has_dated_is_not_moved_further(bench: Bench) -> None:
    """A machine that begins in the past: what waits from before is there still when the clock is right again."""
    queued(bench, "before", START + HOUR)
    bench.now = START - YEAR
    queued(bench, "now", bench.now + HOUR)
    bench.now = START + HOUR
    bench.do(ClockStepped(YEAR + HOUR, START - YEAR))
    found = rows(bench)
    assert found["before"] == (HOUR, 0, 5 * 24 * HOUR)
    assert found["now"] == (2 * HOUR, HOUR, HOUR + 5 * 24 * HOUR)


def test_lockouts_last_as_long_as_they_would_have(bench: Bench) -> None:
    for number in range(10):
        bench.do(RecordFailure(bench.anna, Failure(START, "192.0.2.0/24", number)))
    before = bench.ask(login.history, bench.anna)
    assert before.locked_until is not None
    bench.raw.execute("INSERT INTO lockout (account, until) VALUES (?, ?)", (bench.bruno, FOREVER))
    bench.now += YEAR
    bench.do(ClockStepped(YEAR, START))
    after = bench.ask(login.history, bench.anna)
    assert after.locked_until == before.locked_until + YEAR
    assert [one.at for one in after.failures] == [one.at + YEAR for one in before.failures]
    assert bench.ask(login.history, bench.bruno).locked_until == FOREVER


def test_deleted_accounts_can_be_restored_as_long_as_was_said(bench: Bench) -> None:
    bench.do(DeleteAccount(bench.anna, 30 * 24 * HOUR))
    bench.now += YEAR
    bench.do(ClockStepped(YEAR, START))
    assert bench.raw.execute("SELECT until FROM deleted_account").fetchall() == [(START + YEAR + 30 * 24 * HOUR,)]


def test_digests_do_not_wait_for_a_clock_that_was_set_back(bench: Bench) -> None:
    bench.do(BeginDigests())
    bench.now -= YEAR
    bench.do(ClockStepped(-YEAR, START))
    assert set(bench.raw.execute("SELECT sent FROM digest").fetchall()) == {(START - YEAR,)}


def test_what_nobody_saw_being_dated_ahead_is_due_once_the_clock_is_said_to_be_right(bench: Bench) -> None:
    """The clock was a year ahead while a server ran, and right again before the next one began."""
    queued(bench, "never tried", START - HOUR)
    queued(bench, "put off then", START + YEAR + HOUR)
    before = "UPDATE queue SET created = created - ?, expires = expires - ?"
    bench.raw.execute(before, (HOUR, HOUR))
    bench.now = START + YEAR
    queued(bench, "came then", bench.now + HOUR)
    waiting(bench, "recalled", "release", bench.now + 60 * SECOND)
    waiting(bench, "chosen", "release", bench.now + NEAR + HOUR)
    waiting(bench, "held", "post", bench.now + 7 * 24 * HOUR)
    bench.now = START
    days = 5 * 24 * HOUR
    for _ in range(2):
        bench.do(DatedAhead(START))
        assert rows(bench) == {
            "never tried": (-HOUR, -HOUR, days - HOUR),
            "put off then": (0, -HOUR, days - HOUR),
            "came then": (0, 0, days),
            "recalled": (60 * SECOND, 0, days),
            "chosen": (YEAR + NEAR + HOUR, 0, days),
            "held": (YEAR + 7 * 24 * HOUR, 0, days),
        }
    said = dict(bench.raw.execute("SELECT recipient, parameters FROM queue").fetchall())
    assert said["recalled@elsewhere.test"] == f'{{"release": {{"at": {START + 60 * SECOND}, "path": ""}}}}'
    assert said["chosen@elsewhere.test"] == f'{{"release": {{"at": {START + YEAR + NEAR + HOUR}, "path": ""}}}}'


def test_what_is_being_handed_on_meanwhile_is_left_with_who_has_it(bench: Bench) -> None:
    queued(bench, "in hand", START)
    (row,) = bench.do(ClaimDue("somebody", START + HOUR, 10))
    assert bench.do(DatedAhead(START)) == 0
    assert bench.do(ClaimDue("somebody else", START + HOUR, 10)) == ()
    bench.do(Reschedule(row.id, "somebody", START + HOUR, "451 later"))
    assert bench.do(DatedAhead(START)) == 1


def waiting(bench: Bench, name: str, kind: str, at: int) -> None:
    said = f'{{"{kind}": {{"at": {at}, "path": ""}}}}'
    expires = bench.now + 5 * 24 * HOUR
    row = OntoQueue(QueueKind.RELAY, f"{name}@elsewhere.test", letter(), "anna@acme.test", expires, parameters=said, due=at)
    bench.do(AcceptMessage("", queued=(row,)))
