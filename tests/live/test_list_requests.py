"""Joining and leaving a list by mail: delegation.md section 9, RFC 2369, RFC 3834."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.live.list_house import FRIEND, ListHouse, opened_house, reply_to, text_of
from tests.live.post import Letter


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListHouse]:
    with opened_house(tmp_path_factory.mktemp("requests"), **{"lists.answers": 6}) as house:
        house.group("open", "anna@acme.test", subscriptionPolicy="accept", unsubscriptionPolicy="ACCEPT")
        house.group("asking", "anna@acme.test", subscriptionPolicy="approval", unsubscriptionPolicy="approval")
        house.group("shut", "anna@acme.test", FRIEND)
        house.forget()
        yield house


@pytest.fixture(autouse=True)
def forget(house: ListHouse) -> None:
    house.forget()


# --- who has logged in


@pytest.mark.parametrize("how", ["address", "subject", "body"])
def test_who_has_logged_in_joins_and_leaves_at_once(house: ListHouse, how: str) -> None:
    for word, member in (("subscribe", True), ("unsubscribe", False)):
        if how == "address":
            assert house.write("bruno", f"open-{word}@acme.test").accepted
        elif how == "subject":
            assert house.write("bruno", "open-request@acme.test", f"Re: {word.upper()}").accepted
        else:
            assert house.write("bruno", "open-request@acme.test", "", f"{word}\r\n-- \r\nBruno").accepted
        letter = house.box("bruno").the_one()
        assert letter.one("Return-Path") == "<>"
        assert letter.one("Auto-Submitted") == "auto-replied"
        assert letter.one("From") == "open-request@acme.test"
        assert ("bruno@acme.test" in house.members("open")) is member
    assert house.box("owen").new() == []


def test_it_is_on_record(house: ListHouse) -> None:
    house.write("carla", "open-subscribe@acme.test")
    house.write("carla", "open-unsubscribe@acme.test")
    records = json.loads(house.server.run("audit", "list", "--json", "--owner", "open@acme.test").stdout)
    asked = [one for one in records if one["event"] == "asked by mail" and one["actor_address"] == "carla@acme.test"]
    assert [one["because"] for one in asked] == ["unsubscribe: logged in", "subscribe: logged in"]


def test_what_is_so_already_is_said(house: ListHouse) -> None:
    house.write("anna", "open-subscribe@acme.test")
    assert "already" in text_of(house.box("anna").the_one().body)
    house.write("dario", "open-unsubscribe@acme.test")
    assert "no member" in text_of(house.box("dario").the_one().body)


def test_a_delegate_does_not_join_for_the_owner(house: ListHouse) -> None:
    """What is sent in another's name has to be confirmed by that one."""
    house.server.prov("grantRight account dario@acme.test usr bruno@acme.test sendAs")
    client = house.clients["bruno@acme.test"]
    client.sendmail("bruno@acme.test", ["open-subscribe@acme.test"], b"From: dario@acme.test\r\n\r\nx\r\n")
    assert "dario@acme.test" not in house.members("open")
    asked = house.box("dario").the_one()
    assert "open-confirm+" in reply_to(asked.octets)
    assert house.box("bruno").new() == []


# --- who has not


def join(house: ListHouse, name: str, who: str = FRIEND) -> str:
    """Asked for from elsewhere; the address that confirms it."""
    before = sum(who in one.recipients for one in house.hop.taken)
    assert house.bring(who, f"{name}-subscribe@acme.test").accepted
    return reply_to(house.sent(who, before + 1)[-1].octets)


@pytest.mark.parametrize("how", ["answer", "request"])
def test_who_writes_from_elsewhere_has_to_confirm(house: ListHouse, how: str) -> None:
    who = f"{how}@elsewhere.test"
    confirm = join(house, "open", who)
    question = Letter(house.sent(who)[0].octets)
    assert house.sent(who)[0].sender == ""
    assert question.one("Auto-Submitted") == "auto-replied"
    assert confirm.partition("@")[0].removeprefix("open-confirm+") not in (question.one("Subject") or "")
    assert who not in house.members("open")
    if how == "answer":
        assert house.bring(who, confirm, "Re: Please confirm").accepted
    else:
        key = confirm.partition("+")[2].partition("@")[0]
        assert house.bring(who, "open-request@acme.test", f"confirm {key}").accepted
    welcome = house.sent(who, 2)[1]
    assert "Welcome" in (Letter(welcome.octets).one("Subject") or "")
    assert who in house.members("open")
    # and away again
    assert house.bring(who, "open-unsubscribe@acme.test").accepted
    leave = reply_to(house.sent(who, 3)[2].octets)
    assert who in house.members("open")
    assert house.bring(who, leave).accepted
    house.sent(who, 4)
    assert who not in house.members("open")


def test_a_confirmation_counts_once(house: ListHouse) -> None:
    who = "once@elsewhere.test"
    confirm = join(house, "open", who)
    house.bring(who, confirm)
    house.sent(who, 2)
    house.server.prov(f"removeDistributionListMember open@acme.test {who}")
    house.bring(who, confirm)
    assert "not there any more" in text_of(house.sent(who, 3)[2].octets)
    assert who not in house.members("open")


def test_asked_twice_both_letters_confirm(house: ListHouse) -> None:
    who = "twice@elsewhere.test"
    assert join(house, "open", who) == join(house, "open", who)


@pytest.mark.parametrize("tag", ["", "+", "+aaaaaaaaaaaaaaaa", "+" + "a" * 40])
def test_a_key_that_was_guessed_confirms_nothing(house: ListHouse, tag: str) -> None:
    before = house.members("open")
    house.bring("guess@elsewhere.test", f"open-confirm{tag}@acme.test")
    assert house.members("open") == before


def test_another_list_s_key_confirms_nothing(house: ListHouse) -> None:
    who = "wrong@elsewhere.test"
    confirm = join(house, "open", who)
    house.bring(who, confirm.replace("open-", "asking-"))
    assert who not in house.members("asking") + house.members("open")


MACHINES = (
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": "auto-generated"},
    {"Precedence": "bulk"},
    {"List_Id": "<other.list>"},
    {"X_Autoreply": "yes"},
    {"Content_Type": 'multipart/report; boundary="x"'},
)


@pytest.mark.parametrize("fields", MACHINES)
@pytest.mark.parametrize("to", ["open-subscribe", "open-unsubscribe", "open-request"])
def test_machines_get_no_answer(house: ListHouse, fields: dict[str, str], to: str) -> None:
    who = "machine@elsewhere.test"
    assert house.bring(who, f"{to}@acme.test", "help", **fields).accepted
    assert house.bring("real@elsewhere.test", "open-owner@acme.test").accepted
    house.box("owen").the_one()
    assert not [one for one in house.hop.taken if who in one.recipients]


@pytest.mark.parametrize("fields", MACHINES)
def test_a_machine_confirms_nothing(house: ListHouse, fields: dict[str, str]) -> None:
    """An absence notice answers the question as it answers everything."""
    who = f"away{MACHINES.index(fields)}@elsewhere.test"
    assert house.bring(who, join(house, "open", who), "Out of office: Please confirm", **fields).accepted
    assert who not in house.members("open")


def test_the_empty_path_confirms_nothing(house: ListHouse) -> None:
    who = "empty@elsewhere.test"
    confirm = join(house, "open", who)
    assert house.bring(who, confirm, path="").code == 550
    assert who not in house.members("open")


def test_nobody_is_written_to_without_end(house: ListHouse) -> None:
    who = "victim@elsewhere.test"
    for number in range(12):
        name = ("open-subscribe", "asking-subscribe", "open-request", "shut-subscribe")[number % 4]
        assert house.bring(who, f"{name}@acme.test", "help").accepted
    assert house.write("anna", "open-request@acme.test", "help").accepted  # others still get an answer
    house.box("anna").the_one()
    assert len(house.sent(who, 6)) == 6


def test_what_is_meant_for_people_reaches_the_owners(house: ListHouse) -> None:
    assert house.bring("who@elsewhere.test", "open-request@acme.test", "May I ask you something?", "Subscribe to our newsletter!").accepted
    assert house.box("owen").the_one().one("Return-Path") == "<who@elsewhere.test>"
    house.box("olive").the_one()


# --- the policies


def test_reject_is_what_a_list_does_that_nobody_has_set(house: ListHouse) -> None:
    house.write("bruno", "shut-subscribe@acme.test")
    assert "owners decide" in text_of(house.box("bruno").the_one().body)
    house.write("anna", "shut-unsubscribe@acme.test")
    assert "shut-owner@acme.test" in text_of(house.box("anna").the_one().body)
    assert house.members("shut") == ["anna@acme.test", FRIEND]


@pytest.mark.parametrize("word", ["approve", "reject"])
@pytest.mark.parametrize("how", ["answer", "link", "command"])
def test_approval(house: ListHouse, word: str, how: str) -> None:
    who = f"{word}-{how}@elsewhere.test"
    house.bring(who, join(house, "asking", who))
    assert "have been asked" in text_of(house.sent(who, 2)[1].octets)
    assert who not in house.members("asking")
    asked = house.box("owen").the_one()
    other = house.box("olive").the_one()
    assert asked.one("Auto-Submitted") == "auto-generated"
    assert who in text_of(asked.body)
    decide = reply_to(asked.octets)
    assert decide != reply_to(other.octets), "each owner's own"
    if how == "answer":
        subject = f"Re: {asked.one('Subject')}"
        assert house.write("owen", decide, subject, f"{word} because I say so\r\n\r\n> To let it pass, answer with\r\n> approve").accepted
    elif how == "link":
        assert house.write("owen", decide, word, "").accepted
    else:
        (row,) = [one for one in json.loads(house.server.run("list", "pending", "--json").stdout) if one["address"] == who]
        assert row["stage"] == "owners"
        house.server.run("list", word, row["key"])
    told = text_of(house.sent(who, 3)[2].octets)
    assert (who in house.members("asking")) is (word == "approve")
    assert ("is a member" in told) is (word == "approve")
    if word == "reject" and how == "answer":
        assert "because I say so" in told
    # decided is decided
    assert house.write("olive", reply_to(other.octets), "approve").accepted
    assert "not there any more" in text_of(house.box("olive").the_one().body)
    assert (who in house.members("asking")) is (word == "approve")


def test_an_answer_that_says_neither_decides_nothing(house: ListHouse) -> None:
    who = "neither@elsewhere.test"
    house.bring(who, join(house, "asking", who))
    decide = reply_to(house.box("owen").the_one().octets)
    assert house.write("owen", decide, "Re: x", "Who is that?").accepted
    assert "neither" in text_of(house.box("owen").the_one().body)
    assert house.write("owen", decide, "Re: x", "approve", Auto_Submitted="auto-replied").accepted
    assert who not in house.members("asking")


def test_who_is_no_owner_any_more_decides_nothing(house: ListHouse) -> None:
    who = "late@elsewhere.test"
    house.bring(who, join(house, "asking", who))
    decide = reply_to(house.box("olive").the_one().octets)
    house.box("owen").new()
    house.server.prov("modifyDistributionList asking@acme.test -owner olive@acme.test")
    house.write("olive", decide, "approve")
    house.server.prov("modifyDistributionList asking@acme.test +owner olive@acme.test")
    assert who not in house.members("asking")


def test_leaving_by_approval(house: ListHouse) -> None:
    house.write("anna", "asking-unsubscribe@acme.test")
    assert "have been asked" in text_of(house.box("anna").the_one().body)
    house.write("owen", reply_to(house.box("owen").the_one().octets), "approve")
    assert "anna@acme.test" not in house.members("asking")
    assert "no member" in text_of(house.box("anna").the_one().body)


def test_a_list_does_not_join_a_list(house: ListHouse) -> None:
    house.group("inner", "carla@acme.test")
    house.server.prov("grantRight dl inner@acme.test usr bruno@acme.test sendAsDistList")
    client = house.clients["bruno@acme.test"]
    client.sendmail("bruno@acme.test", ["open-subscribe@acme.test"], b"From: inner@acme.test\r\n\r\nx\r\n")
    assert "inner@acme.test" not in house.members("open")
    assert house.box("carla").new() == [], "it is no member's question"


def test_the_fields_say_what_can_be_done(house: ListHouse) -> None:
    house.write("dario", "open@acme.test")
    letter = house.box("anna").the_one()
    assert letter.one("List-Subscribe") == "<mailto:open-subscribe@acme.test>"
    assert letter.one("List-Unsubscribe") == "<mailto:open-unsubscribe@acme.test>"
    assert letter.one("List-Help") == "<mailto:open-request@acme.test?subject=help>"
    assert letter.one("List-Owner") == "<mailto:open-owner@acme.test>"
    assert letter.every("List-Unsubscribe-Post") == [], "there is no HTTPS door"
    house.write("dario", "shut@acme.test", List_Unsubscribe="<mailto:other@list>", List_Unsubscribe_Post="List-Unsubscribe=One-Click")
    letter = house.box("anna").the_one()
    assert [letter.every(f"List-{name}") for name in ("Subscribe", "Unsubscribe", "Unsubscribe-Post")] == [[], [], []]


def test_help(house: ListHouse) -> None:
    assert house.write("bruno", "open-request@acme.test", "help").accepted
    text = text_of(house.box("bruno").the_one().body)
    assert "mailto:open-subscribe@acme.test" in text


def test_confirmation_survives_a_restart(house: ListHouse) -> None:
    who = "patient@elsewhere.test"
    confirm = join(house, "open", who)
    house.kill_and_start()
    house.bring(who, confirm)
    house.sent(who, 2)
    assert who in house.members("open")
