"""RFC 9586 over sockets: once UIDONLY is enabled, no message number goes either way."""

import re

import pytest

from tests.gateway.imap.handlers.house import Client, House

NUMBERED = re.compile(rb"\* [0-9]+ (?:FETCH|EXPUNGE)\b|UNSEEN [0-9]")


async def ready(house: House, client: Client, *more: str) -> None:
    """INBOX of anna with UIDs 3 to 6 only, so that no UID is a message number."""
    await house.put("anna", "/INBOX", 6)
    await client.do("SELECT INBOX")
    await client.do("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    await client.do("EXPUNGE")
    assert (await client.do(" ".join(("ENABLE UIDONLY", *more)))).untagged[-1] == b" ".join((b"* ENABLED UIDONLY", *map(str.encode, more)))


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "SEARCH ALL",
        "SEARCH UID 3",
        "COPY 1 Sent",
        "MOVE 1 Sent",
        "SORT (DATE) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "REPLACE 1 INBOX {4+}\r\na: b",
        "UID SEARCH 1:*",
        "UID SEARCH *",
        "UID SEARCH NOT (OR SEEN 2)",
        "UID SORT (DATE) UTF-8 1:2",
        "UID THREAD REFERENCES UTF-8 1",
    ],
)
async def test_message_numbers_are_refused(house: House, anna: Client, command: str) -> None:
    await ready(house, anna)
    said = await anna.do(command)
    assert said.tagged.startswith(b"BAD [UIDREQUIRED] ")
    assert said.untagged == []
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 3 4 5 6"]


async def test_fetch_and_store_answer_with_uidfetch(house: House, anna: Client) -> None:
    await ready(house, anna)
    assert (await anna.do("UID FETCH 1:4 (FLAGS)")).untagged == [b"* 3 UIDFETCH (FLAGS (\\Recent))", b"* 4 UIDFETCH (FLAGS (\\Recent))"]
    assert (await anna.do("UID FETCH 3 (UID FLAGS)")).untagged == [b"* 3 UIDFETCH (UID 3 FLAGS (\\Recent))"]
    assert (await anna.do("UID FETCH 5:* RFC822.SIZE")).untagged == [b"* 5 UIDFETCH (RFC822.SIZE 146)", b"* 6 UIDFETCH (RFC822.SIZE 146)"]
    (whole,) = (await anna.do("UID FETCH 3 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")).untagged
    assert whole == b"* 3 UIDFETCH (BODY[HEADER.FIELDS (SUBJECT)] {21}\r\nSubject: Number 3\r\n\r\n)"
    assert (await anna.do("UID STORE 3 +FLAGS (\\Flagged)")).untagged == [b"* 3 UIDFETCH (FLAGS (\\Flagged \\Recent))"]
    assert (await anna.do("UID FETCH 3 (MODSEQ)")).untagged[-1] == b"* 3 UIDFETCH (MODSEQ (5))"
    assert (await anna.do("UID STORE 3 +FLAGS.SILENT (\\Answered)")).untagged == [b"* 3 UIDFETCH (MODSEQ (6))"]


async def test_what_others_do_is_told_by_uid(house: House, port: int, anna: Client) -> None:
    await ready(house, anna)
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    tag = await anna.idle()
    await other.do("UID STORE 4 +FLAGS (\\Flagged)")
    assert await anna.line() == b"* 4 UIDFETCH (FLAGS (\\Flagged \\Recent))"
    await other.do("UID STORE 3,5 +FLAGS.SILENT (\\Deleted)")
    assert {await anna.line(), await anna.line()} == {b"* %d UIDFETCH (FLAGS (\\Deleted \\Recent))" % uid for uid in (3, 5)}
    await other.do("EXPUNGE")
    assert await anna.line() == b"* VANISHED 3,5"
    await house.put("anna", "/INBOX", 1, first=7)
    assert await anna.line() == b"* 3 EXISTS"
    await anna.done(tag)


async def test_expunge_and_move_are_told_with_vanished(house: House, anna: Client) -> None:
    await ready(house, anna)
    await anna.do("UID STORE 3,6 +FLAGS.SILENT (\\Deleted)")
    assert (await anna.do("UID EXPUNGE 6")).untagged == [b"* VANISHED 6"]
    assert (await anna.do("EXPUNGE")).untagged == [b"* VANISHED 3"]
    moved = await anna.do("UID MOVE 4 Sent")
    assert moved.untagged[0].startswith(b"* OK [COPYUID ")
    assert moved.untagged[1:] == [b"* VANISHED 4"]


async def test_select_names_no_number(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    before = await anna.do("SELECT INBOX")
    assert before.having("[UNSEEN 1]")
    await anna.do("ENABLE UIDONLY")
    said = await anna.do("SELECT INBOX")
    assert said.ok
    assert not NUMBERED.search(said.all)
    assert b"* 3 EXISTS" in said.untagged


async def test_with_qresync(house: House, port: int, anna: Client) -> None:
    await ready(house, anna, "QRESYNC")
    validity = re.search(rb"UIDVALIDITY (\d+)", (await anna.do("SELECT INBOX")).all)
    assert validity is not None
    known = validity[1].decode()
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("UID STORE 4 +FLAGS (\\Seen)")
    await other.do("UID STORE 6 +FLAGS (\\Deleted)")
    await other.do("EXPUNGE")
    refused = await anna.do(f"SELECT INBOX (QRESYNC ({known} 4 1:6 (1:2 3:4)))")
    assert refused.tagged.startswith(b"BAD [UIDREQUIRED] ")
    said = await anna.do(f"SELECT INBOX (QRESYNC ({known} 4 1:6))")
    assert said.untagged[-2:] == [b"* VANISHED (EARLIER) 6", b"* 4 UIDFETCH (FLAGS (\\Seen) MODSEQ (5))"]
    assert not NUMBERED.search(said.all)
    await other.do("UID STORE 3 +FLAGS (\\Deleted)")
    told = await anna.do("NOOP")
    assert told.untagged == [b"* 3 UIDFETCH (FLAGS (\\Deleted) MODSEQ (8))"]


async def test_what_a_search_saved_is_no_number(house: House, anna: Client) -> None:
    await ready(house, anna)
    assert (await anna.do("UID SEARCH RETURN (SAVE) UID 3:4")).ok
    assert (await anna.do("UID FETCH $ (FLAGS)")).untagged == [b"* 3 UIDFETCH (FLAGS (\\Recent))", b"* 4 UIDFETCH (FLAGS (\\Recent))"]
    assert (await anna.do("UID SEARCH $ UNSEEN")).untagged == [b"* SEARCH 3 4"]


async def test_ends_with_the_login(house: House, anna: Client) -> None:
    await ready(house, anna)
    assert (await anna.do("UNAUTHENTICATE")).ok
    assert (await anna.do("LOGIN anna@acme.test secret")).ok
    await anna.do("SELECT INBOX")
    assert (await anna.do("FETCH 1 (UID)")).untagged == [b"* 1 FETCH (UID 3)"]


async def test_a_search_followed_by_number_is_followed_no_more(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    assert (await anna.do("SEARCH RETURN (UPDATE) UNSEEN")).ok
    assert (await anna.do("UID SEARCH RETURN (UPDATE) UNSEEN")).ok
    said = await anna.do("ENABLE UIDONLY")
    assert [one[:25] for one in said.having("NOUPDATE")] == [b'* NO [NOUPDATE "t3"] messag'[:25]]
    await house.put("anna", "/INBOX", 1, first=3)
    assert (await anna.do("NOOP")).having("ESEARCH") == [b'* ESEARCH (TAG "t4") UID ADDTO (0 3)']
