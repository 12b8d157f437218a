"""Values travel between processes whole and in order, however the octets are cut."""

import asyncio
import socket
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from policy.decision import Witness
from policy.identity import AccountId, Address
from store.accounts import CreateAccount
from store.channel import Channel, join, packed, pair, raised, told, unpacked
from store.errors import Conflict, NotFound, Stale
from store.port import DIRECTORY, FolderChanged, PolicyChanged

VALUES = [
    None,
    (1, "text", b"octets", 2.5),
    CreateAccount(Address("anna", "acme.test"), values=MappingProxyType({"quota": "1"})),
    Witness(((DIRECTORY, 3), (AccountId(7), 1)), None),
    (PolicyChanged(frozenset({1, 2})), FolderChanged(5, 9)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_packed_is_unpacked_as_it_was(value: object) -> None:
    assert unpacked(packed(value)) == value


class TooMuch(NotFound):
    """Made of something else than its words."""

    def __init__(self, count: int, *, what: str) -> None:
        super().__init__(f"{count} {what}")
        self.count = count


@pytest.mark.parametrize("error", [NotFound("nobody"), Conflict("there"), Stale("changed"), TooMuch(7, what="mail")], ids=repr)
def test_errors_keep_their_type_and_words(error: Exception) -> None:
    found = raised(unpacked(packed(told(error))))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


@given(some.lists(some.binary(max_size=200), max_size=20), some.data())
def test_values_arrive_whole_however_they_are_cut(values: list[bytes], data: some.DataObject) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.octets = b""

        def set_write_buffer_limits(self, high: int) -> None:
            pass

        def write(self, octets: bytes) -> None:
            self.octets += octets

    pipe: Any = Pipe()
    sender = Channel(lambda _: None, lambda _: None, lambda: None)
    sender.connection_made(pipe)
    for value in values:
        sender.send(value)
    got: list[Any] = []
    receiver = Channel(lambda _: None, got.append, lambda: None)
    rest = pipe.octets
    while rest:
        cut = data.draw(some.integers(1, len(rest)))
        receiver.data_received(rest[:cut])
        rest = rest[cut:]
    assert got == values


async def test_both_ends_hear_each_other_and_the_end() -> None:
    ends = pair()
    heard: list[list[Any]] = [[], []]
    made: list[Channel] = []
    over = asyncio.Event()
    for number, end in enumerate(ends):
        await join(end, made.append, heard[number].append, over.set)
    made[0].send("there")
    made[1].send("back" * 1_000_000)
    while not (heard[0] and heard[1]):
        await asyncio.sleep(0.01)
    assert heard == [["back" * 1_000_000], ["there"]]
    made[0].close()
    await asyncio.wait_for(over.wait(), 10)
    made[1].send("nobody gets this")
    assert made[1].waiting == 0


def test_the_ends_do_not_block() -> None:
    one, other = pair()
    with one, other, pytest.raises(BlockingIOError):
        one.recv(1)
    assert one.family is socket.AF_UNIX
