import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.list_addresses import KEY, MAC, Role, Tags, new_key, read_role, role_address
from policy.identity import Address

TEAM = Address("team", "acme.test")
TAGS = Tags(b"secret")


@pytest.mark.parametrize(
    ("local", "found"),
    [
        ("team-owner", ("team", Role.OWNER, "")),
        ("TEAM-Request", ("team", Role.REQUEST, "")),
        ("a-b-subscribe", ("a-b", Role.SUBSCRIBE, "")),
        ("a-unsubscribe", ("a", Role.UNSUBSCRIBE, "")),
        ("team-bounces", ("team", Role.BOUNCES, "")),
        ("team-bounces+ABC", ("team", Role.BOUNCES, "abc")),
        ("team-confirm+abc", ("team", Role.CONFIRM, "abc")),
        ("team-confirm", None),
        ("team-moderate", None),
        ("team-owner+x", None),
        ("team-subscribe+x", None),
        ("-owner", None),
        ("owner", None),
        ("teamowner", None),
        ("team-bounces+a.b", None),
        ("team-bounces+", None),
        ("team-bounces+" + "a" * 49, None),
    ],
)
def test_reading(local: str, found: tuple[str, Role, str] | None) -> None:
    expected = None if found is None else (Address(found[0], "acme.test"), found[1], found[2])
    assert read_role(Address(local, "acme.test")) == expected


@given(st.integers(0, 1 << 62))
def test_a_member_s_tag_comes_back(number: int) -> None:
    tag = TAGS.member(number)
    address = role_address(TEAM, Role.BOUNCES, tag)
    assert read_role(address) == (TEAM, Role.BOUNCES, tag)
    assert TAGS.read_member(tag) == number
    assert Tags(b"another").read_member(tag) is None


@given(st.integers(0, 1 << 40))
def test_an_owner_s_tag_comes_back(owner: int) -> None:
    key = new_key()
    tag = TAGS.decision(key, owner)
    assert len(key) == KEY
    assert TAGS.read_decision(tag) == (key, owner)
    assert TAGS.read_decision(TAGS.decision(new_key(), owner)) != (key, owner)
    assert TAGS.read_member(tag) is None
    assert TAGS.read_decision(TAGS.member(owner)) is None


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"), max_size=48))
def test_nobody_makes_one_up(tag: str) -> None:
    assert TAGS.read_member(tag) is None
    assert TAGS.read_decision(tag) is None


def test_another_number_needs_another_mac() -> None:
    tag = TAGS.member(7)
    assert TAGS.read_member(tag[:MAC] + "8") is None


def test_addresses_are_short_enough_for_every_server() -> None:
    """RFC 5321 section 4.5.3.1.1: 64 octets before the @; twenty are left for the list's name."""
    for role, tag in ((Role.BOUNCES, TAGS.member(10**9)), (Role.MODERATE, TAGS.decision(new_key(), 10**6)), (Role.CONFIRM, new_key())):
        assert len(role_address(Address("x" * 20, "acme.test"), role, tag).local) <= 64
