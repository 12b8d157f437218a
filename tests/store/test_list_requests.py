from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.arrival import arrived
from policy.identity import Address, ListId
from store import list_requests
from store import queue as queue_store
from store.errors import Conflict, NotFound
from store.list_requests import AdvanceRequest, CloseRequest, CountAnswer, ForgetRequests, OpenRequest
from store.lists import DeleteList
from store.model import QueueKind, RequestKind, Stage
from store.queue import AcceptMessage, ClaimDue, DropQueued, OntoQueue, Settle
from tests.gateway.house import SECOND, START, House, letter, opened

FRIEND = Address("Friend", "elsewhere.test")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna") as house:
        yield house


def asks(team: ListId, key: str = "k1", kind: RequestKind = RequestKind.SUBSCRIBE, address: Address = FRIEND) -> OpenRequest:
    return OpenRequest(key, team, kind, Stage.CONFIRM, address, START + 60 * SECOND, "subject")


async def test_a_request_is_found_until_its_time_is_over(house: House) -> None:
    team = await house.group("team")
    await house.store.do(asks(team))
    found = await house.ask(list_requests.by_key, "k1")
    assert found is not None
    assert (found.list, found.kind, found.stage, found.address, found.subject) == (
        team,
        RequestKind.SUBSCRIBE,
        Stage.CONFIRM,
        FRIEND,
        "subject",
    )
    assert await house.ask(list_requests.asked, team, RequestKind.SUBSCRIBE, Address("FRIEND", "elsewhere.test")) == found
    assert await house.ask(list_requests.asked, team, RequestKind.UNSUBSCRIBE, FRIEND) is None
    house.clock.turn(60)
    assert await house.ask(list_requests.by_key, "k1") is None
    assert await house.store.do(ForgetRequests(0)) == ["k1"]
    assert await house.ask(list_requests.waiting) == []


async def test_an_address_asks_once_for_the_same(house: House) -> None:
    team = await house.group("team")
    await house.store.do(asks(team, "k1"))
    await house.store.do(asks(team, "k2", address=Address("FRIEND", "elsewhere.test")))
    await house.store.do(asks(team, "k3", RequestKind.UNSUBSCRIBE))
    assert [one.key for one in await house.ask(list_requests.waiting)] == ["k2", "k3"]
    assert [one.key for one in await house.ask(list_requests.waiting, team, "k2")] == ["k3"]


async def test_posts_of_one_address_wait_side_by_side(house: House) -> None:
    team = await house.group("team")
    for key in ("k1", "k2"):
        await house.store.do(asks(team, key, RequestKind.POST))
    assert len(await house.ask(list_requests.waiting, team)) == 2


async def test_a_stage_is_left_once(house: House) -> None:
    team = await house.group("team")
    await house.store.do(asks(team))
    await house.store.do(AdvanceRequest("k1", Stage.CONFIRM, Stage.OWNERS, START + 90 * SECOND))
    with pytest.raises(NotFound):
        await house.store.do(AdvanceRequest("k1", Stage.CONFIRM, Stage.OWNERS, START))
    await house.store.do(CloseRequest("k1"))
    with pytest.raises(NotFound):
        await house.store.do(CloseRequest("k1"))
    with pytest.raises(NotFound):
        await house.store.do(asks(ListId(99)))


async def held(house: House, team: ListId) -> int:
    row = OntoQueue(QueueKind.RELAY, "team@acme.test", arrived(letter()), "", START + 900 * SECOND, due=START + 60 * SECOND, request="k1")
    accepted = await house.store.do(AcceptMessage("", queued=(row,), steps=(asks(team, "k1", RequestKind.POST),)))
    await house.store.do(AdvanceRequest("k1", Stage.CONFIRM, Stage.OWNERS, START + 60 * SECOND))
    return accepted.queued[0]


async def test_a_post_s_row_and_its_request_go_together(house: House) -> None:
    team = await house.group("team")
    number = await held(house, team)
    found = await house.ask(list_requests.by_key, "k1")
    assert found is not None
    assert found.queue == number
    assert await house.ask(list_requests.by_queue, found.queue) == found
    await house.store.do(DropQueued((found.queue,)))
    assert await house.ask(list_requests.by_key, "k1") is None


async def test_what_is_approved_is_due_at_once_and_the_witness_of_before_is_stale(house: House) -> None:
    team = await house.group("team")
    await held(house, team)
    assert await house.store.do(ClaimDue("l", START + 900 * SECOND)) == ()
    async with house.store.snapshot() as snapshot:
        witness = await snapshot.witness(team)
    await house.store.do(AdvanceRequest("k1", Stage.OWNERS, Stage.APPROVED, START + 60 * SECOND))
    async with house.store.snapshot() as snapshot:
        assert not await snapshot.confirms(witness)
    (row,) = await house.store.do(ClaimDue("l", START + 900 * SECOND))
    await house.store.do(Settle(row.id, "l", AcceptMessage("", steps=(CloseRequest("k1"),))))
    assert await house.ask(queue_store.queued) == []
    with pytest.raises(Conflict):
        await house.store.do(Settle(row.id, "l"))


async def test_the_list_takes_its_requests_along(house: House) -> None:
    team = await house.group("team")
    number = await held(house, team)
    await house.store.do(DeleteList(team))
    assert await house.ask(list_requests.waiting) == []
    assert [row.id for row in await house.ask(queue_store.queued)] == [number], "the queue lets go of it in its time"


async def test_a_step_that_fails_leaves_nothing_of_the_message(house: House) -> None:
    await house.group("team")
    row = OntoQueue(QueueKind.RELAY, "x@far.test", arrived(letter()), "", START + SECOND)
    with pytest.raises(NotFound):
        await house.store.do(AcceptMessage("", queued=(row,), steps=(CloseRequest("nothing"),)))
    assert await house.ask(queue_store.queued) == []


async def test_answers_are_counted_by_address_and_day(house: House) -> None:
    for address in (FRIEND, Address("friend", "elsewhere.test"), Address("other", "elsewhere.test")):
        await house.store.do(CountAnswer(address))
    assert await house.ask(list_requests.answers, FRIEND, START - 1) == 2
    assert await house.ask(list_requests.answers, FRIEND, START) == 0
    await house.store.do(ForgetRequests(START))
    assert await house.ask(list_requests.answers, FRIEND, 0) == 0
