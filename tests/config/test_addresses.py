"""Where to listen, whom to trust, where to hand mail on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import (
    MailExchangers,
    RelayAddress,
    TcpAddress,
    UnixAddress,
    is_host,
    read_listen_address,
    read_network,
    read_relay,
    read_resolver,
)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:1143", TcpAddress("127.0.0.1", 1143)),
        ("0.0.0.0:0", TcpAddress("0.0.0.0", 0)),
        ("[::1]:25", TcpAddress("::1", 25)),
        ("localhost:65535", TcpAddress("localhost", 65_535)),
        ("mail.example.org:25", TcpAddress("mail.example.org", 25)),
        ("unix:/run/procura/lmtp", UnixAddress("/run/procura/lmtp")),
    ],
)
def test_a_listener_is_read_and_written_back(written: str, address: object) -> None:
    assert read_listen_address(written) == address
    assert str(address) == written


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            ":25",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "127.0.0.1:1e2",
            "127.0.0.1:٢٥",
            "::1:25",
            "[::1]",
            "[::1]25",
        ),
        *("[127.0.0.1]:25", "[localhost]:25", "256.1.1.1:25", "a b:25", "-a.example:25", "unix:", "unix:relative", "unix:/a\0b", "1143"),
        *(1143, None, [], "a" * 254 + ":25"),
    ],
)
def test_what_is_no_listener_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"must|needs|names no host"):
        read_listen_address(written)


@pytest.mark.parametrize(
    ("host", "loopback", "everywhere"),
    [
        *(("127.0.0.1", True, False), ("127.9.9.9", True, False), ("::1", True, False), ("localhost", True, False)),
        *(("LOCALHOST", True, False), ("0.0.0.0", False, True), ("::", False, True), ("192.0.2.1", False, False)),
        ("mail.example.org", False, False),
    ],
)
def test_who_can_reach_an_address(host: str, loopback: bool, everywhere: bool) -> None:
    address = TcpAddress(host, 25)
    assert (address.loopback, address.everywhere) == (loopback, everywhere)


@pytest.mark.parametrize(
    ("written", "network"), [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("192.0.2.1", "192.0.2.1/32"), ("fd00::/8", "fd00::/8")]
)
def test_a_network_is_read(written: str, network: str) -> None:
    assert str(read_network(written)) == network


@pytest.mark.parametrize("written", ["", "10.0.0.1/8", "10.0.0.0/33", "example.org", "10.0.0", 10, None, b"\x0a\0\0\0"])
def test_what_is_no_network_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"no network|must be"):
        read_network(written)


@pytest.mark.parametrize(
    ("written", "host", "port", "implicit_tls", "username", "password"),
    [
        ("smtp://smarthost", "smarthost", 587, False, None, None),
        ("smtp://smarthost:25/", "smarthost", 25, False, None, None),
        ("smtps://smarthost.example.org", "smarthost.example.org", 465, True, None, None),
        ("smtp://[2001:db8::1]:587", "2001:db8::1", 587, False, None, None),
        ("smtp://anna:secret@smarthost:587", "smarthost", 587, False, "anna", "secret"),
        ("smtp://anna%40acme.test:p%3A%2F%40%23@smarthost", "smarthost", 587, False, "anna@acme.test", "p:/@#"),
        ("smtp://anna@acme.test:secret@smarthost", "smarthost", 587, False, "anna@acme.test", "secret"),
        ("smtp://anna@smarthost", "smarthost", 587, False, "anna", None),
    ],
)
def test_a_relay_is_read(written: str, host: str, port: int, implicit_tls: bool, username: str | None, password: str | None) -> None:
    relay = read_relay(written)
    assert relay is not None
    assert (relay.host, relay.port, relay.implicit_tls, relay.username) == (host, port, implicit_tls, username)
    assert (relay.password.get_secret_value() if relay.password else None) == password


@pytest.mark.parametrize(
    "written", ["smtp://anna:**********@one.test,two.test:587", "smtps://127.0.0.1,localhost,one.test:1465", "smtp://[::1]:25"]
)
def test_several_hosts_are_asked_in_turn(written: str) -> None:
    relay = read_relay(written)
    assert isinstance(relay, RelayAddress)
    assert str(relay) == written
    assert [one.host for one in relay.addresses] == written.split("@")[-1].split("//")[-1].rpartition(":")[0].strip("[]").split(",")
    assert relay.loopback is ("one.test" not in written)


def test_mx_is_the_exchangers_of_each_domain() -> None:
    assert read_relay("mx") == MailExchangers()
    assert str(read_relay("mx")) == "mx"
    assert read_relay(MailExchangers()) == MailExchangers()


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("192.0.2.53", "192.0.2.53", 53),
        ("192.0.2.53:5353", "192.0.2.53", 5353),
        ("2001:db8::53", "2001:db8::53", 53),
        ("[2001:db8::53]:54", "2001:db8::53", 54),
        (TcpAddress("::1", 1), "::1", 1),
    ],
)
def test_a_resolver_is_read(written: object, host: str, port: int) -> None:
    assert read_resolver(written) == TcpAddress(host, port)


@pytest.mark.parametrize(
    "written", ["", "dns.test", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:99999", "[::1", "::1]:53", "a:53", 53, None]
)
def test_what_is_no_resolver_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"must be a text|is no IP address"):
        read_resolver(written)


@pytest.mark.parametrize("written", [None, ""])
def test_no_relay_is_none(written: object) -> None:
    assert read_relay(written) is None


@pytest.mark.parametrize(
    "written",
    [
        *(
            "smarthost",
            "smarthost:25",
            "http://smarthost",
            "smtp://",
            "smtp://:25",
            "smtp://smarthost:0",
            "smtp://one.test,:25",
            "smtp://one.test,,two.test",
            "smtp://one.test:25,two.test:25",
            "smtp://smarthost:99999",
            "smtp://smarthost:x",
        ),
        *(
            "smtp://smarthost/path",
            "smtp://smarthost?x=1",
            "smtp://smarthost#x",
            "smtp://:secret@smarthost",
            "smtp://[::1",
            "smtp://a b",
            25,
            [],
        ),
    ],
)
def test_what_is_no_relay_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"must|names no host|needs|is no address|has a password"):
        read_relay(written)


@pytest.mark.parametrize(
    "written", ["smtp://anna:hush/x@smarthost", "smtp://anna:hush@smarthost:x", "smtp://anna:hush@", "http://anna:hush@h"]
)
def test_a_refusal_does_not_repeat_the_password(written: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_relay(written)
    assert "hush" not in str(caught.value)


def test_a_relay_shows_its_password_nowhere() -> None:
    relay = read_relay("smtp://anna:hush@smarthost")
    assert "hush" not in f"{relay} {relay!r}"
    assert str(relay) == "smtp://anna:**********@smarthost:587"


@pytest.mark.parametrize(
    ("text", "host"), [("a", True), ("a.b.", True), ("1.2.3.4", True), ("::1", True), ("a_b.c", True), ("3com.example", True)]
)
def test_a_host_is_one(text: str, host: bool) -> None:
    assert is_host(text) is host


@pytest.mark.parametrize("text", ["", ".", "a..b", "-a", "a-", "1.2.3", "999.1.1.1", "a b", "a/b", "ä.example", "x" * 64, "a\n"])
def test_what_is_no_host_is_none(text: str) -> None:
    assert not is_host(text)


@given(st.text())
def test_any_text_is_an_address_or_the_one_error(text: str) -> None:
    for read in (read_listen_address, read_network, read_relay):
        for value in (text, f"smtp://{text}", f"{text}:25", f"[{text}]:25"):
            try:
                read(value)
            except ValueError as fault:
                assert str(fault)
