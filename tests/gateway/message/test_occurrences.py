"""Octets are counted as `bytes.count` counts them, on both sides of what is short."""

import pytest

from gateway.message.occurrences import occurrences


@pytest.mark.parametrize("octets", [b"", b"\n", b"\n\n\n", b"a\r\nb\r\n", b"a" * 65_536, b"\n" * 65_536, b"a\n" * 65_536, b"a\n" * 32_768])
def test_octets_are_counted(octets: bytes) -> None:
    assert occurrences(octets, b"\n") == octets.count(b"\n")
    assert occurrences(octets, b"\n", 2, 60_000) == octets.count(b"\n", 2, 60_000)
    assert occurrences(bytearray(octets), b"a") == octets.count(b"a")
