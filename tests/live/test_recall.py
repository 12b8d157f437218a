"""Mail in another's name waits for its recall window, and is taken back by whoever puts the filed copy among the drafts: through the
real server, over a kill -9, by two at once, and against the clock."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.post import submit
from tests.live.server import Server, compose
from tests.live.talk import Answer, Talk

OWNER, DORA, BOB = "olga@acme.test", "dora@acme.test", "bob@acme.test"
DRAFTS = '"Other Users/olga/Drafts"'
SENT = '"Other Users/olga/Sent"'
ROUNDS = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("recall")) as server:
        server.people("olga", "dora", "bob", "rita")
        server.prov(
            f"grantRight account {OWNER} usr {DORA} sendAs",
            f"modifyAccount {OWNER} undoWindow 1h",
            f"selectMailbox {OWNER} modifyFolderGrant /Sent account {DORA} rwid",
            f"selectMailbox {OWNER} modifyFolderGrant /Drafts account {DORA} rwid",
            f"selectMailbox {OWNER} modifyFolderGrant /Sent account rita@acme.test rwi",
            f"selectMailbox {OWNER} modifyFolderGrant /Drafts account rita@acme.test rwid",
        )
        yield server


def send(server: Server, subject: str, options: tuple[str, ...] = (), notify: str = "") -> str:
    """dora sends as olga to bob; the queue id."""
    with server.smtp(DORA) as client:
        client.ehlo()
        octets = compose(OWNER, BOB, subject, Message_ID=f"<{subject}@acme.test>")
        if not notify:
            said = submit(client, DORA, BOB, octets, options)
            assert said.accepted, said
            return said.text.split()[1]
        assert client.docmd(f"MAIL FROM:<{DORA}>")[0] == 250
        assert client.docmd(f"RCPT TO:<{BOB}> NOTIFY={notify}")[0] == 250
        code, text = client.data(octets)
        assert code == 250
        return text.decode().split()[1]


def numbered(talk: Talk, folder: str, subject: str) -> str:
    """The UID of the message; the folder stays selected."""
    talk.ok(f"SELECT {folder}")
    (found,) = talk.ok(f"UID SEARCH HEADER Message-ID <{subject}@acme.test>").about("SEARCH")
    (uid,) = found.decode().split()[2:]
    return uid


def alerts(answer: Answer) -> list[str]:
    return [line.decode().removeprefix("* OK [ALERT] ") for line in answer.lines if line.startswith(b"* OK [ALERT] ")]


def subjects(server: Server, user: str, folder: str = "INBOX") -> list[str]:
    found = [re.search(rb"^Subject: (.*?)\r$", one, re.MULTILINE) for one in server.messages(user, folder)]
    return [one[1].decode() for one in found if one is not None]


def window(server: Server, value: str) -> None:
    server.prov(f"modifyAccount {OWNER} undoWindow {value}")


def test_by_move_the_delegate_recalls_and_the_owner_is_told(server: Server) -> None:
    key = send(server, "moved")
    assert f"{key} " in server.run("queue").stdout
    assert "waits until" in server.run("queue").stdout
    before = len(server.messages(OWNER))
    with Talk(server.ports["imap"], OWNER) as watching, Talk(server.ports["imap"], DORA) as talk:
        watching.ok("SELECT Drafts")
        tag = watching.idle()
        uid = numbered(talk, SENT, "moved")
        answer = talk.ok(f"UID MOVE {uid} {DRAFTS}")
        assert alerts(answer) == ["recalled: the message had not been sent yet, and will not be"]
        assert b"COPYUID" in b"".join(answer.lines)
        watching.until(b"* 1 EXISTS", 10)
        watching.done(tag)
        draft = numbered(talk, DRAFTS, "moved")
        assert talk.flags(DRAFTS.strip('"'))[draft] == {"\\Seen", "\\Draft"}
    assert key not in server.run("queue").stdout
    assert "moved" not in subjects(server, OWNER, "Sent") + subjects(server, BOB)
    notice = server.wait_for(OWNER, count=before + 1)[-1].decode()
    assert f"{DORA} has recalled a message" in notice
    assert "Its subject: moved" in notice
    record = server.run("audit", "list", "--owner", OWNER).stdout
    assert f"allowed recall: {DORA} on {OWNER}" in record


def test_by_copy_and_expunge_the_owner_recalls_and_the_delegate_is_told(server: Server) -> None:
    key = send(server, "copied")
    before = len(server.messages(DORA))
    with Talk(server.ports["imap"], OWNER) as talk:
        uid = numbered(talk, "Sent", "copied")
        assert len(alerts(talk.ok(f"UID COPY {uid} Drafts"))) == 1
        talk.ok(f"UID STORE {uid} +FLAGS (\\Deleted)")
        talk.ok(f"UID EXPUNGE {uid}")
    assert key not in server.run("queue").stdout
    assert "copied" not in subjects(server, OWNER, "Sent")
    assert subjects(server, OWNER, "Drafts").count("copied") == 1
    assert "olga@acme.test has recalled" in server.wait_for(DORA, count=before + 1)[-1].decode()


def test_by_command_an_administrator_recalls_and_both_are_told(server: Server) -> None:
    key = send(server, "commanded")
    before = len(server.messages(DORA)), len(server.messages(OWNER))
    assert server.run("queue", "recall", key).stdout == "1 recalled\n"
    assert "commanded" in subjects(server, OWNER, "Drafts")
    again = server.run("queue", "recall", key, check=False)
    assert (again.returncode, "not in the queue" in again.stderr) == (1, True)
    assert "an administrator has recalled" in server.wait_for(DORA, count=before[0] + 1)[-1].decode()
    assert "an administrator has recalled" in server.wait_for(OWNER, count=before[1] + 1)[-1].decode()


def test_who_may_not_make_the_move_recalls_nothing(server: Server) -> None:
    key = send(server, "kept")
    with Talk(server.ports["imap"], "rita@acme.test") as talk:
        uid = numbered(talk, SENT, "kept")
        refused = talk.do(f"UID MOVE {uid} {DRAFTS}")
        assert refused.tagged.startswith("NO [NOPERM]")
        assert alerts(talk.ok(f"UID COPY {uid} {DRAFTS}")) == []
    assert key in server.run("queue").stdout
    server.run("queue", "drop", key)


def test_a_clients_own_copy_in_the_place_of_ours_recalls_it(server: Server) -> None:
    key = send(server, "replaced")
    with Talk(server.ports["imap"], DORA) as talk:
        ours = numbered(talk, SENT, "replaced")
        (line,) = [one for one in server.messages(OWNER, "Sent") if b"Subject: replaced" in one]
        done = talk.ok(f"APPEND {SENT} (\\Seen)", b"Bcc: hidden@far.test\r\n" + line)
        assert "APPENDUID" in done.tagged
        uid = numbered(talk, SENT, "replaced")
        assert uid != ours
        assert len(alerts(talk.ok(f"UID MOVE {uid} {DRAFTS}"))) == 1
    assert key not in server.run("queue").stdout


def test_two_at_once_recall_it_once(server: Server) -> None:
    for number in range(6):
        subject = f"both-{number}"
        key = send(server, subject)
        with Talk(server.ports["imap"], OWNER) as owner, Talk(server.ports["imap"], DORA) as dora:
            commands = ((owner, numbered(owner, "Sent", subject), "Drafts"), (dora, numbered(dora, SENT, subject), DRAFTS))
            start = threading.Barrier(2)

            def move(talk: Talk, uid: str, target: str) -> Answer:
                start.wait()  # noqa: B023 - the pool is done with before the next round
                return talk.ok(f"UID MOVE {uid} {target}")

            with ThreadPoolExecutor(2) as pool:
                answers = [*pool.map(lambda one: move(*one), commands)]
        assert sum(len(alerts(one)) for one in answers) == 1
        assert key not in server.run("queue").stdout
        assert subjects(server, OWNER, "Drafts").count(subject) == 1
        assert subject not in subjects(server, OWNER, "Sent")
    told = [one for user in (OWNER, DORA) for one in server.messages(user) if b"Its subject: both-" in one]
    assert len(told) == 6


def test_when_the_window_is_over_it_goes_and_a_move_comes_too_late(server: Server) -> None:
    window(server, "2s")
    try:
        began = time.monotonic()
        send(server, "gone", notify="SUCCESS")
        if time.monotonic() - began < 1.5:
            assert "gone" not in subjects(server, BOB)
        assert "gone" in subjects(server, OWNER, "Sent")
        end = time.monotonic() + 30
        while "gone" not in subjects(server, BOB):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert time.monotonic() - began >= 1.9
        with Talk(server.ports["imap"], DORA) as talk:
            uid = numbered(talk, SENT, "gone")
            assert alerts(talk.ok(f"UID MOVE {uid} {DRAFTS}")) == ["too late to recall: the message had been sent already"]
            draft = numbered(talk, DRAFTS, "gone")
            assert "\\Draft" not in talk.flags(DRAFTS.strip('"'))[draft]
        # RFC 3461: told of success once, by the address that it went out under
        reports = [one for one in server.messages(OWNER) if b"Action: delivered" in one]
        assert len(reports) == 1
        assert b"<gone@acme.test>" in reports[0]
    finally:
        window(server, "1h")


def test_what_is_recalled_is_reported_to_nobody(server: Server) -> None:
    before = [one for user in (OWNER, DORA) for one in server.messages(user) if b"multipart/report" in one]
    key = send(server, "unreported", notify="SUCCESS,FAILURE,DELAY")
    server.run("queue", "recall", key)
    time.sleep(0.5)
    assert [one for user in (OWNER, DORA) for one in server.messages(user) if b"multipart/report" in one] == before


def test_against_the_clock_it_was_either_recalled_or_sent(server: Server) -> None:
    """Each message is moved in the very second in which it goes, by a session that has it selected before."""
    window(server, "1s")
    chance = random.Random(7)
    said: dict[str, list[str]] = {}
    try:
        with Talk(server.ports["imap"], OWNER) as talk:
            for number in range(ROUNDS):
                subject = f"race-{number}"
                send(server, subject)
                began = time.monotonic()
                uid = numbered(talk, "Sent", subject)
                time.sleep(max(0.0, 1.0 + chance.uniform(-0.03, 0.06) - (time.monotonic() - began)))
                said[subject] = alerts(talk.ok(f"UID MOVE {uid} Drafts"))
    finally:
        window(server, "1h")
    end = time.monotonic() + 20
    while "race-" in server.run("queue").stdout:
        assert time.monotonic() < end
    time.sleep(0.5)
    got, drafts = subjects(server, BOB), subjects(server, OWNER, "Drafts")
    for subject, words in said.items():
        assert len(words) == 1, (subject, words)
        assert got.count(subject) == words[0].startswith("too late"), (subject, words)
        assert drafts.count(subject) == 1
    outcomes = [words[0].split(":")[0] for words in said.values()]
    print({one: outcomes.count(one) for one in set(outcomes)})


def test_killed_around_the_end_of_the_window_nothing_is_lost_doubled_or_sent_after_a_recall(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.people("olga", "dora", "bob")
        server.prov(f"grantRight account {OWNER} usr {DORA} sendAs --undo-window 2s")
        chance = random.Random(11)
        recalled: set[str] = set()
        sent: list[str] = []
        for number in range(5):
            names = [f"kill-{number}-{one}" for one in range(4)]
            began = time.monotonic()
            for name in names:
                send(server, name)
            sent += names
            with Talk(server.ports["imap"], OWNER) as talk:
                uid = numbered(talk, "Sent", names[0])
                if "recalled" in " ".join(alerts(talk.ok(f"UID MOVE {uid} Drafts"))):
                    recalled.add(names[0])
            time.sleep(max(0.0, 2.0 + chance.uniform(-0.2, 0.1) - (time.monotonic() - began)))
            server.kill()
            server.start()
        end = time.monotonic() + 40
        while "the queue is empty" not in server.run("queue").stdout:
            assert time.monotonic() < end, server.run("queue").stdout
            time.sleep(0.2)
        got = subjects(server, BOB)
        assert sorted(got) == sorted(set(sent) - recalled)
        assert sorted(subjects(server, OWNER, "Sent") + subjects(server, OWNER, "Drafts")) == sorted(sent)
        assert recalled <= set(subjects(server, OWNER, "Drafts"))
        assert recalled, "the machine was too slow for any of them"
        assert "OK" in server.run("audit", "verify").stdout


def test_a_right_that_is_revoked_in_the_window_stops_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.people("olga", "dora", "bob")
        server.prov(f"grantRight account {OWNER} usr {DORA} sendAs --undo-window 5s")
        send(server, "revoked")
        server.prov(f"revokeRight account {OWNER} usr {DORA} sendAs")
        (report,) = server.wait_for(DORA, seconds=40)
        assert b"Status: 5.7.1" in report
        assert server.messages(BOB) == server.messages(OWNER, "Sent") == []
        assert subjects(server, OWNER, "Drafts") == ["revoked"]
