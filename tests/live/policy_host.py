"""The web server of a domain's MTA-STS policy, over https on loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENFORCE = "version: STSv1\r\nmode: enforce\r\nmx: {}\r\nmax_age: 604800\r\n"


@dataclass
class PolicyHost:
    """`policy` is what it says, with `status` and `kind`; `gate` closed: it keeps silent. `asked`: hosts and paths, in order."""

    port: int = 0
    policy: str = ENFORCE
    status: int = 200
    kind: str = "text/plain; charset=utf-8"
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)


@contextmanager
def policy_host(context: ssl.SSLContext, policy: str = ENFORCE) -> Iterator[PolicyHost]:
    found = PolicyHost(policy=policy)
    found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(f"{(self.headers['Host'] or '').partition(':')[0]}{self.path}")
            found.gate.wait(20)
            octets = found.policy.encode()
            self.send_response(found.status)
            if found.status == 302:
                self.send_header("Location", f"https://mta-sts.far.test:{found.port}{self.path}")
            if found.kind:
                self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that leaves in the handshake is no fault of the server's."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.gate.set()
            server.shutdown()
            thread.join()
