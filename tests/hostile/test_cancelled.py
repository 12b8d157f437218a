"""F20: a handler of each door is cancelled at each of its awaits. Either nothing has happened or everything; what was answered well has
happened; and what it held (readers, locks, tasks, descriptors, room for messages that arrive) is given back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from config.addresses import TcpAddress
from gateway.carrier import Wheel
from gateway.housekeeping import Housekeeping
from gateway.login import Login
from gateway.sessions import Sessions
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import LmtpHooks, SubmissionHooks
from gateway.smtp.listener import Listener
from gateway.smtp.lmtp import HardenedLMTP
from gateway.smtp.terms import House as SmtpHouse
from gateway.smtp.terms import Intake, Limits, Terms
from gateway.sources import FailingSources
from policy.delivery import Door
from policy.grants import SendRight
from store import folders, grants, messages
from store.blobs import IN_ROW, Files
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from store.port import Store
from store.rates import ForgetSent
from store.sqlite import SqliteStore
from tests.gateway.house import House as MailHouse
from tests.gateway.house import letter, opened
from tests.gateway.imap.handlers.house import House, housed, message
from tests.hostile.stepping import Aim, Held, Moment, aimed, faults, held, stepped, unnamed

MOST = 200
"""Awaits: a handler that has more is not what these tests think it is."""
SOAKED = "PROCURA_SOAK" in os.environ
LARGE = "x" * (IN_ROW + 1000)
"""A text that makes the message a file."""


def aims(moment: Moment) -> Iterator[Aim]:
    """At the first await, at the second, ... until there was none so late."""
    for at in range(1, MOST):
        aim = Aim(at, moment)
        yield aim
        if not aim.fired:
            assert at > 1, "nothing was awaited"
            return
    raise AssertionError(f"{MOST} awaits")


async def written(store: Store) -> None:
    """What was being written when its caller left is there now: of each writer, for those of PostgreSQL do not wait for each other."""
    for writer in getattr(store, "_writers", ()):
        await writer.submit(ForgetSent(), None, bulk=False)
    await store.do(ForgetSent())
    await held(store)


async def given_back(store: Store, first: Held | None, room: int = 0) -> Held:
    """`first`: what was held behind the first await, None behind the first itself. `room`: what may be opened once, and then stays."""
    now = await held(store)
    if first is None:
        return now
    # A file that is being written in a thread is closed when the disk has it.
    end = time.monotonic() + 10
    while now.exceeds(first, room) and time.monotonic() < end:
        now = await held(store)
    assert not now.exceeds(first, room), f"{now}, and {first} at first"
    return first


async def swept(store: Store, files: Files) -> None:
    """Octets that were written for nothing go with the second round of housekeeping behind their hour."""
    for file in [one for one in files.directory.rglob("*") if one.is_file()]:
        os.utime(file, ns=(0, 0))
    keeping = Housekeeping(store, files)
    await keeping.round()
    await keeping.round()
    assert await unnamed(store, files) == []
    assert await faults(store, files) == []


# --- IMAP: a connection's command, by the task that runs it


Prepare = Callable[[House, str], Awaitable[None]]


async def _three(house: House, name: str) -> None:
    await house.make("anna", f"/{name}/one")
    await house.make("anna", f"/{name}/two")
    await house.put("anna", f"/{name}/one", 3)


async def _doomed(house: House, name: str) -> None:
    await _three(house, name)
    one = await house.folder("anna", f"/{name}/one")
    await house.store.do(ChangeFlags(one, ((1, 2),), FlagMode.ADD, Flag.DELETED))


async def _delegated(house: House, name: str) -> None:
    await _three(house, name)
    for path in (f"/{name}/one", f"/{name}/two"):
        await house.share("anna", path, "bruno", "lrswite", rfc=True)


_COMMANDS: dict[str, tuple[str, Prepare, str, str, tuple[bytes, ...]]] = {
    "append": ("anna", _three, "", "APPEND {name}/one (\\Seen) {{}}", (message(7),)),
    "append large": ("anna", _three, "", "APPEND {name}/one {{}}", (message(7, LARGE),)),
    "append many": ("anna", _three, "", "APPEND {name}/one {{}} {{}} {{}}", (message(7), message(8, LARGE), message(9))),
    "store": ("anna", _three, "SELECT {name}/one", "STORE 1:* +FLAGS (\\Flagged $Work)", ()),
    "copy": ("anna", _three, "SELECT {name}/one", "COPY 1:* {name}/two", ()),
    "move": ("anna", _three, "SELECT {name}/one", "MOVE 1:2 {name}/two", ()),
    "expunge": ("anna", _doomed, "SELECT {name}/one", "EXPUNGE", ()),
    "replace": ("anna", _three, "SELECT {name}/one", "REPLACE 1 {name}/two {{}}", (message(7),)),
    "fetch that marks": ("anna", _three, "SELECT {name}/one", "FETCH 1:* BODY[]", ()),
    "create": ("anna", _three, "", "CREATE {name}/three/four", ()),
    "rename": ("anna", _three, "", "RENAME {name}/one {name}/three", ()),
    "delete": ("anna", _three, "", "DELETE {name}/one", ()),
    "setacl": ("anna", _three, "", "SETACL {name}/one bruno@acme.test lrs", ()),
    "search": ("anna", _three, "SELECT {name}/one", "SEARCH BODY Hello", ()),
    "append, as a delegate": ("bruno", _delegated, "", 'APPEND "Other Users/anna/{name}/one" {{}}', (message(7),)),
    "move, as a delegate": (
        *("bruno", _delegated),
        *('SELECT "Other Users/anna/{name}/one"', 'MOVE 1:2 "Other Users/anna/{name}/two"', ()),
    ),
}


async def _picture(house: House, name: str) -> list[object]:
    """All of it that somebody could see; UIDs apart, which are never given again."""
    found: list[object] = []
    async with house.store.snapshot() as snapshot:
        for row in await snapshot.work(folders.of_owner, house.ids["anna"]):
            if not row.path.startswith(f"/{name}"):
                continue
            there = await snapshot.work(messages.rows, row.id, ((1, row.uidnext),))
            acl = [(one.grantee.kind, one.grantee.id, one.rights) for one in await snapshot.work(grants.entries, row.id)]
            found.append((row.path.removeprefix(f"/{name}"), [(one.size, one.flags) for one in there], acl))
    return sorted(found, key=str)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as found:
        yield found


@pytest.mark.parametrize("moment", Moment)
async def test_an_imap_command_is_done_whole_or_not_at_all(house: House, moment: Moment) -> None:
    port = await house.listen()
    files = Files(house.directory / "octets")
    for command in _COMMANDS:
        await _commanded(house, port, command, moment)
        assert await faults(house.store, files) == [], command
    await swept(house.store, files)


async def _commanded(house: House, port: int, command: str, moment: Moment) -> None:
    who, prepare, before, said, literals = _COMMANDS[command]
    found: list[tuple[Aim, bool, list[object], list[object]]] = []
    first: Held | None = None
    for aim in aims(moment):
        name = f"{command.replace(' ', '-').replace(',', '')}-{aim.at}"
        await prepare(house, name)
        at_first = await _picture(house, name)
        client = await house.client(port, who)
        if before:
            assert (await client.do(before.format(name=name))).ok
        with aimed("Connection._run", aim):
            answered = (await client.do(said.format(name=name), *literals)).ok
        client.writer.close()
        await written(house.store)
        first = await given_back(house.store, first)
        found.append((aim, answered, at_first, await _picture(house, name)))
        assert answered or aim.fired, f"{command} failed"
    whole = found[-1][3]
    for aim, answered, at_first, last in found:
        assert last in (at_first, whole), f"{command}, cancelled at await {aim.at}"
        assert not answered or last == whole, f"{command} was answered, and cancelled at await {aim.at}"


# --- services: what a door calls, on either store

PEOPLE = ("anna", "bruno", "carla", "olga")
STRANGER = "stan@elsewhere.test"


@pytest.fixture(params=["sqlite", "postgresql"])
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MailHouse]:
    url = "sqlite:///{data}/procura.db" if request.param == "sqlite" else str(request.getfixturevalue("shared_url"))
    async with opened(tmp_path, relays=True, url=url) as house:
        for name in PEOPLE:
            await house.account(name, password="secret" if name == "anna" else "")
        await house.grant("olga", "anna", SendRight.SEND_AS)
        yield house


async def _mail(house: MailHouse, subject: str) -> dict[str, int]:
    """Where a message is, and how often; each copy of it whole."""
    found: dict[str, int] = {}
    for name in PEOPLE:
        for path in ("/INBOX", "/Sent"):
            there = [one for one in await house.mail(name, path) if f"Subject: {subject}\r\n".encode() in one]
            assert all(one.endswith(b"x\r\n") for one in there), "half a message"
            if there:
                found[name + path] = len(there)
    for row in await house.queued():
        if row.recipient == f"{subject}@elsewhere.test":
            found["queue"] = found.get("queue", 0) + 1
    return found


def _letter(from_: str, subject: str, large: bool) -> bytes:
    return letter(from_, "bruno@acme.test", f"Subject: {subject}", text=LARGE if large else "x")


def _submitted(house: MailHouse, subject: str, *, large: bool) -> Coroutine[object, object, object]:
    recipients = ["bruno@acme.test", "carla@acme.test", f"{subject}@elsewhere.test"]
    return house.submit("anna", "olga@acme.test", recipients, _letter("olga@acme.test", subject, large))


def _delivered(house: MailHouse, subject: str, *, large: bool) -> Coroutine[object, object, object]:
    return house.bring(Door.LMTP, STRANGER, ["bruno", "carla"], _letter(STRANGER, subject, large))


def _relayed_in(house: MailHouse, subject: str, *, large: bool) -> Coroutine[object, object, object]:
    return house.bring(Door.MX, STRANGER, ["bruno", "carla"], _letter(STRANGER, subject, large))


Bring = Callable[..., Coroutine[object, object, object]]
BRINGS: tuple[Bring, ...] = (_submitted, _delivered, _relayed_in)
CASES = [("sqlite", bring, large) for bring in BRINGS for large in (False, True)]
CASES += [("postgresql", bring, large) for _, bring, large in CASES if SOAKED or (bring is _submitted and large)]
"""The others pass the same awaits of PostgreSQL's store."""


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(
    ("office", "bring", "large"),
    [pytest.param(*case, id=f"{case[0]}{case[1].__name__}{'_large' * case[2]}") for case in CASES],
    indirect=["office"],
)
async def test_a_message_is_taken_whole_or_not_at_all(office: MailHouse, bring: Bring, large: bool, moment: Moment) -> None:
    found: list[tuple[Aim, bool, dict[str, int]]] = []
    first: Held | None = None
    # Lanes connect when they are first used.
    room = 0 if isinstance(office.store.store, SqliteStore) else 6
    for aim in aims(moment):
        answered = await stepped(bring(office, f"s{aim.at}", large=large), aim) is not None
        await written(office.store.store)
        first = await given_back(office.store.store, first, room)
        found.append((aim, answered, await _mail(office, f"s{aim.at}")))
    whole = found[-1][2]
    assert len(whole) >= 2
    for aim, answered, there in found:
        assert there in ({}, whole), f"cancelled at await {aim.at}"
        assert not answered or there == whole, f"answered, and cancelled at await {aim.at}"
    assert await faults(office.store, office.files) == []
    await swept(office.store, office.files)


@pytest.mark.parametrize("moment", Moment)
async def test_a_snapshot_is_given_back_wherever_its_user_leaves(office: MailHouse, moment: Moment) -> None:
    store = office.store.store

    async def reads() -> bool:
        async with store.snapshot() as snapshot:
            row = await snapshot.ask(folders.by_path, office.ids["anna"], "/INBOX")
            assert row is not None
            await snapshot.work(folders.of_owner, office.ids["anna"])
            witness = await snapshot.witness(office.ids["anna"])
            assert await snapshot.confirms(witness)
        return True

    for aim in aims(moment):
        assert (await stepped(reads(), aim) is None) <= aim.fired
        assert (await held(store)).lent == 0
    # More of them than there are readers, at once.
    assert all(await asyncio.gather(*(reads() for _ in range(40))))
    assert (await held(store)).lent == 0


# --- SMTP and LMTP: a whole connection, by the task that serves it


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("kind", ["submission", "lmtp"])
async def test_a_connection_that_ends_at_any_await_leaves_nothing(tmp_path: Path, kind: str, moment: Moment) -> None:
    async with opened(tmp_path) as house:
        for name in PEOPLE:
            await house.account(name, password="secret" if name == "anna" else "")
        login = Login(house.store, house.passwords, FailingSources(50, 600, ()))
        sessions = Sessions(login.confirm, 100, lambda peer: False)
        smtp = SmtpHouse(Wheel(asyncio.get_running_loop()), None, Intake())
        logs_in = {"mechanisms": ("PLAIN",), "plaintext_login": True} if kind == "submission" else {}
        terms = Terms(kind, "mx.acme.test", Limits(linger=0.5), **logs_in)
        listener = (
            Listener(HardenedSMTP, terms, smtp, lambda: SubmissionHooks(login, house.submission, sessions, hostname="mx.acme.test"))
            if kind == "submission"
            else Listener(HardenedLMTP, terms, smtp, lambda: LmtpHooks(house.delivery, hostname="mx.acme.test"))
        )
        (where,) = await listener.start([TcpAddress("127.0.0.1", 0)])
        port = int(where.rpartition(":")[2])
        begun = 0
        try:
            for aim in aims(moment):
                subject = f"c{aim.at}"
                with aimed(f"{HardenedSMTP.__mro__[1].__name__}._handle_client", aim):
                    acknowledged = await _dialogue(port, kind, subject)
                async with asyncio.timeout(10):
                    while smtp.here or smtp.commits or sessions.rows():
                        await asyncio.sleep(0.005)
                await written(house.store.store)
                assert smtp.intake.held == 0
                assert (await held(house.store.store)).lent == 0
                there = await _mail(house, subject)
                assert there in ({}, {"bruno/INBOX": 1, "carla/INBOX": 1}, {"bruno/INBOX": 1, "carla/INBOX": 1, "anna/Sent": 1})
                assert there or not acknowledged
                assert acknowledged or aim.fired
                begun += bool(there)
        finally:
            await listener.close(0)
            smtp.wheel.close()
        assert begun
        assert await faults(house.store, house.files) == []


async def _dialogue(port: int, kind: str, subject: str) -> bool:
    """Was the message acknowledged? False as soon as the connection ends."""
    from_ = "anna@acme.test" if kind == "submission" else STRANGER
    said = [
        "EHLO client.test" if kind == "submission" else "LHLO client.test",
        *(["AUTH PLAIN AGFubmFAYWNtZS50ZXN0AHNlY3JldA=="] if kind == "submission" else []),
        *(f"MAIL FROM:<{from_}>", "RCPT TO:<bruno@acme.test>", "RCPT TO:<carla@acme.test>", "DATA"),
        _letter(from_, subject, large=True).decode() + ".",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            replied = await _replied(reader)
            for line in said:
                if not replied:
                    return False
                assert replied[:1] in (b"2", b"3"), replied
                writer.write(line.encode() + b"\r\n")
                replied = await _replied(reader)
            return replied.startswith(b"250")
    except ConnectionError:
        return False
    finally:
        writer.close()


async def _replied(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    while line[3:4] == b"-":
        line = await reader.readline()
    return line
