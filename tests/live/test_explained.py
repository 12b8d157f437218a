"""Refusals that explain themselves, the record that can be proved, and access in an emergency: by the real command and real sockets."""

from __future__ import annotations

import base64
import json
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk

OWNER, DELEGATE, ROOT = "owner@acme.test", "delegate@acme.test", "root@acme.test"
DECISION = re.compile(r"\[(d-[0-9a-f]{12})\]")
REPLY = (
    f"From: {DELEGATE}\r\nTo: other@acme.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    f'BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nATTENDEE;SENT-BY="mailto:{DELEGATE}":mailto:{OWNER}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("explained")) as running:
        running.people("owner", "delegate", "other", "root")
        running.prov(
            "createDistributionList news@acme.test",
            "createDistributionList team@acme.test",
            "addDistributionListMember team@acme.test delegate@acme.test",
            "grantRight dl news@acme.test usr other@acme.test sendToDistList",
            "grantRight account owner@acme.test grp team@acme.test -sendOnBehalfOf",
            "modifyAccount root@acme.test isGlobalAdministrator TRUE",
            "selectMailbox owner@acme.test createFolder /Work",
            "selectMailbox owner@acme.test modifyFolderGrant /Work group team@acme.test r",
        )
        yield running


# --- a dozen refusals


def submit(server: Server, message: bytes, sender: str = DELEGATE, recipient: str = "other@acme.test") -> str:
    """What was said against it; "" where it was taken."""
    client = server.smtp(DELEGATE)
    try:
        client.sendmail(sender, [recipient], message)
    except smtplib.SMTPRecipientsRefused as refused:
        return str(next(iter(refused.recipients.values()))[1], "ascii")
    except smtplib.SMTPResponseException as refused:
        return str(refused.smtp_error, "ascii") if isinstance(refused.smtp_error, bytes) else refused.smtp_error
    finally:
        client.close()
    return ""


def imap(server: Server, *commands: str) -> str:
    """The answer to the last of them where that is a NO; "" where it is an OK."""
    with Talk(server.ports["imap"], DELEGATE) as session:
        for command in commands:
            answer = session.do(command)
        return "" if answer.kind.startswith("OK") else answer.tagged


def append(server: Server) -> str:
    with Talk(server.ports["imap"], DELEGATE) as session:
        answer = session.do('APPEND "Other Users/owner/Work"', compose("a@x.test", OWNER))
        return "" if answer.kind.startswith("OK") else answer.tagged


def log_in_as(server: Server) -> str:
    secret = base64.b64encode(f"{OWNER}\0{DELEGATE}\0{PASSWORD}".encode()).decode()
    client = server.smtp()
    try:
        client.ehlo()
        code, text = client.docmd("AUTH", f"PLAIN {secret}")
        return "" if code == 235 else text.decode()
    finally:
        client.close()


WORK = '"Other Users/owner/Work"'
REFUSALS: dict[str, Callable[[Server], str]] = {
    "send as": lambda server: submit(server, compose(OWNER, "other@acme.test")),
    "send with another sender": lambda server: submit(server, compose(OWNER, "other@acme.test", Sender=DELEGATE)),
    "envelope": lambda server: submit(server, compose(OWNER, "other@acme.test"), sender=OWNER),
    "send as a list": lambda server: submit(server, compose("news@acme.test", "other@acme.test")),
    "post": lambda server: submit(server, compose(DELEGATE, "news@acme.test"), recipient="news@acme.test"),
    "answer an invitation": lambda server: submit(server, REPLY),
    "log in as": log_in_as,
    "append": append,
    "create below": lambda server: imap(server, 'CREATE "Other Users/owner/Work/New"'),
    "set a flag": lambda server: imap(server, f"SELECT {WORK}", "STORE 1 +FLAGS (\\Flagged)"),
    "rights of others": lambda server: imap(server, f"GETACL {WORK}"),
    "set an annotation": lambda server: imap(server, f'SETMETADATA {WORK} (/shared/comment "x")'),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_a_refusal_says_is_missing_is_what_is_missing(server: Server, kind: str) -> None:
    refuse = REFUSALS[kind]
    if kind == "set a flag":
        with Talk(server.ports["imap"], OWNER) as owner:
            owner.ok("APPEND Work", compose("a@x.test", OWNER))
    said = refuse(server)
    found = DECISION.search(said)
    assert found is not None, said
    (why,) = json.loads(server.run("why", found[1], "--json").stdout)
    assert why["then"]
    assert why["now"]["allowed"] is False
    assert why["suggestions"], why
    for suggestion in why["suggestions"]:
        server.prov(*suggestion["apply"])
        assert refuse(server) == "", suggestion
        if kind == "create below":
            server.prov("selectMailbox owner@acme.test deleteFolder /Work/New")
        server.prov(*suggestion["undo"])
        assert refuse(server) != "", suggestion
    if kind != "append":
        return
    told = server.run("why", f"[{found[1]}]").stdout
    assert f"procura prov {why['suggestions'][0]['apply'][0]}\n" in told
    assert "may be given by: " in told


def test_who_can_and_can_with_changes_that_nobody_makes(server: Server, tmp_path: Path) -> None:
    changes = tmp_path / "changes.txt"
    changes.write_text("grantRight account owner@acme.test grp team@acme.test sendAs --from +1h\n")
    for where in (["--with", str(changes)], ["--at", "+2h"]):
        assert server.run("can", DELEGATE, "send-as", OWNER, *where, check=False).returncode == 1
    found = server.run("can", DELEGATE, "send-as", OWNER, "--at", "+2h", f"--with={changes}")
    assert found.stdout == "ALLOWED\nVia:\n  * group team@acme.test: sendAs\n"
    assert server.run("who-can", "read", OWNER, "/Work").stdout.splitlines() == [
        "delegate@acme.test; via group team@acme.test on /Work: r",
        "owner@acme.test; via the actor owns the mailbox and holds every right",
    ]
    assert "r on owner@acme.test /Work; via group team@acme.test on /Work: r\n" in server.run("can", DELEGATE).stdout
    assert server.run("can", DELEGATE, "send-as", OWNER, check=False).returncode == 1
    missing = server.run("can", DELEGATE, "send-as", OWNER, "--with", str(tmp_path / "nowhere"), check=False)
    assert (missing.returncode, missing.stdout) == (1, "")


# --- the record


def test_an_export_is_proved_without_the_server_and_one_flipped_octet_is_named(server: Server, tmp_path: Path) -> None:
    key = server.run("audit", "key").stdout.strip()
    head = server.run("audit", "head").stdout.strip()
    assert server.run("audit", "verify", head, "--key", key).stdout.startswith("OK: ")
    exported = tmp_path / "audit.jsonl"
    exported.write_text(server.run("audit", "export").stdout)
    assert server.run("audit", "verify", "--file", str(exported), "--key", key, head).stdout.startswith("OK: ")
    octets = exported.read_bytes()
    at = octets.index(b'"record":3,') + 60
    exported.write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
    broken = server.run("audit", "verify", "--file", str(exported), "--key", key, check=False)
    assert (broken.returncode, broken.stdout.splitlines()[0].partition(":")[0]) == (1, "BROKEN at record 3")
    assert server.run("audit", "verify", "--file", str(tmp_path / "nowhere"), check=False).returncode == 1
    assert server.run("audit", "verify", "--file", str(exported), "--key", "x", check=False).returncode == 2


def test_a_flipped_octet_in_the_store_is_named_while_the_server_runs(server: Server) -> None:
    with server.behind() as raw:
        raw.execute("UPDATE audit SET detail = detail || 'x' WHERE number = 2")
        broken = server.run("audit", "verify", check=False)
        raw.execute("UPDATE audit SET detail = substr(detail, 1, length(detail) - 1) WHERE number = 2")
    assert (broken.returncode, broken.stdout.splitlines()[0]) == (1, "BROKEN at record 2: changed")
    assert server.run("audit", "verify").returncode == 0


def test_show_narrows(server: Server) -> None:
    rows = json.loads(server.run("audit", "show", "--owner", OWNER, "--actor", DELEGATE, "--refused", "--limit", "5", "--json").stdout)
    assert rows
    assert all(row["principal_address"] == OWNER and row["actor_address"] == DELEGATE and not row["allowed"] for row in rows)
    assert server.run("audit", "show", "--since", "+1h").stdout == ""
    assert server.run("audit", "show", "--bogus", check=False).returncode == 2


# --- break-glass


def authenticate(session: Talk) -> str:
    secret = base64.b64encode(f"{OWNER}\0{ROOT}\0{PASSWORD}".encode()).decode()
    return session.do(f"AUTHENTICATE PLAIN {secret}").tagged


def test_an_administrator_gets_in_for_a_while_and_the_owner_is_told(server: Server) -> None:
    with Talk(server.ports["imap"]) as session:
        assert authenticate(session).startswith("NO")
    assert server.run("break-glass", "open", OWNER, "--by", ROOT, check=False).returncode == 2
    refused = server.run("break-glass", "open", OWNER, "--by", DELEGATE, "--reason", "why", check=False)
    said = f"ERROR: service.PERM_DENIED (permission denied: {DELEGATE} is no administrator [d-"
    assert (refused.returncode, refused.stderr[: len(said)]) == (1, said)
    before = len(server.messages(OWNER))
    opened = json.loads(
        server.run("break-glass", "open", OWNER, "--by", ROOT, "--reason", "the offer is due", "--for", "20s", "--json").stdout
    )
    mail = server.wait_for(OWNER, count=before + 1)[-1]
    assert b"the offer is due" in mail
    assert ROOT.encode() in mail
    with Talk(server.ports["imap"]) as by_hand, Talk(server.ports["imap"]) as by_clock:
        for session in (by_hand, by_clock):
            assert authenticate(session).startswith("OK")
            session.ok("SELECT INBOX")
        server.run("break-glass", "close", str(opened["window"]))
        assert b"the right to log in as this account has ended" in by_hand.farewell(10.0)
        assert b"the right to log in as this account has ended" in by_clock.farewell(10.0)
    server.run("break-glass", "open", OWNER, "--by", ROOT, "--reason", "again", "--for", "4s")
    with Talk(server.ports["imap"]) as session:
        assert authenticate(session).startswith("OK")
        session.ok("SELECT INBOX")
        began = time.monotonic()
        assert b"the right to log in as this account has ended" in session.farewell(20.0)
        assert time.monotonic() - began < 20
    with Talk(server.ports["imap"]) as session:
        assert authenticate(session).startswith("NO")
    told = server.run("audit", "show", "--owner", OWNER, "--right", "break-glass").stdout
    assert [line.split(": ")[0].split(" ", 3)[3] for line in reversed(told.splitlines())] == [
        "break-glass opened",
        "login as",
        "login as",
        "break-glass closed",
        "break-glass opened",
        "login as",
    ]
    listed = server.run("break-glass", "list").stdout
    assert "over" in listed
    assert "closed" in listed
