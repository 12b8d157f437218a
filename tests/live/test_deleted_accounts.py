"""Deleted accounts: gone for everybody, kept for a while, restored as they were or as a backup has them: by the real command."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.installation import ANNA, LARGE, begun, flip, killed_when, letter, run, server_in
from tests.live.picture import picture
from tests.live.server import PASSWORD, Server, compose

BRUNO, CARL = "bruno@acme.test", "carl@acme.test"
UNDER_ANNA = "Other Users/anna"


def furnished(directory: Path, settings: dict[str, object] | None = None) -> Server:
    """anna shares with bruno and a list, may send as carl, is in a list and owns it."""
    server = server_in(directory)
    server.settings |= settings or {}
    server.people("anna", "bruno", "carl")
    server.prov(
        "aaa anna@acme.test an@acme.test",
        "ma anna@acme.test description 'in the office' delegatedSent both",
        "cdl staff@acme.test owner anna@acme.test",
        "adlm staff@acme.test anna@acme.test bruno@acme.test",
        "sm anna@acme.test cf /Work",
        "sm anna@acme.test mfg /Work account bruno@acme.test rwid",
        "sm anna@acme.test mfg /INBOX group staff@acme.test r",
        "sm carl@acme.test mfg /INBOX account anna@acme.test r",
        "grr account anna@acme.test usr bruno@acme.test sendAs",
        "grr account carl@acme.test usr anna@acme.test sendOnBehalfOf",
    )
    return server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with furnished(tmp_path) as made:
        made.deliver(ANNA, letter(1))
        made.deliver(ANNA, letter(2, LARGE))
        client = made.imap(ANNA)
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS", "(\\Flagged $Mine)")
        client.uid("COPY", "2", "Work")
        client.subscribe("Work")
        client.logout()
        yield made


def names(server: Server, user: str) -> set[str]:
    client = server.imap(user)
    try:
        return {line.decode().split(' "/" ')[1].strip('"') for line in client.list()[1] if isinstance(line, bytes)}
    finally:
        client.logout()


def kept(server: Server) -> list[dict[str, Any]]:
    return json.loads(server.run("deleted", "--json").stdout)  # type: ignore[no-any-return]


def test_a_deleted_account_is_gone_for_everybody_and_comes_back_as_it_was(server: Server) -> None:
    before = picture(server, ANNA)
    server.run("actor", "freeze", ANNA)
    told = json.loads(server.run("prov", "--json", "ga", ANNA).stdout)
    assert f"{UNDER_ANNA}/Work" in names(server, BRUNO)
    session = server.imap(ANNA)
    session.select("INBOX")
    server.prov(f"da {ANNA}")
    with pytest.raises((OSError, session.abort, session.error)):  # noqa: PT012 - the session ends at the first or the second command
        session.noop()
        time.sleep(1)
        session.noop()
    for refused in (ANNA, "an@acme.test"):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
            server.deliver(refused, letter(3))
        assert error.value.recipients[refused][0] == 550
        with pytest.raises(server_error()):
            server.imap(refused)
    assert not [name for name in names(server, BRUNO) if "anna" in name]
    assert "anna" not in server.run("prov", "gaa").stdout + server.run("prov", "gdl", "staff@acme.test").stdout
    assert server.run("prov", "gg", "-t", "account", CARL, check=False).stdout.count("anna") == 0
    assert run(server, "verify")["findings"] == []
    (one,) = kept(server)
    assert one["address"] == ANNA

    done = run(server, "restore-account", ANNA, "--rebind-grants", "--notify", CARL)
    assert (done["notBound"], done["notified"], done["messages"]) == ([], CARL, 3)
    assert sorted(tie["what"] for tie in done["bound"]) == [
        "an@acme.test",
        "r on /INBOX for staff@acme.test",
        "r on /INBOX of carl@acme.test",
        "rwid on /Work for bruno@acme.test",
        "sendAs for bruno@acme.test",
        "sendOnBehalfOf on carl@acme.test",
        "staff@acme.test",
        "staff@acme.test",
    ]
    assert picture(server, ANNA) == before
    assert json.loads(server.run("prov", "--json", "ga", ANNA).stdout) == told
    assert ANNA in server.run("actor", "list").stdout
    assert f"{UNDER_ANNA}/Work" in names(server, BRUNO)
    assert "Other Users/carl/INBOX" in names(server, ANNA)
    with server.smtp(BRUNO) as client:
        client.sendmail(ANNA, [CARL], compose(ANNA, CARL, "as anna"))
    server.deliver("an@acme.test", letter(4))
    assert len(server.wait_for(ANNA, count=3)) == 3
    notice = next(octets for octets in server.wait_for(CARL, count=2) if b"was restored" in octets)
    assert b"sendAs for bruno@acme.test" in notice
    assert (kept(server), run(server, "verify")["findings"]) == ([], [])
    assert "account restored" in server.run("audit", "list").stdout
    assert server.run("audit", "verify").stdout.startswith("OK")


def server_error() -> type[Exception]:
    import imaplib

    return imaplib.IMAP4.error


def test_without_the_flag_nobody_gets_anything_and_the_grants_are_listed(server: Server) -> None:
    server.prov(f"da {ANNA}")
    done = run(server, "restore-account", ANNA)
    assert {tie["kind"] for tie in done["notBound"]} == {"grant given", "grant received"}
    assert len(done["notBound"]) == 5
    assert not [name for name in names(server, BRUNO) if "anna" in name]
    assert not [name for name in names(server, ANNA) if "carl" in name]


def test_what_is_gone_meanwhile_is_not_bound_and_is_listed(server: Server) -> None:
    server.prov(f"da {ANNA}", f"da {BRUNO}", "ddl staff@acme.test", "ca an@acme.test ''", f"ca {ANNA} ''")
    assert server.run("restore-account", ANNA, check=False).stderr.startswith("ERROR: account.ACCOUNT_EXISTS")
    assert len(kept(server)) == 2
    done = run(server, "restore-account", ANNA, "--to", "anna.rossi@acme.test", "--rebind-grants")
    why = {(tie["kind"], tie["what"]): tie["why"] for tie in done["notBound"]}
    assert why.keys() == {
        ("alias", "an@acme.test"),
        ("alias", ANNA),
        ("membership", "staff@acme.test"),
        ("ownership", "staff@acme.test"),
        ("grant given", "rwid on /Work for bruno@acme.test"),
        ("grant given", "r on /INBOX for staff@acme.test"),
        ("grant given", "sendAs for bruno@acme.test"),
    }
    assert all(why.values())
    # What she had given him went with her, before he did: of two who share, the one who went last comes back first.
    back = run(server, "restore-account", BRUNO, "--rebind-grants")
    assert back["bound"] == []
    assert run(server, "verify")["findings"] == []
    assert len(picture(server, "anna.rossi@acme.test")["INBOX"][2]) == 2  # type: ignore[index]


def test_purging_takes_everything_away(server: Server) -> None:
    server.prov(f"da {ANNA}", f"ca {ANNA} '{PASSWORD}'", f"da {ANNA}")
    first, second = kept(server)
    assert first["id"] < second["id"]
    server.run("deleted", "purge", str(first["id"]))
    assert [one["id"] for one in kept(server)] == [second["id"]]
    assert server.run("restore-account", str(first["id"]), check=False).stderr.startswith("ERROR: account.NO_SUCH_ACCOUNT")
    server.run("deleted", "purge", ANNA)
    assert kept(server) == []
    found = run(server, "verify")
    assert [one for one in found["findings"] if "no row names it" not in one["what"]] == []
    assert (found["messages"], found["blobs"]) == (0, 0)
    for arguments in (("deleted", "purge"), ("deleted", "x"), ("restore-account",), ("restore-account", ANNA, "--at", "7d")):
        assert server.run(*arguments, check=False).returncode == 2
    for arguments in (("deleted", "purge", ANNA), ("restore-account", ANNA), ("restore-account", "99"), ("restore-account", "x y")):
        assert server.run(*arguments, check=False).stderr.startswith("ERROR: account.NO_SUCH_ACCOUNT")
    assert server.run("prov", "da", ANNA, check=False).stderr.startswith("ERROR: account.NO_SUCH_ACCOUNT")


def test_nothing_is_kept_where_that_is_the_setting(tmp_path: Path) -> None:
    server = furnished(tmp_path, {"account.keep_deleted": 0})
    server.prov(f"da {ANNA}")
    assert kept(server) == []
    assert run(server, "verify")["findings"] == []


def test_an_account_as_of_a_time_from_a_backup(server: Server, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    before = picture(server, ANNA, numbers=False)
    first = run(server, "backup", backup)
    client = server.imap(ANNA)
    client.select("INBOX")
    client.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.delete("Work")
    client.logout()
    run(server, "backup", backup)
    # It is still there: under another name beside it.
    done = run(server, "restore-account", ANNA, "--from", backup, "--at", first["id"], "--to", "then@acme.test", "--rebind-grants")
    assert (done["backup"], done["messages"]) == (first["id"], 3)
    assert {tie["kind"] for tie in done["notBound"]} == {"alias"}
    after = picture(server, "then@acme.test", numbers=False)

    def mail(seen: dict[str, object]) -> dict[str, object]:
        return {name: what[:3] if isinstance(what, tuple) else what for name, what in seen.items()}

    assert mail(after) == mail(before)
    # Purged: from the backup, under its own address; the newest one has what it was last.
    server.prov(f"da {ANNA}")
    server.run("deleted", "purge", ANNA)
    done = run(server, "restore-account", ANNA, "--from", backup, "--at", first["id"], "--rebind-grants")
    assert [tie["kind"] for tie in done["notBound"]] == []
    assert picture(server, ANNA, numbers=False) == before
    assert f"{UNDER_ANNA}/Work" in names(server, BRUNO)
    assert run(server, "restore-account", "1", "--from", backup, "--to", "last@acme.test")["messages"] == 0
    assert run(server, "verify")["whole"]
    assert not list(server.data.glob(".backup-*"))
    assert server.run("restore-account", "nobody@acme.test", "--from", backup, check=False).stderr.startswith("ERROR: account.NO_SUCH_ACC")
    assert "no backup" in server.run("restore-account", ANNA, "--from", backup, "--at", "2020-01-01", check=False).stderr


def test_a_restore_from_a_backup_that_fails_or_is_killed_leaves_nothing_half_done(tmp_path: Path) -> None:
    server = furnished(tmp_path / "server")
    backup = tmp_path / "backup"
    with server:
        for number in range(40):
            server.deliver(ANNA, letter(number, LARGE))
    made = run(server, "backup", str(backup))
    words = ("restore-account", ANNA, "--from", str(backup), "--to", "then@acme.test")
    killed = killed_when(begun(server, *words), lambda: under_way(server) > 0)
    assert killed
    done = run(server, *words)
    assert done["messages"] == 40
    assert [one["what"] for one in run(server, "verify")["findings"] if "no row names it" not in one["what"]] == []
    # An octet of the backup is not what it was: nothing of the account stays.
    contents = (backup / "runs" / made["id"] / "contents").read_text().splitlines()
    digest = [line.split()[1] for line in contents if line.startswith("message ")][-1]
    flip(backup / "objects" / digest[:2] / digest, 1000)
    failed = server.run(*words[:-1], "other@acme.test", check=False)
    assert (failed.returncode, digest in failed.stderr) == (1, True), failed.stderr
    assert server.run("prov", "ga", "other@acme.test", check=False).returncode == 1
    assert run(server, "verify")["whole"]


def under_way(server: Server) -> int:
    with server.behind() as reader:
        (count,) = reader.execute("SELECT count(*) FROM account WHERE note LIKE '%restore is under way%'").fetchone()
    return int(count)


def test_a_role_restores_in_its_domain_and_does_nothing_else_of_this(server: Server, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    run(server, "backup", backup)
    server.prov(
        "cd other.test",
        f"ca far@other.test '{PASSWORD}'",
        "da far@other.test",
        f"da {ANNA}",
        "initDomainForDelegation acme.test",
        f"ma {CARL} isDelegatedAdminAccount TRUE",
        f"grantRight domain acme.test usr {CARL} user-management",
    )
    for arguments in (
        ("verify",),
        ("backup", backup),
        ("backup", "list", backup),
        ("backup", "verify", backup),
        ("deleted", "purge", ANNA),
        ("restore-account", ANNA, "--from", backup, "--to", "x@acme.test"),
        ("restore-account", ANNA, "--rebind-grants"),
        ("restore-account", "far@other.test"),
    ):
        done = server.run("--as", CARL, *arguments, check=False)
        assert (done.returncode, done.stdout) == (1, ""), (arguments, done.stdout)
        assert done.stderr.startswith(("ERROR: service.PERM_DENIED", "ERROR: account.NO_SUCH_ACCOUNT")), (arguments, done.stderr)
    assert len(kept(server)) == 2
    listed = json.loads(server.run("--as", CARL, "deleted", "--json").stdout)
    assert [one["address"] for one in listed] == [ANNA]
    done = json.loads(server.run("--as", CARL, "restore-account", ANNA, "--json").stdout)
    assert (done["address"], done["messages"]) == (ANNA, 3)
    assert f"account restored: {CARL}" in server.run("audit", "list").stdout
