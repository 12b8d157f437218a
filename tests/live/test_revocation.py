"""What is taken away is gone from open sessions within a second, IDLE included; what comes is told at once."""

from __future__ import annotations

import base64
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk

SECOND = 1.0
OWNER, DELEGATE = "owner@acme.test", "delegate@acme.test"
MESSAGE = compose("a@elsewhere.test", OWNER, "one")
ENDED = b"* BYE access to this folder has ended"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("revocation")) as running:
        running.people("owner", "delegate")
        yield running


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Talk]:
    with Talk(server.ports["imap"], OWNER) as session:
        yield session


@pytest.fixture
def shared(owner: Talk, request: pytest.FixtureRequest) -> str:
    """A folder of the owner's with one message, which the delegate may do everything with but administer."""
    folder = str(request.node.name).replace("[", "-").replace("]", "").removeprefix("test_")[:60]
    owner.ok(f'CREATE "{folder}"')
    owner.ok(f'APPEND "{folder}"', MESSAGE)
    owner.ok(f'SETACL "{folder}" {DELEGATE} lrswikxte')
    return folder


def other(folder: str) -> str:
    return f'"Other Users/owner/{folder}"'


# --- the right to read ends


REVOKED = {
    "entry removed": f'DELETEACL "{{}}" {DELEGATE}',
    "entry emptied": f'SETACL "{{}}" {DELEGATE} ""',
    "no r left": f'SETACL "{{}}" {DELEGATE} -r',
    "no l left": f'SETACL "{{}}" {DELEGATE} -l',
    "folder deleted": 'DELETE "{}"',
}


@pytest.mark.parametrize("how", REVOKED)
def test_who_loses_r_is_told_within_a_second(server: Server, owner: Talk, shared: str, how: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as idling, Talk(server.ports["imap"], DELEGATE) as waiting:
        idling.ok(f"SELECT {other(shared)}")
        idling.idle()
        waiting.ok(f"SELECT {other(shared)}")
        owner.ok(REVOKED[how].format(shared))
        assert idling.farewell(SECOND) == ENDED
        # Not in IDLE it is the same: the server need not wait to be asked.
        assert waiting.farewell(SECOND) == ENDED


def test_nothing_is_given_out_after_the_revocation_was_answered(server: Server, owner: Talk, shared: str) -> None:
    """No race: once the owner's SETACL has its OK, no command of the delegate's reads anything any more."""
    for _ in range(10):
        owner.ok(f'SETACL "{shared}" {DELEGATE} lr')
        with Talk(server.ports["imap"], DELEGATE) as session:
            session.ok(f"SELECT {other(shared)}")
            owner.ok(f'DELETEACL "{shared}" {DELEGATE}')
            try:
                answer = session.do("UID FETCH 1 (BODY[])")
            except (EOFError, BrokenPipeError, ConnectionResetError):
                continue
            assert not answer.about("FETCH")
            assert not answer.kind.startswith("OK")


def test_a_session_that_has_another_folder_selected_stays(server: Server, owner: Talk, shared: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok("SELECT INBOX")
        owner.ok(f'DELETEACL "{shared}" {DELEGATE}')
        session.ok("NOOP")
        assert session.do(f"STATUS {other(shared)} (MESSAGES)").kind == "NO NONEXISTENT"
        assert not any(shared.encode() in line for line in session.ok('LIST "" "*"').lines)
        assert not any(shared.encode() in line for line in session.ok('LSUB "" "*"').lines)
        session.ok("SELECT INBOX")


def test_revoked_on_a_parent_reaches_what_inherits(server: Server, owner: Talk) -> None:
    for folder in ("parent/child/grandchild", "parent/kept"):
        owner.ok(f"CREATE {folder}")
    owner.ok(f"SETACL parent {DELEGATE} lr")
    owner.ok(f"SETACL parent/kept {DELEGATE} lr")
    with Talk(server.ports["imap"], DELEGATE) as below, Talk(server.ports["imap"], DELEGATE) as kept:
        below.ok(f"SELECT {other('parent/child/grandchild')}")
        below.idle()
        kept.ok(f"SELECT {other('parent/kept')}")
        owner.ok(f"DELETEACL parent {DELEGATE}")
        assert below.farewell(SECOND) == ENDED
        kept.ok("UID FETCH 1:* (FLAGS)")


def test_leaving_the_group_ends_what_the_group_gave(server: Server, owner: Talk) -> None:
    server.prov(
        "createDistributionList team@acme.test",
        "createDistributionList all-teams@acme.test",
        "addDistributionListMember all-teams@acme.test team@acme.test",
        f"addDistributionListMember team@acme.test {DELEGATE}",
    )
    owner.ok("CREATE teamwork")
    owner.ok("SETACL teamwork group:all-teams@acme.test lr")
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok(f"SELECT {other('teamwork')}")
        session.idle()
        server.prov(f"removeDistributionListMember team@acme.test {DELEGATE}")
        assert session.farewell(SECOND) == ENDED


def test_another_class_of_service_ends_what_the_old_one_gave(server: Server, owner: Talk) -> None:
    server.prov("createCos old", "createCos new", f"createAccount clerk@acme.test '{PASSWORD}' cos old")
    owner.ok("CREATE classy")
    owner.ok("SETACL classy cos:old lr")
    with Talk(server.ports["imap"], "clerk@acme.test") as session:
        session.ok(f"SELECT {other('classy')}")
        session.idle()
        server.prov("setAccountCos clerk@acme.test new")
        assert session.farewell(SECOND) == ENDED


def test_a_grant_taken_on_the_command_line_ends_sessions_too(server: Server, shared: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok(f"SELECT {other(shared)}")
        session.idle()
        server.prov(f"selectMailbox {OWNER} modifyFolderGrant /{shared} account {DELEGATE} none")
        assert session.farewell(SECOND) == ENDED


# --- other rights end


def test_loss_of_other_rights_is_told_in_idle(server: Server, owner: Talk, shared: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as session:
        assert session.ok(f"SELECT {other(shared)}").kind == "OK READ-WRITE"
        tag = session.idle()
        owner.ok(f'SETACL "{shared}" {DELEGATE} lrs')
        assert session.until(b"* OK [PERMANENTFLAGS ", SECOND).startswith(b"* OK [PERMANENTFLAGS (\\Seen)]")
        owner.ok(f'SETACL "{shared}" {DELEGATE} lr')
        assert session.until(b"* OK [PERMANENTFLAGS ", SECOND).startswith(b"* OK [PERMANENTFLAGS ()]")
        session.until(b"* OK [READ-ONLY]", SECOND)
        session.done(tag)
        assert session.do("UID STORE 1 +FLAGS (\\Seen)").kind == "NO NOPERM"
        assert session.do("EXPUNGE").kind == "NO NOPERM"
        session.ok("UID FETCH 1 (BODY[])")


def test_loss_of_other_rights_is_told_with_the_next_answer(server: Server, owner: Talk, shared: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok(f"SELECT {other(shared)}")
        owner.ok(f'SETACL "{shared}" {DELEGATE} lr')
        end = time.monotonic() + SECOND
        refused = session.do("UID STORE 1 +FLAGS (\\Flagged)")
        assert refused.kind == "NO NOPERM"
        told = list(refused.lines)
        while not any(line.startswith(b"* OK [READ-ONLY]") for line in told):
            assert time.monotonic() < end
            told += session.ok("NOOP").lines
    assert owner.flags(shared) == {"1": set()}


def test_rights_that_are_given_are_told_too(server: Server, owner: Talk, shared: str) -> None:
    owner.ok(f'SETACL "{shared}" {DELEGATE} lr')
    with Talk(server.ports["imap"], DELEGATE) as session:
        assert session.ok(f"SELECT {other(shared)}").kind == "OK READ-ONLY"
        tag = session.idle()
        owner.ok(f'SETACL "{shared}" {DELEGATE} lrt')
        assert session.until(b"* OK [PERMANENTFLAGS ", SECOND).startswith(b"* OK [PERMANENTFLAGS (\\Deleted)]")
        session.until(b"* OK [READ-WRITE]", SECOND)
        session.done(tag)
        session.ok("UID STORE 1 +FLAGS (\\Deleted)")


# --- the actor's own account

STATUSES = {
    "maintenance": (b"* BYE [UNAVAILABLE] ", "421 4.3.2"),
    "locked": (b"* BYE account is locked", "421 4.3.2"),
    "closed": (b"* BYE account is closed", "421 4.3.2"),
    "pending": (b"* BYE account is pending", "421 4.3.2"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_another_status_ends_every_session_of_the_account(server: Server, status: str) -> None:
    name = f"actor-{status}@acme.test"
    server.prov(f"createAccount {name} '{PASSWORD}'")
    bye, reply = STATUSES[status]
    with Talk(server.ports["imap"], name) as idling, Talk(server.ports["imap"], name) as waiting, Mail(server.ports["submission"]) as smtp:
        idling.ok("SELECT INBOX")
        idling.idle()
        assert smtp.login(name).startswith("235")
        server.prov(f"modifyAccount {name} status {status}")
        assert idling.farewell(SECOND).startswith(bye)
        assert waiting.farewell(SECOND).startswith(bye)
        assert smtp.reply(SECOND).startswith(reply)
        with pytest.raises(EOFError):
            smtp.reply(SECOND)


def test_the_domains_status_ends_sessions_too(server: Server) -> None:
    server.people("someone", domain="brief.test")
    with Talk(server.ports["imap"], "someone@brief.test") as session:
        session.idle()
        server.prov("modifyDomain brief.test status suspended")
        assert session.farewell(SECOND).startswith(b"* BYE [UNAVAILABLE] ")


def test_a_changed_password_ends_every_session_of_the_account(server: Server) -> None:
    server.people("changes", create=False)
    name = "changes@acme.test"
    with Talk(server.ports["imap"], name) as idling, Talk(server.ports["imap"], name) as waiting, Mail(server.ports["submission"]) as smtp:
        idling.idle()
        assert smtp.login(name).startswith("235")
        server.prov(f"setPassword {name} 'another one 8'")
        for session in (idling, waiting):
            assert session.farewell(SECOND) == b"* BYE the password was changed"
        assert smtp.reply(SECOND).startswith("421 4.3.2")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f'LOGIN {name} "{PASSWORD}"').kind == "NO AUTHENTICATIONFAILED"
        session.ok(f'LOGIN {name} "another one 8"')


def test_what_is_sent_in_a_transaction_that_was_open_is_not_accepted(server: Server) -> None:
    server.people("sends", "gets", create=False)
    with Mail(server.ports["submission"]) as smtp:
        smtp.login("sends@acme.test")
        smtp.say("MAIL FROM:<sends@acme.test>")
        smtp.say("RCPT TO:<gets@acme.test>")
        assert smtp.say("DATA").startswith("354")
        server.prov("modifyAccount sends@acme.test status locked")
        try:
            smtp._socket.sendall(compose("sends@acme.test", "gets@acme.test") + b".\r\n")
            assert smtp.reply(5)[:3] in ("421", "454", "525", "550")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
    assert server.messages("gets@acme.test") == []


def test_the_right_to_log_in_as_somebody_ends_with_the_grant(server: Server) -> None:
    server.people("whole", create=False)
    server.prov(f"grantRight account whole@acme.test usr {DELEGATE} loginAs")
    plain = base64.b64encode(f"whole@acme.test\0{DELEGATE}\0{PASSWORD}".encode()).decode()
    with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as smtp:
        session.ok(f"AUTHENTICATE PLAIN {plain}")
        session.ok("SELECT INBOX")
        session.idle()
        assert smtp.say(f"AUTH PLAIN {plain}").startswith("235")
        server.prov(f"revokeRight account whole@acme.test usr {DELEGATE} loginAs")
        assert session.farewell(SECOND).startswith(b"* BYE ")
        assert smtp.reply(SECOND).startswith("421 4.3.2")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f"AUTHENTICATE PLAIN {plain}").kind == "NO AUTHORIZATIONFAILED"


def test_the_right_to_log_in_as_somebody_ends_with_its_time(server: Server) -> None:
    began = time.time()
    server.people("lent", create=False)
    # A machine that is busy takes long for the next command too.
    until = time.time() + 4 + 2 * (time.time() - began)
    spelled = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))  # cut to the second
    server.prov(f"grantRight account lent@acme.test usr {DELEGATE} loginAs --until {spelled}")
    plain = base64.b64encode(f"lent@acme.test\0{DELEGATE}\0{PASSWORD}".encode()).decode()
    with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as smtp:
        session.ok(f"AUTHENTICATE PLAIN {plain}")
        session.ok("SELECT INBOX")
        session.idle()
        assert smtp.say(f"AUTH PLAIN {plain}").startswith("235")
        assert session.farewell(until + SECOND - time.time()).startswith(b"* BYE ")
        assert time.time() >= int(until), "not before its time"
        assert smtp.reply(SECOND).startswith("421 4.3.2")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f"AUTHENTICATE PLAIN {plain}").kind == "NO AUTHORIZATIONFAILED"


# --- the owner's account


OWNERS = {
    "maintenance": b"* BYE [UNAVAILABLE] ",
    "locked": ENDED,
    "closed": ENDED,
    "pending": ENDED,
}


@pytest.mark.parametrize("status", OWNERS)
def test_the_owners_status_ends_the_delegates_session_there(server: Server, status: str) -> None:
    name = f"lends-{status}"
    server.prov(
        f"createAccount {name}@acme.test '{PASSWORD}'",
        f"selectMailbox {name}@acme.test modifyFolderGrant /INBOX account {DELEGATE} rwid",
    )
    with Talk(server.ports["imap"], DELEGATE) as session, Talk(server.ports["imap"], DELEGATE) as elsewhere:
        session.ok(f'SELECT "Other Users/{name}/INBOX"')
        session.idle()
        elsewhere.ok("SELECT INBOX")
        server.prov(f"modifyAccount {name}@acme.test status {status}")
        assert session.farewell(SECOND).startswith(OWNERS[status])
        elsewhere.ok("NOOP")


def test_an_owner_who_is_locked_with_delegation_for_reading_leaves_the_delegate_reading(server: Server) -> None:
    server.prov(
        f"createAccount reads@acme.test '{PASSWORD}' delegationWhenLocked read",
        f"selectMailbox reads@acme.test modifyFolderGrant /INBOX account {DELEGATE} rwid",
    )
    with Talk(server.ports["imap"], DELEGATE) as session:
        assert session.ok('SELECT "Other Users/reads/INBOX"').kind == "OK READ-WRITE"
        tag = session.idle()
        server.prov("modifyAccount reads@acme.test status locked")
        session.until(b"* OK [READ-ONLY]", SECOND)
        session.done(tag)
        assert session.do('APPEND "Other Users/reads/INBOX"', MESSAGE).kind == "NO NOPERM"


# --- send rights


def test_a_send_right_that_ends_between_mail_and_the_last_dot_is_gone(server: Server) -> None:
    server.people("principal", "receives", create=False)
    server.prov(f"grantRight account principal@acme.test usr {DELEGATE} sendAs")
    message = compose("principal@acme.test", "receives@acme.test")
    with Mail(server.ports["submission"]) as smtp:
        smtp.login(DELEGATE)
        assert smtp.send("principal@acme.test", ["receives@acme.test"], message)[0].startswith("250")
        smtp.say("MAIL FROM:<principal@acme.test>")
        smtp.say("RCPT TO:<receives@acme.test>")
        assert smtp.say("DATA").startswith("354")
        server.prov(f"revokeRight account principal@acme.test usr {DELEGATE} sendAs")
        smtp._socket.sendall(message + b".\r\n")
        assert smtp.reply().startswith("550 5.7.1")
        assert smtp.say("MAIL FROM:<principal@acme.test>").startswith("553 5.7.1")
    assert len(server.messages("receives@acme.test")) == 1


# --- news


def test_idle_tells_of_new_mail_at_once(server: Server) -> None:
    """50 ms is wanted, ten times that is asserted: the machine may be busy."""
    server.people("listens", create=False)
    folder = "listens@acme.test"
    delays = []
    with Talk(server.ports["imap"], folder) as idling, Mail(server.ports["lmtp"], "LHLO mx.test") as lmtp:
        idling.ok("SELECT INBOX")
        idling.idle()
        for number in range(1, 22):
            heard: list[float] = []

            def listen(number: int = number, heard: list[float] = heard) -> None:
                idling.until(b"* %d EXISTS" % number, 10)
                heard.append(time.monotonic())

            listener = threading.Thread(target=listen)
            listener.start()
            begun = time.monotonic()
            assert lmtp.send("a@elsewhere.test", [folder], MESSAGE)[0].startswith("250")
            delivered = time.monotonic()
            listener.join(15)
            assert heard
            # From the moment at which it is known to be there; the whole delivery where it was told even before.
            delays.append(max(heard[0] - delivered, 0.0) if heard[0] > begun else 0.0)
    assert statistics.median(delays) < 0.5


def test_idle_tells_a_delegate_what_the_owner_does(server: Server, owner: Talk, shared: str) -> None:
    with Talk(server.ports["imap"], DELEGATE) as session:
        session.ok(f"SELECT {other(shared)}")
        tag = session.idle()
        owner.ok(f'APPEND "{shared}"', MESSAGE)
        session.until(b"* 2 EXISTS", SECOND)
        owner.ok(f'SELECT "{shared}"')
        owner.ok("UID STORE 1 +FLAGS (\\Flagged \\Deleted)")
        said = session.until(b"* 1 FETCH", SECOND)
        assert b"\\Flagged" in said
        assert b"\\Deleted" in said
        owner.ok("UID EXPUNGE 1")
        session.until(b"* 1 EXPUNGE", SECOND)
        owner.ok("UNSELECT")
        assert session.done(tag).kind == "OK"
