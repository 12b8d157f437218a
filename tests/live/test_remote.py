"""Mail for other places: refused without a next hop; with one handed on, tried again, reported when it fails (RFC 3464)."""

from __future__ import annotations

import email
import email.policy
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.live.next_hop import DROP, NextHop, next_hop
from tests.live.ports import free_port
from tests.live.post import Clients, Letter, Postbox, submit
from tests.live.server import PASSWORD, Server, compose

PEOPLE = ("anna", "dora", "olga", "bea", "resting", "wide")
SETUP = (
    "createDomain acme.test",
    *(f"createAccount {name}@acme.test '{PASSWORD}' displayName {name.capitalize()}" for name in PEOPLE),
    "grantRight account olga@acme.test usr dora@acme.test sendAs",
    "grantRight account bea@acme.test usr dora@acme.test sendOnBehalfOf",
    "createDistributionList mixed@acme.test",
    "addDistributionListMember mixed@acme.test anna@acme.test friend@elsewhere.test FRIEND@elsewhere.test other@elsewhere.test",
    "modifyDistributionList mixed@acme.test owners olga@acme.test",
)


def prepared(server: Server) -> Server:
    server.directory.mkdir(exist_ok=True)
    server.prov(*SETUP)
    return server


# --- without a next hop


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prepared(Server(tmp_path_factory.mktemp("closed"))) as server:
        yield server


@pytest.mark.parametrize(
    "recipient", ["x@elsewhere.test", "anna@sub.acme.test", "anna@acme.test.elsewhere", "x@[192.0.2.1]", "anna%acme.test@elsewhere.test"]
)
def test_without_a_next_hop_remote_recipients_are_refused(closed: Server, recipient: str) -> None:
    client = closed.smtp("anna@acme.test")
    said = submit(client, "anna@acme.test", recipient, compose("anna@acme.test", recipient))
    client.quit()
    assert said.at == "RCPT"
    assert said.enhanced == ("553 5.1.3" if "[" in recipient else "550 5.7.1")


# --- with one


@pytest.fixture(scope="module")
def hop() -> Iterator[NextHop]:
    with next_hop() as hop:
        yield hop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hop: NextHop) -> Iterator[Server]:
    settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["0.1s"], "queue.delay": "0s"}
    with prepared(Server(tmp_path_factory.mktemp("open"), settings)) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(hop: NextHop) -> None:
    hop.answers.clear()
    hop.taken.clear()
    hop.seen.clear()
    hop.gate.set()
    hop.extensions = ("8BITMIME", "SMTPUTF8", "SIZE 50000000")


@pytest.fixture
def anna(server: Server) -> Iterator[Postbox]:
    box = Postbox(server, "anna@acme.test")
    box.new()
    yield box
    box.close()


def report(letter: Letter) -> tuple[EmailMessage, list[dict[str, str]]]:
    """A delivery report and its blocks, the one about the message first; RFC 3464's shape is checked on the way."""
    message = email.message_from_bytes(letter.octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    international = not letter.octets.isascii()  # RFC 6533 section 4
    plain = ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert kinds == (["text/plain", "message/global-delivery-status", "message/global-headers"] if international else plain)
    assert letter.one("Return-Path") == "<>"
    assert (letter.one("Auto-Submitted") or "").startswith("auto-")
    assert not message.defects
    status = list(message.iter_parts())[1]
    blocks = [{name.lower(): str(value) for name, value in block.items()} for block in status.get_payload()]
    if international:  # Python reads it as one message
        (read,) = status.get_payload()
        further = [email.message_from_string(block) for block in str(read.get_payload()).split("\n\n")]
        blocks += [{name.lower(): str(value) for name, value in block.items()} for block in further]
    assert blocks[0]["reporting-mta"] == "dns; mx.acme.test"
    return message, blocks


def test_it_is_handed_on_octet_for_octet(clients: Clients, hop: NextHop) -> None:
    octets = compose(
        "anna@acme.test", "x@elsewhere.test", text=".dot\r\n..\r\n \xe4 end", Date="x", Message_ID="<1@x>", Bcc="y@elsewhere.test"
    )
    assert submit(clients["anna@acme.test"], "anna@acme.test", ["x@elsewhere.test", "y@elsewhere.test"], octets).accepted
    (taken,) = hop.wait()
    assert (taken.sender, sorted(taken.recipients), taken.helo) == (
        "anna@acme.test",
        ["x@elsewhere.test", "y@elsewhere.test"],
        "mx.acme.test",
    )
    assert Letter(taken.octets).submitted == octets.replace(b"Bcc: y@elsewhere.test\r\n", b"")
    assert taken.octets.startswith(b"Received: by mx.acme.test")
    assert b"Return-Path" not in taken.octets
    assert "body=8bitmime" in taken.options.lower()


def test_no_trace_of_the_delegate_leaves_the_house(clients: Clients, hop: NextHop) -> None:
    octets = compose("Olga <olga@acme.test>", "x@elsewhere.test", Sender="dora@acme.test")
    assert submit(clients["dora@acme.test"], "dora@acme.test", "x@elsewhere.test", octets).accepted
    (taken,) = hop.wait()
    assert taken.sender == "olga@acme.test"
    assert "dora" not in " ".join([taken.octets.decode(), taken.options, *(command for _, command in hop.seen)]).lower()


def test_on_behalf_leaves_with_sender_and_the_delegates_path(clients: Clients, hop: NextHop) -> None:
    assert submit(clients["dora@acme.test"], "dora@acme.test", "x@elsewhere.test", compose("bea@acme.test", "x@elsewhere.test")).accepted
    (taken,) = hop.wait()
    assert taken.sender == "dora@acme.test"
    assert Letter(taken.octets).one("Sender") == "Dora <dora@acme.test>"


def test_each_recipient_has_its_own_fate(clients: Clients, hop: NextHop, anna: Postbox) -> None:
    hop.answers = {
        "RCPT never@elsewhere.test": ["550 5.1.1 no such user"],
        "RCPT later@elsewhere.test": ["450 4.2.1 not now", "450 4.2.1 not yet"],
    }
    recipients = ["good@elsewhere.test", "never@elsewhere.test", "later@elsewhere.test"]
    octets = compose("anna@acme.test", "all", "fates", Message_ID="<fates@acme.test>")
    assert submit(clients["anna@acme.test"], "anna@acme.test", recipients, octets).accepted
    hop.wait(2)
    assert [taken.recipients for taken in hop.taken] == [["good@elsewhere.test"], ["later@elsewhere.test"]]
    assert sum(command.startswith("RCPT TO:<good") for _, command in hop.seen) == 1
    assert sum(command.startswith("RCPT TO:<never") for _, command in hop.seen) == 1
    (letter,) = anna.wait()
    message, blocks = report(letter)
    (one,) = blocks[1:]
    assert one["final-recipient"] == "rfc822; never@elsewhere.test"
    assert one["action"] == "failed"
    assert one["status"] == "5.1.1"
    assert one["diagnostic-code"] == "smtp; 550 5.1.1 no such user" or "no such user" in one["diagnostic-code"]
    assert "never@elsewhere.test" in next(message.iter_parts()).get_content()
    assert "Subject: fates" in list(message.iter_parts())[2].get_payload()
    assert message["To"] == "anna@acme.test"


FATES = (
    ([], True),
    (["550 5.1.1 no such user"] * 9, False),
    (["450 4.2.1 not now", "450 4.2.1 not yet"], True),
    (["452 4.5.3 too many recipients"], True),
    (["451 4.7.1 greylisted", *["553 5.1.3 no such place"] * 9], False),
)
"""What a next hop says to one recipient, one try after the other, and whether it is taken in the end. What is final it says again, for
a dialogue that is cut behind it may be had once more."""


@pytest.mark.timeout(300)
def test_a_thousand_recipients_of_one_message_have_each_their_own_fate(
    server: Server, clients: Clients, hop: NextHop, anna: Postbox
) -> None:
    fates = {f"r{number}@elsewhere.test": FATES[number % len(FATES)] for number in range(1_000)}
    hop.answers = {f"RCPT {one}": list(said) for one, (said, _) in fates.items()}
    # And some trouble for all of them at once: the second time it is not known whether it was taken.
    hop.answers |= {"MAIL": ["421 4.3.2 busy"], "END": ["451 4.3.0 later", DROP]}
    octets = compose("anna@acme.test", "all", "many fates", Message_ID="<many@acme.test>")
    assert submit(clients["anna@acme.test"], "anna@acme.test", list(fates), octets).accepted
    good, bad = ({one for one, (_, taken) in fates.items() if taken is wanted} for wanted in (True, False))
    told: Counter[str] = Counter()
    end = time.monotonic() + 180
    while sum(len(taken.recipients) for taken in list(hop.taken)) < len(good) or told.total() < len(bad):
        assert time.monotonic() < end, (len(hop.taken), told.total())
        for letter in anna.new():
            _, blocks = report(letter)
            told.update(block["final-recipient"].removeprefix("rfc822; ") for block in blocks[1:])
        time.sleep(0.1)
    # Nothing is left when the last of it is written down, and nothing more comes.
    while (left := json.loads(server.run("queue", "--json").stdout)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []
    time.sleep(0.5)
    assert anna.new() == []
    taken = Counter(one for transaction in hop.taken for one in transaction.recipients)
    assert taken == Counter(dict.fromkeys(good, 1)), "each once, and nobody else"
    assert told == Counter(dict.fromkeys(bad, 1)), "told once of each that failed, and of no other"
    assert {Letter(one.octets).one("Message-ID") for one in hop.taken} == {"<many@acme.test>"}
    # Nobody was asked for again whose fate was known.
    asked = Counter(command[len("RCPT TO:<") :].partition(">")[0] for _, command in hop.seen if command.startswith("RCPT"))
    assert {one for one, count in asked.items() if count > len(fates[one][0]) + fates[one][1] + 2} == set()
    assert max(asked[one] for one in bad) <= 2


@pytest.mark.parametrize("at", ["CONNECT", "EHLO", "MAIL", "DATA", "END"])
@pytest.mark.parametrize("answer", ["451 4.3.0 later", "421 4.3.2 busy", DROP])
def test_whatever_may_pass_is_tried_again(clients: Clients, hop: NextHop, at: str, answer: str) -> None:
    hop.answers = {at: [answer]}
    assert submit(clients["anna@acme.test"], "anna@acme.test", "x@elsewhere.test", compose("anna@acme.test", "x")).accepted
    hop.wait()
    time.sleep(0.25)
    assert len(hop.taken) == 1


@pytest.mark.parametrize(
    ("at", "answer"), [("MAIL", "550 5.7.1 not you"), ("DATA", "554 5.6.0 no"), ("END", "552 5.3.4 too big"), ("END", "550 spam")]
)
def test_what_is_final_bounces_at_once(clients: Clients, hop: NextHop, anna: Postbox, at: str, answer: str) -> None:
    hop.answers = {at: [answer]}
    assert submit(
        clients["anna@acme.test"], "anna@acme.test", ["x@elsewhere.test", "y@elsewhere.test"], compose("anna@acme.test", "x")
    ).accepted
    (letter,) = anna.wait()
    _, blocks = report(letter)
    assert [one["final-recipient"] for one in blocks[1:]] == ["rfc822; x@elsewhere.test", "rfc822; y@elsewhere.test"]
    assert {one["status"] for one in blocks[1:]} == {answer.split()[1] if answer[4].isdigit() else "5.0.0"}
    assert hop.taken == []


def test_what_was_sent_with_the_empty_path_is_reported_to_nobody(clients: Clients, hop: NextHop, anna: Postbox) -> None:
    hop.answers = {"END": ["550 5.0.0 no"]}
    assert submit(clients["anna@acme.test"], "", "x@elsewhere.test", compose("anna@acme.test", "x")).accepted
    hop.wait_for("DATA")
    hop.answers = {}
    # the next one arrives and its report does too; nothing came of the first
    hop.answers = {"RCPT z@elsewhere.test": ["550 5.1.1 z"]}
    assert submit(clients["anna@acme.test"], "anna@acme.test", "z@elsewhere.test", compose("anna@acme.test", "x")).accepted
    (letter,) = anna.wait()
    assert b"z@elsewhere.test" in letter.octets
    assert anna.new() == []


def test_a_bounce_of_a_send_as_message_goes_to_the_owner(server: Server, clients: Clients, hop: NextHop) -> None:
    olga = Postbox(server, "olga@acme.test")
    olga.new()
    hop.answers = {"END": ["550 5.0.0 no"]}
    assert submit(clients["dora@acme.test"], "dora@acme.test", "x@elsewhere.test", compose("olga@acme.test", "x")).accepted
    (letter,) = olga.wait()
    report(letter)
    assert b"dora" not in letter.octets
    olga.close()


def test_local_and_remote_recipients_together(clients: Clients, hop: NextHop, anna: Postbox) -> None:
    octets = compose("anna@acme.test", "both")
    assert submit(clients["anna@acme.test"], "anna@acme.test", ["anna@acme.test", "x@elsewhere.test"], octets).accepted
    anna.the_one()
    hop.wait()


def test_lists_send_to_their_external_members_under_their_own_path(clients: Clients, hop: NextHop, anna: Postbox, server: Server) -> None:
    hop.answers = {"RCPT other@elsewhere.test": ["550 5.1.1 gone"]}
    olga = Postbox(server, "olga@acme.test")
    olga.new()
    assert submit(clients["anna@acme.test"], "anna@acme.test", "mixed@acme.test", compose("anna@acme.test", "mixed")).accepted
    anna.the_one()
    taken = [one for one in hop.wait(2) if "friend@elsewhere.test" in [to.lower() for to in one.recipients]]
    assert re.fullmatch(r"mixed-bounces\+[0-9a-z]+@acme\.test", taken[0].sender)
    assert Letter(taken[0].octets).one("List-Id") == "<mixed.acme.test>"
    # what came back is counted, and nobody is written to for one
    end = time.monotonic() + 20
    while "gone" not in (told := server.run("list", "bounces", "mixed@acme.test").stdout):
        assert time.monotonic() < end, told
        time.sleep(0.1)
    assert "other@elsewhere.test" in told
    assert olga.new() == []
    assert anna.new() == []
    olga.close()


def test_international_mail_needs_a_next_hop_that_takes_it(clients: Clients, hop: NextHop, anna: Postbox) -> None:
    octets = compose("anna@acme.test", "x", "grün")
    client = clients["anna@acme.test"]
    code, _ = client.docmd("MAIL", "FROM:<anna@acme.test> SMTPUTF8 BODY=8BITMIME")
    assert code == 250
    client.command_encoding = "utf-8"
    assert client.docmd("RCPT", "TO:<jürgen@elsewhere.test>")[0] == 250
    assert client.data(octets)[0] == 250
    (taken,) = hop.wait()
    assert taken.recipients == ["jürgen@elsewhere.test"]
    assert "smtputf8" in taken.options.lower()
    hop.taken.clear()
    hop.extensions = ("8BITMIME",)
    hop.answers = {"MAIL": [DROP]}  # what it offers is asked on a new connection only
    assert client.docmd("MAIL", "FROM:<anna@acme.test> SMTPUTF8 BODY=8BITMIME")[0] == 250
    assert client.docmd("RCPT", "TO:<jürgen@elsewhere.test>")[0] == 250
    assert client.data(octets)[0] == 250
    client.command_encoding = "ascii"
    (letter,) = anna.wait()
    _, blocks = report(letter)
    assert blocks[1]["status"] == "5.6.7"


def test_held_mail_does_not_wait_for_a_slow_next_hop(server: Server, clients: Clients, hop: NextHop) -> None:
    server.prov("modifyAccount resting@acme.test status maintenance")
    hop.gate.clear()
    client = clients["anna@acme.test"]
    assert submit(client, "anna@acme.test", "x@elsewhere.test", compose("anna@acme.test", "x")).accepted
    hop.wait_for("DATA")
    assert submit(client, "anna@acme.test", "resting@acme.test", compose("anna@acme.test", "x", "held")).accepted
    server.prov("modifyAccount resting@acme.test status active")
    (octets,) = server.wait_for("resting@acme.test", seconds=10)
    assert Letter(octets).one("Subject") == "held"
    assert hop.taken == []
    hop.gate.set()
    hop.wait()


# --- across a restart


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_queue_survives_a_restart(tmp_path_factory: pytest.TempPathFactory, how: str) -> None:
    port = free_port()  # nobody listens there yet
    settings = {"relay": f"smtp://127.0.0.1:{port}", "queue.retries": ["0.1s"], "queue.delay": "0s"}
    server = prepared(Server(tmp_path_factory.mktemp("restart"), settings))
    server.prov("modifyAccount resting@acme.test status maintenance")
    with server:
        client = server.smtp("anna@acme.test")
        octets = compose("anna@acme.test", "x", "kept")
        assert submit(client, "anna@acme.test", ["x@elsewhere.test", "resting@acme.test"], octets).accepted
        if how == "kill":
            server.kill()
        else:
            assert server.stop() == 0
        with next_hop(port=port) as hop:
            server.prov("modifyAccount resting@acme.test status active")
            server.start()
            (taken,) = hop.wait()
            assert taken.recipients == ["x@elsewhere.test"]
            (held,) = server.wait_for("resting@acme.test", seconds=10)
            assert Letter(held).one("Subject") == "kept"
            time.sleep(1)
            assert len(hop.taken) == 1
            assert len(server.messages("resting@acme.test")) == 1


def test_after_its_lifetime_mail_bounces_and_before_that_the_sender_is_told_of_the_delay(tmp_path_factory: pytest.TempPathFactory) -> None:
    port = free_port()
    settings = {"relay": f"smtp://127.0.0.1:{port}", "queue.retries": ["0.2s"], "queue.delay": "0.5s", "queue.lifetime": "3s"}
    server = prepared(Server(tmp_path_factory.mktemp("lifetime"), settings))
    server.prov("modifyAccount resting@acme.test status maintenance")
    with server:
        client = server.smtp("anna@acme.test")
        assert submit(client, "anna@acme.test", "x@elsewhere.test", compose("anna@acme.test", "x")).accepted
        assert submit(client, "anna@acme.test", "resting@acme.test", compose("anna@acme.test", "x")).accepted
        reports = [report(Letter(octets))[1] for octets in server.wait_for("anna@acme.test", count=3, seconds=20)]
        found = sorted((one[1]["action"], one[1]["final-recipient"]) for one in reports)
        assert found == [
            ("delayed", "rfc822; x@elsewhere.test"),
            ("failed", "rfc822; resting@acme.test"),
            ("failed", "rfc822; x@elsewhere.test"),
        ]
        time.sleep(1)
        assert len(server.messages("anna@acme.test")) == 3
