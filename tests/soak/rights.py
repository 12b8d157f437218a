"""Grants and statuses that change all the time, and people who try whether they still get in: what was taken is gone within a second."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.live.server import PASSWORD, Server
from tests.live.talk import Talk
from tests.soak.house import BOSS, FICKLE, GUEST

SOON: Final = 1.0
"""Seconds in which what was taken away has to be gone."""
SHARED: Final = '"Other Users/boss/Shared"'


@dataclass
class Taken:
    """What is taken away and given again. `since`: from when on nothing may be got, None while it may."""

    what: str
    since: float | None = None
    times: int = 0
    tried: int = 0
    refused: int = 0
    late: float = 0.0
    """The longest time after which something was still got, seconds."""
    wrong: list[str] = field(default_factory=list)

    def took(self) -> None:
        """It was answered."""
        self.since = time.monotonic()
        self.times += 1

    def gives(self) -> None:
        """From now on it may be got again."""
        self.since = None

    def tries(self, attempt: Callable[[], bool]) -> None:
        """`attempt`: was something got? Judged by when it began, and only if it was taken all the while."""
        since, began = self.since, time.monotonic()
        got = attempt()
        self.tried += 1
        self.refused += not got
        if got and since is not None and since == self.since:
            self.late = max(self.late, began - since)
            if began - since > SOON:
                self.wrong.append(f"{self.what}: got {began - since:.2f} s after it was taken away")


def granting(server: Server, taken: Taken, chance: random.Random, stop: threading.Event) -> Callable[[], Callable[[], None]]:
    """The boss lets the guest in, and puts him out."""

    def make() -> Callable[[], None]:
        talk = _in(server, BOSS)

        def work() -> None:
            taken.gives()
            talk.ok(f"SETACL Shared {GUEST} lrs")
            stop.wait(chance.uniform(0.2, 1.0))
            talk.ok(f"DELETEACL Shared {GUEST}")
            taken.took()
            stop.wait(chance.uniform(1.2, 2.0))

        return work

    return make


def visiting(server: Server, taken: Taken) -> Callable[[], Callable[[], None]]:
    """The guest reads what he gets. A session whose folder is taken away is told BYE, and begins again."""

    def make() -> Callable[[], None]:
        talk = _in(server, GUEST)

        def got() -> bool:
            if not talk.do(f"EXAMINE {SHARED}").kind.startswith("OK"):
                return False
            return bool(talk.do("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])").about("FETCH"))

        def work() -> None:
            taken.tries(got)
            time.sleep(0.02)

        return work

    return make


class Statuses(threading.Thread):
    """Locks the fickle, lets in again, holds the mail, lets in again: with the command, as an administrator does. What a command said while
    the writer was away is no matter: it is said again."""

    def __init__(self, server: Server, taken: Taken, chance: random.Random, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server, self._taken, self._chance, self._halt = server, taken, chance, stop
        self.said_again = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._halt.is_set():
            for status in ("locked", "active", "maintenance", "active"):
                if status == "active":
                    self._taken.gives()
                if not self.set(status):
                    return
                if status != "active":
                    self._taken.took()
                self._halt.wait(self._chance.uniform(2, 6))

    def set(self, status: str) -> bool:
        """False: it could not be said."""
        said = ""
        for _ in range(30):
            done = self._server.run("prov", "modifyAccount", FICKLE, "status", status, check=False)
            if done.returncode == 0:
                return True
            said = done.stderr + done.stdout
            self.said_again += 1
            time.sleep(0.5)
        self.wrong.append(f"modifyAccount status {status} failed for 15 s: {said}")
        return False


def logging_in(server: Server, taken: Taken) -> Callable[[], Callable[[], None]]:
    """The fickle with a session that is kept as long as it lasts."""

    def make() -> Callable[[], None]:
        held: list[Talk] = []

        def got() -> bool:
            try:
                if not held:
                    talk = Talk(server.ports["imap"])
                    answer = talk.do(f'LOGIN {FICKLE} "{PASSWORD}"')
                    if not answer.kind.startswith("OK"):
                        talk.close()
                        return False
                    held.append(talk)
                return held[0].do("STATUS INBOX (MESSAGES)").kind.startswith("OK")
            except (EOFError, ConnectionError, AssertionError):
                if held:
                    held.pop().close()
                return False

        def work() -> None:
            taken.tries(got)
            time.sleep(0.1)

        return work

    return make


def idling(server: Server, user: str, folder: str) -> Callable[[], Callable[[], None]]:
    """Is told of what comes: something comes all the time."""

    def make() -> Callable[[], None]:
        talk = _in(server, user)
        talk.ok(f"SELECT {folder}")

        def work() -> None:
            tag = talk.idle()
            talk.until(b"* ", 20)
            answer = talk.done(tag)
            assert answer.kind == "OK", answer.tagged

        return work

    return make


def delegating(server: Server, ledger: object, refused: set[str], user: str) -> Callable[[], Callable[[], None]]:
    """Files into somebody else's folder."""
    from tests.live import ledger as books

    assert isinstance(ledger, books.Ledger)

    def make() -> Callable[[], None]:
        talk = _in(server, user)

        def work() -> None:
            message = ledger.begin(f"{BOSS} Team")
            answer = talk.do('APPEND "Other Users/boss/Team" (\\Seen)', books.octets(message, user))
            if not answer.kind.startswith("OK"):
                refused.add(message.number)
                talk.close()
            assert answer.kind.startswith("OK"), answer.tagged
            found = re.search(r"\[APPENDUID \d+ (\d+)\]", answer.tagged)
            assert found is not None, answer.tagged
            message.uid = int(found[1])
            message.acknowledged = True
            ledger.named(f"{BOSS} Team", message.uid, message.number)

        return work

    return make


def _in(server: Server, user: str) -> Talk:
    talk = Talk(server.ports["imap"])
    answer = talk.do(f'LOGIN {user} "{PASSWORD}"')
    assert answer.kind.startswith("OK"), answer.tagged
    return talk
