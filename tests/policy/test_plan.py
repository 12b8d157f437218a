"""Who gains and who loses: a table of changes and of what comes of them."""

from __future__ import annotations

import pytest

from policy import plan
from policy.document import read
from policy.plan import compare
from tests.policy.test_document import BASE

NOW = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z
OPEN = BASE.replace("deny = true\n", "").replace('"rw[k]"', '"rw"')

EFFECTS = [
    ("", "", []),
    (
        'right = "sendAs"',
        'right = "loginAs"',
        ["bert@acme.test gains loginAs on anna@acme.test", "bert@acme.test loses sendAs on anna@acme.test"],
    ),
    ('right = "sendAs"', 'right = "sendAs"\ndeny = true', ["bert@acme.test loses sendAs on anna@acme.test"]),
    ('until = "2027-01-31T12:00:00.000001Z"', 'from = "2027-01-31T12:00:00Z"', ["bert@acme.test loses sendAs on anna@acme.test"]),
    ('until = "2027-01-31T12:00:00.000001Z"', 'until = "2027-02-28T12:00:00Z"', []),
    (
        'rights = "rw"',
        'rights = "rd"',
        ["bert@acme.test gains d on anna@acme.test /INBOX", "bert@acme.test loses w on anna@acme.test /INBOX"],
    ),
    (
        '"ext@far.test", "inner@acme.test"',
        '"ext@far.test"',
        ["bert@acme.test loses rw on anna@acme.test /INBOX"],
    ),
    (
        'members = ["bert@acme.test"]',
        'members = ["anna@acme.test"]',
        ["bert@acme.test loses rw on anna@acme.test /INBOX"],
    ),
    (
        'status = "active"\n\n[account."bert',
        'status = "closed"\n\n[account."bert',
        [
            "anna@acme.test loses log in",
            "bert@acme.test loses sendAs on anna@acme.test",
            "bert@acme.test loses rw on anna@acme.test /INBOX",
        ],
    ),
    (
        'cos = "staff"\nstatus = "active"',
        'cos = "staff"\nstatus = "locked"',
        [
            "bert@acme.test loses log in",
            "bert@acme.test loses sendAs on anna@acme.test",
            "bert@acme.test loses rw on anna@acme.test /INBOX",
        ],
    ),
    (
        'status = "active"\n\n[account."bert',
        'status = "locked"\ndelegationWhenLocked = "read"\n\n[account."bert',
        [
            "anna@acme.test loses log in",
            "bert@acme.test loses sendAs on anna@acme.test",
            "bert@acme.test loses w on anna@acme.test /INBOX",
        ],
    ),
    ('path = "/Post"', 'path = "/INBOX"', []),  # the entry stands on the folder itself
    (
        'status = "active"\n\n[list',
        'status = "maintenance"\n\n[list',
        [
            "anna@acme.test loses log in",
            "bert@acme.test loses log in",
            "bert@acme.test loses sendAs on anna@acme.test",
            "bert@acme.test loses rw on anna@acme.test /INBOX",
        ],
    ),
    (
        'to = "group outer@acme.test"',
        'to = "cos staff"',
        [],
    ),
    (
        'to = "group outer@acme.test"',
        'to = "cos default"',
        ["bert@acme.test loses rw on anna@acme.test /INBOX"],
    ),
]


@pytest.mark.parametrize(("old", "new", "effects"), EFFECTS)
def test_effects(old: str, new: str, effects: list[str]) -> None:
    assert old in OPEN
    found = compare(read(OPEN), read(OPEN.replace(old, new, 1)), NOW)
    assert [str(one) for one in found.effects] == effects
    assert found.complete
    back = compare(read(OPEN.replace(old, new, 1)), read(OPEN), NOW)
    assert sorted((one.actor, one.what, one.target, not one.gains) for one in back.effects) == sorted(
        (one.actor, one.what, one.target, one.gains) for one in found.effects
    )


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MOST", 1)
    found = compare(read(OPEN), read(OPEN.replace('status = "active"', 'status = "closed"')), NOW)
    assert not found.complete
    assert found.judged == 1
