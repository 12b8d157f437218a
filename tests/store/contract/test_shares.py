import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import Address
from policy.rights import Right
from store import accounts, folders, grants, shares
from store.accounts import CreateAccount, DeleteAccount
from store.errors import Conflict, NotFound
from store.grants import RemoveSendGrant, SetFolderEntry, SetSendGrant
from store.shares import CreateShare, EndShare, Given, ShareId
from tests.store.conftest import SECOND, START, Directory

READ = Right.LOOKUP | Right.READ
ALL = Grantee(GranteeKind.ALL)


def to(directory: Directory) -> Grantee:
    return Grantee(GranteeKind.ACCOUNT, directory.bruno)


async def test_a_share_with_a_new_mailbox_is_whole(directory: Directory) -> None:
    address = Address("support", "acme.test")
    deed = CreateShare(
        CreateAccount(address), "manage", (to(directory), ALL), ("/", "/Sent"), READ, (SendRight.SEND_AS,), None, START + SECOND
    )
    number = await directory.store.do(deed)
    row = await directory.ask(shares.by_id, number)
    assert row is not None
    assert (row.preset, row.made_mailbox, row.expires, row.created) == ("manage", True, START + SECOND, START)
    given = await directory.ask(shares.given, number)
    assert [(one.path, one.entry.grantee, one.entry.expires) for one in given.entries] == [
        ("/", to(directory), START + SECOND),
        ("/", ALL, START + SECOND),
        ("/Sent", to(directory), START + SECOND),
        ("/Sent", ALL, START + SECOND),
    ]
    assert [one.grantee for one in given.sends] == [to(directory), ALL]
    assert await directory.ask(shares.members, number) == [to(directory), ALL]
    assert await directory.ask(shares.of_owner, row.owner) == [row]
    assert await directory.ask(shares.with_member, ALL) == [number]
    assert await directory.store.do(EndShare(number)) == given
    assert await directory.ask(shares.given, number) == Given([], [])
    assert await directory.ask(grants.send_grants_on, row.owner) == []
    assert await directory.ask(accounts.by_id, row.owner) is not None
    with pytest.raises(NotFound):
        await directory.store.do(EndShare(number))


@pytest.mark.parametrize("what", ["entry", "grant", "folder", "member", "account"])
async def test_one_that_cannot_be_leaves_nothing(directory: Directory, what: str) -> None:
    root = await directory.ask(folders.by_path, directory.anna, "/")
    assert root is not None
    if what == "entry":
        await directory.store.do(SetFolderEntry(root.id, FolderEntry(ALL, READ)))
    if what == "grant":
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, ALL, SendRight.SEND_AS, deny=True)))
    before = (await directory.ask(grants.entries, root.id), await directory.ask(grants.send_grants_on, directory.anna))
    deed = CreateShare(
        type(directory.anna)(999) if what == "account" else directory.anna,
        "manage",
        (to(directory), Grantee(GranteeKind.GROUP, 999) if what == "member" else ALL),
        ("/", "/Nope") if what == "folder" else ("/",),
        READ,
        (SendRight.SEND_AS,),
    )
    with pytest.raises((Conflict, NotFound)):
        await directory.store.do(deed)
    assert (await directory.ask(grants.entries, root.id), await directory.ask(grants.send_grants_on, directory.anna)) == before
    assert await directory.ask(shares.page, 0, 10) == []


async def test_what_is_set_by_hand_is_the_shares_no_more(directory: Directory) -> None:
    root = await directory.ask(folders.by_path, directory.anna, "/")
    assert root is not None
    deed = CreateShare(directory.anna, "manage", (to(directory),), ("/",), READ, (SendRight.SEND_AS,))
    number = await directory.store.do(deed)
    by_hand = FolderEntry(to(directory), READ | Right.INSERT)
    await directory.store.do(SetFolderEntry(root.id, by_hand))
    await directory.store.do(RemoveSendGrant(directory.anna, to(directory), SendRight.SEND_AS))
    assert await directory.store.do(EndShare(number)) == Given([], [])
    assert await directory.ask(grants.entries, root.id) == [by_hand]


async def test_accounts_that_go_take_their_shares_and_memberships_along(directory: Directory) -> None:
    number = await directory.store.do(CreateShare(directory.anna, "read", (to(directory), ALL), ("/",), READ, ()))
    await directory.store.do(DeleteAccount(directory.bruno))
    assert await directory.ask(shares.members, number) == [ALL]
    await directory.store.do(DeleteAccount(directory.anna))
    assert await directory.ask(shares.by_id, number) is None
    assert await directory.ask(shares.members, ShareId(number)) == []
