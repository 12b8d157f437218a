"""A word, a number, sometimes a descriptor, between the supervisor and a process."""

import asyncio
import os
import socket

import pytest

from gateway.orders import Order, Orders, hear, pair, say


def test_each_is_heard_by_itself_and_the_end_is_heard() -> None:
    one, other = pair()
    say(one, "attach", "7")
    say(one, "drain")
    assert hear(other) == Order("attach", "7")
    assert hear(other) == Order("drain")
    with pytest.raises(BlockingIOError):
        hear(other)
    one.close()
    assert hear(other) is None
    other.close()
    assert Order("attach", "7").number == 7


def test_a_descriptor_travels() -> None:
    one, other = pair()
    near, far = socket.socketpair()
    say(one, "attach", "1", far.fileno())
    far.close()
    order = hear(other)
    assert order is not None
    with socket.socket(fileno=order.descriptor) as got:
        got.sendall(b"through")
    assert near.recv(100) == b"through"
    for end in (one, other, near):
        end.close()


def test_a_long_word_is_cut() -> None:
    one, other = pair()
    say(one, "failed", "x" * 100_000)
    order = hear(other)
    assert order is not None
    assert order.word == "failed"
    assert 1_000 < len(order.text) < 10_000
    one.close()
    other.close()


async def test_a_process_obeys_and_answers() -> None:
    ours, theirs = pair()
    obeyed: asyncio.Queue[Order] = asyncio.Queue()
    orders = Orders(theirs, obeyed.put_nowait)
    say(ours, "stop")
    assert (await asyncio.wait_for(obeyed.get(), 10)).word == "stop"
    orders.say("ready")
    assert hear(ours) == Order("ready")
    orders.close()
    ours.close()
    orders.say("nobody hears this")
    theirs.close()


def test_without_its_supervisor_a_process_ends() -> None:
    ours, theirs = pair()
    child = os.fork()
    if not child:
        ours.close()

        async def wait() -> None:
            Orders(theirs, lambda _: None)
            await asyncio.sleep(60)

        asyncio.run(wait())
        os._exit(7)
    theirs.close()
    ours.close()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
