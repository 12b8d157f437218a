"""Connections that are reset in the middle of a message (robustness.md section 5, F13): half of it is never there, the whole of it once."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.live.hostile import Raw, has_message_id, imap, smtp, unharmed
from tests.live.server import Server
from tests.live.verified import verified

USER = "user@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("resets"))
    made.people("user", "quiet")
    with made:
        yield made
        verified(made)


def message(number: str) -> bytes:
    return f"From: <{USER}>\r\nMessage-ID: <{number}@x.test>\r\n\r\n".encode() + b"some words\r\n" * 5000


def reset(raw: Raw) -> None:
    """RST instead of FIN: what the server has not read yet is thrown away by its system."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.socket.close()


def descriptors(server: Server) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.pids)


def settled(server: Server, before: int) -> None:
    """Connections are given back; readers of the database may have come in the meantime."""
    end = time.monotonic() + 10
    while descriptors(server) > before + 10:
        assert time.monotonic() < end, f"{descriptors(server)} descriptors instead of {before}"
        time.sleep(0.05)


def submitting(server: Server, number: str, sent: str) -> None:
    raw = smtp(server, "submission", login=USER)
    assert raw.say(f"MAIL FROM:<{USER}>".encode()).startswith("250")
    assert raw.say(f"RCPT TO:<{USER}>".encode()).startswith("250")
    assert raw.say(b"DATA").startswith("354")
    octets = message(number)
    raw.send(octets[: len(octets) // 2] if sent == "half" else octets + b".\r\n")
    reset(raw)


def appending(server: Server, number: str, sent: str) -> None:
    raw = imap(server, USER)
    octets = message(number)
    raw.send(b"a APPEND INBOX {%d}\r\n" % len(octets))
    assert raw.line().startswith(b"+")
    raw.send(octets[: len(octets) // 2] if sent == "half" else octets + b"\r\n")
    reset(raw)


ACTS: Final[dict[str, Callable[[Server, str, str], None]]] = {"submitting": submitting, "appending": appending}


@pytest.mark.parametrize("sent", ["half", "whole"])
@pytest.mark.parametrize("act", ACTS)
def test_half_a_message_is_never_there_and_a_whole_one_once(server: Server, act: str, sent: str) -> None:
    numbers = [f"{act}-{sent}-{number}" for number in range(20)]
    with unharmed(server, "quiet@acme.test"):
        before = descriptors(server)
        for number in numbers:
            ACTS[act](server, number, sent)
        settled(server, before)
        # Behind all that came before it.
        last = f"{act}-{sent}-last"
        server.deliver(USER, message(last))
        server.wait_for(USER)
    found = server.messages(USER)
    assert has_message_id(found, f"{last}@x.test".encode()) == 1
    most = 1 if sent == "whole" else 0
    assert [number for number in numbers if has_message_id(found, f"{number}@x.test".encode()) > most] == []
