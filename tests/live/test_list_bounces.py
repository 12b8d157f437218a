"""What comes back from a list's members, and what goes round: delegation.md section 9, RFC 3464, RFC 3834."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.live.list_house import FRIEND, ListHouse, opened_house, text_of
from tests.live.post import submit

OTHER = "other@elsewhere.test"
VERP = re.compile(r"team-bounces\+[0-9a-z]+@acme\.test")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListHouse]:
    # One day with a bounce is enough, so that a test need not wait for days.
    with opened_house(tmp_path_factory.mktemp("bounces"), **{"lists.bounce_limit": 1, "queue.retries": "1s"}) as house:
        house.group("inner", FRIEND, OTHER, "carla@acme.test")
        house.group("team", "anna@acme.test", "inner@acme.test")
        house.forget()
        yield house


@pytest.fixture(autouse=True)
def forget(house: ListHouse) -> None:
    house.forget()


def report(status: str = "5.1.1", action: str = "failed", about: str = "someone@far.test", words: str = "no such user") -> str:
    return (
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.test\r\n\r\n"
        f"Final-Recipient: rfc822; {about}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} {words}\r\n"
        "--b--\r\n"
    )


def bounce(house: ListHouse, to: str, body: str, **fields: str) -> None:
    fields = {"Content_Type": 'multipart/report; report-type=delivery-status; boundary="b"', "Auto_Submitted": "auto-replied"} | fields
    assert house.bring("mailer-daemon@far.test", to, "Undelivered", body, path="", **fields).accepted


def shown(house: ListHouse, name: str = "inner") -> dict[str, dict[str, object]]:
    rows = json.loads(house.server.run("list", "bounces", f"{name}@acme.test", "--json").stdout)
    return {row["member"]: row for row in rows}


def resume(house: ListHouse) -> None:
    for member in shown(house):
        house.server.run("list", "resume", "inner@acme.test", member)


def verp(house: ListHouse, member: str = FRIEND) -> str:
    house.write("anna", "team@acme.test")
    return house.sent(member)[0].sender


def test_each_member_elsewhere_has_an_envelope_sender_of_its_own(house: ListHouse) -> None:
    house.write("anna", "team@acme.test")
    senders = {house.sent(member)[0].sender for member in (FRIEND, OTHER)}
    assert len(senders) == 2
    assert all(VERP.fullmatch(one) for one in senders)
    assert house.box("carla").the_one().one("Return-Path") == "<team-bounces@acme.test>"
    house.forget()
    house.write("anna", "team@acme.test")
    assert {house.sent(member)[0].sender for member in (FRIEND, OTHER)} == senders, "the same every time"


@pytest.mark.parametrize("upper", [False, True])
def test_a_bounce_ends_a_member_s_mail_and_the_owners_hear_once(house: ListHouse, upper: bool) -> None:
    """Whatever address the report speaks of: the tag says whose copy it was, and that it was a list inside the list."""
    address = verp(house)
    bounce(house, address.upper() if upper else address, report())
    bounce(house, address, report())
    (notice,) = house.box("owen").wait()
    assert FRIEND in text_of(notice.body)
    assert "inner@acme.test" in text_of(notice.body)
    row = shown(house)[FRIEND]
    assert row["suspended"] is not None
    assert "no such user" in str(row["reason"])
    house.forget()
    house.write("anna", "team@acme.test")
    house.sent(OTHER)
    assert not [one for one in house.hop.taken if FRIEND in one.recipients]
    assert house.box("owen").new() == []
    assert FRIEND in house.server.run("list", "members", "inner@acme.test").stdout
    events = json.loads(house.server.run("audit", "list", "--json", "--owner", "inner@acme.test").stdout)
    assert events[0]["event"] == "member suspended"
    house.server.run("list", "resume", "inner@acme.test", FRIEND)
    assert shown(house) == {}
    house.write("anna", "team@acme.test")
    house.sent(FRIEND)


def test_what_the_next_hop_refuses_counts_the_same(house: ListHouse) -> None:
    house.hop.answers[f"RCPT {FRIEND}"] = ["550 5.1.1 never heard of"]
    house.write("anna", "team@acme.test")
    (notice,) = house.box("owen").wait()
    assert "never heard of" in text_of(notice.body)
    assert list(shown(house)) == [FRIEND]
    assert house.box("anna").new()  # her copy, and nothing that came back
    resume(house)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (report(action="delayed", status="4.4.1"), {}),
        (report(action="delivered", status="2.1.5"), {}),
        (report(status="5.7.1", words="policy"), {}),
        (report(status="5.6.0", words="content"), {}),
        (report(status="5.3.4", words="too big"), {}),
        ("I am away.", {"Content_Type": "text/plain"}),
        ("--b\r\n\r\nbroken", {}),
    ],
    ids=["delayed", "delivered", "policy", "content", "size", "away", "broken"],
)
def test_what_says_nothing_about_the_member_does_not_count(house: ListHouse, body: str, fields: dict[str, str]) -> None:
    bounce(house, verp(house), body, **fields)
    assert shown(house) == {}
    assert house.box("owen").new() == []


def test_words_for_people_reach_the_owners(house: ListHouse) -> None:
    house.bring("mailer-daemon@old.test", verp(house), "failure notice", "Hi. This is the program.", path="")
    assert house.box("owen").the_one().one("Return-Path") == "<>"
    assert shown(house) == {}


@pytest.mark.parametrize("tag", ["+aaaaaaaaaaaa1", "+zzzz", "", "+" + "0" * 48])
def test_a_tag_that_was_made_up_counts_nothing(house: ListHouse, tag: str) -> None:
    """Or anybody could end anybody's mail."""
    bounce(house, f"team-bounces{tag}@acme.test", report(about=FRIEND))
    assert shown(house) == {}


def test_a_member_that_has_left_is_no_news(house: ListHouse) -> None:
    house.server.prov("addDistributionListMember inner@acme.test gone@elsewhere.test")
    address = verp(house, "gone@elsewhere.test")
    house.server.prov("removeDistributionListMember inner@acme.test gone@elsewhere.test")
    bounce(house, address, report())
    house.server.prov("addDistributionListMember inner@acme.test gone@elsewhere.test")
    assert shown(house) == {}
    assert house.box("owen").new() == []
    house.server.prov("removeDistributionListMember inner@acme.test gone@elsewhere.test")


def test_nothing_that_comes_back_makes_mail(house: ListHouse) -> None:
    """The next hop refuses everything: the copies bounce to us, and nothing goes out for it."""
    house.hop.answers["END"] = ["554 5.1.1 no"] * 10
    house.write("anna", "team@acme.test")
    house.box("owen").wait(2)
    end = time.monotonic() + 10
    while json.loads(house.server.run("queue", "list", "--json").stdout):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert house.hop.taken == []
    assert set(shown(house)) == {FRIEND, OTHER}
    house.hop.answers.clear()
    resume(house)


# --- what goes round


@pytest.mark.parametrize(
    "fields", [{"Auto_Submitted": "auto-replied (vacation)"}, {"Precedence": "auto_reply"}, {"X_Autoreply": "yes"}], ids=str
)
@pytest.mark.parametrize("door", ["submission", "mx"])
def test_the_answer_of_a_machine_is_not_sent_to_a_list(house: ListHouse, fields: dict[str, str], door: str) -> None:
    said = house.write("anna", "team@acme.test", **fields) if door == "submission" else house.bring(OTHER, "team@acme.test", **fields)
    assert said.enhanced == "550 5.7.1"
    assert house.box("anna").new() == []


@pytest.mark.parametrize("submitted", ["no", "auto-generated"])
def test_what_a_machine_writes_of_its_own_accord_is(house: ListHouse, submitted: str) -> None:
    """Reports of jobs are what some lists are for."""
    assert house.write("carla", "team@acme.test", Auto_Submitted=submitted).accepted
    assert house.box("anna").the_one().one("Auto-Submitted") == submitted


@pytest.mark.parametrize(
    "mark",
    [
        "Delivered-To: inner@acme.test",
        "List-Id: <inner.acme.test>",
        "List-Id: The inner ones <INNER.acme.test>",
        "Delivered-To: core@acme.test",
    ],
)
def test_a_nested_list_that_it_has_been_at_is_left_out(house: ListHouse, mark: str) -> None:
    if "core" in mark:
        house.server.prov("addDistributionListAlias inner@acme.test core@acme.test")
    name, _, value = mark.partition(": ")
    assert house.write("carla", "team@acme.test", **{name.replace("-", "_"): value}).accepted
    house.box("anna").the_one()
    assert house.box("carla").new() == []
    assert house.write("anna", "inner@acme.test", **{name.replace("-", "_"): value}).enhanced == "554 5.4.6"


def test_a_member_that_sends_it_back_ends_there(house: ListHouse) -> None:
    """A member elsewhere that forwards to a nested list."""
    house.write("anna", "team@acme.test")
    back = house.sent(FRIEND)[0]
    house.forget()
    client = house.server.lmtp()
    client.ehlo("far.test")
    assert submit(client, back.sender, "inner@acme.test", back.octets).enhanced == "554 5.4.6"
    client.close()
