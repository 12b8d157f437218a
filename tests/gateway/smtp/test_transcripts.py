"""The dialogues in tests/transcripts/smtp and lmtp, through real sockets."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.mechanisms import mechanisms
from tests.gateway.smtp.conftest import Place, Serve
from tests.transcripts.dialogue import Play, parse

ROOT = Path(__file__).parents[2] / "transcripts"
CASES = sorted([*(ROOT / "smtp").glob("*.txt"), *(ROOT / "lmtp").glob("*.txt")])


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_the_dialogue_goes_as_written(path: Path, serve: Serve) -> None:
    kind = "submission" if path.parent.name == "smtp" else "lmtp"
    async with serve(kind) as place:
        world = _World(place)
        await Play(world.connect, world.stage).play(path)


class _World:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._login = False
        self._writer: asyncio.StreamWriter | None = None
        self._anna: asyncio.StreamWriter | None = None

    async def connect(self, who: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._login and who == "anna":
            client = await self._place.logged_in()
            # The runner reads a greeting on a fresh connection; a reply takes its place.
            client.send(b"NOOP\r\n")
            self._anna = client.writer
            return client.reader, client.writer
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._place.port)
        return reader, self._writer

    async def stage(self, text: str) -> None:
        kept = [*self._place.submission.kept, *self._place.delivery.kept]
        match text.split(" "):
            case ["anna", "is", "logged", "in"]:
                self._login = True
            case ["SCRAM", "and", "tokens", "are", "taken"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, mechanisms=mechanisms(scram=True, bearer=True))
            case ["the", "kept", "message", "is", *rest]:
                assert kept[-1][2] == " ".join(rest).encode().replace(b"\\r\\n", b"\r\n")
            case ["the", "kept", "message", "is"]:
                assert kept[-1][2] == b""
            case ["the", "kept", "recipients", "are", *rest]:
                assert [str(one) for one in kept[-1][1]] == rest
            case ["messages", "may", "be", "held", "for", seconds, "seconds"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, hold=int(seconds))
            case ["it", "is", "held", "for", seconds, "seconds"]:
                until = self._place.submission.releases[-1]
                assert until is not None
                assert abs(until / 1_000_000 - time.time() - int(seconds)) < 10
            case ["it", "is", "asked", *words]:
                asked = [*self._place.submission.requests, *self._place.delivery.requests]
                assert [*asked[-1]] == [word.replace("\\\\", "\\") for word in words]
            case ["it", "is", "not", "held"]:
                assert self._place.submission.releases[-1] is None
            case ["the", "kept", "sender", "is", "<>"]:
                assert kept[-1][0] is None
            case ["nothing", "was", "kept"]:
                assert kept == []
            case ["anna", "sends", octets, "octets"]:
                assert self._anna is not None
                self._anna.write(b"x" * int(octets))
            case ["post", "sends", octets, "octets"]:
                assert self._writer is not None
                self._writer.write((b"x" * 98 + b"\r\n") * (int(octets) // 100 + 1))
            case _:
                raise AssertionError(text)


@pytest.mark.parametrize(("text", "complaint"), [("  250 ok", "nobody"), ("what is this", "line 1")])
def test_a_line_that_means_nothing_is_an_error(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)


def test_there_are_dialogues() -> None:
    assert len(CASES) > 15
