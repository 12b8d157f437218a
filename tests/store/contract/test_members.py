"""Who is a member of this very list; taking in and letting go is in test_lists.py with what comes of it."""

from policy.identity import Address
from store import lists, members
from store.lists import AddMembers, CreateList
from tests.store.conftest import Directory

FRIEND = Address("Friend.X", "elsewhere.test")


async def test_direct_members_are_found_by_every_address_they_have(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    inner = await directory.store.do(CreateList(Address("inner", "acme.test")))
    await directory.store.do(AddMembers(team, [Address("anna", "acme.test"), Address("inner", "acme.test"), FRIEND]))
    await directory.store.do(AddMembers(inner, [Address("bruno", "acme.test"), Address("anna+tag", "acme.test")]))
    for asked, found in (
        ("ANNA@acme.test", "anna@acme.test"),
        ("inner@acme.test", "inner@acme.test"),
        ("friend.x@elsewhere.test", "Friend.X@elsewhere.test"),
        ("bruno@acme.test", None),
        ("anna+tag@acme.test", None),
        ("friend.y@elsewhere.test", None),
    ):
        got = await directory.ask(members.direct, team, Address(*asked.split("@")))
        assert (None if got is None else str(got)) == found, asked
    assert await directory.ask(members.direct, inner, Address("anna+tag", "acme.test")) == Address("anna+tag", "acme.test")


async def test_members_elsewhere_have_numbers(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    await directory.store.do(AddMembers(team, [Address("anna", "acme.test"), FRIEND]))
    number = await directory.ask(members.number_of, team, FRIEND.folded())
    assert number is not None
    assert await directory.ask(members.number_of, team, Address("anna", "acme.test")) is None
    (anna, friend) = await directory.ask(lists.expand, team)
    assert (anna.member, friend.member) == (None, number)
    assert anna.row is not None
    assert anna.row.address == anna.address
    assert await directory.ask(lists.holding, FRIEND.folded(), [team])
    assert not await directory.ask(lists.holding, FRIEND, [])
