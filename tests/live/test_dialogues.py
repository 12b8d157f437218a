"""The dialogues in tests/transcripts/smtp/server and lmtp/server, played to the real command, and what lies in the mailboxes then."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.server import Server, trusting
from tests.transcripts.dialogue import Play

ROOT = Path(__file__).parents[1] / "transcripts"
CASES = sorted(path for protocol in ("smtp", "lmtp") for path in (ROOT / protocol / "server").glob("*.txt"))
PEOPLE = ("active", "locked", "maintenance", "closed", "pending", "small", "closing", "moving", "member", "boss")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("dialogues")) as running:
        running.people(*PEOPLE)
        running.prov(
            *(f"modifyAccount {status}@acme.test status {status}" for status in ("locked", "maintenance", "closed", "pending")),
            "modifyAccount small@acme.test quota 100",
            "modifyAccount boss@acme.test isGlobalAdministrator TRUE",
            "createDistributionList team@acme.test",
            "addDistributionListMember team@acme.test member@acme.test",
            "grantRight dl team@acme.test usr active@acme.test sendToDistList",
        )
        yield running


@pytest.mark.parametrize("path", CASES, ids=lambda path: "-".join(path.relative_to(ROOT).with_suffix("").parts))
async def test_the_dialogue_goes_as_written(path: Path, server: Server) -> None:
    world = _World(server, "submission" if path.is_relative_to(ROOT / "smtp") else "lmtp")
    await Play(world.connect, world.stage).play(path)


class _World:
    def __init__(self, server: Server, door: str) -> None:
        self._server = server
        self._door = door
        self._found: list[bytes] = []

    async def connect(self, who: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secured = trusting() if self._door == "submissions" else None
        return await asyncio.open_connection("127.0.0.1", self._server.ports[self._door], ssl=secured)

    async def stage(self, text: str) -> None:
        match shlex.split(text):
            case ["the", "door", "is", door]:
                self._door = door
            case [name, "becomes", status]:
                await asyncio.to_thread(self._server.prov, f"modifyAccount {name}@acme.test status {status}")
            case [name, "has", count, "of", subject]:
                there = await asyncio.to_thread(self._server.messages, f"{name}@acme.test")
                self._found = [one for one in there if f"Subject: {subject}\r\n".encode() in one]
                assert len(self._found) == int(count)
            case [_, "begins", words]:
                assert self._found[0].startswith(words.encode())
            case [_, "says", words]:
                assert words.encode() in self._found[0]
            case [_, "does", "not", "say", words]:
                assert words.encode() not in self._found[0]
            case _:
                raise AssertionError(text)


def test_there_are_dialogues() -> None:
    assert len(CASES) > 2
