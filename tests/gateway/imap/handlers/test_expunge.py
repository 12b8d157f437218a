"""EXPUNGE and UID EXPUNGE."""

from tests.gateway.imap.handlers.house import Client, House

SHARED = '"Other Users/anna/INBOX"'


async def test_what_is_marked_goes_from_the_highest_number_down(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 5)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    assert (await anna.do("UID EXPUNGE 1:4")).untagged == [b"* 4 EXPUNGE", b"* 2 EXPUNGE"]
    assert (await anna.do("EXPUNGE")).untagged == [b"* 3 EXPUNGE"]
    assert (await anna.do("EXPUNGE")).untagged == []
    assert (await anna.do("UID EXPUNGE 77")).ok
    assert (await anna.do("UID FETCH 1:* (UID)")).untagged == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)"]


async def test_it_needs_its_right(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/", "bruno", "lrswt", rfc=True)
    await bruno.do(f"SELECT {SHARED}")
    await bruno.do("STORE 1 +FLAGS (\\Deleted)")
    for command in ("EXPUNGE", "UID EXPUNGE 1"):
        assert (await bruno.do(command)).tagged.startswith(b"NO [NOPERM] you need 'e' (expunge) on this folder; ask anna@acme.test")
    await house.share("anna", "/", "bruno", "lre", rfc=True)
    assert (await bruno.do("EXPUNGE")).having("EXPUNGE") == [b"* 1 EXPUNGE"]
