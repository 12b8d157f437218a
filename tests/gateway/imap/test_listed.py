"""Lists that are said again: whatever happened in between, they are what would be made anew."""

import asyncio
import random
import time

import pytest

import gateway.folders.listing
from gateway.folders import Footing
from gateway.imap.listed import LARGEST, Answers, Said, Saying
from policy.decision import Witness
from policy.folders import SpecialUse
from policy.grants import Grantee, GranteeKind
from policy.identity import Address, FolderId, ListId
from policy.status import AccountStatus
from store import accounts, audit, folders, grants, subscriptions
from store.flags import ChangeFlags, FlagMode
from store.members import AddMembers, RemoveMembers
from store.model import Flag
from tests.gateway.imap.handlers.house import Client, House

FIGURES = "(MESSAGES UNSEEN RECENT UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE DELETED DELETED-STORAGE MAILBOXID)"
ASKED = [
    'LIST "" "*"',
    'LIST "" "%"',
    'LIST "" "Other Users/*"',
    'LSUB "" "*"',
    'LSUB "" "%"',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)',
    'LIST (SPECIAL-USE) "" "*" RETURN (SUBSCRIBED)',
    'LIST "" "*" RETURN (MYRIGHTS)',
    f'LIST "" "*" RETURN (STATUS {FIGURES})',
]
FOOTING = Footing(Witness(((0, 1),)))


def said(octets: bytes) -> Said:
    saying = Saying()
    saying.say(octets)
    return saying.said(FOOTING)


def test_figures_stand_between_pieces() -> None:
    saying = Saying()
    assert saying.say(b"a") == b"a"
    saying.say(b"b")
    saying.figures(FolderId(7))
    saying.say(b"c")
    saying.figures(FolderId(8))
    assert saying.said(FOOTING) == Said(FOOTING, (b"ab", b"c", b""), (FolderId(7), FolderId(8)))


def test_memory_is_bounded_and_what_was_asked_last_stays() -> None:
    answers = Answers(limit=10_000)
    for number in range(50):
        answers.keep(number, said(b"x" * 500))
        answers.last(0)
        assert answers.octets <= 10_000
    assert answers.last(0) is not None
    assert answers.last(49) is not None
    assert answers.last(1) is None
    answers.keep(49, said(b"x" * (LARGEST + 1)))
    assert answers.last(49) is None
    answers.keep(0, said(b""))
    before = answers.octets
    answers.keep(0, said(b""))
    assert answers.octets == before


@pytest.mark.parametrize("seed", range(4))
async def test_said_again_is_what_is_made_anew(house: House, bruno: Client, seed: int) -> None:
    """One listener keeps what it said, the other makes everything anew: whatever changes, they say the same."""
    chance = random.Random(seed)
    anew = await house.client(await house.listen(), "bruno")
    house.listeners[-1].services.states.listed = Answers(limit=0)
    store, ids = house.store, house.ids
    team = await house.group("team", "bruno")
    everyone = Grantee(GranteeKind.ALL)
    paths: dict[str, list[str]] = {"anna": ["/INBOX"], "dora": ["/INBOX"], "bruno": ["/INBOX"]}
    await house.share("anna", "/INBOX", "bruno", "rw")
    said_once = set()
    for turn in range(60):
        owner = chance.choice(["anna", "dora", "bruno"])
        path = chance.choice(paths[owner])
        row = await house.folder(owner, path)
        grantee = chance.choice([Grantee(GranteeKind.ACCOUNT, ids["bruno"]), team, everyone])
        match chance.randrange(14):
            case 0 | 1:
                made = f"{path}/f{turn}"
                await house.make(owner, made)
                paths[owner].append(made)
            case 2 | 3 if owner != "bruno":
                await house.share(owner, path, grantee, chance.choice(["r", "rwidx", ""]))
            case 4 if owner != "bruno":
                await store.do(grants.RemoveFolderEntry(row, grantee))
            case 5 if path != "/INBOX":
                below = [one for one in paths[owner] if one == path or one.startswith(path + "/")]
                await store.do(folders.RenameFolder(row, f"/r{turn}"))
                paths[owner] = [f"/r{turn}" + one[len(path) :] if one in below else one for one in paths[owner]]
            case 6 if path != "/INBOX" and not any(one.startswith(path + "/") for one in paths[owner]):
                await store.do(folders.DeleteFolder(row))
                paths[owner].remove(path)
            case 7:
                await store.do(subscriptions.Subscribe(ids["bruno"], ids[owner], path))
            case 8:
                await store.do(subscriptions.Unsubscribe(ids["bruno"], ids[owner], path, chance.random() < 0.5))
            case 9:
                await store.do(folders.SwitchFolder(row, *(chance.choice([None, True, False]) for _ in range(3))))
            case 10 if owner != "bruno":
                status = chance.choice([AccountStatus.ACTIVE, AccountStatus.ACTIVE, AccountStatus.MAINTENANCE, AccountStatus.CLOSED])
                await house.status(owner, status)
            case 11:
                change: type[AddMembers | RemoveMembers] = RemoveMembers if chance.random() < 0.5 else AddMembers
                await store.do(change(ListId(team.id), [Address("bruno", "acme.test")]))
            case 12:
                await house.put(owner, path, chance.randrange(1, 4))
                await store.do(ChangeFlags(row, ((1, 2),), FlagMode.ADD, chance.choice([Flag.SEEN, Flag.DELETED])))
            case _ if path != "/INBOX":
                use = chance.choice([None, SpecialUse.ARCHIVE])
                async with store.snapshot() as snapshot:
                    having = None if use is None else await snapshot.ask(folders.by_special_use, ids[owner], use)
                if having is not None:
                    await store.do(folders.SetSpecialUse(having.id, None))
                await store.do(folders.SetSpecialUse(row, use))
        for command in ASKED:
            again, fresh = await bruno.do(command), await anew.do(command)
            assert again.ok
            assert again.untagged == fresh.untagged, (turn, command)
            said_once.add(tuple(again.untagged))
    assert len(said_once) > 40
    assert house.listeners[0].services.states.listed.octets > 0
    assert house.listeners[1].services.states.listed.octets == 0


async def test_what_was_said_is_not_looked_for_again(house: House, bruno: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.put("anna", "/INBOX", 2)
    first = [(await bruno.do(command)).untagged for command in ASKED]

    def refuse(*_: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(gateway.folders.listing, "_list", refuse)
    assert [(await bruno.do(command)).untagged for command in ASKED] == first


async def test_figures_are_those_of_now(house: House, bruno: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    await bruno.do(ASKED[-1])
    monkeypatch.setattr(gateway.folders.listing, "_list", None)
    await house.put("anna", "/INBOX", 3)
    (line,) = (await bruno.do(ASKED[-1])).having('STATUS "Other Users/anna/INBOX"')
    assert b"(MESSAGES 3 UNSEEN 3 RECENT 3 UIDNEXT 4 " in line


async def test_a_right_that_ends_by_the_clock_alone(house: House, bruno: Client) -> None:
    now = time.time_ns() // 1000
    await house.share("anna", "/INBOX", "bruno", "r", until=now + 1_500_000)
    await house.share("dora", "/INBOX", "bruno", "r", since=now + 1_500_000)
    for command in (ASKED[0], ASKED[-1]):
        heard = (await bruno.do(command)).all
        assert b"anna/INBOX" in heard
        assert b"dora" not in heard
    await asyncio.sleep(max(0.0, now / 1e6 + 1.6 - time.time()))
    for command in (ASKED[0], ASKED[-1]):
        heard = (await bruno.do(command)).all
        assert b"anna" not in heard
        assert b"dora@other.test/INBOX" in heard


async def test_an_owner_who_is_called_otherwise(house: House, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    assert b"Other Users/anna/INBOX" in (await bruno.do(ASKED[0])).all
    await house.store.do(accounts.RenameAccount(house.ids["anna"], Address("anne", "acme.test")))
    heard = (await bruno.do(ASKED[0])).all
    assert b"Other Users/anne/INBOX" in heard
    assert b"anna" not in heard


async def test_each_actor_is_told_of_his_own(house: House, anna: Client, bruno: Client) -> None:
    await house.make("anna", "/Secret")
    for command in ASKED:
        await anna.do(command)
        assert b"Secret" not in (await bruno.do(command)).all


async def test_names_are_spelled_as_the_session_has_them(house: House, port: int, bruno: Client) -> None:
    await house.make("bruno", "/Entwürfe")
    assert b"Entw&APw-rfe" in (await bruno.do(ASKED[0])).all
    other = await house.client(port, "bruno")
    assert (await other.do("ENABLE UTF8=ACCEPT")).ok
    assert "Entwürfe".encode() in (await other.do(ASKED[0])).all
    assert b"Entw&APw-rfe" in (await bruno.do(ASKED[0])).all


async def test_a_second_session_goes_on_record_too(house: House, port: int, bruno: Client) -> None:
    """Figures of what others share are on record once per session, also where the list was kept."""

    async def records() -> int:
        await asyncio.sleep(0.2)
        async with house.store.snapshot() as snapshot:
            return len(await snapshot.ask(audit.newest, 100))

    await house.share("anna", "/INBOX", "bruno", "r")
    await bruno.do(ASKED[-1])
    first = await records()
    await bruno.do(ASKED[-1])
    assert await records() == first
    other = await house.client(port, "bruno")
    await other.do(ASKED[-1])
    assert await records() == first + 1
