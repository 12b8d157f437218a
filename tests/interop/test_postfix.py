"""Postfix from Debian as the neighbour: in front of us (LMTP), behind us (relay), and asking us who may send as whom."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from gateway.certificate import self_signed
from tests.interop.postfix import Postfix, any_password, directory_for_postfix, postfix
from tests.live.next_hop import NextHop, Taken, next_hop
from tests.live.ports import free_port
from tests.live.server import Server, compose

pytestmark = [postfix, pytest.mark.timeout(240)]

STRANGER = "stranger@elsewhere.test"
SECONDS = 30.0
PAGE = Path(__file__).parents[2] / "gateway/neighbour/README.md"


@dataclass
class Site:
    """Postfix in front of procura and behind it; whatever is not ours goes to `sink` in the end."""

    postfix: Postfix
    server: Server
    sink: NextHop

    def arrived(self, user: str, subject: str) -> Message:
        """The message with this subject, once it is in the INBOX."""
        end = time.monotonic() + SECONDS
        while True:
            for octets in self.server.messages(user):
                found = message_from_bytes(octets)
                if str(found["Subject"]).startswith(subject):
                    return found
            assert time.monotonic() < end, f"{subject} did not reach {user}; postfix said:\n{self.postfix.log[-6000:]}"
            time.sleep(0.1)

    def left(self, subject: str) -> Taken:
        """The one that reached the sink."""
        end = time.monotonic() + SECONDS
        while True:
            for one in list(self.sink.taken):
                if f"Subject: {subject}".encode() in one.octets:
                    return one
            assert time.monotonic() < end, f"{subject} did not leave; postfix said:\n{self.postfix.log[-6000:]}"
            time.sleep(0.1)

    def on_record(self, *asked: str) -> str:
        """What `procura audit list` says."""
        return self.server.run("audit", "list", *asked).stdout


def told() -> dict[str, dict[str, str]]:
    """What the room's page tells a site to write: settings by the first word of their block (`virtual...`, `submission`)."""
    blocks = {}
    for block in re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL):
        settings = {}
        for line in block.splitlines():
            line = re.sub(r"^ +-o ", "", line).strip("{} ")
            name, equals, value = line.partition("=")
            if equals:
                settings[name.strip()] = value.strip()
        blocks[block.split()[0]] = settings
    return blocks


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        home = stack.enter_context(directory_for_postfix())
        sink = stack.enter_context(next_hop(extensions=("8BITMIME", "SMTPUTF8", "DSN", "PIPELINING")))
        lmtp, policy = home / "queue/procura/lmtp", home / "queue/procura/policy"
        certificate, key = self_signed(home, "localhost")
        relay = free_port()
        settings = {
            # The same ports after a restart, for Postfix is told once.
            "listen.lmtp": [f"127.0.0.1:{free_port()}", f"unix:{lmtp}"],
            "listen.policy": [f"127.0.0.1:{free_port()}", f"unix:{policy}"],
            "relay": f"smtp://procura:any@localhost:{relay}",
            "relay_authorities": str(certificate),
            "queue.retries": "1s",
        }
        server = stack.enter_context(Server(home / "procura", settings))
        server.people("owner", "delegate", "helper", "stranger", "busy", "gone", "new", "full", "jörg")
        server.prov(
            "addAccountAlias owner@acme.test chef@acme.test",
            "addAccountAlias jörg@acme.test joerg@acme.test",
            "createAliasDomain acme.example acme.test",
            "createDistributionList team@acme.test",
            "addDistributionListMember team@acme.test helper@acme.test",
            "createDistributionList board@acme.test",
            "addDistributionListMember board@acme.test owner@acme.test",
            "grantRight dl board@acme.test usr owner@acme.test sendToDistList",
            "grantRight account owner@acme.test usr delegate@acme.test sendAs",
            "grantRight account owner@acme.test grp team@acme.test sendOnBehalfOf",
            "modifyAccount delegate@acme.test allowFromAddresses me@elsewhere.test",
            "modifyAccount new@acme.test status pending",
        )
        stack.enter_context(any_password(home / "queue/procura/auth"))
        page = told()
        main, submission, by_map = page["virtual_mailbox_domains"], page["submission"], page["smtpd_sender_login_maps"]
        by_xclient = {"smtpd_authorized_xclient_hosts": "127.0.0.0/8"}
        tls = {"smtpd_tls_cert_file": str(certificate), "smtpd_tls_key_file": str(key)}
        in_clear = {**submission, "smtpd_tls_security_level": "none"}
        sasl = {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "procura/auth"}
        over_tcp = {
            name: value.replace("unix:procura/policy", f"inet:127.0.0.1:{server.ports['policy']}") for name, value in in_clear.items()
        }
        login = {name: in_clear[name] for name in ("smtpd_sasl_auth_enable", "smtpd_relay_restrictions")}
        made = Postfix(
            home,
            {**main, **sasl, "relayhost": f"[127.0.0.1]:{sink.port}"},
            {
                "mx": by_xclient,
                "open": {
                    "smtpd_relay_restrictions": "permit_mynetworks, reject",
                    "smtpd_recipient_restrictions": "",
                    "smtpd_reject_unlisted_recipient": "no",
                },
                "lmtp by tcp": {"content_filter": f"lmtp:inet:127.0.0.1:{server.ports['lmtp']}"},
                "by map": {**login, **by_map, "smtpd_recipient_restrictions": ""},
                "by policy": in_clear,
                "by policy over tcp": over_tcp,
                "relay": {**submission, **tls, "smtpd_recipient_restrictions": "", "smtpd_end_of_data_restrictions": ""},
            },
            {"relay": relay},
        )
        try:
            made.start()
            yield Site(made, server, sink)
        finally:
            made.stop()


# --- in front of us


@pytest.mark.parametrize("door", ["mx", "lmtp by tcp"])
def test_mail_comes_by_lmtp(site: Site, door: str) -> None:
    with site.postfix.smtp(door) as client:
        client.sendmail(STRANGER, ["chef@acme.test"], compose(STRANGER, "chef@acme.test", f"through {door}"))
    letter = site.arrived("owner@acme.test", f"through {door}")
    assert letter["Return-Path"] == f"<{STRANGER}>"
    assert "with LMTP" in letter.get_all("Received")[0]
    assert "(Postfix) with ESMTP" in letter.get_all("Received")[1]


def test_what_is_said_at_rcpt_is_what_we_know(site: Site) -> None:
    site.server.prov("modifyAccount gone@acme.test status closed", "modifyAccount busy@acme.test status maintenance")
    expected = {
        "owner@acme.example": (250, "2.1.5"),
        "helper+tag@acme.test": (250, "2.1.5"),
        "team@acme.test": (250, "2.1.5"),
        "board@acme.test": (550, "5.7.1"),
        "gone@acme.test": (550, "5.2.1"),
        "new@acme.test": (550, "5.2.1"),
        "busy@acme.test": (450, "4.2.1"),
        "nobody@acme.test": (550, "5.1.1"),
        "far@away.test": (554, "5.7.1"),
    }
    with site.postfix.stranger("mx", "192.0.2.77") as client:
        client.mail(STRANGER)
        said = {address: client.rcpt(address) for address in expected}
    assert {address: (code, text.decode()[:5]) for address, (code, text) in said.items()} == expected
    site.server.prov("modifyAccount gone@acme.test status active", "modifyAccount busy@acme.test status active")


def test_each_recipient_has_a_fate_of_its_own(site: Site) -> None:
    """One is delivered, one waits in Postfix's queue until the maintenance is over, two bounce: by one reply each (RFC 2033)."""
    site.server.prov("modifyAccount gone@acme.test status closed", "modifyAccount busy@acme.test status maintenance")
    to = ["helper@acme.test", "busy@acme.test", "gone@acme.test", "nobody@acme.test"]
    with site.postfix.smtp("open") as client:
        assert client.sendmail(STRANGER, to, compose(STRANGER, "all", "mixed")) == {}
    site.arrived("helper@acme.test", "mixed")
    bounce = message_from_bytes(site.left("Undelivered Mail").octets)
    failed = {
        (part["Final-Recipient"], part["Status"])
        for part in bounce.walk()
        if part.get_content_type() == "text/plain" and part["Final-Recipient"]
    }
    assert failed == {("rfc822; gone@acme.test", "5.2.1"), ("rfc822; nobody@acme.test", "5.1.1")}

    def waits() -> bool:
        waiting = [one for row in site.postfix.queue() for one in row["recipients"]]  # type: ignore[attr-defined]
        return any(one["address"] == "busy@acme.test" and "450 4.2.1" in one.get("delay_reason", "") for one in waiting)

    site.postfix.until(waits)
    site.server.prov("modifyAccount gone@acme.test status active", "modifyAccount busy@acme.test status active")
    site.arrived("busy@acme.test", "mixed")
    assert [str(message_from_bytes(one)["Subject"]) for one in site.server.messages("helper@acme.test")].count("mixed") == 1


def test_a_locked_account_gets_its_mail(site: Site) -> None:
    site.server.prov("modifyAccount gone@acme.test status locked")
    with site.postfix.stranger("mx", "192.0.2.77") as client:
        client.sendmail(STRANGER, ["gone@acme.test"], compose(STRANGER, "gone@acme.test", "for later"))
    site.postfix.until(lambda: not site.postfix.queue())
    site.server.prov("modifyAccount gone@acme.test status active")
    site.arrived("gone@acme.test", "for later")


def test_who_wants_to_hear_of_the_delivery_does(site: Site) -> None:
    """Postfix passes the request on by LMTP, and we are the ones who report (RFC 3461)."""
    with site.postfix.smtp("mx") as client:
        client.ehlo()
        client.mail("owner@acme.test", ["RET=HDRS", "ENVID=QQ314159"])
        code, said = client.rcpt("helper@acme.test", ["NOTIFY=SUCCESS", "ORCPT=rfc822;Helper@Acme.Test"])
        assert code == 250, said
        client.data(compose("owner@acme.test", "helper@acme.test", "tell me"))
    site.postfix.until(lambda: any(b"QQ314159" in one for one in site.server.messages("owner@acme.test")))
    report = next(found for one in site.server.messages("owner@acme.test") if "QQ314159" in (found := message_from_bytes(one)).as_string())
    assert "Action: delivered" in report.as_string()
    assert "Original-Recipient: rfc822;Helper@Acme.Test" in report.as_string()


def test_addresses_beyond_ascii(site: Site) -> None:
    with site.postfix.smtp("mx") as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        client.mail("bücher@elsewhere.test", ["SMTPUTF8", "BODY=8BITMIME"])
        code, said = client.rcpt("jörg@acme.test")
        assert code == 250, said
        assert client.rcpt("jürg@acme.test")[0] == 550
        client.data("From: bücher@elsewhere.test\r\nTo: jörg@acme.test\r\nSubject: Grüße\r\n\r\nhällo\r\n".encode())
    site.postfix.until(lambda: not site.postfix.queue())
    (letter,) = site.server.messages("joerg@acme.test")
    assert "hällo".encode() in letter
    assert letter.startswith("Return-Path: <bücher@elsewhere.test>\r\n".encode())


# --- behind us


def test_what_leaves_goes_through_it_by_tls_and_login(site: Site) -> None:
    with site.server.smtp("delegate@acme.test") as client:
        client.sendmail("delegate@acme.test", ["far@away.test"], compose("owner@acme.test", "far@away.test", "outward"))
    left = site.left("outward")
    assert left.sender == "owner@acme.test"
    assert b"delegate" not in left.octets
    assert "sasl_username=procura" in site.postfix.log
    assert re.search(rb"with ESMTPSA id", left.octets), "Postfix saw TLS and the login"


def test_what_it_cannot_hand_on_comes_back_to_the_owner(site: Site) -> None:
    site.sink.answers["RCPT refused@away.test"] = ["550 5.1.1 no such user"]
    with site.server.smtp("delegate@acme.test") as client:
        client.sendmail("delegate@acme.test", ["refused@away.test"], compose("owner@acme.test", "refused@away.test", "comes back"))
    bounce = site.arrived("owner@acme.test", "Undelivered Mail")
    assert "550 5.1.1 no such user" in bounce.as_string()
    assert bounce["Return-Path"] == "<>"


# --- asking us


ASKING = ["by map", "by policy", "by policy over tcp"]


@pytest.mark.parametrize("door", ASKING)
@pytest.mark.parametrize(
    ("login", "sender", "allowed"),
    [
        ("owner@acme.test", "owner@acme.test", True),
        ("owner@acme.test", "chef+x@acme.test", True),
        ("owner@acme.example", "chef@acme.test", True),
        ("Chef@Acme.Test", "owner@acme.test", True),
        ("delegate@acme.test", "owner@acme.test", True),
        ("helper@acme.test", "chef@acme.test", True),
        ("delegate@acme.test", "me@elsewhere.test", True),
        ("owner@acme.test", "me@elsewhere.test", False),
        ("owner@acme.test", "delegate@acme.test", False),
        ("stranger@acme.test", "owner@acme.test", False),
        ("stranger@acme.test", "nobody@acme.test", False),
        ("stranger@acme.test", "someone@elsewhere.test", False),
        ("nobody@acme.test", "owner@acme.test", False),
    ],
)
def test_who_may_send_from_where(site: Site, door: str, login: str, sender: str, allowed: bool) -> None:
    with site.postfix.submission(door, login) as client:
        client.mail(sender)
        code, said = client.rcpt("helper@acme.test")
    if allowed:
        assert code == 250, said
    elif door == "by map":
        assert (code, said[:5]) == (553, b"5.7.1"), said
        assert f"not owned by user {login}".encode() in said
    elif login == "nobody@acme.test":
        assert code == 535, said
    else:
        assert (code, said[:5]) == (553, b"5.7.1"), said
        assert f"{login} may not send as {sender}: no ".encode() in said


@pytest.mark.parametrize("door", ASKING)
def test_a_right_that_ended_is_gone_at_once(site: Site, door: str) -> None:
    with site.postfix.submission(door, "stranger@acme.test") as client:

        def may() -> bool:
            client.rset()
            client.mail("owner@acme.test")
            return client.rcpt("helper@acme.test")[0] == 250

        assert not may()
        site.server.prov("grantRight account owner@acme.test usr stranger@acme.test sendAs")
        assert may()
        site.server.prov("revokeRight account owner@acme.test usr stranger@acme.test sendAs")
        assert not may()


def test_a_right_that_ends_before_the_message_has_is_asked_for_again(site: Site) -> None:
    site.server.prov("grantRight account owner@acme.test usr stranger@acme.test sendAs")
    with site.postfix.submission("by policy", "stranger@acme.test") as client:
        client.mail("owner@acme.test")
        assert client.rcpt("helper@acme.test")[0] == 250
        site.server.prov("revokeRight account owner@acme.test usr stranger@acme.test sendAs")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            _data(client, "too late")
    assert refused.value.smtp_code == 553
    assert b"stranger@acme.test may not send as owner@acme.test" in refused.value.smtp_error


def _data(client: smtplib.SMTP, subject: str) -> None:
    code, said = client.data(compose("owner@acme.test", "helper@acme.test", subject))
    if code != 250:
        raise smtplib.SMTPDataError(code, said)


def test_what_was_decided_is_on_record(site: Site) -> None:
    with site.postfix.submission("by policy", "stranger@acme.test") as client:
        client.mail("owner@acme.test")
        refusals = [client.rcpt(to)[1].decode() for to in ("helper@acme.test", "far@away.test")]
    (decision,) = {re.search(r"\[(d-[0-9a-f]+)\]", one)[1] for one in refusals}  # type: ignore[index]
    row = site.on_record("--decision", decision)
    for word in ("REFUSED", "stranger@acme.test", "owner@acme.test", "sendAs or sendOnBehalfOf", "policy"):
        assert word in row, row
    before = site.on_record("--actor", "delegate@acme.test").count("envelope: send-as")
    with site.postfix.submission("by policy", "delegate@acme.test") as client:
        client.sendmail("owner@acme.test", ["helper@acme.test", "far@away.test"], compose("owner@acme.test", "x", "recorded once"))
    assert site.on_record("--actor", "delegate@acme.test").count("envelope: send-as") == before + 1


def test_who_may_not_log_in_may_not_send(site: Site) -> None:
    with site.postfix.submission("by policy", "gone@acme.test") as client:
        for status, expected in (("locked", (525, b"5.7.13")), ("maintenance", (454, b"4.7.0")), ("closed", (525, b"5.7.13"))):
            site.server.prov(f"modifyAccount gone@acme.test status {status}")
            client.rset()
            client.mail("gone@acme.test")
            code, said = client.rcpt("helper@acme.test")
            assert (code, said.split()[0]) == expected
    site.server.prov("modifyAccount gone@acme.test status active")


def test_in_the_name_of_who_is_locked_nobody_sends(site: Site) -> None:
    for status, expected in (("locked", (550, b"5.7.1")), ("maintenance", (450, b"4.2.1"))):
        site.server.prov(f"modifyAccount owner@acme.test status {status}")
        with site.postfix.submission("by policy", "delegate@acme.test") as client:
            client.mail("owner@acme.test")
            code, said = client.rcpt("helper@acme.test")
        with site.postfix.submission("by map", "delegate@acme.test") as client:
            client.mail("owner@acme.test")
            assert client.rcpt("helper@acme.test")[0] == 553
        assert (code, said.split()[0]) == expected
    site.server.prov("modifyAccount owner@acme.test status active")


def test_a_list_asks_who_posts(site: Site) -> None:
    with site.postfix.submission("by policy", "stranger@acme.test") as client:
        client.mail("stranger@acme.test")
        code, said = client.rcpt("board@acme.test")
        assert (code, said[:5]) == (550, b"5.7.1")
        assert re.search(rb"\[d-[0-9a-f]+\]", said)
        assert client.rcpt("busy@acme.test")[0] == 250
    with site.postfix.submission("by policy", "owner@acme.test") as client:
        client.mail("owner@acme.test")
        assert client.rcpt("board@acme.test")[0] == 250
    # Who only says in MAIL FROM that he is the owner is not, unless `lmtp_networks` vouch for where he comes from.
    for client_address, allowed in (("192.0.2.77", 550), ("127.0.0.9", 250)):
        with site.postfix.stranger("mx", client_address) as client:
            client.mail("owner@acme.test")
            assert client.rcpt("board@acme.test")[0] == allowed


def test_while_we_are_away_nothing_is_refused_for_good_nor_let_through(site: Site) -> None:
    site.server.stop()
    try:
        for door in ("by map", "by policy"):
            with site.postfix.submission(door, "delegate@acme.test") as client:
                client.mail("owner@acme.test")
                code, _ = client.rcpt("helper@acme.test")
                assert 400 <= code < 500
    finally:
        site.server.start()
    for door in ("by map", "by policy"):
        with site.postfix.submission(door, "delegate@acme.test") as client:
            client.mail("owner@acme.test")
            assert client.rcpt("helper@acme.test")[0] == 250
