"""How a grantee is written where its name is not known."""

import pytest

from policy.grantees import Grantee, GranteeKind


@pytest.mark.parametrize(
    ("kind", "id", "text"),
    [("account", 2, "account #2"), ("group", 11, "group #11"), ("domain", 3, "domain #3"), ("cos", 4, "cos #4"), ("all", 0, "everybody")],
)
def test_a_grantee_without_its_name(kind: str, id: int, text: str) -> None:  # noqa: A002
    assert str(Grantee(GranteeKind(kind), id)) == text


def test_the_kinds_are_spelled_as_the_command_line_spells_them() -> None:
    assert [str(kind) for kind in GranteeKind] == ["account", "group", "domain", "cos", "all"]
