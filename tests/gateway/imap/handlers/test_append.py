"""APPEND."""

import pytest

from gateway.arrival import arrived
from store import accounts
from store.queue import AcceptMessage, Filing
from tests.gateway.imap.handlers.house import Client, House, message

SHARED = '"Other Users/anna/INBOX"'


async def test_flags_date_and_the_new_uid(house: House, anna: Client) -> None:
    said = await anna.do('APPEND INBOX (\\Seen $Todo) "17-Jul-1996 02:44:25 -0700" {}', message())
    assert said.tagged.startswith(b"OK [APPENDUID ")
    assert said.tagged.split(b"]")[0].endswith(b" 1")
    await anna.do("SELECT INBOX")
    (one,) = (await anna.do("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])")).untagged
    assert b'FLAGS (\\Seen $Todo \\Recent) INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in one
    assert message() in one


async def test_it_shows_in_the_selected_folder(anna: Client) -> None:
    await anna.do("SELECT INBOX")
    assert (await anna.do("APPEND INBOX {}", message())).untagged == [b"* 1 EXISTS", b"* 1 RECENT"]


async def test_large_messages(anna: Client) -> None:
    large = message(1, "y" * 3_000_000)
    assert (await anna.do("APPEND INBOX {}", large)).ok
    await anna.do("SELECT INBOX")
    assert large in (await anna.do("FETCH 1 BODY.PEEK[]")).untagged[0]


@pytest.mark.parametrize("name", ["Nope", '"Other Users/clara/INBOX"', '"Other Users/nobody/INBOX"', '"Other Users/anna"'])
async def test_missing_and_hidden_folders(house: House, bruno: Client, name: str) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    assert (await bruno.do(f"APPEND {name} {{}}", b"x")).tagged == b"NO [TRYCREATE] no such folder"


@pytest.mark.parametrize(
    ("rights", "kept"),
    [("lri", b""), ("lris", b"\\Seen"), ("lriw", b"\\Flagged $K"), ("lrit", b"\\Deleted"), ("lriswt", b"\\Seen \\Flagged \\Deleted $K")],
)
async def test_flags_are_kept_as_far_as_the_rights_go(house: House, bruno: Client, anna: Client, rights: str, kept: bytes) -> None:
    await house.share("anna", "/INBOX", "bruno", rights, rfc=True)
    assert (await bruno.do(f"APPEND {SHARED} (\\Seen \\Deleted \\Flagged $K) {{}}", message())).ok
    await anna.do("EXAMINE INBOX")
    (one,) = (await anna.do("FETCH 1 FLAGS")).untagged
    assert one.replace(b" \\Recent", b"").replace(b"\\Recent", b"") == b"* 1 FETCH (FLAGS (%b))" % kept


async def test_it_needs_its_right(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "rwd")
    said = await bruno.do(f"APPEND {SHARED} {{}}", message())
    assert said.tagged.startswith(b"NO [NOPERM] you need 'i' (insert) on this folder; ask anna@acme.test [d-")


async def test_the_owners_quota(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "ri")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": "100"}))
    assert (await bruno.do(f"APPEND {SHARED} {{}}", message())).tagged.startswith(b"NO [OVERQUOTA]")


async def test_octets_of_any_kind_are_stored_as_they_are(anna: Client) -> None:
    await anna.do("SELECT INBOX")
    for number, octets in enumerate((b"", b"\r\n", b"no header at all", bytes(range(1, 256)), b"From: a\n\nlone\rline ends\n"), 1):
        assert (await anna.do("APPEND INBOX {}", octets)).ok
        (one,) = (await anna.do(f"FETCH {number} BODY.PEEK[]")).untagged
        assert one.endswith(b"{%d}\r\n%b)" % (len(octets), octets))
        assert (await anna.do(f"FETCH {number} (ENVELOPE BODYSTRUCTURE BODY)")).ok


async def test_nul_is_refused(anna: Client) -> None:
    assert (await anna.do("APPEND INBOX {}", b"a\0b")).tagged.startswith(b"BAD")


async def test_several_messages_at_once(anna: Client) -> None:
    said = await anna.do('APPEND INBOX (\\Seen) {} () "17-Jul-1996 02:44:25 -0700" {} {}', message(1), message(2), message(3))
    assert said.tagged.startswith(b"OK [APPENDUID ")
    assert said.tagged.split(b"]")[0].endswith(b" 1:3")
    await anna.do("EXAMINE INBOX")
    said = await anna.do("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
    for number, one in enumerate(said.untagged, 1):
        assert message(number) in one
        assert (b"\\Seen" in one) is (number == 1)
        assert (b'"17-Jul-1996 09:44:25 +0000"' in one) is (number == 2)


async def test_several_messages_are_all_there_or_none(house: House, bruno: Client, anna: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "ri")
    size = len(message(1))
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": str(2 * size + 10)}))
    said = await bruno.do(f"APPEND {SHARED} {{}} {{}} {{}}", message(1), message(2), message(3))
    assert said.tagged.startswith(b"NO [OVERQUOTA]")
    assert (await anna.do("STATUS INBOX (MESSAGES)")).untagged == [b'* STATUS "INBOX" (MESSAGES 0)']
    assert (await bruno.do(f"APPEND {SHARED} {{}} {{}}", message(1), message(2))).ok
    assert (await bruno.do(f"APPEND {SHARED} {{}} {{}}", message(1), b"a\0b")).tagged.startswith(b"BAD")
    assert (await anna.do("STATUS INBOX (MESSAGES UIDNEXT)")).untagged == [b'* STATUS "INBOX" (MESSAGES 2 UIDNEXT 3)']


@pytest.mark.parametrize("octets", [(b"one", b""), (b"", b"two"), (b"one", b"", b"three")])
async def test_an_empty_one_among_several_ends_them_all(anna: Client, octets: tuple[bytes, ...]) -> None:
    assert (await anna.do("APPEND INBOX" + " {}" * len(octets), *octets)).tagged.startswith(b"NO ")
    assert (await anna.do("STATUS INBOX (MESSAGES)")).untagged == [b'* STATUS "INBOX" (MESSAGES 0)']


async def test_each_literal_waits_for_its_go_ahead(anna: Client) -> None:
    anna.send(b"x APPEND INBOX {3}\r\n")
    assert (await anna.line()).startswith(b"+ ")
    anna.send(b"one (\\Flagged) {3}\r\n")
    assert (await anna.line()).startswith(b"+ ")
    anna.send(b"two\r\n")
    assert (await anna.until("x")).tagged.split(b"]")[0].endswith(b" 1:2")


async def test_one_of_several_takes_the_place_of_the_filed_copy(house: House, anna: Client) -> None:
    await house.store.do(AcceptMessage("key", filing=(Filing(arrived(message(1)), house.ids["anna"], sender=True),)))
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": str(2 * len(message(1)) + 1)}))
    said = await anna.do("APPEND Sent {} {}", message(1), message(2))
    assert said.ok, said
    assert (await anna.do("STATUS Sent (MESSAGES UIDNEXT)")).untagged == [b'* STATUS "Sent" (MESSAGES 2 UIDNEXT 4)']
