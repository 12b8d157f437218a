"""Whatever comes in between, a post is sent on once or not at all; the doors are in tests/live/test_moderation.py."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.moderation import Moderation
from gateway.queue import Queue, QueueRules
from policy.delivery import Door
from policy.grants import SendRight
from policy.identity import ListId
from policy.reasons import Defer
from policy.status import AccountStatus
from store import list_requests
from store.accounts import DeleteAccount
from store.lists import AddMembers, DeleteList, ModifyList, RemoveMembers
from store.queue import RetryNow
from tests.gateway.house import House, address, letter, opened


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "carla", "owen") as house:
        yield house


async def moderated(house: House, name: str, *people: str) -> ListId:
    made = await house.group(name, *people, owners=["owen"])
    await house.store.do(ModifyList(made, attributes={"moderation": "all"}))
    return made


async def run(house: House) -> None:
    """What is due is tried."""
    rules = QueueRules((1.0,), 0, 5)
    queue = Queue(house.store, house.files, house.delivery, None, rules, moderation=Moderation(house.store, house.delivery))
    async with asyncio.TaskGroup() as attempts:
        while await queue.round(attempts):
            pass


async def post(house: House, *to: str, subject: str = "hello") -> None:
    await house.submit("bruno", "bruno@acme.test", to, letter("bruno@acme.test", "x@acme.test", f"Subject: {subject}"))


async def decide(house: House, word: str = "approve", number: int = -1) -> None:
    found = re.search(rb"Reply-To: (\S+)", (await house.mail("owen"))[number])
    assert found is not None
    to = found[1].decode()
    await house.submit("owen", "owen@acme.test", to, letter("owen@acme.test", to, f"Subject: {word}", text=""))


async def test_members_of_the_moment_of_approval_get_it(house: House) -> None:
    team = await moderated(house, "team", "anna")
    await post(house, "team")
    await house.store.do(AddMembers(team, [address("carla")]))
    await house.store.do(RemoveMembers(team, [address("anna")]))
    await decide(house)
    await run(house)
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (0, 1)


@pytest.mark.parametrize("turns", [0, 1])
async def test_approved_while_the_queue_looks_at_it(house: House, turns: int) -> None:
    """`queue retry` makes it due; the owner's word comes while it is judged."""
    await moderated(house, "team", "anna")
    await post(house, "team")
    await house.store.do(RetryNow())
    if turns:
        await asyncio.gather(run(house), decide(house))
    else:
        await run(house)
        await decide(house)
    for _ in range(3):
        await run(house)
        house.clock.turn(2)
    assert len(await house.mail("anna")) == 1
    assert await house.queued() == []
    assert await house.ask(list_requests.waiting) == []


async def test_two_owners_say_different_things_at_once(house: House) -> None:
    await moderated(house, "team", "anna")
    await post(house, "team")
    await asyncio.gather(decide(house, "approve"), decide(house, "reject", 0))
    await run(house)
    told = [one for one in await house.mail("bruno") if b"has not let" in one]
    assert len(await house.mail("anna")) + len(told) == 1
    assert await house.queued() == []


async def test_a_list_that_is_gone_lets_go_of_its_posts(house: House) -> None:
    team = await moderated(house, "team", "anna")
    await post(house, "team")
    await house.store.do(DeleteList(team))
    await house.store.do(RetryNow())
    await run(house)
    assert await house.queued() == []
    assert await house.mail("anna") == []


async def test_a_poster_that_is_gone_is_nobody(house: House) -> None:
    await moderated(house, "strict", "anna")
    for name in ("bruno", "carla"):
        await house.grant("strict", name, SendRight.SEND_TO_LIST)
    await post(house, "strict")
    await house.store.do(DeleteAccount(house.ids["bruno"]))
    await decide(house)
    await run(house)
    assert await house.mail("anna") == []
    assert await house.queued() == []
    assert any(row.entry.event == "post" and not row.entry.allowed for row in await house.records())


async def test_lists_in_lists_that_both_hold(house: House) -> None:
    await moderated(house, "core", "carla")
    await moderated(house, "inner", "anna", "core")
    await house.group("outer", "owen", "inner")
    await post(house, "outer")
    assert [one.list for one in await house.ask(list_requests.waiting)] == [house.ids["inner"]], "the core is behind it"
    await decide(house)
    await run(house)
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (1, 0)
    await decide(house)
    await run(house)
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (1, 1)
    assert await house.queued() == []


async def test_held_lists_in_a_circle_end(house: House) -> None:
    one = await moderated(house, "one", "anna")
    await moderated(house, "two", "carla", "one")
    await house.store.do(AddMembers(one, [address("two")]))
    await post(house, "one")
    for _ in range(4):
        waiting = await house.ask(list_requests.waiting)
        if waiting:
            await decide(house)
        await run(house)
    assert await house.ask(list_requests.waiting) == []
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (1, 1)


async def test_members_in_maintenance_get_it_later(house: House) -> None:
    await moderated(house, "team", "anna", "carla")
    await post(house, "team")
    await house.status("anna", AccountStatus.MAINTENANCE)
    await decide(house)
    await run(house)
    assert len(await house.mail("carla")) == 1
    await house.status("anna", AccountStatus.ACTIVE)
    await run(house)
    assert len(await house.mail("anna")) == 1


async def test_an_owner_without_a_mailbox_does_not_keep_a_post_away(house: House) -> None:
    await moderated(house, "team", "anna")
    await house.status("owen", AccountStatus.CLOSED)
    outcomes = await house.bring(Door.LMTP, "x@far.test", ["team"], letter("x@far.test", "team@acme.test"))
    assert isinstance(outcomes[0], str)
    assert len(await house.ask(list_requests.waiting)) == 1


async def test_what_changes_meanwhile_is_judged_again(house: House) -> None:
    team = await moderated(house, "team", "anna", "carla")
    await post(house, "team")
    await decide(house)

    async def leave() -> None:
        await house.store.do(RemoveMembers(team, [address("carla")]))

    moderation = Moderation(house.store, house.delivery)
    original = house.delivery.accept

    async def accept(*arguments: object, **more: object) -> object:
        house.delivery.accept = original  # type: ignore[method-assign]
        await leave()
        return await original(*arguments, **more)  # type: ignore[arg-type]

    house.delivery.accept = accept  # type: ignore[method-assign,assignment]
    queue = Queue(house.store, house.files, house.delivery, None, QueueRules((1.0,), 0, 5), moderation=moderation)
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (1, 0)


async def test_nobody_fills_the_queue_with_posts_that_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.list_posts.MOST_WAITING", 2)
    await moderated(house, "team", "anna")
    for expected in (str, str, Defer):
        (outcome,) = await house.bring(Door.LMTP, "x@far.test", ["team"], letter("x@far.test", "team@acme.test"))
        assert isinstance(outcome, expected)
    await decide(house, "reject")
    (outcome,) = await house.bring(Door.LMTP, "x@far.test", ["team"], letter("x@far.test", "team@acme.test"))
    assert isinstance(outcome, str)
