"""The command as it is typed, in a process of its own: with a server that runs and without one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.forked import finished, started

ROOT = Path(__file__).parents[2]
SECONDS = 60
PROCURA = (sys.executable, "-m", "gateway")


@dataclass(frozen=True)
class Command:
    directory: Path
    anew: bool = False
    """By an interpreter of its own: tests/live/forked.py."""

    def __call__(self, *arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        whole = self.environment(**environment)
        return finished([*PROCURA, *arguments], env=whole, stdin=typed, seconds=SECONDS, anew=self.anew, cwd=self.directory)

    def environment(self, **others: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROCURA_", "PYTHON"))}
        doors = ("SUBMISSION", "SUBMISSIONS", "LMTP", "MX", "IMAP", "IMAPS")
        listen = {f"PROCURA_LISTEN__{door}": '["127.0.0.1:0"]' for door in doors}
        return {
            **kept,
            **listen,
            "PYTHONPATH": str(ROOT),
            "PROCURA_PASSWORD__MEMORY": "8 KiB",
            "PROCURA_HOSTNAME": "mail.acme.test",
            **others,
        }

    def done(self, *arguments: str, typed: str = "") -> str:
        found = self(*arguments, typed=typed)
        assert (found.returncode, found.stderr) == (0, ""), f"{arguments}: {found.stderr}"
        return found.stdout


@pytest.fixture
def procura(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def server(procura: Command) -> Iterator[Command]:
    ready = procura.directory / "ready.json"
    process = subprocess.Popen(
        [*PROCURA, "serve", "--ready-file", str(ready)],
        cwd=procura.directory,
        env=procura.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + SECONDS
        while not ready.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.02)
        yield procura
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said


PEOPLE = """
createDomain acme.test
createAccount owner@acme.test secret displayName "Anna Owner"
createAccount delegate@acme.test secret
createDistributionList team@acme.test
addDistributionListMember team@acme.test delegate@acme.test
"""


GRANTEES = (("account", "delegate@acme.test"), ("group", "team@acme.test"), ("domain", "acme.test"), ("cos", "default"))


def seed_commands(procura: Command, *grantees: tuple[str, str]) -> None:
    """As they are typed for Carbonio, with another first word."""
    procura.done("prov", "-f", "-", typed=PEOPLE)
    grant = ("prov", "selectMailbox", "owner@acme.test", "modifyFolderGrant", "/")
    for grantee in grantees:
        procura.done(*grant, *grantee, "rwixd")
        shown = procura.done("prov", "selectMailbox", "owner@acme.test", "getFolderGrant", "/").splitlines()
        assert shown[2].split() == ["rwixd", *grantee]
        look = "selectMailbox delegate@acme.test getAllFolders"
        taken = f"{look}\nselectMailbox owner@acme.test modifyFolderGrant / {' '.join(grantee)} none\n{look}\n"
        folders = procura.done("prov", "-f", "-", typed=taken)
        assert folders.count("owner@acme.test:/INBOX (rwixd)") == 1
        assert folders.count(" /INBOX\n") == 2
    right = ("account", "owner@acme.test", "usr", "delegate@acme.test", "sendAs")
    check = ("prov", "ckr", "account", "owner@acme.test", "delegate@acme.test", "sendAs")
    procura.done("prov", "grr", *right)
    assert procura.done(*check).startswith("ALLOWED\nVia:\n")
    assert procura("can", "delegate@acme.test", "send-as", "owner@acme.test").returncode == 0
    procura.done("prov", "rvr", *right)
    assert procura.done(*check).startswith("DENIED\n")
    assert procura("can", "delegate@acme.test", "send-as", "owner@acme.test").returncode == 1
    missing = procura("prov", "ga", "x@acme.test")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "ERROR: account.NO_SUCH_ACCOUNT (no such account: x@acme.test)\n"
    assert procura.done("audit", "verify").startswith("OK: ")


def test_the_seed_commands_work_without_a_server(procura: Command) -> None:
    seed_commands(procura, *GRANTEES[:1])


def test_the_seed_commands_work_while_a_server_runs(server: Command) -> None:
    assert (server.directory / "var" / "control.sock").is_socket()
    seed_commands(server, *GRANTEES)


def test_a_right_that_is_given_and_taken_reaches_an_open_imap_session(server: Command) -> None:
    import imaplib

    server.done("prov", "-f", "-", typed=PEOPLE)
    bound = json.loads((server.directory / "ready.json").read_text())
    client = imaplib.IMAP4_SSL("127.0.0.1", int(bound["imaps"][0].rpartition(":")[2]))
    client.login("delegate@acme.test", "secret")
    folder = '"Other Users/owner/INBOX"'
    assert client.select(folder, readonly=True)[0] == "NO"
    server.done("prov", "sm", "owner@acme.test", "mfg", "/", "account", "delegate@acme.test", "r")
    assert client.select(folder, readonly=True)[0] == "OK"
    assert "delegate@acme.test" in server.done("sessions")
    server.done("prov", "sm", "owner@acme.test", "mfg", "/", "account", "delegate@acme.test", "none")
    with pytest.raises(imaplib.IMAP4.abort, match="access to this folder has ended"):  # noqa: PT012 - the news may take a moment
        for _ in range(20):
            client.noop()
            time.sleep(0.05)


def test_two_command_lines_at_once_wait_for_each_other(procura: Command) -> None:
    procura.done("prov", "cd", "acme.test")
    both = [
        started(
            [*PROCURA, "prov", "-f", "-"],
            cwd=procura.directory,
            env=procura.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    for number, process in enumerate(both):
        assert process.stdin is not None
        process.stdin.write("".join(f"ca u{number}x{n}@acme.test sixsix\n" for n in range(20)))
        process.stdin.close()
    assert [process.wait(SECONDS) for process in both] == [0, 0]
    assert len(procura.done("prov", "gaa").splitlines()) == 40


def test_a_batch_from_a_file(procura: Command) -> None:
    (procura.directory / "people").write_text(PEOPLE + "ga nobody@acme.test\ngaa\n")
    stopped = procura("prov", "-f", "people")
    assert stopped.returncode == 1
    assert stopped.stderr == "ERROR: account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test) [line 7]\n"
    went_on = procura("prov", "--keep-going", "--progress", "--json", "--file=people")
    assert went_on.returncode == 1
    assert json.loads(went_on.stdout.splitlines()[-1]) == ["owner@acme.test", "delegate@acme.test"]
    assert "/8" in went_on.stderr
    absent = procura("prov", "-f", "nowhere")
    assert (absent.returncode, absent.stderr) == (1, "ERROR: nowhere: No such file or directory\n")


def test_a_password_may_look_like_an_option(procura: Command) -> None:
    procura.done("prov", "cd", "acme.test")
    procura.done("--data", "var", "prov", "-l", "ca", "a@acme.test", "--data", "note", "--json")
    assert procura.done("--data=var", "prov", "ga", "a@acme.test", "note").splitlines()[1] == "note: --json"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "usage: procura"),
        (("frob",), 2, "invalid choice: 'frob'"),
        (("prov",), 2, "usage: procura prov"),
        (("prov", "--frob"), 2, "there is no option --frob"),
        (("prov", "-f"), 2, "-f needs a file"),
        (("prov", "-f", "-", "gad"), 2, "either -f FILE or a verb"),
        (("prov", "ga"), 2, "usage: getAccount (ga) [-e] NAME [attr ...]"),
        (("can", "a@x.test", "read"), 2, "usage: can ACTOR [see|read|write"),
        (("serve", "--dta", "x"), 2, "unrecognized arguments: --dta x"),
        (("settings", "--data"), 2, "--data needs a value"),
        (("check", "--limits.recipients", "many"), 1, "ERROR: limits.recipients: must be a whole number (from command line)"),
        (("prov", "--config", "nowhere.toml", "gad"), 1, "ERROR: config: there is no file"),
        (("serve", "--workers", "99"), 1, "ERROR: workers: "),
        (("prov", "--data", "/dev/null/x", "gad"), 1, "ERROR: data: /dev/null/x cannot be made"),
        (("prov", "--store", "mysql://x/y", "gad"), 1, "ERROR: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_traceback(
    procura: Command, arguments: tuple[str, ...], status: int, said: str
) -> None:
    found = procura(*arguments)
    assert (found.returncode, found.stdout) == (status, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_second_server_on_the_same_data_is_refused(server: Command) -> None:
    found = server("serve")
    assert found.returncode == 1
    assert found.stderr.startswith("ERROR: another procura (process ")


def test_version_help_settings_check_migrate_example(tmp_path: Path) -> None:
    procura = Command(tmp_path, anew=True)
    assert procura.done("--version").startswith("procura ")
    overview = procura.done("--help")
    assert [
        name for name in ("serve", "demo", "check", "settings", "migrate", "prov", "can", "queue", "audit") if name not in overview
    ] == []
    assert "modifyFolderGrant (mfg)" in procura.done("prov", "--help")
    assert procura.done("prov", "ckr", "--help").startswith("usage: procura prov checkRight (ckr)")
    assert procura.done("can", "--help").startswith("usage: procura can")
    queue = procura.done("queue", "--help").splitlines()
    assert queue[:2] == ["usage: procura queue [--json] [list [--to DOMAIN] [--limit N]]", "       procura queue [--json] summary"]
    audit = procura.done("audit", "--help").splitlines()
    assert audit[1] == "       procura audit [--json] verify [HEAD ...] [--key PUBLIC,...]"
    listed = procura.done("settings", "--imap.shared-prefix", "Others/")
    assert next(line for line in listed.splitlines() if line.startswith("imap.shared_prefix")).split("#")[1].strip() == "command line"
    assert json.loads(procura.done("settings", "--json"))["hostname"] == {
        "value": "mail.acme.test",
        "origin": "environment PROCURA_HOSTNAME",
    }
    assert procura("check").returncode == 0
    assert procura.done("migrate").endswith("is up to date\n")
    assert procura.done("example") == (ROOT / "config" / "example.toml").read_text()


def test_a_reader_who_has_had_enough_is_no_fault(procura: Command) -> None:
    procura.done("prov", "-f", "-", typed="".join(f"cc c{n} note {'x' * 3000}\n" for n in range(50)))
    process = started(
        [*PROCURA, "prov", "gac", "-v"],
        cwd=procura.directory,
        env=procura.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(SECONDS) == 1
