"""RFC 4314 over sockets."""

import pytest

from policy.grants import Grantee, GranteeKind
from policy.rights import Right
from store import cos, domains, grants
from tests.gateway.imap.handlers.house import Client, House

SHARED = '"Other Users/anna/INBOX"'


async def test_every_kind_of_identifier(house: House, anna: Client) -> None:
    await house.group("team", "bruno")
    await house.store.do(cos.CreateCos("gold"))
    for identifier in ("bruno@acme.test", "group:team@acme.test", "domain:other.test", "cos:gold", "anyone"):
        assert (await anna.do(f"SETACL INBOX {identifier} lr")).ok, identifier
    (said,) = (await anna.do("GETACL INBOX")).untagged
    assert said.startswith(b'* ACL "INBOX" anna@acme.test lrswikxteacd ')
    for identifier in (b"bruno@acme.test lr", b"group:team@acme.test lr", b"domain:other.test lr", b"cos:gold lr", b"anyone lr"):
        assert identifier in said


async def test_identifiers_in_utf8(house: House, anna: Client) -> None:
    """RFC 4314 sections 2, 3 and 9: in every spelling of a string, in any form of Unicode; domains as people read them."""
    await house.store.do(cos.CreateCos("Büro"))
    await house.store.do(domains.CreateDomain("xn--bcher-kva.test"))
    composed, decomposed = "cos:Büro".encode(), "cos:Bu\N{COMBINING DIAERESIS}ro".encode()
    assert (await anna.do("SETACL INBOX {} lr", decomposed)).ok
    assert (await anna.do("SETACL INBOX {} lr", "domain:bücher.test".encode())).ok
    (said,) = (await anna.do("GETACL INBOX")).untagged
    assert b"{9}\r\n" + composed + b" lr" in said
    assert b"domain:xn--bcher-kva.test lr" in said
    (said,) = (await anna.do("LISTRIGHTS INBOX {}", composed)).untagged
    assert said.startswith(b'* LISTRIGHTS "INBOX" {9}\r\n' + composed + b' "" ')
    assert (await anna.do('DELETEACL INBOX "cos:Büro"')).ok
    assert composed not in (await anna.do("GETACL INBOX")).all
    for octets in (b"\xff", "\N{SOFT HYPHEN}".encode(), b"a\x07"):
        assert (await anna.do("SETACL INBOX {} lr", octets)).tagged.startswith(b"BAD"), octets


async def test_anyone_is_everybody(house: House, port: int, anna: Client, bruno: Client) -> None:
    """RFC 4314 section 2: the universal identity, of other domains too; who has an entry of his own has both."""
    dora = await house.client(port, "dora")
    for letters in ("lr", "lrs"):
        assert (await anna.do(f"SETACL INBOX anyone {letters}")).ok
        assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" ' + letters.encode()]
        said = await dora.do('MYRIGHTS "Other Users/anna@acme.test/INBOX"')
        assert said.untagged == [b'* MYRIGHTS "Other Users/anna@acme.test/INBOX" ' + letters.encode()]
    assert (await anna.do("SETACL INBOX bruno@acme.test lrw")).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lrsw']
    assert (await anna.do("DELETEACL INBOX anyone")).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lrw']


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("SETACL INBOX nobody@acme.test lr", b"NO [CANNOT]"),
        ("SETACL INBOX team@acme.test lr", b"NO [CANNOT]"),
        ("SETACL INBOX -bruno@acme.test lr", b"NO [CANNOT] there are no negative rights"),
        ("SETACL INBOX bruno@acme.test lrp", b"NO [CANNOT]"),
        ("SETACL INBOX bruno@acme.test lrz", b"BAD"),
        ("SETACL INBOX bruno@acme.test LR", b"BAD"),
        ("SETACL INBOX anna@acme.test lr", b"NO [CANNOT]"),
        ("SETACL Nope bruno@acme.test lr", b"NO [NONEXISTENT]"),
        ("DELETEACL INBOX anna@acme.test", b"NO [CANNOT]"),
        ("DELETEACL INBOX bruno@acme.test", b"OK"),
    ],
)
async def test_what_cannot_be_granted(house: House, anna: Client, command: str, said: bytes) -> None:
    await house.group("team", "bruno")
    assert (await anna.do(command)).tagged.startswith(said)


async def test_plus_and_minus_begin_with_what_counts_now(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "rx")
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lr']
    assert (await anna.do("SETACL INBOX bruno@acme.test +s")).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lrs']
    async with house.store.snapshot() as snapshot:
        (entry,) = await snapshot.ask(grants.entries, await house.folder("anna"))
    assert entry.rights == Right.LOOKUP | Right.READ | Right.SEEN | Right.ACTION
    assert (await anna.do("SETACL INBOX bruno@acme.test -rs")).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" l']
    assert (await anna.do('SETACL INBOX bruno@acme.test ""')).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).tagged == b"NO [NONEXISTENT] no such folder"
    assert b'bruno@acme.test ""' in (await anna.do("GETACL INBOX")).all
    assert (await anna.do("DELETEACL INBOX bruno@acme.test")).ok
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lr']


async def test_what_is_added_to_an_entry_that_ends_ends_with_it(house: House, anna: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "r", until=4_000_000_000_000_000)
    assert (await anna.do("SETACL INBOX bruno@acme.test +s")).ok
    async with house.store.snapshot() as snapshot:
        (entry,) = await snapshot.ask(grants.entries, await house.folder("anna"))
    assert entry.expires == 4_000_000_000_000_000


async def test_obsolete_rights(house: House, anna: Client, bruno: Client) -> None:
    await anna.do("SETACL INBOX bruno@acme.test lrcd")
    assert (await bruno.do(f"MYRIGHTS {SHARED}")).untagged == [b'* MYRIGHTS "Other Users/anna/INBOX" lrkxtecd']


@pytest.mark.parametrize(
    "command", ["GETACL {}", "SETACL {} clara@acme.test lr", "DELETEACL {} clara@acme.test", "LISTRIGHTS {} clara@acme.test"]
)
async def test_all_but_myrights_need_a(house: House, bruno: Client, command: str) -> None:
    assert (await bruno.do(command.format(SHARED))).tagged == b"NO [NONEXISTENT] no such folder"
    await house.share("anna", "/INBOX", "bruno", "rwixd")
    assert (await bruno.do(command.format(SHARED))).tagged.startswith(
        b"NO [NOPERM] you need 'a' (administer) on this folder; ask anna@acme.test"
    )
    await house.share("anna", "/INBOX", "bruno", "ra")
    assert (await bruno.do(command.format(SHARED))).ok


async def test_a_holder_of_a_gives_and_takes_only_what_it_holds(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "lra", rfc=True)
    await house.share("anna", "/INBOX", "clara", "lrw", rfc=True)
    assert (await bruno.do(f"LISTRIGHTS {SHARED} clara@acme.test")).untagged == [
        b'* LISTRIGHTS "Other Users/anna/INBOX" clara@acme.test w l r a'
    ]
    assert (await bruno.do(f"SETACL {SHARED} clara@acme.test +i")).tagged.startswith(b"NO [CANNOT]")
    assert (await bruno.do(f"SETACL {SHARED} clara@acme.test lr")).tagged.startswith(b"NO [CANNOT]")
    assert (await bruno.do(f"DELETEACL {SHARED} clara@acme.test")).tagged.startswith(b"NO [CANNOT]")
    assert (await bruno.do(f"SETACL {SHARED} clara@acme.test +a")).ok
    assert (await bruno.do(f"SETACL {SHARED} anyone lr")).ok


async def test_listrights_of_others(house: House, anna: Client, bruno: Client) -> None:
    """RFC 4314 section 3.7: what is always granted first, then what may be given or taken, each right by itself, the obsolete ones too.
    Who holds `a` alone gives no more than he has."""
    said = await anna.do("LISTRIGHTS INBOX clara@acme.test")
    assert said.untagged == [b'* LISTRIGHTS "INBOX" clara@acme.test "" l r s w i k x t e a c d']
    await house.share("anna", "/INBOX", "bruno", "ra")
    await house.share("anna", "/INBOX", "clara", "rd")
    said = await bruno.do(f"LISTRIGHTS {SHARED} clara@acme.test")
    assert said.untagged == [b'* LISTRIGHTS "Other Users/anna/INBOX" clara@acme.test xted l r a']


async def test_listrights_of_the_owner(anna: Client) -> None:
    said = await anna.do("LISTRIGHTS INBOX anna@acme.test")
    assert said.untagged == [b'* LISTRIGHTS "INBOX" anna@acme.test lrswikxteacd']


async def test_the_mailbox_root_of_another(house: House, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "ra")
    assert (await bruno.do('MYRIGHTS "Other Users/anna"')).untagged == [b'* MYRIGHTS "Other Users/anna" lra']
    assert (await bruno.do('SETACL "Other Users/anna" clara@acme.test lr')).ok
    async with house.store.snapshot() as snapshot:
        found = await snapshot.ask(grants.entries, await house.folder("anna", "/"))
    assert Grantee(GranteeKind.ACCOUNT, house.ids["clara"]) in [entry.grantee for entry in found]


async def test_a_moved_folder_inherits_from_its_new_place(house: House, anna: Client, bruno: Client) -> None:
    await house.make("anna", "/Open")
    await house.make("anna", "/Posta")
    await house.share("anna", "/Open", "bruno", "r")
    assert not (await bruno.do('MYRIGHTS "Other Users/anna/Posta"')).ok
    await anna.do("RENAME Posta Open/Posta")
    assert (await bruno.do('MYRIGHTS "Other Users/anna/Open/Posta"')).untagged == [b'* MYRIGHTS "Other Users/anna/Open/Posta" lr']
