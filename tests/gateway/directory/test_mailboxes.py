"""Grants on folders as an administrator makes them, and the folders themselves."""

import pytest

from gateway.directory.faults import Fault
from gateway.directory.mailboxes import read_path, read_rights
from policy.grantees import GranteeKind
from policy.rights import Right
from tests.gateway.administration import Office


@pytest.fixture
async def people(office: Office) -> Office:
    await office.done("cd acme.test", "ca owner@acme.test ''", "ca delegate@acme.test ''", "sm owner@acme.test cf /Posta/2026")
    return office


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", "/"),
        ("", "/"),
        ("inbox", "/INBOX"),
        ("/Inbox/", "/INBOX"),
        ("/InBox/Sub", "/INBOX/Sub"),
        ("Posta//2026", "/Posta/2026"),
        ("Bu\u0308ro", "/Büro"),
    ],
)
def test_a_path_is_read_as_it_is_stored(text: str, path: str) -> None:
    assert read_path(text) == path


def test_letters_are_read_or_named() -> None:
    assert read_rights("none") is Right.NONE
    assert Right.CREATE in read_rights("ri")
    with pytest.raises(Fault, match="unknown right 'z'"):
        read_rights("rz")


async def test_none_lets_what_is_inherited_count_again_and_a_block_does_not(people: Office) -> None:
    mailboxes = people.directory.mailboxes
    grantee = (GranteeKind.ACCOUNT, "delegate@acme.test")
    await mailboxes.grant("owner@acme.test", "/", *grantee, read_rights("rw"))
    await mailboxes.grant("owner@acme.test", "/Posta/2026", *grantee, read_rights("r"))
    removed = await mailboxes.revoke("owner@acme.test", "/Posta/2026", *grantee)
    assert removed.entry_removed
    assert removed.inherited is not None
    assert (removed.inherited.path, removed.inherited.entry.rights) == ("/", read_rights("rw"))
    again = await mailboxes.revoke("owner@acme.test", "/Posta/2026", *grantee)
    assert not again.entry_removed
    await mailboxes.grant("owner@acme.test", "/Posta", *grantee, Right.NONE)
    seen = {one.row.path for one in await mailboxes.folders("delegate@acme.test") if one.owner}
    assert "/INBOX" in seen
    assert not {"/Posta", "/Posta/2026"} & seen


async def test_no_inherit_stops_the_walk(people: Office) -> None:
    mailboxes = people.directory.mailboxes
    await mailboxes.grant("owner@acme.test", "/", GranteeKind.ALL, "", read_rights("r"))
    await mailboxes.switch("owner@acme.test", "/Posta", inherit=False)
    assert await mailboxes.entries("owner@acme.test", "/Posta/2026") == []
    await mailboxes.switch("owner@acme.test", "/Posta", inherit=True, seen_private=True, subscribe_auto=False)
    (entry,) = await mailboxes.entries("owner@acme.test", "/Posta/2026")
    assert entry.inherited_from == "/"


async def test_a_folder_that_moves_inherits_from_its_new_place(people: Office) -> None:
    mailboxes = people.directory.mailboxes
    await mailboxes.grant("owner@acme.test", "/Posta", GranteeKind.ALL, "", read_rights("r"))
    await mailboxes.rename("owner@acme.test", "/Posta/2026", "/2026")
    assert await mailboxes.entries("owner@acme.test", "/2026") == []


async def test_a_grant_outside_its_time_is_shown_as_such(people: Office) -> None:
    mailboxes, now = people.directory.mailboxes, people.clock.at
    await mailboxes.grant("owner@acme.test", "/", GranteeKind.ALL, "", read_rights("r"), not_before=now + 1, expires=now + 2)
    assert [one.in_force for one in await mailboxes.entries("owner@acme.test", "/")] == [False]
    people.clock.at = now + 1
    assert [one.in_force for one in await mailboxes.entries("owner@acme.test", "/")] == [True]
    with pytest.raises(Fault, match="end before it starts"):
        await mailboxes.grant("owner@acme.test", "/", GranteeKind.ALL, "", read_rights("r"), not_before=2, expires=2)


@pytest.mark.parametrize("path", ["/", "a\tb", "/x" * 70, "/" + "y" * 3000, "a\udcff"])
async def test_names_that_no_folder_can_have(people: Office, path: str) -> None:
    with pytest.raises(Fault, match=r"mail\.INVALID_NAME"):
        await people.directory.mailboxes.create("owner@acme.test", path)
