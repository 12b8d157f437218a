"""delegation.md section 3, row by row on real sockets: what a status means for login, delivery, delegates and sending."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk, unnamed

DELEGATE = "delegate@acme.test"
OWNERS = ("active", "maintenance", "locked", "locked-read", "locked-full", "closed", "pending", "lockout")
STATUS = {"locked-read": "locked", "locked-full": "locked"}
MAXIMUM = 3


def address(owner: str) -> str:
    return f"{owner}@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("status")) as running:
        doors = [f"{what}-{door}" for what in ("held", "waits", "then") for door in ("lmtp", "mx", "submission")]
        others = ("sender", "gone", "closing", "moving", "writer", "stays", "leaves", "shut", "open", "busy", "full", "expired")
        running.people("delegate", *OWNERS, *doors, *others, *(f"reads-{owner}" for owner in OWNERS))
        running.prov(
            *(f"selectMailbox {address(owner)} modifyFolderGrant /INBOX account {DELEGATE} rwid" for owner in OWNERS),
            *(f"grantRight account {address(owner)} usr {DELEGATE} sendAs" for owner in OWNERS),
            # What each of them may do as a delegate of somebody active.
            *(f"selectMailbox {DELEGATE} modifyFolderGrant /INBOX account {address(owner)} rwid" for owner in OWNERS),
            f"modifyAccount {address('locked-read')} delegationWhenLocked read",
            f"modifyAccount {address('locked-full')} delegationWhenLocked full",
            f"modifyAccount {address('lockout')} lockoutMaxFailures {MAXIMUM}",
        )
        with Mail(running.ports["lmtp"], "LHLO mx.test") as client:
            for owner in OWNERS:
                message = compose("a@elsewhere.test", address(owner), "before")
                assert client.send("a@elsewhere.test", [address(owner)], message)[0].startswith("250")
        running.prov(*(f"modifyAccount {address(owner)} status {STATUS.get(owner, owner)}" for owner in OWNERS[1:-1]))
        for number in range(MAXIMUM):
            with Talk(running.ports["imap"]) as session:
                session.do(f'LOGIN {address("lockout")} "wrong {number}"')
        yield running


# --- login

LOGIN = {
    # owner: IMAP with the right password, SMTP with the right password
    "active": ("OK", "235 2.7.0"),
    "maintenance": ("NO [UNAVAILABLE]", "454 4.7.0"),
    "locked": ("NO [CONTACTADMIN] account is locked", "525 5.7.13 account is locked"),
    "closed": ("NO [CONTACTADMIN] account is closed", "525 5.7.13 account is closed"),
    "pending": ("NO [CONTACTADMIN] account is pending", "525 5.7.13 account is pending"),
    "lockout": ("NO [AUTHENTICATIONFAILED] authentication failed", "535 5.7.8 authentication failed"),
}


@pytest.mark.parametrize("owner", LOGIN)
def test_login_with_the_right_password(server: Server, owner: str) -> None:
    imap, smtp = LOGIN[owner]
    with Talk(server.ports["imap"]) as session:
        assert re.match(re.escape(imap) + r"(?:\Z| )", session.do(f'LOGIN {address(owner)} "{PASSWORD}"').tagged)
        # Not logged in: nothing of anybody's can be asked for.
        if imap != "OK":
            assert session.do("SELECT INBOX").kind == "BAD"
    with Mail(server.ports["submission"]) as client:
        assert client.login(address(owner)).startswith(smtp)
        if not smtp.startswith("235"):
            assert client.say(f"MAIL FROM:<{address(owner)}>").startswith("530 5.7.0")


@pytest.mark.parametrize("owner", ["nobody", *LOGIN])
def test_login_with_a_wrong_password_tells_nothing_of_the_status(server: Server, owner: str) -> None:
    with Talk(server.ports["imap"]) as session:
        assert unnamed(session.do(f'LOGIN {address(owner)} "not this"').tagged) == "NO [AUTHENTICATIONFAILED] authentication failed"
        initial = "AGEAYg=="  # \0a\0b
        assert unnamed(session.do(f"AUTHENTICATE PLAIN {initial}").tagged) == "NO [AUTHENTICATIONFAILED] authentication failed"
    with Mail(server.ports["submission"]) as client:
        assert client.login(address(owner), "not this") == "535 5.7.8 authentication failed"


def test_login_when_the_password_must_be_changed(server: Server) -> None:
    server.prov("modifyAccount expired@acme.test mustChangePassword TRUE")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f'LOGIN expired@acme.test "{PASSWORD}"').tagged.startswith("NO [EXPIRED] password must be changed")
        assert unnamed(session.do('LOGIN expired@acme.test "not this"').tagged) == "NO [AUTHENTICATIONFAILED] authentication failed"
    with Mail(server.ports["submission"]) as client:
        assert client.login("expired@acme.test").startswith("525 5.7.13 password must be changed")


# --- incoming

LMTP = {
    "active": "250 2.1.5",
    "maintenance": "450 4.2.1",
    "locked": "250 2.1.5",
    "closed": "550 5.2.1",
    "pending": "550 5.2.1",
    "lockout": "250 2.1.5",
}
OWN_LISTENERS = {
    "active": "250 2.1.5",
    "maintenance": "250 2.1.5",
    "locked": "250 2.1.5",
    "closed": "550 5.2.1",
    "pending": "550 5.2.1",
    "lockout": "250 2.1.5",
}


@pytest.mark.parametrize("owner", LMTP)
def test_rcpt_at_lmtp(server: Server, owner: str) -> None:
    with Mail(server.ports["lmtp"], "LHLO mx.test") as client:
        assert client.say("MAIL FROM:<a@elsewhere.test>").startswith("250")
        assert client.say(f"RCPT TO:<{address(owner)}>").startswith(LMTP[owner])


@pytest.mark.parametrize("door", ["mx", "submission"])
@pytest.mark.parametrize("owner", OWN_LISTENERS)
def test_rcpt_at_our_own_smtp_listeners(server: Server, owner: str, door: str) -> None:
    with Mail(server.ports[door]) as client:
        if door == "submission":
            assert client.login(DELEGATE).startswith("235")
        assert client.say(f"MAIL FROM:<{DELEGATE if door == 'submission' else 'a@elsewhere.test'}>").startswith("250")
        assert client.say(f"RCPT TO:<{address(owner)}>").startswith(OWN_LISTENERS[owner])


def test_lmtp_answers_once_for_each_recipient(server: Server) -> None:
    with Mail(server.ports["lmtp"], "LHLO mx.test") as client:
        assert client.say("MAIL FROM:<a@elsewhere.test>").startswith("250")
        replies = {owner: client.say(f"RCPT TO:<{address(owner)}>") for owner in LMTP}
        assert {owner: reply[:9] for owner, reply in replies.items()} == {owner: reply[:9] for owner, reply in LMTP.items()}
        assert client.say("DATA").startswith("354")
        client._socket.sendall(compose("a@elsewhere.test", "list@elsewhere.test", "to all") + b".\r\n")
        assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "250"]


def inbox(server: Server, owner: str) -> list[bytes]:
    """The subjects in an INBOX, seen by its owner; only for those who can log in."""
    with Talk(server.ports["imap"], owner) as session:
        session.ok("EXAMINE INBOX")
        lines = session.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").about("FETCH")
        return [found[1] for line in lines if (found := re.search(rb"Subject: (.*?)\r\n", line)) is not None]


def until(server: Server, owner: str, subject: bytes, seconds: float = 10) -> list[bytes]:
    end = time.monotonic() + seconds
    while subject not in (there := inbox(server, owner)):
        assert time.monotonic() < end, there
        time.sleep(0.05)
    return there


@pytest.mark.parametrize("door", ["lmtp", "mx", "submission"])
def test_a_locked_account_still_receives(server: Server, door: str) -> None:
    name = f"held-{door}@acme.test"
    server.prov(f"modifyAccount {name} status locked")
    transfer(server, door, name, "while locked")
    server.prov(f"modifyAccount {name} status active")
    assert inbox(server, name) == [b"while locked"]


def transfer(server: Server, door: str, recipient: str, subject: str) -> None:
    with Mail(server.ports[door], "LHLO mx.test" if door == "lmtp" else "EHLO mx.test") as client:
        sender = "a@elsewhere.test"
        if door == "submission":
            client.login(DELEGATE)
            sender = DELEGATE
        [reply] = client.send(sender, [recipient], compose(sender, recipient, subject))
        assert reply.startswith("250 2.0.0"), reply


@pytest.mark.parametrize("door", ["mx", "submission"])
def test_mail_for_maintenance_waits_and_arrives_when_the_status_changes(server: Server, door: str) -> None:
    name = f"waits-{door}@acme.test"
    server.prov(f"modifyAccount {name} status maintenance")
    transfer(server, door, name, "during maintenance")
    transfer(server, door, name, "and another")
    # Nobody can look into the mailbox now; that nothing lies in it shows in what it uses of its quota.
    assert "used: 0\n" in server.prov(f"getAccount {name} used")
    server.prov(f"modifyAccount {name} status active")
    until(server, name, b"during maintenance")
    assert sorted(until(server, name, b"and another")) == [b"and another", b"during maintenance"]


@pytest.mark.parametrize("door", ["mx", "submission"])
def test_mail_for_maintenance_arrives_when_the_account_is_locked_instead(server: Server, door: str) -> None:
    name = f"then-{door}@acme.test"
    server.prov(
        f"modifyAccount {name} status maintenance delegationWhenLocked read",
        f"selectMailbox {name} modifyFolderGrant /INBOX account {DELEGATE} r",
    )
    transfer(server, door, name, "held")
    server.prov(f"modifyAccount {name} status locked")
    folder = f"Other Users/then-{door}/INBOX"
    with Talk(server.ports["imap"], DELEGATE) as session:
        end = time.monotonic() + 10
        while not session.flags(folder):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_mail_for_maintenance_bounces_when_the_account_is_closed_instead(server: Server) -> None:
    server.prov("modifyAccount gone@acme.test status maintenance")
    with Mail(server.ports["submission"]) as client:
        client.login("sender@acme.test")
        [reply] = client.send("sender@acme.test", ["gone@acme.test"], compose("sender@acme.test", "gone@acme.test", "too late"))
        assert reply.startswith("250")
    server.prov("modifyAccount gone@acme.test status closed")
    [report] = server.wait_for("sender@acme.test", seconds=10)
    assert b"multipart/report" in report
    assert b"gone@acme.test" in report
    assert b"5.2.1" in report


def test_a_status_is_looked_at_again_at_the_end_of_data(server: Server) -> None:
    with Mail(server.ports["lmtp"], "LHLO mx.test") as lmtp, Mail(server.ports["mx"]) as mx:
        for client, recipients in ((lmtp, ("closing", "moving")), (mx, ("closing",))):
            assert client.say("MAIL FROM:<a@elsewhere.test>").startswith("250")
            assert all(client.say(f"RCPT TO:<{address(one)}>").startswith("250") for one in recipients)
            assert client.say("DATA").startswith("354")
        server.prov("modifyAccount closing@acme.test status closed", "modifyAccount moving@acme.test status maintenance")
        for client, codes in ((lmtp, ["550 5.2.1", "450 4.2.1"]), (mx, ["550 5.2.1"])):
            client._socket.sendall(compose("a@elsewhere.test", "b@acme.test") + b".\r\n")
            assert [client.reply()[:9] for _ in codes] == codes


def test_on_smtp_the_ones_that_changed_are_reported_and_the_others_get_it(server: Server) -> None:
    with Mail(server.ports["submission"]) as client:
        client.login("writer@acme.test")
        client.say("MAIL FROM:<writer@acme.test>")
        assert all(client.say(f"RCPT TO:<{address(one)}>").startswith("250") for one in ("stays", "leaves"))
        client.say("DATA")
        server.prov("modifyAccount leaves@acme.test status closed")
        client._socket.sendall(compose("writer@acme.test", "stays@acme.test", "to two") + b".\r\n")
        assert client.reply().startswith("250 2.0.0")
    assert inbox(server, "stays@acme.test") == [b"to two"]
    [report] = server.wait_for("writer@acme.test", seconds=10)
    assert b"leaves@acme.test" in report
    assert b"stays@acme.test" not in report.partition(b"Content-Type: message/delivery-status")[2].partition(b"--")[0]


def test_aliases_and_lists_follow_the_account(server: Server) -> None:
    server.prov(
        "addAccountAlias shut@acme.test nick@acme.test",
        "createDistributionList team@acme.test",
        "addDistributionListMember team@acme.test shut@acme.test open@acme.test",
        "modifyAccount shut@acme.test status closed",
    )
    with Mail(server.ports["lmtp"], "LHLO mx.test") as client:
        client.say("MAIL FROM:<a@elsewhere.test>")
        assert client.say("RCPT TO:<nick@acme.test>").startswith("550 5.2.1")
        assert client.say("RCPT TO:<nick+tag@acme.test>").startswith("550 5.2.1")
        client.say("RSET")
        [reply] = client.send("a@elsewhere.test", ["team@acme.test"], compose("a@elsewhere.test", "team@acme.test", "to the team"))
        assert reply.startswith("250")
    assert inbox(server, "open@acme.test") == [b"to the team"]
    server.prov("modifyAccount shut@acme.test status active")
    # The membership stayed, the mail did not come.
    assert inbox(server, "shut@acme.test") == []


# --- as owner: delegates read and write

READ_WRITE, READ, UNAVAILABLE, HIDDEN = "read-write", "read", "unavailable", "hidden"
DELEGATES_FIND = {
    "active": READ_WRITE,
    "maintenance": UNAVAILABLE,
    "locked": HIDDEN,
    "locked-read": READ,
    "locked-full": READ_WRITE,
    "closed": HIDDEN,
    "pending": HIDDEN,
    "lockout": READ_WRITE,
}
ANSWERS = {
    #             read-write                read                       unavailable                          hidden
    "LIST": {READ_WRITE: "listed", READ: "listed", UNAVAILABLE: "listed", HIDDEN: "absent"},
    "LSUB": {READ_WRITE: "listed", READ: "listed", UNAVAILABLE: "listed", HIDDEN: "absent"},
    "MYRIGHTS {}": {READ_WRITE: "OK", READ: "OK", UNAVAILABLE: "OK", HIDDEN: "NO NONEXISTENT"},
    "SUBSCRIBE {}": {READ_WRITE: "OK", READ: "OK", UNAVAILABLE: "OK", HIDDEN: "NO NONEXISTENT"},
    "STATUS {} (MESSAGES)": {READ_WRITE: "OK", READ: "OK", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO NONEXISTENT"},
    "SELECT {}": {READ_WRITE: "OK READ-WRITE", READ: "OK READ-ONLY", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO NONEXISTENT"},
    "EXAMINE {}": {READ_WRITE: "OK READ-ONLY", READ: "OK READ-ONLY", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO NONEXISTENT"},
    "APPEND {}": {READ_WRITE: "OK APPENDUID", READ: "NO NOPERM", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO TRYCREATE"},
    "UID COPY 1 {}": {READ_WRITE: "OK COPYUID", READ: "NO NOPERM", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO TRYCREATE"},
    "CREATE {}/New": {READ_WRITE: "OK MAILBOXID", READ: "NO NOPERM", UNAVAILABLE: "NO UNAVAILABLE", HIDDEN: "NO NONEXISTENT"},
    "GETACL {}": {READ_WRITE: "NO NOPERM", READ: "NO NOPERM", UNAVAILABLE: "NO NOPERM", HIDDEN: "NO NONEXISTENT"},
}


@pytest.mark.parametrize("owner", DELEGATES_FIND)
def test_what_delegates_find(server: Server, owner: str) -> None:
    name = f"Other Users/{owner}/INBOX"
    message = compose("a@elsewhere.test", DELEGATE)
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.do("CREATE Mine")
        session.do("APPEND Mine", message)
        found = {}
        for command in ANSWERS:
            if command in ("LIST", "LSUB"):
                everything = session.ok(f'{command} "" "*"').about(command)
                found[command] = "listed" if any(line.endswith(f'"{name}"'.encode()) for line in everything) else "absent"
                continue
            if command.startswith("UID COPY"):
                session.ok("SELECT Mine")
            literal = message if command.startswith("APPEND") else None
            asked = command.replace("{}/New", f'"{name}/New"').replace("{}", f'"{name}"')
            answer = session.do(asked, literal)
            found[command] = answer.kind
            if DELEGATES_FIND[owner] == HIDDEN:
                assert answer == session.do(asked.replace(f"/{owner}/", "/nobody/"), literal), "as if not there, octet for octet"
        assert found == {command: answers[DELEGATES_FIND[owner]] for command, answers in ANSWERS.items()}


@pytest.mark.parametrize("owner", [one for one, find in DELEGATES_FIND.items() if find in (READ_WRITE, READ)])
def test_what_delegates_do_inside(server: Server, owner: str) -> None:
    writes = DELEGATES_FIND[owner] == READ_WRITE
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok(f'SELECT "Other Users/{owner}/INBOX"')
        assert b"Subject: before" in session.ok("UID FETCH 1 (BODY[])").lines[0]
        flags = session.ok("UID FETCH 1 (FLAGS)").lines[0]
        assert (b"\\Seen" in flags) is writes, "a read leaves a trace only where writing is allowed"
        assert session.do("UID STORE 1 +FLAGS (\\Flagged)").kind == ("OK" if writes else "NO NOPERM")
        assert session.do("EXPUNGE").kind == ("OK" if writes else "NO NOPERM")


def test_who_lacks_a_right_learns_nothing_of_the_status(server: Server) -> None:
    """Rights are judged before status."""
    server.prov(
        "modifyAccount busy@acme.test status maintenance",
        "selectMailbox busy@acme.test createFolder /Open",
        "selectMailbox busy@acme.test createFolder /Secret",
        f"selectMailbox busy@acme.test modifyFolderGrant /Open account {DELEGATE} r",
    )
    with Talk(server.ports["imap"], DELEGATE) as session:
        assert session.do('SELECT "Other Users/busy/Open"').kind == "NO UNAVAILABLE"
        assert session.do('SELECT "Other Users/busy/Secret"') == session.do('SELECT "Other Users/busy/Absent"')
        assert session.do('SELECT "Other Users/busy/Secret"').kind == "NO NONEXISTENT"
        assert session.do('APPEND "Other Users/busy/Open"', b"Subject: x\r\n\r\n").kind == "NO NOPERM"


# --- as owner: delegates send

SENDING = {
    "active": "250 2.0.0",
    "maintenance": "450 4.2.1",
    "locked": "550 5.7.1",
    "locked-read": "550 5.7.1",
    "locked-full": "250 2.0.0",
    "closed": "550 5.7.1",
    "pending": "550 5.7.1",
    "lockout": "250 2.0.0",
}


@pytest.mark.parametrize("owner", SENDING)
def test_sending_in_the_owners_name(server: Server, owner: str) -> None:
    recipient = f"reads-{owner}@acme.test"
    with Mail(server.ports["submission"]) as client:
        assert client.login(DELEGATE).startswith("235")
        [reply] = client.send(DELEGATE, [recipient], compose(address(owner), recipient, "in the name of"))
        assert reply.startswith(SENDING[owner])
    arrived = server.messages(recipient)
    assert len(arrived) == SENDING[owner].startswith("250")
    if arrived:
        assert b"From: " + address(owner).encode() in arrived[0]
        assert b"Sender:" not in arrived[0]


# --- the domain's status lies over the account's

OVERLAY = {
    # domain: own status: (IMAP login, RCPT at LMTP, what a delegate's SELECT says)
    "active": {
        "active": ("OK", "250", "OK READ-ONLY"),
        "locked": ("NO CONTACTADMIN", "250", "NO NONEXISTENT"),
    },
    "locked": {
        "active": ("NO CONTACTADMIN", "250", "NO NONEXISTENT"),
        "maintenance": ("NO UNAVAILABLE", "450", "NO UNAVAILABLE"),
        "closed": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
    },
    "maintenance": {
        "active": ("NO UNAVAILABLE", "450", "NO UNAVAILABLE"),
        "locked": ("NO UNAVAILABLE", "450", "NO UNAVAILABLE"),
        "pending": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
        "closed": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
    },
    "suspended": {
        "active": ("NO UNAVAILABLE", "450", "NO UNAVAILABLE"),
        "locked": ("NO UNAVAILABLE", "450", "NO UNAVAILABLE"),
        "pending": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
    },
    "closed": {
        "active": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
        "maintenance": ("NO CONTACTADMIN", "550", "NO NONEXISTENT"),
    },
}


@pytest.fixture(scope="module")
def domains(server: Server) -> Server:
    commands = []
    for domain, accounts in OVERLAY.items():
        commands += [
            f"createDomain {domain}.test",
            f"createAccount admin@{domain}.test '{PASSWORD}' isGlobalAdministrator TRUE",
        ]
        for own in accounts:
            commands += [
                f"createAccount {own}@{domain}.test '{PASSWORD}' status {own}",
                f"selectMailbox {own}@{domain}.test modifyFolderGrant /INBOX account {DELEGATE} r",
            ]
        commands.append(f"modifyDomain {domain}.test status {domain}")
    server.prov(*commands)
    return server


@pytest.mark.parametrize(("domain", "own"), [(domain, own) for domain, accounts in OVERLAY.items() for own in accounts])
def test_the_stricter_of_the_two_wins(domains: Server, domain: str, own: str) -> None:
    login, rcpt, select = OVERLAY[domain][own]
    name = f"{own}@{domain}.test"
    with Talk(domains.ports["imap"]) as session:
        answer = session.do(f'LOGIN {name} "{PASSWORD}"')
        assert answer.kind.removesuffix(" CAPABILITY") == login
    with Mail(domains.ports["lmtp"], "LHLO mx.test") as client:
        client.say("MAIL FROM:<a@elsewhere.test>")
        assert client.say(f"RCPT TO:<{name}>").startswith(rcpt)
    with Talk(domains.ports["imap"], DELEGATE) as session:
        assert session.do(f'SELECT "Other Users/{name}/INBOX"').kind == select


@pytest.mark.parametrize("domain", OVERLAY)
def test_a_global_administrator_logs_in_whatever_the_domains_status(domains: Server, domain: str) -> None:
    with Talk(domains.ports["imap"], f"admin@{domain}.test") as session:
        session.ok("SELECT INBOX")


# --- quota


def test_an_owner_over_quota(server: Server) -> None:
    message = compose("a@elsewhere.test", "full@acme.test", "big", "x" * 3000)
    server.prov(
        "modifyAccount full@acme.test quota 2000",
        f"selectMailbox full@acme.test modifyFolderGrant /INBOX account {DELEGATE} rwid",
    )
    with Mail(server.ports["lmtp"], "LHLO mx.test") as client:
        assert client.send("a@elsewhere.test", ["full@acme.test"], message)[0].startswith("452 4.2.2")
    with Mail(server.ports["mx"]) as client:
        assert client.send("a@elsewhere.test", ["full@acme.test"], message)[0].startswith("452 4.2.2")
    with Talk(server.ports["imap"], "full@acme.test") as session:
        assert session.do("APPEND INBOX", message).kind == "NO OVERQUOTA"
        session.ok("APPEND INBOX", compose("a@elsewhere.test", "full@acme.test", "small"))
    with Talk(server.ports["imap"], DELEGATE) as session:
        # It is the owner's quota, not the delegate's.
        assert session.do('APPEND "Other Users/full/INBOX"', message).kind == "NO OVERQUOTA"
        session.ok("CREATE Big")
        session.ok("APPEND Big", message)
        session.ok("SELECT Big")
        assert session.do('UID COPY 1 "Other Users/full/INBOX"').kind == "NO OVERQUOTA"
        assert session.do('UID MOVE 1 "Other Users/full/INBOX"').kind == "NO OVERQUOTA"
        assert session.ok("UID SEARCH ALL").lines[0] == b"* SEARCH 1", "what could not be moved is still there"
    assert inbox(server, "full@acme.test") == [b"small"]


# --- settings


def test_closed_reply_and_quota_full_as_an_administrator_set_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("settings")
    with Server(directory, {"closed_reply": "5.1.1", "quota_full": "reject"}) as server:
        server.people("closed", "full")
        server.prov("modifyAccount closed@acme.test status closed", "modifyAccount full@acme.test quota 500")
        message = compose("a@elsewhere.test", "full@acme.test", "big", "x" * 600)
        for door, hello in (("lmtp", "LHLO mx.test"), ("mx", "EHLO mx.test")):
            with closing(Mail(server.ports[door], hello)) as client:
                client.say("MAIL FROM:<a@elsewhere.test>")
                closed = client.say("RCPT TO:<closed@acme.test>")
                assert closed.startswith("550 5.1.1")
                # A closed account cannot be told from one that does not exist.
                assert unnamed(closed) == unnamed(client.say("RCPT TO:<absent@acme.test>"))
                client.say("RSET")
                assert client.send("a@elsewhere.test", ["full@acme.test"], message)[0].startswith("552 5.2.2")
