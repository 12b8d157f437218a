"""Client code that others wrote: imaplib and aioimaplib do ordinary jobs on an own and on a shared mailbox."""

import asyncio
import imaplib

import aioimaplib

from tests.gateway.imap.handlers.house import House, message

SHARED = '"Other Users/anna/INBOX"'


async def test_imaplib(house: House, port: int) -> None:
    await house.put("anna", "/INBOX", 3)
    await house.share("anna", "/", "bruno", "rwid")

    def job() -> None:
        with imaplib.IMAP4("127.0.0.1", port) as client:
            client.authenticate("PLAIN", lambda challenge: b"\0bruno@acme.test\0secret")
            assert client.namespace()[1] == [b'(("" "/")) (("Other Users/" "/")) NIL']
            assert client.select(SHARED)[1] == [b"3"]
            assert client.uid("SEARCH", "SUBJECT", '"Number 2"')[1] == [b"2"]  # type: ignore[arg-type]
            assert client.fetch("2", "(RFC822.SIZE BODY.PEEK[])")[1][0][1] == message(2)  # type: ignore[index]
            assert client.store("2", "+FLAGS", "(\\Seen $Todo)")[1] == [b"2 (FLAGS (\\Seen $Todo \\Recent))"]
            assert client.append(SHARED, "(\\Seen)", imaplib.Time2Internaldate(0), message(9))[0] == "OK"
            assert client.copy("1", '"Other Users/anna/Archive"')[0] == "OK"
            assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert client.expunge()[1] == [b"1"]
            assert client.myrights(SHARED)[1] == [b'"Other Users/anna/INBOX" lrswikxtecd']
            assert client.status(SHARED, "(MESSAGES UNSEEN)")[1] == [b'"Other Users/anna/INBOX" (MESSAGES 3 UNSEEN 1)']
            assert client.close()[0] == "OK"

    await asyncio.to_thread(job)


async def test_imaplib_notices_that_it_may_only_read(house: House, port: int) -> None:
    await house.share("anna", "/", "bruno", "r")

    def job() -> str:
        client = imaplib.IMAP4("127.0.0.1", port)
        client.login("bruno@acme.test", "secret")
        try:
            client.select(SHARED)
        except imaplib.IMAP4.readonly:
            return "read-only"
        finally:
            client.shutdown()
        return "writable"

    assert await asyncio.to_thread(job) == "read-only"


async def test_aioimaplib(house: House, port: int) -> None:
    await house.put("anna", "/INBOX", 2)
    client = aioimaplib.IMAP4("127.0.0.1", port, timeout=5)
    await client.wait_hello_from_server()
    assert (await client.login("anna@acme.test", "secret")).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    assert b"1 2" in (await client.uid_search("ALL")).lines
    found = await client.uid("fetch", "1:2", "(UID FLAGS BODY.PEEK[])")
    assert found.result == "OK"
    assert message(1) in [bytes(line) for line in found.lines]
    waiting = await client.idle_start(timeout=5)
    await house.put("anna", "/INBOX", 1, first=3)
    assert b"3 EXISTS" in await client.wait_server_push()
    client.idle_done()
    await asyncio.wait_for(waiting, 5)
    assert (await client.uid("move", "1", "Archive")).result == "OK"
    assert (await client.logout()).result == "OK"
