"""LIST, LSUB, NAMESPACE: what may be seen is there, what may not is not."""

import time

import pytest

from gateway.imap.session import UNSEEN
from policy.grants import Grantee, GranteeKind
from policy.identity import Address
from policy.status import AccountStatus
from store import accounts, audit
from store.model import Flag  # noqa: F401
from tests.gateway.imap.handlers.house import Client, House

OWN = {'"INBOX"', '"Archive"', '"Drafts"', '"Junk"', '"Sent"', '"Trash"'}


def names(untagged: list[bytes]) -> set[str]:
    return {one.split(b' "/" ', 1)[1].split(b" (")[0].decode() for one in untagged if one.startswith((b"* LIST", b"* LSUB"))}


async def test_namespace(bruno: Client) -> None:
    assert (await bruno.do("NAMESPACE")).untagged == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']


async def test_the_delimiter(bruno: Client) -> None:
    assert (await bruno.do('LIST "" ""')).untagged == [b'* LIST (\\Noselect) "/" ""']


async def test_own_folders_with_their_use(anna: Client) -> None:
    said = await anna.do('LIST "" *')
    assert names(said.untagged) == OWN
    assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in said.untagged
    assert said.untagged[0] == b'* LIST (\\HasNoChildren) "/" "INBOX"'
    assert names((await anna.do('LIST (SPECIAL-USE) "" "*"')).untagged) == OWN - {'"INBOX"'}
    assert not any(b"alendar" in one for one in said.untagged)


async def test_shared_folders_and_the_nodes_above_them(house: House, bruno: Client) -> None:
    await house.make("anna", "/Posta/2026/Mai")
    await house.share("anna", "/Posta/2026/Mai", "bruno", "r")
    await house.share("dora", "/INBOX", "bruno", "r")
    said = await bruno.do('LIST "" "*"')
    assert names(said.untagged) - OWN == {
        '"Other Users"', '"Other Users/anna"', '"Other Users/anna/Posta"', '"Other Users/anna/Posta/2026"',
        '"Other Users/anna/Posta/2026/Mai"',
        '"Other Users/dora@other.test"', '"Other Users/dora@other.test/INBOX"',
    }  # fmt: skip
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Other Users"' in said.untagged
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/anna"' in said.untagged
    assert b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Other Users/anna/Posta"' in said.untagged
    assert b'* LIST (\\HasNoChildren) "/" "Other Users/anna/Posta/2026/Mai"' in said.untagged


async def test_walking_with_percent_reaches_the_leaf(house: House, bruno: Client) -> None:
    await house.make("anna", "/Posta")
    await house.share("anna", "/Posta", "bruno", "r")
    assert '"Other Users"' in names((await bruno.do('LIST "" "%"')).untagged)
    assert names((await bruno.do('LIST "" "Other Users/%"')).untagged) == {'"Other Users/anna"'}
    assert names((await bruno.do('LIST "Other Users/anna/" "%"')).untagged) == {'"Other Users/anna/Posta"'}
    assert names((await bruno.do('LIST "" "Other Users/anna/Posta"')).untagged) == {'"Other Users/anna/Posta"'}
    assert names((await bruno.do('LIST "" "Other Users/anna@acme.test/%"')).untagged) == {'"Other Users/anna@acme.test/Posta"'}
    assert names((await bruno.do('LIST "" ("INBOX" "Other Users/*")')).untagged) == {
        '"INBOX"',
        '"Other Users/anna"',
        '"Other Users/anna/Posta"',
    }


async def test_without_anything_shared_there_is_no_node(bruno: Client) -> None:
    assert names((await bruno.do('LIST "" "*"')).untagged) == OWN
    assert names((await bruno.do('LIST "" "%"')).untagged) == OWN


@pytest.mark.parametrize("kind", ["group", "domain", "cos", "all"])
async def test_every_kind_of_grantee(house: House, bruno: Client, kind: str) -> None:
    async with house.store.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, house.ids["bruno"])
    assert row is not None
    group = await house.group("team", "bruno")
    grantee = {
        "group": group,
        "domain": Grantee(GranteeKind.DOMAIN, row.domain),
        "cos": Grantee(GranteeKind.COS, row.cos),
        "all": Grantee(GranteeKind.ALL),
    }
    await house.share("anna", "/INBOX", grantee[kind], "r")
    assert '"Other Users/anna/INBOX"' in names((await bruno.do('LIST "" "*"')).untagged)


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        (AccountStatus.ACTIVE, True),
        (AccountStatus.MAINTENANCE, True),
        (AccountStatus.LOCKED, False),
        (AccountStatus.CLOSED, False),
        (AccountStatus.PENDING, False),
    ],
)
async def test_the_owners_status(house: House, bruno: Client, status: AccountStatus, listed: bool) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.status("anna", status)
    for command in ('LIST "" "*"', 'LSUB "" "*"'):
        assert ('"Other Users/anna/INBOX"' in names((await bruno.do(command)).untagged)) is listed
    assert (await bruno.do('MYRIGHTS "Other Users/anna/INBOX"')).ok is listed


async def test_subscriptions_are_stored_and_computed(house: House, bruno: Client) -> None:
    await house.make("bruno", "/Posta")
    await house.share("anna", "/INBOX", "bruno", "r")
    shared = '"Other Users/anna/INBOX"'
    assert shared in names((await bruno.do('LSUB "" "*"')).untagged)
    assert '"Posta"' not in names((await bruno.do('LSUB "" "*"')).untagged)
    assert (await bruno.do("SUBSCRIBE Posta")).ok
    assert (await bruno.do(f"UNSUBSCRIBE {shared}")).ok
    for command in ('LSUB "" "*"', 'LIST (SUBSCRIBED) "" "*"'):
        found = names((await bruno.do(command)).untagged)
        assert '"Posta"' in found
        assert shared not in found
    assert (await bruno.do(f"SUBSCRIBE {shared}")).ok
    said = await bruno.do('list (subscribed) "" "Other Users/*" return (special-use)')
    assert said.untagged == [b'* LIST (\\HasNoChildren \\Subscribed) "/" "Other Users/anna/INBOX"']
    await house.unshare("anna", "/INBOX", "bruno")
    assert shared not in names((await bruno.do('LSUB "" "*"')).untagged)
    await house.share("anna", "/INBOX", "bruno", "r")
    assert shared in names((await bruno.do('LSUB "" "*"')).untagged)


async def test_a_subscribed_name_that_is_gone_stays_subscribed(house: House, bruno: Client) -> None:
    await house.make("bruno", "/Posta")
    await bruno.do("SUBSCRIBE Posta")
    await bruno.do("DELETE Posta")
    assert b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Posta"' in (await bruno.do('LIST (SUBSCRIBED) "" "*"')).untagged
    assert '"Posta"' in names((await bruno.do('LSUB "" "*"')).untagged)
    assert '"Posta"' not in names((await bruno.do('LIST "" "*"')).untagged)


async def test_unsubscribing_tells_nothing_and_subscribing_hides_what_is_hidden(house: House, bruno: Client) -> None:
    await house.make("anna", "/Secret")
    for name in ('"Other Users/anna/Secret"', '"Other Users/anna/Nope"', '"Other Users/nobody/INBOX"', "Nope"):
        assert (await bruno.do(f"UNSUBSCRIBE {name}")).ok
        assert (await bruno.do(f"SUBSCRIBE {name}")).tagged == b"NO [NONEXISTENT] no such folder"


async def test_lsub_shows_the_parent_for_percent(house: House, bruno: Client) -> None:
    await house.make("bruno", "/A/B")
    await bruno.do("SUBSCRIBE A/B")
    said = await bruno.do('LSUB "" "%"')
    assert b'* LSUB (\\Noselect) "/" "A"' in said.untagged


async def test_recursivematch_says_which_children_are_subscribed(house: House, bruno: Client) -> None:
    await house.make("bruno", "/A/B")
    await bruno.do("SUBSCRIBE A/B")
    said = await bruno.do('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')
    assert b'* LIST (\\HasChildren) "/" "A" ("CHILDINFO" ("SUBSCRIBED"))' in said.untagged


async def test_recursivematch_names_no_parent_of_what_is_listed_anyway(house: House, bruno: Client) -> None:
    """RFC 5258 section 5, example 9: foo2 and eps2 have a subscribed child that the pattern leaves out, of baz2 each one is listed."""
    subscribed = ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "eps2/mamba", "eps2")
    for name in subscribed:
        assert (await bruno.do(f"CREATE {name}")).ok or name == "eps2"
    for name in subscribed:
        assert (await bruno.do(f"SUBSCRIBE {name}")).ok
    said = await bruno.do('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')
    assert sorted(said.untagged) == [
        b'* LIST (\\HasChildren \\Subscribed) "/" "eps2" ("CHILDINFO" ("SUBSCRIBED"))',
        b'* LIST (\\HasChildren) "/" "foo2" ("CHILDINFO" ("SUBSCRIBED"))',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar2"',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar22"',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "foo2/bar2"',
    ]
    assert names((await bruno.do('LIST (SUBSCRIBED RECURSIVEMATCH) "" (baz2 baz2/bar2)')).untagged) == {'"baz2"', '"baz2/bar2"'}
    assert names((await bruno.do('LIST (SUBSCRIBED RECURSIVEMATCH) "" (baz2 baz2/%)')).untagged) == {'"baz2/bar2"', '"baz2/bar22"'}


async def test_list_status(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await house.make("anna", "/Seen")
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.share("anna", "/Seen", "bruno", "l", rfc=True)
    said = await bruno.do('LIST "" "Other Users/*" RETURN (STATUS (MESSAGES UNSEEN) CHILDREN SUBSCRIBED)')
    assert b'* STATUS "Other Users/anna/INBOX" (MESSAGES 3 UNSEEN 3)' in said.untagged
    assert b'* LIST (\\Noselect \\HasNoChildren \\Subscribed) "/" "Other Users/anna/Seen"' in said.untagged
    assert len(said.having("* STATUS")) == 1


async def test_names_beyond_ascii(anna: Client) -> None:
    assert (await anna.do('CREATE "&ZeVnLIqe-"')).ok
    assert b'* LIST (\\HasNoChildren) "/" "&ZeVnLIqe-"' in (await anna.do('LIST "" "*"')).untagged
    for command in ("CREATE", "SELECT", "DELETE", "SUBSCRIBE", "MYRIGHTS", "RENAME INBOX"):
        assert (await anna.do(f'{command} "&A-"')).tagged == b"NO [CANNOT] a mailbox name is spelled in modified UTF-7", command
    assert (await anna.do('LIST "" "&A-*"')).all == b"OK LIST completed"


async def test_an_owner_whose_name_has_capitals_that_are_not_ascii(house: House, bruno: Client) -> None:
    """Of an address A to Z are folded and nothing else, in names as in the directory."""
    await house.store.do(accounts.RenameAccount(house.ids["anna"], Address("Änne", "acme.test")))
    await house.share("anna", "/INBOX", "bruno", "r")
    shown = '"Other Users/&AMQ-nne/INBOX"'
    assert shown in names((await bruno.do('LIST "" *')).untagged)
    for written in (shown, '"Other Users/&AMQ-NNE/INBOX"', '"Other Users/&AMQ-NNE@Acme.test/INBOX"'):
        assert (await bruno.do(f"SELECT {written}")).ok, written
    written = '"Other Users/&AMQ-NNE@acme.test/INBOX"'
    assert names((await bruno.do(f'LIST "" {written}')).untagged) == {written}


async def test_figures_of_an_owner_in_maintenance_are_left_out_and_no_more(house: House, bruno: Client) -> None:
    """delegation.md section 3: the folders stay, so that no client drops its copies, as it would of a name that is \\Noselect."""
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.share("anna", "/Sent", "bruno", "l", rfc=True)
    asked = 'LIST "" "Other Users/anna/*" RETURN (STATUS (MESSAGES) METADATA (/shared/comment))'
    unread = b'* LIST (\\Noselect \\HasNoChildren \\Sent) "/" "Other Users/anna/Sent"'
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert (await bruno.do(asked)).untagged == [b'* LIST (\\HasNoChildren) "/" "Other Users/anna/INBOX"', unread]
    await house.status("anna", AccountStatus.ACTIVE)
    assert b'* STATUS "Other Users/anna/INBOX" (MESSAGES 0)' in (await bruno.do(asked)).untagged


async def test_what_may_not_be_seen_takes_as_long_as_what_is_not_there(house: House, bruno: Client) -> None:
    """delegation.md section 2: the same words and the same time, below a folder that may be seen too."""
    await house.make("anna", "/Work/Secret")
    await house.share("anna", "/Work", "bruno", "rwid")
    await house.share("anna", "/Work/Secret", "bruno", "")
    for command in (
        'STATUS "Other Users/{}" (MESSAGES)',
        'SELECT "Other Users/{}"',
        'RENAME "Other Users/{}" "Other Users/anna/Work/New"',
        'ESEARCH IN (mailboxes "Other Users/{}") ALL',
        'APPEND INBOX CATENATE (URL "/Other%20Users/{}/;UID=1")',
    ):
        said = set()
        for name in ("anna/Work/Secret", "anna/Work/Nothing", "anna/Sent", "nobody/INBOX"):
            began = time.monotonic()
            answer = await bruno.do(command.format(name))
            assert time.monotonic() - began >= UNSEEN, command
            said.add(answer.all.replace(name.encode(), b"NAME"))
        assert len(said) == 1
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        found = [row.entry.detail for row in await snapshot.work(audit.newest) if not row.entry.allowed]
    assert {detail: found.count(detail) for detail in found} == {"/Work/Secret": 4, "/Work/Nothing": 4, "/Sent": 4, "/INBOX": 4}
