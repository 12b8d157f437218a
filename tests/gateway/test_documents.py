"""One document over HTTPS: whole or not at all, in time, of bounded size, from where it was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import documents
from gateway.certificate import self_signed
from gateway.documents import Document, Unavailable, fetched, in_a_thread, is_safe


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("documents"), "mta-sts.far.test")


async def answering(octets: bytes, url: str = "http://127.0.0.1:{}/x", **options: object) -> Document:
    asked = b""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)
        await writer.drain()
        await reader.read()  # it stays open until the client leaves
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=options.pop("served", None))  # type: ignore[arg-type]
    port = server.sockets[0].getsockname()[1]
    try:
        return await asyncio.to_thread(fetched, url.format(port), **options)  # type: ignore[arg-type]
    finally:
        server.close()
        if b"Host" in asked:
            assert asked.startswith(b"GET /x HTTP/1.1\r\nHost: " + url.split("/")[2].format(port).encode() + b"\r\n")


@pytest.mark.parametrize(
    ("octets", "document"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi", Document(b"hi", "text/plain")),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", Document(b"", "")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", Document(b"hi", "")),
    ],
)
async def test_a_document(octets: bytes, document: Document) -> None:
    assert await answering(octets) == document


async def test_one_in_pieces_ends_with_the_connection() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    assert (await asyncio.to_thread(fetched, url)).octets == b"hi yo"
    server.close()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n", "answers 301"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "answers 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, "too long"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, "too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000, "too long"),
    ],
)
async def test_what_is_not_taken(octets: bytes, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        await answering(octets, largest=1000)


async def test_an_address_of_our_own_choice_changes_no_name(certificate: tuple[Path, Path]) -> None:
    served, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(certificate[0]))
    served.load_cert_chain(*certificate)
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    options = {"served": served, "address": "127.0.0.1", "context": trusting}
    assert (await answering(octets, "https://mta-sts.far.test:{}/x", **options)).octets == b"hi"
    with pytest.raises(Unavailable, match=r"mta-sts\.other\.test"):
        await answering(octets, "https://mta-sts.other.test:{}/x", **options)


async def test_an_address_where_nothing_may_be_said() -> None:
    for url in ("http://127.0.0.1:1/a b", "http://127.0.0.1:1/a\r\nb", "http://127.0.0.1:1/\u00fc"):
        with pytest.raises(Unavailable):
            await asyncio.to_thread(fetched, url)


async def test_work_in_a_thread_ends_with_what_it_found_or_raised() -> None:
    assert await in_a_thread(threading.get_ident, "x") != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_a_thread(lambda: 1 // 0, "x")


async def test_a_server_that_nobody_vouches_for_is_not_believed(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await asyncio.to_thread(fetched, f"https://127.0.0.1:{port}/keys")
    server.close()


async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    monkeypatch.setattr(documents, "PATIENCE", 0.3)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable, match="takes too long"):
        await asyncio.wait_for(asyncio.to_thread(fetched, f"http://127.0.0.1:{port}/keys"), 5)
    server.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 100,
        b"HTTP/1.1 200\r\n" + b"a: b\r\n" * 500,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
    ],
)
async def test_what_is_no_http_is_an_outage(octets: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert (await asyncio.to_thread(fetched, f"http://127.0.0.1:{port}/keys")).octets == b""
    except Unavailable:
        pass
    server.close()


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    b"HTTP/1.1 200 OK",
                    b"HTTP/1.1 100 Go",
                    b"\r\n",
                    b"\n",
                    b"Transfer-Encoding: chunked",
                    b"Content-Length: 3",
                    b"-1",
                    b"5",
                    b";",
                    b"\xff",
                    b"\0",
                    b": ",
                ]
            ),
            max_size=20,
        ).map(b"".join),
    )
)
def test_no_answer_is_too_odd(octets: bytes) -> None:
    try:
        assert len(documents._document(octets, 100).octets) <= 100
    except Unavailable:
        pass


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://issuer.example", True),
        ("https://issuer.example:8443/realms/x", True),
        ("http://127.0.0.1:80/", True),
        ("http://[::1]:80/", True),
        ("http://localhost/x", True),
        ("http://issuer.example", False),
        ("http://localhost.example/", False),
        ("http://127.0.0.1.example/", False),
        ("ftp://127.0.0.1/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_where_documents_may_come_from(url: str, safe: bool) -> None:
    assert is_safe(url) is safe
    if not safe:
        with pytest.raises(Unavailable):
            fetched(url)
