"""A message that waits for its time, through the real server, over a kill -9 and over a right that ends meanwhile (RFC 4865)."""

from __future__ import annotations

import smtplib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.live.server import Server, compose


def later(client: smtplib.SMTP, parameter: str, octets: bytes, to: str = "bob@acme.test") -> tuple[int, bytes]:
    assert client.docmd(f"MAIL FROM:<> {parameter}")[0] == 250
    assert client.docmd(f"RCPT TO:<{to}>")[0] == 250
    return client.data(octets)


def test_it_waits_is_judged_again_and_survives_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path, {"queue.hold": "1h"}) as server:
        server.people("anna", "bob", "dora", "olga")
        server.prov("grantRight account olga@acme.test usr dora@acme.test sendAs")
        began = time.monotonic()
        with server.smtp("anna@acme.test") as client:
            client.ehlo()
            assert client.esmtp_features["futurerelease"].startswith("3600 20")
            assert later(client, "HOLDFOR=6", compose("anna@acme.test", "bob@acme.test", "six"))[0] == 250
            until = (datetime.now(UTC) + timedelta(seconds=6)).isoformat(timespec="seconds").replace("+00:00", "Z")
            assert later(client, f"HOLDUNTIL={until}", compose("anna@acme.test", "bob@acme.test", "until"))[0] == 250
            assert client.docmd("MAIL FROM:<> HOLDFOR=3601")[0] == 501
        with server.smtp("dora@acme.test") as client:
            client.ehlo()
            assert later(client, "HOLDFOR=6", compose("olga@acme.test", "bob@acme.test", "as olga"))[0] == 250
        server.prov("revokeRight account olga@acme.test usr dora@acme.test sendAs")
        server.kill()
        server.start()
        if time.monotonic() - began < 4:
            assert server.messages("bob@acme.test") == []
        there = server.wait_for("bob@acme.test", count=2, seconds=30)
        assert sorted(line for one in there for line in one.split(b"\r\n") if line.startswith(b"Subject")) == [
            b"Subject: six",
            b"Subject: until",
        ]
        (report,) = server.wait_for("dora@acme.test", seconds=30)
        assert b"Status: 5.7.1" in report
        assert len(server.messages("bob@acme.test")) == 2
        assert "the queue is empty" in server.run("queue").stdout
