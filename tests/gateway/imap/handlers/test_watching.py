"""A client that only listens knows what there is: its picture, made of notifications alone, against what it would be told if it asked."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from gateway.changes import METADATA_KEPT
from gateway.imap.handlers.watching import _Filters, _Group
from policy.identity import AccountId, FolderId
from store.port import MetadataChanged
from tests.gateway.imap.handlers.house import Client, House

LISTED = re.compile(rb'\* LIST \(([^)]*)\) "/" (?:"([^"]*)"|(\S+))(?: \("OLDNAME" \("([^"]*)"\)\))?\Z')
FIGURES = re.compile(rb'\* STATUS "([^"]*)" \((.*)\)\Z')
PATHS = ("A", "A/b", "A/b/c", "B", "B/d")
NEW = ("C", "A/e", "B/f/g", "C/h")
ITEMS = (b"MESSAGES", b"UIDNEXT", b"UNSEEN")


class Picture:
    """What a client makes of LIST and STATUS."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[bytes, int]] = {}
        self.subscribed: set[str] = set()

    def hear(self, line: bytes) -> None:
        if (listed := LISTED.match(line)) is not None:
            name = (listed[2] or listed[3]).decode()
            attributes = set(listed[1].split())
            if listed[4] is not None:
                old = listed[4].decode()
                for one in [one for one in self.folders if one == old or one.startswith(old + "/")]:
                    self.folders[name + one[len(old) :]] = self.folders.pop(one)
            if attributes & {b"\\NonExistent", b"\\Noselect"}:
                self.folders.pop(name, None)
            else:
                self.folders.setdefault(name, {})
            (self.subscribed.add if b"\\Subscribed" in attributes else self.subscribed.discard)(name)
        elif (figures := FIGURES.match(line)) is not None:
            numbers = figures[2].split()
            known = self.folders.setdefault(figures[1].decode(), {})
            known.update((item, int(value)) for item, value in zip(numbers[::2], numbers[1::2], strict=True) if item in ITEMS)
        else:
            raise AssertionError(line)


async def asked(client: Client) -> Picture:
    """What is there."""
    picture = Picture()
    said = await client.do('LIST "" "*" RETURN (SUBSCRIBED)')
    figures = await client.do('LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))')
    assert said.ok
    assert figures.ok
    for line in [*said.untagged, *figures.having("* STATUS ")]:
        picture.hear(line)
    return picture


async def quiet(client: Client, picture: Picture) -> None:
    while True:
        try:
            picture.hear(await client.line(0.45))
        except TimeoutError:
            return


async def act(luck: random.Random, owner: Client, delegate: Client) -> None:
    path = luck.choice((*PATHS, *PATHS, *NEW))
    match luck.randrange(16):
        case 0 | 1 | 13:
            await owner.do(f"CREATE {path}")
        case 2:
            await owner.do(f"DELETE {path}")
        case 3 | 14 | 15:
            await owner.do(f"RENAME {path} {luck.choice((*PATHS, *NEW))}")
        case 4 | 5:
            await owner.do(f"SETACL {path} bruno@acme.test {luck.choice(('lr', 'lrs', 'lrswi', 'l'))}")
        case 6:
            await owner.do(f'SETACL {path} bruno@acme.test ""')
        case 7:
            await owner.do(f"DELETEACL {path} bruno@acme.test")
        case 8 | 9:
            await owner.do(f"APPEND {path} {{}}", b"Subject: x\r\n\r\ny")
        case 10:
            if (await owner.do(f"SELECT {path}")).ok:
                await owner.do(f"STORE 1:* {luck.choice('+-')}FLAGS.SILENT ({luck.choice((chr(92) + 'Seen', chr(92) + 'Deleted'))})")
                await owner.do(luck.choice(("EXPUNGE", "UNSELECT", "CLOSE")))
        case 11:
            await delegate.do(f'SUBSCRIBE "Other Users/anna/{path}"')
        case _:
            await delegate.do(f'UNSUBSCRIBE "Other Users/anna/{path}"')


@pytest.mark.parametrize("seed", range(6))
async def test_who_listens_knows(house: House, port: int, anna: Client, bruno: Client, seed: int) -> None:
    luck = random.Random(seed)
    delegate = await house.client(port, "bruno")
    for path in PATHS:
        await anna.do(f"CREATE {path}")
    for path in ("/A", "/B"):
        await house.share("anna", path, "bruno", "lrs", rfc=True)
    picture = await asked(delegate)
    # Subscriptions come with grants, and so tell most of what MailboxName does: every other time it has to do without.
    more = " SubscriptionChange" if seed % 2 else ""
    said = await bruno.do(f'NOTIFY SET (subtree "" (MessageNew MessageExpunge FlagChange MailboxName{more}))')
    assert said.ok
    for _ in range(4):
        for _ in range(luck.randrange(1, 14)):
            await act(luck, anna, delegate)
            if luck.random() < 0.3:
                await asyncio.sleep(luck.random() * 0.3)
        await quiet(bruno, picture)
        now = await asked(delegate)
        folders = now.folders
        assert set(picture.folders) == set(folders), seed
        if more:
            assert {name for name in picture.subscribed if name in folders} == {name for name in now.subscribed if name in folders}
        for name, figures in folders.items():
            # Of a folder that is new to it a client asks for the figures; from then on it hears of them.
            known = picture.folders[name]
            if not figures:
                known.clear()
            assert all(known.setdefault(item, value) == value for item, value in figures.items()), (seed, name, known, figures)


async def test_many_watch_one_folder_and_none_is_woken_for_another(house: House, port: int) -> None:
    """Idle costs nothing: what happens elsewhere reaches no session that did not ask for it."""
    await house.share("anna", "/INBOX", "bruno", "r")
    watching = [await house.client(port, "bruno") for _ in range(5)]
    for client in watching:
        assert (await client.do('NOTIFY SET (mailboxes "Other Users/anna/INBOX" (MessageNew MessageExpunge))')).ok
        await client.silent(0.05)
    (key,) = house.changes.by_folder
    assert key == await house.folder("anna")
    assert house.changes.by_folder.count(key) == 5
    woken: list[object] = []
    tell = house.changes.tell

    def counted(interest: object, news: object) -> None:
        woken.append(interest)
        tell(interest, news)  # type: ignore[arg-type]

    house.changes.tell = counted  # type: ignore[method-assign]
    await house.put("anna", "/Sent", 3)
    await house.put("bruno", "/INBOX", 3)
    assert woken == []
    await house.put("anna", "/INBOX", 1)
    assert len(woken) == 5
    for client in watching:
        assert await client.line() == b'* STATUS "Other Users/anna/INBOX" (MESSAGES 1 UIDNEXT 2)'


@pytest.mark.parametrize("seed", range(5))
def test_many_groups_are_as_each_alone(seed: int) -> None:
    """All filters at once, against what each says for itself."""
    luck = random.Random(seed)
    paths = ["INBOX", "A", "A/b", "A/b/c", "B", "AB", "Other Users/anna@acme.test/A", "Other Users/anna/A", "Other Users/anna/A/b"]
    groups = []
    for number in range(12):
        which = luck.choice((b"PERSONAL", b"INBOXES", b"SUBSCRIBED", b"MAILBOXES", b"SUBTREE", b"SUBTREE"))
        names = tuple(luck.sample([*paths, ""], 2)) if which in (b"MAILBOXES", b"SUBTREE") else ()
        groups.append(_Group(which, {name: name for name in names}, frozenset({b"%d" % number})))
    together = _Filters(groups)
    for name in paths:
        own, subscribed = not name.startswith("Other"), luck.random() < 0.5
        wanted: set[bytes] = set()
        for group in groups:
            match group.filter:
                case b"PERSONAL":
                    fits = own
                case b"INBOXES":
                    fits = name == "INBOX"
                case b"SUBSCRIBED":
                    fits = subscribed
                case b"MAILBOXES":
                    fits = name in group.names
                case _:
                    fits = any(not top or f"{name}/".startswith(f"{top}/") for top in group.names)
            if fits:
                wanted |= group.events
        assert together.events(name, own=own, subscribed=subscribed) == wanted, (name, groups)


async def test_more_entries_than_are_kept(house: House, port: int, anna: Client) -> None:
    second = await house.client(port, "anna")
    await anna.do("NOTIFY SET (personal (MailboxMetadataChange))")
    assert await anna.silent(0.3)
    # All in the time between two looks: the session is held up by a reader that is not there.
    ledgers = [interest.ledger for interest in house.changes.by_scope.everyone() if interest.ledger is not None]
    event = MetadataChanged(
        house.ids["anna"], await house.folder("anna"), AccountId(0), tuple(f"/shared/{n}" for n in range(METADATA_KEPT + 1))
    )
    assert ledgers[0].note(event)
    assert ledgers[0].lost
    await second.do('SETMETADATA INBOX (/shared/x "y")')
    assert (await anna.line()).startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
    await second.do('SETMETADATA INBOX (/shared/x "z")')
    assert await anna.silent(0.3)
    assert FolderId(0) not in ledgers[0].entries
