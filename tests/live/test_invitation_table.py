"""The whole table of delegation.md section 7 through the submission door, and answers as real programs write them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes

import pytest
from icalendar import Calendar

from tests.gateway.message.replies import GOOGLE_COUNTER, SERIES, SHAPES, message, mixed
from tests.gateway.message.replies import base64 as in_base64
from tests.gateway.message.replies import calendar as part_head
from tests.gateway.message.test_opaque import signed
from tests.live.post import DECISION, Clients, Letter, Postbox, submit
from tests.live.server import PASSWORD, Server
from tests.live.test_invitations import answer, calendar, sent_by

OWNERS = ("none", "x", "as", "behalf", "x-as", "x-behalf")
LOCKED = ("locked-none", "locked-read", "locked-full")
DORA = "Dora Delegate <dora@acme.test>"
REFUSED = "550 5.7.1"
MALFORMED = "550 5.6.0"
WITH_X = ("x", "x-as", "x-behalf", "anna", *LOCKED)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("answers"))
    server.directory.mkdir(exist_ok=True)
    server.prov(
        "createDomain acme.test",
        "createDomain other.test",
        "createAliasDomain also.test acme.test",
        f"createAccount dora@acme.test '{PASSWORD}' displayName 'Dora Delegate'",
        "addAccountAlias dora@acme.test dd@acme.test",
        f"createAccount rita@other.test '{PASSWORD}'",
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in (*OWNERS, "third", "anna", "pat", *LOCKED)),
        *(f"addAccountAlias {name}@acme.test {name}-alias@acme.test" for name in OWNERS),
        *(f"selectMailbox {name}@acme.test modifyFolderGrant /Calendar account dora@acme.test x" for name in WITH_X),
        *(f"grantRight account {name}@acme.test usr dora@acme.test sendAs" for name in ("as", "x-as", "third")),
        *(f"grantRight account {name}@acme.test usr dora@acme.test sendOnBehalfOf" for name in ("behalf", "x-behalf")),
        *(f"modifyAccount {name}@acme.test delegationWhenLocked {name.removeprefix('locked-')} status locked" for name in LOCKED),
        "createDistributionList round@acme.test",
        "grantRight dl round@acme.test usr dora@acme.test sendAsDistList",
        "createDistributionList assistants@acme.test",
        "addDistributionListMember assistants@acme.test dora@acme.test",
        "selectMailbox pat@acme.test modifyFolderGrant / group assistants@acme.test rwixd",
    )
    with server:
        yield server


# --- right × From × SENT-BY × method, written by hand

NO = (REFUSED, "")
BEHALF_ADDED = ("on-behalf", "dora@acme.test")
OWN = {"dora@acme.test": "dora@acme.test", "dd@acme.test": "dd@acme.test"}
OTHERS = ("rita@other.test", "third@acme.test", "x@acme.test", "nobody@acme.test")

ANSWERS: dict[tuple[str, str, str | None], tuple[str, str]] = {}
"""(right, From, SENT-BY): what becomes of a REPLY or COUNTER for the owner, and the SENT-BY that arrives."""
for right in ("x", "x-behalf"):
    for from_ in ("owner", "alias", "alias domain", "tag"):
        ANSWERS[right, from_, None] = BEHALF_ADDED
        ANSWERS |= {(right, from_, own): ("on-behalf", own) for own in OWN}
for from_ in ("owner", "alias", "alias domain", "tag"):
    ANSWERS["x-as", from_, None] = ("send-as", "")
    ANSWERS |= {("x-as", from_, own): ("send-as", own) for own in OWN}
for right in ("x", "x-behalf", "x-as"):
    for from_ in ("dora@acme.test", "dd@acme.test", "dora+calendar@acme.test"):
        ANSWERS |= {(right, from_, own): ("self", own) for own in OWN}
"""Everything else is refused."""

FROMS = (
    "owner",
    "alias",
    "alias domain",
    "tag",
    "dora@acme.test",
    "dd@acme.test",
    "dora+calendar@acme.test",
    "third@acme.test",
    "rita@other.test",
)
SENT_BYS = (None, *OWN, *OTHERS)

OTHER_METHODS = {
    # Section 5 alone; SENT-BY is looked at by nobody.
    **{(right, from_): "send-as" for right in ("as", "x-as") for from_ in ("owner", "alias", "alias domain", "tag")},
    **{(right, from_): "on-behalf" for right in ("behalf", "x-behalf") for from_ in ("owner", "alias", "alias domain", "tag")},
    **{(right, from_): "self" for right in OWNERS for from_ in ("dora@acme.test", "dd@acme.test", "dora+calendar@acme.test")},
    **{(right, "third@acme.test"): "send-as" for right in OWNERS},
}


def address(right: str, from_: str) -> str:
    match from_:
        case "owner":
            return f"{right}@acme.test"
        case "alias":
            return f"{right}-alias@acme.test"
        case "alias domain":
            return f"{right}@also.test"
        case "tag":
            return f"{right}+calendar@acme.test"
        case _:
            return from_


def kind_of(letter: Letter, from_: str) -> str:
    """As what it went out, by the message itself."""
    if letter.one("Sender") == DORA:
        return "on-behalf"
    assert letter.every("Sender") == []
    return "self" if from_.startswith(("dora", "dd")) else "send-as"


def test_both_ways_are_on_record_with_the_right(server: Server, clients: Clients) -> None:
    octets = answer("x@acme.test", calendar("x@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    said = submit(clients["dora@acme.test"], "", "rita@other.test", answer("none@acme.test", calendar("none@acme.test")))
    found = DECISION.search(said.text)
    assert found is not None
    lines = server.run("audit", "list", "--limit", "10").stdout.splitlines()
    (refused,) = [line for line in lines if found[0].strip("[]") in line]
    assert all(word in refused for word in ("dora@acme.test", "none@acme.test", "'x'"))
    allowed = [line for line in lines if "answer invitation" in line]
    assert allowed
    assert "x@acme.test" in allowed[0]


@pytest.mark.parametrize("right", OWNERS)
@pytest.mark.parametrize("from_", FROMS)
def test_answers(clients: Clients, rita: Postbox, right: str, from_: str) -> None:
    for method, named in (("REPLY", "owner"), ("COUNTER", "owner"), ("REPLY", "alias"), ("REPLY", "tag"), ("COUNTER", "alias domain")):
        for by in SENT_BYS:
            kind, expected_by = ANSWERS.get((right, from_, by), NO)
            author = address(right, from_)
            octets = answer(author, calendar(address(right, named), by, method=method), method=method)
            said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
            shown = f"{method} for {named} of {right}, From {from_}, SENT-BY {by}: {said}"
            if kind == REFUSED:
                assert said.enhanced == REFUSED, shown
                assert DECISION.search(said.text), shown
                continue
            assert said.accepted, shown
            letter = rita.the_one()
            assert (kind_of(letter, author), sent_by(letter)) == (kind, [expected_by] if expected_by else []), shown
            without = letter.submitted.replace(f"Sender: {DORA}\r\n".encode(), b"")
            if by is None:
                without = without.replace(f';SENT-BY="mailto:{expected_by}"\r\n '.encode(), b"")
            assert without == octets, shown


@pytest.mark.parametrize("right", OWNERS)
@pytest.mark.parametrize("from_", FROMS)
def test_other_methods(clients: Clients, rita: Postbox, right: str, from_: str) -> None:
    for method in ("REQUEST", "CANCEL", "REFRESH", "DECLINECOUNTER", "ADD", "PUBLISH"):
        for by in (None, "dora@acme.test", "rita@other.test") if method == "REQUEST" else (None,):
            kind = OTHER_METHODS.get((right, from_), REFUSED)
            author = address(right, from_)
            octets = answer(author, calendar(f"{right}@acme.test", by, method=method, attendees=3), method=method)
            said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
            if kind == REFUSED:
                assert said.enhanced == REFUSED, said
                continue
            assert said.accepted, said
            letter = rita.the_one()
            assert kind_of(letter, author) == kind
            assert letter.submitted.replace(f"Sender: {DORA}\r\n".encode(), b"") == octets


# --- whose Calendar it is, and how the right is held


def test_the_right_may_come_through_a_group_and_from_the_root(clients: Clients, rita: Postbox) -> None:
    octets = answer("pat@acme.test", calendar("pat@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert sent_by(rita.the_one()) == ["dora@acme.test"]


@pytest.mark.parametrize(("name", "outcome"), [("locked-none", "550"), ("locked-read", "550"), ("locked-full", "250")])
def test_a_locked_owner(clients: Clients, name: str, outcome: str) -> None:
    for from_, by in ((f"{name}@acme.test", None), ("dora@acme.test", "dora@acme.test")):
        said = submit(clients["dora@acme.test"], "", "rita@other.test", answer(from_, calendar(f"{name}@acme.test", by)))
        assert str(said.code) == outcome, said


def test_a_list_has_no_calendar(clients: Clients, rita: Postbox) -> None:
    """Section 5 alone: with sendAs on the list it goes out as the list."""
    octets = answer("round@acme.test", calendar("round@acme.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    letter = rita.the_one()
    assert (letter.every("Sender"), sent_by(letter)) == ([], [])


def test_the_owner_needs_nothing(clients: Clients, rita: Postbox) -> None:
    octets = answer("none@acme.test", calendar("none-alias@acme.test"))
    assert submit(clients["none@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


# --- as programs write them


def answers_in(octets: bytes) -> list[Calendar]:
    kinds = ("text/calendar", "application/ics")
    parts = [one for one in message_from_bytes(octets).walk() if one.get_content_type() in kinds]
    texts = [one.get_payload(decode=True).decode(one.get_content_charset() or "utf-8") for one in parts]
    return [Calendar.from_ical(text.removeprefix("\ufeff")) for text in texts]


@pytest.mark.parametrize("name", SHAPES)
def test_a_delegate_answers_with_a_real_program(clients: Clients, rita: Postbox, name: str) -> None:
    shape = SHAPES[name]
    options = ["BODY=8BITMIME"] if not shape.octets.isascii() else []
    assert submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", shape.octets, options).accepted
    letter = rita.the_one()
    assert letter.one("From") == "anna@acme.test"
    assert letter.one("Sender") == DORA
    arrived = answers_in(letter.octets)
    assert len(arrived) == shape.answers
    for one in arrived:
        for event in one.walk():
            if event.name not in ("VEVENT", "VTODO", "VFREEBUSY"):
                continue
            named = event["ATTENDEE"] if isinstance(event["ATTENDEE"], list) else [event["ATTENDEE"]]
            sent = {str(attendee).lower(): attendee.params.get("SENT-BY") for attendee in named}
            assert sent.pop("mailto:anna@acme.test") == "mailto:dora@acme.test"
            assert set(sent.values()) <= {None}


@pytest.mark.parametrize("name", SHAPES)
def test_without_x_no_program_gets_it_through(clients: Clients, rita: Postbox, name: str) -> None:
    """rita's own submission: she may not answer for Anna, whichever From she writes."""
    octets = SHAPES[name].octets
    options = ["BODY=8BITMIME"] if not octets.isascii() else []
    assert submit(clients["none@acme.test"], "", "rita@other.test", octets, options).enhanced == REFUSED
    octets = octets.replace(b"From: anna@acme.test", b"From: none@acme.test")
    said = submit(clients["none@acme.test"], "", "rita@other.test", octets, options)
    # A counter-proposal that lists everybody, from somebody who is not among them, speaks for nobody.
    assert said.enhanced == (MALFORMED if "all guests" in name else REFUSED), said
    assert rita.new() == []


def test_a_counter_with_all_guests_of_ones_own(clients: Clients, rita: Postbox) -> None:
    """That colleagues are listed is no answer in their name."""
    octets = message("text/calendar; method=COUNTER; charset=utf-8", GOOGLE_COUNTER.encode())
    assert submit(clients["anna@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


def test_a_series_for_two_people_is_malformed(clients: Clients) -> None:
    octets = message("text/calendar; method=REPLY; charset=utf-8", SERIES.replace("ANNA@", "pat@").encode(), encoding="8bit")
    said = submit(clients["dora@acme.test"], "", "rita@other.test", octets, ["BODY=8BITMIME"])
    assert said.enhanced == MALFORMED
    assert "same ATTENDEE" in said.text
    assert DECISION.search(said.text)


def test_an_attachment_cannot_say_more_than_the_calendar(clients: Clients, rita: Postbox) -> None:
    """What Evolution and Roundcube would act on is judged too."""
    other = base64.encodebytes(calendar("none@acme.test", "dora@acme.test").encode()).replace(b"\n", b"\r\n")
    for kind in ("application/ics", 'application/octet-stream; name="invite.ics"', "text/x-vcalendar"):
        octets = message(
            'multipart/mixed; boundary="=_limit"',
            mixed(
                "mixed",
                (part_head("method=REPLY", "base64"), in_base64(calendar("x@acme.test", "dora@acme.test").encode())),
                (f"Content-Type: {kind}\nContent-Transfer-Encoding: base64", other),
            ),
            from_="dora@acme.test",
        )
        assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED
    assert rita.new() == []


def test_two_answers_in_one_message_are_each_judged(clients: Clients, rita: Postbox) -> None:
    def both(one: str, other: str) -> bytes:
        parts = [(part_head("method=REPLY", "7bit"), calendar(f"{name}@acme.test", "dora@acme.test").encode()) for name in (one, other)]
        return message('multipart/mixed; boundary="=_limit"', mixed("mixed", *parts), from_="dora@acme.test")

    assert submit(clients["dora@acme.test"], "", "rita@other.test", both("x", "anna")).accepted
    assert submit(clients["dora@acme.test"], "", "rita@other.test", both("x", "none")).enhanced == REFUSED
    assert submit(clients["dora@acme.test"], "", "rita@other.test", both("none", "x")).enhanced == REFUSED
    assert len(rita.new()) == 1


def test_an_answer_inside_an_smime_signature(clients: Clients, rita: Postbox) -> None:
    def sealed(owner: str, by: str | None, from_: str) -> bytes:
        inner = b"Content-Type: text/calendar; method=REPLY\r\n\r\n" + calendar(f"{owner}@acme.test", by).encode()
        kind = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
        return message(kind, in_base64(signed(inner)) + b"\r\n", from_=from_, encoding="base64")

    for owner, by, from_, outcome in (
        ("none", "dora@acme.test", "dora@acme.test", REFUSED),
        ("x", None, "x@acme.test", REFUSED),  # SENT-BY is missing and cannot be added
        ("x", "dora@acme.test", "x@acme.test", "250"),
        ("x", "dora@acme.test", "dora@acme.test", "250"),
        ("x-as", None, "x-as@acme.test", "250"),
        ("dora", None, "dora@acme.test", "250"),
    ):
        octets = sealed(owner, by, from_)
        said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
        if outcome == REFUSED:
            assert said.enhanced == REFUSED, said
            continue
        assert said.accepted, said
        assert rita.the_one().submitted.replace(f"Sender: {DORA}\r\n".encode(), b"") == octets


def test_a_mail_that_only_talks_of_calendars_is_let_alone(clients: Clients, rita: Postbox) -> None:
    octets = message("text/plain", b"METHOD:REPLY\r\n--calendar\r\nSee invite.ics in your calendar.\r\n", from_="dora@acme.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


def test_an_export_of_a_calendar_may_be_sent(clients: Clients, rita: Postbox) -> None:
    entry = "BEGIN:VEVENT\r\nSUMMARY:please reply\r\nATTENDEE:mailto:none@acme.test\r\nATTENDEE;broken\r\nEND:VEVENT\r\n"
    octets = message(
        "text/calendar; name=all.ics", ("BEGIN:VCALENDAR\r\n" + entry * 20_000 + "END:VCALENDAR\r\n").encode(), "dora@acme.test"
    )
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


# --- on record, later, and under load


def test_it_is_told_beforehand(server: Server) -> None:
    allowed = server.run("can", "dora@acme.test", "accept", "x@acme.test")
    assert "ALLOWED" in allowed.stdout
    denied = server.run("can", "dora@acme.test", "accept", "none@acme.test", check=False)
    assert "DENIED" in denied.stdout
    assert denied.returncode == 1


def test_a_postponed_answer_is_judged_when_it_is_due(server: Server, clients: Clients) -> None:
    server.prov(
        f"createAccount later@acme.test '{PASSWORD}'", "selectMailbox later@acme.test modifyFolderGrant /Calendar account dora@acme.test x"
    )
    box = Postbox(server, "rita@other.test")
    box.new()
    octets = answer("later@acme.test", calendar("later@acme.test"))
    assert submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets, ["HOLDFOR=1"]).accepted
    (letter,) = box.wait()
    assert sent_by(letter) == ["dora@acme.test"]
    assert submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets, ["HOLDFOR=2"]).accepted
    server.prov("selectMailbox later@acme.test modifyFolderGrant /Calendar account dora@acme.test none")
    report = Postbox(server, "dora@acme.test")
    (letter,) = report.wait()
    assert re.search(rb"550|'x'", letter.octets)
    assert box.new() == []
    report.close()
    box.close()


def test_others_are_served_while_large_answers_are_read(server: Server) -> None:
    guests = "".join(f"ATTENDEE;CN=Guest {number};PARTSTAT=ACCEPTED:mailto:guest{number}@other.test\r\n" for number in range(1_000))
    text = calendar("x@acme.test", method="COUNTER", extra=guests.removesuffix("\r\n") + "\r\nX-LONG:" + "x\r\n " * 150_000)
    octets = answer("x@acme.test", text, method="COUNTER")

    def large(_: int) -> None:
        client = server.smtp("dora@acme.test")
        assert submit(client, "", "rita@other.test", octets).accepted
        client.quit()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(large, number) for number in range(3)]
        for _ in range(5):
            client = server.smtp("none@acme.test")
            assert submit(client, "", "rita@other.test", answer("none@acme.test", calendar("none@acme.test"))).accepted
            client.quit()
        for one in running:
            one.result()
