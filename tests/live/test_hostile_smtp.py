"""SMTP peers that mean harm (robustness.md section 2.1): each gets the named answer, nobody else notices."""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Iterator

import pytest

from tests.live.hostile import Bystander, Raw, Watched, costing_less_than, has_message_id, imap, resident, smtp, unharmed
from tests.live.server import PASSWORD, Server, compose, trusting

VICTIM = "victim@acme.test"
MALLORY = "mallory@acme.test"
QUIET = "quiet@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Watched(tmp_path_factory.mktemp("hostile-smtp"))
    made.people("victim", "mallory", "quiet", "inbox", "lockable")
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, QUIET) as watching:
        yield watching


def count(server: Server, message_id: bytes) -> int:
    return has_message_id(server.messages(VICTIM), message_id)


# --- 1 smuggling

# Everything that some server took for the end of a message; none of it is CRLF.CRLF.
MIXES = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\n\r.\r\n",
    b"\r\n\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\n\r\n",
    b"\r\n\n.\n\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\r\n.\r\0\n",
    b"\0.\0",
]
HARMLESS = [
    b"\r\n. \r\n",
    b"\r\n .\r\n",
    b"\r\n.\t\r\n",
    b"\x0b.\x0b",
    b"\x0c.\x0c",
    b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x1e.\x1e",
]


def smuggled(sender: bytes, number: str) -> bytes:
    return b"MAIL FROM:<%b>\r\nRCPT TO:<victim@acme.test>\r\nDATA\r\nFrom: <%b>\r\nMessage-ID: <smuggled-%b@x.test>\r\n\r\nevil\r\n" % (
        sender,
        sender,
        number.encode(),
    )


@pytest.mark.parametrize("door", ["submission", "submissions", "mx"])
@pytest.mark.parametrize("mix", [*MIXES, *HARMLESS], ids=repr)
def test_smuggling(server: Server, door: str, mix: bytes) -> None:
    number = f"{door}-{mix.hex()}"
    sender = b"mallory@acme.test" if door != "mx" else b"stranger@elsewhere.test"
    outer = b"From: <%b>\r\nMessage-ID: <outer-%b@x.test>\r\n\r\nfirst" % (sender, number.encode())
    with smtp(server, door, login=MALLORY if door != "mx" else None) as raw:
        assert raw.say(b"MAIL FROM:<%b>" % sender).startswith("250")
        assert raw.say(b"RCPT TO:<victim@acme.test>").startswith("250")
        assert raw.say(b"DATA").startswith("354")
        raw.send(outer + mix + smuggled(sender, number) + b".\r\nNOOP\r\n")
        said = raw.reply()
        assert raw.reply() == "250 2.0.0 ok", "more than one reply: there were more than one message"
        if mix in MIXES:
            assert said.startswith("550 5.6.0 "), said
        else:
            assert said.startswith(("250 2.0.0 ", "550 5.6.0 ")), said
        assert raw.say(b"QUIT").startswith("221")
    assert count(server, b"smuggled-" + number.encode() + b"@x.test") == 0
    assert count(server, b"outer-" + number.encode() + b"@x.test") == (1 if said.startswith("250") else 0)


@pytest.mark.parametrize("mix", [b"\n.\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n"], ids=repr)
def test_smuggling_in_single_octets(server: Server, mix: bytes) -> None:
    with smtp(server, "mx") as raw:
        raw.say(b"MAIL FROM:<stranger@elsewhere.test>")
        raw.say(b"RCPT TO:<victim@acme.test>")
        assert raw.say(b"DATA").startswith("354")
        octets = b"From: <x@elsewhere.test>\r\n\r\nfirst" + mix + b"MAIL FROM:<>\r\n.\r\nNOOP\r\n"
        raw.send(*(octets[at : at + 1] for at in range(len(octets))))
        assert raw.reply().startswith("550 5.6.0 ")
        assert raw.reply() == "250 2.0.0 ok"


def test_a_dot_on_the_first_line_ends_the_message_and_stuffing_is_taken_off(server: Server) -> None:
    with smtp(server, "mx") as raw:
        raw.say(b"MAIL FROM:<stranger@elsewhere.test>")
        raw.say(b"RCPT TO:<victim@acme.test>")
        raw.say(b"DATA")
        raw.send(b"From: <x@elsewhere.test>\r\nMessage-ID: <dots@x.test>\r\n\r\n..one\r\n...\r\n.\r\n")
        assert raw.reply().startswith("250 ")
    found = [one for one in server.messages(VICTIM) if b"<dots@x.test>" in one]
    assert len(found) == 1
    assert found[0].endswith(b"\r\n\r\n.one\r\n..\r\n")


def test_bare_newlines_can_be_repaired_and_are_no_boundary_then_either(tmp_path_factory: pytest.TempPathFactory) -> None:
    fixing = Watched(tmp_path_factory.mktemp("fix"), {"bare_newline": "fix"})
    fixing.people("victim")
    with fixing, smtp(fixing, "mx") as raw:
        raw.say(b"MAIL FROM:<stranger@elsewhere.test>")
        raw.say(b"RCPT TO:<victim@acme.test>")
        raw.say(b"DATA")
        raw.send(b"From: <x@elsewhere.test>\r\n\r\nfirst\n.\nMAIL FROM:<>\r\n.\r\nNOOP\r\n")
        assert raw.reply().startswith("250 ")
        assert raw.reply() == "250 2.0.0 ok"
        (found,) = fixing.messages(VICTIM)
        assert found.endswith((b"\r\n\r\nfirst\r\n.\r\nMAIL FROM:<>\r\n", b"\r\n\r\nfirst\r\n\r\nMAIL FROM:<>\r\n"))
        assert found.count(b"\n") == found.count(b"\r\n") == found.count(b"\r")


# --- 2 STARTTLS


@pytest.mark.parametrize("door", ["submission", "mx"])
@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO evil.test\r\n", b"RSET\r\nQUIT\r\n", b"\r\n", b"N"], ids=repr)
def test_nothing_said_in_the_clear_behind_starttls_is_answered_in_tls(server: Server, door: str, behind: bytes) -> None:
    with smtp(server, door) as raw:
        raw.send(b"STARTTLS\r\n" + behind)
        assert raw.reply().startswith("220 ")
        try:
            raw.start_tls()
            raw.send(b"EHLO client.test\r\n")
            said = raw.reply()
            # A server that goes on must have thrown it away: the only answer is that to EHLO.
            assert said == "" or said.startswith("250-mx.acme.test")
            if said:
                assert raw.say(b"NOOP") == "250 2.0.0 ok"
        except (ssl.SSLError, OSError):
            assert raw.buffer == b""


def test_octets_in_the_clear_after_220_fail_the_handshake(server: Server) -> None:
    with smtp(server, "submission") as raw:
        assert raw.say(b"STARTTLS").startswith("220 ")
        raw.send(b"NOOP\r\nNOOP\r\n")
        assert not re.search(rb"^250", raw.rest(), re.MULTILINE)


@pytest.mark.parametrize("door", ["submission", "mx"])
def test_starttls_forgets_what_was_learnt_in_the_clear(server: Server, door: str) -> None:
    with smtp(server, door) as raw:
        if door == "mx":
            assert raw.say(b"MAIL FROM:<stranger@elsewhere.test>").startswith("250")
        assert raw.say(b"STARTTLS").startswith("220 ")
        raw.start_tls()
        assert raw.say(b"MAIL FROM:<stranger@elsewhere.test>").startswith("503 5.5.1 ")
        assert raw.say(b"RCPT TO:<victim@acme.test>").startswith("503 5.5.1 ")
        assert raw.say(b"AUTH PLAIN AGEAYg==").startswith("503 5.5.1 " if door == "submission" else "502 5.5.1 ")
        said = raw.say(b"EHLO client.test")
        assert "STARTTLS" not in said
        assert raw.say(b"STARTTLS").startswith("503 5.5.1 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


def test_starttls_on_implicit_tls_and_after_login_and_with_an_argument(server: Server) -> None:
    with smtp(server, "submissions") as raw:
        assert "STARTTLS" not in raw.say(b"EHLO client.test")
        assert raw.say(b"STARTTLS").startswith("503 5.5.1 ")
    with smtp(server, "submission", login=MALLORY) as raw:
        assert raw.say(b"STARTTLS").startswith("503 5.5.1 ")
    with smtp(server, "submission") as raw:
        assert raw.say(b"STARTTLS now").startswith("501 5.5.4 ")


def test_a_login_in_the_clear_does_not_survive_starttls(server: Server) -> None:
    with smtp(server, "submission") as raw:
        assert raw.say(b"STARTTLS").startswith("220 ")
        raw.start_tls()
        raw.say(b"EHLO client.test")
        assert raw.say(b"MAIL FROM:<mallory@acme.test>").startswith("530 5.7.0 ")


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp", "imap"])
def test_a_tls_hello_on_a_plain_port_ends_the_connection(server: Server, door: str) -> None:
    with Raw(server.ports[door], seconds=15) as raw:
        raw.line()
        with pytest.raises((ssl.SSLError, OSError)):
            trusting().wrap_socket(raw.socket)


@pytest.mark.parametrize("door", ["submissions", "imaps"])
@pytest.mark.parametrize(
    "octets", [b"EHLO client.test\r\n", b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"A" * 5000, b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_tls_on_a_tls_port_ends_the_connection(server: Server, door: str, octets: bytes) -> None:
    with Raw(server.ports[door], seconds=15) as raw:
        raw.send(octets)
        raw.socket.shutdown(1)
        said = raw.rest()
        assert b"220" not in said
        assert b"* OK" not in said


# --- 3 AUTH


def token(*parts: bytes) -> bytes:
    return base64.b64encode(b"\0".join(parts))


GOOD = token(b"", MALLORY.encode(), PASSWORD.encode())


BAD_LOGINS = [
    (b"AUTH", "501 5.5.4 "),
    (b"AUTH ", "501 5.5.4 "),
    (b"AUTH PLAIN = =", "501 5.5.4 "),
    (b"AUTH PLAIN " + GOOD + b" x", "501 5.5.4 "),
    (b"AUTH CRAM-MD5", "504 5.5.4 "),
    (b"AUTH ../../PLAIN", "504 5.5.4 "),
    (b"AUTH __INIT__", "504 5.5.4 "),
    (b"AUTH PLAIN \xff\xfe", "500 5.5.2 "),
    (b"AUTH PLAIN !!!!", "501 5.5.2 "),
    (b"AUTH PLAIN AGE", "501 5.5.2 "),
    (b"AUTH PLAIN A===", "501 5.5.2 "),
    (b"AUTH PLAIN =", "5"),
    (b"AUTH PLAIN " + token(b"a"), "5"),
    (b"AUTH PLAIN " + token(b"", b"", b""), "501 5.5.2 "),
    (b"AUTH PLAIN " + token(b"", MALLORY.encode(), b""), "501 5.5.2 "),
    (b"AUTH PLAIN " + token(b"", b"nobody@acme.test", b"x"), "535 5.7.8 "),
    (b"AUTH PLAIN " + token(b"", b"\xff\xfe@acme.test", b"x"), "5"),
    (b"AUTH PLAIN " + token(b"", b"' OR 1=1 --", b"x"), "535 5.7.8 "),
    (b"AUTH PLAIN " + token(b"", b"mallory*)(uid=*", b"x"), "535 5.7.8 "),
    (b"AUTH PLAIN " + token(b"", b"%u%d${run{id}}", b"x"), "535 5.7.8 "),
    (b"AUTH PLAIN " + token(b"", b"mallory@acme.test\r\nMAIL FROM:<>", b"x"), "5"),
    (b"AUTH PLAIN " + token(b"", MALLORY.encode(), PASSWORD.encode(), b"more"), "5"),
    (b"AUTH PLAIN " + token(VICTIM.encode(), MALLORY.encode(), PASSWORD.encode()), "535 5.7.8 "),
    (b"AUTH PLAIN " + token(b"", b"m" * 6000, b"x"), "5"),
    (b"AUTH SCRAM-SHA-256 =", "501 5.5.2 "),
    (b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,m=x,n=" + MALLORY.encode() + b",r=x"), "501 5.5.2 "),
    (b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=" + b"\xef\xb7\xba" * 1_500 + b",r=x"), "501 5.5.2 "),
    (b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"p=tls-unique,,n=" + MALLORY.encode() + b",r=x"), "501 5.5.2 "),
    (b"AUTH OAUTHBEARER " + base64.b64encode(b"n,,\x01auth=Bearer eyJhbGciOiJub25lIn0.e30.\x01\x01"), "504 5.5.4 "),
]


def test_authentication_gone_wrong_changes_nothing(server: Server) -> None:
    # All at once: each failure is answered a second late.
    open_now = [smtp(server, "submission") for _ in BAD_LOGINS]
    for raw, (words, _) in zip(open_now, BAD_LOGINS, strict=True):
        raw.send(words + b"\r\nMAIL FROM:<mallory@acme.test>\r\n")
    for raw, (words, said) in zip(open_now, BAD_LOGINS, strict=True):
        with raw:
            answer = raw.reply()
            assert answer.startswith(said), (words, answer)
            assert raw.reply().startswith("530 5.7.0 "), words
            assert raw.say(b"AUTH PLAIN " + GOOD).startswith("235 2.7.0 "), words


def test_authentication_in_several_steps_can_be_given_up(server: Server) -> None:
    with smtp(server, "submission") as raw:
        assert raw.say(b"AUTH PLAIN").startswith("334 ")
        assert raw.say(b"*").startswith("501 ")
        assert raw.say(b"auth login").startswith("334 ")
        assert raw.say(base64.b64encode(MALLORY.encode())).startswith("334 ")
        assert raw.say(b"*").startswith("501 ")
        assert raw.say(b"AUTH LOGIN").startswith("334 ")
        assert raw.say(b"not base64!").startswith("501 ")
        assert raw.say(b"MAIL FROM:<mallory@acme.test>").startswith("530 5.7.0 ")
        assert raw.say(b"aUtH pLaIn " + GOOD).startswith("235 ")
        assert raw.say(b"AUTH PLAIN " + GOOD).startswith("503 5.5.1 ")
        assert raw.say(b"MAIL FROM:<mallory@acme.test>").startswith("250 ")
        assert raw.say(b"AUTH PLAIN " + GOOD).startswith("503 5.5.1 ")
        assert raw.say(b"RCPT TO:<victim@acme.test>").startswith("250 ")


def test_authentication_before_ehlo_and_where_it_is_not_offered(server: Server) -> None:
    with Raw(server.ports["submission"]) as raw:
        raw.reply()
        assert raw.say(b"AUTH PLAIN " + GOOD).startswith("503 5.5.1 ")
        assert raw.say(b"HELO client.test").startswith("250 ")
        assert raw.say(b"AUTH PLAIN " + GOOD).startswith("503 5.5.1 ")
    with smtp(server, "mx") as raw:
        assert raw.say(b"AUTH PLAIN " + GOOD).startswith("502 5.5.1 ")


def test_a_pipelined_login_does_not_let_the_next_command_in_before_it_is_judged(server: Server) -> None:
    with smtp(server, "submission") as raw:
        wrong = token(b"", MALLORY.encode(), b"wrong one")
        raw.send(b"AUTH PLAIN " + wrong + b"\r\nMAIL FROM:<mallory@acme.test>\r\nRCPT TO:<victim@acme.test>\r\n")
        assert [raw.reply()[:3] for _ in range(3)] == ["535", "530", "530"]


def test_an_authentication_token_too_long_is_refused_whole(server: Server) -> None:
    with smtp(server, "submission") as raw:
        assert raw.say(b"AUTH PLAIN " + b"A" * 20_000).startswith("500 5.5.6 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"
        assert raw.say(b"AUTH PLAIN").startswith("334 ")
        assert raw.say(b"A" * 20_000).startswith("500 5.5.6 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


def test_the_client_that_leaves_in_the_middle_of_authentication(server: Server) -> None:
    for _ in range(5):
        with smtp(server, "submission") as raw:
            assert raw.say(b"AUTH LOGIN").startswith("334 ")
        with smtp(server, "submission") as raw:
            raw.send(b"AUTH PLAIN " + GOOD + b"\r\n")
    with smtp(server, "submission", login=MALLORY) as raw:
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


# --- 4 octets that no command has


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
@pytest.mark.parametrize(
    "command",
    [
        b"NO\0OP",
        b"\0",
        b"NOOP \x80\xff",
        b"\xffHELP",
        b"EHLO a\rb",
        b"XYZZY \r550 2.0.0 forged",
        b"VRFY \x1b[2J\x1b]0;owned\x07",
        b"RCPT TO:<a\0b@acme.test>",
        b"MAIL FROM:<a\rb@acme.test>",
        b"HELP \xe2\x80\xae",
    ],
    ids=repr,
)
def test_octets_that_no_command_has(server: Server, door: str, command: bytes) -> None:
    with smtp(server, door) as raw:
        raw.send(command + b"\r\n")
        line = raw.line()
        assert line[:3] in (b"500", b"501", b"502", b"503", b"530", b"421"), line
        assert all(0x20 <= octet < 0x7F for octet in line[:-2]), line
        assert b"forged" not in line
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize("octets", [b"NOOP\nNOOP\n", b"NOOP\n", b"EHLO x\nMAIL FROM:<>\n"], ids=repr)
def test_a_bare_newline_does_not_end_a_command(server: Server, octets: bytes) -> None:
    with smtp(server, "mx") as raw:
        raw.send(octets)
        assert raw.reply().startswith("500 5.5.2 ")
        assert raw.rest() == b""


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL",
        b"MAIL FROM",
        b"MAIL FROM:",
        b"MAIL FROM:<",
        b"MAIL FROM:>",
        b"MAIL FROM:<a@b> SIZE=\xc2\xb2",
        b"MAIL FROM:<a@b> SIZE=",
        b"MAIL FROM:<a@b> SIZE=-1",
        b"MAIL FROM:<a@b> SIZE=" + b"9" * 3000,
        b"MAIL FROM:<a@b> BODY=BINARY",
        b"MAIL FROM:<a@b> SIZE=1 SIZE=2",
        b"MAIL FROM:<a@b> FOO=BAR",
        b"MAIL FROM:<a@b> =",
        b"MAIL FROM:<a@b>SIZE=1",
        b"MAIL FROM:<a@b><c@d>",
        b"MAIL FROM:a@b",
        b"MAIL TO:<a@b>",
        b"MAIL FROM:<" + b"(" * 2000 + b"@b>",
        b"MAIL FROM:<" + b'"' * 2001 + b"@b>",
    ],
    ids=lambda value: repr(value[:50]),
)
def test_mail_written_wrongly(server: Server, command: bytes) -> None:
    with smtp(server, "mx") as raw:
        answer = raw.say(command)
        assert answer[:3] in ("500", "501", "504", "552", "553", "555"), answer
        assert raw.say(b"RCPT TO:<victim@acme.test>").startswith("503 5.5.1 ")


def test_commands_out_of_order(server: Server) -> None:
    with Raw(server.ports["mx"]) as raw:
        raw.reply()
        for command in (b"MAIL FROM:<a@elsewhere.test>", b"RCPT TO:<victim@acme.test>", b"DATA"):
            assert raw.say(command).startswith("503 5.5.1 ")
        raw.say(b"EHLO client.test")
        assert raw.say(b"DATA").startswith("503 5.5.1 ")
        assert raw.say(b"MAIL FROM:<a@elsewhere.test>").startswith("250")
        assert raw.say(b"MAIL FROM:<b@elsewhere.test>").startswith("503 5.5.1 ")
        assert raw.say(b"DATA").startswith("503 5.5.1 ")
        assert raw.say(b"DATA now").startswith("501 5.5.4 ")
        raw.say(b"EHLO again.test")
        assert raw.say(b"RCPT TO:<victim@acme.test>").startswith("503 5.5.1 "), "EHLO forgets the transaction"
        raw.send(b"BDAT 10 LAST\r\nNOOP\r\nNOOP")
        assert raw.reply().startswith("503 5.5.1 "), "nothing in a chunk is a command"
        assert raw.say(b"\r\nBDAT").startswith("500"), "the empty line"
        assert raw.reply().startswith("501 5.5.4 ")


# --- 5 long lines


@pytest.mark.parametrize("door", ["submission", "submissions", "mx", "lmtp"])
def test_a_long_line_is_refused_and_the_next_one_served(server: Server, door: str) -> None:
    with smtp(server, door) as raw:
        assert raw.say(b"NOOP " + b"x" * 100_000).startswith("500 5.5.2 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp", "submissions", "imap", "imaps"])
def test_octets_without_an_end_take_no_memory_and_come_to_an_end(server: Server, door: str) -> None:
    before = resident(server)
    with Raw(server.ports[door], tls=door.endswith("s")) as raw:
        raw.line()
        end = time.monotonic() + 15
        try:
            while time.monotonic() < end:
                raw.socket.sendall(b"A" * (1 << 20))
            pytest.fail("the server goes on reading")
        except OSError:
            pass
    assert resident(server, "VmHWM") - before < 32 << 20


# --- 6 slow peers: test_limits.py has the deadlines


def test_a_thousand_pipelined_commands_in_one_packet_are_all_answered_in_order(server: Server) -> None:
    with smtp(server, "mx") as raw:
        one = b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<victim@acme.test>\r\nRCPT TO:<nobody@acme.test>\r\nRSET\r\n"
        raw.send(one * 20)
        said = [raw.reply()[:3] for _ in range(80)]
        assert said == ["250", "250", "550", "250"] * 20


# --- 7 floods


def test_too_many_recipients(server: Server) -> None:
    with smtp(server, "mx") as raw:
        raw.say(b"MAIL FROM:<a@elsewhere.test>")
        raw.send(b"RCPT TO:<victim@acme.test>\r\n" * 1_003)
        said = [raw.reply() for _ in range(1_003)]
        assert all(one.startswith("250") for one in said[:1_000])
        assert all(one.startswith("452 4.5.3 ") for one in said[1_000:])
        raw.send(b"DATA\r\n")
        assert raw.reply().startswith("354")
        raw.send(b"From: <a@elsewhere.test>\r\nMessage-ID: <thousandfold@x.test>\r\n\r\nx\r\n.\r\n")
        assert raw.reply().startswith("250")
    assert count(server, b"thousandfold@x.test") == 1, "one mailbox named a thousand times gets one copy"


@pytest.mark.parametrize("command", [b"EHLO x", b"NOOP", b"RSET", b"VRFY a@acme.test", b"HELP", b"EXPN staff"])
def test_commands_that_bring_no_message_come_to_an_end(server: Server, command: bytes) -> None:
    with smtp(server, "mx") as raw:
        raw.send((command + b"\r\n") * 300)
        said = raw.rest().split(b"\r\n")
        assert said[-2].startswith(b"421 4.7.0 "), said[-2]


def test_harvesting_addresses_ends_the_connection(server: Server) -> None:
    with smtp(server, "mx") as raw:
        raw.say(b"MAIL FROM:<a@elsewhere.test>")
        raw.send(b"".join(b"RCPT TO:<guess%d@acme.test>\r\n" % number for number in range(200)))
        said = raw.rest().split(b"\r\n")
        assert said[-2].startswith(b"421 4.7.0 ")
        assert sum(one.startswith(b"550 5.1.1 ") for one in said) <= 60


def test_bad_commands_end_the_connection(server: Server) -> None:
    with smtp(server, "submission") as raw:
        raw.send(b"XYZZY\r\n" * 50)
        said = raw.rest().split(b"\r\n")
        assert said[-2].startswith(b"421 4.7.0 ")
        assert len(said) <= 8


# --- 8 messages that are dear


def submit(server: Server, octets: bytes, door: str = "mx") -> str:
    with smtp(server, door, seconds=60) as raw:
        raw.say(b"MAIL FROM:<stranger@elsewhere.test>")
        raw.say(b"RCPT TO:<inbox@acme.test>")
        assert raw.say(b"DATA").startswith("354")
        raw.send(octets)
        raw.send(b"\r\n.\r\n")
        return raw.reply()


HEAD = b"From: <a@elsewhere.test>\r\nSubject: dear\r\n"


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (HEAD + b"\r\n" + b"\r\n" * (4 << 20), "250 "),
        (HEAD + b"\r\n" + b".\r\n".replace(b".", b"..") * (2 << 20), "250 "),
        (HEAD + b"\r\n" + b"x" * (16 << 20), "250 "),
        (HEAD + b"X: y\r\n" * 100_000 + b"\r\nx", "5"),
        (HEAD + b"X:" + b" y\r\n" * 500_000 + b"\r\nx", "5"),
        (HEAD + b"To: " + b"a@acme.test, " * 80_000 + b"\r\n\r\nx", "5"),
        (b"From: " + b"(" * 200_000 + b"\r\n\r\nx", "5"),
        (b"Received: from x\r\n" * 200 + HEAD + b"\r\nx", "554 5.4.6 "),
        (b"\r\n" * 10, "5"),
    ],
    ids=["empty lines", "dotted lines", "one line", "fields", "folds", "recipients", "comments", "received", "nothing"],
)
def test_dear_messages(server: Server, octets: bytes, said: str) -> None:
    with costing_less_than(server, 15):
        answer = submit(server, octets)
    if said == "5":
        # Refused for what it is, or taken as it is; neither may cost anything.
        assert answer[:3] in ("250", "550", "552", "554"), answer
    else:
        assert answer.startswith(said), answer


def test_a_message_above_the_size_is_refused_and_takes_no_more_memory_than_a_message(server: Server) -> None:
    with smtp(server, "mx", seconds=60) as raw:
        assert raw.say(b"MAIL FROM:<a@elsewhere.test> SIZE=52428801").startswith("552 5.3.4 ")
        assert raw.say(b"MAIL FROM:<a@elsewhere.test> SIZE=52428800").startswith("250 ")


# --- 9 odd paths


@pytest.mark.parametrize(
    "path",
    [
        b'""@acme.test',
        b'"victim"@acme.test.',
        b"@acme.test:nobody@acme.test",
        b"@a,@b:nobody@acme.test",
        b"victim%elsewhere.test@acme.test",
        b"elsewhere.test!victim@acme.test",
        b"victim@elsewhere.test@acme.test",
        b'"|/bin/sh"@acme.test',
        b"|/bin/sh@acme.test",
        b"${run{/bin/id}}@acme.test",
        b"../../etc/passwd@acme.test",
        b'"../../etc/passwd"@acme.test',
        b"/etc/passwd@acme.test",
        b":include:/etc/passwd@acme.test",
        b"victim@[127.0.0.1]",
        b"victim@acme.test\\",
        b"victim",
        b"@",
        b"@acme.test",
        b"victim@",
        b"vic..tim@acme.test",
        b".victim@acme.test",
        b"x" * 65 + b"@acme.test",
        b"x@" + b"a." * 200 + b"test",
        b"x" * 3000 + b"@acme.test",
        b"(victim)@acme.test",
        b"victim@xn--a.test",
        b"v\xc3\xafctim@acme.test",
        b"%s%n%x@acme.test",
        b"*@acme.test",
    ],
    ids=lambda value: repr(value[:40]),
)
@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_odd_recipients_are_refused_and_open_nothing(server: Server, door: str, path: bytes) -> None:
    with smtp(server, door) as raw:
        assert raw.say(b"MAIL FROM:<a@elsewhere.test>").startswith("250")
        answer = raw.say(b"RCPT TO:<" + path + b">")
        assert answer.startswith("5"), answer
        assert answer[4:6] == "5.", answer
        assert raw.say(b"DATA").startswith("503")


@pytest.mark.parametrize("path", [b"a@b@c", b"@x:a@elsewhere.test", b"a b@c", b'"a"b@c', b"a@-", b"a" * 2000 + b"@elsewhere.test"])
def test_odd_senders_never_break_anything(server: Server, path: bytes) -> None:
    with smtp(server, "mx") as raw:
        answer = raw.say(b"MAIL FROM:<" + path + b">")
        assert answer[:1] in "25", answer
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


# --- 10, 11 other protocols, other people's privileges


@pytest.mark.parametrize(
    "octets",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nEHLO x\r\nMAIL FROM:<>\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=repr,
)
@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
def test_a_web_browser_is_sent_away_at_its_first_line(server: Server, door: str, octets: bytes) -> None:
    with Raw(server.ports[door]) as raw:
        raw.reply()
        raw.send(octets)
        assert raw.reply().startswith("421 4.7.0 ")
        assert raw.rest() == b""


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
@pytest.mark.parametrize(
    "command",
    [
        b"XCLIENT ADDR=10.0.0.1 LOGIN=victim@acme.test",
        b"XFORWARD ADDR=10.0.0.1",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2",
        b"XADMIN",
        b"ETRN x",
        b"TURN",
        b"DEBUG",
        b"WIZ",
    ],
)
def test_what_only_neighbours_may_say(server: Server, door: str, command: bytes) -> None:
    with Raw(server.ports[door]) as raw:
        raw.reply()
        assert raw.say(command).startswith("500 5.5.2 ")


# --- 13 who is there


def test_nothing_tells_who_exists(server: Server) -> None:
    with smtp(server, "mx") as raw:
        assert raw.say(b"VRFY victim@acme.test") == raw.say(b"VRFY nobody@acme.test")
        assert raw.say(b"EXPN victim@acme.test") == raw.say(b"EXPN nobody@acme.test")
    users = (VICTIM, "nobody@acme.test", "nobody@elsewhere.test", "x")
    asking = [smtp(server, "submission") for _ in users]
    for raw, user in zip(asking, users, strict=True):
        raw.send(b"AUTH PLAIN " + token(b"", user.encode(), b"guessed") + b"\r\n")
    said = [raw.reply() for raw in asking]
    for raw in asking:
        raw.socket.close()
    # The number of the refusal is another each time, and every one has it.
    assert len({re.sub(r"\[d-[0-9a-f]{12}\]$", "[d]", one) for one in said}) == 1, said
    with smtp(server, "submission") as raw:
        assert raw.say(b"RCPT TO:<victim@acme.test>") == raw.say(b"RCPT TO:<nobody@acme.test>")


# --- 14 lockout as a weapon


def test_locking_somebody_out_stops_neither_his_mail_nor_his_open_session(server: Server) -> None:
    user = "lockable@acme.test"
    with imap(server, user) as session:
        assert session.do(b"a", b"SELECT INBOX").startswith(b"a OK")
        strangers = [smtp(server, "submission") for _ in range(12)]
        for number, raw in enumerate(strangers):
            raw.send(b"AUTH PLAIN " + token(b"", user.encode(), b"guess %d" % number) + b"\r\n")
        for raw in strangers:
            assert raw.reply().startswith("535 5.7.8 ")
            raw.socket.close()
        # The lockout may spare the network that its owner logs in from; what counts here is what goes on in any case.
        assert session.do(b"b", b"NOOP").startswith(b"b OK")
        server.deliver(user, compose("x@elsewhere.test", user))
        assert session.do(b"c", b"NOOP").startswith(b"c OK")
        session.send(b"d SEARCH FROM elsewhere\r\n")
        assert session.until(b"d").startswith((b"* SEARCH 1\r\n", b"* SEARCH 2\r\n"))


PIECES = [
    b"EHLO", b"HELO", b"LHLO", b"MAIL FROM:", b"RCPT TO:", b"DATA", b"RSET", b"NOOP", b"QUIT", b"VRFY", b"AUTH", b"PLAIN", b"LOGIN",
    b"=", b"*", b"<>", b"<a@b.test>", b"<victim@acme.test>", b"<mallory@acme.test>", b"<", b">", b"@", b'"', b"SIZE=5", b"SIZE=",
    b"BODY=8BITMIME", b"SMTPUTF8", b"\r\n.\r\n", b"\r\n", b".", b"..", b"\r", b"\n", b"\x00", b"\xff", b"\xc3\xa4", b"x",
    b"From: a@b.test", b":", b" ", b"\t", b"BDAT 3 LAST", b"STARTTLS",
]  # fmt: skip
BEGINNINGS = [
    b"",
    b"EHLO x\r\n",
    b"EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\n",
    b"EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<victim@acme.test>\r\n",
    b"EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<victim@acme.test>\r\nDATA\r\n",
    b"EHLO x\r\nAUTH PLAIN\r\n",
    b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<victim@acme.test>\r\nRCPT TO:<quiet@acme.test>\r\nDATA\r\n",
]


@pytest.mark.parametrize("door", ["submission", "mx", "lmtp"])
@pytest.mark.parametrize("seed", range(3))
def test_random_dialogues_in_every_state_find_no_fault_of_ours(server: Server, door: str, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        with Raw(server.ports[door]) as raw:
            raw.send(chance.choice(BEGINNINGS))
            for _ in range(chance.randrange(1, 25)):
                words = [chance.choice(PIECES) for _ in range(chance.randrange(1, 7))]
                raw.send(chance.choice((b" ", b"")).join(words) + b"\r\n")
            raw.send(b"\r\n.\r\nQUIT\r\n")
            raw.finish()
            said = raw.rest()
            assert b"451 4.3.0" not in said, said
            assert re.fullmatch(rb"(?:[2-5]\d\d[ -][ -~]*\r\n)*", said), said
