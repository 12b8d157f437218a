"""share modify: what it says before it does it, what it gives and takes, what somebody changed by hand, and who may."""

import json

import pytest

from gateway.directory.share_changes import ShareChange
from gateway.directory.shares import MOST_MEMBERS
from policy.grants import FolderEntry
from policy.rights import parse_letters
from store import folders
from store.errors import Conflict
from store.grants import SetFolderEntry
from tests.gateway.administration import Office
from tests.gateway.prov.test_role_verbs import acme as acme
from tests.gateway.prov.test_share_roles import MAY, MAY_NOT, refused, typed
from tests.gateway.prov.test_share_verbs import PEOPLE, SUPPORT, granted

MORE = ("ca dario@acme.test ''", "cdl board@acme.test", "adlm board@acme.test dario@acme.test")


@pytest.fixture
async def shared(office: Office) -> Office:
    """Share 1: support@acme.test, made for team@acme.test with `manage`."""
    await office.done(*PEOPLE, *MORE)
    assert (await office.command(f"{SUPPORT} --until 2027-01-31T00:00:00Z")).status == 0
    return office


async def done(office: Office, line: str) -> str:
    """What it says, which its dry run said as well without changing anything."""
    before = (await everything(office), await granted(office, "support@acme.test"))
    dry = await office.command(f"share modify {line} --dry-run")
    assert (await everything(office), await granted(office, "support@acme.test")) == before
    told = await office.command(f"share modify {line}")
    assert told.status == 0, told.err
    assert dry.out == f"{told.out}nothing was changed yet\n"
    return told.out


async def everything(office: Office) -> list[str]:
    return [(await office.command(line)).out for line in ("share list", "share show 1", "audit list --limit 1")]


async def test_members_come_and_go(shared: Office) -> None:
    told = await done(shared, "1 --add dario@acme.test --add board@acme.test")
    for words in (
        "share 1 of support@acme.test: Send, Read and Manage Mails (manage)",
        "account dario@acme.test may from now on, in every folder: see and read, mark as read and flag,",
        "account dario@acme.test may from now on send as support@acme.test",
        "group board@acme.test (1 account now) may from now on, in every folder",
        "in the Sent of support@acme.test (delegatedSent owner)",
    ):
        assert words in told
    assert "team@acme.test" not in told
    assert (await granted(shared, "support@acme.test"))[1] == [
        "dario@acme.test sendAs",
        "team@acme.test sendAs",
        "board@acme.test sendAs",
    ]
    recorded = (await shared.command("audit list --limit 1")).out
    assert "share modified: operator on support@acme.test; rwidxa; share 1; manage; sendAs; with account dario@acme.test" in recorded
    told = await done(shared, "support@acme.test --remove dario@acme.test,team@acme.test")
    assert "taken away from account dario@acme.test: rwixda on /" in told
    assert "taken away from group team@acme.test: sendAs" in told
    assert "account dario@acme.test still has rwixda on / as one of group board@acme.test, which the share did not give" in told
    assert await granted(shared, "support@acme.test") == ({"/": ["board@acme.test rwixda"]}, ["board@acme.test sendAs"])
    shown = (await shared.command("share show 1")).out
    assert "member: group board@acme.test\ncreated" in shown
    assert "until: 2027-01-31T" in shown
    assert (await shared.command("share end 1")).status == 0
    assert await granted(shared, "support@acme.test") == ({}, [])


PRESETS = {
    "--preset read": ({"/": ["team@acme.test r"]}, []),
    "--preset send": ({}, ["team@acme.test sendAs"]),
    "--preset send-and-read --on-behalf": ({"/": ["team@acme.test r"]}, ["team@acme.test sendOnBehalfOf"]),
    "--on-behalf": ({"/": ["team@acme.test rwixda"]}, ["team@acme.test sendOnBehalfOf"]),
    "--folders INBOX,/Sent": ({"/INBOX": ["team@acme.test rwixda"], "/Sent": ["team@acme.test rwixda"]}, ["team@acme.test sendAs"]),
    "--preset read-only --folder /Archive": ({"/Archive": ["team@acme.test r"]}, []),
}


@pytest.mark.parametrize("change", PRESETS)
async def test_another_preset_gives_what_it_is_and_the_end_leaves_nothing(shared: Office, change: str) -> None:
    told = await done(shared, f"1 {change}")
    assert await granted(shared, "support@acme.test") == PRESETS[change]
    assert ("until now manage" in told) is ("--preset" in change)
    assert (await done(shared, f"1 {change}")).endswith("nothing is otherwise than it was\n")
    assert (await shared.command("audit list --limit 2")).out.count("share modified") == 1
    # And back again, whatever it was.
    await done(shared, "1 --preset manage --folders /")
    assert await granted(shared, "support@acme.test") == ({"/": ["team@acme.test rwixda"]}, ["team@acme.test sendAs"])
    assert (await shared.command("share end 1")).status == 0
    assert await granted(shared, "support@acme.test") == ({}, [])


async def test_less_is_said_to_be_less(shared: Office) -> None:
    told = await done(shared, "1 --preset read")
    assert "group team@acme.test (2 accounts now) may from now on, in every folder: see and read (r); rwixda until now" in told
    assert "taken away from group team@acme.test: sendAs" in told


async def test_times_and_notes_are_those_of_every_grant(shared: Office) -> None:
    told = await done(shared, "1 --until 2027-03-01T00:00:00Z --review +10d --note 'see the board'")
    assert "until 2027-03-01T" in told
    assert "until now until 2027-01-31T" in told
    assert "note: see the board" in told
    data = json.loads((await shared.command("share show 1", as_json=True)).out)
    assert (data["until"], data["note"], data["preset"]) == ("2027-03-01T00:00:00Z", "see the board", "manage")
    assert [one["until"] for one in (*data["folders"], *data["rights"])] == ["2027-03-01T00:00:00Z"] * 2
    listed = json.loads((await shared.command("grants list --owner support@acme.test", as_json=True)).out)
    assert {(one["note"], one["review"], one["share"]) for one in listed} == {("see the board", data["review"], 1)}
    told = await done(shared, "1 --until none --review none --note ''")
    assert "without an end; until now until 2027-03-01T" in told
    data = json.loads((await shared.command("share show 1", as_json=True)).out)
    assert (data["until"], data["review"], data["note"]) == (None, None, "")
    assert [one["until"] for one in (*data["folders"], *data["rights"])] == [None, None]


async def test_one_that_is_over_gets_another_end(shared: Office) -> None:
    shared.clock.turn(30 * 86400)
    told = await shared.command("share modify 1 --add dario@acme.test")
    assert (told.status, "share 1 is over: --until gives it another end" in told.err) == (1, True)
    await done(shared, "1 --note later")
    await done(shared, "1 --add dario@acme.test --until +7d")
    data = json.loads((await shared.command("share show 1", as_json=True)).out)
    assert [one["inForce"] for one in (*data["folders"], *data["rights"])] == [True] * 4


async def test_what_was_changed_by_hand_stays_until_it_is_given_again(shared: Office) -> None:
    await done(shared, "1 --add dario@acme.test,carla@acme.test")
    await shared.done(
        "sm support@acme.test mfg / account dario@acme.test r",
        "sm support@acme.test mfg / account carla@acme.test none",
        "rvr account support@acme.test usr carla@acme.test sendAs",
    )
    told = await done(shared, "1 --until none")
    assert "account dario@acme.test has r on /: that was changed by hand and stays" in told
    assert "account carla@acme.test has no sendAs: that was changed by hand and stays" in told
    entries, rights = await granted(shared, "support@acme.test")
    assert "dario@acme.test r" in entries["/"]
    assert "carla@acme.test sendAs" not in rights
    told_again = await shared.command("share modify 1 --add dario@acme.test")
    assert (told_again.status, "account dario@acme.test has r on / already" in told_again.err) == (1, True)
    told_again = await shared.command("share modify 1 --preset read/write")
    assert (told_again.status, "account dario@acme.test has r on / already" in told_again.err) == (1, True)
    await done(shared, "1 --add dario@acme.test,carla@acme.test --replace")
    entries, rights = await granted(shared, "support@acme.test")
    assert sorted(entries["/"]) == ["carla@acme.test rwixda", "dario@acme.test rwixda", "team@acme.test rwixda"]
    assert sorted(rights) == ["carla@acme.test sendAs", "dario@acme.test sendAs", "team@acme.test sendAs"]


async def test_a_member_that_goes_keeps_what_was_granted_by_hand(shared: Office) -> None:
    await done(shared, "1 --add dario@acme.test")
    await shared.done("sm support@acme.test mfg / account dario@acme.test r")
    told = await done(shared, "1 --remove dario@acme.test")
    assert "account dario@acme.test still has r on /, which the share did not give" in told
    assert "taken away from account dario@acme.test: sendAs" in told


async def test_what_nobody_can_see_any_more_is_not_guessed(shared: Office) -> None:
    """On behalf or as itself, and which folders, stands in the grants only."""
    await done(shared, "1 --on-behalf")
    await shared.done("rvr account support@acme.test grp team@acme.test sendOnBehalfOf")
    told = await shared.command("share modify 1 --add dario@acme.test")
    assert (told.status, "nothing stands of share 1's right to send: say --preset" in told.err) == (1, True)
    await done(shared, "1 --add dario@acme.test --preset manage --on-behalf")
    assert "dario@acme.test sendOnBehalfOf" in (await granted(shared, "support@acme.test"))[1]
    await shared.done("sm support@acme.test mfg / group team@acme.test none", "sm support@acme.test mfg / account dario@acme.test none")
    told = await shared.command("share modify 1 --add carla@acme.test")
    assert (told.status, "nothing stands of what share 1 gave on folders: say which, with --folders" in told.err) == (1, True)


REFUSED = {
    "7 --note x": "account.NO_SUCH_SHARE (no such share: 7)",
    "anna@acme.test --note x": "account.NO_SUCH_SHARE",
    "1 --preset all": "no preset all: one of read, read/write,",
    "1 --preset read --on-behalf": "the preset read says by itself",
    "1 --preset read-only --folders /Nope": "no such folder path: /Nope",
    "1 --preset send --folders INBOX": "the preset send shares no folders",
    "1 --add ghost@acme.test": "account.NO_SUCH_ACCOUNT",
    "1 --add support@acme.test": "would be shared with itself",
    "1 --add closed@acme.test": "closed@acme.test is closed: nobody can use",
    "1 --add dario@acme.test --remove dario@acme.test": "account.NO_SUCH_MEMBER (no such member: dario@acme.test in share 1)",
    "1 --add team@acme.test --remove team@acme.test": "team@acme.test cannot be added and removed",
    "1 --remove anna@acme.test": "account.NO_SUCH_MEMBER",
    "1 --remove ghost@acme.test": "account.NO_SUCH_MEMBER",
    "1 --remove team@acme.test": "share 1 would have no members left: share end ends it",
    "1 --until 2026-01-01": "would be over already",
    "1 --from +20d": "the share would end before it starts",
    "1 --review +20d": "the share would have ended before it is reviewed",
    "1 --until soon": "no time: soon",
    "1 --add bruno@acme.test": "account bruno@acme.test has w on / already",
    "1 --add anna@acme.test": "account anna@acme.test has -sendAs already",
    "1 --add anna@acme.test,bruno@acme.test,dario@acme.test --remove team@acme.test --preset read --until none": "has w on / already",
}


async def test_what_cannot_be_changes_nothing(shared: Office) -> None:
    await shared.done(
        "ca closed@acme.test '' status closed",
        "sm support@acme.test mfg / account bruno@acme.test w",
        "grr account support@acme.test usr anna@acme.test -sendAs",
    )
    before = (await everything(shared), await granted(shared, "support@acme.test"))
    for line, words in REFUSED.items():
        for spelled in (line, f"{line} --dry-run"):
            told = await shared.command(f"share modify {spelled}")
            assert (told.status, told.out) == (1, ""), spelled
            assert words in told.err, f"{spelled}: {told.err}"
    assert (await everything(shared), await granted(shared, "support@acme.test")) == before


@pytest.mark.parametrize("line", ["", "1", "1 2 --note x", "--note x", "1 --note", "1 --members bruno@acme.test", "1 --replace"])
async def test_misuse_shows_the_usage(shared: Office, line: str) -> None:
    told = await shared.command(f"share modify {line}")
    assert (told.status, "modify SHARE [--add M" in told.err) == (2, True)


async def test_a_member_too_many(shared: Office) -> None:
    some = ",".join(f"p{number}@acme.test" for number in range(MOST_MEMBERS))
    await shared.done(*(f"ca p{number}@acme.test ''" for number in range(MOST_MEMBERS)))
    told = await shared.command(f"share modify 1 --add {some}")
    assert (told.status, f"a share has at most {MOST_MEMBERS} members" in told.err) == (1, True)


async def test_what_is_changed_meanwhile_makes_it_start_over(shared: Office) -> None:
    """Between what was shown and what is done somebody else grants something: nothing is done that was not said."""
    changes = shared.directory.share_changes
    plan = await changes.plan(ShareChange("1", preset="read"))
    assert plan.deed is not None
    async with shared.store.snapshot() as snapshot:
        root = await snapshot.ask(folders.by_path, plan.before.owner, "/")
    assert root is not None
    for entry in plan.deed.standing.entries:
        await shared.store.do(SetFolderEntry(root.id, FolderEntry(entry.entry.grantee, parse_letters("rw"))))
    with pytest.raises(Conflict):
        await shared.store.do(plan.deed)
    assert "team@acme.test rw" in (await granted(shared, "support@acme.test"))[0]["/"]
    assert "preset: manage" in (await shared.command("share show 1")).out


# --- as an administrator


@pytest.mark.parametrize("who", MAY)
async def test_who_manages_people_changes_their_shares(acme: Office, who: str) -> None:
    assert (await acme.command("share create owner@acme.test --members delegate@acme.test --preset read")).status == 0
    for line in ("--add team@acme.test --until +3d", "--remove delegate@acme.test", "--preset manage"):
        told = await typed(acme, who, f"share modify owner@acme.test {line}")
        assert told.status == 0, told.err
    assert await granted(acme, "owner@acme.test") == ({"/": ["team@acme.test rwixda"]}, ["team@acme.test sendAs"])
    assert f"share modified: {who}@acme.test on owner@acme.test" in (await acme.command("audit list --limit 1")).out


@pytest.mark.parametrize("who", MAY_NOT)
async def test_who_does_not_is_refused_and_told_nothing(acme: Office, who: str) -> None:
    assert (await acme.command("share create owner@acme.test --members delegate@acme.test --preset read")).status == 0
    before = await granted(acme, "owner@acme.test")
    for line in (
        "--add team@acme.test",
        "--remove delegate@acme.test",
        "--preset manage",
        "--until +3d",
        "--note x",
        "--add ghost@acme.test",
    ):
        for dry in ("", " --dry-run"):
            await refused(acme, who, f"share modify owner@acme.test {line}{dry}")
            await refused(acme, who, f"share modify 1 {line}{dry}")
    assert await granted(acme, "owner@acme.test") == before


@pytest.mark.parametrize(
    "line",
    [
        "1 --note x",
        "stranger@other.test --note x",
        "ghost@other.test --note x",
        "2 --add stranger@other.test",
        "2 --add strangers@other.test",
        "2 --add ghost@other.test",
        "2 --add all",
        "2 --preset manage",
        "2 --until +3d",
        "3 --note x",
    ],
)
async def test_nobody_leaves_the_domain_nor_reaches_up(acme: Office, line: str) -> None:
    """2 has a member that uma could not give anything, and what it has is not made more or longer by her."""
    for order in (
        "share create stranger@other.test --members strangers@other.test --preset read",
        "share create owner@acme.test --members delegate@acme.test,stranger@other.test --preset read",
        "share create gloria@acme.test --members owner@acme.test --preset read",
    ):
        assert (await acme.command(order)).status == 0
    await refused(acme, "uma", f"share modify {line}")


async def test_a_member_from_elsewhere_may_be_taken_out(acme: Office) -> None:
    order = "share create owner@acme.test --members delegate@acme.test,stranger@other.test --preset read"
    assert (await acme.command(order)).status == 0
    told = await typed(acme, "uma", "share modify 1 --remove stranger@other.test")
    assert told.status == 0, told.err
    assert await granted(acme, "owner@acme.test") == ({"/": ["delegate@acme.test r"]}, [])
