"""A DNS server of the tests' own, on loopback."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


def _pair() -> tuple[socket.socket, socket.socket]:
    """At the same port, which somebody else may have for one of the two."""
    for _ in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()
    raise OSError("no port is free for both")


class Names:
    """A DNS server: answers from a table, counts what it is asked, and has faults where it is told to. `signed`: names of which it
    says, to those who ask, that it has checked signatures; all names on the way to an answer have to be."""

    def __init__(self, zone: Mapping[str, Mapping[str, Sequence[str]]], broken: Sequence[str] = ()) -> None:
        self.zone = {name: dict(records) for name, records in zone.items()}
        self.asked: Counter[str] = Counter()
        self.broken = {*broken}
        self.mute: set[str] = set()
        self.signed: set[str] = set()
        self._udp, self._tcp = _pair()
        self.port = self._udp.getsockname()[1]
        for work in (self._datagrams, self._streams):
            threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        self._udp.close()
        self._tcp.close()

    def _datagrams(self) -> None:
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
                answer = self._answer(query, most=1232)
                if answer:
                    self._udp.sendto(answer, peer)
            except OSError:
                return

    def _streams(self) -> None:
        while True:
            try:
                peer, _ = self._tcp.accept()
            except OSError:
                return
            with peer:
                length = int.from_bytes(peer.recv(2), "big")
                answer = self._answer(peer.recv(length), most=65535)
                peer.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, query: bytes, most: int) -> bytes:
        asked = dns.message.from_wire(query)
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.RA
        (question,) = asked.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{name} {kind}"] += 1
        if name in self.mute:
            return b""
        if name in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        owner = question.name
        signed = name in self.signed
        if kind == "CNAME" and "CNAME" in self.zone.get(name, {}):
            reply.answer.append(dns.rrset.from_text(owner, 60, "IN", kind, *self.zone[name][kind]))
            return self._said(reply, asked, signed=signed, most=most)
        while "CNAME" in self.zone.get(name, {}):
            (target,) = self.zone[name]["CNAME"]
            reply.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", target))
            owner, name = dns.name.from_text(target), target.rstrip(".")
            signed = signed and name in self.signed
        records = self.zone.get(name)
        if records is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif records.get(kind):
            reply.answer.append(dns.rrset.from_text(owner, 60, "IN", kind, *records[kind]))
        return self._said(reply, asked, signed=signed, most=most)

    def _said(self, reply: dns.message.Message, asked: dns.message.Message, *, signed: bool, most: int) -> bytes:
        if signed and (asked.flags & dns.flags.AD or asked.ednsflags & dns.flags.DO):
            reply.flags |= dns.flags.AD
        wire = reply.to_wire(max_size=65535)
        if len(wire) > most:
            short = dns.message.make_response(asked)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return wire
