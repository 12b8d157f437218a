"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK."""

import pytest

from store import folders
from tests.gateway.imap.handlers.house import Client, House

SHARED = '"Other Users/anna/INBOX"'
EVERY = b"\\Answered \\Flagged \\Draft \\Deleted \\Seen \\*"


async def test_what_select_says(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 1 +FLAGS (\\Seen)")
    said = await anna.do("SELECT inbox")
    assert said.untagged[:3] == [b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)", b"* 3 EXISTS", b"* 0 RECENT"]
    assert any(one.startswith(b"* OK [UNSEEN 2]") for one in said.untagged)
    assert any(one.startswith(b"* OK [UIDNEXT 4]") for one in said.untagged)
    assert any(b"[UIDVALIDITY " in one for one in said.untagged)
    assert said.having("[PERMANENTFLAGS (" + EVERY.decode() + ")]")
    assert said.tagged.startswith(b"OK [READ-WRITE]")


@pytest.mark.parametrize(
    ("rights", "code", "permanent"),
    [
        ("lr", b"[READ-ONLY]", b""),
        ("lrs", b"[READ-WRITE]", b"\\Seen"),
        ("lrw", b"[READ-WRITE]", b"\\Answered \\Flagged \\Draft \\*"),
        ("lri", b"[READ-WRITE]", b""),
        ("lrt", b"[READ-WRITE]", b"\\Deleted"),
        ("lre", b"[READ-WRITE]", b""),
        ("lrka", b"[READ-ONLY]", b""),
        ("lrswikxtea", b"[READ-WRITE]", EVERY),
    ],
)
async def test_permanent_flags_are_exactly_what_may_be_changed(
    house: House, bruno: Client, rights: str, code: bytes, permanent: bytes
) -> None:
    await house.share("anna", "/INBOX", "bruno", rights, rfc=True)
    said = await bruno.do(f"SELECT {SHARED}")
    assert code in said.tagged
    if code == b"[READ-ONLY]":
        permanent = b""
    assert said.having("[PERMANENTFLAGS (" + permanent.decode() + ")]"), said
    assert b"[READ-ONLY]" in (await bruno.do(f"EXAMINE {SHARED}")).tagged


async def test_an_own_seen_may_be_changed_where_all_else_is_only_read(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "lrs", rfc=True)
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    await house.put("anna", "/INBOX")
    said = await bruno.do(f"SELECT {SHARED}")
    assert said.tagged.startswith(b"OK [READ-ONLY]")
    assert said.having("[PERMANENTFLAGS (\\Seen)]"), said
    assert (await bruno.do("STORE 1 +FLAGS (\\Seen)")).having("\\Seen")
    assert (await bruno.do(f"EXAMINE {SHARED}")).having("[PERMANENTFLAGS ()]")


@pytest.mark.parametrize("name", ['"Other Users/clara/INBOX"', '"Other Users/nobody/INBOX"', '"Other Users/anna/Nope"',
'"Other Users/anna"', "Nope",
                                  '"Other Users"', '"Other Users/"', '"Other Users/anna@nowhere.test/INBOX"'])  # fmt: skip
async def test_hidden_is_missing(house: House, bruno: Client, name: str) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    for command in (f"SELECT {name}", f"EXAMINE {name}", f"STATUS {name} (MESSAGES)"):
        assert (await bruno.do(command)).tagged == b"NO [NONEXISTENT] no such folder"


async def test_the_right_to_see_is_not_the_right_to_read(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    said = await bruno.do(f"SELECT {SHARED}")
    assert said.tagged.startswith(b"NO [NOPERM] you need 'r' (read) on this folder; ask anna@acme.test [d-")


async def test_the_full_address_of_the_owner_is_accepted(house: House, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "r")
    assert (await bruno.do('SELECT "Other Users/anna@acme.test/INBOX"')).ok
    assert (await bruno.do('SELECT "Other Users/bruno/INBOX"')).tagged.startswith(b"OK [READ-WRITE]")


async def test_close_expunges_silently_where_that_is_allowed(house: House, anna: Client, bruno: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await house.share("anna", "/", "bruno", "lrt", rfc=True)
    await bruno.do(f"SELECT {SHARED}")
    await bruno.do("STORE 1 +FLAGS (\\Deleted)")
    said = await bruno.do("CLOSE")
    assert said.ok
    assert not said.untagged
    assert b"* 3 EXISTS" in (await anna.do("EXAMINE INBOX")).untagged
    assert (await anna.do("CLOSE")).ok
    assert b"* 3 EXISTS" in (await anna.do("SELECT INBOX")).untagged
    said = await anna.do("CLOSE")
    assert said.ok
    assert not said.untagged
    assert b"* 2 EXISTS" in (await anna.do("SELECT INBOX")).untagged


async def test_unselect_expunges_nothing(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 1 +FLAGS (\\Deleted)")
    assert (await anna.do("UNSELECT")).ok
    assert (await anna.do("FETCH 1 FLAGS")).tagged.startswith(b"BAD")
    assert b"* 2 EXISTS" in (await anna.do("SELECT INBOX")).untagged


async def test_check_tells_news(house: House, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    await house.put("anna", "/INBOX")
    assert b"* 1 EXISTS" in (await anna.do("CHECK")).untagged


async def test_a_parameter_that_is_not_there_is_bad(anna: Client) -> None:
    assert (await anna.do("SELECT INBOX (CONDSTORE)")).tagged.startswith(b"BAD")
