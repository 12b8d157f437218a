import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId
from policy.rights import Right
from store import folders, tenure
from store.errors import Conflict
from store.grants import SetFolderEntry, SetSendGrant
from store.tenure import GrantsUsed, GrantsWarned, Tenure, Used
from tests.store.conftest import SECOND, START, Clock, Directory

READ = Right.LOOKUP | Right.READ
ALL = Grantee(GranteeKind.ALL)
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def to(account: AccountId) -> Grantee:
    return Grantee(GranteeKind.ACCOUNT, account)


async def entry(directory: Directory, entry: FolderEntry, path: str = "/INBOX") -> None:
    folder = await directory.ask(folders.by_path, directory.anna, path)
    assert folder is not None
    await directory.store.do(SetFolderEntry(folder.id, entry))


def told(found: list[Tenure]) -> list[str]:
    return [f"{one.path or getattr(one.granted, 'right', '')} {one.granted.grantee}" for one in found]


async def test_what_ends_soon_is_in_the_order_of_its_ends(directory: Directory) -> None:
    bruno = to(directory.bruno)
    await entry(directory, FolderEntry(bruno, READ, None, START + 3 * DAY))
    await entry(directory, FolderEntry(ALL, READ, None, START + 30 * DAY))
    await entry(directory, FolderEntry(bruno, READ), "/Sent")
    await entry(directory, FolderEntry(ALL, READ, None, START), "/Sent")  # over
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, bruno, SendRight.SEND_AS, expires=START + DAY)))
    assert told(await directory.ask(tenure.expiring, START + 14 * DAY, 10)) == [f"sendAs {bruno}", f"/INBOX {bruno}"]
    assert len(await directory.ask(tenure.expiring, START + 40 * DAY, 10)) == 3


async def test_use_is_noted_at_most_once_an_hour_and_makes_no_judgement_stale(directory: Directory, clock: Clock) -> None:
    bruno = to(directory.bruno)
    await entry(directory, FolderEntry(bruno, READ))
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, bruno, SendRight.SEND_AS)))
    uses = (Used(directory.anna, bruno, "/INBOX"), Used(directory.anna, bruno, right=SendRight.SEND_AS), Used(directory.anna, ALL, "/gone"))
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness(directory.anna, directory.bruno)

    async def noted() -> set[int | None]:
        return {one.used for one in await directory.ask(tenure.on, directory.anna, 10)}

    assert await noted() == {None}
    for seconds, expected in ((0, START), (3599, START), (1, START + HOUR)):
        clock.turn(seconds)
        await directory.store.do(GrantsUsed(uses))
        assert await noted() == {expected}
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(witness)


async def test_unused_are_those_that_could_have_been_used(directory: Directory, clock: Clock) -> None:
    bruno = to(directory.bruno)
    await entry(directory, FolderEntry(bruno, READ))
    await entry(directory, FolderEntry(ALL, Right.NONE))
    await entry(directory, FolderEntry(bruno, READ, START + 80 * DAY), "/Sent")
    await entry(directory, FolderEntry(ALL, READ, None, START + 5 * DAY), "/Sent")
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, bruno, SendRight.SEND_AS)))
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, ALL, SendRight.SEND_AS, deny=True)))
    clock.turn(100 * 86400)
    await entry(directory, FolderEntry(bruno, READ), "/Drafts")
    since = START + 10 * DAY
    assert told(await directory.ask(tenure.unused, since, 10)) == [f"/INBOX {bruno}", f"sendAs {bruno}"]
    await directory.store.do(GrantsUsed((Used(directory.anna, bruno, "/INBOX"),)))
    assert told(await directory.ask(tenure.unused, since, 10)) == [f"sendAs {bruno}"]
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, bruno, SendRight.SEND_AS)))  # given again
    assert await directory.ask(tenure.unused, since, 10) == []


async def test_reviews_that_are_due(directory: Directory) -> None:
    bruno = to(directory.bruno)
    await entry(directory, FolderEntry(bruno, READ, review=START - DAY))
    await entry(directory, FolderEntry(ALL, READ, review=START + DAY))
    await entry(directory, FolderEntry(bruno, READ, None, START - 1, review=START - DAY), "/Sent")  # over
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, ALL, SendRight.SEND_AS, review=START)))
    assert told(await directory.ask(tenure.overdue, START, 10)) == [f"/INBOX {bruno}", f"sendAs {ALL}"]
    assert len(await directory.ask(tenure.to, ALL, 10)) == 2


async def test_an_end_is_announced_once_until_it_changes(directory: Directory) -> None:
    bruno = to(directory.bruno)
    await entry(directory, FolderEntry(bruno, READ, None, START + DAY))
    (one,) = await directory.ask(tenure.on, directory.anna, 10)
    await directory.store.do(GrantsWarned((one,)))
    with pytest.raises(Conflict):
        await directory.store.do(GrantsWarned((one,)))
    assert [one.warned for one in await directory.ask(tenure.on, directory.anna, 10)] == [START]
    await entry(directory, FolderEntry(bruno, READ, None, START + 2 * DAY))
    with pytest.raises(Conflict):
        await directory.store.do(GrantsWarned((one,)))
    assert [one.warned for one in await directory.ask(tenure.on, directory.anna, 10)] == [None]
