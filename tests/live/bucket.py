"""A small object store that speaks as much of S3 as is asked of it, and misbehaves as it is told."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from obstore.store import S3Store

from store.objects import ObjectFiles

ACCESS, SECRET = "AKIDEXAMPLE", "never-to-be-seen-in-a-log"
NAME = "mail"
HOME = "0123456789abcdef"
PAGE = 3
"""Names in one answer to a list, whatever is asked: more than one page is met soon."""


@dataclass
class Fault:
    """What happens to the next request of this method (any: ""): a status, octets after which the answer is cut off, seconds before it,
    or octets that are not those that were stored. `times`: for so many requests."""

    method: str
    status: int = 0
    cut: int = -1
    wait: float = 0.0
    spoil: bool = False
    hold: bool = False  # until `gate` is set
    drop: bool = False  # the connection is closed without a word, after whatever was asked is done
    times: int = 1


@dataclass
class Bucket:
    """`with Bucket() as bucket:`; `objects` by their names, with the time they were written."""

    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path, Range)."""
    is_down: bool = False
    gate: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Bucket:
        bucket = self

        class Handler(_Handler):
            its = bucket

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def age(self, hours: float) -> None:
        """Everything was written so much earlier."""
        self.objects = {name: (octets, at - timedelta(hours=hours)) for name, (octets, at) in self.objects.items()}

    def messages(self) -> list[str]:
        """Names of objects that hold messages."""
        return sorted(name for name in self.objects if not name.endswith("/procura"))

    def count(self, method: str) -> int:
        return sum(one[0] == method for one in self.asked)

    def fault(self, method: str) -> Fault | None:
        if self.is_down:
            return Fault(method, status=503)
        if self.faults and self.faults[0].method in ("", method):
            one = self.faults[0]
            one.times -= 1
            if one.times <= 0:
                self.faults.popleft()
            return one
        return None


def speaking(bucket: Bucket, directory: Path, deadline: float = 10.0) -> ObjectFiles:
    made = S3Store(
        NAME,
        prefix="procura/here",
        endpoint=bucket.endpoint,
        access_key_id=ACCESS,
        secret_access_key=SECRET,
        region="eu-test-1",
        checksum_algorithm="SHA256",
        client_options={"allow_http": True, "timeout": timedelta(seconds=deadline)},
        retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=5), "backoff": {"init_backoff": timedelta(milliseconds=5)}},
    )
    return ObjectFiles(directory, objects=made, name=HOME, deadline=deadline)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    its: Bucket

    def handle(self) -> None:
        with suppress(ConnectionError):  # who has waited for long enough leaves
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass

    def do_PUT(self) -> None:
        self._do(self._put)

    def do_GET(self) -> None:
        self._do(self._get)

    def do_HEAD(self) -> None:
        self._do(self._get)

    def do_DELETE(self) -> None:
        self._do(self._delete)

    def do_POST(self) -> None:
        self._do(self._delete_many)

    def _do(self, answer: Callable[[str, bytes], tuple[int, dict[str, str], bytes]]) -> None:
        parts = urlsplit(self.path)
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        octets = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.its.asked.append((self.command, unquote(self.path), self.headers.get("Range") or ""))
        fault = self.its.fault(self.command)
        if fault is not None and fault.wait:
            time.sleep(fault.wait)
        if fault is not None and fault.hold:
            self.its.gate.wait(30)
        if fault is not None and fault.status:
            # Such answers quote the request, keys and all.
            said = f"<Error><Code>Broken</Code><Message>{escape(str(self.headers))}</Message></Error>".encode()
            return self._answer(fault.status, {}, said, None)
        if bucket != NAME:
            return self._answer(404, {}, b"<Error><Code>NoSuchBucket</Code></Error>", None)
        if ACCESS not in (self.headers.get("Authorization") or ""):
            return self._answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>", None)
        status, headers, body = answer(name, octets)
        if fault is not None and fault.spoil:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault is not None and fault.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._answer(status, headers, body, fault)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.cut >= 0:
            self.wfile.write(body[: fault.cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)

    def _put(self, name: str, octets: bytes) -> tuple[int, dict[str, str], bytes]:
        told = self.headers.get("x-amz-checksum-sha256")
        if told is not None and base64.b64decode(told) != sha256(octets).digest():
            return 400, {}, b"<Error><Code>BadDigest</Code></Error>"
        self.its.objects[name] = (octets, datetime.now(UTC))
        return 200, {"ETag": _tag(octets)}, b""

    def _get(self, name: str, _: bytes) -> tuple[int, dict[str, str], bytes]:
        if not name:
            return self._list()
        found = self.its.objects.get(name)
        if found is None:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        octets, at = found
        headers = {"ETag": _tag(octets), "Last-Modified": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if self.command == "HEAD":
            return 200, {**headers, "Content-Length": str(len(octets))}, b""
        wanted = self.headers.get("Range")
        if wanted is None:
            return 200, headers, octets
        low, _, high = wanted.removeprefix("bytes=").partition("-")
        last = min(int(high), len(octets) - 1)
        return 206, {**headers, "Content-Range": f"bytes {low}-{last}/{len(octets)}"}, octets[int(low) : last + 1]

    def _list(self) -> tuple[int, dict[str, str], bytes]:
        query = parse_qs(urlsplit(self.path).query)
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        names = sorted(name for name in self.its.objects if name.startswith(prefix) and name > after)
        page = names[:PAGE]
        more = len(names) > PAGE
        told = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>{self.its.objects[name][1]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{_tag(self.its.objects[name][0])}</ETag><Size>{len(self.its.objects[name][0])}</Size></Contents>"
            for name in page
        )
        ends = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            200,
            {},
            (
                f"<ListBucketResult><Name>{NAME}</Name><KeyCount>{len(page)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
                f"{ends}{told}</ListBucketResult>"
            ).encode(),
        )

    def _delete(self, name: str, _: bytes) -> tuple[int, dict[str, str], bytes]:
        self.its.objects.pop(name, None)
        return 204, {}, b""

    def _delete_many(self, _: str, octets: bytes) -> tuple[int, dict[str, str], bytes]:
        keys = [one.text or "" for one in ElementTree.fromstring(octets).iter() if one.tag.endswith("Key")]
        for key in keys:
            self.its.objects.pop(key, None)
        said = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return 200, {}, f"<DeleteResult>{said}</DeleteResult>".encode()


def _tag(octets: bytes) -> str:
    return f'"{md5(octets, usedforsecurity=False).hexdigest()}"'
