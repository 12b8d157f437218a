"""How long do SELECT and its kin take in a folder of many messages, and for how long does nobody else get an answer meanwhile?

    python -m tests.bench.big_folder [MESSAGES] [DIRECTORY]

The store is made in DIRECTORY (kept, and used again when it is there) or in a temporary one, by the store's own deeds; then the server
process is started on it and asked over a socket. A second connection sends NOOP after NOOP: its longest wait is what the others feel.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from gateway.arrival import arrived
from gateway.message.canonical import read_address
from store import accounts, addresses, folders
from store.appending import AppendMessages, NewInFolder
from store.connect import connect
from store.model import Flag
from tests.live.server import PASSWORD, Server

OWNER = "anna@acme.test"
BATCH = 2_000
TAIL = 8_192
"""Octets of an answer in which its last line is looked for: with every capability, LOGIN's is over a thousand."""


async def fill(data: Path, count: int) -> None:
    """So many messages in the owner's folder Big; every third is \\Seen."""
    store = await connect("sqlite:///{data}/procura.db", data)
    try:
        async with store.snapshot() as snapshot:
            found = await snapshot.ask(addresses.resolve, read_address(OWNER))
            assert found is not None
            owner = await snapshot.ask(accounts.by_id, found.id)
        assert owner is not None
        folder = await store.do(folders.CreateFolder(owner.id, "/Big"))
        for first in range(1, count + 1, BATCH):
            items = tuple(
                NewInFolder(
                    arrived(b"From: bruno@acme.test\r\nTo: anna@acme.test\r\nSubject: Number %d\r\n\r\nHello %d\r\n" % (number, number)),
                    Flag.SEEN if number % 3 == 0 else Flag(0),
                )
                for number in range(first, min(first + BATCH, count + 1))
            )
            await store.do(AppendMessages(folder.id, items, 0))
    finally:
        await store.close()


class Client:
    """Blocking, so that nothing of ours stands between the clock and the socket."""

    def __init__(self, port: int, user: str = OWNER) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.number = 0
        self._until(b"\r\n")
        self.do(f'LOGIN {user} "{PASSWORD}"')

    def _until(self, end: bytes) -> bytes:
        while end not in self.buffer[-len(end) - 300 :]:
            self.buffer += self.socket.recv(1 << 20)
        found, self.buffer = self.buffer, b""
        return found

    def do(self, command: str) -> bytes:
        self.number += 1
        tag = b"t%d" % self.number
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        parts: list[bytes] = []
        end = re.compile(rb"(?:\A|\n)" + tag + rb" (?:OK|NO|BAD)[^\n]*\n\Z")
        tail = b""
        while not end.search(tail):
            parts.append(self.socket.recv(1 << 20))
            tail = (tail + parts[-1])[-TAIL:]
        assert b"\n" + tag + b" OK" in b"\n" + tail, tail
        return b"".join(parts)


class Neighbour(threading.Thread):
    """NOOP after NOOP; the longest wait."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.longest = 0.0
        self.ends = False

    def run(self) -> None:
        while not self.ends:
            before = time.perf_counter()
            self.client.do("NOOP")
            self.longest = max(self.longest, time.perf_counter() - before)
            time.sleep(0.001)


def resident(server: Server) -> float:
    """Of the server process, in MiB."""
    assert server.process is not None
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(server: Server) -> None:
    port = server.ports["imap"]
    neighbour = Neighbour(Client(port))
    neighbour.start()

    def timed(label: str, client: Client, command: str) -> bytes:
        time.sleep(0.3)
        neighbour.longest = 0.0
        before = time.perf_counter()
        said = client.do(command)
        took = time.perf_counter() - before
        time.sleep(0.05)
        print(f"{label:42} {took * 1000:8.1f} ms, {len(said):9d} octets; others waited at most {neighbour.longest * 1000:7.1f} ms")
        return said

    one, two = Client(port), Client(port)
    said = timed("SELECT, the first since the start", one, "SELECT Big")
    timed("SELECT, another session", two, "SELECT Big")
    two.do("UNSELECT")
    timed("SELECT, the same session again", one, "SELECT Big")
    one.do("UNSELECT")
    timed("SELECT, after all had left", two, "SELECT Big")
    two.do("ENABLE QRESYNC")
    validity, modseq = (re.search(rb"\[%b (\d+)\]" % name, said) for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ"))
    assert validity is not None
    assert modseq is not None
    timed("STATUS", one, "STATUS Big (MESSAGES UNSEEN UIDNEXT)")
    timed("SELECT (QRESYNC), nothing new", two, f"SELECT Big (QRESYNC ({int(validity[1])} {int(modseq[1])}))")
    timed("SELECT (QRESYNC), everything changed", two, f"SELECT Big (QRESYNC ({int(validity[1])} 1))")
    timed("SELECT (QRESYNC), of another history", two, f"SELECT Big (QRESYNC ({int(validity[1])} {int(modseq[1]) + 10**9}))")
    timed("FETCH 1:* FLAGS (CHANGEDSINCE 1)", two, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)")
    timed("UID FETCH 1:* FLAGS (VANISHED, long ago)", two, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    timed("FETCH 1:* (UID FLAGS)", two, "FETCH 1:* (UID FLAGS)")
    before = resident(server)
    timed("FETCH 1:* (BODY.PEEK[])", two, "FETCH 1:* (BODY.PEEK[])")
    print(f"the server's memory: {before:.1f} MiB before it, {resident(server):.1f} MiB after it")
    timed("UID SEARCH UNSEEN", two, "UID SEARCH UNSEEN")
    timed("UID SEARCH RETURN (SAVE) UNSEEN", two, "UID SEARCH RETURN (SAVE) UNSEEN")
    one.do("SELECT Big")
    timed("STORE of every second, $", two, "UID STORE $ +FLAGS.SILENT (\\Flagged)")
    timed("NOOP that tells of it", one, "NOOP")
    two.do("UID SEARCH RETURN (SAVE) SEEN")
    two.do("UID STORE $ +FLAGS.SILENT (\\Deleted)")
    one.do("NOOP")
    timed("EXPUNGE of every third", two, "EXPUNGE")
    timed("NOOP that tells of it", one, "NOOP")
    neighbour.ends = True
    neighbour.join()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(sys.argv[2] if len(sys.argv) > 2 else scratch)
        server = Server(directory)
        if not server.data.exists():
            with server:
                server.people("anna")
            before = time.perf_counter()
            asyncio.run(fill(server.data, count))
            print(f"{count} messages stored in {time.perf_counter() - before:.1f} s")
        with server:
            measure(server)


if __name__ == "__main__":
    main()
