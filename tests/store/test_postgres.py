"""What PostgreSQL asks of us beyond what every engine must do: several writers at once, and connections that are lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.identity import AccountId, Address, FolderId
from policy.status import AccountStatus
from store import audit, folders, messages, postgres, postgres_session, queue
from store.accounts import CreateAccount, SetAccountStatus
from store.appending import AppendMessages, NewInFolder
from store.audit import AuditEntry, RecordAudit
from store.connect import connect
from store.deeds import Audited, Several
from store.domains import CreateDomain
from store.errors import Busy, Stale, Unusable
from store.model import QueueKind
from store.port import EverythingChanged, FolderChanged, PolicyChanged, Store
from store.queue import AcceptMessage, ClaimDue, FreeLeases, HandedOn, IntoMailbox, OntoQueue
from store.writer import Bounds
from tests.live.cluster import Cluster, missing
from tests.live.severing import Cut, Severing
from tests.store.letters import letter

SECONDS = 30.0


@asynccontextmanager
async def node(url: str, where: Path, **more: Any) -> AsyncIterator[Store]:
    store = await connect(url, where, **more)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def one(shared_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with node(shared_url, tmp_path / "one") as store:
        await store.do(CreateDomain("acme.test"))
        yield store


@pytest.fixture
async def other(one: Store, shared_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with node(shared_url, tmp_path / "other") as store:
        yield store


async def account(store: Store, name: str = "anna") -> tuple[AccountId, FolderId]:
    number = await store.do(CreateAccount(Address(name, "acme.test")))
    async with store.snapshot() as snapshot:
        inbox = await snapshot.ask(folders.by_path, number, "/INBOX")
    assert inbox is not None
    return number, inbox.id


async def uids(store: Store, folder: FolderId) -> list[int]:
    async with store.snapshot() as snapshot:
        return [int(row.uid) for row in await snapshot.ask(messages.rows, folder, ((1, 1 << 31),))]


async def ids(store: Store, folder: FolderId) -> list[str]:
    """The Message-IDs, in the order of the UIDs."""
    async with store.snapshot() as snapshot:
        return [head.message_id for head in await snapshot.ask(messages.heads, folder, ((1, 1 << 31),))]


def mail(owner: AccountId, number: int) -> AcceptMessage:
    return AcceptMessage(f"key-{number}", (IntoMailbox(owner, letter(number), 0),))


async def until(true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + SECONDS
    while True:
        found = true()
        if found if isinstance(found, bool) else await found:
            return
        assert loop.time() < ends, what
        await asyncio.sleep(0.02)


# --- several writers


async def test_what_two_nodes_deliver_at_once_has_uids_in_the_order_in_which_it_becomes_visible(one: Store, other: Store) -> None:
    anna, inbox = await account(one)
    seen: list[list[int]] = []
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            seen.append(await uids(other, inbox))

    looking = asyncio.create_task(look())
    draw = random.Random(7)
    await asyncio.gather(*(draw.choice((one, other)).do(mail(anna, number)) for number in range(60)))
    done.set()
    await looking
    assert await uids(one, inbox) == [*range(1, 61)]
    # Nobody ever sees a UID while a lower one is still to come.
    assert all(found == [*range(1, len(found) + 1)] for found in seen)


async def test_many_accounts_from_two_nodes_at_once_are_in_nobodys_way(one: Store, other: Store) -> None:
    several = [await account(one, f"user{number}") for number in range(6)]
    draw = random.Random(3)

    async def deliver(number: int) -> None:
        # Two owners in one deed, in either order: locks in the order of the deeds would be a deadlock.
        (first, _), (second, _) = draw.sample(several, 2)
        copies = tuple(IntoMailbox(owner, letter(number), 0) for owner in (first, second))
        await draw.choice((one, other)).do(AcceptMessage(f"key-{number}", copies))

    await asyncio.gather(*(deliver(number) for number in range(80)))
    assert sum([len(await uids(other, inbox)) for _, inbox in several]) == 160


async def test_the_chain_of_the_record_holds_whoever_writes_it(one: Store, other: Store) -> None:
    anna, inbox = await account(one)
    deeds: list[Any] = []
    for number in range(40):
        entry = AuditEntry(f"d-{number}", "opened", True, actor=anna)
        deeds.append(RecordAudit((entry,)) if number % 2 else Audited(AppendMessages(inbox, (NewInFolder(letter(number)),), 0), (entry,)))
    draw = random.Random(5)
    await asyncio.gather(*(draw.choice((one, other)).do(deed) for deed in deeds))
    async with other.snapshot() as snapshot:
        assert await snapshot.work(audit.verify) is None
        assert (await snapshot.ask(audit.head)).number == 40


async def test_one_that_is_undone_leaves_the_others_of_its_group(one: Store) -> None:
    anna, inbox = await account(one)
    taken = CreateAccount(Address("anna", "acme.test"))
    entry = AuditEntry("d-1", "opened", True, actor=anna)
    gone = AppendMessages(FolderId(999_999), (NewInFolder(letter(1)),), 0)
    deeds = [mail(anna, 1), Audited(gone, (entry,)), mail(anna, 2), taken, Audited(mail(anna, 3), (entry,)), Several((mail(anna, 4), gone))]
    answers = await asyncio.gather(*(one.do(deed) for deed in deeds), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["Accepted", "NotFound", "Accepted", "Conflict", "Accepted", "NotFound"]
    assert sorted(await ids(one, inbox)) == ["<1@acme.test>", "<2@acme.test>", "<3@acme.test>"]
    async with one.snapshot() as snapshot:
        assert await snapshot.work(audit.verify) is None


async def test_the_same_key_on_two_nodes_at_once_is_one_message(one: Store, other: Store) -> None:
    anna, _inbox = await account(one)
    bruno, _ = await account(one, "bruno")
    for number in range(10):
        # Different accounts, so that only the key is in both's way.
        here, there = AcceptMessage(f"k{number}", (IntoMailbox(anna, letter(number), 0),)), AcceptMessage(f"k{number}", ())
        answers = await asyncio.gather(
            one.do(here), other.do(there), one.do(AcceptMessage(f"k{number}", (IntoMailbox(bruno, letter(1), 0),)))
        )
        assert sorted(answer.repeated for answer in answers) == [False, True, True]


async def test_what_was_judged_on_another_node_and_has_changed_is_stale(one: Store, other: Store) -> None:
    anna, _ = await account(one)
    async with one.snapshot() as snapshot:
        witness = await snapshot.witness(anna)
    await other.do(SetAccountStatus(anna, AccountStatus.LOCKED))
    with pytest.raises(Stale):
        await one.do(mail(anna, 1), witness)


# --- the queue


async def test_what_an_earlier_deed_of_the_same_group_has_changed_is_stale(one: Store, shared_url: str, tmp_path: Path) -> None:
    anna, _ = await account(one)
    async with node(shared_url, tmp_path / "patient", bounds=Bounds(seconds=SECONDS)) as patient:
        async with patient.snapshot() as snapshot:
            witness = await snapshot.witness(anna)
        answers = await asyncio.gather(
            patient.do(SetAccountStatus(anna, AccountStatus.LOCKED)),
            patient.do(SetAccountStatus(anna, AccountStatus.ACTIVE), witness),
            return_exceptions=True,
        )
        assert isinstance(answers[1], Stale)


def waiting(number: int) -> AcceptMessage:
    one = OntoQueue(QueueKind.RELAY, f"someone@d{number % 7}.example", letter(number), "anna@acme.test", 1 << 60)
    return AcceptMessage(f"w{number}", queued=(one,))


async def test_no_row_is_claimed_twice_and_only_its_claimant_finishes_it(one: Store, other: Store) -> None:
    await asyncio.gather(*(one.do(waiting(number)) for number in range(60)))
    taken: dict[str, list[int]] = {one.node: [], other.node: []}

    async def claim(store: Store) -> None:
        while rows := await store.do(ClaimDue(store.node, 1 << 60, limit=5, each=2)):
            taken[store.node] += [row.id for row in rows]

    await asyncio.gather(*(claim(store) for store in (one, other, one, other)))
    both = [*taken[one.node], *taken[other.node]]
    assert len(both) == 60 == len(set(both))
    if taken[one.node]:
        assert await other.do(HandedOn(tuple(queue.QueueId(row) for row in taken[one.node]), other.node)) == 0
    for store in (one, other):
        assert await store.do(HandedOn(tuple(queue.QueueId(row) for row in taken[store.node]), store.node)) == len(taken[store.node])


async def test_what_a_node_that_is_gone_had_claimed_is_anybodys(one: Store, shared_url: str, tmp_path: Path) -> None:
    await asyncio.gather(*(one.do(waiting(number)) for number in range(4)))
    async with node(shared_url, tmp_path / "third") as third:
        assert len(await third.do(ClaimDue(third.node, 1 << 60, limit=3))) == 3
        assert await one.do(FreeLeases()) == 0  # it lives
    assert await one.do(FreeLeases()) == 3


# --- connections that are lost


@pytest.fixture
async def severed(one: Store, shared_url: str, tmp_path: Path) -> AsyncIterator[tuple[Severing, Store]]:
    """A node behind a wire that can be cut."""
    async with Severing(shared_url) as wire, node(wire.url, tmp_path / "severed") as store:
        yield wire, store


@pytest.mark.parametrize("cut", Cut)
async def test_a_connection_that_is_lost_at_the_commit_does_it_once(severed: tuple[Severing, Store], cut: Cut) -> None:
    wire, store = severed
    anna, inbox = await account(store)
    wire.cuts = [cut]
    # Nothing in the deed itself would make it happen once only.
    append = [AppendMessages(inbox, (NewInFolder(letter(number)),), 0) for number in range(5)]
    await asyncio.gather(*(store.do(deed) for deed in append))
    assert wire.made == 1
    assert sorted(await ids(store, inbox)) == [f"<{number}@acme.test>" for number in range(5)]
    await store.do(mail(anna, 7))
    assert await uids(store, inbox) == [*range(1, 7)]


async def test_connections_that_are_lost_again_and_again_at_commits_lose_and_double_nothing(severed: tuple[Severing, Store]) -> None:
    wire, store = severed
    several = [await account(store, f"user{number}") for number in range(4)]
    draw = random.Random(11)
    done: set[tuple[int, str]] = set()

    async def deliver(number: int) -> None:
        _, inbox = several[number % 4]
        if draw.random() < 0.25:
            wire.cuts.append(draw.choice([*Cut]))
        await store.do(AppendMessages(inbox, (NewInFolder(letter(number)),), 0))
        done.add((inbox, f"<{number}@acme.test>"))

    for start in range(0, 48, 8):
        await asyncio.gather(*(deliver(number) for number in range(start, start + 8)))
    wire.cuts.clear()
    assert wire.made > 3
    there = [(inbox, one) for _, inbox in several for one in await ids(store, inbox)]
    assert sorted(there) == sorted(done)
    assert len(done) == 48


async def test_backends_that_are_ended_at_any_moment_lose_and_double_nothing(one: Store, cluster: Cluster, shared_url: str) -> None:
    _anna, inbox = await account(one)
    database = shared_url.partition("?")[0].rpartition("/")[2]
    ended = asyncio.Event()

    async def end_backends() -> None:
        while not ended.is_set():
            await asyncio.to_thread(
                cluster.sql,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{database}' AND application_name LIKE 'procura %' AND random() < 0.5",
            )
            await asyncio.sleep(0.05)

    ending = asyncio.create_task(end_backends())
    kept: set[str] = set()

    async def append(number: int) -> None:
        while True:
            try:
                await one.do(AppendMessages(inbox, (NewInFolder(letter(number)),), 0))
            except Busy:
                await asyncio.sleep(0.05)
            else:
                kept.add(f"<{number}@acme.test>")
                return

    for start in range(0, 60, 6):
        await asyncio.gather(*(append(number) for number in range(start, start + 6)))
    ended.set()
    await ending

    async def answers() -> bool:
        try:
            return sorted(await ids(one, inbox)) == sorted(kept)
        except Busy:
            return False

    await until(answers, "what was done is there, once")


async def test_a_server_that_is_away_is_busy_and_nothing_worse(one: Store, cluster: Cluster, severed: tuple[Severing, Store]) -> None:
    wire, store = severed
    anna, inbox = await account(one)
    heard: list[Any] = []
    store.watch(heard.extend)
    wire.dead = True
    wire.cut_all()
    with pytest.raises(Busy):
        await store.do(mail(anna, 1))
    with pytest.raises(Busy):
        await uids(store, inbox)
    assert store.fault is None
    await one.do(mail(anna, 2))
    wire.dead = False

    async def back() -> bool:
        try:
            return await uids(store, inbox) == [1]
        except Busy:
            return False

    await until(back, "it comes back by itself")
    await until(lambda: EverythingChanged() in heard, "what was missed is looked at")
    await store.do(mail(anna, 3))


# --- what the others hear


async def test_a_change_is_heard_on_the_other_node_also_when_no_bell_rings(
    one: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, inbox = await account(one)
    heard: list[Any] = []
    other.watch(heard.extend)
    await one.do(mail(anna, 1))
    await until(lambda: any(isinstance(event, FolderChanged) and event.folder == inbox for event in heard), "the message is heard of")
    monkeypatch.setattr(one.nodes, "_ring_now", asyncio.Event())  # type: ignore[attr-defined]
    heard.clear()
    await one.do(SetAccountStatus(anna, AccountStatus.LOCKED))
    # It returned, so the other one knows already: by its own look, since nobody rang.
    assert any(isinstance(event, PolicyChanged) and anna in event.scopes for event in heard)


async def test_a_node_hears_nothing_twice_and_nothing_of_itself(one: Store, other: Store) -> None:
    anna, inbox = await account(one)
    here: list[Any] = []
    there: list[Any] = []
    one.watch(here.extend)
    other.watch(there.extend)
    for number in range(20):
        await one.do(mail(anna, number))

    def newest() -> bool:
        return any(isinstance(event, FolderChanged) and event.modseq >= 20 for event in there)

    await until(newest, "all of it is heard")
    await asyncio.sleep(0.1)
    for heard in (here, there):
        changed = [event.modseq for event in heard if isinstance(event, FolderChanged) and event.folder == inbox]
        assert len(changed) == len(set(changed))


async def test_a_node_that_hears_nothing_stops_and_a_revoke_waits_no_longer(one: Store, shared_url: str, tmp_path: Path) -> None:
    anna, _ = await account(one)
    async with Severing(shared_url) as wire, node(wire.url, tmp_path / "deaf", staleness=1.5) as deaf:
        async with deaf.snapshot() as snapshot:
            witness = await snapshot.witness(anna)
        wire.silent.clear()  # neither closed nor answering, as behind a cable that was pulled
        await one.do(SetAccountStatus(anna, AccountStatus.LOCKED))
        # When this has returned, the other one must not act on what it knew.
        with pytest.raises(Busy):
            await deaf.do(mail(anna, 1), witness)
        wire.silent.set()


async def test_nodes_answer_each_other(one: Store, other: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    other.nodes.answers("test", answering)  # type: ignore[attr-defined]
    (found,) = await one.nodes.ask("test", {"a": 1})  # type: ignore[attr-defined]
    assert (found.node, found.answer) == (other.node, [{"a": 1}, "answered"])
    monkeypatch.setattr("store.nodes.CALL_SECONDS", 0.3)
    (nobody,) = await other.nodes.ask("unheard of", None)  # type: ignore[attr-defined]
    assert nobody.answer is None


async def answering(asked: Any) -> Any:
    return [asked, "answered"]


async def test_a_node_that_has_just_come_is_waited_for_until_it_can_answer(one: Store, other: Store) -> None:
    asked = asyncio.create_task(one.nodes.ask("test", 1))  # type: ignore[attr-defined]
    await asyncio.sleep(0.2)
    assert not asked.done()
    other.nodes.answers("test", answering)  # type: ignore[attr-defined]
    assert [found.answer for found in await asked] == [[1, "answered"]]


async def test_one_of_them_leads_and_another_when_it_leaves(shared_url: str, tmp_path: Path) -> None:
    async with node(shared_url, tmp_path / "a") as first, node(shared_url, tmp_path / "b") as second:
        assert (first.leads, second.leads) == (True, False)
        await first.close()
        await until(lambda: second.leads, "the other one leads")


@asynccontextmanager
async def process(url: str, server: Path, number: int) -> AsyncIterator[postgres.PostgresStore]:
    """One that only speaks with clients; the lock is another's."""
    server.mkdir(exist_ok=True)
    async with node(url, server, process=number, locks=()) as store:
        assert isinstance(store, postgres.PostgresStore)
        yield store


async def test_of_the_processes_of_a_server_one_alone_leads(shared_url: str, tmp_path: Path) -> None:
    async with process(shared_url, tmp_path / "one", 0) as worker, node(shared_url, tmp_path / "one") as keeper:
        assert (worker.leads, keeper.leads) == (False, True)
        async with node(shared_url, tmp_path / "other") as other, process(shared_url, tmp_path / "one", 1) as second:
            assert (other.leads, second.leads) == (False, False)
            await keeper.close()
            await until(lambda: other.leads, "the other server leads")
            assert (worker.leads, second.leads) == (False, False)


async def test_a_process_that_was_killed_is_nobody_as_soon_as_the_next_one_is_there(shared_url: str, tmp_path: Path) -> None:
    async with node(shared_url, tmp_path / "one") as keeper, process(shared_url, tmp_path / "one", 0) as killed:
        assert isinstance(keeper, postgres.PostgresStore)
        for task in killed.nodes._tasks:
            task.cancel()
        async with process(shared_url, tmp_path / "one", 0) as replaced, process(shared_url, tmp_path / "one", 1) as second:
            assert replaced.nodes.slot == killed.nodes.slot
            for one in (replaced, second):
                one.nodes.answers("anything", answering)
            others = await asyncio.wait_for(keeper.nodes.ask("anything", None), 4)
            assert len(others) == 2


async def test_a_process_that_was_killed_is_waited_for_until_the_next_one_is_there(shared_url: str, tmp_path: Path) -> None:
    async with node(shared_url, tmp_path / "one") as keeper, process(shared_url, tmp_path / "one", 0) as killed:
        assert isinstance(keeper, postgres.PostgresStore)
        for task in killed.nodes._tasks:
            task.cancel()
        asked = asyncio.create_task(keeper.nodes.ask("anything", None))
        await asyncio.sleep(0.1)
        assert not asked.done()
        async with process(shared_url, tmp_path / "one", 0):
            assert [one.node for one in await asked] == []


async def test_a_node_leaves_in_whatever_moment_of_a_look_it_is_told_to(shared_url: str, tmp_path: Path) -> None:
    for turns in range(8):
        async with process(shared_url, tmp_path / "one", 0) as one:
            await asyncio.sleep(0.02)
            one.nodes._look_now.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            following = one.nodes._tasks[0]
            following.cancel()
            assert await asyncio.wait([following], timeout=4) == ({following}, set())


async def test_what_the_processes_of_one_server_count_together_is_added_on_the_others(shared_url: str, tmp_path: Path) -> None:
    async with node(shared_url, tmp_path / "one", staleness=2) as keeper, node(shared_url, tmp_path / "other", staleness=2) as other:
        assert isinstance(keeper, postgres.PostgresStore)
        assert isinstance(other, postgres.PostgresStore)
        async with process(shared_url, tmp_path / "one", 0) as first, process(shared_url, tmp_path / "one", 1) as second:
            first.nodes.counts(lambda: {"7": 3})
            second.nodes.counts(lambda: {"7": 2})
            await until(lambda: other.nodes.elsewhere("7") == 5, "what both have")
            assert [one.nodes.elsewhere("7") for one in (keeper, first, second)] == [0, 0, 0]


# --- servers that will not do


async def test_a_server_that_may_lose_what_it_promised_is_refused(cluster: Cluster, shared_url: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="fsync is off"):
        await connect(shared_url.partition("?")[0], tmp_path)


async def test_a_database_in_another_encoding_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.sql("CREATE DATABASE octets TEMPLATE template0 ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(Unusable, match="SQL_ASCII"):
        await connect(cluster.url("octets"), tmp_path)


async def test_where_nobody_answers_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot be reached"):
        await connect("postgresql://nobody@127.0.0.1:1/nothing", tmp_path)
    # The directory is free again.
    with pytest.raises(Unusable, match="cannot be reached"):
        await connect("postgresql://nobody@127.0.0.1:1/nothing", tmp_path)


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """One that keeps what it was given."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    with Cluster({"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}) as cluster:
        yield cluster


@pytest.mark.slow
async def test_a_commit_that_no_standby_confirms_is_not_said_to_be_done(
    durable: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "OUTCOME_SECONDS", 2.0)
    url = await asyncio.to_thread(durable.create, "replicated")
    async with node(url, tmp_path / "one") as store:
        await store.do(CreateDomain("acme.test"))
        _, inbox = await account(store)

    def standbys(names: str) -> None:
        durable.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        durable.sql("SELECT pg_reload_conf()")

    monkeypatch.setattr(postgres_session, "COMMAND_SECONDS", 2.0)
    async with node(url, tmp_path / "one") as store:
        await asyncio.to_thread(standbys, "nobody")
        try:
            with pytest.raises(Busy, match="not known"):
                await store.do(AppendMessages(inbox, (NewInFolder(letter(1)),), 0))
        finally:
            await asyncio.to_thread(standbys, "")

        async def again() -> bool:
            try:
                await store.do(AppendMessages(inbox, (NewInFolder(letter(2)),), 0))
            except Busy:
                return False
            return True

        await until(again, "it goes on when there is one")
        assert "<2@acme.test>" in await ids(store, inbox)


@pytest.mark.slow
async def test_what_was_answered_survives_the_death_of_the_server(durable: Cluster, tmp_path: Path) -> None:
    url = await asyncio.to_thread(durable.create, "durable")
    async with node(url, tmp_path / "one") as store:
        await store.do(CreateDomain("acme.test"))
        _, inbox = await account(store)
        kept: set[str] = set()
        refused = 0

        async def append(number: int) -> None:
            nonlocal refused
            try:
                await store.do(AppendMessages(inbox, (NewInFolder(letter(number)),), 0))
                kept.add(f"<{number}@acme.test>")
            except Busy:
                refused += 1

        running = [asyncio.create_task(append(number)) for number in range(400)]
        await until(lambda: len(kept) > 50, "some are done")
        await asyncio.to_thread(durable.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(durable.start)
        await asyncio.gather(*running)

        async def back() -> bool:
            try:
                await ids(store, inbox)
            except Busy:
                return False
            return True

        await until(back, "it comes back by itself")
        there = await ids(store, inbox)
        assert len(there) == len(set(there))
        # All that was answered is there, and of what was refused nothing: its outcome was looked up.
        assert set(there) == kept
        assert len(kept) + refused == 400
