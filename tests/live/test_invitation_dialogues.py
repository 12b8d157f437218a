"""The dialogues in tests/transcripts/smtp/invitations, played to the real command, and what lies in the mailbox then."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.server import PASSWORD, Server
from tests.transcripts.dialogue import Play

CASES = sorted((Path(__file__).parents[1] / "transcripts" / "smtp" / "invitations" / "server").glob("*.txt"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("invitations")) as running:
        running.people("dora", "anna", "boris", "clara")
        running.prov(
            "createDomain other.test",
            f"createAccount rita@other.test '{PASSWORD}'",
            *(f"selectMailbox {name}@acme.test modifyFolderGrant /Calendar account dora@acme.test x" for name in ("anna", "boris")),
            *(f"grantRight account {name}@acme.test usr dora@acme.test sendAs" for name in ("boris", "clara")),
            "grantRight account clara@acme.test usr dora@acme.test sendOnBehalfOf",
        )
        yield running


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written(path: Path, server: Server) -> None:
    world = _World(server)
    await Play(world.connect, world.stage).play(path)


class _World:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = len(server.messages("rita@other.test"))
        self._found: list[bytes] = []

    async def connect(self, who: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._server.ports["submission"])

    async def stage(self, text: str) -> None:
        match shlex.split(text):
            case ["rita", "has", count, "of", subject]:
                there = await asyncio.to_thread(self._server.messages, "rita@other.test")
                self._found = [one for one in there[self._before :] if f"Subject: {subject}\r\n".encode() in one]
                assert len(self._found) == int(count), text
            case [_, "begins", words]:
                assert self._found[0].startswith(words.encode()), text
            case [_, "says", words]:
                assert words.replace("\\r\\n", "\r\n").encode() in self._found[0], text
            case [_, "does", "not", "say", words]:
                assert re.search(words.encode(), self._found[0]) is None, text
            case _:
                raise AssertionError(text)


def test_there_are_dialogues() -> None:
    assert len(CASES) == 4
