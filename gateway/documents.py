"""One document over HTTPS, in bounded time and memory, from the one place that was asked for it."""

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds for a whole document, the name's look-up excepted."""
LARGEST: Final = 256 << 10
HEADER: Final = 64 << 10
"""Octets of the answer's header."""
PIECE: Final = 64 << 10

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


class Unavailable(Exception):
    """It could not be had: no connection, no certificate that is trusted, no time, or an answer that is not it."""


@dataclass(frozen=True, slots=True)
class Document:
    """`kind`: the media type in lower case, without parameters; "" where none was said."""

    octets: bytes
    kind: str


def is_safe(url: str) -> bool:
    """May what we rely on come from there? Over https, or from this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")))


def fetched(
    url: str,
    *,
    accept: str = "application/json",
    address: str | None = None,
    context: ssl.SSLContext | None = None,
    largest: int = LARGEST,
    patience: float | None = None,
) -> Document:
    """Waited for in the caller's thread. No redirection (an answer from elsewhere is not the one asked for), no proxy, nothing cached.

    `address`: where to connect in place of what the system's resolver says; the certificate is for the name in any case. `context`:
    whom to trust; None: the system's authorities. `largest`: octets, `patience`: seconds. Raises Unavailable.
    """
    if not is_safe(url) or any(one <= " " for one in url):
        raise Unavailable("only https is asked")
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    end = time.monotonic() + (PATIENCE if patience is None else patience)
    target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
    # One question a connection: with `close` the answer's end is the connection's where it has no length.
    where = parts.netloc.rpartition("@")[2]
    asked = f"GET {target} HTTP/1.1\r\nHost: {where}\r\nAccept: {accept}\r\nUser-Agent: procura\r\nConnection: close\r\n\r\n"
    try:
        with contextlib.ExitStack() as opened:
            raw = opened.enter_context(
                socket.create_connection((address or host, parts.port or (443 if secure else 80)), timeout=_left(end))
            )
            link = raw
            if secure:
                link = opened.enter_context((context or ssl.create_default_context()).wrap_socket(raw, server_hostname=host))
            link.settimeout(_left(end))
            link.sendall(asked.encode("ascii"))
            answer = _answer(link, largest, end)
    except TimeoutError:
        raise Unavailable("its answer takes too long") from None
    except (OSError, ValueError) as fault:
        raise Unavailable(f"{type(fault).__name__}: {fault}") from None
    return _document(answer, largest)


def _document(answer: bytes, largest: int) -> Document:
    """Raises Unavailable."""
    try:
        response = HTTPResponse(_Said(answer), method="GET")  # type: ignore[arg-type]  # all it wants of a socket is makefile
        response.begin()
        octets = response.read(largest + 1) if response.status == 200 else b""
    except (OSError, HTTPException, ValueError) as fault:
        raise Unavailable(f"{type(fault).__name__}: {fault}") from None
    if response.status != 200:
        raise Unavailable(f"it answers {response.status}")
    if len(octets) > largest:
        raise Unavailable("its answer is too long")
    said = response.getheader("Content-Length")
    if said is not None and said.strip() != str(len(octets)):
        raise Unavailable("its answer is not whole")
    return Document(octets, (response.getheader("Content-Type") or "").partition(";")[0].strip().lower())


def _answer(link: socket.socket, largest: int, end: float) -> bytes:
    """Raises Unavailable, OSError (TimeoutError among them)."""
    octets = bytearray()
    whole: int | None = None
    while whole is None or len(octets) < whole:
        link.settimeout(_left(end))
        piece = link.recv(PIECE)
        if not piece:
            break
        octets += piece
        if len(octets) > largest + HEADER:
            raise Unavailable("its answer is too long")
        if whole is None and (header := octets.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(octets, 0, header + 2)
            whole = None if length is None else header + 4 + int(length[1])
    return bytes(octets)


def _left(end: float) -> float:
    """Raises TimeoutError."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Said:
    """What was received, to be read as if it came from a socket."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, *_: Any, **__: Any) -> BytesIO:
        return BytesIO(self._octets)


async def in_a_thread(work: Callable[[], T], name: str) -> T:
    """Raises what it raises. A daemon, unlike those of a pool: a server that stops does not wait for a name server."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def done(result: Callable[[asyncio.Future[T]], None]) -> None:
        if not found.done():
            result(found)

    def run() -> None:
        try:
            value = work()
        except Exception as fault:
            raised = fault
            told: Callable[[asyncio.Future[T]], None] = lambda one: one.set_exception(raised)  # noqa: E731
        else:
            told = lambda one: one.set_result(value)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(done, told)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await found
