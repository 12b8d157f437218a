"""What different parts of administration do to each other and to open sessions, by the real command: restored accounts, shares, windows,
roles, documents, mail that waits; two administrators at once; commands that are killed."""

from __future__ import annotations

import base64
import json
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.installation import begun, run
from tests.live.post import submit
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk

ROOT, GRETA = "root@acme.test", "greta@acme.test"
OLGA, DORA, BOB = "olga@acme.test", "dora@acme.test", "bob@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("together")) as server:
        server.people("root", "greta", "olga", "dora", "bob", "uma")
        server.prov(
            f"ma {ROOT} isAdminAccount TRUE",
            f"ma {GRETA} isAdminAccount TRUE",
            "initDomainForDelegation acme.test",
            "ma uma@acme.test isDelegatedAdminAccount TRUE",
            "grantRight domain acme.test usr uma@acme.test user-management",
        )
        yield server


def plain(person: str, owner: str) -> str:
    return base64.b64encode(f"{owner}\0{person}\0{PASSWORD}".encode()).decode()


def whole(server: Server) -> None:
    assert run(server, "verify")["findings"] == []
    assert server.run("audit", "verify").stdout.startswith("OK")


def test_a_session_by_break_glass_ends_with_the_administration(server: Server) -> None:
    opened = run(server, "break-glass", "open", OLGA, "--by", GRETA, "--reason", "she is ill")
    with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as smtp:
        session.ok(f"AUTHENTICATE PLAIN {plain(GRETA, OLGA)}")
        session.ok("SELECT INBOX")
        session.idle()
        assert smtp.say(f"AUTH PLAIN {plain(GRETA, OLGA)}").startswith("235")
        server.run("--as", ROOT, "roles", "revoke", GRETA, "global")
        assert session.farewell(20).startswith(b"* BYE ")
        assert smtp.reply(20).startswith("421 4.3.2")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f"AUTHENTICATE PLAIN {plain(GRETA, OLGA)}").kind == "NO AUTHORIZATIONFAILED"
    server.run("roles", "grant", GRETA, "global")
    with Talk(server.ports["imap"]) as session:
        session.ok(f"AUTHENTICATE PLAIN {plain(GRETA, OLGA)}")
        session.ok("SELECT INBOX")
        server.prov(f"ma {OLGA} isAdminAccount TRUE")
        assert session.farewell(20).startswith(b"* BYE ")
    server.prov(f"ma {OLGA} isAdminAccount FALSE")
    server.run("break-glass", "close", str(opened["window"]))
    # An app password does not administer, whatever window there is.
    run(server, "--as", ROOT, "break-glass", "open", OLGA, "--by", ROOT, "--reason", "she is ill")
    word = run(server, "app-password", "create", ROOT, "phone", "--rights", "rwid,send,loginAs")["password"]
    with Talk(server.ports["imap"]) as session:
        by_word = base64.b64encode(f"{OLGA}\0{ROOT}\0{word}".encode()).decode()
        assert session.do(f"AUTHENTICATE PLAIN {by_word}").kind == "NO AUTHORIZATIONFAILED"
        session.ok(f"AUTHENTICATE PLAIN {plain(ROOT, OLGA)}")


def test_a_share_whose_mailbox_was_deleted_and_restored(server: Server) -> None:
    server.run("share", "create", "desk@acme.test", "--members", f"{DORA},{BOB}", "--preset", "manage", "--yes")
    server.deliver("desk@acme.test", compose("x@elsewhere.test", "desk@acme.test", "one"))
    path = "Other Users/desk/INBOX"
    with Talk(server.ports["imap"], DORA) as session:
        session.ok(f'SELECT "{path}"')
        session.idle()
        server.prov("da desk@acme.test")
        assert session.farewell(20).startswith(b"* BYE ")
    run(server, "restore-account", "desk@acme.test", "--rebind-grants")
    server.prov(f"da {BOB}")
    told = run(server, "restore-account", BOB, "--rebind-grants")
    assert told["notBound"] == []
    with Talk(server.ports["imap"], DORA) as session, Talk(server.ports["imap"], BOB) as other:
        session.ok(f'SELECT "{path}"')
        other.ok(f'SELECT "{path}"')
        server.run("share", "end", "desk@acme.test", "--delete-mailbox", "--yes")
        assert session.farewell(20).startswith(b"* BYE ")
        assert other.farewell(20).startswith(b"* BYE ")
    assert run(server, "restore-account", "desk@acme.test")["messages"] == 1
    for who in (DORA, BOB):
        assert server.run("can", who, "read", "desk@acme.test", check=False).returncode == 1
    whole(server)


@pytest.mark.slow
def test_mail_that_waits_for_whoever_is_deleted_does_not_go(server: Server) -> None:
    """The time is long enough for a command on a slow machine to come before its end."""
    server.people("pat", "vic", create=False)
    server.prov(
        f"grantRight account {OLGA} usr vic@acme.test sendAs",
        "grantRight account pat@acme.test usr dora@acme.test sendAs",
        f"modifyAccount {OLGA} undoWindow 15s",
        "modifyAccount pat@acme.test undoWindow 15s",
    )
    for actor, owner, subject in (("vic@acme.test", OLGA, "actor-gone"), (DORA, "pat@acme.test", "owner-gone")):
        with server.smtp(actor) as client:
            client.ehlo()
            assert submit(client, actor, BOB, compose(owner, BOB, subject, Message_ID=f"<{subject}@acme.test>")).accepted
    server.prov("da vic@acme.test", "da pat@acme.test")
    end = time.monotonic() + 45
    while rows := json.loads(server.run("queue", "list", "--json").stdout):
        assert time.monotonic() < end, rows
        time.sleep(0.5)
    assert not [one for one in server.messages(BOB) if b"-gone" in one]
    # Filed in Sent when it was accepted, it would lie there now.
    assert not [one for one in server.messages(OLGA, "Sent") if b"actor-gone" in one]
    run(server, "restore-account", "vic@acme.test")
    assert server.run("can", "vic@acme.test", "send-as", OLGA, check=False).returncode == 1


def test_a_role_brings_nobody_back_who_was_above_it(server: Server) -> None:
    server.people("gone", create=False)
    server.prov("ma gone@acme.test isAdminAccount TRUE", "cdl door@acme.test", f"grantRight account {ROOT} grp door@acme.test loginAs")
    server.prov("adlm door@acme.test gone@acme.test", "da gone@acme.test")
    told = server.run("--as", "uma@acme.test", "restore-account", "gone@acme.test", check=False)
    assert (told.returncode, "PERM_DENIED" in told.stderr) == (1, True)
    told = server.run("--as", ROOT, "restore-account", "gone@acme.test")
    assert "NOT BOUND administration: global administrator" in told.stdout
    server.prov("da gone@acme.test", "ddl door@acme.test")
    whole(server)


def test_two_administrators_who_take_each_others_role_at_once(server: Server) -> None:
    pairs = ((ROOT, GRETA), (GRETA, ROOT))

    def take(pair: tuple[str, str]) -> int:
        return server.run("--as", pair[0], "roles", "revoke", pair[1], "global", check=False).returncode

    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(take, pairs)) == [0, 1]
        server.prov(f"ma {ROOT} isAdminAccount TRUE", f"ma {GRETA} isAdminAccount TRUE")


def test_two_documents_at_once_are_one_after_the_other_or_one(server: Server) -> None:
    server.prov(f"grantRight account {OLGA} usr {BOB} sendAs", f"sm {OLGA} mfg /INBOX account {BOB} r")
    before = server.run("policy", "export").stdout
    documents = [before.replace('rights = "r"', f'rights = "{letters}"') for letters in ("rw", "rwid")]
    files = []
    for number, text in enumerate(documents):
        assert text != before
        files.append(server.directory / f"{number}.toml")
        files[-1].write_text(text)
    state = json.loads(server.run("policy", "plan", str(files[0]), "--json").stdout)["state"]

    def put(file: Path) -> int:
        return server.run("policy", "apply", str(file), "--state", state, check=False).returncode

    with ThreadPoolExecutor(2) as pool:
        codes = [*pool.map(put, files)]
    assert sorted(codes) == [0, 1]
    assert server.run("policy", "export").stdout == documents[codes.index(0)]
    # One more hand at the same fact: taking it back would undo that, too.
    server.prov(f"sm {OLGA} mfg /INBOX account {BOB} rwi")
    assert "has been changed since" in server.run("policy", "rollback", check=False).stderr
    whole(server)


@pytest.mark.slow
def test_a_command_that_is_killed_has_done_all_of_it_or_nothing(tmp_path: Path) -> None:
    """Without a server: the command has the store itself."""
    server = Server(tmp_path)
    tmp_path.mkdir(exist_ok=True)
    server.people("anna", "bruno", "carl")
    server.prov("cdl team@acme.test", "adlm team@acme.test bruno@acme.test", "grr account anna@acme.test usr bruno@acme.test sendAs")
    started = time.monotonic()
    server.prov("aaa anna@acme.test an@acme.test")
    usual = time.monotonic() - started
    chance = random.Random(7)
    for number in range(6):
        there = any(stored(server)[0])
        if number % 2:
            words = (
                "share",
                "create",
                f"s{number}@acme.test",
                "--members",
                "bruno@acme.test,team@acme.test",
                "--preset",
                "manage",
                "--yes",
            )
        elif there:
            words = ("prov", "da", "anna@acme.test")
        else:
            words = ("restore-account", "anna@acme.test", "--rebind-grants")
        process = begun(server, *words)
        end = time.monotonic() + usual * chance.uniform(0.6, 1.1)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        anna, kept, shares = stored(server)
        assert (anna, kept) in (((1, 1, 1), 0), ((0, 0, 0), 1)), words
        assert all(parts == (1, 2, 2, 2) for parts in shares), words
    assert run(server, "verify")["findings"] == []
    assert server.run("audit", "verify").stdout.startswith("OK")


def stored(server: Server) -> tuple[tuple[int, int, int], int, list[tuple[int, int, int, int]]]:
    """Of anna: address, alias and grant; how many of her are kept. Of each share: its mailbox, members, entries, rights to send."""
    with sqlite3.connect(f"file:{server.data / 'procura.db'}?mode=ro", uri=True) as raw:

        def count(what: str, *values: object) -> int:
            return int(raw.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0])

        made = [number for (number,) in raw.execute("SELECT id FROM object WHERE id IN (SELECT owner FROM share)")]
        mailboxes = count("address WHERE local LIKE 's_'")
        parts = [
            (
                mailboxes - len(made) + 1,
                count("share_member JOIN share ON share.id = share WHERE owner = ?", one),
                count("folder_entry WHERE owner = ?", one),
                count("send_grant WHERE target = ?", one),
            )
            for one in made
        ]
        anna = count("address WHERE local = 'anna'"), count("address WHERE local = 'an'"), count("send_grant WHERE share IS NULL")
        kept = count("deleted_account")
    raw.close()
    return anna, kept, parts


def test_who_acts_in_a_batch_and_is_deleted_does_nothing_more(server: Server) -> None:
    server.people("helper", create=False)
    server.prov("ma helper@acme.test isDelegatedAdminAccount TRUE", "grantRight domain acme.test usr helper@acme.test user-management")
    with started(
        [*server.command, "--as", "helper@acme.test", "prov", "--keep-going", "-f", "-"],
        env={**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=server.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as batch:
        assert batch.stdin is not None
        assert batch.stdout is not None
        batch.stdin.write(f"ma {BOB} displayName Before\n")
        batch.stdin.flush()
        end = time.monotonic() + 30
        while "Before" not in server.run("prov", "ga", BOB, "displayName").stdout:
            assert time.monotonic() < end
        server.prov("da helper@acme.test")
        run(server, "restore-account", "helper@acme.test")
        batch.stdin.write(f"ma {BOB} displayName After\n")
        batch.stdin.close()
        said = batch.stdout.read()
    assert "PERM_DENIED" in said
    assert "Before" in server.run("prov", "ga", BOB, "displayName").stdout
