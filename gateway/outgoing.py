"""One connection to another mail server: opened, greeted, secured, logged in, and given messages (RFC 5321, the client's side)."""

import asyncio
import base64
import binascii
import contextlib
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.dane import anchors, chain_of, is_end_entity, is_named
from gateway.message.binary import CannotKeep, without_eight_bit
from gateway.peers import WORDS, Envelope, Lost, Peer, Reply, Tls, Unanchored, Unreachable
from gateway.sasl.initiator import Initiator, Unfit, initiators

LINE: Final = 8 * 1024
"""Octets of one line of a reply; RFC 5321 section 4.5.3.1.5 allows 512."""
REPLY: Final = 64 * 1024
"""Octets of one reply; the longest real ones answer EHLO."""
AHEAD: Final = 256 * 1024
"""Octets of replies kept unread; then the peer has to wait."""
CHUNK: Final = 256 * 1024
LONGEST_INITIAL: Final = 500
"""Octets of AUTH with its initial response; RFC 4954 section 4 lets the line be no longer than any other."""
MOST_CHALLENGES: Final = 10

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


class _Octets(asyncio.Protocol):
    """What came and was not read yet, bounded; and whether there is room for more to write."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.ended: str | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports are no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > AHEAD and self.transport is not None:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        self.ended = self.ended or "the connection was closed"
        self._news.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.ended or (f"the connection broke: {exc}" if exc else "the connection was closed")
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def more(self) -> None:
        """Returns when something came since the buffer was looked at. Raises Lost."""
        if self.ended is not None:
            raise Lost(self.ended)
        if self.transport is not None and len(self.buffer) <= AHEAD:
            self.transport.resume_reading()
        self._news.clear()
        await self._news.wait()

    async def room(self) -> None:
        await self._room.wait()


class Connection:
    """`timeout`: seconds for each step; the answer to a whole message gets twice that (RFC 5321 section 4.5.3.2)."""

    def __init__(self, peer: Peer, octets: _Octets, timeout: float) -> None:
        self.peer = peer
        self.extensions: dict[str, str] = {}
        self.sent = 0
        self.opened_at = asyncio.get_running_loop().time()
        self._octets = octets
        self._timeout = timeout

    @property
    def usable(self) -> bool:
        """Is it still open, with nothing said that was not asked for (421 before it closes)?"""
        octets = self._octets
        return octets.ended is None and not octets.buffer and octets.transport is not None and not octets.transport.is_closing()

    async def send(self, envelope: Envelope, octets: bytes, heard: list[Reply]) -> list[Reply]:
        """One transaction; what was said of each recipient, in their order. Raises Unreachable where nothing was begun, Lost. `heard`:
        what had been answered to RCPT until then, of the first recipients, also where this raises; nothing where MAIL was refused."""
        if "8BITMIME" not in self.extensions and not octets.isascii() and not envelope.smtputf8:
            try:
                octets = await asyncio.to_thread(without_eight_bit, octets)
            except CannotKeep:
                refusal = Reply(554, f"5.6.3 {self.peer} takes 7-bit messages only (8BITMIME), and this one cannot be converted", ours=True)
                return [refusal] * len(envelope.recipients)
        mail = self._mail(envelope, octets)
        if isinstance(mail, Reply):
            return [mail] * len(envelope.recipients)
        commands = [mail, *self._recipients(envelope), b"DATA\r\n"]
        if "PIPELINING" in self.extensions:
            replies, go = await self._pipelined(commands, heard)
        else:
            replies, go = await self._one_by_one(commands, heard)
        taken = [number for number, reply in enumerate(replies) if reply.good]
        if go is None or go.code != 354:
            if go is not None and taken:
                for number in taken:
                    replies[number] = go if not go.good else Reply(451, f"4.5.0 DATA was answered with {go}", ours=True)
            await self._reset()
            return replies
        if envelope.still is not None and not await envelope.still():
            # Ending the connection is the one way out of DATA without a message.
            self.abort()
            heard.clear()
            raise Lost("it was stopped")
        final = await self._message(octets if taken else b"")
        self.sent += 1
        if final.code == 421:
            self.abort()
        for number in taken:
            replies[number] = final
        return replies

    async def quit(self) -> None:
        """Politely, but without waiting for it."""
        with contextlib.suppress(Lost, TimeoutError):
            self._write(b"QUIT\r\n")
            async with asyncio.timeout(1.0):
                await self._reply()
        self.abort()

    def farewell(self) -> None:
        """QUIT, and the answer is not waited for."""
        with contextlib.suppress(Lost):
            self._write(b"QUIT\r\n")
        if self._octets.transport is not None:
            self._octets.transport.close()
        self._octets.ended = self._octets.ended or "the connection was closed"

    def patience(self, timeout: float) -> None:
        """Seconds for each step from here on."""
        self._timeout = timeout

    def abort(self) -> None:
        """At once."""
        if self._octets.transport is not None:
            self._octets.transport.abort()
        self._octets.ended = self._octets.ended or "the connection was closed"

    # --- a transaction

    def _mail(self, envelope: Envelope, octets: bytes) -> bytes | Reply:
        """The command, or what the peer would say to it."""
        words = [f"MAIL FROM:<{_path(envelope.reverse_path)}>"]
        if "SIZE" in self.extensions:
            most = self.extensions["SIZE"]
            if most.isascii() and most.isdigit() and 0 < int(most[:18]) < len(octets):
                return Reply(552, f"5.3.4 {self.peer} takes messages of up to {most} octets", ours=True)
            words.append(f"SIZE={len(octets)}")
        if envelope.smtputf8:
            if "SMTPUTF8" not in self.extensions:
                return Reply(553, f"5.6.7 {self.peer} does not take international addresses (SMTPUTF8)", ours=True)
            words.append("SMTPUTF8")
        if "8BITMIME" in self.extensions:
            words.append("BODY=8BITMIME")
        if "DSN" in self.extensions:
            words += envelope.mail
        return " ".join(words).encode() + b"\r\n"

    def _recipients(self, envelope: Envelope) -> list[bytes]:
        further = envelope.each if "DSN" in self.extensions else ()
        commands = []
        for number, recipient in enumerate(envelope.recipients):
            words = [f"RCPT TO:<{_path(recipient)}>", *(further[number] if number < len(further) else ())]
            commands.append(" ".join(words).encode() + b"\r\n")
        return commands

    async def _pipelined(self, commands: Sequence[bytes], heard: list[Reply]) -> tuple[list[Reply], Reply | None]:
        """RFC 2920: all of it at once, then every answer. An end of the connection instead of the first one is no transaction. Until all
        have come nobody knows which belongs to what: some throw away what comes while they answer."""
        self._ask(b"".join(commands))
        first = await self._first()
        try:
            replies = [await self._answer() for _ in commands[1:-1]]
            go: Reply | None = await self._answer()
        except Lost as lost:
            raise Lost(str(lost), together=True) from None
        if not first.good:
            if go is not None and go.code == 354 and any(reply.good for reply in replies):
                self.abort()  # it has no sender and takes recipients: what ended there would be an empty message for them
                go = None
            replies = [first] * len(replies)
        else:
            heard += replies
        return replies, go

    async def _one_by_one(self, commands: Sequence[bytes], heard: list[Reply]) -> tuple[list[Reply], Reply | None]:
        self._ask(commands[0])
        first = await self._first()
        if not first.good:
            return [first] * (len(commands) - 2), None
        for command in commands[1:-1]:
            self._ask(command)
            heard.append(await self._answer())
        if not any(reply.good for reply in heard):
            return [*heard], None
        self._ask(commands[-1])
        return [*heard], await self._answer()

    async def _first(self) -> Reply:
        try:
            reply = await self._answer()
        except Lost as lost:
            raise Unreachable(str(lost)) from None
        if reply.code == 421:
            self.abort()
            raise Unreachable(str(reply))
        return reply

    async def _answer(self) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._reply()
        except TimeoutError:
            self.abort()
            raise Lost(f"no reply within {self._timeout:.0f} s") from None

    async def _message(self, octets: bytes) -> Reply:
        """Dots are doubled (RFC 5321 section 4.5.2). No octet of the message can be taken for its end: lines end with CRLF only."""
        octets = on_the_wire(octets)
        if octets.startswith(b"."):
            octets = b"." + octets
        octets = octets.replace(b"\r\n.", b"\r\n..")
        try:
            whole = memoryview(octets)
            for start in range(0, len(octets), CHUNK):
                async with asyncio.timeout(self._timeout):
                    self._write(whole[start : start + CHUNK])
                    await self._octets.room()
            early = self._said_already()
            if early is None:
                self._write(b".\r\n")
        except TimeoutError:
            self.abort()
            raise Lost(f"the message was not taken within {self._timeout:.0f} s") from None
        except Lost:
            early = self._said_already()
            if early is None:
                raise
        if early is not None:
            # A refusal may come before the end, and the connection with it; that it was taken may not.
            self.abort()
            if early.code < 400:
                raise Lost(f"it says {early} before the message is over")
            return early
        try:
            async with asyncio.timeout(2 * self._timeout):
                return await self._reply()
        except TimeoutError:
            self.abort()
            raise Lost(f"no reply to the message within {2 * self._timeout:.0f} s", dotted=True) from None
        except Lost as lost:
            raise Lost(str(lost), dotted=True) from None

    async def _reset(self) -> None:
        """After a transaction that came to nothing; a peer that does not even answer this is not used again."""
        try:
            self._ask(b"RSET\r\n")
            if not (await self._answer()).good:
                self.abort()
        except Lost:
            self.abort()

    # --- replies

    def _write(self, octets: bytes | memoryview) -> None:
        transport = self._octets.transport
        if transport is None or self._octets.ended is not None or transport.is_closing():
            raise Lost(self._octets.ended or "the connection was closed")
        transport.write(octets)

    def _ask(self, command: bytes) -> None:
        """Commands go out where everything before them was answered, and nothing more: what was said before would be taken for the
        answer. Raises Lost."""
        if self._octets.buffer:
            said = self._said_already()
            raise self._nonsense(f"it says {'more than it was asked' if said is None else said} before the next command")
        self._write(command)

    def _said_already(self) -> Reply | None:
        """A whole reply that came before anybody waited for it, if any; what is no reply is none."""
        end = self._octets.buffer.find(b"\n", 0, LINE)
        found = None if end < 0 else _REPLY_LINE.fullmatch(bytes(self._octets.buffer[: end + 1]))
        return None if found is None else Reply(int(found[1]), _words(found[3] or b""))

    async def _reply(self) -> Reply:
        """Raises Lost, and has the connection closed, for what is no reply."""
        code, lines = await self._lines()
        return Reply(code, _words(b" ".join(lines)))

    async def _lines(self) -> tuple[int, list[bytes]]:
        """One reply: its code and its lines without it. Raises as _reply."""
        lines: list[bytes] = []
        total = kind = 0
        buffer = self._octets.buffer
        while True:
            end = buffer.find(b"\n", 0, LINE)
            if end < 0:
                if len(buffer) >= LINE:
                    raise self._nonsense("a line of the reply does not end")
                await self._octets.more()
                continue
            line = bytes(buffer[: end + 1])
            del buffer[: end + 1]
            total += len(line)
            found = _REPLY_LINE.fullmatch(line)
            if found is None:
                raise self._nonsense(f"what came is no reply: {_words(line)[:100]!r}")
            if total > REPLY:
                raise self._nonsense("the reply is too long")
            if lines and found[1][0] != kind:
                raise self._nonsense("the lines of the reply contradict each other")  # RFC 5321 section 4.2.1: one code for all
            kind = found[1][0]
            lines.append(found[3] or b"")
            if found[2] != b"-":
                return int(found[1]), lines

    def _nonsense(self, words: str) -> Lost:
        self.abort()
        return Lost(words)

    # --- before the first transaction

    async def _command(self, command: bytes) -> Reply:
        self._ask(command + b"\r\n")
        return await self._answer()

    async def _introduce(self, hostname: str, context: ssl.SSLContext | None) -> None:
        """Greeting, EHLO, STARTTLS, AUTH. Raises Unreachable, Lost."""
        peer = self.peer
        greeting = await self._answer()
        if greeting.code != 220:
            raise Unreachable(f"{peer} greets with {greeting}")
        await self._hello(hostname)
        if peer.tls is not Tls.NEVER and not peer.implicit_tls:
            if "STARTTLS" in self.extensions and context is not None:
                await self._start_tls(context)
                await self._hello(hostname)
            elif peer.tls is not Tls.IF_OFFERED:
                raise Unreachable(f"{peer} does not offer STARTTLS", tls=True, status="4.7.4")
        if peer.username is not None:
            await self._login(peer.username)

    async def _hello(self, hostname: str) -> None:
        """HELO where EHLO is not known."""
        self.extensions = {}
        self._ask(f"EHLO {hostname}\r\n".encode())
        async with asyncio.timeout(self._timeout):
            code, lines = await self._lines()
        if code == 421:
            raise Unreachable(f"{self.peer} answers EHLO with 421 {_words(lines[0])}")
        if 200 <= code <= 299:
            for line in lines[1:]:  # the first one only greets
                name, _, value = line.decode("ascii", "replace").strip().partition(" ")
                self.extensions[name.upper()] = value
            return
        reply = await self._command(f"HELO {hostname}".encode())
        if not reply.good:
            raise Unreachable(f"{self.peer} answers HELO with {reply}")

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        try:
            reply = await self._command(b"STARTTLS")
        except Lost as lost:
            raise Unreachable(f"{self.peer} does not answer STARTTLS: {lost}", tls=True) from None
        if reply.code != 220:
            raise Unreachable(f"{self.peer} answers STARTTLS with {reply}", tls=True, status="4.7.4")
        octets = self._octets
        if octets.buffer:
            # Said in the clear, to be read as if it came under TLS.
            raise Unreachable(f"{self.peer} says something between STARTTLS and TLS")
        assert octets.transport is not None
        try:
            made = await asyncio.get_running_loop().start_tls(
                octets.transport, octets, context, server_hostname=self.peer.host, ssl_handshake_timeout=self._timeout
            )
        except ssl.SSLCertVerificationError as fault:
            raise _distrusted(self.peer, fault.verify_message) from None
        except (OSError, TimeoutError) as fault:
            raise Unreachable(f"TLS with {self.peer}: {type(fault).__name__} {fault}".rstrip(), tls=True) from None
        if made is None:
            raise Unreachable(f"{self.peer} ends within the TLS handshake", tls=True)
        octets.connection_made(made)
        if self.peer.tls is Tls.DANE:
            self._vouched(made.get_extra_info("ssl_object"))

    def _vouched(self, channel: Any) -> None:
        """Do the TLSA records stand for this server? (RFC 7672 section 3) Raises Unreachable, Unanchored."""
        peer, verified = self.peer, channel.context.verify_mode is ssl.CERT_REQUIRED
        if verified:
            # A chain to an authority that a record vouches for has been found; what is left is whose certificate it is.
            if not is_named(channel.getpeercert(), peer.names):
                raise _distrusted(peer, f"it is for none of {', '.join(peer.names)} (DANE)")
            return
        chain = chain_of(channel)
        if chain and is_end_entity(peer.tlsa, chain[0]):
            return
        found = anchors(peer.tlsa, chain)
        if found:
            raise Unanchored(f"{peer} has an authority that the DNS vouches for", found)
        raise _distrusted(peer, "no TLSA record is for it (DANE)")

    async def _login(self, username: str) -> None:
        """By the best mechanism there is; where the first is refused, by the next. Raises Unreachable, Lost."""
        peer = self.peer
        offered = self.extensions.get("AUTH", "").upper().split()
        token = None if peer.token is None else await asyncio.to_thread(_token, peer.token)
        ways = initiators(offered, username, password=peer.password, token=token)
        if not ways:
            wanted = "OAUTHBEARER nor XOAUTH2" if token is not None else "SCRAM-SHA-256, PLAIN nor LOGIN"
            raise Unreachable(f"{peer} offers neither AUTH {wanted}", status="4.7.0")
        code = 0
        for way in ways:
            code = await self._authenticated(way)
            if code == 235:
                return
            if not 500 <= code <= 599:
                break
        # Its words are not repeated: nothing keeps a server from quoting what it was given.
        raise Unreachable(f"{peer} refuses the login ({code})", status="4.7.0")

    async def _authenticated(self, way: Initiator) -> int:
        """The code of the last reply. Raises Unreachable, Lost."""
        initial = way.initial
        command = f"AUTH {way.mechanism}".encode()
        spelled = b"" if initial is None else base64.b64encode(initial)
        if initial is not None and len(command) + len(spelled) < LONGEST_INITIAL:
            command, initial = command + b" " + spelled, None
        reply = await self._command(command)
        for _ in range(MOST_CHALLENGES):
            if reply.code != 334:
                break
            try:
                if initial is not None:
                    answer, initial = initial, None
                else:
                    answer = await asyncio.to_thread(way.respond, base64.b64decode(reply.text, validate=True))
            except (Unfit, binascii.Error) as fault:
                self.abort()
                raise Unreachable(f"the login at {self.peer} comes to nothing: {fault}", status="4.7.0") from None
            reply = await self._command(base64.b64encode(answer))
        if reply.code == 235 and not way.is_satisfied:
            self.abort()
            raise Unreachable(f"{self.peer} takes the login without a proof that it knows the password", status="4.7.0")
        return reply.code


async def connect(peer: Peer, hostname: str, patience: float, context: ssl.SSLContext | None) -> Connection:
    """Ready for the first transaction. `hostname`: ours, for EHLO. `patience`: seconds for each step. `context`: needed unless TLS is
    NEVER. Raises Unreachable."""
    octets = _Octets()
    connection = Connection(peer, octets, patience)
    try:
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().create_connection(
                lambda: octets,
                peer.address,
                peer.port,
                ssl=context if peer.implicit_tls else None,
                server_hostname=peer.host if peer.implicit_tls else None,
            )
        await connection._introduce(hostname, context)
    except Unreachable:
        connection.abort()
        raise
    except TimeoutError:
        connection.abort()
        raise Unreachable(f"{peer} did not answer within {patience:.0f} s") from None
    except ssl.SSLCertVerificationError as fault:
        connection.abort()
        raise _distrusted(peer, fault.verify_message) from None
    except (Lost, OSError, ValueError) as fault:
        connection.abort()
        raise Unreachable(f"{peer}: {fault}") from None
    except BaseException:
        connection.abort()
        raise
    return connection


def _distrusted(peer: Peer, why: str) -> Unreachable:
    return Unreachable(f"the certificate of {peer} is not trusted: {why}", tls=True, status="4.7.5")


def _token(file: Path) -> str:
    """Raises OSError, ValueError."""
    text = file.read_text(encoding="ascii").strip()
    if not text or _CONTROL.search(text) is not None:
        raise ValueError(f"{file} has no token")
    return text


def on_the_wire(octets: bytes) -> bytes:
    """A message as it is sent, but for doubled dots: CRLF alone ends lines, the last one too. What is signed is this."""
    if _BARE.search(octets) is not None:
        octets = _BARE.sub(b"\r\n", octets)
    return octets + b"\r\n" if octets and not octets.endswith(b"\r\n") else octets


def _path(address: str) -> str:
    """Raises ValueError for what could end the command: an address never has it, but a database may be tampered with."""
    if _CONTROL.search(address.replace(" ", "") if address.startswith('"') else address) is not None:
        raise ValueError("an address with control characters")
    return address


def _words(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text[: 2 * WORDS]).strip()[:WORDS]
