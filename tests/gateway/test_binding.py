"""Sockets that are bound, and listen, before anybody accepts."""

import socket
import stat
from pathlib import Path

import pytest

from config.addresses import TcpAddress, UnixAddress
from gateway.binding import Binding


def test_what_connects_waits_for_the_first_who_accepts(tmp_path: Path) -> None:
    binding = Binding()
    path = tmp_path / "lmtp.sock"
    binding.bind("imap", [TcpAddress("127.0.0.1", 0), TcpAddress("127.0.0.1", 0)])
    binding.bind("lmtp", [UnixAddress(str(path))])
    binding.bind("mx", [])
    assert {name: len(some) for name, some in binding.spelled.items()} == {"imap": 2, "lmtp": 1, "mx": 0}
    first, second = binding.spelled["imap"]
    assert first != second
    assert binding.spelled["lmtp"] == [f"unix:{path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.create_connection(("127.0.0.1", int(first.rpartition(":")[2]))) as client:
        accepted, _ = binding.sockets["imap"][0].accept()
        accepted.sendall(b"there")
        accepted.close()
        assert client.recv(100) == b"there"
    binding.close()
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(first.rpartition(":")[2])))


def test_an_address_that_is_taken_is_named() -> None:
    binding = Binding()
    binding.bind("imap", [TcpAddress("127.0.0.1", 0)])
    port = int(binding.spelled["imap"][0].rpartition(":")[2])
    other = Binding()
    with pytest.raises(OSError, match=f"listen.imaps 127.0.0.1:{port}"):
        other.bind("imaps", [TcpAddress("127.0.0.1", port)])
    other.close()
    binding.close()


def test_a_socket_that_was_left_behind_is_replaced_and_one_of_another_server_stays(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    first, second = Binding(), Binding()
    first.bind("lmtp", [UnixAddress(str(path))])
    second.bind("lmtp", [UnixAddress(str(path))])
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_ipv6_is_no_ipv4() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    binding = Binding()
    try:
        binding.bind("imap", [TcpAddress("::1", 0)])
    except OSError:
        pytest.skip("no IPv6 here")
    assert binding.spelled["imap"][0].startswith("[::1]:")
    assert binding.sockets["imap"][0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    binding.close()
