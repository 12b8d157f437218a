"""Clients that go on whatever happens: what was acknowledged when, what was put off, and what was refused for good."""

from __future__ import annotations

import itertools
import re
import shutil
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.live import ledger as books
from tests.live.ledger import Ledger, Message
from tests.live.next_hop import NextHop
from tests.live.server import Server
from tests.live.talk import Talk

PAUSE = 0.2
"""Seconds until a client that was put off or cut off tries again."""
LATER = re.compile(r"NO \[(UNAVAILABLE|INUSE|SERVERBUG|LIMIT)\b")


class PutOff(Exception):
    """The server said "later"."""


def started(nodes: Iterable[Server]) -> None:
    """All of one installation: what the first one made for itself the others need too."""
    first: Server | None = None
    for node in nodes:
        if first is not None:
            node.data.mkdir(mode=0o700, parents=True)
            shutil.copy(first.data / "secret.key", node.data)
        node.start()
        first = first or node


@dataclass
class Client:
    """One of them. `make` connects; what it returns is one action, done ever again."""

    name: str
    make: Callable[[], Callable[[], None]]
    done: list[float] = field(default_factory=list)
    put_off: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def gap(self, since: float, until: float) -> float:
        """The longest time without anything being acknowledged."""
        moments = [since, *(one for one in self.done if since < one < until), until]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))


class Load:
    """`with Load(clients) as load:`; each in a thread of its own. `pause`: seconds behind each action."""

    def __init__(self, clients: list[Client], pause: float = 0.02) -> None:
        self.clients = clients
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in clients]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not [thread for thread in self._threads if thread.is_alive()], "a client still waits for an answer"

    def _run(self, client: Client) -> None:
        work: Callable[[], None] | None = None
        while not self._stop.is_set():
            try:
                if work is None:
                    work = client.make()
                work()
                client.done.append(time.monotonic())
                self._stop.wait(self._pause)
            except Exception as fault:
                work = None
                _judge(client, fault)
                self._stop.wait(PAUSE)

    def settled(self, seconds: float = 90) -> float:
        """Until each of them has been served again, twice; the moment."""
        began = time.monotonic()
        while True:
            if all(sum(moment > began for moment in one.done) >= 2 for one in self.clients):
                return time.monotonic()
            assert time.monotonic() - began < seconds, {one.name: (len(one.done), one.put_off) for one in self.clients}
            time.sleep(0.05)

    def told(self, since: float, until: float) -> str:
        return "; ".join(f"{one.name} {one.gap(since, until):.1f} s" for one in self.clients)

    def check(self) -> None:
        wrong = [f"{one.name}: {said}" for one in self.clients for said in one.wrong]
        assert not wrong, wrong[:10]


def _judge(client: Client, fault: Exception) -> None:
    codes: list[int] = []
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in fault.recipients.values()]
    elif isinstance(fault, smtplib.SMTPResponseException):
        codes = [fault.smtp_code]
    if codes:
        if any(code >= 500 for code in codes):
            client.wrong.append(repr(fault))
        client.put_off.update(map(str, codes))
    elif isinstance(fault, PutOff | smtplib.SMTPServerDisconnected | OSError | EOFError):
        client.put_off[type(fault).__name__] += 1
    elif isinstance(fault, AssertionError) and ("BYE" in str(fault) or LATER.search(str(fault))):
        client.put_off["NO"] += 1
    else:
        client.wrong.append(repr(fault))


def submitting(server: Server, ledger: Ledger, refused: set[str], user: str, recipient: str) -> Callable[[], Callable[[], None]]:
    def make() -> Callable[[], None]:
        client = server.smtp(user)

        def work() -> None:
            message = ledger.begin(f"{recipient} INBOX")
            _sent(client, user, recipient, message, refused)

        return work

    return make


def relaying(server: Server, ledger: Ledger, refused: set[str], user: str, sent: list[Message]) -> Callable[[], Callable[[], None]]:
    """To somebody elsewhere: the next hop is the one to ask."""

    def make() -> Callable[[], None]:
        client = server.smtp(user)

        def work() -> None:
            message = ledger.begin()
            sent.append(message)
            _sent(client, user, "far@elsewhere.test", message, refused)
            time.sleep(0.1)

        return work

    return make


def handing_in(server: Server, ledger: Ledger, refused: set[str], recipient: str) -> Callable[[], Callable[[], None]]:
    def make() -> Callable[[], None]:
        client = server.lmtp()
        client.ehlo()

        def work() -> None:
            message = ledger.begin(f"{recipient} INBOX")
            _sent(client, "stranger@elsewhere.test", recipient, message, refused)

        return work

    return make


def _sent(client: smtplib.SMTP, sender: str, recipient: str, message: Message, refused: set[str]) -> None:
    try:
        client.sendmail(sender, [recipient], books.octets(message, sender))
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
        refused.add(message.number)
        client.close()
        raise
    message.acknowledged = True


def appending(server: Server, ledger: Ledger, refused: set[str], user: str, folder: str) -> Callable[[], Callable[[], None]]:
    def make() -> Callable[[], None]:
        talk = _logged_in(server, user)

        def work() -> None:
            message = ledger.begin(f"{user} {folder}")
            answer = talk.do(f"APPEND {folder} ()", books.octets(message, user))
            if not answer.kind.startswith("OK"):
                refused.add(message.number)
                talk.close()
            assert answer.kind.startswith("OK"), answer.tagged
            found = re.search(r"\[APPENDUID (\d+) (\d+)\]", answer.tagged)
            assert found is not None, answer.tagged
            message.uid = int(found[2])
            message.acknowledged = True
            ledger.named(f"{user} {folder}", message.uid, message.number)

        return work

    return make


def expunging(server: Server, ledger: Ledger, user: str, folder: str) -> Callable[[], Callable[[], None]]:
    def make() -> Callable[[], None]:
        talk = _logged_in(server, user)
        talk.ok(f"SELECT {folder}")
        place = f"{user} {folder}"
        before: list[int] = []

        def work() -> None:
            _, uid = books.append(talk, ledger, user, folder, "\\Deleted")
            if before:
                old = before.pop()
                ledger.expunging.setdefault(place, set()).add(old)
                talk.ok(f"UID EXPUNGE {old}")
                ledger.expunged.setdefault(place, set()).add(old)
            before.append(uid)

        return work

    return make


def reading(server: Server, ledger: Ledger, user: str, folder: str) -> Callable[[], Callable[[], None]]:
    """Notes which UID names which message, all the time: what was seen once must never be another."""

    def make() -> Callable[[], None]:
        talk = _logged_in(server, user)
        last = 0

        def work() -> None:
            nonlocal last
            answer = talk.do(f"EXAMINE {folder}")
            assert answer.kind.startswith("OK"), answer.tagged
            for uid, number in books.contents(talk, folder, first=max(last, 1), selected=True).items():
                ledger.named(f"{user} {folder}", uid, number)
                last = uid
            time.sleep(0.1)

        return work

    return make


def _logged_in(server: Server, user: str) -> Talk:
    talk = Talk(server.ports["imap"])
    try:
        return _login(talk, user)
    except BaseException:
        talk.close()
        raise


def _login(talk: Talk, user: str) -> Talk:
    from tests.live.server import PASSWORD

    answer = talk.do(f'LOGIN {user} "{PASSWORD}"')
    assert answer.kind.startswith("OK"), answer.tagged
    return talk


def doubled(hop: NextHop, sent: list[Message], seconds: float = 60) -> int:
    """Once every acknowledged message has arrived: how many copies there are beyond one."""
    wanted = {one.number for one in sent if one.acknowledged}
    end = time.monotonic() + seconds

    def arrived() -> Counter[str]:
        found = (re.search(rb"<(m\d+)@ledger\.test>", one.octets) for one in list(hop.taken))
        return Counter(one[1].decode() for one in found if one is not None)

    while missing := wanted - arrived().keys():
        assert time.monotonic() < end, f"{len(missing)} of {len(wanted)} were acknowledged and never sent: {sorted(missing)[:5]}"
        time.sleep(0.2)
    time.sleep(1.0)
    return sum(count - 1 for count in arrived().values())
