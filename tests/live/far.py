"""Another mail server, of one script, in the loop of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OFFERS = "250-far.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8"


@dataclass
class Far:
    """A server of one script: `answers` by command ("CONNECT", "EHLO", "MAIL", "RCPT a@...", "DATA", "END", "RSET", "AUTH"), each the
    replies to come, None to close. `batches`: what came at a time while commands were read. `taken`: messages that got a 250, `handed`:
    each of their recipients, once for every time."""

    port: int = 0
    host: str = "127.0.0.1"
    offers: str = OFFERS
    answers: dict[str, list[str | bytes | None]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)
    connections: int = 0
    batches: list[bytes] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def answer(self, key: str, otherwise: str) -> bytes | None:
        waiting = self.answers.get(key)
        found = waiting.pop(0) if waiting else otherwise
        return found.encode() + b"\r\n" if isinstance(found, str) else found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            await self._dialogue(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _dialogue(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(octets: bytes | None) -> bool:
            if octets is None:
                return False
            writer.write(octets)
            await writer.drain()
            return True

        if not await say(self.answer("CONNECT", "220 far.test")):
            return
        pending = b""
        accepted: list[str] = []
        while True:
            while b"\r\n" not in pending:
                came = await reader.read(65536)
                if not came:
                    return
                self.batches.append(came)
                pending += came
            line, _, pending = pending.partition(b"\r\n")
            command = line.decode("utf-8")
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            key = verb
            if verb == "EHLO":
                text = self.offers
            elif verb == "RCPT":
                key, text = f"RCPT {command[len('RCPT TO:<') :].partition('>')[0]}", "250 2.1.5 ok"
            else:
                text = {"DATA": "354 go", "QUIT": "221 bye", "STARTTLS": "220 go", "AUTH": "235 in"}.get(verb, "250 2.0.0 ok")
            reply = self.answer(key, text)
            if verb == "MAIL":
                accepted = []
            elif verb == "RCPT" and reply is not None and reply.startswith(b"2"):
                accepted.append(key.removeprefix("RCPT "))
            if not await say(reply):
                return
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and reply is not None and reply.startswith(b"220") and self.tls is not None:
                await writer.start_tls(self.tls)
            if verb == "DATA" and reply is not None and reply.startswith(b"354"):
                while not (pending.startswith(b".\r\n") or b"\r\n.\r\n" in pending):
                    came = await reader.read(1 << 16)
                    if not came:
                        return
                    pending += came
                end = 0 if pending.startswith(b".\r\n") else pending.index(b"\r\n.\r\n") + 2
                octets, pending = pending[:end], pending[end + 3 :]
                reply = self.answer("END", "250 2.0.0 taken")
                if reply is not None and reply.startswith(b"250"):
                    self.taken.append(octets)
                    self.handed += accepted
                if not await say(reply):
                    return


@asynccontextmanager
async def far(kind: type[Far] = Far, **values: object) -> AsyncIterator[Far]:
    made = kind(**values)  # type: ignore[arg-type]
    server = await asyncio.start_server(made.serve, made.host, made.port, limit=1 << 22)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
