"""RFC 9738 over sockets: one command works on so many messages, the newest ones, and says where it stopped."""

import pytest

from gateway.imap.listener import Limits
from tests.gateway.imap.handlers.house import Client, House


@pytest.fixture
async def small(house: House) -> Client:
    """A server that takes three messages at a time, and a folder with UIDs 2, 3, 5, 6, 7."""
    client = await house.client(await house.listen(Limits(messages=3)), "anna")
    await house.put("anna", "/INBOX", 7)
    await client.do("SELECT INBOX")
    await client.do("STORE 1,4 +FLAGS.SILENT (\\Deleted)")
    await client.do("EXPUNGE")
    return client


async def test_announced(house: House, port: int, anna: Client) -> None:
    assert b" MESSAGELIMIT=1000000 " in (await anna.do("CAPABILITY")).untagged[0]
    client = await house.client(await house.listen(Limits(messages=3)), "anna")
    assert b" MESSAGELIMIT=3 " in (await client.do("CAPABILITY")).untagged[0]


async def test_fetch(small: Client) -> None:
    said = await small.do("UID FETCH 1:6 (UID)")
    assert said.untagged == [b"* 2 FETCH (UID 3)", b"* 3 FETCH (UID 5)", b"* 4 FETCH (UID 6)"]
    assert said.tagged == b"OK [MESSAGELIMIT 3 3] done for the newest 3 messages"
    assert (await small.do("UID FETCH 1:2 (UID)")).tagged == b"OK UID FETCH completed"
    assert (await small.do("FETCH 1:* (RFC822.SIZE)")).tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert (await small.do("UID FETCH 2,5,7 (UID)")).tagged == b"OK UID FETCH completed"
    assert (await small.do("UID FETCH 2,3,5:6 (UID)")).tagged.startswith(b"OK [MESSAGELIMIT 3 3] ")


async def test_a_client_gets_through_a_folder_of_any_size(small: Client) -> None:
    found: list[bytes] = []
    below = 8
    while True:
        said = await small.do(f"UID FETCH 1:{below - 1} (FLAGS)")
        found = [*said.untagged, *found]
        if b"MESSAGELIMIT" not in said.tagged:
            break
        below = int(said.tagged.split(b"]")[0].split()[-1])
    assert [one.split(b"UID ")[1].split(b" ")[0] for one in found] == [b"2", b"3", b"5", b"6", b"7"]


async def test_two_codes_at_once(house: House, small: Client) -> None:
    """RFC 9738 section 3.1: the tagged answer has EXPUNGEISSUED, an untagged NO the limit."""
    port = house.listeners[-1]._servers[0].sockets[0].getsockname()[1]
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("UID STORE 6 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    said = await small.do("FETCH 1:5 (RFC822.SIZE)")
    assert said.untagged == [
        b"* 3 FETCH (RFC822.SIZE 146)",
        b"* 5 FETCH (RFC822.SIZE 146)",
        b"* NO [MESSAGELIMIT 3 5] done for the newest 3 messages",
    ]
    assert said.tagged.startswith(b"OK [EXPUNGEISSUED] ")


async def test_search_counts_what_is_searched(small: Client) -> None:
    said = await small.do("UID SEARCH ALL")
    assert said.untagged == [b"* SEARCH 5 6 7"]
    assert said.tagged == b"OK [MESSAGELIMIT 3 5] done for the newest 3 messages"
    said = await small.do("UID SEARCH SUBJECT 3")
    assert said.untagged == [b"* SEARCH"]
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    said = await small.do("UID SEARCH UID 1:5 SUBJECT 3")
    assert said.untagged == [b"* SEARCH 3"]
    assert said.tagged == b"OK UID SEARCH completed"
    assert (await small.do("SEARCH 1:2 UNSEEN")).untagged == [b"* SEARCH 1 2"]
    assert (await small.do("SEARCH NOT 1:2")).tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert (await small.do("UID SEARCH RETURN (COUNT) 1:4 UID 6:7")).untagged == [b'* ESEARCH (TAG "t10") UID COUNT 1']


async def test_what_is_saved_is_cut_too(small: Client) -> None:
    assert (await small.do("UID SEARCH RETURN (SAVE) ALL")).tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert (await small.do("UID FETCH $ (UID)")).untagged == [b"* 3 FETCH (UID 5)", b"* 4 FETCH (UID 6)", b"* 5 FETCH (UID 7)"]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("UIDAFTER 5", b" 6 7"),
        ("UIDAFTER 7", b""),
        ("UIDAFTER 4294967295", b""),
        ("UIDBEFORE 5", b" 2 3"),
        ("UIDBEFORE 1", b""),
        ("UIDAFTER 2 UIDBEFORE 6", b" 3 5"),
        ("UIDAFTER 2 SUBJECT 5", b" 5"),
        ("OR UIDAFTER 6 UIDBEFORE 3", b" 2 7"),
    ],
)
async def test_keys_beside_a_uid(house: House, anna: Client, small: Client, key: str, found: bytes) -> None:
    await anna.do("SELECT INBOX")
    assert (await anna.do(f"UID SEARCH {key}")).untagged == [b"* SEARCH" + found]


@pytest.mark.parametrize("command", ["SORT (DATE) UTF-8 ALL", "UID SORT (SIZE) UTF-8 UNSEEN", "THREAD REFERENCES UTF-8 ALL"])
async def test_no_order_of_a_part(small: Client, command: str) -> None:
    said = await small.do(command)
    assert said.untagged == []
    assert said.tagged.startswith(b"NO [MESSAGELIMIT 3] ")
    assert (await small.do("UID SORT (DATE) UTF-8 UID 5:7")).untagged == [b"* SORT 5 6 7"]


async def test_store(small: Client) -> None:
    said = await small.do("STORE 1:4 +FLAGS (\\Seen)")
    assert [one.split()[1] for one in said.untagged] == [b"2", b"3", b"4"]
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 3] ")
    said = await small.do("STORE 1:5 +FLAGS.SILENT (\\Flagged)")
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert (await small.do("UID SEARCH UID 1:3 UNFLAGGED")).untagged == [b"* SEARCH 2 3"]
    said = await small.do("STORE 1:5 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)")
    assert said.untagged[-1].startswith(b"* NO [MESSAGELIMIT 3 5] ")
    assert said.tagged.startswith(b"OK [MODIFIED 3:5] ")


async def test_copy_is_all_or_nothing(small: Client) -> None:
    said = await small.do("UID COPY 1:6 Sent")
    assert said.tagged.startswith(b"NO [MESSAGELIMIT 3 3] ")
    assert (await small.do("STATUS Sent (MESSAGES)")).untagged == [b'* STATUS "Sent" (MESSAGES 0)']
    assert (await small.do("UID COPY 5:7 Sent")).ok


async def test_move_takes_the_newest(small: Client) -> None:
    said = await small.do("UID MOVE 1:* Sent")
    assert said.untagged[0].endswith(b" 5:7 1:3] moved")
    assert said.untagged[1:] == [b"* 5 EXPUNGE", b"* 4 EXPUNGE", b"* 3 EXPUNGE"]
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    said = await small.do("UID MOVE 1:* Sent")
    assert said.tagged == b"OK UID MOVE completed"
    assert (await small.do("STATUS Sent (MESSAGES)")).untagged == [b'* STATUS "Sent" (MESSAGES 5)']


async def test_uid_expunge_counts_what_is_deleted(small: Client) -> None:
    await small.do("STORE 3:5 +FLAGS.SILENT (\\Deleted)")
    await small.do("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    said = await small.do("UID EXPUNGE 1:6")
    assert said.untagged == [b"* 4 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 3] ")
    said = await small.do("UID EXPUNGE 1:*")
    assert said.untagged == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert said.tagged == b"OK UID EXPUNGE completed"


async def test_with_qresync_the_tagged_answer_has_the_mod_sequence(small: Client) -> None:
    await small.do("ENABLE QRESYNC")
    for uids in ("3:5", "1:2"):
        await small.do(f"STORE {uids} +FLAGS.SILENT (\\Deleted)")
    said = await small.do("UID EXPUNGE 1:*")
    assert said.untagged == [b"* VANISHED 5:7", b"* NO [MESSAGELIMIT 3 5] done for the newest 3 messages"]
    assert said.tagged.startswith(b"OK [HIGHESTMODSEQ ")


async def test_expunge_close_and_status_know_no_limit(small: Client) -> None:
    assert (await small.do("STATUS INBOX (UNSEEN)")).untagged == [b'* STATUS "INBOX" (UNSEEN 5)']
    for uids in ("3:5", "1:2"):
        await small.do(f"STORE {uids} +FLAGS.SILENT (\\Deleted)")
    said = await small.do("EXPUNGE")
    assert len(said.untagged) == 5
    assert said.tagged == b"OK EXPUNGE completed"


async def test_append_is_all_or_nothing(small: Client) -> None:
    octets = b"a: b\r\n\r\nc"
    said = await small.do("APPEND Sent {} {} {} {}", *[octets] * 4)
    assert said.tagged.startswith(b"NO [MESSAGELIMIT 3] ")
    assert (await small.do("APPEND Sent {} {} {}", *[octets] * 3)).ok
    assert (await small.do("STATUS Sent (MESSAGES)")).untagged == [b'* STATUS "Sent" (MESSAGES 3)']


async def test_a_part_that_is_too_large_is_refused_whole(small: Client) -> None:
    said = await small.do("UID FETCH 1:* (UID) (PARTIAL -1:-4)")
    assert said.untagged == []
    assert said.tagged.startswith(b"NO [MESSAGELIMIT 3] ")
    assert len((await small.do("UID FETCH 1:* (UID) (PARTIAL -1:-3)")).untagged) == 3


async def test_in_the_selected_mailbox_among_several(small: Client) -> None:
    said = await small.do("ESEARCH IN (selected) RETURN (COUNT) ALL")
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert said.untagged[0].endswith(b" UID COUNT 3")


async def test_what_was_cut_is_not_followed(small: Client) -> None:
    said = await small.do("UID SEARCH RETURN (UPDATE COUNT) ALL")
    assert said.having("[NOUPDATE ")
    assert said.tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")


async def test_several_mailboxes_have_one_limit(house: House, small: Client) -> None:
    for path, count in (("/A", 2), ("/B", 1), ("/C", 4)):
        await house.make("anna", path)
        await house.put("anna", path, count)
    said = await small.do("ESEARCH IN (mailboxes (A B)) RETURN (COUNT) ALL")
    assert said.ok
    assert len(said.untagged) == 2
    said = await small.do("ESEARCH IN (mailboxes (A B C)) RETURN (COUNT) ALL")
    assert said.tagged == b"NO [MESSAGELIMIT 3] that is more than 3 messages, ask for fewer mailboxes"
    assert (await small.do("ESEARCH IN (mailboxes C) RETURN (COUNT) ALL")).tagged.startswith(b"NO [MESSAGELIMIT 3] ")
    # The selected one takes its newest.
    assert (await small.do("ESEARCH IN (selected) RETURN (COUNT) ALL")).tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
    assert (await small.do("ESEARCH IN (mailboxes INBOX) RETURN (COUNT) ALL")).tagged.startswith(b"OK [MESSAGELIMIT 3 5] ")
