"""What a domain gives its accounts, at every door at which a mailbox grows; and a domain that is renamed under open sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.server import Server, compose
from tests.live.talk import Mail, Talk

ANNA, BRUNO = "anna@acme.test", "bruno@acme.test"
BIG = compose("a@elsewhere.test", ANNA, "big", "\r\n".join(["y" * 70] * 600))  # some 43 KB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("limits")) as running:
        running.people("anna", "bruno")
        running.people("far", domain="far.test")
        yield running


def posted(server: Server, recipient: str, octets: bytes = BIG) -> str:
    with Mail(server.ports["lmtp"], "LHLO neighbour.test") as lmtp:
        return lmtp.send("a@elsewhere.test", [recipient], octets)[0]


def doors(server: Server) -> dict[str, str]:
    """What a mailbox that shall grow is answered at each door."""
    found = {"lmtp": posted(server, ANNA)[:9]}
    with Mail(server.ports["mx"]) as mx:
        found["mx"] = mx.send("a@elsewhere.test", [ANNA], BIG)[0][:9]
    with Talk(server.ports["imap"], ANNA) as session:
        found["append"] = session.do("APPEND INBOX", BIG).kind
        session.do("SELECT INBOX")
        found["copy"] = session.do("COPY 1 Drafts").kind
        found["move"] = session.do("MOVE 1 Archive").kind if session.do("CREATE Archive").kind else ""
        session.do("SELECT Archive")
        session.do("MOVE 1 INBOX")
        session.do("DELETE Archive")
        quota = session.do("GETQUOTAROOT INBOX").about("QUOTA")
        found["quota"] = quota[0].decode().rpartition(" ")[2].rstrip(")") if quota else ""
    with Mail(server.ports["submission"]) as smtp:
        assert smtp.login(ANNA).startswith("235")
        found["send"] = smtp.say(f"MAIL FROM:<{ANNA}>")[:9]
    return found


def test_the_largest_quota_of_the_domain_holds_at_every_door(server: Server) -> None:
    assert posted(server, ANNA).startswith("250")
    server.prov("modifyDomain acme.test maxQuota 50k")
    assert doors(server) == {
        "lmtp": "452 4.2.2",
        "mx": "452 4.2.2",
        "append": "NO OVERQUOTA",
        "copy": "NO OVERQUOTA",
        "move": "OK",
        "quota": "50",
        "send": "250 2.1.0",
    }
    assert server.prov("getQuotaUsage acme.test").split()[:2] == [ANNA, str(50 * 1024)]
    server.prov("modifyDomain acme.test maxQuota 0")
    assert posted(server, ANNA).startswith("250")


@pytest.mark.parametrize(
    ("policy", "grows", "sends"),
    [("ALLOWSENDRECEIVE", True, True), ("BLOCKSEND", True, False), ("BLOCKSENDRECEIVE", False, False)],
)
def test_a_domain_that_is_full_does_what_its_policy_says(server: Server, policy: str, grows: bool, sends: bool) -> None:
    server.prov("modifyDomain acme.test aggregateQuota 1k", f"modifyDomain acme.test aggregateQuotaPolicy {policy}")
    try:
        found = doors(server)
        assert [found["lmtp"], found["mx"][:3]] == (["250 2.0.0", "250"] if grows else ["452 4.2.2", "452"])
        assert [found["append"], found["copy"]] == (["OK APPENDUID", "OK COPYUID"] if grows else ["NO OVERQUOTA"] * 2)
        assert found["move"] == "OK"
        assert found["send"] == ("250 2.1.0" if sends else "552 5.2.2")
        assert posted(server, "far@far.test").startswith("250")
    finally:
        server.prov("modifyDomain acme.test aggregateQuota 0")
    assert posted(server, ANNA).startswith("250")


def test_what_all_use_is_counted_as_they_come_and_go(server: Server) -> None:
    server.prov("modifyDomain acme.test aggregateQuota 1g", "createDomain second.test aggregateQuota 1g")

    def used(domain: str) -> int:
        told = server.run("prov", "gd", domain, "zimbraAggregateQuotaLastUsage").stdout
        return int(told.split()[-1])

    def summed(domain: str) -> int:
        return sum(int(line.split()[2]) for line in server.prov(f"gqu {domain}").splitlines())

    assert used("acme.test") == summed("acme.test") > 0
    assert posted(server, BRUNO).startswith("250")
    assert used("acme.test") == summed("acme.test")
    before = used("acme.test")
    server.prov(f"renameAccount {BRUNO} bruno@second.test")
    assert (used("acme.test"), used("second.test")) == (summed("acme.test"), summed("second.test"))
    assert used("second.test") > 0
    server.prov("deleteAccount bruno@second.test")
    assert used("second.test") == 0
    assert before > used("acme.test")
    server.prov("modifyDomain acme.test aggregateQuota 0", "createAccount bruno@acme.test ''")


def test_a_domain_is_renamed_under_open_sessions_and_back(server: Server) -> None:
    server.people("owner", "helper", domain="old.test")
    server.prov(
        "selectMailbox owner@old.test modifyFolderGrant /INBOX domain old.test rwid",
        "grantRight account owner@old.test usr helper@old.test sendAs",
        "createDistributionList all@old.test",
        "addDistributionListMember all@old.test owner@old.test helper@old.test",
    )
    with Talk(server.ports["imap"], "helper@old.test") as session:
        session.ok('SELECT "Other Users/owner/INBOX"')
        server.prov("renameDomain old.test new.test")
        assert session.farewell(10.0) == b"* BYE the account was renamed"
    with Talk(server.ports["imap"], "helper@new.test") as session, Mail(server.ports["submission"]) as smtp:
        assert smtp.login("helper@old.test").startswith("535")
        assert smtp.login("helper@new.test").startswith("235")
        session.ok('SELECT "Other Users/owner/INBOX"')
        session.ok('SELECT "Other Users/owner@new.test/INBOX"')
        assert session.do('SELECT "Other Users/owner@old.test/INBOX"').kind.startswith("NO")
        letter = compose("owner@new.test", ANNA, "as the owner")
        assert smtp.send("owner@new.test", [ANNA], letter)[0].startswith("250")
        assert smtp.say("MAIL FROM:<owner@old.test>")[:3] == "553"
    assert posted(server, "owner@old.test").startswith("550")
    assert posted(server, "all@new.test").startswith("250")
    with Talk(server.ports["imap"], "owner@new.test") as session:
        assert session.ok("STATUS INBOX (MESSAGES)").lines[0].endswith(b"(MESSAGES 1)")
    server.prov("renameDomain new.test old.test --keep-alias")
    for name in ("old.test", "new.test"):
        assert posted(server, f"owner@{name}").startswith("250")
    with Talk(server.ports["imap"], "owner@old.test") as session:
        assert session.ok("STATUS INBOX (MESSAGES)").lines[0].endswith(b"(MESSAGES 3)")
        session.ok("LOGOUT")
    assert server.run("can", "helper@old.test", "send-as", "owner@old.test", check=False).returncode == 0


def test_nothing_of_a_refused_renaming_is_done(server: Server, tmp_path: Path) -> None:
    before = server.prov("getAllDomains -v", "getAllAccounts -v old.test")
    for line in ("renameDomain old.test acme.test", "renameDomain old.test 'no name'", "renameDomain old.test far.test --keep-alias"):
        done = server.run("prov", "-f", "-", stdin=f"{line}\n", check=False)
        assert done.returncode == 1, line
        assert done.stderr.startswith("ERROR: "), line
    assert server.prov("getAllDomains -v", "getAllAccounts -v old.test") == before
