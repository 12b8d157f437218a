"""A server with lists that people write to, a next hop for members elsewhere, and what those tests do again and again."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.next_hop import NextHop, Taken, next_hop
from tests.live.post import Clients, Letter, Postbox, Said, submit
from tests.live.server import PASSWORD, Server, compose

PEOPLE = ("anna", "bruno", "carla", "dario", "owen", "olive")
FRIEND = "friend@elsewhere.test"


class ListHouse:
    """`owen` and `olive` own every list that is made here."""

    def __init__(self, server: Server, hop: NextHop) -> None:
        self.server = server
        self.hop = hop
        self.clients = Clients(server)
        self._boxes: dict[str, Postbox] = {}

    def box(self, name: str) -> Postbox:
        if name not in self._boxes:
            self._boxes[name] = Postbox(self.server, f"{name}@acme.test")
        return self._boxes[name]

    def forget(self) -> None:
        for name in PEOPLE:
            self.box(name).new()
        self.hop.taken.clear()

    def kill_and_start(self) -> None:
        """kill -9; every connection of ours is gone with it."""
        self.server.kill()
        self._boxes.clear()
        self.clients = Clients(self.server)
        self.server.start()
        for name in PEOPLE:
            self.box(name).new()

    def close(self) -> None:
        self.clients.close()
        for box in self._boxes.values():
            box.close()

    def group(self, name: str, *members: str, **attributes: str) -> None:
        lines = [f"createDistributionList {name}@acme.test " + " ".join(f"{key} {value}" for key, value in attributes.items())]
        lines.append(f"modifyDistributionList {name}@acme.test owners owen@acme.test,olive@acme.test")
        if members:
            lines.append(f"addDistributionListMember {name}@acme.test {' '.join(members)}")
        self.server.prov(*lines)

    def members(self, name: str) -> list[str]:
        return sorted(self.server.run("list", "members", f"{name}@acme.test").stdout.split())

    def write(self, user: str, to: str, subject: str = "hello", text: str = "hello", **fields: str) -> Said:
        """As somebody who has logged in."""
        address = f"{user}@acme.test"
        return submit(self.clients[address], address, to, compose(address, to, subject, text, **fields))

    def bring(self, sender: str, to: str, subject: str = "hello", text: str = "hello", *, path: str | None = None, **fields: str) -> Said:
        """From elsewhere, at the MX door."""
        client = smtplib.SMTP("127.0.0.1", self.server.ports["mx"], timeout=20)
        try:
            client.ehlo("neighbour.test")
            return submit(client, sender if path is None else path, to, compose(sender, to, subject, text, **fields))
        finally:
            client.close()

    def sent(self, to: str, count: int = 1) -> list[Taken]:
        """What the next hop was given for this address, once it is so much."""
        end = time.monotonic() + 20
        while len(found := [one for one in list(self.hop.taken) if to in one.recipients]) < count:
            assert time.monotonic() < end, [one.recipients for one in self.hop.taken]
            time.sleep(0.02)
        return found


def reply_to(octets: bytes) -> str:
    """The address that a letter wants its answer at."""
    found = Letter(octets).one("Reply-To")
    assert found is not None
    return found


def text_of(octets: bytes) -> str:
    return re.sub(r"\s+", " ", octets.decode("utf-8", "replace"))


@contextmanager
def opened_house(directory: Path, **settings: object) -> Iterator[ListHouse]:
    with next_hop() as hop:
        server = Server(directory, {"relay": f"smtp://127.0.0.1:{hop.port}", **settings})
        server.directory.mkdir(exist_ok=True)
        server.prov("createDomain acme.test", *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in PEOPLE))
        with server:
            house = ListHouse(server, hop)
            try:
                yield house
            finally:
                house.close()
