"""STATUS."""

from tests.gateway.imap.handlers.house import Client, House


async def test_every_item(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    said = await anna.do("STATUS inbox (UNSEEN MESSAGES RECENT UIDNEXT UIDVALIDITY)")
    assert said.untagged[0].startswith(b'* STATUS "INBOX" (UNSEEN 3 MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY ')
    await anna.do("SELECT INBOX")
    await anna.do("STORE 1 +FLAGS (\\Seen)")
    assert b"UNSEEN 2" in (await anna.do("STATUS INBOX (UNSEEN)")).all
    assert (await anna.do("STATUS INBOX (NOPE)")).tagged.startswith(b"BAD")


async def test_it_needs_the_right_to_read(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    assert (await bruno.do('STATUS "Other Users/anna/INBOX" (MESSAGES)')).tagged.startswith(b"NO [NOPERM] you need 'r' (read)")


async def test_what_a_session_was_told_of_is_recent_for_no_other(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    other = await house.client(port, "anna")
    await anna.do("EXAMINE INBOX")
    assert b"RECENT 2" in (await other.do("STATUS INBOX (RECENT)")).all
    await anna.do("SELECT INBOX")
    assert (await other.do("STATUS INBOX (RECENT)")).untagged == [b'* STATUS "INBOX" (RECENT 0)']
    await house.put("anna", "/INBOX", first=3)
    assert (await other.do("STATUS INBOX (RECENT MESSAGES)")).untagged == [b'* STATUS "INBOX" (RECENT 1 MESSAGES 3)']
    assert b"* 1 RECENT" not in (await anna.do("NOOP")).untagged
    assert (await other.do('LIST "" INBOX RETURN (STATUS (RECENT))')).untagged[-1] == b'* STATUS "INBOX" (RECENT 0)'
    await anna.do("CLOSE")
    assert (await anna.do("STATUS INBOX (RECENT)")).untagged == [b'* STATUS "INBOX" (RECENT 0)']
