"""One connection: greeting, framing, phases, pipelining, limits, TLS, stopping."""

import asyncio
import base64
import contextlib
import imaplib
import random
import ssl

import pytest

from gateway.imap.listener import Limits, TlsMode
from tests.gateway.imap.handlers.house import Client, House
from tests.gateway.test_carrier import make_context


async def test_the_greeting_has_the_capabilities(house: House, port: int) -> None:
    client = await house.client(port)
    assert client.greeting == b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID AUTH=PLAIN AUTH=LOGIN] mail.acme.test ready"
    said = await client.do("LOGIN anna@acme.test secret")
    assert said.tagged.startswith(b"OK [CAPABILITY IMAP4rev1 ")
    assert b" IDLE " in said.tagged
    assert b"AUTH=" not in said.tagged


async def test_commands_come_in_pieces_and_any_case(house: House, port: int) -> None:
    client = await house.client(port)
    for octet in b"ZuzP-w loGin ":
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    client.send(b"anna@acme.test secret\r")
    await asyncio.sleep(0.01)
    client.send(b"\n")
    assert (await client.until("ZuzP-w")).ok
    client.send(b"i_W select inbox\r\n00 uid FETCH 1:* (flags)\r\n")
    assert (await client.until("i_W")).ok
    assert (await client.until("00")).ok


async def test_pipelined_commands_are_answered_in_order(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    anna.send(b"".join(b"p%d %b\r\n" % (number, what) for number, what in enumerate(
        [b"MYRIGHTS INBOX", b"SELECT INBOX", b"NOOP", b"FETCH 1 (UID)", b"XYZ", b"SEARCH ALL"])))  # fmt: skip
    said = [await anna.until(f"p{number}") for number in range(6)]
    assert [one.ok for one in said] == [True, True, True, True, False, True]
    assert said[0].untagged == [b'* MYRIGHTS "INBOX" lrswikxteacd']
    assert said[5].untagged == [b"* SEARCH 1 2"]


async def test_thousands_of_pipelined_commands_do_not_pile_up(house: House, anna: Client) -> None:
    count = 5000
    anna.send(b"".join(b"n%d NOOP\r\n" % number for number in range(count)))
    for number in range(count):
        assert (await anna.line()).startswith(b"n%d OK" % number)


async def test_synchronising_literals_in_any_place(house: House, port: int) -> None:
    client = await house.client(port)
    client.send(b"a LOGIN {14}\r\n")
    assert await client.line() == b"+ OK"
    client.send(b"anna@acme.test {6}\r\n")
    assert await client.line() == b"+ OK"
    client.send(b"secret\r\n")
    assert (await client.until("a")).ok
    client.send(b"b SELECT {5}\r\n")
    assert await client.line() == b"+ OK"
    client.send(b"inbox\r\n")
    assert (await client.until("b")).ok


async def test_a_literal_that_is_too_big_is_refused_before_it_is_sent(house: House, anna: Client) -> None:
    said = await anna.do("APPEND INBOX {4294967295}")
    assert said.tagged.startswith(b"NO [TOOBIG]")
    assert not said.untagged
    assert (await anna.do("NOOP")).ok
    anna.send(b"x APPEND INBOX {999999999+}\r\n")
    assert (await anna.line()).startswith(b"* BYE [TOOBIG]")
    assert await anna.line() == b""


async def test_a_stranger_may_send_little(house: House, port: int) -> None:
    client = await house.client(port)
    assert b"[TOOBIG]" in (await client.do("LOGIN {5000}")).tagged
    assert b"[TOOBIG]" in (await client.do(b"LOGIN " + b"x" * 9000)).tagged


async def test_phases_are_kept(house: House, port: int) -> None:
    client = await house.client(port)
    for command in ("SELECT INBOX", "NOOP", "FETCH 1 FLAGS", 'LIST "" *'):
        assert (await client.do(command)).tagged.startswith(b"OK" if command == "NOOP" else b"BAD")
    await client.do("LOGIN anna@acme.test secret")
    for command in ("FETCH 1 FLAGS", "CLOSE", "LOGIN a b", "STARTTLS", "AUTHENTICATE PLAIN"):
        assert (await client.do(command)).tagged.startswith(b"BAD"), command
    await client.do("SELECT INBOX")
    assert not (await client.do("SELECT Nope")).ok
    assert (await client.do("FETCH 1 FLAGS")).tagged.startswith(b"BAD")


async def test_bad_commands_have_a_budget(house: House) -> None:
    port = await house.listen(Limits(bad_commands=4, bad_commands_before_login=3))
    client = await house.client(port)
    for _ in range(2):
        assert (await client.do("GET / HTTP/1.1")).tagged.startswith(b"BAD")
    said = await client.do("POST /")
    assert said.untagged == [] or said.untagged[-1].startswith(b"* BYE")
    assert await client.line() in (b"", b"* BYE too many bad commands")
    client = await house.client(port, "anna")
    for _ in range(10):
        assert (await client.do("XYZ")).tagged.startswith(b"BAD")
        assert (await client.do("NOOP")).ok


async def test_octets_that_are_no_commands(house: House, port: int) -> None:
    for junk in (b"\0\0\0\r\n", b"\x16\x03\x01\x02\x00\r\n", b"((((((((\r\n", b"a\rb\r\n", b"\xff\xfe\r\n", b"a " + b"(" * 5000 + b"\r\n"):
        client = await house.client(port)
        client.send(junk)
        assert b" BAD " in await client.line()
    assert (await (await house.client(port, "anna")).do("NOOP")).ok


async def test_login_has_a_deadline_whatever_is_sent(house: House) -> None:
    port = await house.listen(Limits(login_timeout=0.5))
    client = await house.client(port)
    for _ in range(20):
        client.send(b"a NOOP\r\n")
        line = await client.line()
        if line.startswith(b"* BYE"):
            break
        await asyncio.sleep(0.06)
    else:
        pytest.fail("no BYE")


async def test_who_says_nothing_for_too_long_is_told_to_go(house: House) -> None:
    port = await house.listen(Limits(idle_timeout=0.4))
    client = await house.client(port, "anna")
    assert (await client.line(2)).startswith(b"* BYE Autologout")
    client = await house.client(port, "anna")
    await client.idle()
    assert (await client.line(2)).startswith(b"* BYE Autologout")


async def test_a_command_that_drips_has_a_deadline(house: House) -> None:
    port = await house.listen(Limits(data_timeout=0.5))
    client = await house.client(port, "anna")
    client.send(b"a APPEND INBOX {1000+}\r\n")
    for _ in range(30):
        client.send(b"x")
        await asyncio.sleep(0.05)
        if client.reader._buffer:  # type: ignore[attr-defined]
            break
    assert (await client.line()).startswith(b"* BYE")


class Room:
    """Whoever says who may connect: here so many, wherever they come from."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.there: list[str] = []

    def enter(self, address: str) -> str | None:
        if len(self.there) >= self.room:
            return "full"
        self.there.append(address)
        return None

    def leave(self, address: str) -> None:
        self.there.remove(address)


async def test_too_many_connections_are_told_so(house: House) -> None:
    room = Room(2)
    port = await house.listen(admission=room)
    one, two = await house.client(port), await house.client(port)
    three = await house.client(port)
    assert three.greeting.startswith(b"* BYE [UNAVAILABLE]")
    assert room.there == ["127.0.0.1"] * 2
    one.writer.close()
    for _ in range(100):
        if len(room.there) < 2:
            break
        await asyncio.sleep(0.02)
    assert (await house.client(port)).greeting.startswith(b"* OK")
    assert (await two.do("NOOP")).ok


async def test_twenty_parallel_sessions_of_one_account(house: House, port: int) -> None:
    clients = [await house.client(port, "anna") for _ in range(20)]
    for client in clients:
        assert (await client.do("SELECT INBOX")).ok
        await client.idle()
    await house.put("anna", "/INBOX")
    for client in clients:
        assert await client.line(1) == b"* 1 EXISTS"


async def test_no_password_without_tls(house: House) -> None:
    port = await house.listen(plaintext=False)
    client = await house.client(port)
    assert b"LOGINDISABLED" in client.greeting
    assert b"AUTH=" not in client.greeting
    assert b"STARTTLS" not in client.greeting
    for command in ("LOGIN anna@acme.test secret", "AUTHENTICATE PLAIN"):
        assert (await client.do(command)).tagged.startswith(b"NO [PRIVACYREQUIRED]")


async def test_starttls(house: House, tmp_path) -> None:  # type: ignore[no-untyped-def]
    house.tls, trusting = make_context(tmp_path)
    port = await house.listen(plaintext=False)

    def talk() -> None:
        client = imaplib.IMAP4("127.0.0.1", port)
        assert "STARTTLS" in client.capabilities
        assert "LOGINDISABLED" in client.capabilities
        assert client.starttls(trusting)[0] == "OK"
        assert "STARTTLS" not in client.capabilities
        assert "AUTH=PLAIN" in client.capabilities
        assert client.login("anna@acme.test", "secret")[0] == "OK"
        assert client.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 300_000)[0] == "OK"
        client.select()
        assert len(client.fetch("1", "(BODY.PEEK[])")[1][0][1]) == 300_014
        client.logout()

    await asyncio.to_thread(talk)


async def test_implicit_tls(house: House, tmp_path) -> None:  # type: ignore[no-untyped-def]
    house.tls, trusting = make_context(tmp_path)
    port = await house.listen(mode=TlsMode.IMPLICIT, plaintext=False)

    def talk() -> None:
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting)
        assert client.login("anna@acme.test", "secret")[0] == "OK"
        client.logout()

    await asyncio.to_thread(talk)


async def test_what_was_said_in_the_clear_behind_starttls_is_not_heard(house: House, tmp_path) -> None:  # type: ignore[no-untyped-def]
    house.tls, _ = make_context(tmp_path)
    port = await house.listen(plaintext=False)
    client = await house.client(port)
    client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
    assert (await client.line()).startswith(b"a OK")
    with pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):
        assert await client.line() != b""


async def test_a_peer_that_does_not_read_is_cut_off_and_others_go_on(house: House) -> None:
    port = await house.listen(Limits(output_backlog=65_536, output_timeout=0.5))
    await house.put("anna", "/INBOX", 1, body="x" * 2_000_000)
    deaf = await house.client(port, "anna")
    await deaf.do("SELECT INBOX")
    deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
    deaf.send(b"".join(b"d%d FETCH 1 BODY.PEEK[]\r\n" % number for number in range(200)))
    listener = house.listeners[-1]
    other = await house.client(port, "anna")
    for _ in range(30):
        assert (await other.do("NOOP")).ok
        await asyncio.sleep(0.1)
        if listener.connections == 1:
            break
    assert listener.connections == 1


async def test_stopping_says_bye_and_lets_commands_finish(house: House) -> None:
    port = await house.listen()
    idle, busy = await house.client(port, "anna"), await house.client(port, "anna")
    await house.put("anna", "/INBOX", 300)
    await busy.do("SELECT INBOX")
    busy.send(b"z FETCH 1:* (ENVELOPE)\r\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0.005)
    listener = house.listeners.pop()
    closing = asyncio.ensure_future(listener.close(5))
    assert (await idle.line(2)).startswith(b"* BYE")
    said = await busy.until("z")
    assert (said.ok and len(said.untagged) == 300) or said.untagged[-1].startswith(b"* BYE")
    await asyncio.wait_for(closing, 5)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_fault_of_ours_is_no_fault_of_the_clients(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise RuntimeError("secret path /var")

    monkeypatch.setattr(type(house.folders), "rights", broken)
    said = await anna.do("MYRIGHTS INBOX")
    assert said.tagged.startswith(b"NO [SERVERBUG] internal error (e-")
    assert b"secret" not in said.all
    assert (await anna.do("NOOP")).ok


async def test_a_client_that_vanishes_leaves_nothing_behind(house: House) -> None:
    room = Room(20)
    port = await house.listen(admission=room)
    listener = house.listeners[-1]
    for _ in range(20):
        client = await house.client(port, "anna")
        await client.do("SELECT INBOX")
        client.send(b"a IDLE\r\n")
        client.writer.transport.abort()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not listener.connections:
            break
    assert listener.connections == 0
    assert not house.changes.by_folder
    assert not house.changes.by_scope
    assert not house.sessions.rows()
    assert not room.there
    assert len(house.wheel) == 0


@pytest.mark.parametrize("initial", [True, False])
async def test_sasl_plain_with_and_without_initial_response(house: House, port: int, initial: bool) -> None:
    for authzid in (b"", b"anna@acme.test"):
        client = await house.client(port)
        message = base64.b64encode(authzid + b"\0anna@acme.test\0secret")
        if initial:
            assert (await client.do(b"AUTHENTICATE PLAIN " + message)).ok
            continue
        client.send(b"s authenticate plain\r\n")
        assert await client.line() == b"+ "
        client.send(message + b"\r\n")
        assert (await client.until("s")).ok


async def test_a_sasl_exchange_that_is_cancelled_or_wrong(house: House, port: int) -> None:
    client = await house.client(port)
    for answer, expected in (
        (b"*", b"BAD"),
        (b"!!!", b"BAD"),
        (base64.b64encode(b"nothing"), b"BAD"),
        (base64.b64encode(b"\0a@b\0c"), b"NO"),
    ):
        client.send(b"s AUTHENTICATE PLAIN\r\n")
        assert await client.line() == b"+ "
        client.send(answer + b"\r\n")
        assert (await client.until("s")).tagged.startswith(expected)
    assert (await client.do("LOGIN anna@acme.test secret")).ok


async def test_failed_logins_have_one_answer(house: House, port: int) -> None:
    said = []
    for user in ("anna@acme.test", "nobody@acme.test", "x", "x@nowhere.test"):
        client = await house.client(port)
        said.append((await client.do(f"LOGIN {user} wrong")).tagged)
    assert set(said) == {b"NO [AUTHENTICATIONFAILED] authentication failed"}


PIECES = [
    b"a1 ", b"SELECT ", b"INBOX", b"FETCH ", b"1:*", b"4294967295", b"0", b"*", b" ", b"(", b")", b"FLAGS", b"BODY[", b"]", b"<0.1>",
    b"BODY.PEEK[HEADER.FIELDS (",
    b"{3+}\r\nabc", b"{0+}\r\n", b'"', b"\\", b"\\Seen", b"\r\n", b"\n", b"\0", b"\xff", b"UID ", b"STORE ", b"SEARCH ", b"OR ",
    b"NOT ", b"TEXT ", b"x" * 300,
    b"LIST ", b"STATUS ", b"SETACL ", b"APPEND ", b"IDLE", b"DONE", b"LOGIN ", b"RETURN ", b"COPY ", b"MOVE ", b"EXPUNGE", b"NOOP",
    b"CREATE ", b"&AC4-", b"../", b"%",
    b"RENAME ", b"Other Users/", b"anna", b"@", b"CLOSE", b"GETACL ", b"anyone", b"lrs", b"+", b"-", b"ENABLE ", b"ID ", b"NIL",
    b"NAMESPACE", b"LSUB ",
    b"IMAP4rev2 ", b"UTF8=ACCEPT ", b"UTF8 (", b"~{3+}\r\na\0c", b"~{3}\r\n",
    b"u\xcc\x88", b"\xc3", b"\xe2\x80\xa8", b"CHARSET ", b"DELETE ", b"\"x\"",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_any_octets_get_an_answer_or_a_goodbye_and_never_a_fault(house: House, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(seed)
    port = await house.listen(Limits(bad_commands=1000, bad_commands_before_login=1000))
    await house.put("anna", "/INBOX", 3)
    await house.share("anna", "/", "bruno", "rwid")
    for state in range(4):
        client = await house.client(port, "bruno" if state else None)
        if state == 3:
            await client.do("ENABLE IMAP4rev2 UTF8=ACCEPT QRESYNC")
        if state >= 2:
            await client.do('SELECT "Other Users/anna/INBOX"')
        for number in range(60):
            line = b"".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 12)))
            if dice.random() < 0.7:
                line = b"f%d " % number + line.lstrip()
            try:
                client.send(line + b"\r\n")
                await asyncio.sleep(0)
            except (ConnectionError, RuntimeError):  # uvloop's word for a connection that is closed
                break
        with contextlib.suppress(ConnectionError, RuntimeError, asyncio.TimeoutError):
            client.send(b"\r\nDONE\r\nend NOOP\r\n")
            said = await asyncio.wait_for(client.reader.read(1 << 20), 0.05)
            assert b"SERVERBUG" not in said, said
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert (await (await house.client(port, "anna")).do("NOOP")).ok
