"""Who lives in the house that is soaked, what they share, and how its server is set up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.live import ledger as books
from tests.live.ledger import Flags, Ledger
from tests.live.server import PASSWORD, Server
from tests.live.several import WORKERS
from tests.live.talk import Talk
from tests.soak import measured

WORKER: Final = "worker@acme.test"
SINK: Final = "sink@acme.test"
SENDER: Final = "sender@acme.test"
BOSS: Final = "boss@acme.test"
COLLEAGUE: Final = "colleague@acme.test"
"""May always use the boss's folder Team, and send as the boss."""
GUEST: Final = "guest@acme.test"
"""Is let into the boss's folder Shared, and put out again."""
FICKLE: Final = "fickle@acme.test"
"""Whose status changes."""
FAR: Final = "far@elsewhere.test"

FOLDERS: Final = ("Appended", "Flagged", "Here", "There", "Source", "Copies", "Expunged")


class House(Server):
    """Its processes write down what of their memory is whose."""

    @property
    def figures(self) -> Path:
        """Where."""
        return self.directory / "figures"

    @property
    def serving(self) -> list[str]:
        return [sys.executable, "-m", "tests.soak.measured"]

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, measured.DIRECTORY: str(self.figures)}


def made(directory: Path, relay: int) -> House:
    """`relay`: the port of the next hop."""
    server = House(
        directory,
        {
            "workers": WORKERS,
            "relay": f"smtp://127.0.0.1:{relay}",
            "queue.retries": ["1s", "2s"],
            # A house in which everybody comes from one address, and logs in again whenever a worker was killed.
            "limits.connections_per_source": 1000,
            "limits.connections_per_account": 100,
        },
    )
    server.anew = True  # its memory is measured
    server.figures.mkdir()
    names = ("worker", "sink", "sender", "boss", "colleague", "guest", "fickle")
    server.prov(
        "createDomain acme.test",
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in names),
        *(f"modifyAccount {name}@acme.test delegatedSent none" for name in ("sender", "boss", "colleague")),
        f"grantRight account {BOSS} usr {COLLEAGUE} sendAs",
    )
    return server


def furnished(server: Server, ledger: Ledger) -> dict[str, int]:
    """Message → UID of those whose flags will change."""
    with Talk(server.ports["imap"], WORKER) as talk:
        for folder in FOLDERS:
            talk.ok(f"CREATE {folder}")
        flagged: dict[str, int] = {}
        for _ in range(12):
            message, uid = books.append(talk, ledger, WORKER, "Flagged")
            flagged[message.number] = uid
            ledger.flags[f"{WORKER} Flagged", message.number] = Flags(frozenset())
        for _ in range(10):
            message, _ = books.append(talk, ledger, WORKER, "Here")
            ledger.moves[message.number] = (frozenset((f"{WORKER} Here",)), True)
        books.append(talk, ledger, WORKER, "Source")
    with Talk(server.ports["imap"], BOSS) as talk:
        talk.ok("CREATE Team")
        talk.ok(f"SETACL Team {COLLEAGUE} lrswite")
        talk.ok("CREATE Shared")
        for _ in range(5):
            books.append(talk, ledger, BOSS, "Shared")
    return flagged
