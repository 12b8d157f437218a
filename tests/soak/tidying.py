"""Somebody who reads a folder all the time, notes every UID, and expunges what is old: so what grows is not the folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.live import ledger as books
from tests.live.ledger import Ledger
from tests.live.server import PASSWORD, Server
from tests.live.talk import Talk

MOST: Final = 200
"""Messages; of more the oldest half is expunged."""


@dataclass
class Folder:
    """`doubled`: what was delivered once and has two UIDs."""

    user: str
    name: str
    known: dict[int, str] = field(default_factory=dict)
    read: int = 0
    expunged: int = 0
    doubled: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """As the ledger calls it."""
        return f"{self.user} {self.name}"


def tidying(server: Server, ledger: Ledger, folder: Folder) -> Callable[[], Callable[[], None]]:
    def make() -> Callable[[], None]:
        talk = Talk(server.ports["imap"])
        answer = talk.do(f'LOGIN {folder.user} "{PASSWORD}"')
        assert answer.kind.startswith("OK"), answer.tagged
        talk.ok(f"SELECT {folder.name}")
        # What was being expunged when a connection broke may be gone.
        there = books.contents(talk, folder.name, selected=True)
        folder.known = {uid: number for uid, number in folder.known.items() if uid in there}

        def work() -> None:
            last = max(folder.known, default=0)
            for uid, number in books.contents(talk, folder.name, first=last + 1, selected=True).items():
                _seen(ledger, folder, uid, number)
            if len(folder.known) > MOST:
                _expunge(talk, ledger, folder, sorted(folder.known)[: MOST // 2])

        return work

    return make


def _seen(ledger: Ledger, folder: Folder, uid: int, number: str) -> None:
    ledger.named(folder.place, uid, number)
    folder.known[uid] = number
    folder.read += 1
    message = ledger.messages.get(number)
    if message is None or folder.place not in message.places:
        return
    if message.uid is None:
        message.uid = uid
    elif message.uid != uid:
        folder.doubled.append(f"{number} is UID {message.uid} and UID {uid} of {folder.place}")


def _expunge(talk: Talk, ledger: Ledger, folder: Folder, uids: list[int]) -> None:
    ledger.expunging.setdefault(folder.place, set()).update(uids)
    these = ",".join(map(str, uids))
    talk.ok(f"UID STORE {these} +FLAGS.SILENT (\\Deleted)")
    talk.ok(f"UID EXPUNGE {these}")
    ledger.expunged.setdefault(folder.place, set()).update(uids)
    folder.expunged += len(uids)
    for uid in uids:
        del folder.known[uid]
