"""What Tab offers: from the tables of verbs and attributes, and of a running server; in a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.cli import _parser
from gateway.completion import OWN_COMMANDS, SCRIPTS, Kind, behind, candidates
from gateway.prov.commands import COMMANDS
from gateway.prov.verbs import MAILBOX_VERBS, VERBS
from tests.live.server import Server

KNOWN = {
    Kind.ACCOUNT: ["anna@acme.test", "ann@other.test", "bob@acme.test"],
    Kind.LIST: ["all@acme.test"],
    Kind.DOMAIN: ["acme.test", "other.test"],
    Kind.COS: ["default", "staff"],
}


def known(kind: Kind, start: str) -> Sequence[str]:
    return [one for one in KNOWN[kind] if one.startswith(start)]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("prov getAc", ["getAccount", "getAccountMembership"]),
        ("prov --json getAllCo", ["getAllCos"]),
        ("prov ga ann", ["ann@other.test", "anna@acme.test"]),
        ("prov ga -e ann", ["ann@other.test", "anna@acme.test"]),
        ("prov ga anna@acme.test passwordMinL", ["passwordMinLength", "passwordMinLowerCaseChars"]),
        ("prov MA anna@acme.test quo", ["quota", "quotaWarnInterval", "quotaWarnMessage", "quotaWarnPercent"]),
        ("prov ma anna@acme.test quota quo", []),
        (
            "prov ma anna@acme.test quota 5 delegatedSen",
            ["delegatedSenderAddresses", "delegatedSendRate", "delegatedSendRecipientRate", "delegatedSent"],
        ),
        ("prov md ac", ["acme.test"]),
        ("prov md acme.test aggregateQuotaW", ["aggregateQuotaWarnEmailRecipient", "aggregateQuotaWarnPercent"]),
        ("prov mc sta", ["staff"]),
        ("prov sac anna@acme.test st", ["staff"]),
        ("prov ca an", []),
        ("prov adlm al", ["all@acme.test"]),
        ("prov adlm all@acme.test a", ["all@acme.test", "ann@other.test", "anna@acme.test"]),
        ("prov grr acc", ["account"]),
        ("prov grr account bo", ["bob@acme.test"]),
        ("prov grr account bob@acme.test u", ["usr"]),
        ("prov grr account bob@acme.test usr anna@acme.test sendAs --u", ["--undo-window", "--until"]),
        ("prov sp bob@acme.test x --m", ["--must-change"]),
        ("prov sm bob@acme.test modifyF", ["modifyFolder", "modifyFolderGrant"]),
        ("prov sm bob@acme.test mfg /INBOX acc", ["account"]),
        ("prov nosuch ", []),
        ("--data /somewhere que", ["queue"]),
        ("--data ", []),
        ("--listen.im", ["--listen.imap", "--listen.imaps"]),
        ("queue ", ["drop", "hold", "list", "recall", "release", "retry", "show", "summary", "--help", "--json"]),
        ("queue list --", ["--help", "--json", "--limit", "--to"]),
        ("queue list --to o", ["other.test"]),
        ("totp st", ["status"]),
        ("totp status bo", ["bob@acme.test"]),
        ("password set bo", ["bob@acme.test"]),
        ("roles gr", ["grant"]),
        ("sessions end --ac", ["--account"]),
        ("sessions end --account bo", ["bob@acme.test"]),
        ("share create --preset read/", ["read/write"]),
        ("completion b", ["bash"]),
    ],
)
def test_what_can_follow(typed: str, offered: list[str]) -> None:
    assert sorted(candidates(typed.split(" "), known)) == sorted(offered)


def test_every_command_and_verb_is_offered() -> None:
    commands = next(one for one in _parser()._actions if one.choices and "serve" in one.choices).choices
    assert {*OWN_COMMANDS, *COMMANDS} == set(commands or ())
    assert set(commands or ()) <= set(candidates([""], known))
    assert {one.name for one in VERBS.values()} <= set(candidates(["prov", ""], known))
    assert {one.name for one in MAILBOX_VERBS.values()} == set(candidates(["prov", "sm", "x", ""], known))


@pytest.mark.parametrize("name", sorted({one.name for one in (*VERBS.values(), *MAILBOX_VERBS.values())} | COMMANDS.keys()))
def test_nothing_that_is_typed_is_too_strange(name: str) -> None:
    for line in (f"prov {name}", name):
        for more in ((), ("-",), ("--",), ("x", ""), ("x", "y", "z", ""), ("x", "--until", ""), ("", "", "-", "'")):
            candidates([*line.split(), *more], known)


@pytest.mark.parametrize(
    ("word", "breaks", "left"),
    [
        ("anna@ac", " @:", ["acme.test"]),
        ("anna@", "@", ["acme.test"]),
        ("an", "@", ["anna@acme.test"]),
        ("anna@ac", "", ["anna@acme.test"]),
    ],
)
def test_a_shell_replaces_what_stands_behind_its_own_break(word: str, breaks: str, left: list[str]) -> None:
    assert behind(word, breaks, ["anna@acme.test"]) == left


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("completion")) as running:
        running.prov("cd acme.test", "ca anna@acme.test ''", "ca bob@acme.test ''", "cdl team@acme.test", "cc staff")
        yield running


def with_the_command(server: Server) -> dict[str, str]:
    """An environment in which `procura` is this checkout's."""
    command = server.directory / "procura"
    root = Path(__file__).parents[2]
    command.write_text(f"#!/bin/sh\nPYTHONPATH='{root}' exec '{sys.executable}' -m gateway \"$@\"\n")
    command.chmod(0o755)
    return {**server.environment, "PATH": f"{server.directory}:{server.environment['PATH']}"}


def pressed(server: Server, line: str) -> list[str]:
    """What Tab behind this line puts into COMPREPLY, in bash itself."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = """
        eval "$(procura completion bash)"
        COMP_LINE=$1 COMP_POINT=${#1}
        read -ra COMP_WORDS <<<"$1"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "$(complete -p procura | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        [bash, "-c", script, "bash", line],
        env=with_the_command(server),
        cwd=server.directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("procura prov getAccountM", ["getAccountMembership"]),
        ("procura prov ga an", ["anna@acme.test"]),
        ("procura prov ga anna@", ["acme.test"]),
        ("procura prov sac anna@acme.test st", ["staff"]),
        ("procura prov gdl ", ["team@acme.test"]),
        ("procura prov ga '(", []),
    ],
)
def test_bash_completes(server: Server, line: str, offered: list[str]) -> None:
    assert pressed(server, line) == offered


def test_without_a_server_it_is_silent(server: Server, tmp_path: Path) -> None:
    assert pressed(server, f"procura --data {tmp_path}/nowhere prov ga an") == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("shell", "check"), [("zsh", ["-n"]), ("fish", ["-n"]), ("bash", ["-n"])])
def test_each_script_is_one_for_its_shell(shell: str, check: list[str], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([program, *check, str(script)], check=True, timeout=60)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("procura prov getAccountM", ["getAccountMembership"]),
        ("procura prov sac anna@acme.test st", ["staff"]),
        ("procura queu", ["queue"]),
    ],
)
def test_fish_completes(server: Server, line: str, offered: list[str], tmp_path: Path) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("no fish here")
    (tmp_path / "typed").write_text(line)
    environment = {**with_the_command(server), "HOME": str(tmp_path)}
    script = f"procura completion fish | source; complete -C (cat {tmp_path}/typed)"
    done = subprocess.run([fish, "--no-config", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (offered, "")
