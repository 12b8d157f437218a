"""share and grants under `--as`: who may, on whom, and that nobody else is told anything."""

import json

import pytest

from gateway.prov.arguments import words
from gateway.prov.run import Request
from tests.gateway.administration import Office, Told
from tests.gateway.prov.test_role_verbs import acme as acme

MAY = ("gloria", "dora", "dele", "uma")
MAY_NOT = ("gus", "hanna", "owner")
NEW = "share create new@acme.test --members team@acme.test --preset manage"
OLD = "share create owner@acme.test --members delegate@acme.test --preset read"


async def typed(office: Office, who: str, line: str, *, as_json: bool = False) -> Told:
    command, *rest = words(line)
    return await office.ask(Request(command, tuple(rest), as_json, acting=f"{who}@acme.test"))


async def refused(office: Office, who: str, line: str) -> None:
    told = await typed(office, who, line)
    assert told.status == 1, f"{who} may {line}: {told.out}"
    assert told.err.startswith("ERROR: service.PERM_DENIED ("), f"{who} {line}: {told.err}"


@pytest.mark.parametrize("who", MAY)
async def test_who_manages_people_shares_their_mailboxes(acme: Office, who: str) -> None:
    for line in (NEW, OLD):
        for step in (f"{line} --dry-run", line):
            told = await typed(acme, who, step)
            assert told.status == 0, told.err
    assert "new@acme.test" in (await typed(acme, who, "share list")).out
    assert (await typed(acme, who, "share show owner@acme.test")).status == 0
    assert "owner@acme.test" in (await typed(acme, who, "grants list --actor delegate@acme.test")).out
    assert (await typed(acme, who, "share end owner@acme.test")).status == 0
    assert (await typed(acme, who, "share end new@acme.test --delete-mailbox")).status == 0
    recorded = (await acme.command("audit list --limit 1")).out
    assert f"share ended: {who}@acme.test on new@acme.test" in recorded


@pytest.mark.parametrize("who", MAY_NOT)
async def test_who_does_not_is_refused_and_told_nothing(acme: Office, who: str) -> None:
    assert (await acme.command(OLD)).status == 0
    for line in (NEW, f"{NEW} --dry-run", OLD, f"{OLD} --replace --dry-run", "share end owner@acme.test", "share end 1"):
        await refused(acme, who, line)
    assert (await acme.command("share list")).out.count("\n") == 2


@pytest.mark.parametrize(
    "line",
    [
        "share create stranger@other.test --members owner@acme.test --preset read",
        "share create ghost@other.test --members owner@acme.test --preset read",
        "share create strangers@other.test --members owner@acme.test --preset read",
        "share create owner@acme.test --members stranger@other.test --preset read",
        "share create owner@acme.test --members ghost@other.test --preset read",
        "share create new@acme.test --members stranger@other.test --preset read",
        "share create new@acme.test --members all --preset read",
        "share create gloria@acme.test --members owner@acme.test --preset read",
        "share create dora@acme.test --members owner@acme.test --preset send",
        "share list --owner stranger@other.test",
        "share list --owner ghost@other.test",
        "share list --member stranger@other.test",
        "share show stranger@other.test",
        "share show 1",
        "share end 1",
        "grants list --owner stranger@other.test",
        "grants list --owner strangers@other.test",
        "grants list --actor stranger@other.test",
        "grants expiring --owner ghost@other.test",
    ],
)
async def test_nobody_leaves_the_domain_nor_reaches_up(acme: Office, line: str) -> None:
    assert (await acme.command("share create stranger@other.test --members strangers@other.test --preset read")).status == 0
    await refused(acme, "uma", line)


async def test_listings_hold_what_may_be_seen(acme: Office) -> None:
    for line in (
        "share create stranger@other.test --members strangers@other.test --preset read --until +3d --review +1d",
        f"{OLD} --until +3d --review +1d",
    ):
        assert (await acme.command(line)).status == 0
    acme.clock.turn(2 * 86400)
    for line, key in (
        ("share list", "mailbox"),
        ("grants expiring", "owner"),
        ("grants overdue", "owner"),
        ("grants unused --since 1d", "owner"),
    ):
        seen = json.loads((await typed(acme, "uma", line, as_json=True)).out)
        assert [one[key] for one in seen] == ["owner@acme.test"], line
        assert len(json.loads((await acme.command(line, as_json=True)).out)) == 2, line
        await refused(acme, "owner", line)
