"""RFC 9208 over sockets: whose room it is, and who is told."""

import pytest

from policy.status import AccountStatus
from store import accounts
from tests.gateway.imap.handlers.house import Client, House, message

SHARED = '"Other Users/anna/INBOX"'
ROOT = b'* QUOTAROOT "Other Users/anna/INBOX" anna@acme.test'


async def limit(house: House, name: str, octets: int) -> None:
    await house.store.do(accounts.ModifyAccount(house.ids[name], values={"quota": str(octets)}))


async def used(house: House, name: str) -> int:
    async with house.store.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, house.ids[name])
    assert row is not None
    return row.used


async def test_ones_own(house: House, anna: Client) -> None:
    await limit(house, "anna", 10 << 20)
    assert (await anna.do("GETQUOTA anna@acme.test")).untagged == [b"* QUOTA anna@acme.test (STORAGE 0 10240)"]
    await anna.do("APPEND INBOX {}", message(1, "x" * 5000))
    expected = b"* QUOTA anna@acme.test (STORAGE %d 10240)" % -(-await used(house, "anna") // 1024)
    assert b"STORAGE 6 " in expected
    assert (await anna.do("GETQUOTAROOT INBOX")).untagged == [b'* QUOTAROOT "INBOX" anna@acme.test', expected]
    assert (await anna.do("GETQUOTAROOT Sent")).untagged[1:] == [expected]


async def test_without_a_limit_there_is_no_root(anna: Client) -> None:
    assert (await anna.do("GETQUOTAROOT INBOX")).untagged == [b'* QUOTAROOT "INBOX"']
    assert (await anna.do("GETQUOTA anna@acme.test")).tagged == b"NO [NONEXISTENT] no such quota root"


async def test_a_delegate_sees_the_owners_and_needs_r(house: House, bruno: Client) -> None:
    await limit(house, "anna", 1 << 20)
    await limit(house, "bruno", 2 << 20)
    await house.put("anna", "/INBOX", 3)
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    needs_r = b"NO [NOPERM] you need 'r' (read) on this folder; ask anna@acme.test [d-"
    assert (await bruno.do(f"GETQUOTAROOT {SHARED}")).tagged.startswith(needs_r)
    assert (await bruno.do("GETQUOTA anna@acme.test")).tagged.startswith(needs_r)
    await house.share("anna", "/INBOX", "bruno", "r")
    for command in (f"GETQUOTAROOT {SHARED}", "GETQUOTA anna@acme.test"):
        assert (await bruno.do(command)).untagged[-1] == b"* QUOTA anna@acme.test (STORAGE 1 1024)"
    assert (await bruno.do(f"GETQUOTAROOT {SHARED}")).untagged[0] == ROOT


async def test_hidden_is_missing(house: House, bruno: Client) -> None:
    for name in ("anna", "clara"):
        await limit(house, name, 1 << 20)
    await house.make("anna", "/Posta")
    await house.share("anna", "/Posta", "bruno", "")
    for root in ("anna@acme.test", "clara@acme.test", "nobody@acme.test", "anna@nowhere.test", '""', "x", "anna+x@acme.test"):
        assert (await bruno.do(f"GETQUOTA {root}")).all == b"NO [NONEXISTENT] no such quota root", root
    for folder in ("anna/Posta", "anna/Nope", "clara/INBOX", "nobody/INBOX"):
        assert (await bruno.do(f'GETQUOTAROOT "Other Users/{folder}"')).all == b"NO [NONEXISTENT] no such folder", folder


@pytest.mark.parametrize("command", [f"GETQUOTAROOT {SHARED}", "GETQUOTA anna@acme.test"])
async def test_an_owner_who_may_not_be_asked(house: House, bruno: Client, command: str) -> None:
    await limit(house, "anna", 1 << 20)
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert (await bruno.do(command)).tagged.startswith(b"NO [UNAVAILABLE]")
    await house.status("anna", AccountStatus.CLOSED)
    assert (await bruno.do(command)).tagged.startswith(b"NO [NONEXISTENT]")


async def test_a_calendar_alone_shows_nothing(house: House, bruno: Client) -> None:
    await limit(house, "anna", 1 << 20)
    await house.share("anna", "/Calendar", "bruno", "r")
    assert (await bruno.do("GETQUOTA anna@acme.test")).tagged == b"NO [NONEXISTENT] no such quota root"


async def test_nobody_sets_it(anna: Client) -> None:
    said = await anna.do("CAPABILITY")
    assert b" QUOTA QUOTA=RES-STORAGE" in said.untagged[0]
    assert b"QUOTASET" not in said.untagged[0]
    assert (await anna.do('SETQUOTA "" (STORAGE 1)')).tagged.startswith(b"BAD")


async def test_what_expunge_would_free(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    size = len(message(1))
    assert (await anna.do("STATUS INBOX (DELETED-STORAGE)")).untagged == [b'* STATUS "INBOX" (DELETED-STORAGE 0)']
    await anna.do("SELECT INBOX")
    await anna.do("STORE 1,3 +FLAGS (\\Deleted)")
    expected = b'* STATUS "INBOX" (DELETED-STORAGE %d)' % (2 * size)
    assert (await anna.do("STATUS INBOX (DELETED-STORAGE)")).untagged == [expected]
    said = await anna.do('LIST "" INBOX RETURN (STATUS (DELETED-STORAGE))')
    assert said.untagged[1:] == [expected]
