"""A message over STARTTLS and one over implicit TLS, a time-out and last words, for a loop that is not asyncio's own."""

import asyncio
import tempfile
from pathlib import Path

from config.addresses import TcpAddress
from gateway.carrier import Wheel
from gateway.certificate import Certificate, self_signed
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import SubmissionHooks
from gateway.smtp.listener import Listener
from gateway.smtp.terms import House, Limits, Terms
from tests.gateway.smtp.conftest import Client, client_context
from tests.gateway.smtp.services import FakeLogin, FakeSessions, FakeSubmission


async def dialogue() -> list[str]:
    """What went otherwise than it should."""
    problems: list[str] = []

    def expect(said: str, wanted: str) -> None:
        if not said.startswith(wanted):
            problems.append(f"{wanted!r} expected, got {said!r}")

    place = FakeSubmission()
    with tempfile.TemporaryDirectory() as directory:
        certificate = Certificate(*self_signed(Path(directory), "mx.acme.test"))
        house = House(Wheel(asyncio.get_running_loop()))
        for implicit in (False, True):
            limits = Limits(bad_commands_before_login=1, command_timeout=0.6, linger=0.3)
            terms = Terms("s", "mx.acme.test", limits, tls=lambda: certificate.context, implicit_tls=implicit, mechanisms=("PLAIN",))
            listener = Listener(
                HardenedSMTP, terms, house, lambda: SubmissionHooks(FakeLogin(), place, FakeSessions(), hostname="mx.acme.test")
            )
            (address,) = await listener.start([TcpAddress("127.0.0.1", 0)])
            port = int(address.rpartition(":")[2])
            context = client_context() if implicit else None
            client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
            expect(await client.reply(), "220 ")
            if not implicit:
                expect(await client.ask("EHLO x", "STARTTLS"), "220 2.0.0")
                await client.start_tls()
            expect(await client.ask("EHLO x", "AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U="), "235")
            expect(await client.ask("MAIL FROM:<anna@acme.test>", "RCPT TO:<bob@acme.test>", "DATA"), "354")
            client.send(b"x" * 300_000 + b"\r\n.\r\n")
            expect(await client.reply(), "250 2.0.0 q")
            expect(await client.reply(), "421 4.4.2")
            if await client.rest():
                problems.append("more came after the time-out")
            if not implicit:
                client = Client(*await asyncio.open_connection("127.0.0.1", port))
                client.send(b"FOO\r\n" * 30_000)
                expect(await client.reply(), "220 ")
                expect(await client.reply(), "500 ")
                expect(await client.reply(), "421 4.7.0")
                client = Client(*await asyncio.open_connection("127.0.0.1", port))
                expect(await client.reply(), "220 ")
                client.send(b"STARTTLS\r\nNOOP\r\n")
                expect(await client.reply(), "220 2.0.0")
                if await client.rest():
                    problems.append("what came behind STARTTLS was answered")
            await listener.close(2)
        house.wheel.close()
    return problems
