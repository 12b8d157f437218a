"""share: what it says before it does it, what it grants, what it takes away again."""

import json

import pytest

from store import accounts
from store.port import Snapshot
from tests.gateway.administration import Office

PEOPLE = (
    "cd acme.test",
    "ca anna@acme.test ''",
    "ca bruno@acme.test ''",
    "ca carla@acme.test ''",
    "cdl team@acme.test",
    "adlm team@acme.test bruno@acme.test carla@acme.test",
)
SUPPORT = "share create support@acme.test --members team@acme.test --preset manage"


async def granted(office: Office, owner: str) -> tuple[dict[str, list[str]], list[str]]:
    """Every folder's own entries as `grantee letters`, and every send right as `grantee right`."""
    entries: dict[str, list[str]] = {}
    for folder in json.loads((await office.prov(f"sm {owner} gaf", as_json=True)).out):
        if folder["owner"] is not None:
            continue
        path = folder["path"]
        found = json.loads((await office.prov(f"sm {owner} gfg {path}", as_json=True)).out)
        own = [f"{one['name']} {one['rights']}" for one in found if one["inheritedFrom"] is None]
        if own:
            entries[path] = own
    rights = json.loads((await office.prov(f"gg -t account {owner}", as_json=True)).out)
    return entries, [f"{one['grantee']} {'-' if one['deny'] else ''}{one['right']}" for one in rights]


async def state(office: Office) -> list[str]:
    """Everything an office could show: what a refused command must leave as it is."""
    told = [(await office.prov("gaa")).out, (await office.command("share list")).out]
    return told + [str(await granted(office, f"{owner}@acme.test")) for owner in ("anna", "bruno")]


async def test_one_command_makes_a_shared_mailbox(office: Office) -> None:
    await office.done(*PEOPLE)
    dry = await office.command(f"{SUPPORT} --until 2027-01-31T00:00:00Z --dry-run")
    assert dry.status == 0
    for words in (
        "support@acme.test: Send, Read and Manage Mails (manage)",
        "a new mailbox support@acme.test without a password",
        "group team@acme.test (2 accounts now) may, in every folder: see and read, mark as read and flag,",
        "give and take rights (rwidxa)",
        "group team@acme.test (2 accounts now) may send as support@acme.test",
        "in the Sent of support@acme.test (delegatedSent owner)",
        "until 2027-01-31T",
        "nothing was changed yet",
    ):
        assert words in dry.out
    assert (await office.prov("ga support@acme.test")).status == 1
    told = await office.command(f"{SUPPORT} --until 2027-01-31T00:00:00Z", as_json=True)
    data = json.loads(told.out)
    assert (data["share"], data["newMailbox"], data["letters"], data["rights"]) == (1, True, "rwidxa", ["sendAs"])
    assert data["until"] == "2027-01-31T00:00:00Z"
    assert await granted(office, "support@acme.test") == ({"/": ["team@acme.test rwixda"]}, ["team@acme.test sendAs"])
    account = json.loads((await office.prov("ga support@acme.test", as_json=True)).out)["attributes"]
    assert account["delegatedSent"] == "owner"
    row = (await office.directory.accounts.get("support@acme.test")).row
    assert row.verifier == ""
    shown = (await office.command("share show 1")).out
    assert "mailbox: support@acme.test (made with it)" in shown
    assert "gives: group team@acme.test rwixda on /" in shown
    assert "support@acme.test" in (await office.command("share list --member team@acme.test")).out
    assert (await office.command("share list --member bruno@acme.test")).out == "nothing is shared by presets\n"
    recorded = (await office.command("audit list --limit 1")).out
    assert "share created: operator on support@acme.test; rwidxa; manage for group team@acme.test; rwidxa on /; sendAs" in recorded


EXPANDED = {
    "read --folders INBOX": ({"/INBOX": ["bruno@acme.test r"]}, []),
    "read/write": ({"/": ["bruno@acme.test rwid"]}, []),
    "send": ({}, ["bruno@acme.test sendAs"]),
    "'send on behalf'": ({}, ["bruno@acme.test sendOnBehalfOf"]),
    "send-only --on-behalf": ({}, ["bruno@acme.test sendOnBehalfOf"]),
    "read-only --folders /Sent,inbox": ({"/INBOX": ["bruno@acme.test r"], "/Sent": ["bruno@acme.test r"]}, []),
    "send-and-read --folder /Archive": ({"/Archive": ["bruno@acme.test r"]}, ["bruno@acme.test sendAs"]),
    "manage --on-behalf": ({"/": ["bruno@acme.test rwixda"]}, ["bruno@acme.test sendOnBehalfOf"]),
}


@pytest.mark.parametrize("preset", EXPANDED)
async def test_each_preset_gives_the_least_and_the_end_takes_exactly_that(office: Office, preset: str) -> None:
    await office.done(
        *PEOPLE, "sm anna@acme.test mfg /Junk account bruno@acme.test w", "grr account anna@acme.test grp team@acme.test sendAs"
    )
    before = await granted(office, "anna@acme.test")
    told = await office.command(f"share create anna@acme.test --members bruno@acme.test --preset {preset}")
    assert told.status == 0, told.err
    entries, rights = await granted(office, "anna@acme.test")
    wanted_entries, wanted_rights = EXPANDED[preset]
    assert {path: own for path, own in entries.items() if path != "/Junk"} == wanted_entries
    assert set(rights) == {*wanted_rights, "team@acme.test sendAs"}
    ended = await office.command("share end anna@acme.test")
    assert "account bruno@acme.test still has w on /Junk, which the share did not give" in ended.out
    assert "account bruno@acme.test still has sendAs as one of group team@acme.test, which the share did not give" in ended.out
    assert await granted(office, "anna@acme.test") == before
    assert (await office.command("share list")).out == "nothing is shared by presets\n"


async def test_what_was_changed_by_hand_is_not_the_shares_any_more(office: Office) -> None:
    await office.done(*PEOPLE)
    assert (await office.command(SUPPORT)).status == 0
    await office.done("sm support@acme.test mfg / group team@acme.test r")
    assert "rwixda" not in (await office.command("share show 1")).out
    ended = (await office.command("share end 1")).out
    assert "taken away: group team@acme.test: sendAs" in ended
    assert "group team@acme.test still has r on /, which the share did not give" in ended
    assert "support@acme.test stays" in ended
    assert await granted(office, "support@acme.test") == ({"/": ["team@acme.test r"]}, [])


async def test_replace_makes_what_was_there_part_of_the_share(office: Office) -> None:
    await office.done(*PEOPLE, "sm anna@acme.test mfg / account bruno@acme.test r")
    line = "share create anna@acme.test --members bruno@acme.test --preset read/write"
    told = await office.command(line)
    assert (told.status, "account bruno@acme.test has r on / already" in told.err) == (1, True)
    assert (await office.command(f"{line} --replace")).status == 0
    assert (await office.command("share end 1")).status == 0
    assert await granted(office, "anna@acme.test") == ({}, [])


async def test_what_is_over_is_in_nobodys_way(office: Office) -> None:
    await office.done(*PEOPLE, "sm anna@acme.test mfg / account bruno@acme.test r --until +1h")
    office.clock.turn(3601)
    assert (await office.command("share create anna@acme.test --members bruno@acme.test --preset read")).status == 0


async def test_less_than_what_is_inherited_is_said(office: Office) -> None:
    await office.done(*PEOPLE, "sm anna@acme.test mfg / account bruno@acme.test rwid")
    told = await office.command("share create anna@acme.test --members bruno@acme.test --preset read --folders INBOX --dry-run")
    assert "that is less than the rwid that account bruno@acme.test has on /INBOX now, from /" in told.out


async def test_the_mailbox_goes_only_when_it_came_with_the_share_and_is_shared_no_more(office: Office) -> None:
    await office.done(*PEOPLE)
    assert (await office.command(SUPPORT)).status == 0
    assert (await office.command("share create support@acme.test --members anna@acme.test --preset read")).status == 0
    assert (await office.command("share create anna@acme.test --members bruno@acme.test --preset read")).status == 0
    several = await office.command("share end support@acme.test")
    assert (several.status, "2 shares: say which, by number: 1, 2" in several.err) == (1, True)
    told = await office.command("share end 1 --delete-mailbox")
    assert (told.status, "is shared otherwise too: share 2" in told.err) == (1, True)
    told = await office.command("share end 3 --delete-mailbox")
    assert (told.status, "anna@acme.test was there before the share and stays" in told.err) == (1, True)
    assert (await office.command("share end 2")).status == 0
    assert "would be deleted" in (await office.command("share end 1 --delete-mailbox --dry-run")).out
    assert "support@acme.test is deleted" in (await office.command("share end 1 --delete-mailbox")).out
    assert (await office.prov("ga support@acme.test")).status == 1


async def test_deleting_the_account_or_a_member_leaves_no_orphans(office: Office) -> None:
    await office.done(*PEOPLE)
    assert (await office.command("share create anna@acme.test --members bruno@acme.test,carla@acme.test --preset manage")).status == 0
    await office.done("da bruno@acme.test")
    shown = (await office.command("share show anna@acme.test")).out
    assert "bruno" not in shown
    assert "#" not in shown
    assert "member: account carla@acme.test" in shown
    await office.done("da anna@acme.test")
    assert (await office.command("share list")).out == "nothing is shared by presets\n"

    async def left(snapshot: Snapshot) -> int:
        return len(await snapshot.work(accounts.of_domain, None, None, 10))

    async with office.store.snapshot() as snapshot:
        assert await left(snapshot) == 1


REFUSED = {
    "share create team@acme.test --members bruno@acme.test --preset read": "team@acme.test is a distribution list and has no mailbox",
    "share create new@acme.test --members bruno@acme.test --preset all": "no preset all: one of read, read/write,",
    "share create new@acme.test --members ghost@acme.test --preset read": "account.NO_SUCH_ACCOUNT",
    "share create new@acme.test --members bruno@acme.test,cos:ghost --preset read": "account.NO_SUCH_COS",
    "share create new@acme.test --members bruno@acme.test,domain:ghost.test --preset read": "account.NO_SUCH_DOMAIN",
    "share create new@acme.test --members new@acme.test --preset read": "new@acme.test would be shared with itself",
    "share create anna@acme.test --members bruno@acme.test,anna@acme.test --preset read": "would be shared with itself",
    "share create new@ghost.test --members bruno@acme.test --preset read": "account.NO_SUCH_DOMAIN",
    "share create new --members bruno@acme.test --preset read": "must be a valid email address",
    "share create new@acme.test --members bruno@acme.test --preset read --from +2d --until +1d": "would end before it starts",
    "share create new@acme.test --members bruno@acme.test --preset read --until 2026-01-01": "the share would be over already",
    "share create new@acme.test --members bruno@acme.test --preset read --until +1d --review +2d": "ended before it is reviewed",
    "share create new@acme.test --members bruno@acme.test --preset read --until soon": "no time: soon",
    "share create anna@acme.test --members bruno@acme.test --preset read --folders INBOX,/Nope": "no such folder path: /Nope",
    "share create new@acme.test --members bruno@acme.test --preset read --folders /Nope": "no such folder path: /Nope",
    "share create anna@acme.test --members bruno@acme.test --preset send --folders INBOX": "the preset send shares no folders",
    "share create anna@acme.test --members bruno@acme.test --preset read --on-behalf": "the preset read says by itself",
    "share create anna@acme.test --members bruno@acme.test --preset read-only": "read-only needs the folders of anna@acme.test",
    "share create anna@acme.test --members bruno@acme.test --preset send --sent both": "anna@acme.test exists: modifyAccount",
    "share create closed@acme.test --members bruno@acme.test --preset read": "closed@acme.test is closed: nobody could open it",
    "share create anna@acme.test --members bruno@acme.test,closed@acme.test --preset read": "closed@acme.test is closed: nobody can use",
    "share create anna@acme.test --members carla@acme.test --preset read/write": "account carla@acme.test has r on / already",
    "share create anna@acme.test --members bruno@acme.test,carla@acme.test --preset manage": "account carla@acme.test has -sendAs already",
    "share show 7": "account.NO_SUCH_SHARE (no such share: 7)",
    "share end anna@acme.test": "account.NO_SUCH_SHARE (no such share: anna@acme.test)",
    "share end ghost@acme.test": "account.NO_SUCH_ACCOUNT",
}


async def test_bad_orders_are_refused_whole(office: Office) -> None:
    await office.done(
        *PEOPLE,
        "ca closed@acme.test '' status closed",
        "sm anna@acme.test mfg / account carla@acme.test r",
        "grr account anna@acme.test usr carla@acme.test -sendAs",
    )
    before = await state(office)
    for line, words in REFUSED.items():
        told = await office.command(line)
        assert (told.status, told.out) == (1, ""), line
        assert words in told.err, line
        if "share create" in line:
            assert (await office.command(f"{line} --dry-run")).err == told.err
    assert await state(office) == before


@pytest.mark.parametrize(
    "line",
    [
        "share",
        "share make x@acme.test",
        "share create",
        "share create new@acme.test",
        "share create new@acme.test --preset read",
        "share create new@acme.test --members",
        "share create new@acme.test other@acme.test --members bruno@acme.test --preset read",
        "share create new@acme.test --members bruno@acme.test --preset read --sent everywhere",
        "share create new@acme.test --members bruno@acme.test --preset read --colour red",
        "share end",
        "share show",
        "share list --owner",
    ],
)
async def test_misuse_shows_the_usage(office: Office, line: str) -> None:
    told = await office.command(line)
    assert (told.status, "usage: share create ADDRESS" in told.err) == (2, True)


async def test_presets_are_told(office: Office) -> None:
    told = await office.command("share presets")
    assert "  manage          Send, Read and Manage Mails: rwidxa, sendAs\n" in told.out
    assert [one["name"] for one in json.loads((await office.command("share presets", as_json=True)).out)][:3] == [
        "read",
        "read/write",
        "send",
    ]
