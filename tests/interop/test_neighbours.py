"""Neighbours in front of us, as swaks plays them: the PROXY protocol and XCLIENT (swaks has both of its own)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.live.server import Server

pytestmark = pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
CLIENT = "192.0.2.77"
PROXIED = ["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]
ADDRESSES = ["--proxy-source", CLIENT, "--proxy-source-port", "4711", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("behind"), {"proxy_networks": ["127.0.0.0/8"]})
    made.people("anna")
    with made:
        yield made


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("told"), {"xclient_networks": ["127.0.0.0/8"]})
    made.people("anna")
    with made:
        yield made


def swaks(server: Server, door: str, subject: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    there = ["--server", "127.0.0.1", "--port", str(server.ports[door]), "--from", "stranger@elsewhere.test", "--to", "anna@acme.test"]
    return subprocess.run(["swaks", *there, "--h-Subject", subject, *arguments], capture_output=True, text=True, timeout=60, check=False)


def received(server: Server, subject: str) -> bytes:
    (found,) = [one for one in server.wait_for("anna@acme.test") if b"Subject: " + subject.encode() in one]
    return found


@pytest.mark.parametrize(
    "header",
    [
        ["--proxy-version", "1", "--proxy-family", "TCP4", *ADDRESSES],
        ["--proxy-version", "2", "--proxy-family", "AF_INET", *PROXIED, *ADDRESSES],
    ],
    ids=["v1", "v2"],
)
def test_by_a_proxy(server: Server, header: list[str]) -> None:
    subject = f"by proxy {header[1]}"
    done = swaks(server, "mx", subject, *header)
    assert done.returncode == 0, done.stdout + done.stderr
    assert CLIENT.encode() in received(server, subject).split(b"\r\nSubject")[0]


def test_a_proxy_without_its_header_is_cut_off(server: Server) -> None:
    assert swaks(server, "mx", "no header").returncode != 0


def test_by_xclient(told: Server) -> None:
    done = swaks(told, "mx", "by xclient", "--xclient-addr", CLIENT, "--xclient-name", "client.test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert CLIENT.encode() in received(told, "by xclient").split(b"\r\nSubject")[0]


def test_nobody_is_let_in_by_xclient(told: Server) -> None:
    done = swaks(told, "submission", "login", "--xclient-login", "anna@acme.test", "--xclient-no-verify")
    assert done.returncode != 0
    assert "501 5.5.4" in done.stdout


def test_who_is_not_configured_speaks_for_nobody(server: Server, told: Server) -> None:
    header = ["--proxy-version", "1", "--proxy-family", "TCP4", *ADDRESSES]
    assert swaks(told, "mx", "liar", *header).returncode != 0
    assert all(b"Subject: liar" not in one for one in told.messages("anna@acme.test"))
