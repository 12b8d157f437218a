"""Every limit that can be reached: what is allowed at it, what is said one past it (config/settings.py, `limits.*`)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.live.hostile import Bystander, Raw, Watched, drip, imap, smtp, unharmed
from tests.live.server import PASSWORD, Server

USER = "user@acme.test"
SMALL = {
    "limits.exempt_networks": ["127.0.0.1/32"],
    "limits.connections": 40,
    "limits.connections_per_source": 3,
    "limits.connections_per_account": 2,
    "limits.smtp_line": 600,
    "limits.smtp_auth_line": 700,
    "limits.imap_line": 2048,
    "limits.imap_line_before_login": 1024,
    "limits.imap_literal": 300,
    "limits.imap_literal_before_login": 256,
    "limits.message_size": 20_000,
    "limits.header_size": 4_000,
    "limits.header_fields": 20,
    "limits.recipients": 3,
    "limits.hops": 4,
    "limits.bad_commands": 4,
    "limits.bad_commands_before_login": 2,
    "limits.failed_logins": 2,
    "limits.failed_logins_per_source": 4,
    "limits.failed_logins_window": "5s",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Watched(tmp_path_factory.mktemp("small"), SMALL)
    made.people("user", "second", "third", "fourth", "quiet")
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, "quiet@acme.test") as watching:
        yield watching


# --- sizes


@pytest.mark.parametrize("door", ["submission", "submissions", "mx", "lmtp"])
def test_smtp_line(server: Server, door: str) -> None:
    with smtp(server, door) as raw:
        assert raw.say(b"NOOP " + b"x" * (600 - 7)) == "250 2.0.0 ok"
        assert raw.say(b"NOOP " + b"x" * (601 - 7)).startswith("500 5.5.2 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


def test_smtp_auth_line(server: Server) -> None:
    with smtp(server, "submission") as raw:
        # 687 letters are no whole base64, so it is looked at and refused for that.
        assert raw.say(b"AUTH PLAIN " + b"A" * (700 - 13)).startswith("501 5.5.2 ")
        assert raw.say(b"AUTH PLAIN " + b"A" * (701 - 13)).startswith("500 5.5.6 ")
    with smtp(server, "submission") as raw:
        assert raw.say(b"AUTH PLAIN").startswith("334")
        assert raw.say(b"A" * 698 + b"!").startswith(("500 5.5.6 ", "501 5.5.2 "))
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


def test_imap_line(server: Server) -> None:
    with imap(server) as raw:
        assert b"[TOOBIG]" not in raw.do(b"a", b"NOOP " + b"x" * (1024 - 7))
        assert b"[TOOBIG]" in raw.do(b"b", b"NOOP " + b"x" * (1025 - 7))
    with imap(server, USER) as raw:
        assert raw.do(b"a", b'LIST "" ' + b"x" * (2048 - 10)).startswith(b"a OK")
        assert b"[TOOBIG]" in raw.do(b"b", b'LIST "" ' + b"x" * (2049 - 10))
        assert raw.do(b"c", b"NOOP").startswith(b"c OK")


def test_imap_literal(server: Server) -> None:
    with imap(server) as raw:
        raw.send(b"a LOGIN {256+}\r\n" + b"x" * 256 + b" y\r\n")
        assert raw.until(b"a").startswith(b"a NO [AUTHENTICATIONFAILED]")
        assert raw.do(b"b", b"LOGIN {257}").startswith(b"b NO [TOOBIG]")
    with imap(server, USER) as raw:
        raw.send(b'a LIST "" {300+}\r\n' + b"x" * 300 + b"\r\n")
        assert raw.until(b"a").startswith(b"a OK")
        assert raw.do(b"b", b'LIST "" {301}').startswith(b"b NO [TOOBIG]")
        assert raw.do(b"c", b"NOOP").startswith(b"c OK")


def message(size: int, head: bytes = b"From: <user@acme.test>\r\n") -> bytes:
    return head + b"\r\n" + b"x" * (size - len(head) - 4) + b"\r\n"


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
def test_message_size_in_smtp(server: Server, door: str) -> None:
    with smtp(server, door, login=USER if door == "submission" else None) as raw:
        assert raw.say(b"MAIL FROM:<user@acme.test> SIZE=20001").startswith("552 5.3.4 ")
        for size, said in ((20_000, "250 2."), (20_001, "552 5.3.4 "), (60_000, "552 5.3.4 ")):
            sender = b"user@acme.test" if door == "submission" else b"x@elsewhere.test"
            assert raw.say(b"MAIL FROM:<%b> SIZE=20000" % sender).startswith("250")
            assert raw.say(b"RCPT TO:<second@acme.test>").startswith("250")
            assert raw.say(b"DATA").startswith("354")
            raw.send(message(size) + b".\r\n")
            assert raw.reply().startswith(said), size


def test_the_dots_of_transparency_do_not_count(server: Server) -> None:
    with smtp(server, "mx") as raw:
        raw.say(b"MAIL FROM:<x@elsewhere.test>")
        raw.say(b"RCPT TO:<second@acme.test>")
        raw.say(b"DATA")
        head = b"From: <x@elsewhere.test>\r\n\r\n"
        lines = (20_000 - len(head)) // 3
        raw.send(head + b"..\r\n" * lines + b".\r\n")
        assert raw.reply().startswith("250 ")


def test_message_size_in_append(server: Server) -> None:
    with imap(server, USER) as raw:
        raw.send(b"a APPEND INBOX {20000+}\r\n" + message(20_000) + b"\r\n")
        assert raw.until(b"a").splitlines()[-1].startswith(b"a OK")
        assert raw.do(b"b", b"APPEND INBOX {20001}").startswith(b"b NO [TOOBIG]")
        assert raw.do(b"c", b"NOOP").startswith(b"c OK")


def submit(server: Server, octets: bytes, door: str = "submission") -> str:
    with smtp(server, door, login=USER if door == "submission" else None) as raw:
        sender = b"user@acme.test" if door == "submission" else b"x@elsewhere.test"
        raw.say(b"MAIL FROM:<%b>" % sender)
        raw.say(b"RCPT TO:<second@acme.test>")
        assert raw.say(b"DATA").startswith("354")
        raw.send(octets + b".\r\n")
        return raw.reply()


def test_header_size(server: Server) -> None:
    for size, said in ((3_990, "250 "), (4_100, "5")):
        head = b"From: <user@acme.test>\r\nSubject: "
        answer = submit(server, head + b"x" * (size - len(head) - 2) + b"\r\n\r\nx\r\n")
        assert answer.startswith(said), answer


def test_header_fields(server: Server) -> None:
    for count, said in ((20, "250 "), (21, "5")):
        answer = submit(server, b"From: <user@acme.test>\r\n" + b"X-A: b\r\n" * (count - 1) + b"\r\nx\r\n")
        assert answer.startswith(said), (count, answer)


def test_hops(server: Server) -> None:
    for count, said in ((4, "250 "), (6, "554 5.4.6 ")):
        answer = submit(server, b"Received: from x\r\n" * count + b"From: <x@elsewhere.test>\r\n\r\nx\r\n", "mx")
        assert answer.startswith(said), (count, answer)


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
def test_recipients(server: Server, door: str) -> None:
    with smtp(server, door, login=USER if door == "submission" else None) as raw:
        assert "LIMITS RCPTMAX=3" in raw.say(b"LHLO x" if door == "lmtp" else b"EHLO x")
        raw.say(b"MAIL FROM:<user@acme.test>" if door == "submission" else b"MAIL FROM:<x@elsewhere.test>")
        for name in (b"user", b"second", b"third"):
            assert raw.say(b"RCPT TO:<%b@acme.test>" % name).startswith("250")
        assert raw.say(b"RCPT TO:<fourth@acme.test>").startswith("452 4.5.3 ")
        assert raw.say(b"DATA").startswith("354")


# --- errors


@pytest.mark.parametrize(
    ("door", "login", "allowed"), [("submission", None, 2), ("submission", USER, 4), ("mx", None, 4), ("lmtp", None, 4)]
)
def test_bad_commands_in_smtp(server: Server, door: str, login: str | None, allowed: int) -> None:
    with smtp(server, door, login=login) as raw:
        for _ in range(allowed):
            assert raw.say(b"XYZZY").startswith("500 5.5.2 ")
            assert raw.say(b"NOOP") == "250 2.0.0 ok"
        assert raw.say(b"XYZZY").startswith("421 4.7.0 ")
        assert raw.rest() == b""


@pytest.mark.parametrize(("login", "allowed"), [(None, 2), (USER, 4)])
def test_bad_commands_in_imap(server: Server, login: str | None, allowed: int) -> None:
    with imap(server, login) as raw:
        for number in range(allowed):
            assert raw.do(b"a%d" % number, b"XYZZY").startswith(b"a%d BAD" % number)
        assert raw.rest().startswith(b"* BYE ")


def test_a_good_command_forgives_in_imap(server: Server) -> None:
    with imap(server, USER) as raw:
        for _ in range(6):
            assert raw.do(b"a", b"XYZZY").startswith(b"a BAD")
            assert raw.do(b"b", b"NOOP").startswith(b"b OK")


# --- connections


@pytest.mark.parametrize(("door", "refusal"), [("mx", b"421 4.7.0 "), ("submission", b"421 4.7.0 "), ("imap", b"* BYE [UNAVAILABLE] ")])
def test_connections_per_source(server: Server, door: str, refusal: bytes) -> None:
    with ExitStack() as there:
        mine = [there.enter_context(Raw(server.ports[door], source="127.0.7.1")) for _ in range(3)]
        for raw in mine:
            assert raw.line()[:4] in (b"220 ", b"* OK")
        with Raw(server.ports[door], source="127.0.7.1") as fourth:
            assert fourth.line().startswith(refusal)
            assert fourth.rest() == b""
        with Raw(server.ports[door], source="127.0.7.2") as other:
            assert other.line()[:4] in (b"220 ", b"* OK")
        for _ in range(4):
            there.enter_context(Raw(server.ports[door]))  # an exempt source
        mine[0].socket.close()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with Raw(server.ports[door], source="127.0.7.1") as again:
                if again.line()[:4] in (b"220 ", b"* OK"):
                    break
            time.sleep(0.05)
        else:
            pytest.fail("who has gone still counts")


def test_connections_per_account(server: Server) -> None:
    with ExitStack() as there:
        for _ in range(2):
            there.enter_context(imap(server, "third@acme.test", source="127.0.8.1"))
        with imap(server, source="127.0.8.2") as raw:
            said = raw.do(b"a", f'LOGIN third@acme.test "{PASSWORD}"'.encode())
            assert said.startswith((b"a NO [LIMIT]", b"a NO [UNAVAILABLE]")), said
        with smtp(server, "submission", source="127.0.8.2") as raw:
            token = base64.b64encode(f"\0third@acme.test\0{PASSWORD}".encode())
            assert raw.say(b"AUTH PLAIN " + token).startswith(("454 4.", "451 4.", "421 4."))
        there.enter_context(imap(server, "fourth@acme.test", source="127.0.8.2"))
        there.enter_context(imap(server, "third@acme.test"))  # from an exempt source


def test_connections_altogether(server: Server) -> None:
    with ExitStack() as there:
        refused: list[bytes] = []
        count = 0
        for number in range(60):
            raw = there.enter_context(Raw(server.ports["mx" if number % 2 else "imap"]))
            said = raw.line()
            if said[:4] in (b"220 ", b"* OK"):
                count += 1
            else:
                refused.append(said)
        # The bystander has two of the forty, and a tenth is kept for each of the doors to which nobody came.
        assert 28 - 2 <= count <= 32, f"{count} connections were taken"
        assert all(one.startswith((b"421 4.3.2 ", b"* BYE [UNAVAILABLE] ")) for one in refused), refused


def test_a_crowd_at_one_door_keeps_nobody_out_of_the_others(server: Server) -> None:
    def taken(door: str, tries: int) -> int:
        """How many of so many tries are greeted, and stay."""
        said = [there.enter_context(Raw(server.ports[door])).line() for _ in range(tries)]
        assert all(one.startswith((b"220 ", b"* OK", b"421 4.3.2 ", b"* BYE [UNAVAILABLE] ")) for one in said), said
        return sum(one.startswith((b"220 ", b"* OK")) for one in said)

    with ExitStack() as there:
        # Of forty a tenth is kept for each of the others; the bystander's come and go.
        assert 40 - 3 * 4 - 3 <= taken("imap", 60) <= 40 - 3 * 4
        assert taken("imap", 1) == 0
        assert taken("lmtp", 2) == 2  # the bystander has one
        server.deliver(USER, message(100))
        assert taken("mx", 2) == 2
        assert taken("imap", 1) == 0


def test_failed_logins_on_one_connection(server: Server) -> None:
    token = base64.b64encode(b"\0nobody@acme.test\0guess")
    with smtp(server, "submission") as raw:
        assert raw.say(b"AUTH PLAIN " + token).startswith("535 5.7.8 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"
        assert raw.say(b"AUTH PLAIN " + token).startswith("535 5.7.8 ")
        assert raw.rest().startswith(b"421 4.7.0 ")
    with imap(server) as raw:
        assert raw.do(b"a", b"LOGIN nobody@acme.test guess").startswith(b"a NO [AUTHENTICATIONFAILED]")
        assert raw.do(b"b", b"NOOP").startswith(b"b OK")
        assert raw.do(b"c", b"AUTHENTICATE PLAIN " + token).startswith(b"c NO [AUTHENTICATIONFAILED]")
        assert raw.rest().startswith(b"* BYE ")
    with imap(server) as raw:
        assert raw.do(b"a", b"LOGIN nobody@acme.test guess").startswith(b"a NO")
        assert raw.do(b"b", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"b OK")


# --- what all connections hold together

ROOM = 1 << 20


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Hardly any room for messages that arrive, nor for those that wait; the next hop cannot be reached."""
    # What arrives is counted by each process for itself.
    settings = {"workers": 1, "limits.arriving": ROOM, "limits.queue": 3, "relay": "smtp://127.0.0.1:9", "limits.recipients": 10}
    made = Watched(tmp_path_factory.mktemp("narrow"), settings)
    made.people("user", "second", "quiet", "away")
    made.prov("modifyAccount away@acme.test status maintenance")
    with made:
        yield made


def offered(raw: Raw, size: int) -> bytes:
    """What is said to an APPEND of so many octets before they are sent."""
    raw.send(b"b APPEND INBOX {%d}\r\n" % size)
    return raw.line()


def test_messages_that_are_arriving_altogether(narrow: Server) -> None:
    half = message(ROOM // 2)
    with unharmed(narrow, "quiet@acme.test"), ExitStack() as there:
        # Half of the room is taken by SMTP, and all but 100 KiB of the rest by IMAP; neither message is whole.
        one = there.enter_context(smtp(narrow, "lmtp"))
        for command in (b"MAIL FROM:<x@elsewhere.test>", b"RCPT TO:<second@acme.test>", b"DATA"):
            assert one.say(command)[0] in "23"
        one.send(half)
        other = there.enter_context(imap(narrow, USER))
        other.send(b"a APPEND INBOX {%d+}\r\n" % (ROOM // 2 - 50_000) + b"x" * (ROOM // 2 - 100_000))
        more = there.enter_context(imap(narrow, "second@acme.test"))
        # What has come is looked at within moments; until then there is room.
        end = time.monotonic() + 10
        while not (said := offered(more, 200_000)).startswith(b"b NO [UNAVAILABLE] "):
            assert time.monotonic() < end, said
            more.send(b"x" * 200_000 + b"\r\n")
            assert more.until(b"b").splitlines()[-1].startswith(b"b OK")
        assert more.do(b"c", b"NOOP").startswith(b"c OK")
        # What is small needs no room.
        more.send(b"d APPEND INBOX {60000+}\r\n" + message(60_000) + b"\r\n")
        assert more.until(b"d").splitlines()[-1].startswith(b"d OK")
        third = there.enter_context(smtp(narrow, "lmtp"))
        for command in (b"MAIL FROM:<x@elsewhere.test>", b"RCPT TO:<second@acme.test>", b"DATA"):
            assert third.say(command)[0] in "23"
        third.send(message(200_000) + b".\r\n")
        assert third.reply().startswith("452 4.3.1 ")
        # They have what they have, and go on.
        other.send(b"x" * 50_000 + b"\r\n")
        assert other.until(b"a").splitlines()[-1].startswith(b"a OK")
        one.send(b".\r\n")
        assert one.reply().startswith("250 ")
        assert offered(more, 200_000).startswith(b"+ ")


def test_who_sends_unasked_where_there_is_no_room_is_told_so_and_left(narrow: Server) -> None:
    with unharmed(narrow, "quiet@acme.test"), smtp(narrow, "lmtp") as one, imap(narrow, USER) as other:
        for command in (b"MAIL FROM:<x@elsewhere.test>", b"RCPT TO:<second@acme.test>", b"DATA"):
            assert one.say(command)[0] in "23"
        one.send(message(ROOM - 70_000))
        end = time.monotonic() + 10
        said = b""
        while not said.startswith(b"b NO [UNAVAILABLE] "):
            assert time.monotonic() < end, said
            with imap(narrow, USER) as probe:
                said = offered(probe, 200_000)
        other.send(b"a APPEND INBOX {200000+}\r\n" + b"x" * 200_000)
        assert other.rest().startswith(b"* BYE [UNAVAILABLE] ")
    with imap(narrow, USER) as raw:
        raw.send(b"a APPEND INBOX {200000+}\r\n" + message(200_000) + b"\r\n")
        assert raw.until(b"a").splitlines()[-1].startswith(b"a OK"), "the room was not given back"


def test_mail_that_waits_altogether(narrow: Server) -> None:
    def send(*recipients: bytes) -> tuple[list[str], str]:
        with smtp(narrow, "submission", login=USER) as raw:
            raw.say(b"MAIL FROM:<user@acme.test>")
            said = [raw.say(b"RCPT TO:<" + one + b">") for one in recipients]
            if not any(one.startswith("250") for one in said):
                return said, ""
            assert raw.say(b"DATA").startswith("354")
            raw.send(message(300) + b".\r\n")
            return said, raw.reply()

    with unharmed(narrow, "quiet@acme.test"):
        said, end = send(b"a@elsewhere.test", b"b@elsewhere.test")
        assert end.startswith("250 "), (said, end)
        # One more may wait: two together are refused whole, one is taken.
        said, end = send(b"c@elsewhere.test", b"d@elsewhere.test")
        assert end.startswith("452 4.3.1 "), (said, end)
        said, end = send(b"c@elsewhere.test")
        assert end.startswith("250 "), (said, end)
        said, end = send(b"e@elsewhere.test", b"second@acme.test", b"away@acme.test")
        assert [one[:9] for one in said] == ["452 4.3.1", "250 2.1.5", "452 4.3.1"], said
        assert end.startswith("250 "), "who is here gets mail all the same"
        # What leaves the queue makes room.
        queued = [line.split()[0] for line in narrow.run("queue", "list").stdout.splitlines() if "elsewhere.test" in line]
        assert len(queued) == 3, queued
        narrow.run("queue", "drop", *queued[:1])
        moment = time.monotonic() + 15
        while not send(b"f@elsewhere.test")[1].startswith("250 "):
            assert time.monotonic() < moment, "what has left still counts"
            time.sleep(0.2)


def test_failed_logins_per_source(server: Server) -> None:
    def attempt(user: str, password: str, source: str) -> str:
        with smtp(server, "submission", source=source) as raw:
            return raw.say(b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()))

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda number: attempt(f"stranger{number}@acme.test", "guess", f"127.0.9.{number + 1}"), range(4)))
    assert all(one.startswith("535 5.7.8 ") for one in said), said
    # The whole network is refused, with the right password too; others are not, and it ends.
    assert attempt(USER, PASSWORD, "127.0.9.200")[:3] in ("454", "535", "421")
    with imap(server, source="127.0.9.201") as raw:
        assert raw.do(b"a", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"a NO")
    assert attempt(USER, PASSWORD, "127.0.10.1").startswith("235")
    end = time.monotonic() + 15
    while not attempt(USER, PASSWORD, "127.0.9.202").startswith("235"):
        assert time.monotonic() < end, "the window does not end"
        time.sleep(0.1)


def test_a_flood_of_logins_is_put_off_and_holds_up_nobody_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    # One check takes about a tenth of a second, one is done at a time, three may wait.
    dear = {"password.memory": "32MiB", "password.passes": 4, "password.threads": 1, "password.waiting": 3}
    server = Watched(tmp_path_factory.mktemp("dear"), dear)
    server.people("user", "quiet")
    with server, unharmed(server, "quiet@acme.test"), ExitStack() as there:
        flood = [there.enter_context(smtp(server, "submission") if number % 2 else imap(server)) for number in range(40)]
        for number, raw in enumerate(flood):
            token = base64.b64encode(b"\0stranger%d@acme.test\0guess" % number)
            raw.send(b"AUTH PLAIN " + token + b"\r\n" if number % 2 else b"a LOGIN stranger%d@acme.test guess\r\n" % number)
        said = [raw.reply() if number % 2 else raw.until(b"a").decode() for number, raw in enumerate(flood)]
        later = [one for one in said if one.startswith(("454 4.7.0", "451 4.3.2", "454 4.3.2", "a NO [UNAVAILABLE]"))]
        wrong = [one for one in said if one.startswith(("535 5.7.8", "a NO [AUTHENTICATIONFAILED]"))]
        assert len(later) + len(wrong) == 40, said
        assert len(later) >= 20, said
        assert len(wrong) >= 1, said
        there.enter_context(imap(server, USER))


# --- times

HASTY = {
    "limits.tls_timeout": "1s",
    "limits.login_timeout": "2s",
    "limits.imap_timeout": "3s",
    "limits.smtp_timeout": "2s",
    "limits.data_timeout": "3s",
    "limits.session_timeout": "6s",
    "limits.output_timeout": "1s",
}
SLACK = 6.0
"""Seconds later than its time that an end may come: the wheel's tick, the last words' lingering, and a busy machine."""


def until_the_end(raw: Raw) -> bytes:
    raw.socket.settimeout(20)
    return raw.rest()


def silent(door: str) -> Callable[[Server], bytes]:
    def wait(server: Server) -> bytes:
        with Raw(server.ports[door]) as raw:
            return until_the_end(raw)

    return wait


def chattering(door: str, command: bytes, every: float = 0.4) -> Callable[[Server], bytes]:
    def talk(server: Server) -> bytes:
        with Raw(server.ports[door], tls=door.endswith("s")) as raw:
            said = raw.line()
            end = time.monotonic() + 20
            raw.socket.settimeout(0.01)
            while time.monotonic() < end:
                raw.send(command)
                time.sleep(every)
                try:
                    if not raw.more():
                        return said + raw.buffer
                except TimeoutError:
                    pass
            raise TimeoutError

    return talk


def dripping(door: str, before: bytes, octets: bytes, login: bool = False) -> Callable[[Server], bytes]:
    def talk(server: Server) -> bytes:
        raw = imap(server, USER if login else None) if door.startswith("imap") else smtp(server, door)
        with raw:
            raw.send(before)
            if not drip(raw, octets, 0.3, 20):
                raise TimeoutError
            return raw.buffer

    return talk


def idle(command: bytes) -> Callable[[Server], bytes]:
    def wait(server: Server) -> bytes:
        with imap(server, USER) as raw:
            raw.send(command)
            return until_the_end(raw)

    return wait


class Unread:
    """Makes the server say more than the sockets' buffers hold, and reads none of it. That takes its time on a busy machine: `stopped` is
    when the server took the last of what was sent."""

    def __init__(self) -> None:
        self.stopped: float | None = None

    def __call__(self, server: Server) -> bytes:
        with smtp(server, "lmtp", receive_buffer=4096) as raw:
            raw.socket.settimeout(0.5)
            flood = b"MAIL FROM:<a@elsewhere.test>\r\n" + b"RCPT TO:<user@acme.test>\r\n" * 1_000 + b"RSET\r\n"
            at, end = 0, time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    at = (at + raw.socket.send(flood[at:])) % len(flood)
                except TimeoutError:
                    continue
                except OSError:
                    return b""
                self.stopped = time.monotonic()
            raise TimeoutError


def _drip_tls(server: Server) -> bytes:
    with Raw(server.ports["submissions"]) as raw:
        if not drip(raw, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500, 0.2, 20):
            raise TimeoutError
        return raw.buffer


MAIL = b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<user@acme.test>\r\nDATA\r\n"
# What is done, after how many seconds it has to end, and what is said then.
DEADLINES: dict[str, tuple[Callable[[Server], bytes], float, bytes]] = {
    "handshake, submissions": (silent("submissions"), 1, b""),
    "handshake, imaps": (silent("imaps"), 1, b""),
    "a handshake drop by drop": (_drip_tls, 1, b""),
    "login, imap, silent": (silent("imap"), 2, b"* BYE "),
    "login, imap, chattering": (chattering("imap", b"a NOOP\r\n"), 2, b"* BYE "),
    "login, imaps, chattering": (chattering("imaps", b"a NOOP\r\n"), 2, b"* BYE "),
    "login, imap, drop by drop": (dripping("imap", b"", b"a LOGIN {30}\r\nxxxxxxxxxxxxxxxx"), 2, b"* BYE "),
    "login, imap, in a literal": (dripping("imap", b"a LOGIN {100+}\r\n", b"x"), 2, b"* BYE "),
    "login, submission, chattering": (chattering("submission", b"NOOP\r\n"), 2, b"\r\n421 4.4.2 "),
    "command, submission, silent": (silent("submission"), 2, b"\r\n421 4.4.2 "),
    "command, mx, silent": (silent("mx"), 2, b"\r\n421 4.4.2 "),
    "command, lmtp, drop by drop": (dripping("lmtp", b"", b"NOOPNOOP"), 2, b"421 4.4.2 "),
    "data, lmtp, drop by drop": (dripping("lmtp", MAIL, b"x\r\n"), 3, b"421 4.4.2 "),
    "data, mx, drop by drop": (dripping("mx", MAIL, b"x"), 3, b"421 4.4.2 "),
    "idle, imap": (idle(b""), 3, b"* BYE "),
    "idle, imap, in IDLE": (idle(b"a IDLE\r\n"), 3, b"* BYE "),
    "data, imap, in a literal": (dripping("imap", b"a APPEND INBOX {500+}\r\n", b"x", login=True), 3, b"* BYE "),
    "data, imap, in a line": (dripping("imap", b"a SEARCH ", b"x", login=True), 3, b"* BYE "),
    "session, mx, chattering": (chattering("mx", b"NOOP\r\n"), 6, b"\r\n421 4.4.2 "),
    "output, lmtp": (Unread(), 1, b""),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, bytes | BaseException]]:
    """All at once, for each takes seconds."""
    hasty = Watched(tmp_path_factory.mktemp("hasty"), HASTY)
    hasty.people("user")
    found: dict[str, tuple[float, float, bytes | BaseException]] = {}

    def run(name: str) -> None:
        began = time.monotonic()
        outcome: bytes | BaseException
        talk = DEADLINES[name][0]
        try:
            outcome = talk(hasty)
        except BaseException as fault:
            outcome = fault
        ended = time.monotonic()
        found[name] = ended - began, ended - (getattr(talk, "stopped", None) or began), outcome

    with hasty:
        with ThreadPoolExecutor(len(DEADLINES)) as pool:
            list(pool.map(run, DEADLINES))
        log = hasty.log.read_text()
        assert "Traceback" not in log, log[-6000:]
    return found


@pytest.mark.parametrize("name", DEADLINES)
def test_what_takes_too_long_ends(outcomes: dict[str, tuple[float, float, bytes | BaseException]], name: str) -> None:
    _, seconds, words = DEADLINES[name]
    took, waited, outcome = outcomes[name]
    assert isinstance(outcome, bytes), outcome
    assert words in outcome, outcome
    assert seconds - 0.3 <= took, f"ended after {took:.1f} s already"
    assert waited <= seconds + SLACK, f"ended only after {waited:.1f} s"
