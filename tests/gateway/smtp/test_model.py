"""Any sequence of commands, right or wrong, cut anywhere: one reply for each (as many as recipients at the end of an LMTP message), of the
code that a small model expects, in order; and what was said yes to is with the service, once, for the right recipients.

The model is as simple as the RFCs allow: it knows nothing of buffers, chunks in pieces or pipelining, and reads no octets.
"""

import asyncio
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.smtp.hooks import InboundHooks, LmtpHooks
from policy.grants import SendRight
from policy.status import AccountStatus
from store.accounts import SetGlobalAdministrator
from tests.gateway.house import House, opened
from tests.gateway.smtp.conftest import HOST, LIMITS, Client, Place, Serve
from tests.gateway.smtp.services import ANNA

EXAMPLES = int(os.environ.get("PROCURA_MODEL_EXAMPLES", "150"))
MOST = 40
"""Octets of a message here."""
RECIPIENTS = 2
PLENTY = replace(
    LIMITS,
    message_size=MOST,
    recipients=RECIPIENTS,
    bad_commands=10_000,
    bad_commands_before_login=10_000,
    idle_commands=10_000,
    refused_recipients=10_000,
    failed_logins=10_000,
    linger=0.05,
)
ANSWER_OF = {"nobody": "550", "maintenance": "450", "full": "452", "list": "550", "closed": "550", "remote": "550", "boom": "451"}
"""What the doubles of services.py say to RCPT; 250 to everybody else."""
ANSWERS_OF_A_HOUSE = {
    "lmtp": {"nobody": "550", "maintenance": "450", "full": "550", "list": "550", "closed": "550", "remote": "550", "boom": "550"},
    "mx": {"nobody": "550", "full": "550", "list": "550", "closed": "550", "remote": "550", "boom": "550"},
}
"""And the real services, with the accounts of `house`: at `mx` mail for maintenance is kept until it ends."""
LOGIN = b"AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U="
WRONG = b"AUTH PLAIN AGFubmFAYWNtZS50ZXN0AHdyb25n"


@dataclass
class Model:
    """`door`: submission, mx or lmtp. Each method is a command, and returns the codes of its replies."""

    door: str
    answers: Mapping[str, str] = field(default_factory=lambda: ANSWER_OF)
    odd_words: bool = True
    """What the message says decides about it, as with the doubles."""
    greeted: bool = False
    extended: bool = False
    known: bool = False
    sender: str | None = None
    binary: bool = False
    recipients: list[str] = field(default_factory=list)
    chunks: bytes | None = None
    delivered: list[tuple[str, tuple[str, ...], bytes | None]] = field(default_factory=list)
    """Sender, recipients and octets; None for those that are encoded on their way in."""

    def reset(self) -> None:
        self.sender, self.binary, self.recipients, self.chunks = None, False, [], None

    def hello(self, verb: str, name: str) -> list[str]:
        if (verb == "LHLO") != (self.door == "lmtp"):
            return ["500"]
        if not name:
            return ["501"]
        self.reset()
        self.greeted, self.extended = True, verb != "HELO"
        return ["250"]

    def login(self, right: bool) -> list[str]:
        if self.door != "submission":
            return ["502"]
        if not self.greeted or self.known or not self.extended:
            return ["503"]
        self.known = right
        return ["235" if right else "535"]

    def _barred(self) -> list[str] | None:
        if not self.greeted:
            return ["503"]
        return ["530"] if self.door == "submission" and not self.known else None

    def mail(self, path: str, parameters: str) -> list[str]:
        barred = self._barred()
        if barred is not None:
            return barred
        if self.sender is not None:
            return ["503"]
        if path == "broken":
            return ["501"]
        if parameters and not self.extended:
            return ["555"]
        if "SIZE=999" in parameters:
            return ["552"]
        if "XYZZY" in parameters:
            return ["555"]
        if "SIZE=x" in parameters:
            return ["501"]
        if path == "unqualified":
            return ["501"]
        if path == "stranger@acme.test" and self.door == "submission":
            return ["553"]
        self.sender, self.binary = path, "BINARYMIME" in parameters
        return ["250"]

    def rcpt(self, local: str, parameters: str) -> list[str]:
        barred = self._barred()
        if barred is not None:
            return barred
        if self.sender is None or self.chunks is not None:
            return ["503"]
        if len(self.recipients) >= RECIPIENTS:
            return ["452"]
        if local == "broken":
            return ["501"]
        if parameters:
            return ["555"]
        if local == "unqualified":
            return ["501"]
        if local in self.answers:
            return [self.answers[local]]
        self.recipients.append("postmaster@mx.acme.test" if local == "<postmaster>" else f"{local}@acme.test")
        return ["250"]

    def data(self, argument: str, lines: bytes) -> list[str]:
        """`lines` is the message, if it is asked for."""
        barred = self._barred()
        if barred is not None:
            return barred
        if argument:
            return ["501"]
        if self.sender is None or not self.recipients or self.chunks is not None or self.binary:
            return ["503"]
        return ["354", *self._end(lines, lines_only=True)]

    def bdat(self, octets: bytes, last: bool) -> list[str]:
        barred = self._barred()
        if barred is not None:
            return barred
        if self.sender is None or not self.recipients:
            return ["503"]
        self.chunks = (self.chunks or b"") + octets
        if last:
            return self._end(self.chunks, lines_only=not self.binary)
        return ["552" if len(self.chunks) > MOST else "250"]

    def _end(self, message: bytes, *, lines_only: bool) -> list[str]:
        recipients, sender = self.recipients, self.sender
        self.reset()
        each = len(recipients) if self.door == "lmtp" else 1
        if len(message) > MOST:
            return ["552"] * each
        # Of a BINARYMIME message the header alone has to be lines.
        if not _is_lines(message if lines_only else message[: (b"\r\n" + message + b"\r\n\r\n").index(b"\r\n\r\n")]):
            return ["550"] * each
        if lines_only and message and not message.endswith(b"\r\n"):
            message += b"\r\n"
        if self.odd_words and b"Subject: boom" in message:
            return ["451"] * each
        if self.odd_words and b"Subject: refuse" in message:
            return ["550"] * each
        assert sender is not None
        kept = message if _is_lines(message) and (lines_only or message.endswith(b"\r\n")) else None
        self.delivered.append((sender, tuple(recipients), kept))
        outcomes = ["550" if self.odd_words and one.startswith("closing@") else "250" for one in recipients]
        if self.door == "submission":
            return ["250"]
        return outcomes if self.door == "lmtp" else [min(outcomes)]


def _is_lines(octets: bytes) -> bool:
    bare = octets.replace(b"\r\n", b"")
    return not (b"\0" in bare or b"\r" in bare or b"\n" in bare)


@dataclass(frozen=True)
class Step:
    """Octets that the client sends, what the model makes of them, and the message that follows where it is asked for."""

    octets: bytes
    told: Callable[[Model], list[str]]
    message: bytes = b""


def command(octets: bytes, told: Callable[[Model], list[str]]) -> Step:
    return Step(octets + b"\r\n", told)


def _hello(verb: str, name: str) -> Step:
    return command(f"{verb} {name}".encode(), lambda model: model.hello(verb, name))


def _mail(path: str, parameters: str) -> Step:
    spelled = {"broken": "MAIL FROM:x@y.test", "unqualified": "MAIL FROM:<x>"}.get(path, f"mail from:<{path}>")
    return command((spelled + parameters).encode(), lambda model: model.mail(path, parameters))


def _rcpt(local: str, parameters: str) -> Step:
    spelled = {"broken": "RCPT bob", "unqualified": "RCPT TO:<bob>", "<postmaster>": "RCPT TO:<Postmaster>"}
    return command((spelled.get(local, f"Rcpt To:<{local}@acme.test>") + parameters).encode(), lambda model: model.rcpt(local, parameters))


def _data(argument: str, message: bytes) -> Step:
    stuffed = (b"." if message.startswith(b".") else b"") + message.replace(b"\r\n.", b"\r\n..")
    return Step(b"DATA" + argument.encode() + b"\r\n", lambda model: model.data(argument, message), stuffed + b".\r\n")


def _bdat(octets: bytes, last: bool) -> Step:
    return Step(f"BDAT {len(octets)}{' LAST' if last else ''}\r\n".encode() + octets, lambda model: model.bdat(octets, last))


def _rset(model: Model) -> list[str]:
    model.reset()
    return ["250"]


SIMPLE = [
    command(b"NOOP", lambda _: ["250"]),
    command(b"noop something", lambda _: ["250"]),
    command(b"RSET", _rset),
    command(b"RSET x", lambda _: ["501"]),
    command(b"VRFY anna", lambda _: ["252"]),
    command(b"VRFY", lambda _: ["501"]),
    command(b"EXPN list", lambda _: ["252"]),
    command(b"HELP", lambda _: ["214"]),
    command(b"QUIT x", lambda _: ["501"]),
    command(b"XYZZY", lambda _: ["500"]),
    command(b"", lambda _: ["500"]),
    command(b"\xff\xfe", lambda _: ["500"]),
    command(b"NOOP \0", lambda _: ["500"]),
    command(b"x" * 5_000, lambda _: ["500"]),
    command(b"STARTTLS x", lambda _: ["501"]),
    command(LOGIN, lambda model: model.login(right=True)),
    command(WRONG, lambda model: model.login(right=False)),
]
TEXTS = [b"", b"x\r\n", b".\r\n", b"..\r\n.\r\n", b"QUIT\r\nRSET\r\n", b"Subject: boom\r\n", b"Subject: refuse\r\n"]
TEXTS += [b"a\0b\r\n", b"a\nb\r\n", b"a\rb\r\n", b"y" * (MOST - 2) + b"\r\n", b"y" * (MOST - 1) + b"\r\n", b"\xff" * 9 + b"\r\n"]
CHUNKS = [*TEXTS, b"a: b\r\n\r\n", b"NOOP\r\n", b"\r\n.\r\n", b"z", b"\r", b"\n", b"y" * MOST, b"y" * (MOST + 1)]

hellos = st.builds(_hello, st.sampled_from(["EHLO", "HELO", "LHLO"]), st.sampled_from(["there", "there", "[192.0.2.1]", ""]))
mails = st.builds(
    _mail,
    st.sampled_from(["anna@acme.test"] * 3 + ["", "stranger@acme.test", "broken", "unqualified"]),
    st.sampled_from([""] * 5 + [" SIZE=4", " BODY=8BITMIME", " BODY=BINARYMIME", " SIZE=999", " XYZZY=1", " SIZE=x"]),
)
rcpts = st.builds(
    _rcpt,
    st.sampled_from(["bob", "carla", "bob", "closing", "<postmaster>", "broken", "unqualified", *ANSWER_OF]),
    st.sampled_from([""] * 7 + [" XYZZY"]),
)
datas = st.builds(_data, st.sampled_from([""] * 9 + [" x"]), st.sampled_from(TEXTS))
bdats = st.builds(_bdat, st.sampled_from(CHUNKS), st.booleans())
# Most sequences of single commands never get as far as a message.
beginnings = {
    door: [_hello("LHLO" if door == "lmtp" else "EHLO", "there"), *([SIMPLE[-2]] if door == "submission" else [])]
    for door in ("submission", "mx", "lmtp")
}
steps = st.one_of(st.sampled_from(SIMPLE), hellos, mails, rcpts, rcpts, datas, bdats)
alone = steps.map(lambda one: [one])
messages = st.tuples(mails, rcpts, rcpts, datas | bdats).map(list)
good = st.tuples(
    st.just(SIMPLE[2]),
    st.builds(_mail, st.sampled_from(["anna@acme.test", ""]), st.sampled_from([""] * 3 + [" BODY=BINARYMIME"])),
    st.builds(_rcpt, st.sampled_from(["bob", "carla", "closing"]), st.just("")),
    rcpts | steps,
    st.builds(_bdat, st.sampled_from(CHUNKS), st.just(False)) | datas | steps,
    st.builds(_bdat, st.sampled_from(CHUNKS), st.just(True)) | datas,
).map(list)
some = st.lists(alone | messages | good, max_size=5).map(lambda found: [*itertools.chain(*found)])
dialogues = st.tuples(some, good, some, good).map(lambda found: [*itertools.chain(*found)])
cuts = st.lists(st.integers(min_value=1, max_value=30), max_size=60)


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
async def test_every_command_has_its_reply_and_what_was_taken_is_there_once(door: str, serve: Serve) -> None:
    async with serve(door, PLENTY) as place:
        loop = asyncio.get_running_loop()
        came: list[int] = []

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
        @given(st.integers(min_value=0, max_value=6), dialogues, cuts)
        def any_dialogue(without: int, some: list[Step], found: list[int]) -> None:
            played = [*(beginnings[door] if without else []), *some]
            came.append(asyncio.run_coroutine_threadsafe(_check(place, door, played, found), loop).result(30))

        await asyncio.to_thread(any_dialogue)
        # So that it is known to have tested something.
        assert sum(came) > EXAMPLES // 3
        assert place.house.intake.held == 0


async def _check(place: Place, door: str, played: list[Step], found: list[int]) -> int:
    """How many messages came through."""
    model = Model(door)
    place.submission.kept.clear()
    place.delivery.kept.clear()
    await _play(place, model, played, found)
    kept = [
        ("" if sender is None else str(sender), tuple(map(str, to)), text)
        for sender, to, text in [*place.submission.kept, *place.delivery.kept]
    ]
    assert [one[:2] for one in kept] == [one[:2] for one in model.delivered]
    assert all(wanted[2] in (None, one[2]) for one, wanted in zip(kept, model.delivered, strict=True))
    return len(kept)


async def _play(place: Place, model: Model, played: list[Step], found: list[int]) -> None:
    """Each command gets the replies that the model expects."""
    octets = bytearray()
    expected: list[tuple[bytes, list[str]]] = []
    for step in played:
        codes = step.told(model)
        expected.append((step.octets[:30], codes))
        octets += step.octets
        # A client that pipelines waits for 354 (RFC 2920 section 3.1); where it does not come, no message follows.
        if codes[0] == "354":
            octets += step.message
    octets += b"QUIT\r\n"
    expected.append((b"QUIT", ["221"]))
    client = await place.connect()
    heard = asyncio.create_task(_replies(client))
    try:
        position = 0
        for size in itertools.chain(found, [len(octets)]):
            client.send(bytes(octets[position : position + size]))
            position += size
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            said = await heard
    finally:
        heard.cancel()
        client.writer.close()
    assert said == [code for _, codes in expected for code in codes], expected


async def _replies(client: Client) -> list[str]:
    """The codes of all whole replies, until the server closes."""
    codes: list[str] = []
    with contextlib.suppress(ConnectionError):
        while line := await client.reader.readline():
            assert line.endswith(b"\r\n")
            if line[3:4] == b" ":
                codes.append(line[:3].decode())
    return codes


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """bob and carla take mail, closing too; boss administers; nobody outside may post to the list."""
    async with opened(tmp_path, "bob", "carla", "closing", "closed", "maintenance", "boss") as house:
        await house.group("list", "carla")
        await house.grant("list", "bob", SendRight.SEND_TO_LIST)
        await house.store.do(SetGlobalAdministrator(house.ids["boss"], True))
        for status in (AccountStatus.CLOSED, AccountStatus.MAINTENANCE):
            await house.status(status.value, status)
        yield house


@pytest.mark.parametrize("door", ["mx", "lmtp"])
async def test_it_is_in_the_right_mailboxes_once(door: str, serve: Serve, house: House) -> None:
    """The same with the real services and a store behind them."""
    hooks = LmtpHooks if door == "lmtp" else InboundHooks
    async with serve(door, PLENTY, handler=lambda: hooks(house.delivery, hostname=HOST)) as place:
        loop = asyncio.get_running_loop()
        came: list[int] = []

        @settings(max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck), database=None)
        @given(dialogues, cuts)
        def any_dialogue(some: list[Step], found: list[int]) -> None:
            came.append(asyncio.run_coroutine_threadsafe(_into_mailboxes(place, house, door, some, found), loop).result(30))

        await asyncio.to_thread(any_dialogue)
        assert sum(came) > EXAMPLES // 12


async def _into_mailboxes(place: Place, house: House, door: str, some: list[Step], found: list[int]) -> int:
    model = Model(door, ANSWERS_OF_A_HOUSE[door], odd_words=False)
    names = ("bob", "carla", "closing", "closed", "maintenance", "boss")
    before = {name: len(await house.mail(name)) for name in names}
    held = len(await house.queued())
    await _play(place, model, [*beginnings[door], *some], found)
    expected: dict[str, Counter[tuple[str, bytes | None]]] = {name: Counter() for name in names}
    for sender, recipients, text in model.delivered:
        # Whoever is named twice has it once.
        for local in {one.partition("@")[0] for one in recipients}:
            expected["boss" if local == "postmaster" else local][sender, text] += 1
    kept = expected.pop("maintenance").total()
    assert len(await house.queued()) - held == kept
    for name, wanted in expected.items():
        there = (await house.mail(name))[before[name] :]
        encoded = sum(count for (_, text), count in wanted.items() if text is None)
        known = Counter({one: count for one, count in wanted.items() if one[1] is not None})
        arrived = Counter(_apart(one) for one in there)
        assert known <= arrived
        assert arrived.total() == known.total() + encoded
    return len(model.delivered)


def _apart(stored: bytes) -> tuple[str, bytes]:
    """Envelope sender and octets as they came, from below our trace."""
    path, _, rest = stored.partition(b"\r\n")
    _, _, dated = rest.partition(b";\r\n\t")
    return path.removeprefix(b"Return-Path: <").removesuffix(b">").decode(), dated.partition(b"\r\n")[2]


@pytest.mark.parametrize(
    ("broken", "dialogue"),
    [
        ("recipients", [*beginnings["lmtp"], _mail("", ""), _rcpt("bob", ""), _rcpt("carla", ""), _data("", b"x\r\n")]),
        ("sender", [*beginnings["lmtp"], _mail("", ""), _rcpt("bob", ""), _bdat(b"x\r\n", last=True)]),
    ],
)
async def test_the_model_notices(broken: str, dialogue: list[Step], serve: Serve) -> None:
    """A server that loses a recipient, or takes a message for another's."""
    async with serve("lmtp", PLENTY) as place:
        await _check(place, "lmtp", dialogue, [])
        through = place.delivery.begin

        async def begin(*args: object, **kwargs: object) -> object:
            inbound = await through(*args, **kwargs)  # type: ignore[arg-type]
            if broken == "sender":
                inbound.sender = ANNA.address
            else:
                inbound.recipients = _Forgetful()
            return inbound

        place.delivery.begin = begin  # type: ignore[method-assign, assignment]
        with pytest.raises(AssertionError):
            await _check(place, "lmtp", dialogue, [])


class _Forgetful(list[object]):
    def append(self, one: object) -> None:
        if not self:
            super().append(one)
