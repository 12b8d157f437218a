"""Whom does a neighbour in front of us speak for? (the PROXY protocol, versions 1 and 2, as HAProxy defines it; Postfix's XCLIENT)"""

import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from typing import Final

from gateway.smtp.grammar import BadSyntax

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16
_LINE: Final = 107
"""Octets of the longest line that version 1 allows, with its CRLF."""
_V1: Final = re.compile(r"PROXY (TCP4|TCP6) (\S{1,45}) (\S{1,45}) ([0-9]{1,5}) ([0-9]{1,5})")
_STREAMS: Final = {0x11: (4, 12), 0x21: (16, 36)}  # family and transport: octets of an address, and of both with their ports
_NO_ADDRESS: Final = frozenset({0x00, 0x31})  # unspecified; a Unix socket, which is no source on the network

ATTRIBUTES: Final = ("ADDR", "PORT", "NAME", "HELO", "PROTO")
"""Of XCLIENT; LOGIN is not among them, for nobody is let in on a neighbour's word."""
_ATTRIBUTE: Final = re.compile(r"([A-Za-z]{1,20})=((?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2}){1,255})")
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})


class NoHeader(ValueError):
    """What stands there is no PROXY header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """`address`: the client's IP address, None: the connection is the neighbour's own. `size`: octets of the header."""

    address: str | None
    size: int


def read_header(octets: bytes) -> ProxyHeader | None:
    """None: more octets are needed. Raises NoHeader as soon as it can only be something else."""
    if octets[:1] == b"P":
        return _version_1(octets)
    return _version_2(octets)


def _version_1(octets: bytes) -> ProxyHeader | None:
    start = octets[:6]
    if start != b"PROXY "[: len(start)]:
        raise NoHeader
    end = octets.find(b"\r\n", 0, _LINE)
    if end < 0:
        if len(octets) >= _LINE or b"\n" in octets:
            raise NoHeader
        return None
    line = octets[:end].decode("ascii", "replace")
    if line == "PROXY UNKNOWN" or line.startswith("PROXY UNKNOWN "):
        return ProxyHeader(None, end + 2)
    match = _V1.fullmatch(line)
    if match is None or int(match[4]) > 65_535 or int(match[5]) > 65_535:
        raise NoHeader
    version = 4 if match[1] == "TCP4" else 6
    _ip(match[3], version)
    return ProxyHeader(_ip(match[2], version), end + 2)


def _version_2(octets: bytes) -> ProxyHeader | None:
    start = octets[: len(_SIGNATURE)]
    if start != _SIGNATURE[: len(start)]:
        raise NoHeader
    if len(octets) < _FIXED:
        return None
    command, family, length = struct.unpack_from("!BBH", octets, len(_SIGNATURE))
    if command not in (0x20, 0x21):
        raise NoHeader
    if len(octets) < _FIXED + length:
        return None
    size = _FIXED + length
    if command == 0x20 or family in _NO_ADDRESS:  # LOCAL: a check by the proxy itself
        return ProxyHeader(None, size)
    if family not in _STREAMS or length < _STREAMS[family][1]:
        raise NoHeader
    address = octets[_FIXED : _FIXED + _STREAMS[family][0]]
    return ProxyHeader(_plain(socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)), size)


def xclient(argument: str) -> str | None:
    """`XCLIENT attribute=value ...`: the client's IP address, None where it is not said or not known; what else is said is
    well formed and of no use here. Raises BadSyntax."""
    found: dict[str, str] = {}
    for word in argument.split():
        match = _ATTRIBUTE.fullmatch(word)
        if match is None:
            raise BadSyntax("501 5.5.4 Syntax: XCLIENT attribute=value")
        name = match[1].upper()
        if name not in ATTRIBUTES or name in found:
            raise BadSyntax("501 5.5.4 an attribute is not supported, or given twice")
        found[name] = match[2]
    if not found:
        raise BadSyntax("501 5.5.4 Syntax: XCLIENT attribute=value")
    address = found.get("ADDR")
    if address is None or address.upper() in _UNKNOWN:
        return None
    bare = address[5:] if address[:5].upper() == "IPV6:" else address
    try:
        return _ip(bare, 6 if ":" in bare else 4)
    except NoHeader:
        raise BadSyntax("501 5.5.4 Syntax: ADDR=192.0.2.1 or ADDR=IPV6:2001:db8::1") from None


def _ip(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise NoHeader from None
    if address.version != version or "%" in text:
        raise NoHeader
    return _plain(str(address))


def _plain(text: str) -> str:
    """An IPv4 address mapped into IPv6 is the IPv4 address."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return text if mapped is None else str(mapped)
