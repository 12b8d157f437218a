"""What becomes of mail that comes in, recipient by recipient, at the doors that know no login."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.arrival import arrived
from gateway.delivery import queue_id
from gateway.message.split import read_header
from gateway.refusal import Refused
from gateway.reports import Failed
from policy.delivery import Door
from policy.grants import SendRight
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus
from store.blobs import IN_ROW
from store.errors import Busy
from store.lists import AddMembers
from store.queue import AcceptMessage, IntoMailbox
from tests.gateway.house import House, address, letter, opened

STRANGER = "stan@elsewhere.test"
MAIL = letter(STRANGER, "anna@acme.test", "Subject: hello")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "carla") as house:
        yield house


async def filled(house: House, name: str) -> None:
    """Takes all the room there is."""
    await house.store.do(AcceptMessage("", (IntoMailbox(house.ids[name], arrived(letter(text="x" * 1000)), 0),)))


def is_id(outcome: object) -> bool:
    return isinstance(outcome, str) and len(outcome) == 20


# --- one reply per recipient


async def test_lmtp_answers_for_each_recipient(house: House) -> None:
    inbound = [AccountStatus.CLOSED, AccountStatus.MAINTENANCE, AccountStatus.LOCKED]
    for status in inbound:
        await house.account(status.value)

    async def change() -> None:
        for status in inbound:
            await house.status(status.value, status)

    house.store.before = [change]
    outcomes = await house.bring(Door.LMTP, STRANGER, ["anna", "closed", "maintenance", "locked"], MAIL)
    assert is_id(outcomes[0])
    assert outcomes[1] == Refuse(Reason.RECIPIENT_CLOSED, "closed")
    assert outcomes[2] == Defer(Reason.RECIPIENT_MAINTENANCE, "maintenance")
    assert outcomes[3] == outcomes[0]
    assert [len(await house.mail(name)) for name in ("anna", "closed", "maintenance", "locked")] == [1, 0, 0, 1]
    assert await house.queued() == []


async def test_mx_accepts_for_all_and_reports_the_rest(house: House) -> None:
    house.store.before = [lambda: house.status("bruno", AccountStatus.CLOSED)]
    outcomes = await house.bring(Door.MX, "carla@acme.test", ["anna", "bruno"], MAIL)
    assert [is_id(one) for one in outcomes] == [True, True]
    (report,) = await house.mail("carla")
    assert b"Final-Recipient: rfc822; bruno@acme.test" in report
    assert report.startswith(b"Return-Path: <>\r\n")


async def test_the_empty_path_gets_no_report(house: House) -> None:
    house.store.before = [lambda: house.status("bruno", AccountStatus.CLOSED)]
    await house.bring(Door.MX, "", ["anna", "bruno"], MAIL)
    assert await house.queued() == []
    assert len(await house.mail("anna")) == 1


async def test_mx_refuses_where_everybody_refuses(house: House) -> None:
    house.store.before = [lambda: house.status("anna", AccountStatus.CLOSED)]
    with pytest.raises(Refused) as refused:
        await house.bring(Door.MX, STRANGER, ["anna"], MAIL)
    assert refused.value.verdict.reason is Reason.RECIPIENT_CLOSED


async def test_maintenance_is_held_at_mx_and_for_lmtp_deferred_at_rcpt(house: House) -> None:
    await house.status("anna", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["anna"], MAIL)
    (row,) = await house.queued()
    assert (row.recipient, row.reverse_path, row.account) == ("anna@acme.test", STRANGER, house.ids["anna"])
    with pytest.raises(Refused) as refused:
        await house.bring(Door.LMTP, STRANGER, ["anna"], MAIL)
    assert isinstance(refused.value.verdict, Defer)


@pytest.mark.parametrize("door", [Door.LMTP, Door.MX])
@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        ("nobody@acme.test", Reason.RECIPIENT_UNKNOWN),
        ("x@elsewhere.test", Reason.RELAY_NOT_PERMITTED),
        ("anna@sub.acme.test", Reason.RELAY_NOT_PERMITTED),
    ],
)
async def test_whom_nobody_here_is(house: House, door: Door, recipient: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        await house.bring(door, STRANGER, [recipient], MAIL)
    assert refused.value.verdict.reason is reason


async def test_no_door_without_login_relays(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", relays=True) as house:
        for door in (Door.LMTP, Door.MX):
            with pytest.raises(Refused) as refused:
                await house.bring(door, "anna@acme.test", ["x@elsewhere.test"], MAIL)
            assert refused.value.verdict.reason is Reason.RELAY_NOT_PERMITTED


async def test_a_full_mailbox_found_out_in_the_transaction(house: House) -> None:
    await house.values("anna", quota="1100")
    house.store.before = [lambda: filled(house, "anna")]
    outcomes = await house.bring(Door.LMTP, STRANGER, ["anna", "bruno"], MAIL)
    assert outcomes[0] == Defer(Reason.RECIPIENT_OVER_QUOTA)
    assert is_id(outcomes[1])
    await house.values("carla", quota="1100")
    house.store.before = [lambda: filled(house, "carla")]
    await house.bring(Door.MX, "bruno@acme.test", ["carla", "bruno"], MAIL)
    assert b"Status: 5.2.2" in (await house.mail("bruno"))[-1]


async def test_whoever_shares_a_copy_that_found_no_room_hears_of_it(house: House) -> None:
    """One copy for three addresses: none of them may be told that it has arrived."""
    await house.values("anna", quota="1100")
    house.store.before = [lambda: filled(house, "anna")]
    outcomes = await house.bring(Door.LMTP, STRANGER, ["anna", "bruno", "anna+tag", "ANNA"], MAIL)
    assert [is_id(one) for one in outcomes] == [False, True, False, False]
    assert outcomes[2] == Defer(Reason.RECIPIENT_OVER_QUOTA)
    await house.values("carla", quota="1100")
    house.store.before = [lambda: filled(house, "carla")]
    await house.bring(Door.MX, "bruno@acme.test", ["carla+tag", "bruno", "carla"], MAIL)
    report = (await house.mail("bruno"))[-1]
    assert report.count(b"Status: 5.2.2") == 2
    assert b"rfc822; carla@acme.test" in report
    assert b"rfc822; carla+tag@acme.test" in report


async def test_a_member_who_is_a_recipient_too_is_missed_by_both(house: House) -> None:
    await house.group("team", "anna", "carla", owners=["carla"])
    await house.values("anna", quota="1100")
    house.store.before = [lambda: filled(house, "anna")]
    await house.bring(Door.MX, "bruno@acme.test", ["anna", "team"], MAIL)
    (report,) = await house.mail("bruno")
    assert report.count(b"Status: 5.2.2") == 1
    assert any(b"rfc822; anna@acme.test" in octets for octets in await house.mail("carla")), "the list's owners hear of their member"


async def test_one_account_by_two_addresses_gets_one_copy(house: House) -> None:
    outcomes = await house.bring(Door.LMTP, STRANGER, ["anna", "anna+tag", "ANNA"], MAIL)
    assert len(set(map(str, outcomes))) == 1
    assert len(await house.mail("anna")) == 1


async def test_a_fault_is_later(house: House) -> None:
    async def fail() -> None:
        raise Busy("no room on the disk")

    house.store.before = [fail]
    with pytest.raises(Refused) as refused:
        await house.bring(Door.LMTP, STRANGER, ["anna"], MAIL)
    assert refused.value.verdict == Defer(Reason.BUSY)


async def test_a_report_that_cannot_be_written_does_not_take_back_the_acceptance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.values("anna", quota="1100")
    house.store.before = [lambda: filled(house, "anna")]
    through = house.store.do

    async def no_reports(deed: object, *rest: object, **options: object) -> object:
        if isinstance(deed, AcceptMessage) and any(b"multipart/report" in copy.message.octets for copy in deed.copies):
            raise Busy("no room on the disk")
        return await through(deed, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(house.store, "do", no_reports)
    outcomes = await house.bring(Door.MX, "bruno@acme.test", ["anna", "carla"], MAIL)
    assert [is_id(one) for one in outcomes] == [True, True]
    assert len(await house.mail("carla")) == 1


# --- what is stored


async def test_return_path_and_received_go_on_top_and_nothing_else_changes(house: House) -> None:
    octets = b"Return-Path: <forged@elsewhere.test>\r\nReceived: from x by y; z\r\n" + MAIL + b"\xff\x80 no line ending"
    (key,) = await house.bring(Door.LMTP, STRANGER, ["anna"], octets)
    (stored,) = await house.mail("anna")
    header = read_header(stored)
    assert [field.name for field in header.fields[:3]] == [b"return-path", b"received", b"received"]
    assert stored.startswith(b"Return-Path: <stan@elsewhere.test>\r\nReceived: from ")
    received = stored[header.fields[1].start : header.fields[1].end]
    assert b"192.0.2.9" in received
    assert str(key).encode() in received
    assert stored.endswith(octets.removeprefix(b"Return-Path: <forged@elsewhere.test>\r\n"))


async def test_large_messages_lie_in_files_and_come_back_whole(house: House) -> None:
    octets = letter(STRANGER, text="\r\n".join(["x" * 76] * (IN_ROW // 70)))
    await house.bring(Door.LMTP, STRANGER, ["anna", "bruno"], octets)
    for name in ("anna", "bruno"):
        (stored,) = await house.mail(name)
        assert stored.endswith(octets)
    assert any((house.files.directory).rglob("*"))


async def test_hops_are_counted(house: House) -> None:
    await house.bring(Door.LMTP, STRANGER, ["anna"], b"Received: by x; y\r\n" * 50 + MAIL)
    with pytest.raises(Refused) as refused:
        await house.bring(Door.LMTP, STRANGER, ["anna"], b"Received: by x; y\r\n" * 51 + MAIL)
    assert refused.value.verdict.reason is Reason.MAIL_LOOP


async def test_what_stands_behind_a_header_that_is_too_long_passes_nobody_at_port_25(house: House) -> None:
    claimed = b"Authentication-Results: mx.acme.test; dmarc=pass\r\n" + MAIL
    for before in (b"X-A: b\r\n" * 2000, b"X-A: " + b"\r\n ".join([b"y" * 900] * 1200) + b"\r\n"):
        with pytest.raises(Refused) as refused:
            await house.bring(Door.MX, STRANGER, ["anna"], before + claimed)
        assert refused.value.verdict.reason is Reason.MALFORMED_MESSAGE
    assert await house.mail("anna") == []
    await house.bring(Door.MX, STRANGER, ["anna"], b"X-A: b\r\n" * 1000 + claimed)
    (stored,) = await house.mail("anna")
    assert b"dmarc" not in stored


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"\x00\xff", b"no header at all", b":\r\n\r\n", b"From: \xff\r\n" * 3000, b"\r\n" * 5000])
async def test_whatever_the_octets_are_they_are_delivered(house: House, octets: bytes) -> None:
    (outcome,) = await house.bring(Door.LMTP, STRANGER, ["anna"], octets)
    assert is_id(outcome)
    (stored,) = await house.mail("anna")
    assert stored.endswith(octets)


# --- lists


async def test_a_members_full_mailbox_does_not_make_lmtp_send_to_the_list_again(house: House) -> None:
    await house.group("team", "anna", "bruno", owners=["carla"])
    await house.values("anna", quota="1100")
    house.store.before = [lambda: filled(house, "anna")]
    (outcome,) = await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert is_id(outcome)
    assert len(await house.mail("bruno")) == 1
    (report,) = await house.mail("carla")
    assert b"Final-Recipient: rfc822; anna@acme.test" in report


async def test_a_member_in_a_domain_of_ours_that_is_nobody_any_more_is_reported_to_the_owners(house: House) -> None:
    await house.group("team", "anna", "ghost@acme.test", owners=["carla"])
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert len(await house.mail("anna")) == 1
    (report,) = await house.mail("carla")
    assert b"ghost@acme.test" in report
    assert b"Status: 5.1.1" in report


async def test_a_bounce_for_a_list_without_owners_ends_there(house: House) -> None:
    await house.group("team", "anna", "ghost@acme.test")
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert len(await house.mail("anna")) == 1


async def test_a_deferred_member_of_a_list_is_held_for_at_every_door(house: House) -> None:
    await house.group("team", "anna", "bruno")
    await house.status("bruno", AccountStatus.MAINTENANCE)
    for door in (Door.LMTP, Door.MX):
        (outcome,) = await house.bring(door, STRANGER, ["team"], MAIL)
        assert is_id(outcome)
    assert [row.reverse_path for row in await house.queued()] == ["team-bounces@acme.test"] * 2


async def test_a_right_to_post_that_ends_meanwhile(house: House) -> None:
    await house.group("team", "anna")
    await house.grant("team", "bruno", SendRight.SEND_TO_LIST)
    house.store.before = [lambda: house.grant("team", "bruno", SendRight.SEND_TO_LIST, deny=True)]
    (outcome,) = await house.bring(Door.LMTP, "bruno@acme.test", ["team"], MAIL)
    assert isinstance(outcome, Refuse)
    assert outcome.reason is Reason.POSTING_NOT_PERMITTED
    assert await house.mail("anna") == []


async def test_a_member_who_joins_meanwhile_gets_it(house: House) -> None:
    team = await house.group("team", "anna")
    house.store.before = [lambda: house.store.do(AddMembers(team, [address("bruno")]))]
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert len(await house.mail("bruno")) == 1


# --- mail of ours


async def test_a_notice_to_a_full_mailbox_is_put_there_all_the_same(house: House) -> None:
    await house.values("anna", quota="10")
    async with house.store.snapshot() as snapshot:
        deed = await house.delivery.notice(snapshot, address("anna"), "about your account", "one line\nand another")
    await house.store.do(deed)
    assert deed.copies
    (octets,) = await house.mail("anna")
    assert b"Subject: about your account\r\n" in octets
    assert octets.endswith(b"one line\r\nand another\r\n")
    assert b"Auto-Submitted: auto-generated\r\n" in octets


async def test_a_report_to_nobody_is_nothing(house: House) -> None:
    async with house.store.snapshot() as snapshot:
        some = [Failed(address("bruno"), "5.1.1", "gone")]
        assert await house.delivery.report(snapshot, None, some, MAIL) == AcceptMessage("")
        assert await house.delivery.report(snapshot, address("anna"), [], MAIL) == AcceptMessage("")
        to_stranger = await house.delivery.report(snapshot, address(STRANGER), some, MAIL)
    assert not to_stranger.copies
    assert not to_stranger.queued, "without a next hop it can go nowhere"


async def test_received_says_who_brought_it_and_how(house: House) -> None:
    for peer_ip, helo, protocol in (
        ("2001:db8::1", "mail.else.test", "ESMTPS"),
        ("", "box", "LMTP"),
        ("192.0.2.9", "a (b) <c>\tby x", "SMTP"),
    ):
        inbound = await house.delivery.begin(Door.MX, address(STRANGER), peer_ip, helo=helo, protocol=protocol)
        await inbound.add(address("anna"))
        await inbound.commit(MAIL)
    found = [stored[stored.index(b"Received:") :].partition(b" id ")[0] for stored in await house.mail("anna")]
    assert found == [
        b"Received: from mail.else.test ([IPv6:2001:db8::1])\r\n\tby mx.acme.test with ESMTPS",
        b"Received: from box\r\n\tby mx.acme.test with LMTP",
        b"Received: from a??b???c??by?x ([192.0.2.9])\r\n\tby mx.acme.test with SMTP",
    ]


def test_queue_ids_of_one_moment_are_neighbours_and_no_two_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 1_800_000_000_000_000_000
    monkeypatch.setattr("gateway.delivery.time.time_ns", lambda: at)
    now = {queue_id() for _ in range(10_000)}
    assert len(now) == 10_000
    assert {len(one) for one in now} == {20}
    assert len({one[:8] for one in now}) == 1
    at += 10_000_000
    assert queue_id() > max(now)
