"""Grants on accounts and lists: what replaces what, what is found through groups."""

import pytest

from gateway.directory.faults import Fault
from gateway.directory.send_rights import ObjectKind
from policy.grantees import GranteeKind
from policy.grants import SendRight
from tests.gateway.administration import Office

TARGET = (ObjectKind.ACCOUNT, "owner@acme.test")
DELEGATE = (GranteeKind.ACCOUNT, "delegate@acme.test")


@pytest.fixture
async def people(office: Office) -> Office:
    await office.done(
        "cd acme.test",
        "ca owner@acme.test ''",
        "ca delegate@acme.test ''",
        "cdl team@acme.test",
        "cdl inner@acme.test",
        "adlm team@acme.test inner@acme.test",
        "adlm inner@acme.test delegate@acme.test",
    )
    return office


async def test_a_second_grant_replaces_the_first_whichever_way_it_goes(people: Office) -> None:
    rights = people.directory.send_rights
    await rights.grant(*TARGET, *DELEGATE, SendRight.SEND_AS, note="first")
    await rights.grant(*TARGET, *DELEGATE, SendRight.SEND_AS, deny=True, note="second")
    (found,) = await rights.on(*TARGET)
    assert (found.grant.deny, found.grant.note, found.grantee_name) == (True, "second", "delegate@acme.test")
    with pytest.raises(Fault, match=r"account\.NO_SUCH_GRANT"):
        await rights.revoke(*TARGET, *DELEGATE, SendRight.SEND_AS)
    await rights.revoke(*TARGET, *DELEGATE, SendRight.SEND_AS, deny=True)
    assert await rights.on(*TARGET) == []


async def test_what_a_grantee_has_includes_what_its_groups_have(people: Office) -> None:
    rights = people.directory.send_rights
    await rights.grant(*TARGET, *DELEGATE, SendRight.SEND_AS)
    await rights.grant(*TARGET, GranteeKind.GROUP, "team@acme.test", SendRight.SEND_ON_BEHALF_OF)
    assert {one.grant.right for one in await rights.to(*DELEGATE)} == {SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF}
    assert {one.grant.right for one in await rights.to(*DELEGATE, through_groups=False)} == {SendRight.SEND_AS}
    assert {one.target.name for one in await rights.to(GranteeKind.GROUP, "inner@acme.test")} == {"owner@acme.test"}


@pytest.mark.parametrize(("kind", "right"), [(ObjectKind.ACCOUNT, SendRight.SEND_TO_LIST), (ObjectKind.LIST, SendRight.LOGIN_AS)])
async def test_a_right_fits_its_target(people: Office, kind: ObjectKind, right: SendRight) -> None:
    name = "owner@acme.test" if kind is ObjectKind.ACCOUNT else "team@acme.test"
    with pytest.raises(Fault, match=r"service\.INVALID_REQUEST"):
        await people.directory.send_rights.grant(kind, name, *DELEGATE, right)
