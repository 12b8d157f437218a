"""RFC 5464 and RFC 9590 over sockets: whose entries are whose, who may read and change them."""

import pytest

from gateway.imap.handlers.metadata import MAX_VALUE
from policy.status import AccountStatus
from store import annotations
from tests.gateway.imap.handlers.house import Client, House

SHARED = '"Other Users/anna/INBOX"'


async def test_set_get_and_take_away(anna: Client) -> None:
    assert (await anna.do('SETMETADATA INBOX (/Private/Comment "mine" /shared/comment {})', "zw\u00f6lf\r\n".encode())).ok
    assert (await anna.do("GETMETADATA INBOX (/shared/comment /private/comment /private/other)")).untagged == [
        b'* METADATA "INBOX" (/shared/comment {8}\r\nzw\xc3\xb6lf\r\n /private/comment "mine" /private/other NIL)'
    ]
    assert (await anna.do('SETMETADATA INBOX (/private/comment NIL /shared/comment "")')).ok
    assert (await anna.do("GETMETADATA INBOX (/shared/comment /private/comment)")).untagged == [
        b'* METADATA "INBOX" (/shared/comment "" /private/comment NIL)'
    ]


async def test_octets_of_any_kind(anna: Client) -> None:
    octets = bytes(range(256))
    anna.send(b"x SETMETADATA INBOX (/private/b ~{256+}\r\n" + octets + b")\r\n")
    assert (await anna.until("x")).ok
    assert (await anna.do("GETMETADATA INBOX /private/b")).untagged == [b'* METADATA "INBOX" (/private/b ~{256}\r\n' + octets + b")"]


@pytest.mark.parametrize(
    ("options", "entry", "found"),
    [
        ("(DEPTH 0)", "/private/a", b'(/private/a "1")'),
        ("(DEPTH 1)", "/private/a", b'(/private/a "1" /private/a/b "2")'),
        ("(DEPTH infinity)", "/private/a", b'(/private/a "1" /private/a/b "2" /private/a/b/c "3")'),
        ("(DEPTH infinity)", "/private", b'(/private/a "1" /private/a/b "2" /private/a/b/c "3" /private/ab "4")'),
        ("(DEPTH infinity)", "/shared", b""),
        ("(DEPTH 1)", "/private/none", b""),
    ],
)
async def test_depth(anna: Client, options: str, entry: str, found: bytes) -> None:
    await anna.do('SETMETADATA INBOX (/private/a "1" /private/a/b "2" /private/a/b/c "3" /private/ab "4")')
    expected = [b'* METADATA "INBOX" ' + found] if found else []
    assert (await anna.do(f"GETMETADATA {options} INBOX {entry}")).untagged == expected


async def test_what_is_too_long_is_left_out(anna: Client) -> None:
    await anna.do('SETMETADATA INBOX (/private/a "12345" /private/b "1234567" /private/c "1")')
    said = await anna.do("GETMETADATA (MAXSIZE 4) INBOX (/private/a /private/b /private/c)")
    assert said.untagged == [b'* METADATA "INBOX" (/private/c "1")']
    assert said.tagged.startswith(b"OK [METADATA LONGENTRIES 7] ")
    assert (await anna.do("GETMETADATA (MAXSIZE 5) INBOX /private/a")).tagged == b"OK GETMETADATA completed"


async def test_private_ones_are_ones_own_and_shared_ones_are_shared(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "rw")
    await anna.do('SETMETADATA INBOX (/private/x "annas" /shared/x "both")')
    assert (await bruno.do(f"GETMETADATA {SHARED} (/private/x /shared/x)")).untagged == [
        b'* METADATA "Other Users/anna/INBOX" (/private/x NIL /shared/x "both")'
    ]
    assert (await bruno.do(f'SETMETADATA {SHARED} (/private/x "brunos" /shared/x "changed")')).ok
    assert (await anna.do("GETMETADATA INBOX (/private/x /shared/x)")).untagged == [
        b'* METADATA "INBOX" (/private/x "annas" /shared/x "changed")'
    ]


async def test_reading_needs_r_and_changing_w(house: House, bruno: Client) -> None:
    for rights, get, change in (
        ("l", False, False),
        ("lr", True, False),
        ("lw", False, True),
        ("lrw", True, True),
        ("lrsite", True, False),
    ):
        await house.share("anna", "/INBOX", "bruno", rights, rfc=True)
        said = await bruno.do(f"GETMETADATA {SHARED} /shared/x")
        assert said.ok is get, rights
        assert get or said.tagged.startswith(b"NO [NOPERM] you need 'r' (read) on this folder; ask anna@acme.test [d-")
        for entry in ("/shared/x", "/private/x"):
            said = await bruno.do(f'SETMETADATA {SHARED} ({entry} "1")')
            assert said.ok is change, rights
            assert change or said.tagged.startswith(b"NO [NOPERM] you need 'w' (write) on this folder; ask anna@acme.test [d-"), said


@pytest.mark.parametrize(
    "command", ["GETMETADATA {} /shared/x", 'SETMETADATA {} (/private/x "1")', "GETMETADATA (DEPTH infinity) {} /private"]
)
async def test_hidden_is_missing(house: House, bruno: Client, command: str) -> None:
    await house.make("anna", "/Secret")
    await house.share("anna", "/INBOX", "bruno", "rw")
    for name in ("anna/Secret", "anna/Nope", "clara/INBOX", "nobody/INBOX", "anna"):
        said = await bruno.do(command.format(f'"Other Users/{name}"'))
        assert said.all == b"NO [NONEXISTENT] no such folder", name
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert (await bruno.do(command.format(SHARED))).tagged.startswith(b"NO [UNAVAILABLE]")


async def test_of_the_server(anna: Client, bruno: Client) -> None:
    assert (await anna.do('SETMETADATA "" (/private/vendor/x "1")')).ok
    assert (await anna.do('GETMETADATA "" (/private/vendor/x /shared/comment)')).untagged == [
        b'* METADATA "" (/private/vendor/x "1" /shared/comment NIL)'
    ]
    assert (await bruno.do('GETMETADATA "" /private/vendor/x')).untagged == [b'* METADATA "" (/private/vendor/x NIL)']
    assert (await anna.do('SETMETADATA "" (/private/y "1" /shared/comment "1")')).tagged.startswith(b"NO [NOPERM]")
    assert (await anna.do('GETMETADATA "" /private/y')).untagged == [b'* METADATA "" (/private/y NIL)']


async def test_limits(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    said = await anna.do("SETMETADATA INBOX (/private/x {})", b"x" * (MAX_VALUE + 1))
    assert said.tagged.startswith(b"NO [METADATA MAXSIZE %d] " % MAX_VALUE)
    assert (await anna.do("SETMETADATA INBOX (/private/x {})", b"x" * MAX_VALUE)).ok
    monkeypatch.setattr(annotations, "MAX_ENTRIES", 2)
    said = await anna.do('SETMETADATA INBOX (/private/y "1" /private/z "1")')
    assert said.tagged.startswith(b"NO [METADATA TOOMANY] ")
    said = await anna.do("GETMETADATA (DEPTH infinity MAXSIZE 10) INBOX /private")
    assert said.all == b"OK [METADATA LONGENTRIES %d] GETMETADATA completed" % MAX_VALUE
    assert (await anna.do('SETMETADATA INBOX (/private/y "1" /shared/z "1")')).ok


async def test_they_live_and_die_with_their_folder(anna: Client) -> None:
    for command in ("CREATE a", 'SETMETADATA a (/private/x "1" /shared/y "2")', "RENAME a b"):
        assert (await anna.do(command)).ok
    assert (await anna.do("GETMETADATA b (/private/x /shared/y)")).untagged == [b'* METADATA "b" (/private/x "1" /shared/y "2")']
    for command in ("CREATE b/c", "DELETE b"):
        assert (await anna.do(command)).ok
    assert (await anna.do("GETMETADATA b /private/x")).tagged.startswith(b"NO [NONEXISTENT]")
    assert (await anna.do("CREATE b")).ok
    assert (await anna.do("GETMETADATA b (/private/x /shared/y)")).untagged == [b'* METADATA "b" (/private/x NIL /shared/y NIL)']


async def test_with_list(house: House, anna: Client, bruno: Client) -> None:
    await house.make("anna", "/Posta")
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.share("anna", "/Posta", "bruno", "l", rfc=True)
    await anna.do('SETMETADATA INBOX (/shared/c "blue" /private/c "hers")')
    await bruno.do("CREATE own")
    said = await bruno.do('LIST "" ("own" "Other Users/*") RETURN (METADATA (/shared/c "/private/c"))')
    assert said.untagged == [
        b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/anna"',
        b'* LIST (\\HasNoChildren) "/" "Other Users/anna/INBOX"',
        b'* METADATA "Other Users/anna/INBOX" (/shared/c "blue" /private/c NIL)',
        b'* LIST (\\HasNoChildren) "/" "Other Users/anna/Posta"',
        b'* LIST (\\HasNoChildren) "/" "own"',
        b'* METADATA "own" (/shared/c NIL /private/c NIL)',
    ]


# What a folder is for (RFC 6154 section 4)

USE = "/private/specialuse"


async def listed(client: Client, name: str) -> bytes:
    return (await client.do(f'LIST "" {name}')).untagged[0]


async def test_what_a_folder_is_for_is_an_entry(house: House, anna: Client, bruno: Client) -> None:
    await anna.do('SETMETADATA Sent (/private/a "1" /private/specialuse/x "2")')
    for name, value in (("Sent", b'"\\\\Sent"'), ("INBOX", b"NIL")):
        assert (await anna.do(f"GETMETADATA {name} /Private/SpecialUse")).untagged == [
            b'* METADATA "%b" (%b %b)' % (name.encode(), USE.encode(), value)
        ]
    for depth, found in (
        ("1", b'/private/a "1" /private/specialuse "\\\\Sent"'),
        ("infinity", b'/private/a "1" /private/specialuse/x "2" /private/specialuse "\\\\Sent"'),
    ):
        assert (await anna.do(f"GETMETADATA (DEPTH {depth}) Sent /private")).untagged == [b'* METADATA "Sent" (' + found + b")"]
    assert not (await anna.do("GETMETADATA (DEPTH infinity) INBOX /private")).untagged
    assert not (await anna.do("GETMETADATA (DEPTH infinity) Sent /shared")).untagged
    assert (await anna.do(f'LIST "" (Sent Trash INBOX) RETURN (METADATA ({USE}))')).untagged[1::2] == [
        b'* METADATA "INBOX" (/private/specialuse NIL)',
        b'* METADATA "Sent" (/private/specialuse "\\\\Sent")',
        b'* METADATA "Trash" (/private/specialuse "\\\\Trash")',
    ]
    # It is what Sent is to its owner.
    await house.share("anna", "/Sent", "bruno", "rw")
    assert (await bruno.do(f'GETMETADATA "Other Users/anna/Sent" {USE}')).untagged == [
        b'* METADATA "Other Users/anna/Sent" (/private/specialuse NIL)'
    ]
    assert not (await bruno.do('GETMETADATA (DEPTH 1) "Other Users/anna/Sent" /private')).untagged


async def test_the_owner_says_what_a_folder_is_for(anna: Client) -> None:
    await anna.do("CREATE Gesendet")
    assert (await anna.do(f"SETMETADATA Sent ({USE} NIL)")).ok
    assert (await anna.do(f'SETMETADATA Gesendet (/shared/a "1" {USE} "\\\\sent")')).ok
    assert await listed(anna, "Sent") == b'* LIST (\\HasNoChildren) "/" "Sent"'
    assert await listed(anna, "Gesendet") == b'* LIST (\\HasNoChildren \\Sent) "/" "Gesendet"'
    assert (await anna.do(f"GETMETADATA Gesendet ({USE} /shared/a)")).untagged == [
        b'* METADATA "Gesendet" (/private/specialuse "\\\\Sent" /shared/a "1")'
    ]
    # What was subscribed for what it was for stays in the list.
    assert (await anna.do('LSUB "" Sent')).untagged == [b'* LSUB () "/" "Sent"']
    # Another use in place of the one it has; the empty list; once more what it is already.
    for name, value in (
        ("Archive", "NIL"),
        ("Gesendet", '"\\\\Archive"'),
        ("Gesendet", '" \\\\ARCHIVE "'),
        ("Gesendet", '""'),
        ("INBOX", "NIL"),
    ):
        assert (await anna.do(f"SETMETADATA {name} ({USE} {value})")).ok, value
    assert await listed(anna, "Gesendet") == b'* LIST (\\HasNoChildren) "/" "Gesendet"'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Plain", '"\\\\Sent"'),
        ("Plain", '"\\\\All"'),
        ("Plain", '"\\\\Flagged"'),
        ("Plain", '"Archive"'),
        ("Plain", '"\\\\Archive \\\\Junk"'),
        ("Drafts", '"\\\\Drafts \\\\Archive"'),
        ("INBOX", '"\\\\Archive"'),
        ("Plain", '"\\\\Inbox"'),
        ("Plain", "~{2+}\r\n\0\0"),
    ],
)
async def test_what_create_would_refuse_is_refused(anna: Client, name: str, value: str) -> None:
    """All or none: the other entry of the same command is not set."""
    await anna.do("CREATE Plain")
    await anna.do(f"SETMETADATA Archive ({USE} NIL)")
    said = await anna.do(f'SETMETADATA {name} (/private/x "1" {USE} {value})')
    assert said.tagged.startswith(b"NO [USEATTR] "), said
    assert (await anna.do(f"GETMETADATA {name} /private/x")).untagged == [b'* METADATA "%b" (/private/x NIL)' % name.encode()]
    assert b"\\Archive" not in (await anna.do('LIST "" *')).all


async def test_only_the_owner_says_it(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/Sent", "bruno", "rwa")
    await house.share("anna", "/Junk", "bruno", "r")
    for value in ("NIL", '"\\\\Sent"', '"\\\\Archive"'):
        assert (
            await bruno.do(f'SETMETADATA "Other Users/anna/Sent" ({USE} {value})')
        ).tagged == b"NO [USEATTR] what a folder is for is its owner's to say"
        assert (await bruno.do(f'SETMETADATA "Other Users/anna/Junk" ({USE} {value})')).tagged.startswith(b"NO [NOPERM] ")
        for name in ("Trash", "Nope"):
            assert (await bruno.do(f'SETMETADATA "Other Users/anna/{name}" ({USE} {value})')).all == b"NO [NONEXISTENT] no such folder"
    assert await listed(anna, "Sent") == b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"'


async def test_other_sessions_are_told(house: House, port: int, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/Sent", "bruno", "rw")
    second = await house.client(port, "anna")
    for client in (anna, second, bruno):
        assert (await client.do("ENABLE METADATA")).ok
    await anna.do(f"SETMETADATA Sent ({USE} NIL)")
    assert (await second.do("NOOP")).untagged == [b'* METADATA "Sent" /private/specialuse']
    for client in (anna, bruno):
        assert not (await client.do("NOOP")).untagged
