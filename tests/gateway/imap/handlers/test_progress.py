"""INPROGRESS (RFC 9585): who waits long hears that it goes on, and who does not wait hears nothing of it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.carrier import TICK
from gateway.folders import Folders, OpenFolder
from gateway.imap.listener import Limits
from gateway.imap.responses import inprogress
from store.criteria import Criterion
from tests.gateway.imap.handlers.house import Client, House


@pytest.fixture
async def hurried(house: House) -> Client:
    """A client that is told after every tick of the wheel."""
    await house.put("anna", "/INBOX", 8)
    client = await house.client(await house.listen(Limits(progress_interval=TICK)), "anna")
    await client.do("SELECT INBOX")
    return client


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float, *, until: int = 0) -> None:
    """SEARCH takes so long, and says that it has come to this UID."""
    search: Callable[..., Awaitable[list[int]]] = OpenFolder.search

    async def crawl(folder: OpenFolder, criterion: Criterion, looked_at: Callable[[int], None] | None = None) -> list[int]:
        if until and looked_at is not None:
            looked_at(until)
        await asyncio.sleep(seconds)
        return await search(folder, criterion, looked_at)

    monkeypatch.setattr(OpenFolder, "search", crawl)


@pytest.mark.parametrize(
    ("tag", "done", "goal", "spelled"),
    [
        (b"a1", 454, 1000, b'[INPROGRESS ("a1" 454 1000)]'),
        (b"a1", 0, 1, b'[INPROGRESS ("a1" 0 1)]'),
        (b"a1", 1000, 1000, b'[INPROGRESS ("a1" 999 1000)]'),
        (b"a1", 2000, 1000, b'[INPROGRESS ("a1" 999 1000)]'),
        (b"a1", 0, 0, b'[INPROGRESS ("a1" 0 1)]'),
        (b"a1", 7, None, b'[INPROGRESS ("a1" 7 NIL)]'),
        (b"a1", None, 7, b'[INPROGRESS ("a1" NIL NIL)]'),
        (b"a]1", 1, 7, b"[INPROGRESS (NIL 1 7)]"),
    ],
)
def test_it_is_spelled(tag: bytes, done: int | None, goal: int | None, spelled: bytes) -> None:
    assert inprogress(tag, done, goal).spell() == spelled


async def test_a_long_search_tells_how_far_it_is(hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 6 * TICK, until=5)
    said = await hurried.do("SEARCH SUBJECT Number")
    told = said.having("INPROGRESS")
    assert 2 <= len(told) <= 6
    assert set(told) == {b'* OK [INPROGRESS ("t3" 5 8)] still working'}
    assert said.untagged[-1] == b"* SEARCH 1 2 3 4 5 6 7 8"
    monkeypatch.undo()
    assert (await hurried.do("SEARCH SUBJECT Number")).having("INPROGRESS") == []


async def test_a_search_in_several_mailboxes_counts_them(house: House, hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/One", "/Two"):
        await house.make("anna", path)
        await house.put("anna", path, 3)
    slow(monkeypatch, 3 * TICK, until=2)
    said = await hurried.do("ESEARCH IN (mailboxes (One INBOX Two)) RETURN (COUNT) SUBJECT Number")
    told = said.having("INPROGRESS")
    assert told == sorted(told)
    assert set(told) == {b'* OK [INPROGRESS ("t3" %d 3)] still working' % number for number in range(3)}
    assert len(said.having("COUNT")) == 3


async def test_a_quick_command_tells_nothing(hurried: Client) -> None:
    for _ in range(20):
        assert (await hurried.do("UID SEARCH SUBJECT Number")).having("INPROGRESS") == []
        await asyncio.sleep(TICK / 5)
    assert await hurried.silent(3 * TICK)


async def test_nothing_is_told_while_idling(hurried: Client) -> None:
    tag = await hurried.idle()
    assert await hurried.silent(4 * TICK)
    assert (await hurried.done(tag)).untagged == []


async def test_a_command_that_cannot_count_is_alive_too(hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    copy: Any = Folders.copy

    async def crawl(*arguments: Any) -> Any:
        await asyncio.sleep(4 * TICK)
        return await copy(*arguments)

    monkeypatch.setattr(Folders, "copy", crawl)
    said = await hurried.do("COPY 1:8 Archive")
    assert said.tagged.startswith(b"OK [COPYUID")
    assert set(said.having("INPROGRESS")) == {b'* OK [INPROGRESS ("t3" NIL NIL)] still working'}


async def test_who_is_told_anyway_hears_nothing_more(hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while answers come in."""
    octets = OpenFolder.octets

    async def crawl(folder: OpenFolder, sizes: Any) -> Any:
        await asyncio.sleep(TICK / 2)
        return await octets(folder, sizes)

    monkeypatch.setattr(OpenFolder, "octets", crawl)
    monkeypatch.setattr("gateway.imap.session.FLUSH", 1)
    monkeypatch.setattr("gateway.imap.handlers.fetch.IN_PLACE", 1)
    said = await hurried.do("FETCH 1:8 BODY.PEEK[]")
    assert len(said.having("BODY[]")) == 8
    assert said.having("INPROGRESS") == []


async def test_the_default_is_ten_seconds() -> None:
    assert Limits().progress_interval == 10


async def test_a_connection_that_breaks_meanwhile_leaves_nothing(house: House, hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, 4 * TICK)
    hurried.send(b"x SEARCH SUBJECT Number\r\n")
    assert re.match(rb'\* OK \[INPROGRESS \("x" NIL NIL\)\]', await hurried.line())
    hurried.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    hurried.writer.transport.abort()
    for _ in range(50):
        if not house.listeners[-1].connections:
            break
        await asyncio.sleep(TICK / 4)
    assert house.listeners[-1].connections == 0
    # The wheel turns on.
    await asyncio.sleep(2 * TICK)


async def test_a_command_that_fails_is_told_of_no_more(hurried: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        await asyncio.sleep(2 * TICK)
        raise RuntimeError("out of order")

    monkeypatch.setattr(OpenFolder, "search", broken)
    said = await hurried.do("SEARCH SUBJECT x")
    assert said.tagged.startswith(b"NO [SERVERBUG]")
    assert said.having("INPROGRESS")
    assert await hurried.silent(3 * TICK)
