"""COPY and MOVE, within a mailbox and between people."""

import pytest

from store import accounts
from tests.gateway.imap.handlers.house import Client, House, message

SHARED = '"Other Users/anna/INBOX"'


async def test_copy_keeps_flags_and_says_the_new_uids(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 2 +FLAGS (\\Seen $Todo)")
    said = await anna.do("COPY 2:3 Archive")
    assert said.tagged.startswith(b"OK [COPYUID ")
    assert said.tagged.split(b"]")[0].endswith(b" 2:3 1:2")
    await anna.do("SELECT Archive")
    assert (await anna.do("FETCH 1:2 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Seen $Todo \\Recent))", b"* 2 FETCH (FLAGS (\\Recent))"]
    assert (await anna.do("UID COPY 99 INBOX")).ok


@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
async def test_the_internal_date_goes_along(anna: Client, verb: str) -> None:
    await anna.do('APPEND INBOX "17-Jul-1996 02:44:25 -0700" {}', message())
    await anna.do("SELECT INBOX")
    assert (await anna.do(f"{verb} 1 Archive")).ok
    await anna.do("SELECT Archive")
    assert (await anna.do("FETCH 1 INTERNALDATE")).untagged == [b'* 1 FETCH (INTERNALDATE "17-Jul-1996 09:44:25 +0000")']


@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
async def test_what_does_not_fit_is_not_done_in_part(house: House, anna: Client, bruno: Client, verb: str) -> None:
    await house.put("bruno", "/INBOX", 2, body="x" * 5000)
    await house.share("anna", "/INBOX", "bruno", "ri")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": "8000"}))
    await bruno.do("SELECT INBOX")
    said = await bruno.do(f"{verb} 1:2 {SHARED}")
    assert said.all.startswith(b"NO [OVERQUOTA]")
    assert (await anna.do("STATUS INBOX (MESSAGES)")).untagged == [b'* STATUS "INBOX" (MESSAGES 0)']
    assert (await bruno.do("UID SEARCH ALL")).untagged == [b"* SEARCH 1 2"]
    assert (await bruno.do(f"{verb} 1 {SHARED}")).ok


async def test_move_takes_out_and_says_where_before_it_expunges(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    said = await anna.do("UID MOVE 1,3 Archive")
    assert said.ok
    assert said.untagged[0].startswith(b"* OK [COPYUID ")
    assert said.untagged[1:] == [b"* 3 EXPUNGE", b"* 1 EXPUNGE"]


async def test_a_move_into_the_folder_itself_gives_a_new_uid(house: House, port: int, anna: Client) -> None:
    """RFC 6851 section 3.3: allowed wherever COPY into the selected folder is."""
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("EXAMINE INBOX")
    await anna.do("STORE 2 +FLAGS (\\Flagged $Todo)")
    said = await anna.do("MOVE 1:2 INBOX")
    assert said.ok
    assert said.untagged[0].endswith(b" 1:2 4:5] moved")
    assert said.untagged[1:4] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE", b"* 3 EXISTS"]
    assert (await anna.do("UID FETCH 1:* (FLAGS)")).untagged == [
        b"* 1 FETCH (UID 3 FLAGS (\\Recent))",
        b"* 2 FETCH (UID 4 FLAGS (\\Recent))",
        b"* 3 FETCH (UID 5 FLAGS (\\Flagged $Todo \\Recent))",
    ]
    assert [one for one in (await other.do("NOOP")).untagged if b"FETCH" not in one and b"FLAGS" not in one and b"RECENT" not in one] == [
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 3 EXISTS",
    ]
    assert (await other.do("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)")).untagged == [b'* STATUS "INBOX" (MESSAGES 3 UIDNEXT 6 UNSEEN 3)']


@pytest.mark.parametrize("command", ["COPY 1", "MOVE 1", "UID COPY 1", "UID MOVE 1"])
async def test_missing_targets_may_be_created_and_hidden_ones_look_missing(house: House, anna: Client, command: str) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("SELECT INBOX")
    for target in ("Nope", '"Other Users/bruno/INBOX"', '"Other Users/nobody/INBOX"'):
        assert (await anna.do(f"{command} {target}")).tagged == b"NO [TRYCREATE] no such folder"


@pytest.mark.parametrize(
    ("source", "target", "copies", "moves"),
    [
        ("lr", "lri", True, False),
        ("lrte", "lri", True, True),
        ("lrt", "lri", True, False),
        ("lre", "lri", True, False),
        ("lrte", "lr", False, False),
        ("lrte", "li", True, True),
    ],
)
async def test_the_rights_of_copy_and_move(house: House, bruno: Client, source: str, target: str, copies: bool, moves: bool) -> None:
    await house.make("anna", "/Posta")
    await house.put("anna", "/INBOX", 2)
    await house.share("anna", "/INBOX", "bruno", source, rfc=True)
    await house.share("anna", "/Posta", "bruno", target, rfc=True)
    await bruno.do(f"SELECT {SHARED}")
    for command, allowed in (("COPY", copies), ("MOVE", moves)):
        said = await bruno.do(f'{command} 1 "Other Users/anna/Posta"')
        assert said.tagged.startswith(b"OK" if allowed else b"NO [NOPERM]"), said


async def test_a_delegates_copy_keeps_only_the_flags_it_may_set(house: House, bruno: Client, anna: Client) -> None:
    await house.put("bruno", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", "lris", rfc=True)
    await bruno.do("SELECT INBOX")
    await bruno.do("STORE 1 +FLAGS (\\Seen \\Flagged $K)")
    assert (await bruno.do(f"COPY 1 {SHARED}")).ok
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("FETCH 1 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))"]


async def test_delegated_trash(house: House, bruno: Client, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await house.share("anna", "/", "bruno", "rd")
    await bruno.do(f"SELECT {SHARED}")
    said = await bruno.do("MOVE 1 Trash")
    assert said.untagged[0].startswith(b"* OK [COPYUID ")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"delegated_trash": "owner"}))
    said = await bruno.do("MOVE 1 Trash")
    assert said.ok, said
    assert said.untagged == [b"* 1 EXPUNGE"]
    assert b"MESSAGES 1)" in (await anna.do("STATUS Trash (MESSAGES)")).all
    assert b"MESSAGES 1)" in (await bruno.do("STATUS Trash (MESSAGES)")).all


async def test_the_targets_owner_pays(house: House, bruno: Client) -> None:
    await house.put("bruno", "/INBOX", 1, body="x" * 5000)
    await house.share("anna", "/INBOX", "bruno", "ri")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": "4000"}))
    await bruno.do("SELECT INBOX")
    assert (await bruno.do(f"COPY 1 {SHARED}")).tagged.startswith(b"NO [OVERQUOTA]")


async def test_who_may_insert_and_not_read_is_told_no_uids(house: House, bruno: Client) -> None:
    """RFC 4315 section 3, RFC 9051 sections 6.3.12 and 6.4.7: they would tell about a folder that is closed to the client."""
    await house.put("bruno", "/INBOX", 3)
    await house.make("anna", "/Drop")
    await house.share("anna", "/Drop", "bruno", "li", rfc=True)
    await bruno.do("SELECT INBOX")
    place = '"Other Users/anna/Drop"'
    assert (await bruno.do(f"APPEND {place} {{}}", message())).tagged == b"OK APPEND completed"
    assert (await bruno.do(f"COPY 1 {place}")).tagged == b"OK COPY completed"
    moved = await bruno.do(f"MOVE 1 {place}")
    assert (moved.untagged, moved.tagged) == ([b"* 1 EXPUNGE"], b"OK MOVE completed")
    replaced = await bruno.do(f"REPLACE 1 {place} {{}}", message())
    assert (replaced.untagged, replaced.tagged) == ([b"* 1 EXPUNGE"], b"OK REPLACE completed")
    await house.share("anna", "/Drop", "bruno", "lri", rfc=True)
    assert b"[COPYUID" in (await bruno.do(f"COPY 1 {place}")).tagged
    assert (await bruno.do(f"APPEND {place} {{}}", message())).tagged.endswith(b" 6] APPEND completed")
