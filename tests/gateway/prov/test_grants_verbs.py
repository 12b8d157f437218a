"""grants: what was granted to whom, what ends, what nobody uses, what is to be reviewed."""

import json
from typing import Any

import pytest

from policy.grantees import Grantee, GranteeKind
from store.tenure import GrantsUsed, Used
from tests.gateway.administration import Office

PEOPLE = (
    "cd acme.test",
    "ca anna@acme.test ''",
    "ca bruno@acme.test ''",
    "cdl team@acme.test",
    "adlm team@acme.test bruno@acme.test",
    "sm anna@acme.test mfg /INBOX account bruno@acme.test rw --until 2027-01-25T08:00:00Z --note holiday",
    "sm anna@acme.test mfg / group team@acme.test r",
    "grr account anna@acme.test usr bruno@acme.test sendAs --until 2027-06-01T00:00:00Z --review 2027-02-01T00:00:00Z",
    "grr dl team@acme.test usr bruno@acme.test sendOnBehalfOf",
)
DAY = 86400


async def told(office: Office, line: str) -> list[str]:
    found: list[dict[str, Any]] = json.loads((await office.command(f"grants {line}", as_json=True)).out)
    return [f"{one['owner']} {one['grantee']} {one['letters'] or ''}{one['right'] or ''} {one['folder'] or ''}".rstrip() for one in found]


INBOX = "anna@acme.test bruno@acme.test rw /INBOX"
ROOT = "anna@acme.test team@acme.test r /"
SEND_AS = "anna@acme.test bruno@acme.test sendAs"
TEAM = "team@acme.test bruno@acme.test sendOnBehalfOf"


async def test_lists(office: Office) -> None:
    await office.done(*PEOPLE)
    assert await told(office, "list --owner anna@acme.test") == [ROOT, INBOX, SEND_AS]
    assert sorted(await told(office, "list --actor bruno@acme.test")) == sorted([ROOT, INBOX, SEND_AS, TEAM])
    assert await told(office, "list --actor team@acme.test") == [ROOT]
    assert await told(office, "list --owner team@acme.test") == [TEAM]
    assert await told(office, "list --owner anna@acme.test --actor team@acme.test") == [ROOT]
    assert await told(office, "expiring") == [INBOX]
    assert await told(office, "expiring --within 9d") == []
    assert await told(office, "expiring --within 52w") == [INBOX, SEND_AS]
    assert await told(office, "expiring --within 52w --owner team@acme.test") == []
    assert await told(office, "overdue") == []
    assert await told(office, "overdue --within 4w") == [SEND_AS]
    assert await told(office, "unused") == []
    text = (await office.command("grants list --owner anna@acme.test")).out
    assert text.splitlines()[0].split() == ["Owner", "Grantee", "Gives", "Last", "used", "Ends", "Remarks"]
    assert "account bruno@acme.test" in text
    assert "rw on /INBOX" in text
    assert "holiday" in text
    assert (await office.command("grants expiring --within 1d")).out == "nothing ends in that time\n"


async def test_unused_and_used(office: Office) -> None:
    await office.done(*PEOPLE)
    office.clock.turn(100 * DAY)
    assert sorted(await told(office, "unused")) == sorted([ROOT, SEND_AS, TEAM]), "what is over is not among them"
    team = (await office.directory.lists.get("team@acme.test")).row.id
    anna = (await office.directory.accounts.get("anna@acme.test")).row.id
    await office.store.do(GrantsUsed((Used(anna, Grantee(GranteeKind.GROUP, team), "/"),)))
    assert sorted(await told(office, "unused --since 90d")) == sorted([SEND_AS, TEAM])
    listed = json.loads((await office.command("grants list --owner anna@acme.test", as_json=True)).out)
    (used,) = [one for one in listed if one["folder"] == "/"]
    assert used["lastUsed"] == "2027-04-25T08:00:00Z"
    assert await told(office, "unused --since 2027-01-01T00:00:00Z") == []
    assert await told(office, "overdue") == [SEND_AS]


async def test_what_a_share_gave_names_it(office: Office) -> None:
    await office.done(*PEOPLE)
    await office.command("share create desk@acme.test --members bruno@acme.test --preset read --until +7d --review +3d")
    assert "share 1" in (await office.command("grants expiring --owner desk@acme.test")).out
    office.clock.turn(4 * DAY)
    assert await told(office, "overdue") == ["desk@acme.test bruno@acme.test r /"]
    assert "(review is due)" in (await office.command("share list")).out


async def test_reviews_are_set_and_shown_where_grants_are(office: Office) -> None:
    await office.done(*PEOPLE, "sm anna@acme.test mfg /Sent account bruno@acme.test r --review 2027-03-01T00:00:00Z")
    (entry,) = [one for one in json.loads((await office.prov("sm anna@acme.test gfg /Sent", as_json=True)).out) if not one["inheritedFrom"]]
    assert entry["review"] == "2027-03-01T00:00:00Z"
    assert "(review 2027-03-01T" in (await office.prov("sm anna@acme.test gfg /Sent")).out
    assert "review 2027-02-01T" in (await office.prov("gg -t account anna@acme.test")).out
    for line in (
        "sm anna@acme.test mfg /Sent account bruno@acme.test r --until +1d --review +2d",
        "grr account anna@acme.test usr bruno@acme.test sendAs --until +1d --review +1d",
    ):
        refused = await office.prov(line)
        assert (refused.status, "ended before it is reviewed" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("grants list", 2, "--owner or --actor is needed"),
        ("grants", 2, "usage: grants list"),
        ("grants soon", 2, "list, expiring, unused or overdue"),
        ("grants expiring --since 3d", 2, "there is no option --since here"),
        ("grants list --owner ghost@acme.test", 1, "account.NO_SUCH_ACCOUNT"),
        ("grants expiring --actor ghost@acme.test", 1, "account.NO_SUCH_ACCOUNT"),
        ("grants expiring --within soon", 1, "no time: soon"),
        ("grants unused everything", 2, "everything was not understood"),
    ],
)
async def test_misuse(office: Office, line: str, status: int, words: str) -> None:
    await office.done(*PEOPLE)
    refused = await office.command(line)
    assert (refused.status, words in refused.err) == (status, True), refused.err
