"""A listener of each kind on loopback, with the doubles of services.py behind it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from config.addresses import ListenAddress, TcpAddress
from gateway.carrier import Wheel
from gateway.certificate import Certificate, self_signed
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import InboundHooks, LmtpHooks, SubmissionHooks
from gateway.smtp.listener import Listener
from gateway.smtp.lmtp import HardenedLMTP
from gateway.smtp.terms import Admission, House, Intake, Limits, Terms
from tests.gateway.smtp.services import FakeDelivery, FakeLogin, FakeSessions, FakeSubmission

HOST = "mx.acme.test"
ANYWHERE = TcpAddress("127.0.0.1", 0)
LIMITS = Limits(message_size=100_000, recipients=5, failed_login_delay=0, linger=0.5)


@dataclass
class Client:
    """A peer that writes octets and reads lines."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def line(self) -> str:
        async with asyncio.timeout(10):
            return (await self.reader.readline()).decode().removesuffix("\r\n")

    async def reply(self) -> str:
        """A whole reply, its lines joined by LF; empty at the end."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def ask(self, *commands: str | bytes) -> str:
        """Send lines, return the reply to the last of them."""
        said = ""
        for command in commands:
            self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
            said = await self.reply()
        return said

    async def rest(self) -> bytes:
        """Until the server closes."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def start_tls(self) -> None:
        await self.writer.start_tls(client_context())


@dataclass
class Place:
    """A listener and what is behind it."""

    listener: Listener
    house: House
    addresses: tuple[str, ...]
    login: FakeLogin
    submission: FakeSubmission
    delivery: FakeDelivery
    sessions: FakeSessions

    @property
    def port(self) -> int:
        return int(self.addresses[0].rpartition(":")[2])

    async def connect(self, *, tls: bool = False, greeted: bool = True) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=client_context() if tls else None))
        if greeted:
            await client.reply()
        return client

    async def logged_in(self) -> Client:
        client = await self.connect()
        assert (await client.ask("EHLO there", "AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=")).startswith("235")
        return client


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(*self_signed(tmp_path_factory.mktemp("certificate"), HOST))


Serve = Callable[..., AbstractAsyncContextManager[Place]]


@pytest.fixture
def serve(certificate: Certificate) -> Serve:
    """`serve(kind, limits, **terms)`: kind is submission, submissions, mx or lmtp."""

    @asynccontextmanager
    async def start(
        kind: str = "submission",
        limits: Limits = LIMITS,
        *,
        admission: Admission | None = None,
        intake: Intake | None = None,
        address: ListenAddress = ANYWHERE,
        sessions: int = 100,
        handler: Callable[[], Any] | None = None,
        **terms: Any,
    ) -> AsyncIterator[Place]:
        login, submission, delivery = FakeLogin(), FakeSubmission(), FakeDelivery()
        registry = FakeSessions(sessions)
        house = House(Wheel(asyncio.get_running_loop()), admission, intake or Intake())
        chosen = Terms(kind, HOST, limits, tls=lambda: certificate.context)
        engine: type[HardenedSMTP] = HardenedSMTP
        make: Callable[[], Any]
        match kind:
            case "submission" | "submissions":
                chosen = replace(chosen, mechanisms=("PLAIN", "LOGIN"), plaintext_login=True, implicit_tls=kind == "submissions")
                make = lambda: SubmissionHooks(login, submission, registry, hostname=HOST)  # noqa: E731
            case "mx":
                make = lambda: InboundHooks(delivery, hostname=HOST)  # noqa: E731
            case _:
                engine = HardenedLMTP
                make = lambda: LmtpHooks(delivery, hostname=HOST)  # noqa: E731
        listener = Listener(engine, replace(chosen, **terms), house, handler or make)
        try:
            yield Place(listener, house, await listener.start([address]), login, submission, delivery, registry)
        finally:
            # Without the time that peers get to read our last words: nobody of them reads any more.
            await listener.close(0)
            await asyncio.sleep(0.001)
            house.wheel.close()

    return start
