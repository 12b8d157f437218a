"""Connections that are reset in the middle (robustness.md section 5, F13): half of a message or a command is never there, the whole of it
once, and the ledger holds."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.live import ledger as books
from tests.live.hostile import Raw, imap, smtp, unharmed
from tests.live.ledger import Flags, Ledger
from tests.live.server import Server
from tests.live.talk import Talk
from tests.live.verified import verified

USER = "user@acme.test"
STRANGER = "stranger@elsewhere.test"
COUNT = 10
"""Resets of each kind."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("resets"))
    made.people("user", "quiet")
    with made:
        yield made
        verified(made)


@dataclass
class Book(Ledger):
    """Of all that is done to the server."""

    done: dict[str, set[int]] = field(default_factory=dict)

    def next(self, place: str) -> tuple[int, str]:
        """A message there that nothing was tried with yet: its UID and its number."""
        done = self.done.setdefault(place, set())
        uid = min(self.seen[place].keys() - done)
        done.add(uid)
        return uid, self.seen[place][uid]


@pytest.fixture(scope="module")
def ledger(server: Server) -> Book:
    """What is moved, flagged and expunged is there already."""
    made = Book()
    with Talk(server.ports["imap"], USER) as talk:
        for folder in ("Appended", "Here", "There", "Flagged", "Expunged"):
            talk.ok(f"CREATE {folder}")
        for _ in range(2 * COUNT):
            message, _uid = books.append(talk, made, USER, "Here")
            made.moves[message.number] = (frozenset((f"{USER} Here",)), True)
            message, _uid = books.append(talk, made, USER, "Flagged")
            made.flags[f"{USER} Flagged", message.number] = Flags(frozenset())
            books.append(talk, made, USER, "Expunged", "\\Deleted")
    return made


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


# --- what is cut off. Each returns the octets that come last, and has told the ledger what they may do.


def handing_in(raw: Raw, ledger: Book, door: str) -> bytes:
    sender = USER if door == "submission" else STRANGER
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{USER}>"):
        assert raw.say(command.encode()).startswith("250")
    assert raw.say(b"DATA").startswith("354")
    return books.octets(ledger.begin(f"{USER} INBOX"), sender) + b"some words\r\n" * 5000 + b".\r\n"


def appending(raw: Raw, ledger: Book, _: str) -> bytes:
    octets = books.octets(ledger.begin(f"{USER} Appended"), USER) + b"some words\r\n" * 5000
    raw.send(b"a APPEND Appended {%d}\r\n" % len(octets))
    assert raw.line().startswith(b"+")
    return octets + b"\r\n"


def moving(raw: Raw, ledger: Book, sent: str) -> bytes:
    uid, number = ledger.next(f"{USER} Here")
    assert raw.do(b"s", b"SELECT Here").startswith(b"s OK")
    places = (f"{USER} Here", f"{USER} There") if sent == "whole" else (f"{USER} Here",)
    ledger.moves[number] = (frozenset(places), True)
    return b"a UID MOVE %d There\r\n" % uid


def flagging(raw: Raw, ledger: Book, sent: str) -> bytes:
    uid, number = ledger.next(f"{USER} Flagged")
    assert raw.do(b"s", b"SELECT Flagged").startswith(b"s OK")
    if sent == "whole":
        ledger.flags[f"{USER} Flagged", number].tried = frozenset({"\\Flagged", "\\Seen"})
    return b"a UID STORE %d FLAGS.SILENT (\\Flagged \\Seen)\r\n" % uid


def expunging(raw: Raw, ledger: Book, sent: str) -> bytes:
    uid, _ = ledger.next(f"{USER} Expunged")
    assert raw.do(b"s", b"SELECT Expunged").startswith(b"s OK")
    if sent == "whole":
        ledger.expunging[f"{USER} Expunged"].add(uid)
    return b"a UID EXPUNGE %d\r\n" % uid


MAIL: Final = ("submission", "lmtp", "append")
COMMANDS: Final[dict[str, Callable[[Raw, Book, str], bytes]]] = {"move": moving, "flags": flagging, "expunge": expunging}


def cut_off(server: Server, ledger: Book, act: str, sent: str) -> None:
    if act in ("submission", "lmtp"):
        raw = smtp(server, act, login=USER if act == "submission" else None)
        octets = handing_in(raw, ledger, act)
    else:
        raw = imap(server, USER)
        octets = COMMANDS.get(act, appending)(raw, ledger, sent)
    raw.send(octets[: len(octets) // 2] if sent == "half" else octets)
    reset(raw)


@pytest.mark.parametrize("sent", ["half", "whole"])
@pytest.mark.parametrize("act", [*MAIL, *COMMANDS])
def test_half_a_message_is_never_there_and_a_whole_one_once(server: Server, ledger: Book, act: str, sent: str) -> None:
    before = set(ledger.messages)
    with unharmed(server, "quiet@acme.test"):
        open_ = descriptors(server)
        for _ in range(COUNT):
            cut_off(server, ledger, act, sent)
        settled(server, open_)
    tried = ledger.messages.keys() - before
    assert len(tried) == (COUNT if act in MAIL else 0)
    with server.lmtp() as client:
        # Behind all that came before it.
        last = ledger.begin(f"{USER} INBOX")
        client.sendmail(STRANGER, [USER], books.octets(last, STRANGER))
        last.acknowledged = True
    books.check(server, ledger)
    there = {number for uids in ledger.seen.values() for number in uids.values()}
    assert last.number in there
    assert sent == "whole" or not tried & there


def test_the_ledger_sees_half_a_message(server: Server, ledger: Book) -> None:
    """One that nobody began to hand in."""
    with server.lmtp() as client:
        client.sendmail(STRANGER, [USER], books.octets(books.Message("m999999", ()), STRANGER))
    with pytest.raises(AssertionError, match="m999999 is 1 times"):
        books.check(server, ledger)
