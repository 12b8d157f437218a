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
