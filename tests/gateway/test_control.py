"""The control socket: both ends, what stands on the wire between them, and who is not listened to."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway import control
from gateway.control import SOCKET, Broken, Control, NobodyThere, ask
from gateway.prov.run import Ended, Event, Progress, Request, Said
from tests.gateway.administration import Office, opened_office


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Office]:
    async with opened_office(data) as office:
        server = Control(data, office.desk)
        await server.start()
        try:
            yield office
        finally:
            await server.close(0.2)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with running(tmp_path) as office:
        yield office


async def asked(data: Path, request: Request, *lines: str) -> list[Event]:
    async def each() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return [event async for event in ask(data, request, each() if request.batch else None)]


async def raw(data: Path, octets: bytes) -> list[dict[str, object]]:
    reader, writer = await asyncio.open_unix_connection(str(data / SOCKET))
    writer.write(octets)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return [json.loads(line) for line in answer.splitlines()]


async def test_a_verb_and_its_answer(office: Office, tmp_path: Path) -> None:
    assert await asked(tmp_path, Request("prov", ("cd", "acme.test"))) == [Said("1\n"), Ended(0)]
    assert await asked(tmp_path, Request("prov", ("gad",), as_json=True)) == [Said('["acme.test"]\n'), Ended(0)]
    assert await asked(tmp_path, Request("prov", ("ga", "x@acme.test"))) == [
        Said("ERROR: account.NO_SUCH_ACCOUNT (no such account: x@acme.test)\n", error=True),
        Ended(1),
    ]
    assert (await asked(tmp_path, Request("audit", ("verify",))))[-1] == Ended(0)


async def test_a_batch_is_streamed(office: Office, tmp_path: Path) -> None:
    lines = ["cd acme.test", *(f"ca u{n}@acme.test sixsix" for n in range(100)), "ga nobody@acme.test", "gaa"]
    events = await asked(tmp_path, Request("prov", batch=True, keep_going=True, progress=True), *lines)
    assert events[-1] == Ended(1)
    assert [event.lines for event in events if isinstance(event, Progress)] == [*range(1, 104)]
    assert "".join(event.text for event in events if isinstance(event, Said)).count("@acme.test\n") == 100


async def test_a_batch_that_stops_early_does_not_wait_for_its_lines(office: Office, tmp_path: Path) -> None:
    events = await asked(tmp_path, Request("prov", batch=True), *["frob"] * 20_000)
    assert events[-1] == Ended(2)


async def test_a_batch_that_stops_while_a_line_is_waited_for_is_no_fault(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
    request = {"command": "prov", "arguments": [], "batch": True}
    writer.write(json.dumps(request).encode() + b"\n" + json.dumps({"line": "nonsense"}).encode() + b"\n")
    assert json.loads(await asyncio.wait_for(reader.readline(), 5)).keys() == {"error"}
    assert json.loads(await asyncio.wait_for(reader.readline(), 5)) == {"status": 2}
    writer.write(json.dumps({"line": "more"}).encode() + b"\n")
    writer.close()
    assert await asked(tmp_path, Request("prov", ("gad",))) == [Said(""), Ended(0)]
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_long_answer_comes_whole(office: Office, tmp_path: Path) -> None:
    await office.done("cd acme.test", *(f"cc c{n} note {'ü' * 3000}" for n in range(60)))
    whole = (await office.prov("gac -v")).out
    events = await asked(tmp_path, Request("prov", ("gac", "-v")))
    assert "".join(event.text for event in events if isinstance(event, Said)) == whole
    assert len(events) > 3


async def test_the_socket_is_the_users_alone(office: Office, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600


async def test_another_user_is_not_listened_to(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control.os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(control.struct, "unpack", lambda *_: (1, 4242, 4242))
    events = await asked(tmp_path, Request("prov", ("cd", "acme.test")))
    assert events[-1] == Ended(1)
    assert "PERM_DENIED" in str(events[0])
    monkeypatch.undo()
    assert await asked(tmp_path, Request("prov", ("gad",))) == [Said(""), Ended(0)]


@pytest.mark.parametrize(
    "octets",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"command": "serve"}\n',
        b'{"command": "prov", "arguments": "gad"}\n',
        b'{"command": "prov", "arguments": [1]}\n',
        b'{"command": "prov", "arguments": ["cc", "\\ud800"]}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * (control.LINE + 10) + b"\n",
    ],
)
async def test_what_is_no_call_is_refused_and_the_next_one_is_heard(office: Office, tmp_path: Path, octets: bytes) -> None:
    told = await raw(tmp_path, octets)
    assert told[-1] == {"status": 1}
    assert "service.INVALID_REQUEST" in str(told[0]["error"])
    assert await asked(tmp_path, Request("prov", ("gad",))) == [Said(""), Ended(0)]


async def test_a_caller_who_goes_away_disturbs_nobody(office: Office, tmp_path: Path) -> None:
    for octets in (b"", b'{"command": "prov", "batch": true}\n{"line": "cd acme.test"}\n'):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        writer.write(octets)
        writer.transport.abort()
    assert (await asked(tmp_path, Request("prov", ("gac",))))[-1] == Ended(0)


async def test_a_fault_of_ours_ends_one_call_without_its_words(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> object:
        raise RuntimeError("secret path")

    monkeypatch.setattr(office.directory.domains, "all", broken)
    events = await asked(tmp_path, Request("prov", ("gad",)))
    assert events == [Said("ERROR: service.FAILURE (system failure: the server's log has it)\n", error=True), Ended(1)]
    assert (await asked(tmp_path, Request("prov", ("gac",))))[-1] == Ended(0)


async def test_without_a_server_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(NobodyThere):
        await asked(tmp_path, Request("prov", ("gad",)))
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET))
    left.close()
    with pytest.raises(NobodyThere):
        await asked(tmp_path, Request("prov", ("gad",)))
    # What an earlier server left is no obstacle.
    async with running(tmp_path):
        assert (await asked(tmp_path, Request("prov", ("gac",))))[-1] == Ended(0)
    assert not (tmp_path / SOCKET).exists()


async def test_a_server_that_goes_away_is_told_apart_from_none(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(hang_up, str(tmp_path / SOCKET)):
        with pytest.raises(Broken):
            await asked(tmp_path, Request("prov", ("gad",)))


async def test_a_path_longer_than_sockets_allow_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with running(deep):
        assert (await asked(deep, Request("prov", ("gac",))))[-1] == Ended(0)
