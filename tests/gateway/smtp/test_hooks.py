"""What the services are told, and what becomes of their answers."""

import pytest

from gateway.smtp.hooks import InboundHooks, LmtpHooks, SubmissionHooks
from policy.delivery import Door
from policy.identity import Address
from tests.gateway.smtp.conftest import HOST, Serve
from tests.gateway.smtp.services import ANNA, FakeDelivery


async def test_submission_is_told_who_and_from_where(serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there", "AUTH PLAIN YW5uYUBhY21lLnRlc3QAYW5uYUBhY21lLnRlc3QAY29ycmVjdCBob3JzZQ==")
        ((credentials, peer),) = place.login.asked
        assert (credentials.mechanism, credentials.authcid, credentials.authzid) == ("PLAIN", "anna@acme.test", "anna@acme.test")
        assert credentials.password == b"correct horse"
        assert "horse" not in repr(credentials)
        assert (peer.address, peer.protocol, peer.tls) == ("127.0.0.1", "smtp", False)
        await client.ask("MAIL FROM:<Anna@ACME.test> SMTPUTF8", "RSET", "MAIL FROM:<>")
        assert place.submission.began == [(ANNA, Address("Anna", "acme.test"), True), (ANNA, None, False)]


@pytest.mark.parametrize(("kind", "secured"), [("submission", False), ("submissions", True)])
async def test_submission_is_told_whether_it_came_by_tls(kind: str, secured: bool, serve: Serve) -> None:
    async with serve(kind) as place:
        client = await place.connect(tls=secured)
        await client.ask("EHLO there", "AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=", "MAIL FROM:<anna@acme.test>")
        assert place.submission.secured == [secured]


@pytest.mark.parametrize(("kind", "door", "hello"), [("mx", Door.MX, "EHLO x"), ("lmtp", Door.LMTP, "LHLO x")])
async def test_delivery_is_told_the_door_and_the_peer(kind: str, door: Door, hello: str, serve: Serve) -> None:
    async with serve(kind) as place:
        client = await place.connect()
        await client.ask(hello, "MAIL FROM:<x@y.test>")
        assert place.delivery.began == [(door, Address("x", "y.test"), "127.0.0.1")]


async def test_nobody_logs_in_on_mx(serve: Serve) -> None:
    async with serve("mx") as place:
        client = await place.connect()
        assert "AUTH" not in await client.ask("EHLO x")
        assert (await client.ask("AUTH PLAIN AGEAYg=="))[:3] == "502"


async def test_mx_has_one_reply_for_all(serve: Serve) -> None:
    async with serve("mx") as place:
        client = await place.connect()
        assert (await client.ask("EHLO x", "MAIL FROM:<x@y.test>", "RCPT TO:<closing@acme.test>", "RCPT TO:<anna@acme.test>", "DATA"))[
            :3
        ] == "354"
        # One changed after RCPT: it gets a delivery report, the message is accepted.
        assert await client.ask(".") == "250 2.0.0 q1 accepted"
        await client.ask("MAIL FROM:<x@y.test>", "RCPT TO:<closing@acme.test>", "RCPT TO:<closing@acme.test>", "DATA")
        # All of them changed: the reply is their refusal.
        assert await client.ask(".") == "550 5.2.1 this account takes no mail"


@pytest.mark.parametrize(
    ("replies", "mx"),
    [
        (["250 2.0.0 a", "550 5.2.1 b"], "250 2.0.0 a"),
        (["550 5.2.1 b", "450 4.2.1 c"], "450 4.2.1 c"),
        (["550 5.2.1 b", "552 5.2.2 d"], "550 5.2.1 b"),
    ],
)
def test_outcomes(replies: list[str], mx: str) -> None:
    assert InboundHooks(FakeDelivery(), hostname=HOST).outcome(replies) == mx
    assert LmtpHooks(FakeDelivery(), hostname=HOST).outcome(replies) == "\r\n".join(replies)


async def test_a_closed_account_can_be_refused_as_unknown(serve: Serve) -> None:
    delivery = FakeDelivery()
    async with serve("mx", handler=lambda: InboundHooks(delivery, hostname=HOST, closed_reply="5.1.1")) as place:
        client = await place.connect()
        await client.ask("EHLO x", "MAIL FROM:<>")
        assert await client.ask("RCPT TO:<closed@acme.test>") == await client.ask("RCPT TO:<nobody@acme.test>")


async def test_after_a_failed_login_nobody_is_known(serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there", "AUTH PLAIN AGFubmFAYWNtZS50ZXN0AHdyb25n")
        assert place.sessions.open == []
        (connection,) = place.house.here
        handler = connection.event_handler  # type: ignore[attr-defined]
        assert isinstance(handler, SubmissionHooks)
        assert handler._actor is None


@pytest.mark.parametrize(
    ("kind", "hello", "mail", "expected"),
    [
        ("mx", "HELO old.test", "MAIL FROM:<x@y.test>", ("old.test", "SMTP")),
        ("mx", "EHLO [192.0.2.1]", "MAIL FROM:<x@y.test>", ("[192.0.2.1]", "ESMTP")),
        ("mx", "EHLO a.test", "MAIL FROM:<x@y.test> SMTPUTF8", ("a.test", "UTF8SMTP")),
        ("lmtp", "LHLO a.test", "MAIL FROM:<x@y.test>", ("a.test", "LMTP")),
        ("lmtp", "LHLO a.test", "MAIL FROM:<x@y.test> SMTPUTF8", ("a.test", "UTF8LMTP")),
    ],
)
async def test_delivery_is_told_how_the_peer_spoke(kind: str, hello: str, mail: str, expected: tuple[str, str], serve: Serve) -> None:
    async with serve(kind) as place:
        client = await place.connect()
        assert (await client.ask(hello, mail)).startswith("250")
        assert place.delivery.spoken == [expected]


@pytest.mark.parametrize(("kind", "hello", "expected"), [("mx", "EHLO a.test", "ESMTPS"), ("lmtp", "LHLO a.test", "LMTPS")])
async def test_delivery_is_told_that_it_came_by_tls(kind: str, hello: str, expected: str, serve: Serve) -> None:
    async with serve(kind) as place:
        client = await place.connect()
        await client.ask(hello, "STARTTLS")
        await client.start_tls()
        assert (await client.ask(hello, "MAIL FROM:<x@y.test>")).startswith("250")
        assert place.delivery.spoken == [("a.test", expected)]


@pytest.mark.parametrize("hostname", ["mx.acme.test", "MX.Acme.test", "under_score"])
async def test_a_postmaster_without_a_domain_is_this_servers(hostname: str, serve: Serve) -> None:
    delivery = FakeDelivery()
    async with serve("mx", handler=lambda: InboundHooks(delivery, hostname=hostname)) as place:
        client = await place.connect()
        await client.ask("EHLO x", "MAIL FROM:<>", "RCPT TO:<PostMaster>", "DATA", ".")
        ((_, recipients, _),) = delivery.kept
        assert recipients == (Address("postmaster", hostname.lower()),)
