"""What is fed any octets at all: every parser, and whole sessions in every state. A target returns, or raises what is a finding."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from config.addresses import TcpAddress
from gateway.carrier import Wheel
from gateway.imap.capabilities import REGISTRY
from gateway.imap.framing import Allowance, Frame, Framer, FramingError, Want
from gateway.imap.grammar.cursor import BadSyntax, command_name
from gateway.imap.grammar.url import BadUrl, message_url
from gateway.imap.names import BadName, Namespace, Pattern, decode_utf7
from gateway.list_commands import decision, request
from gateway.message.addresses import addresses
from gateway.message.arc import read_chain
from gateway.message.binary import CannotKeep, without_binary, without_nul
from gateway.message.bounce import read_report
from gateway.message.calendar import answers
from gateway.message.dates import parse_date
from gateway.message.dkim import BadSignature, read_names, tags
from gateway.message.itip import MalformedCalendar
from gateway.message.originators import MalformedHeader, originators
from gateway.message.preview import preview
from gateway.message.split import read_header, read_submitted_header
from gateway.message.structure import parse
from gateway.message.text import columns, message_texts, sort_keys
from gateway.neighbour import attributes, socketmap
from gateway.smtp import grammar
from gateway.smtp.data import ChunkReader, DataReader
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import SubmissionHooks
from gateway.smtp.listener import Listener
from gateway.smtp.proxy import NoHeader
from gateway.smtp.proxy import read_header as read_proxy_header
from gateway.smtp.terms import House, Limits, Terms
from gateway.sts import BadPolicy, read_policy
from policy import document, filters
from tests.gateway.imap.handlers.house import housed
from tests.gateway.smtp.services import FakeLogin, FakeSessions, FakeSubmission

Target = Callable[[bytes], None]


class Finding(AssertionError):
    """What may not be."""


def stored_message(octets: bytes) -> None:
    """What is done to a message that somebody sent us."""
    root = parse(octets)
    header = read_header(octets)
    columns(octets, header)
    sort_keys(octets, header)
    preview(octets, root)
    for _ in message_texts(octets, root):
        pass
    read_chain(octets, header)
    read_report(octets)
    request(octets, header)
    decision(octets, header)
    for part in root.walk():
        for field in part.header.fields:
            value = octets[field.value : field.end]
            addresses(value)
            parse_date(value)


def submitted_message(octets: bytes) -> None:
    """What is done to a message that somebody wants to send."""
    with contextlib.suppress(MalformedHeader):
        originators(octets, read_submitted_header(octets), smtputf8=True)
    with contextlib.suppress(MalformedCalendar):
        answers(octets, parse(octets))
    with contextlib.suppress(CannotKeep):
        without_nul(octets)
    with contextlib.suppress(CannotKeep):
        without_binary(octets)


def signature(octets: bytes) -> None:
    """A DKIM signature's value."""
    with contextlib.suppress(BadSignature):
        tags(octets)
    with contextlib.suppress(BadSignature):
        read_names(octets)


def imap_commands(octets: bytes) -> None:
    """The framing and the grammar of every command, whatever the name that was sent."""
    framer = Framer(8_192, lambda parts: Allowance(10_000, 100_000))
    framer.feed(octets)
    for _ in range(100):
        try:
            found = framer.next_frame()
        except FramingError as error:
            if error.ends:
                return
            continue
        if found is Want.MORE:
            return
        if not isinstance(found, Frame):
            continue
        for utf8 in (False, True):
            try:
                _, name, cursor = command_name(found, utf8=utf8, charset_is_utf8=utf8)
                row = REGISTRY.commands.get(name)
                if row is not None:
                    cursor.whole(row.syntax)
            except BadSyntax as error:
                if not error.message.isprintable():
                    raise Finding(repr(error.message)) from error


def imap_names(octets: bytes) -> None:
    """Names, patterns and URLs."""
    with contextlib.suppress(BadUrl):
        message_url(octets)
    with contextlib.suppress(BadName):
        name = decode_utf7(octets)
        Pattern("", name).matches("INBOX/" + name[::-1])
        Namespace("anna@acme.test", "Other Users/").parse(name)


def smtp_arguments(octets: bytes) -> None:
    """Of every command that has some."""
    text = octets.decode("utf-8", "surrogateescape")
    for read in (
        lambda: grammar.mail(text, extended=True, auth=True, hold=True),
        lambda: grammar.rcpt(text, extended=True, smtputf8=True),
        lambda: grammar.bdat(text),
        lambda: grammar.hello(text),
    ):
        with contextlib.suppress(grammar.BadSyntax):
            read()


def smtp_data(octets: bytes) -> None:
    """The end of a message, wherever the octets are cut, in both ways."""
    for fix in (False, True):
        whole = DataReader(5_000, fix=fix)
        rest = whole.feed(octets)
        single = DataReader(5_000, fix=fix)
        at, left = 0, None
        while at < len(octets) and left is None:
            left = single.feed(octets[at : at + 1])
            at += 1
        if (rest is None) != (left is None) or (whole.fault is None) != (single.fault is None):
            raise Finding("the cut decides where a message ends")
        if rest is not None and (left or b"") + octets[at:] != rest:
            raise Finding("the cut decides what follows a message")
    chunks = ChunkReader(5_000)
    chunks.announce(len(octets))
    chunks.feed(octets)
    chunks.end(binary=True, fix=False)


def neighbours(octets: bytes) -> None:
    """Postfix and proxies, or who says that he is one."""
    with contextlib.suppress(socketmap.BadFrame, socketmap.TooLong):
        socketmap.take(octets)
    with contextlib.suppress(attributes.BadRequest):
        attributes.take(octets)
    with contextlib.suppress(NoHeader):
        read_proxy_header(octets)
    with contextlib.suppress(BadPolicy):
        read_policy(octets)


def administrators(octets: bytes) -> None:
    """Filters of dynamic lists, documents of policy."""
    text = octets.decode("utf-8", "surrogateescape")
    with contextlib.suppress(filters.BadFilter):
        found = filters.parse(text, {"title": "title", "department": "department"})
        if filters.parse(filters.spell(found), {"title": "title", "department": "department"}) != found:
            raise Finding("spelled it means something else")
    with contextlib.suppress(document.BadDocument):
        document.read(text)


# --- whole sessions


class _Faults(logging.Handler):
    """What a session may not leave in the log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class Sessions:
    """Servers of this process, made once; each input is one connection."""

    IMAP = (
        b"",
        b"l LOGIN anna@acme.test secret\r\n",
        b"l LOGIN anna@acme.test secret\r\ns SELECT INBOX\r\n",
        b"l LOGIN bruno@acme.test secret\r\ns EXAMINE INBOX\r\n",
        b"l LOGIN anna@acme.test secret\r\ns SELECT INBOX\r\ni IDLE\r\n",
        b"l LOGIN anna@acme.test secret\r\na APPEND INBOX {40+}\r\n",
        b"l LOGIN anna@acme.test secret\r\nn NOTIFY SET (personal (MessageNew MessageExpunge))\r\n",
        b"a AUTHENTICATE PLAIN\r\n",
    )
    SMTP = (
        b"",
        b"EHLO x\r\n",
        b"EHLO x\r\nAUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=\r\n",
        b"EHLO x\r\nAUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=\r\nMAIL FROM:<anna@acme.test>\r\n",
        b"EHLO x\r\nAUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=\r\nMAIL FROM:<anna@acme.test>\r\nRCPT TO:<b@acme.test>\r\n",
        b"EHLO x\r\nAUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=\r\nMAIL FROM:<anna@acme.test>\r\nRCPT TO:<b@acme.test>\r\nDATA\r\n",
        b"EHLO x\r\nAUTH LOGIN\r\n",
    )

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._faults = _Faults()
        logging.getLogger().addHandler(self._faults)
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)
        self._loop.set_exception_handler(lambda _, context: self._faults.seen.append(repr(context)))
        self._scratch = tempfile.TemporaryDirectory()
        self._ports = self._loop.run_until_complete(self._open())

    async def _open(self) -> tuple[int, int]:
        self._house = housed(Path(self._scratch.name))
        house = await self._house.__aenter__()
        imap = await house.listen()
        self._smtp = Listener(
            HardenedSMTP,
            Terms("s", "mx.acme.test", Limits(failed_login_delay=0, linger=0.05), mechanisms=("PLAIN", "LOGIN"), plaintext_login=True),
            House(Wheel(asyncio.get_running_loop())),
            lambda: SubmissionHooks(FakeLogin(), FakeSubmission(), FakeSessions(), hostname="mx.acme.test"),  # type: ignore[arg-type]
        )
        (address,) = await self._smtp.start([TcpAddress("127.0.0.1", 0)])
        return imap, int(address.rpartition(":")[2])

    def close(self) -> None:
        """The servers end."""
        self._loop.run_until_complete(self._smtp.close(1))
        self._loop.run_until_complete(self._house.__aexit__(None, None, None))
        self._loop.close()
        logging.getLogger().removeHandler(self._faults)
        logging.getLogger().setLevel(self._level)
        self._scratch.cleanup()

    def imap(self, octets: bytes) -> None:
        """The first octet chooses the state in which the others come."""
        self._talk(self._ports[0], self.IMAP, octets, b"\r\nDONE\r\nz LOGOUT\r\n")

    def smtp(self, octets: bytes) -> None:
        """The same."""
        self._talk(self._ports[1], self.SMTP, octets, b"\r\n.\r\nQUIT\r\n")

    def _talk(self, port: int, states: tuple[bytes, ...], octets: bytes, end: bytes) -> None:
        self._faults.seen.clear()
        before = states[octets[0] % len(states)] if octets else b""
        said = self._loop.run_until_complete(self._dialogue(port, before + octets[1:] + end))
        if self._faults.seen:
            raise Finding("\n".join(self._faults.seen))
        for words in (b"SERVERBUG", b"451 4.3.0 something went wrong"):
            if words in said:
                raise Finding(repr(said[-300:]))

    @staticmethod
    async def _dialogue(port: int, octets: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = b""
        try:
            async with asyncio.timeout(20):
                writer.write(octets)
                with contextlib.suppress(ConnectionError):
                    writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    said = await reader.read()
        except TimeoutError:
            raise Finding("the session does not end") from None
        finally:
            writer.close()
        return said


PARSERS: MappingProxyType[str, Target] = MappingProxyType(
    {
        target.__name__: target
        for target in (
            stored_message,
            submitted_message,
            signature,
            imap_commands,
            imap_names,
            smtp_arguments,
            smtp_data,
            neighbours,
            administrators,
        )
    }
)
SESSIONS = ("imap", "smtp")
