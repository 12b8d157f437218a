"""What a mailbox looks like to its owner over IMAP: folders, numbers, flags, dates, octets, subscriptions, grants."""

from __future__ import annotations

import re

from tests.live.server import PASSWORD, Server

_LISTED = re.compile(rb'\(([^)]*)\) "/" (.*)$')


def picture(server: Server, user: str, *, numbers: bool = True, password: str = PASSWORD) -> dict[str, object]:
    """`numbers` False: without UIDVALIDITY and UIDs."""
    client = server.imap(user, password)
    try:
        found: dict[str, object] = {"subscribed": sorted(line for line in client.lsub()[1] if b"Other Users" not in line)}
        for line in client.list()[1]:
            assert isinstance(line, bytes)
            read = _LISTED.search(line)
            assert read
            attributes, name = read[1], read[2].decode()
            if b"\\Noselect" in attributes or name.strip('"').startswith("Other Users"):
                continue
            assert client.select(name, readonly=True)[0] == "OK"
            validity = client.response("UIDVALIDITY")[1][0]
            _, raw = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
            messages = [part for part in raw if isinstance(part, tuple)]
            told = []
            for head, octets in messages:
                flags = sorted(set(re.search(rb"FLAGS \(([^)]*)\)", head)[1].split()) - {b"\\Recent"})  # type: ignore[index]
                date = re.search(rb'INTERNALDATE "([^"]*)"', head)[1]  # type: ignore[index]
                uid = re.search(rb"UID (\d+)", head)[1] if numbers else b""  # type: ignore[index]
                told.append((uid, flags, date, octets))
            grants = client.getacl(name)[1]
            found[name.strip('"')] = (validity if numbers else b"", sorted(attributes.split()), told, grants)
        return found
    finally:
        client.logout()
