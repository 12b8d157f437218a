"""Does the demonstration show what it promises, and does it notice when a promise is broken?"""

from __future__ import annotations

import fcntl
import imaplib
import io
import os
import re
import selectors
import signal
import smtplib
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.demo import play, server
from gateway.demo.clients import refused
from gateway.demo.stage import Stage, Unexpected
from tests.live.forked import started

ROOT = Path(__file__).parents[2]
SECONDS = 110.0


class Play:
    """`procura demo` in a directory of its own, whose output is read as it comes."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        (directory / "home").mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PROCURA_")}
        # A setting of whoever starts it must not get in: this one would make every start fail.
        environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory / "home"),
            "PROCURA_LISTEN__IMAP": "nonsense",
            "COLUMNS": "120",
        }
        self.process = started(
            [sys.executable, "-m", "gateway", "demo", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.text = ""

    def until(self, word: str | None) -> str:
        """Everything up to this word (None: to the end)."""
        assert self.process.stdout is not None
        end = time.monotonic() + SECONDS
        octets = self.text.encode()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while word is None or word.encode() not in octets:
                left = end - time.monotonic()
                assert left > 0, f"no {word} after {SECONDS} s:\n{octets.decode()}"
                if not selector.select(left):
                    continue
                piece = os.read(self.process.stdout.fileno(), 65_536)
                if not piece:
                    assert word is None, f"it ended without {word}:\n{octets.decode()}"
                    break
                octets += piece
        self.text = octets.decode()
        return self.text

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """One that goes on serving."""
    play = Play(tmp_path_factory.mktemp("demo"))
    try:
        play.until("Ctrl-C")
        play.until("MAILINDEX")
        yield play
    finally:
        play.end()


def lines(text: str, mark: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"  {mark} ")]


def test_every_line_is_a_tick(first: Play) -> None:
    assert lines(first.text, "✗") == []
    assert len(lines(first.text, "✓")) >= 40


@pytest.mark.parametrize(
    "shown",
    [
        r"delegate sends as the owner \(sendAs\) +From: Olivia Owner <owner@acme\.test>\n +no Sender\n",
        r"reader sends on behalf of the owner +From: Olivia Owner <owner@acme\.test>\n +Sender: Rita Reader <reader@acme\.test>\n",
        r"stranger tries the same +550 5\.7\.1 ",
        r"r  reader opens the owner's INBOX",
        r"w  delegate flags a letter",
        r"i  delegate puts a note there",
        r"x  delegate accepts an invitation for them",
        r"d  reader may not delete",
        r"closed +refuses mail +550 5\.2\.1 ",
        r"pending +refuses mail +550 5\.2\.1 ",
        r"another MTA is asked to wait +450 4\.2\.1 ",
        r"it ends by itself +logged in",
        r"the open session ends +\* BYE access to this folder has ended",
    ],
)
def test_what_has_to_be_shown_is_shown(first: Play, shown: str) -> None:
    assert re.search(shown, first.text)


def test_every_letter_is_allowed_once_and_refused_once(first: Play) -> None:
    letters = [line for line in lines(first.text, "✓") if re.match(r"  ✓ [rwixd ]  [a-z]", line)]
    assert [line[4] for line in letters] == list("r w i x d ")


def test_without_a_terminal_there_is_no_colour(first: Play) -> None:
    assert "\033" not in first.text


def test_everything_is_in_one_directory(first: Play) -> None:
    assert sorted(path.name for path in first.directory.iterdir()) == ["home", "var"]
    assert [path.name for path in (first.directory / "var").iterdir()] == ["demo"]
    assert list((first.directory / "home").iterdir()) == []


def test_what_it_prints_is_true_and_a_second_one_is_refused_meanwhile(first: Play) -> None:
    found = re.search(r"IMAP +127\.0\.0\.1:(\d+) STARTTLS", first.text)
    assert found
    client = imaplib.IMAP4("127.0.0.1", int(found[1]), timeout=20)
    try:
        assert client.starttls()[0] == "OK"
        # The password that stands in the table of accounts.
        password = re.search(r"delegate@acme\.test +(\S+)", first.text.partition("Your turn")[2])
        assert password
        assert client.login("delegate@acme.test", password[1])[0] == "OK"
        assert client.select('"Other Users/owner/INBOX"')[0] == "OK"
    finally:
        client.shutdown()
    second = Play(first.directory, "--once")
    assert "another demonstration is running" in second.until(None)
    assert second.end() == 1
    assert first.process.poll() is None


def test_it_ends_when_told_and_can_be_given_again(first: Play) -> None:
    found = re.search(r"IMAP +127\.0\.0\.1:(\d+)", first.text)
    assert found
    certificate = (first.directory / "var/demo/certificate.pem").read_bytes()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(40) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(found[1])), timeout=5)
    again = Play(first.directory, "--once")
    text = again.until(None)
    assert again.end() == 0, text
    assert lines(text, "✗") == []
    assert "Ctrl-C" not in text
    # Who told a mail client to trust the certificate need not do it again.
    assert (first.directory / "var/demo/certificate.pem").read_bytes() == certificate


# --- it notices


def test_a_broken_promise_is_a_cross_and_counts() -> None:
    def breaks() -> str:
        raise Unexpected("it was allowed")

    out = io.StringIO()
    stage = Stage(out)
    stage.shows("stranger tries", breaks)
    stage.shows("owner tries", lambda: "250")
    stage.verdict(1.0)
    assert (stage.failures, stage.successes) == (1, 1)
    cross, tick, _, verdict = out.getvalue().splitlines()
    assert re.fullmatch(r"  ✗ stranger tries +Unexpected: it was allowed", cross)
    assert re.fullmatch(r"  ✓ owner tries +250", tick)
    assert verdict == "1 ✓, 1 ✗ in 1 s"


def test_what_came_back_stands_in_one_column() -> None:
    out = io.StringIO()
    stage = Stage(out)
    stage.shows("short", lambda: "first\nsecond")
    stage.shows("something longer", lambda: "word " * 60)
    columns = {re.search(r"(first|second|word)", line).start() for line in out.getvalue().splitlines()}  # type: ignore[union-attr]
    assert columns == {Stage.WHAT + 6}


def _raises(error: Exception) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (smtplib.SMTPDataError(550, b"5.7.1 not as this"), "550 5.7.1 not as this"),
        (smtplib.SMTPRecipientsRefused({"a@b.test": (550, b"5.2.1 no mail")}), "550 5.2.1 no mail"),
        (imaplib.IMAP4.error(b"[NOPERM] you need 'i'"), "NO [NOPERM] you need 'i'"),
        (Unexpected("NO [NONEXISTENT] no such folder"), "NO [NONEXISTENT] no such folder"),
    ],
)
def test_a_refusal_is_told_as_it_came(error: Exception, told: str) -> None:
    assert refused(_raises(error), told.partition("]")[0][:9]) == told


def test_another_refusal_than_expected_is_a_broken_promise() -> None:
    with pytest.raises(Unexpected, match=r"451 4\.3\.0 .* \(expected 550 5\.7\.1\)"):
        refused(_raises(smtplib.SMTPDataError(451, b"4.3.0 a fault")), "550 5.7.1")


def test_no_refusal_is_a_broken_promise() -> None:
    with pytest.raises(Unexpected, match="it was allowed"):
        refused(lambda: None, "550")


def test_a_lost_connection_is_no_refusal() -> None:
    with pytest.raises(imaplib.IMAP4.abort):
        refused(_raises(imaplib.IMAP4.abort("socket error: EOF")), "NO")


# --- where it plays


def test_a_directory_that_is_not_its_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("mine")
    out = io.StringIO()
    assert play.main(once=True, directory=tmp_path, out=out) == 1
    assert "not made by a demonstration" in out.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_a_server_started_there_by_hand_is_not_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "demonstration.lock").touch()
    (tmp_path / "procura.db").write_text("in use")
    out = io.StringIO()
    with (tmp_path / "procura.lock").open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert play.main(once=True, directory=tmp_path, out=out) == 1
    assert "a procura is running on" in out.getvalue()
    assert (tmp_path / "procura.db").read_text() == "in use"


def test_a_port_that_is_taken_is_left_to_who_has_it(tmp_path: Path) -> None:
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            somebody.bind(("127.0.0.1", 1993))
        except OSError:
            pass  # somebody else has it, which is as good
        else:
            somebody.listen()
        taken = server.configure(tmp_path / "procura.toml", tmp_path)
    assert "127.0.0.1:1993" in taken
    written = tomllib.loads((tmp_path / "procura.toml").read_text())
    assert written["listen"]["imaps"] == ["127.0.0.1:0"]
    assert set(written["listen"]) == {"submission", "submissions", "lmtp", "imap", "imaps"}
