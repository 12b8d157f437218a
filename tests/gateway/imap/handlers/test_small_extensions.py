"""SEARCHRES, WITHIN, LIST-MYRIGHTS, STATUS=SIZE, APPENDLIMIT, OBJECTID, SAVEDATE, CREATE-SPECIAL-USE, UNAUTHENTICATE."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from gateway.imap.listener import Limits
from store.errors import StoreError
from tests.gateway.imap.handlers.house import PASSWORD, Client, House, message

SHARED = '"Other Users/anna/INBOX"'


def one(lines: list[bytes], pattern: bytes) -> bytes:
    (found,) = [match[1] for line in lines if (match := re.search(pattern, line))]
    return found


# SEARCHRES


async def test_what_was_saved_is_meant_by_a_dollar(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 6)
    await anna.do("SELECT INBOX")
    assert (await anna.do("FETCH $ UID")).untagged == []
    await anna.do("STORE 2,4:5 +FLAGS (\\Flagged)")
    assert (await anna.do("SEARCH RETURN (SAVE) FLAGGED")).untagged == []
    assert (await anna.do("FETCH $ UID")).untagged == [b"* %d FETCH (UID %d)" % (number, number) for number in (2, 4, 5)]
    assert (await anna.do("SEARCH $ NOT 4")).untagged == [b"* SEARCH 2 5"]
    assert (await anna.do("UID SEARCH UID $ SUBJECT 5")).untagged == [b"* SEARCH 5"]
    assert one((await anna.do("SEARCH RETURN (SAVE COUNT) OR $ 1,6")).untagged, rb"COUNT (\d)") == b"5"
    assert one((await anna.do("UID SEARCH RETURN (SAVE ALL) $ NOT 5")).untagged, rb"ALL (\S+)") == b"1:2,4,6"
    # A message that is expunged leaves it; one that comes does not enter it.
    await anna.do("STORE 1,4 +FLAGS.SILENT (\\Deleted)")
    await anna.do("UID EXPUNGE $")
    await house.put("anna", "/INBOX")
    await anna.do("NOOP")
    assert (await anna.do("FETCH $ UID")).untagged == [b"* 1 FETCH (UID 2)", b"* 4 FETCH (UID 6)"]
    assert (await anna.do("COPY $ Nowhere")).tagged.startswith(b"NO [TRYCREATE]")
    assert b"2,6" in (await anna.do("MOVE $ Trash")).untagged[0]
    assert (await anna.do("FETCH $ UID")).untagged == []
    assert (await anna.do("FETCH 1,$ UID")).tagged.startswith(b"BAD")


async def test_min_and_max_alone_save_one_or_two(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 5)
    await anna.do("SELECT INBOX")
    for options, kept in (("MIN", [2]), ("MAX", [4]), ("MIN MAX", [2, 4]), ("MIN COUNT", [2, 3, 4]), ("MAX ALL", [2, 3, 4])):
        assert (await anna.do(f"SEARCH RETURN (SAVE {options}) 2:4")).untagged != []
        assert (await anna.do("FETCH $ UID")).untagged == [b"* %d FETCH (UID %d)" % (number, number) for number in kept]
    await anna.do("SEARCH RETURN (SAVE MIN) 99")
    assert (await anna.do("FETCH $ UID")).untagged == []


async def test_a_search_that_fails_saves_nothing_and_one_that_is_wrong_changes_nothing(
    house: House, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    await anna.do("SEARCH RETURN (SAVE) ALL")
    assert (await anna.do("SEARCH RETURN (SAVE) NOSUCH")).tagged.startswith(b"BAD")
    assert len((await anna.do("FETCH $ UID")).untagged) == 2

    async def broken(*_: object) -> None:
        raise StoreError("out of order")

    monkeypatch.setattr("gateway.folders.OpenFolder.search", broken)
    assert (await anna.do("SEARCH RETURN (SAVE) SUBJECT x")).tagged.startswith(b"NO")
    monkeypatch.undo()
    assert (await anna.do("FETCH $ UID")).untagged == []
    await anna.do("SEARCH RETURN (SAVE) ALL")
    await anna.do("SELECT INBOX")
    assert (await anna.do("FETCH $ UID")).untagged == []


# WITHIN, SAVEDATE


async def test_within_and_savedate(house: House, anna: Client) -> None:
    for days in (0, 3, 400):
        at = datetime.now(UTC) - timedelta(days=days, minutes=1)
        assert (await anna.do(f'APPEND INBOX "{at:%d-%b-%Y %H:%M:%S} +0000" {{}}', message(days))).ok
    await anna.do("SELECT INBOX")
    for key, found in (
        ("YOUNGER 3600", b" 1"),
        ("OLDER 3600", b" 2 3"),
        ("YOUNGER 604800 OLDER 86400", b" 2"),
        ("YOUNGER 4294967295", b" 1 2 3"),
        ("SAVEDATESUPPORTED", b" 1 2 3"),
        (f"SAVEDON {datetime.now(UTC):%d-%b-%Y}", b" 1 2 3"),
        (f"SAVEDBEFORE {datetime.now(UTC):%d-%b-%Y}", b""),
        ("SAVEDSINCE 1-Jan-2020", b" 1 2 3"),
        ("NOT SAVEDSINCE 1-Jan-2020", b""),
    ):
        assert (await anna.do(f"SEARCH {key}")).untagged == [b"* SEARCH" + found], key
    assert (await anna.do("SEARCH YOUNGER 0")).tagged.startswith(b"BAD")
    said = one((await anna.do("FETCH 3 (SAVEDATE)")).untagged, rb'SAVEDATE "([^"]+) \+0000"').decode()
    assert abs(datetime.strptime(said.strip(), "%d-%b-%Y %H:%M:%S").replace(tzinfo=UTC).timestamp() - time.time()) < 60


# LIST-MYRIGHTS, STATUS=SIZE, APPENDLIMIT


async def test_list_tells_rights_of_what_may_be_seen(house: House, bruno: Client) -> None:
    await house.make("anna", "/Posta/Neu")
    await house.share("anna", "/INBOX", "bruno", "lrs", rfc=True)
    await house.share("anna", "/Posta/Neu", "bruno", "lr", rfc=True)
    said = await bruno.do('LIST "" ("Other Users/*" INBOX) RETURN (MYRIGHTS STATUS (MESSAGES SIZE))')
    assert said.having("MYRIGHTS") == [
        b'* MYRIGHTS "INBOX" lrswikxteacd',
        b'* MYRIGHTS "Other Users/anna/INBOX" lrs',
        b'* MYRIGHTS "Other Users/anna/Posta/Neu" lr',
    ]
    where = said.untagged.index(b'* MYRIGHTS "Other Users/anna/INBOX" lrs')
    assert said.untagged[where - 1].startswith(b"* LIST")
    assert said.untagged[where + 1] == b'* STATUS "Other Users/anna/INBOX" (MESSAGES 0 SIZE 0)'


async def test_status_size_is_the_sum_of_what_fetch_says(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3, body="x" * 500)
    await anna.do("SELECT INBOX")
    sizes = [int(one([line], rb"SIZE (\d+)")) for line in (await anna.do("FETCH 1:* RFC822.SIZE")).untagged]
    assert (await anna.do("STATUS INBOX (SIZE)")).untagged == [b'* STATUS "INBOX" (SIZE %d)' % sum(sizes)]


async def test_the_limit_that_is_told_is_the_limit(house: House) -> None:
    port = await house.listen(Limits(message_size=2000))
    anna = await house.client(port, "anna")
    assert b" APPENDLIMIT=2000" in (await anna.do("CAPABILITY")).untagged[0]
    assert (await anna.do("STATUS INBOX (APPENDLIMIT)")).untagged == [b'* STATUS "INBOX" (APPENDLIMIT 2000)']
    assert (await anna.do("APPEND INBOX {}", b"A: b\r\n\r\n" + b"x" * 1992)).ok
    anna.send(b"big APPEND INBOX {2001}\r\n")
    assert (await anna.until("big")).tagged.startswith(b"NO [TOOBIG]")


# OBJECTID


async def test_a_folder_keeps_its_id_and_never_gives_it_away(house: House, anna: Client) -> None:
    made = await anna.do("CREATE Posta")
    first = one([made.tagged], rb"\[MAILBOXID \(([A-Za-z0-9_-]+)\)\]")
    await anna.do("RENAME Posta Lettere")
    assert one((await anna.do("SELECT Lettere")).untagged, rb"\[MAILBOXID \((\S+)\)\]") == first
    assert one((await anna.do("STATUS Lettere (MAILBOXID)")).untagged, rb"MAILBOXID \((\S+)\)\)") == first
    await anna.do("DELETE Lettere")
    again = await anna.do("CREATE Posta")
    assert one([again.tagged], rb"\[MAILBOXID \((\S+)\)\]") != first


async def test_a_message_keeps_its_id_wherever_it_is_copied(house: House, anna: Client, bruno: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await house.share("anna", "/INBOX", "bruno", "lrswikxte", rfc=True)
    await bruno.do(f"SELECT {SHARED}")
    said = (await bruno.do("FETCH 1:2 (EMAILID THREADID)")).untagged
    ids = [one([line], rb"EMAILID \(([A-Za-z0-9_-]+)\) THREADID NIL") for line in said]
    assert ids[0] != ids[1]
    assert (await bruno.do("COPY 1 INBOX")).ok
    assert (await bruno.do("MOVE 2 INBOX")).ok
    await bruno.do("SELECT INBOX")
    assert [one([line], rb"EMAILID \((\S+)\)\)") for line in (await bruno.do("FETCH 1:2 EMAILID")).untagged] == ids
    assert (await bruno.do(f"SEARCH EMAILID {ids[1].decode()}")).untagged == [b"* SEARCH 2"]
    assert (await bruno.do(f"SEARCH OR EMAILID {ids[0].decode()} EMAILID {ids[1].decode().upper()}")).untagged == [b"* SEARCH 1"]
    for key in ("EMAILID M1", "EMAILID x", "THREADID T1", f"EMAILID {'M' + 'a' * 254}"):
        assert (await bruno.do(f"SEARCH {key}")).untagged == [b"* SEARCH"]
        assert (await bruno.do(f"SEARCH NOT {key}")).untagged == [b"* SEARCH 1 2"]
    for key in ("EMAILID", "EMAILID a+b", f"EMAILID {'a' * 256}", 'EMAILID "x"'):
        assert (await bruno.do(f"SEARCH {key}")).tagged.startswith(b"BAD"), key


# CREATE-SPECIAL-USE


async def test_a_folder_is_made_for_something(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "lrkx", rfc=True)
    assert (await anna.do("DELETE Archive")).ok
    assert (await anna.do("CREATE Ablage (USE (\\archive))")).ok
    assert (await anna.do('LIST "" Ablage')).untagged == [b'* LIST (\\HasNoChildren \\Archive) "/" "Ablage"']
    for client, command in (
        (anna, "CREATE Zwei (USE (\\Archive))"),
        (anna, "CREATE Zwei (USE (\\Sent))"),
        (anna, "CREATE Zwei (USE (\\All))"),
        (anna, "CREATE Zwei (USE (\\Flagged \\Junk))"),
        (bruno, 'CREATE "Other Users/anna/INBOX/Zwei" (USE (\\Archive))'),
    ):
        assert (await client.do(command)).tagged.startswith(b"NO [USEATTR]"), command
    assert not (await anna.do('LIST "" *Zwei')).untagged
    for command in ("CREATE Zwei (USE)", "CREATE Zwei (USE x)", "CREATE Zwei (USE (x))", "CREATE Zwei (NOSUCH (\\Sent))"):
        assert (await anna.do(command)).tagged.startswith(b"BAD"), command
    assert (await anna.do("CREATE Zwei (USE ())")).ok


# UNAUTHENTICATE


async def test_who_comes_next_finds_nothing_of_who_was_there(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    assert (await (await house.client(port)).do("UNAUTHENTICATE")).tagged.startswith(b"BAD")
    await anna.do("ENABLE QRESYNC")
    await anna.do("SELECT INBOX")
    await anna.do("STORE 1 +FLAGS (\\Deleted)")
    said = await anna.do("UNAUTHENTICATE")
    assert said.tagged.startswith(b"OK [CAPABILITY IMAP4rev1")
    assert b"AUTH=PLAIN" in said.tagged
    for command in ("SELECT INBOX", "FETCH 1 UID", "UNAUTHENTICATE", "ENABLE CONDSTORE"):
        assert (await anna.do(command)).tagged.startswith(b"BAD")
    assert (await anna.do(f"LOGIN bruno@acme.test {PASSWORD}")).ok
    assert (await anna.do("FETCH 1 UID")).tagged.startswith(b"BAD")
    assert (await anna.do(f"SELECT {SHARED}")).tagged.startswith(b"NO [NONEXISTENT]")
    assert (await anna.do("SELECT INBOX (QRESYNC (1 1))")).tagged.startswith(b"BAD")
    again = await house.client(port, "anna")
    await again.do("SELECT INBOX")
    # Nothing was expunged.
    assert (await again.do("SEARCH DELETED")).untagged == [b"* SEARCH 1"]


async def test_a_session_that_was_left_counts_no_more(house: House, anna: Client) -> None:
    assert [row.account for row in house.sessions.rows()] == ["anna@acme.test"]
    await anna.do("UNAUTHENTICATE")
    assert house.sessions.rows() == []


async def test_a_connection_that_was_left_has_to_log_in_in_time(house: House) -> None:
    port = await house.listen(Limits(login_timeout=1, line_before_login=200))
    anna = await house.client(port, "anna")
    await anna.do("UNAUTHENTICATE")
    assert (await anna.line(5)).startswith(b"* BYE")


async def test_a_name_deleted_above_others_and_made_again_is_another_mailbox(house: House, port: int) -> None:
    anna = await house.client(port, "anna")
    first = one([(await anna.do("CREATE Lettere")).tagged], rb"\[MAILBOXID \((\S+)\)\]")
    assert (await anna.do("CREATE Lettere/2026")).ok
    assert (await anna.do("DELETE Lettere")).ok  # stays as a name, for what is below it
    again = one([(await anna.do("CREATE Lettere")).tagged], rb"\[MAILBOXID \((\S+)\)\]")
    assert again != first
    assert (await anna.do("RENAME Lettere Briefe")).ok
    assert one((await anna.do("STATUS Briefe (MAILBOXID)")).untagged, rb"MAILBOXID \((\S+)\)\)") == again
