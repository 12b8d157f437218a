"""What sockets cannot show of a submission: what it rests on when it is accepted, what goes on record, what a fault leaves behind.

The table of who may send as whom is played through the submission door in tests/live/test_sender_table.py.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.arrival import arrived
from gateway.refusal import Refused
from gateway.submission import Act
from policy.delivery import Door
from policy.grants import SendRight
from policy.identity import Actor
from policy.reasons import Defer, Reason, Refuse
from policy.rights import Right
from policy.status import AccountStatus
from store import audit
from store.accounts import DeleteAccount
from store.addresses import AddAlias
from store.domains import CreateDomain
from store.errors import Busy
from store.freezes import Freeze, Side, Thaw
from store.queue import AcceptMessage, IntoMailbox
from tests.gateway.house import SECOND, House, address, letter, opened

ANSWER = letter(
    "olga@acme.test",
    "bruno@acme.test",
    "Content-Type: text/calendar; method=REPLY",
    text="BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:olga@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR",
)
AS, BEHALF = SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "dora", "olga") as house:
        yield house


async def refusal(house: House, name: str, path: str, recipients: str, octets: bytes) -> Refuse | Defer:
    with pytest.raises(Refused) as refused:
        await house.submit(name, path, recipients, octets)
    return refused.value.verdict


# --- rights are those of the transaction that accepts


async def test_a_right_revoked_between_the_judgement_and_the_commit_is_gone(house: House) -> None:
    await house.grant("olga", "dora", AS)
    house.store.before = [lambda: house.revoke("olga", "dora", AS)]
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED
    assert house.store.accepts == 1, "it was judged again, and refused"
    assert await house.mail("bruno") == []
    assert await house.mail("olga", "/Sent") == []


async def test_a_grant_that_ends_between_the_judgement_and_the_commit_is_gone(house: House) -> None:
    await house.grant("olga", "dora", AS, expires=house.clock.at + 10 * SECOND)

    async def wait() -> None:
        house.clock.turn(11)

    house.store.before = [wait]
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED
    assert await house.mail("bruno") == []


async def test_send_as_that_becomes_on_behalf_meanwhile_goes_out_on_behalf(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.grant("olga", "dora", BEHALF)
    house.store.before = [lambda: house.revoke("olga", "dora", AS)]
    await house.submit("dora", "dora", "bruno", letter("olga@acme.test"))
    (octets,) = await house.mail("bruno")
    assert b"Sender: Dora <dora@acme.test>\r\n" in octets


async def test_a_foreign_domain_that_becomes_ours_meanwhile_is_no_longer_free(house: House) -> None:
    await house.values("dora", allow_any_from="TRUE")
    house.store.before = [lambda: house.store.do(CreateDomain("elsewhere.test"))]
    verdict = await refusal(house, "dora", "dora", "bruno", letter("press@elsewhere.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED


async def test_an_owner_who_is_locked_meanwhile_is_not_sent_for(house: House) -> None:
    await house.grant("olga", "dora", AS)
    house.store.before = [lambda: house.status("olga", AccountStatus.LOCKED)]
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    assert verdict.reason is Reason.PRINCIPAL_STATUS


async def test_a_recipient_who_is_closed_meanwhile_gets_nothing(house: House) -> None:
    house.store.before = [lambda: house.status("bruno", AccountStatus.CLOSED)]
    verdict = await refusal(house, "anna", "anna", "bruno", letter())
    assert verdict == Refuse(Reason.RECIPIENT_CLOSED, "closed")


async def test_one_of_two_recipients_who_is_closed_meanwhile_is_reported(house: House) -> None:
    house.store.before = [lambda: house.status("bruno", AccountStatus.CLOSED)]
    await house.submit("anna", "anna", ["olga", "bruno"], letter())
    assert len(await house.mail("olga")) == 1
    (report,) = await house.mail("anna")
    assert b"Final-Recipient: rfc822; bruno@acme.test" in report
    assert b"Status: 5.2.1" in report


async def test_what_changes_every_time_is_told_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.delivery.JUDGED_FOR", 0.1)
    house.store.before = [lambda: house.values("bruno", quota="0")] * 10_000
    verdict = await refusal(house, "anna", "anna", "bruno", letter())
    assert verdict == Defer(Reason.BUSY)
    assert house.store.accepts > 1
    assert await house.mail("bruno") == []


async def test_a_batch_of_changes_does_not_put_off_a_message(house: House) -> None:
    """A line of the batch between each judgement and its deed, for a good second or until the batch ends."""
    house.store.before = [lambda: house.values("bruno", quota="0")] * 12
    await house.submit("anna", "anna", "bruno", letter())
    assert house.store.accepts == 13
    assert len(await house.mail("bruno")) == 1
    house.store.before = [lambda: house.values("bruno", quota="0")] * 12
    assert len(await house.bring(Door.LMTP, "stan@elsewhere.test", ["bruno"], letter("stan@elsewhere.test"))) == 1
    assert len(await house.mail("bruno")) == 2


async def test_octets_of_what_was_judged_in_vain_are_not_left_behind(house: House) -> None:
    house.store.before = [lambda: house.values("bruno", quota="0")] * 3
    await house.submit("anna", "anna", "bruno", letter(text="x" * 200_000))
    assert len(house.files.aged(2 << 60)) == 1


async def test_an_unrelated_change_costs_no_second_judgement(house: House) -> None:
    house.store.before = [lambda: house.values("olga", quota="0")]
    await house.submit("anna", "anna", "bruno", letter())
    assert house.store.accepts == 1


@pytest.mark.parametrize("what", ["x", "right to read"])
async def test_x_and_the_right_to_read_are_witnessed_too(house: House, what: str) -> None:
    if what == "x":
        await house.share("olga", "/Calendar", "dora", Right.ACTION)
        octets = letter(
            "dora@acme.test",
            "bruno@acme.test",
            "MIME-Version: 1.0",
            "Content-Type: text/calendar; method=REPLY",
            text="BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
            'ATTENDEE;SENT-BY="mailto:dora@acme.test":mailto:olga@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR',
        )
        path, taken, reason = "/Calendar", Right.NONE, Reason.INVITATION_NOT_PERMITTED
    else:
        await house.values("dora", allow_resend="TRUE")
        original = letter("stan@elsewhere.test", "olga@acme.test", "Message-ID: <1@elsewhere.test>", "Date: x")
        await house.bring(Door.LMTP, "stan@elsewhere.test", ["olga"], original)
        await house.share("olga", "/INBOX", "dora", Right.LOOKUP | Right.READ)
        octets = b"Resent-From: dora@acme.test\r\n" + original
        path, taken, reason = "/INBOX", Right.NONE, Reason.SENDER_NOT_PERMITTED
    house.store.before = [lambda: house.share("olga", path, "dora", taken)]
    verdict = await refusal(house, "dora", "", "bruno", octets)
    assert verdict.reason is reason
    await house.share("olga", path, "dora", Right.ACTION if what == "x" else Right.LOOKUP | Right.READ)
    await house.submit("dora", "", "bruno", octets)
    assert len(await house.mail("bruno")) == 1


async def test_who_is_deleted_in_the_middle_sends_nothing(house: House) -> None:
    house.store.before = [lambda: house.store.do(DeleteAccount(house.ids["anna"]))]
    verdict = await refusal(house, "anna", "anna", "bruno", letter())
    assert verdict.reason is Reason.SESSION_ENDED
    assert await house.mail("bruno") == []


# --- the record (section 11)


async def test_send_as_and_on_behalf_are_on_record(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.grant("anna", "dora", BEHALF)
    key = await house.submit("dora", "dora", "bruno", letter("olga@acme.test", "x", "Message-ID: <1@x>"))
    await house.submit("dora", "dora", "bruno", letter("anna@acme.test"))
    first, second = (row.entry for row in await house.records())
    assert (first.event, first.right, first.allowed) == ("send-as", "send-as", True)
    assert (first.actor_address, first.principal_address) == ("dora@acme.test", "olga@acme.test")
    assert (first.actor, first.principal) == (house.ids["dora"], house.ids["olga"])
    assert (first.protocol, first.source, first.message_id, first.queue_id) == ("smtp", "192.0.2.7", "<1@x>", key)
    assert "sendAs" in first.because
    assert first.decision.startswith("d-")
    assert (second.event, second.principal_address) == ("on-behalf", "anna@acme.test")
    assert second.message_id.endswith("@acme.test>"), "ours, where the client wrote none"


async def test_own_mail_leaves_no_record(house: House) -> None:
    await house.submit("anna", "anna", "bruno", letter())
    assert await house.records() == []


async def test_a_refusal_is_on_record_under_the_decision_that_was_quoted(house: House) -> None:
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test", "x", "Message-ID: <1@x>"))
    (row,) = await house.records()
    assert verdict.decision == row.entry.decision
    assert row.entry.allowed is False
    assert row.entry.message_id == "<1@x>"
    assert "olga@acme.test" in row.entry.because
    assert (row.entry.principal, row.entry.principal_address) == (house.ids["olga"], "olga@acme.test")
    assert row.entry.right == "sendAs or sendOnBehalfOf"
    at_mail = await refusal(house, "dora", "olga", "bruno", letter())
    assert at_mail.reason is Reason.REVERSE_PATH_NOT_PERMITTED
    entry = (await house.records())[-1].entry
    assert entry.decision == at_mail.decision
    assert (entry.principal, entry.right) == (house.ids["olga"], "sendAs or sendOnBehalfOf")
    owners_part = await house.ask(audit.of_owner, house.ids["olga"])
    assert [one.entry.decision for one in owners_part] == [at_mail.decision, verdict.decision]


async def test_a_refusal_about_nobodys_address_names_no_principal(house: House) -> None:
    verdict = await refusal(house, "dora", "", "bruno", letter("nobody@acme.test"))
    (row,) = await house.records()
    assert (row.entry.decision, row.entry.principal, row.entry.principal_address) == (verdict.decision, None, "")


async def test_a_refusal_by_the_owners_status_is_on_the_owners_record(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.status("olga", AccountStatus.LOCKED)
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    (row,) = await house.ask(audit.of_owner, house.ids["olga"])
    assert (row.entry.decision, row.entry.allowed) == (verdict.decision, False)


async def test_an_answer_that_is_refused_is_on_the_owners_record(house: House) -> None:
    verdict = await refusal(house, "dora", "", "bruno", ANSWER)
    assert verdict.reason is Reason.INVITATION_NOT_PERMITTED
    (row,) = await house.ask(audit.of_owner, house.ids["olga"])
    assert (row.entry.decision, row.entry.allowed, row.entry.right) == (verdict.decision, False, "x")


async def test_a_refused_post_is_on_record(house: House) -> None:
    group = await house.group("team", "bruno")
    await house.grant("team", "anna", SendRight.SEND_TO_LIST)
    transaction = await house.submission.begin(house.actor("dora"), address("dora"), smtputf8=False)
    with pytest.raises(Refused) as refused:
        await transaction.add(address("team"))
    (row,) = await house.records()
    assert refused.value.verdict == Refuse(Reason.POSTING_NOT_PERMITTED, "team@acme.test", row.entry.decision)
    assert (row.entry.event, row.entry.allowed, row.entry.right) == ("post", False, "sendToDistList")
    assert (row.entry.principal, row.entry.principal_address) == (group, "team@acme.test")


@pytest.mark.parametrize("others", [False, True])
async def test_a_post_that_is_refused_at_the_end_is_on_record(house: House, others: bool) -> None:
    group = await house.group("team", "bruno")
    house.store.before = [lambda: house.grant("team", "anna", SendRight.SEND_TO_LIST)]
    if others:
        await house.submit("dora", "dora", ["team", "olga"], letter("dora@acme.test"))
    else:
        verdict = await refusal(house, "dora", "dora", "team", letter("dora@acme.test"))
        assert verdict.decision == (await house.records())[0].entry.decision
    (row,) = await house.records()
    assert (row.entry.event, row.entry.allowed, row.entry.principal) == ("post", False, group)


async def test_a_nested_list_that_gets_no_copy_is_on_record(house: House) -> None:
    inner = await house.group("inner", "bruno")
    await house.group("outer", "inner", "olga")
    await house.grant("inner", "anna", SendRight.SEND_TO_LIST)
    key = await house.submit("dora", "dora", "outer", letter("dora@acme.test"))
    (row,) = await house.records()
    assert (row.entry.event, row.entry.allowed, row.entry.principal, row.entry.queue_id) == ("post", False, inner, key)


async def test_who_really_acts_is_on_record(house: House) -> None:
    await house.grant("olga", "anna", AS)
    await house.grant("anna", "dora", SendRight.LOGIN_AS)
    as_anna = Actor(house.ids["anna"], address("anna"), "Anna", house.ids["dora"], address("dora"))
    transaction = await house.submission.begin(as_anna, None, smtputf8=False)
    await transaction.add(address("bruno"))
    await transaction.commit(letter("olga@acme.test"))
    (row,) = await house.records()
    assert (row.entry.actor_address, row.entry.person_address, row.entry.person) == ("anna@acme.test", "dora@acme.test", house.ids["dora"])


async def test_a_rewritten_from_is_on_record(house: House) -> None:
    await house.values("dora", unauthorised_from="rewrite")
    await house.submit("dora", "dora", "bruno", letter("olga@acme.test"))
    (row,) = await house.records()
    assert (row.entry.event, row.entry.allowed) == ("rewrite", False)
    assert (row.entry.principal, row.entry.principal_address) == (house.ids["olga"], "olga@acme.test")


# --- MAIL FROM (5.6)


async def test_an_address_that_the_right_does_not_cover_may_be_the_envelope_sender(house: House) -> None:
    await house.store.do(AddAlias(house.ids["olga"], address("press")))
    await house.values("olga", delegated_sender_addresses="olga@acme.test")
    await house.grant("olga", "dora", BEHALF)
    await house.submit("dora", "press", "bruno", letter("olga@acme.test"))
    (octets,) = await house.mail("bruno")
    assert octets.startswith(b"Return-Path: <press@acme.test>\r\n")
    verdict = await refusal(house, "dora", "press", "bruno", letter("press@acme.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED, "the From is another matter"


async def test_who_may_only_answer_invitations_may_do_so_from_the_owners_envelope_sender(house: House) -> None:
    assert (await refusal(house, "dora", "olga", "bruno", ANSWER)).reason is Reason.REVERSE_PATH_NOT_PERMITTED
    await house.share("olga", "/Calendar", "dora", Right.ACTION)
    await house.submit("dora", "olga", "bruno", ANSWER)
    (octets,) = await house.mail("bruno")
    assert octets.startswith(b"Return-Path: <olga@acme.test>\r\n")
    verdict = await refusal(house, "dora", "olga", "bruno", letter("olga@acme.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED, "no answer to an invitation"
    verdict = await refusal(house, "dora", "olga", "bruno", letter("dora@acme.test"))
    assert verdict.reason is Reason.REVERSE_PATH_NOT_PERMITTED


# --- whose session has ended sends nothing, not even what was under way


@pytest.mark.parametrize("status", [AccountStatus.LOCKED, AccountStatus.CLOSED, AccountStatus.MAINTENANCE])
async def test_who_is_not_active_any_more_sends_nothing(house: House, status: AccountStatus) -> None:
    house.store.before = [lambda: house.status("anna", status)]
    assert (await refusal(house, "anna", "anna", "bruno", letter())).reason is Reason.SESSION_ENDED
    assert await house.mail("bruno") == []


@pytest.mark.parametrize("how", ["revoked", "over", "locked"])
async def test_who_may_not_act_as_another_any_more_sends_nothing_as_such(house: House, how: str) -> None:
    await house.grant("anna", "dora", SendRight.LOGIN_AS, expires=house.clock.at + 10 * SECOND)
    as_anna = Actor(house.ids["anna"], address("anna"), "Anna", house.ids["dora"], address("dora"))

    async def end() -> None:
        match how:
            case "revoked":
                await house.revoke("anna", "dora", SendRight.LOGIN_AS)
            case "over":
                house.clock.turn(11)
            case _:
                await house.status("dora", AccountStatus.LOCKED)

    transaction = await house.submission.begin(as_anna, None, smtputf8=False)
    await transaction.add(address("bruno"))
    house.store.before = [end]
    with pytest.raises(Refused) as refused:
        await transaction.commit(letter())
    assert refused.value.verdict.reason is Reason.SESSION_ENDED
    assert await house.mail("bruno") == []


# --- the trace


@pytest.mark.parametrize(
    ("smtputf8", "secured", "word"),
    [(False, True, b"ESMTPSA"), (False, False, b"ESMTPA"), (True, True, b"UTF8SMTPSA"), (True, False, b"UTF8SMTPA")],
)
async def test_received_says_how_it_came(house: House, smtputf8: bool, secured: bool, word: bytes) -> None:
    transaction = await house.submission.begin(house.actor("anna"), None, smtputf8, "192.0.2.7", secured=secured)
    await transaction.add(address("bruno"))
    await transaction.commit(letter())
    (octets,) = await house.mail("bruno")
    assert b"Received: by mx.acme.test with " + word + b" id " in octets
    assert b"192.0.2.7" not in octets


async def test_an_answered_invitation_is_on_record(house: House) -> None:
    await house.share("olga", "/Calendar", "dora", Right.ACTION)
    text = (
        "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
        'ATTENDEE;SENT-BY="mailto:dora@acme.test":mailto:olga@acme.test\r\nEND:VEVENT\r\nEND:VCALENDAR'
    )
    await house.submit("dora", "dora", "bruno", letter("dora@acme.test", "x", "Content-Type: text/calendar; method=REPLY", text=text))
    (row,) = await house.records()
    assert (row.entry.event, row.entry.right, row.entry.principal_address) == ("answer invitation", "x", "olga@acme.test")


# --- faults


async def test_a_fault_of_the_store_is_later_and_leaves_nothing(house: House) -> None:
    async def fail() -> None:
        raise Busy("no room on the disk")

    house.store.before = [fail]
    assert await refusal(house, "anna", "anna", "bruno", letter()) == Defer(Reason.BUSY)
    assert await house.mail("bruno") == []


async def test_a_refusal_that_cannot_be_recorded_is_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise Busy("no room on the disk")

    monkeypatch.setattr(house.store, "do", full)
    assert await refusal(house, "dora", "", "bruno", letter("olga@acme.test")) == Defer(Reason.BUSY)


async def test_a_header_over_the_limits_is_malformed(house: House) -> None:
    verdict = await refusal(house, "anna", "anna", "bruno", b"From: anna@acme.test\r\n" + b"X: y\r\n" * 600 + b"\r\n")
    assert verdict.reason is Reason.MALFORMED_MESSAGE
    verdict = await refusal(house, "anna", "anna", "bruno", b"From: anna@acme.test\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
    assert verdict.reason is Reason.MALFORMED_MESSAGE


async def test_a_message_is_accepted_once_however_often_it_is_judged(house: House) -> None:
    house.store.before = [lambda: house.values("bruno", quota="0")]
    await house.submit("anna", "anna", "bruno", letter())
    assert house.store.accepts == 2
    assert len(await house.mail("bruno")) == 1


async def test_a_full_mailbox_found_out_in_the_transaction_is_reported(house: House) -> None:
    await house.values("bruno", quota="500")

    async def fill() -> None:
        filling = IntoMailbox(house.ids["bruno"], arrived(letter(text="y" * 300)), 0)
        await house.store.do(AcceptMessage("", (filling,)))

    house.store.before = [fill]
    await house.submit("anna", "anna", ["olga", "bruno"], letter(text="x" * 200))
    assert len(await house.mail("olga")) == 1
    assert len(await house.mail("bruno")) == 1
    (report,) = await house.mail("anna")
    assert b"bruno@acme.test" in report
    assert b"Status: 5.2.2" in report


# --- the kill switches


@pytest.mark.parametrize(("side", "who", "reason"), [(Side.PRINCIPAL, "olga", "PRINCIPAL_FROZEN"), (Side.ACTOR, "dora", "ACTOR_FROZEN")])
async def test_a_freeze_between_the_judgement_and_the_commit_counts(house: House, side: Side, who: str, reason: str) -> None:
    await house.grant("olga", "dora", AS)
    house.store.before = [lambda: house.store.do(Freeze(house.ids[who], side, "lost laptop"))]
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason[reason]
    assert f"{who}@acme.test" in verdict.detail
    assert "laptop" not in verdict.detail, "why is not for who is stopped"
    assert await house.mail("bruno") == await house.mail("olga", "/Sent") == []
    record = (await house.records())[-1].entry
    assert (record.event, record.allowed, record.principal_address) == ("send", False, "olga@acme.test")
    await house.submit("olga", "olga", "bruno", letter("olga@acme.test"))
    await house.submit("dora", "dora", "bruno", letter("dora@acme.test"))
    await house.store.do(Thaw(house.ids[who], side))
    await house.submit("dora", "", "bruno", letter("olga@acme.test"))


@pytest.mark.parametrize(("side", "who"), [(Side.PRINCIPAL, "olga"), (Side.ACTOR, "dora")])
async def test_an_answer_to_an_invitation_is_stopped_too(house: House, side: Side, who: str) -> None:
    await house.share("olga", "/Calendar", "dora", Right.ACTION)
    await house.store.do(Freeze(house.ids[who], side))
    verdict = await refusal(house, "dora", "", "bruno", ANSWER)
    assert verdict.reason in (Reason.PRINCIPAL_FROZEN, Reason.ACTOR_FROZEN)


@pytest.mark.parametrize(("side", "who"), [(Side.PRINCIPAL, "olga"), (Side.ACTOR, "anna")])
async def test_who_acts_as_a_frozen_owner_sends_nothing_and_the_owner_does(house: House, side: Side, who: str) -> None:
    await house.grant("olga", "anna", SendRight.LOGIN_AS)
    via = Actor(house.ids["olga"], address("olga"), "Olga", house.ids["anna"], address("anna"))
    transaction = await house.submission.begin(via, address("olga"), smtputf8=False)
    await transaction.add(address("bruno"))
    await house.store.do(Freeze(house.ids[who], side))
    with pytest.raises(Refused) as refused:
        await transaction.commit(letter("olga@acme.test"))
    assert refused.value.verdict.reason in (Reason.PRINCIPAL_FROZEN, Reason.ACTOR_FROZEN)
    with pytest.raises(Refused) as refused:
        await house.submission.begin(via, address("olga"), smtputf8=False)
    assert refused.value.verdict.decision, "on record"
    await house.submit("olga", "olga", "bruno", letter("olga@acme.test"))


async def test_who_holds_no_right_learns_nothing_of_a_freeze(house: House) -> None:
    await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL))
    verdict = await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))
    assert verdict.reason is Reason.SENDER_NOT_PERMITTED


async def test_a_freeze_is_never_rewritten_away(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.values("dora", unauthorised_from="rewrite")
    await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL))
    assert (await refusal(house, "dora", "", "bruno", letter("olga@acme.test"))).reason is Reason.PRINCIPAL_FROZEN


async def test_a_frozen_list_is_no_name_to_send_in_but_gets_its_mail(house: House) -> None:
    await house.group("team", "bruno")
    await house.grant("team", "dora", AS)
    await house.store.do(Freeze(house.ids["team"], Side.PRINCIPAL))
    assert (await refusal(house, "dora", "", "anna", letter("team@acme.test"))).reason is Reason.PRINCIPAL_FROZEN
    await house.submit("dora", "dora", "team", letter("dora@acme.test"))
    assert len(await house.mail("bruno")) == 1


async def test_what_goes_onto_the_queue_in_anothers_name_can_be_stopped_there(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.status("bruno", AccountStatus.MAINTENANCE)
    for name, from_ in (("dora", "olga"), ("dora", "dora"), ("olga", "olga")):
        await house.submit(name, "", "bruno", letter(f"{from_}@acme.test"))
    assert await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL)) == 1
    assert [row.frozen for row in await house.queued()] == [True, False, False]


async def test_a_neighbour_that_asks_is_told_of_a_freeze(house: House) -> None:
    await house.grant("olga", "dora", AS)
    act = Act(house.actor("dora"), "192.0.2.7", "policy")
    await house.submission.envelope(act, address("olga"))
    await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL))
    with pytest.raises(Refused) as refused:
        await house.submission.envelope(act, address("olga"))
    assert refused.value.verdict.reason is Reason.PRINCIPAL_FROZEN
    await house.submission.envelope(act, address("dora"))
