"""Posts that wait for a list's owners: delegation.md section 9, through every door."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.live.list_house import FRIEND, ListHouse, opened_house, reply_to, text_of
from tests.live.post import Letter, submit
from tests.live.server import compose

STRANGER = "stan@elsewhere.test"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListHouse]:
    with opened_house(tmp_path_factory.mktemp("moderation"), **{"queue.retries": "1s"}) as house:
        house.group("all", "anna@acme.test", "bruno@acme.test", moderation="all")
        house.group("some", "anna@acme.test", FRIEND, moderation="non-members")
        house.group("inner", "carla@acme.test", "anna@acme.test", moderation="all")
        house.group("outer", "anna@acme.test", "bruno@acme.test", "inner@acme.test")
        house.group("strict", "carla@acme.test", moderation="all")
        house.server.prov("grantRight dl strict@acme.test usr anna@acme.test sendToDistList")
        house.forget()
        yield house


@pytest.fixture(autouse=True)
def forget(house: ListHouse) -> None:
    house.forget()


def held(house: ListHouse, *of: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(house.server.run("list", "held", *of, "--json").stdout)
    return rows


def wait_for(house: ListHouse, name: str, count: int = 1) -> list[Letter]:
    """What is let through comes by the queue."""
    return house.box(name).wait(count)


def settled(house: ListHouse) -> None:
    """Nothing waits any more."""
    end = time.monotonic() + 20
    while json.loads(house.server.run("queue", "list", "--json").stdout):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
def test_a_post_waits_and_an_owner_lets_it_through(house: ListHouse, door: str) -> None:
    poster = "dario@acme.test" if door == "submission" else STRANGER
    octets = compose(poster, "all@acme.test", f"from {door}", Message_ID="<1@x>", Date="Sun, 22 Nov 2026 02:00:00 +0000")
    if door == "submission":
        assert house.write("dario", "all@acme.test", f"from {door}").accepted
    elif door == "mx":
        assert house.bring(STRANGER, "all@acme.test", f"from {door}").accepted
    else:
        house.server.deliver("all@acme.test", octets, STRANGER)
    asked, other = house.box("owen").the_one(), house.box("olive").the_one()
    assert asked.one("Return-Path") == "<>"
    assert asked.one("Auto-Submitted") == "auto-generated"
    assert b"Content-Type: message/rfc822" in asked.octets
    assert f"Subject: from {door}".encode() in asked.octets.replace(b"\n  ", b"\n")
    assert house.box("anna").new() == house.box("bruno").new() == []
    (row,) = held(house, "all@acme.test")
    assert (row["list"], row["address"], row["subject"]) == ("all@acme.test", poster, f"from {door}")
    if door == "submission":
        assert "waits" in (house.box("dario").the_one().one("Subject") or "")
    assert "held: list owners" in house.server.run("queue", "list").stdout
    assert house.write("owen", reply_to(asked.octets), f"Re: {asked.one('Subject')}", "approve").accepted
    for name in ("anna", "bruno"):
        (letter,) = wait_for(house, name)
        assert letter.one("List-Id") == "<all.acme.test>"
        assert letter.one("Return-Path") == "<all-bounces@acme.test>"
        assert letter.one("Subject") == f"from {door}"
        assert letter.one("From") == poster
    # once, and only once
    assert house.write("olive", reply_to(other.octets), "approve").accepted
    settled(house)
    assert "not there any more" in text_of(house.box("olive").the_one().body)
    assert house.box("anna").new() == house.box("bruno").new() == []


def test_a_large_post_is_told_by_its_header(house: ListHouse) -> None:
    assert house.write("dario", "all@acme.test", "large", "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 5000).accepted
    asked = house.box("owen").the_one()
    assert len(asked.octets) < 20_000
    assert b"text/rfc822-headers" in asked.octets
    house.write("owen", reply_to(asked.octets), "approve")
    (letter,) = wait_for(house, "anna")
    assert len(letter.body) > 5000 * 72


@pytest.mark.parametrize("how", ["mail", "command", "quiet"])
def test_an_owner_refuses(house: ListHouse, how: str) -> None:
    house.write("dario", "all@acme.test", f"refuse by {how}")
    house.box("dario").the_one()
    asked = house.box("owen").the_one()
    if how == "mail":
        house.write("owen", reply_to(asked.octets), "Re: x", "Reject: not here,\r\nplease\r\n-- \r\nOwen")
    else:
        (row,) = held(house)
        house.server.run("list", "reject", "--reason", "not here, please", *(["--quiet"] if how == "quiet" else []), row["key"][:6])
    assert held(house) == []
    settled(house)
    assert house.box("anna").new() == []
    if how == "quiet":
        assert house.box("dario").new() == []
    else:
        told = house.box("dario").the_one()
        assert re.search("not here, ?please", text_of(told.body))
        assert f"refuse by {how}" in text_of(told.body)


def test_strangers_hear_nothing(house: ListHouse) -> None:
    """Nobody has shown that it was they who wrote."""
    for word in ("reject", "approve"):
        house.bring(STRANGER, "all@acme.test", "spam?")
        house.write("owen", reply_to(house.box("owen").the_one().octets), word)
    wait_for(house, "anna")
    settled(house)
    assert not [one for one in house.hop.taken if STRANGER in one.recipients]


@pytest.mark.parametrize("user", ["owen", "olive"])
def test_what_an_owner_posts_does_not_wait(house: ListHouse, user: str) -> None:
    house.write(user, "all@acme.test")
    house.box("anna").the_one()


def test_members_do_not_wait_where_only_others_do(house: ListHouse) -> None:
    house.write("anna", "some@acme.test")
    house.box("anna").the_one()
    house.bring(FRIEND, "some@acme.test")
    house.box("anna").the_one()
    house.bring(STRANGER, "some@acme.test")
    house.write("bruno", "some@acme.test")
    house.bring("anna@acme.test", "some@acme.test")  # at this door it could be anybody
    assert house.box("anna").new() == []
    assert len(held(house, "some@acme.test")) == 3
    house.server.run("list", "reject", *[row["key"] for row in held(house)])


def test_a_nested_list_holds_its_part(house: ListHouse) -> None:
    house.write("dario", "outer@acme.test", "nested")
    for name in ("anna", "bruno"):
        assert house.box(name).the_one().one("List-Id") == "<outer.acme.test>"
    assert house.box("carla").new() == []
    asked = house.box("owen").the_one()
    assert "inner@acme.test" in text_of(asked.body)
    house.write("owen", reply_to(asked.octets), "approve")
    (letter,) = wait_for(house, "carla")
    assert letter.one("List-Id") == "<inner.acme.test>"
    settled(house)
    assert house.box("anna").new() == [], "she has it from the outer list"


def test_the_grant_is_judged_again(house: ListHouse) -> None:
    assert house.write("bruno", "strict@acme.test").enhanced == "550 5.7.1", "refused before anything waits"
    house.write("anna", "strict@acme.test", "still?")
    house.box("anna").the_one()
    asked = house.box("owen").the_one()
    house.server.prov("revokeRight dl strict@acme.test usr anna@acme.test sendToDistList")
    house.server.prov("grantRight dl strict@acme.test usr dario@acme.test sendToDistList")
    house.write("owen", reply_to(asked.octets), "approve")
    (told,) = wait_for(house, "anna")
    assert b"5.7.1" in told.octets
    settled(house)
    assert house.box("carla").new() == []
    records = json.loads(house.server.run("audit", "list", "--json", "--owner", "strict@acme.test").stdout)
    assert [(one["event"], one["allowed"], one["actor_address"]) for one in records[:1]] == [("post", False, "anna@acme.test")]
    events = {(one["event"], one["actor_address"]) for one in records}
    assert {("post held", "anna@acme.test"), ("post approved", "owen@acme.test")} <= events


def test_what_is_held_survives_kill_and_retry(house: ListHouse) -> None:
    house.write("dario", "all@acme.test", "durable")
    decide = reply_to(house.box("owen").the_one().octets)
    house.kill_and_start()
    house.server.run("queue", "retry")
    house.server.run("queue", "retry")
    assert len(held(house)) == 1
    assert house.box("anna").new() == []
    house.write("owen", decide, "approve")
    assert wait_for(house, "anna")[0].one("Subject") == "durable"
    settled(house)
    assert held(house) == []


def test_what_an_operator_drops_is_gone(house: ListHouse) -> None:
    house.write("dario", "all@acme.test", "dropped")
    (row,) = held(house)
    house.server.run("queue", "drop", str(row["queue"]))
    assert held(house) == []
    done = house.server.run("list", "approve", row["key"], check=False)
    assert done.returncode == 1
    assert "nothing that waits is called" in done.stderr


def test_nobody_decides_in_time(house: ListHouse) -> None:
    """With a shorter time, on the same data."""
    house.server.stop()
    house.server.settings["lists.decision"] = "2s"
    house.kill_and_start()
    house.write("dario", "all@acme.test", "too late")
    house.box("dario").the_one()
    assert len(house.box("owen").new()) == 1
    (told,) = wait_for(house, "dario")
    assert "thrown away" in text_of(told.body)
    settled(house)
    assert held(house) == []
    assert house.box("anna").new() == []


def test_two_recipients_of_which_one_waits(house: ListHouse) -> None:
    client = house.clients["dario@acme.test"]
    octets = compose("dario@acme.test", "both", "both")
    assert submit(client, "dario@acme.test", ["carla@acme.test", "all@acme.test"], octets).accepted
    assert house.box("carla").the_one().every("List-Id") == []
    assert house.box("anna").new() == []
