"""`procura --as`: with a server that runs and without one, in a batch, and at once when the role is gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.server import PASSWORD, Server
from tests.live.talk import Talk


def arrange(server: Server) -> None:
    server.prov(
        "createDomain acme.test",
        "createDomain other.test",
        "initDomainForDelegation acme.test",
        "createAccount admin@acme.test '' isDelegatedAdminAccount TRUE",
        "grantRight domain acme.test usr admin@acme.test user-management",
        f"createAccount owner@acme.test '{PASSWORD}'",
        "createAccount root@acme.test '' isAdminAccount TRUE",
        "createAccount stranger@other.test ''",
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("roles")) as running:
        arrange(running)
        yield running


def acts(server: Server, *arguments: str, who: str = "admin@acme.test", stdin: str = "") -> subprocess.CompletedProcess[str]:
    return server.run("--as", who, *arguments, stdin=stdin, check=False)


def test_a_role_reaches_as_far_as_it_goes(server: Server) -> None:
    assert acts(server, "prov", "createAccount", "new@acme.test", PASSWORD).returncode == 0
    for arguments in (
        ("prov", "createAccount", "new@other.test", PASSWORD),
        ("prov", "renameAccount", "new@acme.test", "new@other.test"),
        ("prov", "addAccountAlias", "new@acme.test", "alias@other.test"),
        ("prov", "setPassword", "root@acme.test", PASSWORD),
        ("prov", "grantRight", "account", "root@acme.test", "usr", "admin@acme.test", "loginAs"),
        ("prov", "modifyAccount", "admin@acme.test", "isAdminAccount", "TRUE"),
        ("prov", "modifyAccount", "new@acme.test", "quota", "100g"),
        ("roles", "grant", "admin@acme.test", "domain"),
        ("queue", "list"),
        ("audit", "list"),
    ):
        told = acts(server, *arguments)
        assert (told.returncode, told.stdout) == (1, ""), arguments
        assert told.stderr.startswith("ERROR: service.PERM_DENIED (permission denied: "), arguments
        number = told.stderr.rpartition("[")[2].partition("]")[0]
        (record,) = json.loads(server.run("audit", "list", "--decision", number, "--json").stdout)
        assert (record["allowed"], record["actor_address"]) == (False, "admin@acme.test")
    assert acts(server, "prov", "getAccount", "ghost@other.test").stderr.startswith("ERROR: service.PERM_DENIED")
    assert server.run("audit", "verify").stdout.startswith("OK")


def test_a_password_that_an_administrator_sets_ends_the_session(server: Server) -> None:
    with Talk(server.ports["imap"]) as session:
        assert session.do(f'LOGIN owner@acme.test "{PASSWORD}"').tagged.startswith("OK")
        assert acts(server, "prov", "setPassword", "owner@acme.test", "another horse 8").returncode == 0
        assert session.farewell(20).startswith(b"* BYE")
    with Talk(server.ports["imap"]) as session:
        assert session.do('LOGIN owner@acme.test "another horse 8"').tagged.startswith("OK")


def test_each_line_of_a_batch_is_judged(server: Server) -> None:
    lines = (
        "modifyAccount owner@acme.test displayName One",
        "modifyAccount stranger@other.test displayName Two",
        "getAccount owner@acme.test displayName",
        "",
    )
    told = acts(server, "prov", "--keep-going", "-f", "-", stdin="\n".join(lines))
    assert told.returncode == 1
    assert "displayName: One" in told.stdout
    assert "[line 2]" in told.stderr
    assert told.stderr.count("ERROR") == 1


def test_a_role_that_is_taken_away_is_gone_in_the_middle_of_a_batch(server: Server) -> None:
    server.prov(
        "createAccount helper@acme.test '' isDelegatedAdminAccount TRUE",
        "grantRight domain acme.test usr helper@acme.test help-desk",
    )
    with started(
        [*server.command, "--as", "helper@acme.test", "prov", "--keep-going", "-f", "-"],
        env={**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=server.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    ) as batch:
        assert batch.stdin is not None
        assert batch.stdout is not None
        batch.stdin.write("getAccount owner@acme.test mail\n")
        batch.stdin.flush()
        # What is printed of a batch is flushed at its end: that the first line was done shows in what a second one did.
        batch.stdin.write("modifyAccount owner@acme.test displayName Before\n")
        batch.stdin.flush()
        _until(server, "displayName: Before")
        server.run("roles", "revoke", "helper@acme.test", "help-desk")
        batch.stdin.write("modifyAccount owner@acme.test displayName After\n")
        batch.stdin.close()
        said = batch.stdout.read()
        assert batch.wait(60) == 1
    assert "no role was granted" in said
    assert "displayName: Before" in server.run("prov", "getAccount", "owner@acme.test", "displayName").stdout


def _until(server: Server, text: str) -> None:
    for _ in range(60):
        if text in server.run("prov", "getAccount", "owner@acme.test", "displayName").stdout:
            return
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--as", "", "prov", "getAccount", "owner@acme.test"), 2, "needs an administrator"),
        (("--as=", "prov", "getAccount", "owner@acme.test"), 2, "needs an administrator"),
        (("--as", "admin@acme.test", "migrate"), 2, "--as is for prov"),
        (("prov", "--as", "ghost@acme.test", "getAccount", "owner@acme.test"), 1, "NO_SUCH_ACCOUNT"),
        (("prov", "--as", "owner@acme.test", "getAccount", "owner@acme.test"), 1, "no role was granted"),
        (("--as",), 2, "needs a value"),
    ],
)
def test_who_acts_is_never_the_operator_by_mistake(server: Server, arguments: tuple[str, ...], status: int, said: str) -> None:
    told = server.run(*arguments, check=False)
    assert (told.returncode, told.stdout) == (status, "")
    assert said in told.stderr


def test_without_a_server_it_is_the_same(tmp_path: Path) -> None:
    server = Server(tmp_path)
    tmp_path.mkdir(exist_ok=True)
    arrange(server)
    assert acts(server, "prov", "createAccount", "new@acme.test", "").returncode == 0
    told = acts(server, "prov", "deleteAccount", "root@acme.test")
    assert (told.returncode, "service.PERM_DENIED" in told.stderr) == (1, True)
    assert "user-management" in server.run("roles").stdout
    assert "set a password" in server.run("roles", "show", "help-desk").stdout
