"""Who gains and who loses: a table of changes and of what comes of them."""

from __future__ import annotations

import pytest

from policy import plan
from policy.document import read
from policy.plan import Effect, compare
from tests.policy.test_document import BASE

NOW = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z
OPEN = (
    BASE.replace("deny = true\n", "")
    .replace('"rw[k]"', '"rw"')
    .replace("postingRestricted = true\n", "")
    .replace('of = "outer@acme.test"\nside', 'of = "inner@acme.test"\nside')
)
FROZEN = 'of = "inner@acme.test"\nside = "principal"'
NO_ROLE = ["acme.test loses its last administrator", "bert@acme.test loses the role help-desk of acme.test"]

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
        '"inner@acme.test"',
        ["ext@far.test loses the mail of outer@acme.test"],
    ),
    (
        '"ext@far.test", "inner@acme.test"',
        '"ext@far.test"',
        ["bert@acme.test loses rw on anna@acme.test /INBOX", "bert@acme.test loses the mail of outer@acme.test"],
    ),
    (
        'members = ["bert@acme.test"]',
        'members = ["anna@acme.test"]',
        [
            "anna@acme.test gains the mail of inner@acme.test",
            "anna@acme.test gains the mail of outer@acme.test",
            "bert@acme.test loses rw on anna@acme.test /INBOX",
            "bert@acme.test loses the mail of inner@acme.test",
            "bert@acme.test loses the mail of outer@acme.test",
        ],
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
        'status = "active"\n\n[cos',
        'status = "locked"\n\n[cos',
        [
            "acme.test loses its last administrator",
            "bert@acme.test loses log in",
            "bert@acme.test loses the role help-desk of acme.test",
            "bert@acme.test loses sendAs on anna@acme.test",
            "bert@acme.test loses rw on anna@acme.test /INBOX",
        ],
    ),
    (
        'status = "active"\n\n[account."bert',
        'status = "locked"\ndelegationWhenLocked = "read"\n\n[account."bert',
        [
            "anna@acme.test gets delegationWhenLocked read instead of none",
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
            "acme.test loses its last administrator",
            "anna@acme.test loses log in",
            "bert@acme.test loses log in",
            "bert@acme.test loses the role help-desk of acme.test",
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
    # A role counts while the account is marked, its domain initialised, and it is in time.
    *((said, "", NO_ROLE) for said in ("delegatedAdministrator = true\n", "initialised = true\n")),
    ('until = "2027-01-31T12:00:00Z"', 'from = "2027-01-31T12:00:00Z"', NO_ROLE),
    (
        'role = "help-desk"',
        'role = "domain"',
        ["bert@acme.test gains the role domain of acme.test", "bert@acme.test loses the role help-desk of acme.test"],
    ),
    (
        'cos = "staff"\ndel',
        'cos = "staff"\nadministrator = true\ndel',
        [
            "acme.test loses its last administrator",
            "bert@acme.test gains the role global",
            "bert@acme.test loses the role help-desk of acme.test",
            "the installation gains an administrator",
        ],
    ),
    (FROZEN, 'of = "anna@acme.test"\nside = "principal"', ["bert@acme.test loses sendAs on anna@acme.test"]),
    (FROZEN, 'of = "bert@acme.test"\nside = "actor"', ["bert@acme.test loses sendAs on anna@acme.test"]),
    (
        'owners = ["anna@acme.test"]',
        'owners = ["bert@acme.test"]\npostingRestricted = true\nmoderation = "all"',
        [
            "anna@acme.test loses ownership of outer@acme.test",
            "anna@acme.test loses sendToDistList on outer@acme.test",
            "bert@acme.test gains ownership of outer@acme.test",
            "bert@acme.test loses sendToDistList on outer@acme.test",
            "list outer@acme.test gets moderation all instead of none",
        ],
    ),
    (
        'maxQuota = "2147483648"\n',
        'maxQuota = "1m"\n',
        [
            "anna@acme.test gets quota 1048576 instead of 2147483648",
            "bert@acme.test gets quota 1048576 instead of 2147483648",
            "domain acme.test gets maxQuota 1048576 instead of 2147483648",
        ],
    ),
    ('cosMaxAccounts = ["default:5", "staff:0"]\n', "", ["domain acme.test gets cosMaxAccounts no limit instead of default:5, staff:0"]),
    ('aggregateQuotaWarnPercent = "0"\n', "", ["domain acme.test gets aggregateQuotaWarnPercent 80 instead of 0"]),
    ('maxAccounts = "10"\n', "", ["domain acme.test gets maxAccounts no limit instead of 10"]),
    (
        'delegationWhenLocked = "full"',
        'delegationWhenLocked = "full"\nsendRate = "200/1h"',
        ["bert@acme.test gets sendRate 200/1h instead of 0"],
    ),
    ('review = "2027-01-01T00:00:00Z"\nshare = "3"\n', "", []),
]


@pytest.mark.parametrize(("old", "new", "effects"), EFFECTS)
def test_effects(old: str, new: str, effects: list[str]) -> None:
    assert old in OPEN
    found = compare(read(OPEN), read(OPEN.replace(old, new, 1)), NOW)
    assert [str(one) for one in found.effects] == effects
    assert found.complete
    back = compare(read(OPEN.replace(old, new, 1)), read(OPEN), NOW)
    assert sorted((one.actor, _what(one), one.target, not one.gains) for one in back.effects if one.gains is not None) == sorted(
        (one.actor, _what(one), one.target, one.gains) for one in found.effects if one.gains is not None
    )
    assert [one.actor for one in back.effects if one.gains is None] == [one.actor for one in found.effects if one.gains is None]


def _what(one: Effect) -> str:
    return "an administrator" if "last administrator" in one.what else one.what


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MOST", 1)
    found = compare(read(OPEN), read(OPEN.replace('status = "active"', 'status = "closed"')), NOW)
    assert not found.complete
    assert found.judged == 1
