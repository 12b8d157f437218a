"""Mailing lists: who gets it, who may post, what comes back: delegation.md section 9, through every door."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator

import pytest

from tests.live.post import DECISION, Clients, Letter, Postbox, Said, submit
from tests.live.server import PASSWORD, Server, compose

PEOPLE = ("anna", "bruno", "carla", "dario", "owen", "olive")
GRANTEES = {
    "usr": "usr dario@acme.test",
    "grp": "grp posters@acme.test",
    "nested": "grp outer@acme.test",
    "dom": "dom acme.test",
    "cos": "cos writers",
    "all": "all",
}


def setting() -> list[str]:
    lines = ["createDomain acme.test", "createDomain other.test", "createCos writers"]
    lines += [f"createAccount {name}@acme.test '{PASSWORD}'" for name in PEOPLE]
    lines += [f"createAccount {name}@other.test '{PASSWORD}'" for name in ("stan", "rita")]
    lines += [f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("locked", "closed", "pending", "resting", "full", "filling")]
    lines += [f"modifyAccount {name}@acme.test status {name}" for name in ("locked", "closed", "pending")]
    lines += [
        "setAccountCos dario@acme.test writers",
        "createDistributionList team@acme.test",
        "addDistributionListAlias team@acme.test crew@acme.test",
        "addDistributionListMember team@acme.test anna@acme.test bruno@acme.test inner@acme.test",
        "modifyDistributionList team@acme.test owners owen@acme.test,olive@acme.test",
    ]
    return lines


def circles() -> list[str]:
    return [
        "createDistributionList inner@acme.test",
        "addDistributionListMember inner@acme.test bruno@acme.test carla@acme.test team@acme.test",
        "addDistributionListMember team@acme.test inner@acme.test",
        # restricted ones
        "createDistributionList posters@acme.test",
        "addDistributionListMember posters@acme.test dario@acme.test",
        "createDistributionList outer@acme.test",
        "addDistributionListMember outer@acme.test posters@acme.test",
        *(f"createDistributionList only-{kind}@acme.test" for kind in GRANTEES),
        *(f"addDistributionListMember only-{kind}@acme.test carla@acme.test" for kind in GRANTEES),
        *(f"grantRight dl only-{kind}@acme.test {grantee} sendToDistList" for kind, grantee in GRANTEES.items()),
        "createDistributionList denied@acme.test",
        "addDistributionListMember denied@acme.test carla@acme.test",
        "grantRight dl denied@acme.test dom acme.test sendToDistList",
        "grantRight dl denied@acme.test usr dario@acme.test -sendToDistList",
        "createDistributionList lapsed@acme.test",
        "addDistributionListMember lapsed@acme.test carla@acme.test",
        "grantRight dl lapsed@acme.test usr dario@acme.test sendToDistList --until 2020-01-01T00:00:00Z",
        # an open list with a restricted one inside
        "createDistributionList broad@acme.test",
        "addDistributionListMember broad@acme.test anna@acme.test only-usr@acme.test",
        # members of every status
        "createDistributionList states@acme.test",
        "addDistributionListMember states@acme.test anna@acme.test locked@acme.test closed@acme.test pending@acme.test resting@acme.test",
        "createDistributionList crowded@acme.test",
        "addDistributionListMember crowded@acme.test anna@acme.test full@acme.test",
        "modifyDistributionList crowded@acme.test owners owen@acme.test",
        "modifyAccount full@acme.test quota 10",
        "createDistributionList orphan@acme.test",
        "addDistributionListMember orphan@acme.test anna@acme.test",
        "createDistributionList empty@acme.test",
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lists"))
    server.directory.mkdir(exist_ok=True)
    lines = [line for line in setting() if not line.endswith("inner@acme.test")]
    server.prov(*lines, "addDistributionListMember team@acme.test anna@acme.test bruno@acme.test", *circles())
    with server:
        yield server


class Boxes:
    """INBOXes, each seen from where it was looked into last."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._boxes: dict[str, Postbox] = {}

    def __getitem__(self, name: str) -> Postbox:
        address = name if "@" in name else f"{name}@acme.test"
        if address not in self._boxes:
            self._boxes[address] = Postbox(self.server, address)
        return self._boxes[address]

    def forget(self) -> None:
        for box in self._boxes.values():
            box.new()

    def close(self) -> None:
        for box in self._boxes.values():
            box.close()


@pytest.fixture(scope="module")
def all_boxes(server: Server) -> Iterator[Boxes]:
    boxes = Boxes(server)
    for name in (*PEOPLE, "stan@other.test", "rita@other.test"):
        boxes[name].new()
    yield boxes
    boxes.close()


@pytest.fixture
def boxes(all_boxes: Boxes) -> Boxes:
    all_boxes.forget()
    return all_boxes


def handed_in(server: Server, door: str, sender: str, recipient: str, octets: bytes) -> Said:
    """At a door without login, one recipient."""
    client = server.lmtp() if door == "lmtp" else smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20)
    try:
        client.ehlo("neighbour.test")  # LHLO, where it is LMTP
        return submit(client, sender, recipient, octets)
    finally:
        client.close()


DOORS = ("submission", "mx", "lmtp")


def post(server: Server, clients: Clients, door: str, recipient: str, octets: bytes, user: str = "dario@acme.test") -> Said:
    if door == "submission":
        return submit(clients[user], user, recipient, octets)
    return handed_in(server, door, user, recipient, octets)


# --- who gets it, and how


@pytest.mark.parametrize("door", DOORS)
def test_every_member_gets_it_once_and_so_do_the_nested_lists(server: Server, clients: Clients, boxes: Boxes, door: str) -> None:
    octets = compose("Dario <dario@acme.test>", "team@acme.test", "round", Date="x", Message_ID="<1@x>", List_Id="<old.list>")
    assert post(server, clients, door, "team@acme.test", octets).accepted
    for name in ("anna", "bruno", "carla"):
        letter = boxes[name].the_one()
        assert letter.one("Return-Path") == "<team-bounces@acme.test>"
        assert letter.one("From") == "Dario <dario@acme.test>"
        assert letter.one("List-Id") == "<team.acme.test>"
        assert letter.one("List-Post") == "<mailto:team@acme.test>"
        assert letter.one("Precedence") == "list"
        assert letter.every("Delivered-To") == ["team@acme.test", "inner@acme.test"], "every list it went through"
        assert letter.one("Subject") == "round"
        assert letter.body == b"hello\r\n"
    for name in ("dario", "owen", "olive"):
        assert boxes[name].new() == []


def test_the_rest_stays_octet_for_octet(clients: Clients, boxes: Boxes) -> None:
    octets = compose("dario@acme.test", "team@acme.test", "=?utf-8?q?=C3=A4?=", text=".a\r\n..\r\n\xe4", Date="x", Message_ID="<1@x>")
    assert submit(clients["dario@acme.test"], "dario@acme.test", "team@acme.test", octets).accepted
    rest = boxes["anna"].the_one().submitted
    ours = (
        b"List-Id: <team.acme.test>\r\nList-Post: <mailto:team@acme.test>\r\nList-Help: <mailto:team-request@acme.test?subject=help>\r\n"
        b"List-Owner: <mailto:team-owner@acme.test>\r\nPrecedence: list\r\n"
    )
    trace, _, rest = rest.partition(b"From:")
    assert set(re.findall(rb"^([A-Za-z-]+):", trace, re.MULTILINE)) <= {b"Received", b"Delivered-To"}
    assert (b"From:" + rest).replace(ours, b"") == octets


@pytest.mark.parametrize("address", ["crew@acme.test", "TEAM@acme.test", "team+tag@acme.test"])
def test_other_names_of_the_list(clients: Clients, boxes: Boxes, address: str) -> None:
    assert submit(clients["dario@acme.test"], "", "anna@acme.test", compose("dario@acme.test", address)).accepted
    boxes.forget()
    assert submit(clients["dario@acme.test"], "dario@acme.test", address, compose("dario@acme.test", address)).accepted
    assert boxes["carla"].the_one().one("List-Id") == "<team.acme.test>"


def test_who_is_addressed_twice_gets_one_copy(clients: Clients, boxes: Boxes) -> None:
    recipients = ["anna@acme.test", "team@acme.test", "crew@acme.test", "inner@acme.test", "bruno@acme.test", "anna+x@acme.test"]
    assert submit(clients["dario@acme.test"], "dario@acme.test", recipients, compose("dario@acme.test", "many")).accepted
    for name in ("anna", "bruno", "carla"):
        boxes[name].the_one()


def test_a_poster_who_is_a_member_gets_a_copy(clients: Clients, boxes: Boxes) -> None:
    assert submit(clients["anna@acme.test"], "anna@acme.test", "team@acme.test", compose("anna@acme.test", "team")).accepted
    boxes["anna"].the_one()


@pytest.mark.parametrize("door", DOORS)
def test_members_of_every_status(server: Server, clients: Clients, boxes: Boxes, door: str) -> None:
    server.prov("modifyAccount resting@acme.test status maintenance")
    number = len(server.messages("resting@acme.test")) if door == "none" else DOORS.index(door)
    assert post(server, clients, door, "states@acme.test", compose("dario@acme.test", "states", f"at {door}")).accepted
    assert boxes["anna"].the_one().one("Subject") == f"at {door}"
    server.prov("modifyAccount resting@acme.test status active")
    held = server.wait_for("resting@acme.test", count=number + 1)
    assert Letter(held[-1]).one("Subject") == f"at {door}"
    assert Letter(held[-1]).one("Return-Path") == "<states-bounces@acme.test>"
    assert boxes["dario"].new() == [], "whose account is closed is not the poster's business"


def test_locked_members_get_it_closed_and_pending_ones_do_not(server: Server) -> None:
    """After the test above: the mail of three doors."""
    server.prov(*(f"modifyAccount {name}@acme.test status active" for name in ("locked", "closed", "pending")))
    assert len(server.messages("locked@acme.test")) == 3
    assert server.messages("closed@acme.test") == []
    assert server.messages("pending@acme.test") == []


@pytest.mark.parametrize("door", DOORS)
def test_of_a_member_without_room_the_owners_hear_and_not_the_poster(server: Server, clients: Clients, boxes: Boxes, door: str) -> None:
    assert post(server, clients, door, "crowded@acme.test", compose("dario@acme.test", "crowded")).accepted
    boxes["anna"].the_one()
    report = boxes["owen"].the_one()
    assert b"full@acme.test" in report.octets
    assert b"5.2.2" in report.octets
    assert report.one("Return-Path") == "<>"
    assert boxes["dario"].new() == []


@pytest.mark.parametrize("door", DOORS)
def test_a_list_without_members_takes_mail(server: Server, clients: Clients, door: str) -> None:
    assert post(server, clients, door, "empty@acme.test", compose("dario@acme.test", "empty")).accepted


# --- who may post


@pytest.mark.parametrize("kind", list(GRANTEES))
def test_who_was_granted_posting_may_post(clients: Clients, boxes: Boxes, kind: str) -> None:
    said = submit(clients["dario@acme.test"], "dario@acme.test", f"only-{kind}@acme.test", compose("dario@acme.test", "only"))
    assert said.accepted, said
    assert boxes["carla"].the_one().one("List-Id") == f"<only-{kind}.acme.test>"


@pytest.mark.parametrize(
    ("user", "kind", "allowed"),
    [
        ("stan@other.test", "usr", False),
        ("stan@other.test", "grp", False),
        ("stan@other.test", "nested", False),
        ("stan@other.test", "dom", False),
        ("stan@other.test", "cos", False),
        ("stan@other.test", "all", True),
        ("anna@acme.test", "usr", False),
        ("anna@acme.test", "cos", False),
        ("anna@acme.test", "dom", True),
    ],
)
def test_who_was_not_granted_posting_is_refused_at_rcpt(clients: Clients, boxes: Boxes, user: str, kind: str, allowed: bool) -> None:
    said = submit(clients[user], user, f"only-{kind}@acme.test", compose(user, "only"))
    if allowed:
        assert said.accepted, said
        return
    assert (said.enhanced, said.at) == ("550 5.7.1", "RCPT")
    assert boxes["carla"].new() == []
    assert boxes[user].new() == [], "no bounce"


def test_a_member_needs_the_grant_too(clients: Clients) -> None:
    said = submit(clients["carla@acme.test"], "carla@acme.test", "only-usr@acme.test", compose("carla@acme.test", "x"))
    assert (said.enhanced, said.at) == ("550 5.7.1", "RCPT")


@pytest.mark.parametrize("address", ["denied@acme.test", "lapsed@acme.test"])
def test_denied_and_lapsed_grants(clients: Clients, address: str) -> None:
    said = submit(clients["dario@acme.test"], "dario@acme.test", address, compose("dario@acme.test", "x"))
    assert (said.enhanced, said.at) == ("550 5.7.1", "RCPT")
    assert submit(clients["anna@acme.test"], "anna@acme.test", address, compose("anna@acme.test", "x")).accepted is (
        address == "denied@acme.test"
    )


@pytest.mark.parametrize("kind", list(GRANTEES))
def test_on_mx_a_local_mail_from_satisfies_no_grant(server: Server, boxes: Boxes, kind: str) -> None:
    said = handed_in(server, "mx", "dario@acme.test", f"only-{kind}@acme.test", compose("dario@acme.test", "x"))
    assert (said.enhanced, said.at) == ("550 5.7.1", "RCPT")
    assert boxes["carla"].new() == []


@pytest.mark.parametrize("kind", list(GRANTEES))
def test_on_lmtp_it_does(server: Server, boxes: Boxes, kind: str) -> None:
    assert handed_in(server, "lmtp", "dario@acme.test", f"only-{kind}@acme.test", compose("dario@acme.test", "x")).accepted
    boxes["carla"].the_one()
    said = handed_in(server, "lmtp", "whoever@elsewhere.test", f"only-{kind}@acme.test", compose("dario@acme.test", "x"))
    assert (said.enhanced, said.at) == ("550 5.7.1", "RCPT")


@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_strangers_may_post_to_an_open_list(server: Server, boxes: Boxes, door: str) -> None:
    assert handed_in(server, door, "whoever@elsewhere.test", "team@acme.test", compose("whoever@elsewhere.test", "x")).accepted
    boxes["anna"].the_one()


def test_a_nested_list_that_refuses_gets_no_copy_and_the_poster_one_notice(clients: Clients, boxes: Boxes) -> None:
    assert submit(clients["anna@acme.test"], "anna@acme.test", "broad@acme.test", compose("anna@acme.test", "broad", "wide")).accepted
    own, notice = sorted(boxes["anna"].new(), key=lambda letter: letter.one("Subject") != "wide")
    assert own.one("List-Id") == "<broad.acme.test>"
    assert "only-usr@acme.test" in (notice.one("Subject") or "")
    assert notice.one("Auto-Submitted") is not None
    assert notice.one("Return-Path") == "<>"
    assert boxes["carla"].new() == []
    # who may post there is told nothing
    assert submit(clients["dario@acme.test"], "dario@acme.test", "broad@acme.test", compose("dario@acme.test", "broad")).accepted
    boxes["carla"].the_one()
    boxes["anna"].the_one()
    assert boxes["dario"].new() == []


@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_strangers_get_no_notice(server: Server, boxes: Boxes, door: str) -> None:
    assert handed_in(server, door, "stan@other.test", "broad@acme.test", compose("stan@other.test", "x")).accepted
    boxes["anna"].the_one()
    assert boxes["carla"].new() == []
    assert boxes["stan@other.test"].new() == []


def test_a_grant_that_comes_and_goes(server: Server, clients: Clients) -> None:
    octets = compose("owen@acme.test", "x")
    assert submit(clients["owen@acme.test"], "owen@acme.test", "only-usr@acme.test", octets).enhanced == "550 5.7.1"
    server.prov("grantRight dl only-usr@acme.test usr owen@acme.test sendToDistList")
    assert submit(clients["owen@acme.test"], "owen@acme.test", "only-usr@acme.test", octets).accepted
    client = clients["owen@acme.test"]
    client.mail("owen@acme.test")
    assert client.rcpt("only-usr@acme.test")[0] == 250
    server.prov("revokeRight dl only-usr@acme.test usr owen@acme.test sendToDistList")
    assert client.data(octets)[0] == 550


# --- what comes back


@pytest.mark.parametrize(
    "address", ["team@acme.test", "team-bounces@acme.test", "team-owner@acme.test", "team-request@acme.test", "crew-owner@acme.test"]
)
@pytest.mark.parametrize("door", DOORS)
def test_the_empty_path_goes_to_the_owners(server: Server, clients: Clients, boxes: Boxes, address: str, door: str) -> None:
    octets = compose("dario@acme.test", address, "bounced")
    if door == "submission":
        assert submit(clients["dario@acme.test"], "", address, octets).accepted
    else:
        assert handed_in(server, door, "", address, octets).accepted
    for name in ("owen", "olive"):
        letter = boxes[name].the_one()
        assert letter.one("Return-Path") == "<>"
        assert letter.every("List-Id") == []
    for name in ("anna", "bruno", "carla"):
        assert boxes[name].new() == []


def test_owner_addresses_take_mail_from_people(server: Server, boxes: Boxes) -> None:
    assert handed_in(server, "mx", "x@elsewhere.test", "team-owner@acme.test", compose("x@elsewhere.test", "x")).accepted
    assert boxes["owen"].the_one().one("Return-Path") == "<x@elsewhere.test>"


@pytest.mark.parametrize("door", DOORS)
def test_a_list_without_owners_takes_no_bounces(server: Server, clients: Clients, boxes: Boxes, door: str) -> None:
    octets = compose("dario@acme.test", "x")
    said = (
        submit(clients["dario@acme.test"], "", "orphan@acme.test", octets)
        if door == "submission"
        else handed_in(server, door, "", "orphan@acme.test", octets)
    )
    assert said.code == 550
    assert boxes["anna"].new() == []


@pytest.mark.parametrize("mark", ["Delivered-To: team@acme.test", "Delivered-To: TEAM@acme.test", "List-Id: <team.acme.test>"])
@pytest.mark.parametrize("door", DOORS)
def test_what_has_been_at_the_list_goes_not_round_again(server: Server, clients: Clients, boxes: Boxes, mark: str, door: str) -> None:
    octets = f"{mark}\r\n".encode() + compose("dario@acme.test", "team@acme.test")
    said = post(server, clients, door, "team@acme.test", octets)
    assert said.enhanced == "554 5.4.6"
    assert boxes["anna"].new() == []


@pytest.mark.parametrize("door", DOORS)
def test_too_many_hops(server: Server, clients: Clients, door: str) -> None:
    octets = b"Received: by x; y\r\n" * 200 + compose("dario@acme.test", "anna@acme.test")
    assert post(server, clients, door, "anna@acme.test", octets).enhanced == "554 5.4.6"


def test_external_members_without_a_relay_are_left_out(server: Server, clients: Clients, boxes: Boxes) -> None:
    server.prov(
        "createDistributionList mixed@acme.test",
        "addDistributionListMember mixed@acme.test anna@acme.test friend@elsewhere.test",
    )
    assert submit(clients["dario@acme.test"], "dario@acme.test", "mixed@acme.test", compose("dario@acme.test", "x")).accepted
    boxes["anna"].the_one()


def test_a_refusal_to_post_has_no_decision_of_its_own_words(clients: Clients) -> None:
    """The words of RCPT do not depend on whether the list has members."""
    said = submit(clients["stan@other.test"], "stan@other.test", "only-usr@acme.test", b"")
    assert DECISION.sub("", said.text).strip().startswith("5.7.1")
