"""Sessions that are open, and which of them end when something changes."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.sessions import AT_ONCE, Confirmed, Sessions
from policy.identity import AccountId, Actor, Address
from policy.reasons import Defer, Reason, Refuse
from policy.scope import Scope
from store.errors import Busy
from store.port import DIRECTORY, FolderChanged, PolicyChanged, QueueChanged

ENDED = Refuse(Reason.SESSION_ENDED, "the password was changed")


def actor(number: int, via: int | None = None) -> Actor:
    who = None if via is None else Address(f"a{via}", "acme.test")
    return Actor(AccountId(number), Address(f"a{number}", "acme.test"), "", None if via is None else AccountId(via), who)


class Judge:
    """Stands for Login.confirm: who may not stay, and until when who may."""

    def __init__(self) -> None:
        self.out: dict[int, Refuse | Defer | Exception] = {}
        self.until: dict[int, int] = {}
        self.asked: list[int] = []
        self.rounds = 0

    async def __call__(self, actors: Collection[Actor]) -> Mapping[Actor, Confirmed]:
        self.rounds += 1
        self.asked += [actor.account for actor in actors]
        await asyncio.sleep(0)
        found: dict[Actor, Confirmed] = {}
        for actor in actors:
            verdict = self.out.get(actor.account)
            if isinstance(verdict, Exception):
                raise verdict
            found[actor] = Confirmed(verdict, self.until.get(actor.account))
        return found


@pytest.fixture
def judge() -> Judge:
    return Judge()


def opened(judge: Judge, per_account: int = 10) -> Sessions:
    return Sessions(judge, per_account, lambda peer: peer == "127.0.0.1", wall_clock=lambda: 0)


async def test_a_change_ends_the_sessions_of_that_account_only(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[tuple[int, Refuse | Defer]] = []
    for number in (1, 1, 2):
        assert sessions.add(actor(number), "imap", "192.0.2.1", lambda verdict, number=number: ends.append((number, verdict))) is not None
    await sessions.idle()
    judge.asked.clear()
    judge.out = {1: ENDED, 2: ENDED}
    sessions.told([FolderChanged(1, 1), QueueChanged(), PolicyChanged(frozenset({1}))])  # type: ignore[arg-type]
    await sessions.idle()
    assert ends == [(1, ENDED), (1, ENDED)]
    assert judge.asked == [1], "one question for both of its sessions"


async def test_a_change_of_the_directory_may_concern_everybody(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[int] = []
    for number in (1, 2, 3):
        sessions.add(actor(number), "imap", "192.0.2.1", lambda _, number=number: ends.append(number))
    await sessions.idle()
    judge.out = {2: ENDED}
    sessions.told([PolicyChanged(frozenset({DIRECTORY}))])
    await sessions.idle()
    assert ends == [2]


async def test_a_session_as_another_ends_with_either(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[str] = []
    sessions.add(actor(1, via=2), "imap", "192.0.2.1", lambda verdict: ends.append(verdict.detail))
    await sessions.idle()
    judge.out = {1: ENDED}
    for scope in (1, 2):
        sessions.told([PolicyChanged(frozenset({scope}))])
        await sessions.idle()
    assert len(ends) == 2


async def test_what_changed_between_the_login_and_the_session_is_noticed(judge: Judge) -> None:
    judge.out = {1: ENDED}
    ends: list[Refuse | Defer] = []
    sessions = opened(judge)
    sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    await sessions.idle()
    assert ends == [ENDED]


async def test_who_comes_while_nothing_changes_is_not_looked_at_twice(judge: Judge) -> None:
    judge.out = {1: ENDED, 2: ENDED}
    ends: list[int] = []
    sessions = opened(judge)
    before = sessions.heard
    sessions.told([FolderChanged(1, 1)])  # type: ignore[arg-type]
    sessions.add(actor(1), "imap", "192.0.2.1", lambda _: ends.append(1), heard=before)
    await sessions.idle()
    assert (judge.rounds, ends) == (0, [])
    sessions.told([PolicyChanged(frozenset({1}))])
    await sessions.idle()
    assert ends == [1], "what is told later ends it as any other"
    before = sessions.heard
    sessions.told([PolicyChanged(frozenset({2}))])
    sessions.add(actor(2), "imap", "192.0.2.1", lambda _: ends.append(2), heard=before)
    await sessions.idle()
    assert ends == [1, 2], "what was told while the password was looked at"


async def test_what_the_clock_may_end_is_looked_at_in_any_case(judge: Judge) -> None:
    sessions = opened(judge)
    scoped = replace(actor(3), scope=Scope(1, "phone"))
    for who in (actor(1, via=9), replace(actor(2), until=1), scoped):
        sessions.add(who, "imap", "192.0.2.1", lambda _: None, heard=sessions.heard)
    await sessions.idle()
    assert sorted(judge.asked) == [1, 2, 3]


@pytest.mark.parametrize("fault", [Busy("no reader"), RuntimeError("a fault of ours")])
async def test_who_cannot_be_confirmed_is_closed(judge: Judge, fault: Exception) -> None:
    judge.out = {1: fault}
    ends: list[Refuse | Defer] = []
    sessions = opened(judge)
    sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    await sessions.idle()
    assert ends == [Defer(Reason.BUSY)]


async def test_a_right_that_the_clock_ends_is_looked_at_again_then(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[Refuse | Defer] = []
    judge.until = {1: 50_000}  # microseconds; the clock of this test stands at 0
    sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    await sessions.idle()
    assert ends == []
    judge.out = {1: ENDED}
    for _ in range(100):
        if ends:
            break
        await asyncio.sleep(0.02)
    assert ends == [ENDED]


async def test_a_thousand_changes_in_a_row_cost_few_questions(judge: Judge) -> None:
    sessions = opened(judge)
    for number in range(1, 41):
        sessions.add(actor(number), "imap", "192.0.2.1", lambda _: None)
    await sessions.idle()
    judge.rounds = 0
    for _ in range(1000):
        sessions.told([PolicyChanged(frozenset({DIRECTORY}))])
    await sessions.idle()
    assert judge.rounds <= 2


async def test_everybody_is_looked_at_once_in_few_snapshots(judge: Judge) -> None:
    sessions = opened(judge)
    for number in range(1, 201):
        sessions.add(actor(number), "imap", "192.0.2.1", lambda _: None)
    await sessions.idle()
    judge.asked.clear()
    judge.rounds = 0
    for _ in range(300):
        sessions.told([PolicyChanged(frozenset({DIRECTORY}))])
    await sessions.idle()
    assert sorted(judge.asked) == [*range(1, 201)]
    assert judge.rounds == 200 // AT_ONCE


async def test_who_is_named_does_not_wait_for_everybody(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[int] = []
    for number in range(1, 201):
        sessions.add(actor(number), "imap", "192.0.2.1", lambda _, number=number: ends.append(number))
    await sessions.idle()
    judge.asked.clear()
    sessions.told([PolicyChanged(frozenset({DIRECTORY}))])
    sessions.told([PolicyChanged(frozenset({150}))])
    await sessions.idle()
    assert 150 in judge.asked[:AT_ONCE]


async def test_what_changes_while_it_is_looked_at_is_looked_at_again(judge: Judge) -> None:
    sessions = opened(judge)
    sessions.add(actor(1), "imap", "192.0.2.1", lambda _: None)
    while not judge.rounds:
        await asyncio.sleep(0)
    sessions.told([PolicyChanged(frozenset({1}))])
    await sessions.idle()
    assert judge.asked == [1, 1]


async def test_nobody_is_looked_at_by_the_clock_after_he_left(judge: Judge) -> None:
    judge.until = {1: 50_000}
    sessions = opened(judge)
    leave = sessions.add(actor(1, via=2), "imap", "192.0.2.1", lambda _: None)
    assert leave is not None
    await sessions.idle()
    leave()
    await asyncio.sleep(0.1)
    assert judge.asked == [1]


async def test_after_a_fault_the_next_change_is_looked_at(judge: Judge) -> None:
    judge.out = {1: RuntimeError("a fault of ours")}
    ends: list[Refuse | Defer] = []
    sessions = opened(judge)
    sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    await sessions.idle()
    judge.out = {1: ENDED}
    sessions.told([PolicyChanged(frozenset({1}))])
    await sessions.idle()
    assert ends == [Defer(Reason.BUSY), ENDED]


async def test_an_account_has_so_many_sessions_and_no_more(judge: Judge) -> None:
    sessions = opened(judge, per_account=2)
    leave = [sessions.add(actor(1), "imap", "192.0.2.1", lambda _: None) for _ in range(3)]
    assert leave[0] is not None
    assert leave[2] is None
    assert sessions.add(actor(2), "imap", "192.0.2.1", lambda _: None) is not None
    assert sessions.add(actor(1), "imap", "127.0.0.1", lambda _: None) is not None, "exempt sources are not counted"
    leave[0]()
    leave[0]()
    assert len(sessions.rows()) == 3
    await sessions.idle()


async def test_who_left_is_not_told(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[Refuse | Defer] = []
    leave = sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    assert leave is not None
    await sessions.idle()
    leave()
    judge.out = {1: ENDED}
    sessions.told([PolicyChanged(frozenset({1, DIRECTORY}))])
    await sessions.idle()
    assert ends == []
    assert sessions.rows() == []


async def test_rows(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[Refuse | Defer] = []
    sessions.add(actor(1), "imap", "192.0.2.1", ends.append)
    sessions.add(actor(3, via=2), "smtp", "192.0.2.2", ends.append)
    rows: Sequence[object] = [(row.number, row.account, row.acting, row.protocol, row.peer) for row in sessions.rows()]
    assert rows == [(1, "a1@acme.test", "", "imap", "192.0.2.1"), (2, "a3@acme.test", "a2@acme.test", "smtp", "192.0.2.2")]
    assert ends == []
    await sessions.idle()
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_database_that_is_away_for_a_moment_ends_nobody(judge: Judge) -> None:
    sessions = opened(judge)
    ends: list[int] = []
    sessions.add(actor(1), "imap", "192.0.2.1", lambda _: ends.append(1))
    await sessions.idle()
    judge.rounds = 0
    judge.out = {1: Busy("the connection was lost")}
    sessions.told([PolicyChanged(frozenset({1}))])
    while judge.rounds < 2:
        await asyncio.sleep(0.01)
    judge.out = {}
    await sessions.idle()
    assert ends == []
    judge.out = {1: ENDED}
    sessions.told([PolicyChanged(frozenset({1}))])
    await sessions.idle()
    assert ends == [1]
