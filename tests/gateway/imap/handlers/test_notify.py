"""RFC 5465 over sockets, two sessions and more: what is asked for is told, when it happens, and nothing else."""

import asyncio
import re
import time

import pytest

from gateway.imap.handlers import watching
from gateway.imap.listener import Limits
from policy.status import AccountStatus
from tests.gateway.imap.handlers.house import Client, House

ALL = "MessageNew MessageExpunge FlagChange"


async def other(house: House, port: int, who: str = "anna", folder: str = "INBOX") -> Client:
    client = await house.client(port, who)
    assert (await client.do(f"SELECT {folder}")).ok
    return client


# --- the command


@pytest.mark.parametrize("event", ["AnnotationChange MessageNew MessageExpunge", "MessageNew MessageExpunge Unheard"])
async def test_events_that_cannot_be_told(anna: Client, event: str) -> None:
    said = await anna.do(f"NOTIFY SET (personal ({event}))")
    assert said.tagged.startswith(
        b"NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)] "
    )


async def test_refused_leaves_what_was(house: House, port: int, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    assert (await anna.do("NOTIFY SET (selected (MessageNew MessageExpunge))")).ok
    assert not (await anna.do("NOTIFY SET (selected (MessageNew MessageExpunge AnnotationChange))")).ok
    assert (await anna.do("NOTIFY SET (selected (MessageNew))")).tagged.startswith(b"BAD ")
    await house.put("anna", "/INBOX")
    assert await anna.line() == b"* 1 EXISTS"


async def test_what_gathered_is_told_first(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    await second.do("STORE 1 +FLAGS (\\Seen)")
    await second.do("STORE 2 +FLAGS (\\Deleted)")
    await second.do("EXPUNGE")
    await house.put("anna", "/INBOX")
    said = await anna.do("NOTIFY SET (selected NONE)")
    assert said.untagged == [b"* 2 EXPUNGE", b"* 2 EXISTS", b"* 2 RECENT", b"* 1 FETCH (FLAGS (\\Seen \\Recent))"]


# --- the selected folder


async def test_selected_is_told_at_once(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    assert (await anna.do(f"NOTIFY SET (selected ({ALL}))")).ok
    await house.put("anna", "/INBOX")
    assert await anna.line() == b"* 4 EXISTS"
    await second.do("STORE 2 +FLAGS (\\Flagged)")
    if (told := await anna.line()).startswith(b"* 4 RECENT"):
        told = await anna.line()
    assert told == b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))"
    await second.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await anna.line() == b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Deleted \\Recent))"
    await second.do("EXPUNGE")
    assert await anna.line() == b"* 2 EXPUNGE"


async def test_selected_delayed_keeps_the_numbers_until_a_command(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    assert (await anna.do(f"NOTIFY SET (selected-delayed ({ALL}))")).ok
    await second.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await anna.line() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"
    await second.do("EXPUNGE")
    await house.put("anna", "/INBOX", first=4)
    assert await anna.line() == b"* 4 EXISTS"
    assert await anna.line() == b"* 4 RECENT"
    assert await anna.silent()
    assert (await anna.do("FETCH 2,4 (UID)")).untagged == [b"* 2 FETCH (UID 2)", b"* 4 FETCH (UID 4)"]
    assert (await anna.do("NOOP")).untagged == [b"* 1 EXPUNGE"]


async def test_no_expunge_amid_a_command_with_numbers_but_right_behind_it(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    await anna.do("NOTIFY SET (selected (MessageNew MessageExpunge))")
    await second.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await second.do("EXPUNGE")
    assert await anna.line() == b"* 1 EXPUNGE"
    assert (await anna.do("FETCH 1 (UID)")).untagged == [b"* 1 FETCH (UID 2)"]


async def test_none_of_the_selected_folder(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    assert (await anna.do("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")).ok
    await second.do("STORE 1 +FLAGS (\\Flagged)")
    await house.put("anna", "/INBOX", first=4)
    assert (await anna.do("NOOP")).untagged == []
    assert await anna.silent()
    assert (await anna.do("FETCH 1 (FLAGS)")).untagged == [b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"]
    # What it did not hear of it hears of when it asks again.
    said = await anna.do(f"NOTIFY SET (selected ({ALL}))")
    assert said.untagged == [b"* 4 EXISTS", b"* 4 RECENT", b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"]


async def test_what_the_client_expunges_itself_it_is_told(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 4)
    await anna.do("SELECT INBOX")
    assert (await anna.do("NOTIFY NONE")).ok
    await anna.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert (await anna.do("EXPUNGE")).untagged == [b"* 2 EXPUNGE"]
    assert (await anna.do("MOVE 1 Sent")).untagged[1:] == [b"* 1 EXPUNGE"]
    assert (await anna.do("FETCH 1:* (UID)")).untagged == [b"* 1 FETCH (UID 3)", b"* 2 FETCH (UID 4)"]


async def test_none_at_all(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX")
    await anna.do(f"NOTIFY SET (selected ({ALL})) (personal ({ALL} MailboxName))")
    assert (await anna.do("NOTIFY NONE")).ok
    await house.put("anna", "/INBOX", first=2)
    await house.put("anna", "/Sent")
    await house.make("anna", "/Posta")
    assert await anna.silent()
    assert (await anna.do("NOOP")).untagged == []
    tag = await anna.idle()
    assert await anna.silent()
    await anna.done(tag)


async def test_new_messages_are_fetched(house: House, port: int, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    said = await anna.do("NOTIFY SET (selected (MessageNew (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))")
    assert said.ok
    await house.put("anna", "/INBOX", 2)
    assert [await anna.line() for _ in range(4)] == [
        b"* 2 EXISTS",
        b"* 2 RECENT",
        b"* 1 FETCH (UID 1 FLAGS (\\Recent) BODY[HEADER.FIELDS (SUBJECT)] {21}\r\nSubject: Number 1\r\n\r\n)",
        b"* 2 FETCH (UID 2 FLAGS (\\Recent) BODY[HEADER.FIELDS (SUBJECT)] {21}\r\nSubject: Number 2\r\n\r\n)",
    ]
    # Not those that the client brings itself.
    assert (await anna.do("APPEND INBOX {}", b"a: b\r\n\r\nc")).untagged == [b"* 3 EXISTS", b"* 3 RECENT"]
    assert (await anna.do("COPY 1 INBOX")).untagged == [b"* 4 EXISTS", b"* 4 RECENT"]
    await house.put("anna", "/INBOX", first=5)
    assert [(await anna.line())[:14] for _ in range(3)] == [b"* 5 EXISTS", b"* 5 RECENT", b"* 5 FETCH (UID"]


async def test_fetching_sets_no_flag(house: House, port: int, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    assert (await anna.do("NOTIFY SET (selected (MessageNew (BODY[TEXT] MODSEQ) MessageExpunge))")).ok
    await house.put("anna", "/INBOX")
    assert [await anna.line() for _ in range(3)] == [b"* 1 EXISTS", b"* 1 RECENT", b"* 1 FETCH (BODY[TEXT] {9}\r\nHello 1\r\n MODSEQ (2))"]
    assert (await anna.do("SEARCH UNSEEN")).untagged == [b"* SEARCH 1"]


async def test_with_uidonly_and_qresync(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("ENABLE UIDONLY QRESYNC")
    await anna.do("SELECT INBOX")
    await anna.do("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await anna.do("EXPUNGE")
    second = await other(house, port)
    await anna.do("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))")
    await house.put("anna", "/INBOX", first=4)
    assert await anna.line() == b"* 3 EXISTS"
    if not (told := await anna.line()).startswith(b"* 4"):
        told = await anna.line()
    assert told.startswith(b"* 4 UIDFETCH (FLAGS (")
    await second.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert (await anna.line()).startswith(b"* 2 UIDFETCH (FLAGS (\\Deleted \\Recent) MODSEQ (")
    await second.do("EXPUNGE")
    assert await anna.line() == b"* VANISHED 2"


@pytest.mark.parametrize("enabled", ["", "CONDSTORE", "UIDONLY"])
async def test_a_silent_change_that_may_have_crossed_what_was_told_is_not_silent(
    house: House, port: int, anna: Client, enabled: str
) -> None:
    """RFC 3501 section 6.4.6: the flags are to be determinate without a race."""
    await house.put("anna", "/INBOX", 2)
    if enabled:
        await anna.do(f"ENABLE {enabled}")
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    await anna.do("NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))")
    await second.do("UID STORE 1 +FLAGS (\\Flagged)")
    assert b"\\Flagged" in await anna.line()
    said = await anna.do("UID STORE 1,2 +FLAGS.SILENT (\\Draft)")
    assert len(said.having("FLAGS (\\Flagged \\Draft")) == 1, said
    # After an answer everything is clear again.
    assert not (await anna.do("UID STORE 1,2 -FLAGS.SILENT (\\Draft)")).having("FLAGS (")
    await second.do("UID STORE 1 -FLAGS (\\Flagged)")
    assert b"FLAGS (" in await anna.line()
    assert not (await anna.do("UID STORE 2 +FLAGS.SILENT (\\Draft)")).having("FLAGS (\\Flagged"), "of the other one nothing was told"
    # Told while idling, it has been read when DONE is answered.
    tag = await anna.idle()
    await second.do("UID STORE 1 +FLAGS (\\Flagged)")
    assert b"FLAGS (" in await anna.line()
    await anna.done(tag)
    assert not (await anna.do("UID STORE 1 +FLAGS.SILENT (\\Answered)")).having("FLAGS (")


async def test_idle_says_just_what_notify_asked_for(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    second = await other(house, port)
    await anna.do("NOTIFY SET (selected-delayed (MessageNew MessageExpunge)) (mailboxes Sent (MessageNew MessageExpunge))")
    tag = await anna.idle()
    await second.do("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await second.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await second.do("EXPUNGE")
    assert await anna.line() == b"* 2 EXPUNGE"
    await house.put("anna", "/Sent")
    assert await anna.line() == b'* STATUS "Sent" (MESSAGES 1 UIDNEXT 2)'
    assert await anna.silent()
    assert (await anna.done(tag)).ok


# --- other folders


async def test_first_the_figures(house: House, anna: Client) -> None:
    await house.put("anna", "/Sent", 2)
    await house.make("anna", "/Lists/One")
    await anna.do("SELECT INBOX")
    said = await anna.do(
        f"NOTIFY SET STATUS (selected ({ALL})) (inboxes ({ALL})) (mailboxes (Sent Missing) (MessageNew MessageExpunge)) "
        f"(subtree Lists ({ALL}))"
    )
    assert said.ok
    told = sorted(re.sub(rb"(UIDVALIDITY|HIGHESTMODSEQ) [0-9]+", rb"\1 n", one) for one in said.untagged)
    assert told == [
        b'* STATUS "Lists" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY n UNSEEN 0 HIGHESTMODSEQ n)',
        b'* STATUS "Lists/One" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY n UNSEEN 0 HIGHESTMODSEQ n)',
        b'* STATUS "Sent" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY n)',
    ]


async def test_figures_of_other_folders(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/Sent", 2)
    second = await other(house, port, folder="Sent")
    assert (await anna.do(f"NOTIFY SET (mailboxes Sent ({ALL}))")).untagged == []
    await house.put("anna", "/Sent", first=3)
    assert await anna.line() == b'* STATUS "Sent" (MESSAGES 3 UIDNEXT 4 UNSEEN 3)'
    await second.do("STORE 1 +FLAGS (\\Seen)")
    assert await anna.line() == b'* STATUS "Sent" (UNSEEN 2)'
    # Without CONDSTORE a change that no figure shows is not told (section 5.1).
    await second.do("STORE 1 +FLAGS (\\Flagged)")
    await second.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await anna.silent(0.4)
    await second.do("EXPUNGE")
    assert await anna.line() == b'* STATUS "Sent" (MESSAGES 2 UIDNEXT 4 UNSEEN 1)'
    await house.put("anna", "/INBOX")
    assert await anna.silent(0.4)


async def test_with_condstore_every_change_has_its_mod_sequence(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/Sent", 1)
    await house.put("anna", "/Junk", 1)
    second = await other(house, port, folder="Sent")
    await anna.do("ENABLE CONDSTORE")
    await anna.do(f"NOTIFY SET (mailboxes Sent ({ALL})) (mailboxes Junk (MessageNew MessageExpunge))")
    await second.do("STORE 1 +FLAGS (\\Flagged)")
    told = await anna.line()
    assert told.startswith(b'* STATUS "Sent" (UIDVALIDITY ')
    assert told.endswith(b" HIGHESTMODSEQ 3)")
    await house.put("anna", "/Junk")
    assert await anna.line() == b'* STATUS "Junk" (MESSAGES 2 UIDNEXT 3 HIGHESTMODSEQ 3)'


async def test_a_thousand_changes_are_few_answers(house: House, anna: Client) -> None:
    await anna.do("NOTIFY SET (mailboxes Sent (MessageNew MessageExpunge))")
    started = time.monotonic()
    for number in range(100):
        await house.put("anna", "/Sent", first=number)
    took = time.monotonic() - started
    told: list[bytes] = []
    while not told or b"MESSAGES 100 " not in told[-1]:
        told.append(await anna.line())
    assert len(told) <= took / 0.2 + 3


async def test_what_the_client_brings_itself_is_no_news(house: House, anna: Client) -> None:
    await anna.do("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))")
    assert (await anna.do("APPEND Sent {}", b"a: b\r\n\r\nc")).untagged == []
    await anna.do("CREATE Posta/New")
    await anna.do("RENAME Posta/New Posta/Newer")
    await anna.do("SUBSCRIBE Posta")
    await anna.do("DELETE Posta/Newer")
    assert await anna.silent(0.6)
    await house.put("anna", "/Sent")
    assert await anna.line() == b'* STATUS "Sent" (MESSAGES 2 UIDNEXT 3)'


async def test_selecting_and_leaving(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/Sent", 1)
    await anna.do("NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))")
    await anna.do("SELECT Sent")
    await house.put("anna", "/Sent")
    assert await anna.line() == b"* 2 EXISTS"
    assert await anna.line() == b"* 2 RECENT"
    await house.put("anna", "/INBOX")
    assert await anna.line() == b'* STATUS "INBOX" (MESSAGES 1 UIDNEXT 2)'
    assert (await anna.do("UNSELECT")).untagged == []
    assert await anna.silent(0.4)
    await house.put("anna", "/Sent")
    assert await anna.line() == b'* STATUS "Sent" (MESSAGES 3 UIDNEXT 4)'


# --- names


async def test_names_come_go_and_change(house: House, port: int, anna: Client) -> None:
    second = await house.client(port, "anna")
    await anna.do("NOTIFY SET (personal (MailboxName))")
    await second.do("CREATE Posta")
    assert await anna.line() == b'* LIST (\\HasNoChildren) "/" "Posta"'
    await second.do("CREATE Posta/2026")
    assert await anna.line() == b'* LIST (\\HasNoChildren) "/" "Posta/2026"'
    assert await anna.line() == b'* LIST (\\HasChildren) "/" "Posta"'
    await second.do("RENAME Posta Letters")
    assert await anna.line() == b'* LIST (\\HasChildren) "/" "Letters" ("OLDNAME" ("Posta"))'
    assert await anna.silent(0.4)
    await second.do("DELETE Letters")
    assert await anna.line() == b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Letters"'
    await second.do("DELETE Letters/2026")
    assert await anna.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Letters/2026"'
    assert await anna.line() == b'* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" "Letters"'
    await second.do("SUBSCRIBE Drafts")
    assert await anna.silent(0.4)


async def test_subscriptions(house: House, port: int, anna: Client) -> None:
    await house.make("anna", "/Posta")
    second = await house.client(port, "anna")
    await anna.do("NOTIFY SET (personal (SubscriptionChange)) (subscribed (MessageNew MessageExpunge))")
    await house.put("anna", "/Posta")
    assert await anna.silent(0.4)
    await second.do("SUBSCRIBE Posta")
    assert await anna.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" "Posta"'
    # The list of what is followed is made anew (section 6.4).
    await house.put("anna", "/Posta")
    assert await anna.line() == b'* STATUS "Posta" (MESSAGES 2 UIDNEXT 3)'
    await second.do("UNSUBSCRIBE Posta")
    assert await anna.line() == b'* LIST (\\HasNoChildren) "/" "Posta"'
    await house.put("anna", "/Posta")
    await second.do("CREATE Other")
    assert await anna.silent(0.4)


async def test_a_new_folder_is_followed(house: House, port: int, anna: Client) -> None:
    await anna.do("NOTIFY SET (subtree Lists (MessageNew MessageExpunge MailboxName))")
    await house.make("anna", "/Lists/One")
    assert {await anna.line(), await anna.line()} == {
        b'* LIST (\\HasChildren) "/" "Lists"',
        b'* LIST (\\HasNoChildren) "/" "Lists/One"',
    }
    await house.put("anna", "/Lists/One")
    assert await anna.line() == b'* STATUS "Lists/One" (MESSAGES 1 UIDNEXT 2)'


# --- whose folders


@pytest.mark.parametrize("which", ["mailboxes {}", "subtree {}", "subscribed", 'subtree "Other Users"'])
async def test_a_grant_comes_and_goes(house: House, port: int, bruno: Client, which: str) -> None:
    name = '"Other Users/anna/INBOX"'
    expected = name.encode()
    await house.put("anna", "/INBOX", 1)
    said = await bruno.do(f"NOTIFY SET STATUS ({which.format(name)} ({ALL} MailboxName))")
    assert said.ok
    assert said.having("anna") == []
    await house.put("anna", "/INBOX")
    assert await bruno.silent(0.4)
    await house.share("anna", "/INBOX", "bruno", "r")
    started = time.monotonic()
    assert await bruno.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" ' + expected
    assert time.monotonic() - started < 1
    if 'Users"' in which:
        assert await bruno.line() == b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/anna"'
    await house.put("anna", "/INBOX")
    assert await bruno.line() == b"* STATUS " + expected + b" (MESSAGES 3 UIDNEXT 4 UNSEEN 3)"
    await house.unshare("anna", "/INBOX", "bruno")
    assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" ' + expected
    if 'Users"' in which:
        assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Other Users/anna"'
    await house.put("anna", "/INBOX")
    assert await bruno.silent(0.4)


async def test_hidden_is_missing(house: House, port: int, bruno: Client) -> None:
    """A folder that is there and hidden, one that is not, and an owner that is not: the same words for all."""
    await house.make("anna", "/Secret")
    said = [
        (await bruno.do(f'NOTIFY SET STATUS (mailboxes "Other Users/{name}" ({ALL} MailboxName MailboxMetadataChange))')).all
        for name in ("anna/Secret", "anna/Missing", "nobody/INBOX", "nobody@nowhere.test/INBOX")
    ]
    assert len({one.split(b"\n")[-1] for one in said}) == 1
    assert set(said) == {b"OK NOTIFY completed"}
    anna = await house.client(port, "anna")
    await bruno.do(f'NOTIFY SET STATUS (subtree "" ({ALL} MailboxName SubscriptionChange MailboxMetadataChange))')
    await house.put("anna", "/Secret")
    await anna.do('SETMETADATA Secret (/shared/comment "x")')
    await anna.do("RENAME Secret Secreter")
    await anna.do("DELETE Secreter")
    assert await bruno.silent(0.5)


async def test_renamed_out_of_sight_is_gone(house: House, port: int, bruno: Client) -> None:
    await house.make("anna", "/Open")
    await house.make("anna", "/Open/Deep")
    await house.share("anna", "/Open", "bruno", "r")
    anna = await house.client(port, "anna")
    await bruno.do('NOTIFY SET (subtree "Other Users" (MailboxName))')
    await anna.do("RENAME Open/Deep Hidden")
    assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Other Users/anna/Open/Deep"'
    assert await bruno.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" "Other Users/anna/Open"'
    assert await bruno.silent(0.4)


async def test_l_alone_is_no_access(house: House, port: int, bruno: Client) -> None:
    name = b'"Other Users/anna/INBOX"'
    await house.put("anna", "/INBOX", 2)
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    said = await bruno.do(f'NOTIFY SET STATUS (mailboxes "Other Users/anna/INBOX" ({ALL}))')
    assert said.untagged == [b'* LIST (\\NoAccess \\HasNoChildren \\Subscribed) "/" ' + name]
    await house.put("anna", "/INBOX")
    assert await bruno.silent(0.4)
    await house.share("anna", "/INBOX", "bruno", "lr", rfc=True)
    assert await bruno.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" ' + name
    await house.put("anna", "/INBOX")
    assert await bruno.line() == b"* STATUS " + name + b" (MESSAGES 4 UIDNEXT 5 UNSEEN 4)"
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    assert await bruno.line() == b'* LIST (\\NoAccess \\HasNoChildren \\Subscribed) "/" ' + name
    await house.put("anna", "/INBOX")
    assert await bruno.silent(0.4)


async def test_a_grant_that_ends_by_the_clock(house: House, port: int, bruno: Client) -> None:
    moment = time.time_ns() // 1000
    await house.share("anna", "/INBOX", "bruno", "r", since=moment + 700_000, until=moment + 1_900_000)
    await bruno.do('NOTIFY SET (subtree "Other Users/anna" (MessageNew MessageExpunge MailboxName))')
    assert await bruno.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" "Other Users/anna/INBOX"'
    assert await bruno.line() == b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/anna"'
    assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Other Users/anna/INBOX"'
    assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Other Users/anna"'


async def test_a_grant_to_a_group(house: House, port: int, bruno: Client) -> None:
    group = await house.group("desk", "bruno")
    await bruno.do('NOTIFY SET (subtree "Other Users" (MailboxName))')
    await house.share("anna", "/Sent", group, "r")
    told = {await bruno.line(), await bruno.line()}
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/anna"' in told
    assert any(b'"Other Users/anna/Sent"' in one for one in told)


async def test_an_owner_in_maintenance_and_closed(house: House, port: int, bruno: Client) -> None:
    name = b'"Other Users/anna/INBOX"'
    await house.share("anna", "/INBOX", "bruno", "r")
    await bruno.do('NOTIFY SET (mailboxes "Other Users/anna/INBOX" (MessageNew MessageExpunge MailboxName))')
    await house.status("anna", AccountStatus.MAINTENANCE)
    await house.put("anna", "/INBOX")
    assert await bruno.silent(0.5)
    await house.status("anna", AccountStatus.ACTIVE)
    assert await bruno.line() == b"* STATUS " + name + b" (MESSAGES 1 UIDNEXT 2)"
    await house.status("anna", AccountStatus.CLOSED)
    assert await bruno.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" ' + name
    await house.status("anna", AccountStatus.ACTIVE)
    assert await bruno.line() == b'* LIST (\\HasNoChildren \\Subscribed) "/" ' + name


async def test_ones_own_marks_are_counted(house: House, port: int, bruno: Client) -> None:
    from store import folders

    name = b'"Other Users/anna/INBOX"'
    await house.put("anna", "/INBOX", 3)
    await house.share("anna", "/INBOX", "bruno", "rw")
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    anna = await other(house, port)
    second = await other(house, port, "bruno", '"Other Users/anna/INBOX"')
    await bruno.do(f'NOTIFY SET (mailboxes "Other Users/anna/INBOX" ({ALL}))')
    await anna.do("STORE 1:2 +FLAGS (\\Seen)")
    assert await bruno.silent(0.4)
    await second.do("STORE 3 +FLAGS (\\Seen)")
    assert await bruno.line() == b"* STATUS " + name + b" (UNSEEN 2)"
    await house.put("anna", "/INBOX")
    assert await bruno.line() == b"* STATUS " + name + b" (MESSAGES 4 UIDNEXT 5 UNSEEN 3)"


async def test_names_come_back_as_they_were_written(house: House, port: int, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    await bruno.do('NOTIFY SET (subtree "Other Users/anna@acme.test" (MessageNew MessageExpunge))')
    await house.put("anna", "/INBOX")
    assert await bruno.line() == b'* STATUS "Other Users/anna@acme.test/INBOX" (MESSAGES 1 UIDNEXT 2)'


# --- metadata


async def test_entries_of_folders_and_of_the_server(house: House, port: int, anna: Client, bruno: Client) -> None:
    name = '"Other Users/anna/INBOX"'
    await house.share("anna", "/INBOX", "bruno", "rw")
    second = await house.client(port, "anna")
    await bruno.do(f"NOTIFY SET (mailboxes {name} (MailboxMetadataChange))")
    await anna.do("NOTIFY SET (inboxes (MailboxMetadataChange ServerMetadataChange))")
    await second.do('SETMETADATA INBOX (/private/comment "mine" /shared/comment "both")')
    assert await anna.line() == b'* METADATA "INBOX" /private/comment /shared/comment'
    assert await bruno.line() == b'* METADATA "Other Users/anna/INBOX" /shared/comment'
    await second.do('SETMETADATA "" (/private/x "1")')
    assert await anna.line() == b'* METADATA "" /private/x'
    # One's own change is no news, and none of an entry that was not there.
    assert (await bruno.do(f"SETMETADATA {name} (/shared/comment NIL /shared/none NIL)")).ok
    assert await anna.line() == b'* METADATA "INBOX" /shared/comment'
    assert await bruno.silent(0.4)
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    await bruno.line()
    await second.do('SETMETADATA INBOX (/shared/comment "hidden")')
    assert await bruno.silent(0.4)


async def test_enable_metadata(house: House, port: int, anna: Client, bruno: Client) -> None:
    assert (await bruno.do("ENABLE METADATA")).untagged == [b"* ENABLED METADATA"]
    await anna.do('SETMETADATA INBOX (/shared/comment "unseen")')
    assert (await bruno.do("NOOP")).untagged == []
    await house.share("anna", "/INBOX", "bruno", "r")
    await asyncio.sleep(0.4)
    await anna.do('SETMETADATA INBOX (/shared/comment "seen" /private/comment "mine")')
    assert await bruno.line() == b'* METADATA "Other Users/anna/INBOX" /shared/comment'
    tag = await bruno.idle()
    await anna.do('SETMETADATA INBOX (/shared/comment "again")')
    assert await bruno.line() == b'* METADATA "Other Users/anna/INBOX" /shared/comment'
    await bruno.done(tag)
    # It stays beside NOTIFY, and behind it.
    for command in ("NOTIFY SET (personal (MailboxName))", "NOTIFY NONE"):
        assert (await bruno.do(command)).ok
        await anna.do('SETMETADATA INBOX (/shared/comment "more")')
        assert await bruno.line() == b'* METADATA "Other Users/anna/INBOX" /shared/comment'
    assert (await bruno.do("UNAUTHENTICATE")).ok


# --- bounds


async def test_too_many_folders(house: House) -> None:
    client = await house.client(await house.listen(Limits(watched=9)), "anna")
    assert (await client.do("NOTIFY SET (mailboxes INBOX (MessageNew MessageExpunge))")).ok
    await house.make("anna", "/Lists/1")
    await house.make("anna", "/Lists/2")
    said = await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    assert said.tagged.startswith(b"OK ") or said.tagged.startswith(b"NO [NOTIFICATIONOVERFLOW] ")
    await house.make("anna", "/Lists/3")
    said = await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    assert said.tagged.startswith(b"NO [NOTIFICATIONOVERFLOW] ")
    # What was followed before is followed still.
    assert (await client.do("NOTIFY SET (mailboxes INBOX (MessageNew MessageExpunge))")).ok
    await client.do("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await house.put("anna", "/INBOX")
    assert await client.line() == b'* STATUS "INBOX" (MESSAGES 1 UIDNEXT 2)'


async def test_too_many_folders_later(house: House) -> None:
    client = await house.client(await house.listen(Limits(watched=3)), "anna")
    await client.do("SELECT INBOX")
    assert (await client.do("NOTIFY SET (selected (MessageNew MessageExpunge)) (subtree Lists (MessageNew MessageExpunge MailboxName))")).ok
    await house.make("anna", "/Lists/1/2/3")
    assert (await client.line()).startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
    await house.put("anna", "/INBOX")
    assert await client.silent(0.3)
    assert (await client.do("NOOP")).untagged == []
    assert (await client.do("NOTIFY SET (selected (MessageNew MessageExpunge))")).untagged == [b"* 1 EXISTS", b"* 1 RECENT"]


async def test_nobody_is_left_in_the_indices(house: House, port: int, anna: Client) -> None:
    await anna.do(f"NOTIFY SET (personal ({ALL} MailboxName)) (subscribed ({ALL}))")
    assert len(house.changes.by_folder) > 3
    await anna.do("UNAUTHENTICATE")
    assert not house.changes.by_folder
    assert not house.changes.by_scope
    await house.put("anna", "/INBOX")
    assert await anna.silent(0.3)


@pytest.mark.parametrize(
    "command",
    [
        "UID SEARCH RETURN (COUNT UPDATE (UID FLAGS)) SUBJECT 2",
        "UID SORT RETURN (UPDATE (UID FLAGS)) (DATE) UTF-8 SUBJECT 2",
    ],
)
async def test_a_search_that_is_followed_fetches_what_is_new_and_matches(house: House, port: int, anna: Client, command: str) -> None:
    """RFC 5465 section 7: EXISTS, then FETCH, then ESEARCH; nothing for what only changed its flags."""
    await anna.do("SELECT INBOX")
    assert (await anna.do(command)).ok
    await anna.do("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
    await house.put("anna", "/INBOX", 3)
    told = [await anna.line() for _ in range(4)]
    assert told[:3] == [b"* 3 EXISTS", b"* 3 RECENT", b"* 2 FETCH (UID 2 FLAGS (\\Recent))"]
    assert told[3].startswith(b'* ESEARCH (TAG "t3") UID ADDTO (')
    assert await anna.silent()


async def test_a_flag_makes_it_match_and_nothing_is_fetched(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    assert (await anna.do("UID SEARCH RETURN (UPDATE (UID)) FLAGGED")).ok
    assert (await anna.do("STORE 1 +FLAGS (\\Flagged)")).untagged == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        b'* ESEARCH (TAG "t3") UID ADDTO (0 1)',
    ]


# --- what a client learns in between, and what it does not


@pytest.mark.parametrize("asks", ['STATUS "B" (UNSEEN)', 'LIST "" B RETURN (STATUS (UNSEEN))'])
async def test_figures_that_are_again_what_they_were(
    house: House, port: int, anna: Client, asks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes between two looks, and the client asked between the two."""
    monkeypatch.setattr(watching, "REST", 1.0)
    await house.make("anna", "/B")
    await house.put("anna", "/B", 2)
    second = await other(house, port, folder="B")
    assert (await anna.do(f"NOTIFY SET (mailboxes B ({ALL}))")).ok
    await second.do("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await anna.line() == b'* STATUS "B" (UNSEEN 1)'
    await second.do("STORE 2 +FLAGS.SILENT (\\Seen)")
    assert b"(UNSEEN 0)" in (await anna.do(asks)).all
    await second.do("STORE 2 -FLAGS.SILENT (\\Seen)")
    assert await anna.line() == b'* STATUS "B" (UNSEEN 1)'


async def test_what_was_not_told_of_the_selected_folder_is_when_it_is_left(house: House, port: int, anna: Client) -> None:
    await house.make("anna", "/B")
    second = await other(house, port, folder="B")
    await anna.do("SELECT B")
    assert (await anna.do(f"NOTIFY SET (mailboxes B ({ALL}))")).ok
    await house.put("anna", "/B", 1)
    assert await anna.silent(0.5)
    assert (await anna.do("UNSELECT")).untagged == [b'* STATUS "B" (MESSAGES 1 UIDNEXT 2 UNSEEN 1)']
    await anna.do("SELECT B")
    await second.do("NOOP")
    await second.do("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await anna.silent(0.5)
    # What SELECT says is of the folder it goes to; the rest comes behind it.
    assert (await anna.do("SELECT INBOX")).having("* STATUS") == []
    assert await anna.line() == b'* STATUS "B" (UNSEEN 0)'
