"""CAPABILITY, ENABLE, ID, LOGOUT, NOOP."""

from tests.gateway.imap.handlers.house import Client, House


async def test_capability(house: House, port: int, anna: Client) -> None:
    stranger = await house.client(port)
    assert (await stranger.do("CAPABILITY")).untagged == [
        b"* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID AUTH=PLAIN AUTH=LOGIN"
    ]
    (said,) = (await anna.do("capability")).untagged
    # What else is announced: test_capabilities.py.
    assert said.startswith(
        b"* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ENABLE ID IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS "
        b"MOVE ACL RIGHTS=kxte SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH "
    )


async def test_enable_passes_over_what_is_unknown(anna: Client) -> None:
    said = await anna.do("ENABLE UTF8=ACCEPT X-WHATEVER")
    assert said.ok
    assert said.untagged == [b"* ENABLED UTF8=ACCEPT"]
    assert (await anna.do("ENABLE X-WHATEVER UIDPLUS")).untagged == [b"* ENABLED"]


async def test_id(house: House, port: int) -> None:
    client = await house.client(port)
    said = await client.do('ID ("name" "test" "version" NIL)')
    assert said.ok
    assert said.untagged[0].startswith(b'* ID ("name" "procura"')
    assert (await client.do("ID NIL")).ok


async def test_logout(anna: Client) -> None:
    said = await anna.do("LOGOUT")
    assert said.ok
    assert said.untagged == [b"* BYE goodbye"]
    assert await anna.line() == b""


async def test_commands_that_are_not_there(anna: Client) -> None:
    for command in ("XYZ", "UID XYZ 1", "UID", "SORT (DATE) UTF-8 ALL", "AUTHENTICATE"):
        assert (await anna.do(command)).tagged.startswith(b"BAD")
