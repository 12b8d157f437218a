"""The dialogues in tests/transcripts/smtp and lmtp, through real sockets."""

import asyncio
import re
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from config.addresses import UnixAddress
from gateway.mechanisms import mechanisms
from tests.gateway.smtp.conftest import Place, Serve, client_context
from tests.transcripts.dialogue import Play, parse

ROOT = Path(__file__).parents[2] / "transcripts"
CASES = sorted(path for protocol in ("smtp", "lmtp") for path in (ROOT / protocol).rglob("*.txt") if path.parent.name != "server")
"""Those in `server` are played to the whole server: tests/live/test_dialogues.py."""
DOOR = re.compile(r"^given +the door is (mx|submissions)$", re.MULTILINE)


@pytest.mark.parametrize("path", CASES, ids=lambda path: "-".join(path.relative_to(ROOT).with_suffix("").parts))
async def test_the_dialogue_goes_as_written(path: Path, serve: Serve) -> None:
    door = DOOR.search(path.read_text())
    kind = door[1] if door is not None else "submission" if path.relative_to(ROOT).parts[0] == "smtp" else "lmtp"
    async with serve(kind) as place:
        world = _World(place)
        await Play(world.connect, world.stage).play(path)


@pytest.mark.parametrize("path", [path for path in CASES if path.is_relative_to(ROOT / "lmtp")], ids=lambda path: path.stem)
async def test_at_a_unix_socket_it_goes_the_same_way(path: Path, serve: Serve, tmp_path: Path) -> None:
    async with serve("lmtp", address=UnixAddress(str(tmp_path / "lmtp"))) as place:
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
        where = self._place.addresses[0]
        if where.startswith("unix:"):
            reader, self._writer = await asyncio.open_unix_connection(where.removeprefix("unix:"))
        else:
            secured = client_context() if self._place.listener.name == "submissions" else None
            reader, self._writer = await asyncio.open_connection("127.0.0.1", self._place.port, ssl=secured)
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
            case ["the", "door", "is", _]:
                pass
            case ["the", "limits", "are", *limits]:
                changed = {name: float(value) if "." in value else int(value) for name, _, value in (one.partition("=") for one in limits)}
                listener = self._place.listener
                listener._terms = replace(listener._terms, limits=replace(listener._terms.limits, **changed))  # type: ignore[arg-type]
            case ["no", "TLS", "is", "offered"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, tls=None)
            case ["passwords", "need", "TLS"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, plaintext_login=False)
            case ["neighbours", "may", "say", "XCLIENT"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, neighbours=(ip_network("127.0.0.0/8"),))
            case ["connections", "come", "by", "a", "proxy"]:
                listener = self._place.listener
                listener._terms = replace(listener._terms, proxies=(ip_network("127.0.0.0/8"),))
            case ["messages", "were", "kept:", count]:
                assert len(kept) == int(count)
            case ["nothing", "was", "kept"]:
                assert kept == []
            case ["anna", "sends", octets, "octets"]:
                writer = self._anna or self._writer
                assert writer is not None
                writer.write(b"x" * int(octets))
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
