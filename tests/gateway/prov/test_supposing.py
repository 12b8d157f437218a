"""What would be: at another time, and after changes that nobody makes."""

import asyncio
from pathlib import Path

import pytest

from gateway.prov.run import Request
from gateway.prov.supposing import PREFIX, sweep
from gateway.seals import spell_head
from store.port import Event
from tests.gateway.administration import Office

PEOPLE = ("cd acme.test", "ca owner@acme.test 'the owner 9'", "ca delegate@acme.test ''", "cdl team@acme.test")
CAN = ("delegate@acme.test", "send-as", "owner@acme.test")


async def test_a_time_counts_for_grants_that_start_and_end(office: Office) -> None:
    await office.done(*PEOPLE, "grr account owner@acme.test usr delegate@acme.test sendAs --from +1h --until +2h")
    for when, status in (("+30m", 1), ("+60m", 0), ("+119m", 0), ("+120m", 1)):
        assert (await office.ask(Request("can", (*CAN, "--at", when)))).status == status, when
        found = await office.ask(Request("who-can", ("send-as", "owner@acme.test", f"--at={when}")))
        assert ("delegate@acme.test" in found.out) == (status == 0)
        found = await office.ask(Request("can", ("delegate@acme.test", "--at", when)))
        assert ("sendAs on owner@acme.test" in found.out) == (status == 0)
    assert (await office.ask(Request("can", (*CAN, "--at", "soon")))).err.startswith(
        "ERROR: service.INVALID_REQUEST (invalid request: no time: soon"
    )


async def test_changes_are_tried_and_nothing_is_changed_nor_anybody_woken(office: Office, tmp_path: Path) -> None:
    await office.done(*PEOPLE)
    head = await office.directory.trail.seal()
    woken: list[Event] = []
    unwatch = office.store.watch(woken.extend)
    changes = (
        "# what if the team could\n"
        "addDistributionListMember team@acme.test delegate@acme.test\n"
        "grr account owner@acme.test grp team@acme.test sendAs --from +1h\n"
        "sm owner@acme.test mfg /INBOX account delegate@acme.test rw\n"
    )
    assert (await office.ask(Request("can", (*CAN, "--with", changes)))).status == 1
    found = await office.ask(Request("can", (*CAN, "--with", changes, "--at", "+2h")))
    assert (found.status, found.out) == (0, "ALLOWED\nVia:\n  * group team@acme.test: sendAs\n")
    found = await office.ask(Request("who-can", ("write", "owner@acme.test", "--with", changes)))
    assert found.out.splitlines()[0] == "delegate@acme.test; via account delegate@acme.test on /INBOX: rw"
    found = await office.ask(
        Request("can", (*CAN, "--with", "grr account owner@acme.test usr delegate@acme.test sendAs\nma delegate@acme.test status locked\n"))
    )
    assert "is locked and cannot log in" in found.out
    assert (await office.ask(Request("can", CAN))).status == 1
    unwatch()
    assert woken == []
    after = await office.directory.trail.seal()
    assert head is not None
    assert after is not None
    assert spell_head(after) == spell_head(head)
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("grr account ghost@acme.test usr delegate@acme.test sendAs", "line 1: account.NO_SUCH_ACCOUNT"),
        ("\ngrr account owner@acme.test usr", "line 2: "),
        ("flyToTheMoon x", "line 1: "),
        ("da owner@acme.test", "line 1: deleteAccount cannot be tried"),
        ("grr 'x", "line 1: "),
        ("#\n" * 10_001, "at most 10000 lines"),
    ],
)
async def test_a_line_that_cannot_be_is_named_and_nothing_explained(office: Office, tmp_path: Path, changes: str, words: str) -> None:
    await office.done(*PEOPLE)
    found = await office.ask(Request("can", (*CAN, "--with", changes)))
    assert (found.status, found.out) == (1, "")
    assert found.err.startswith(f"ERROR: service.INVALID_REQUEST (invalid request: {words}"), found.err
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


async def test_the_copy_holds_no_secret(office: Office, tmp_path: Path) -> None:
    await office.done(*PEOPLE)
    assert office.desk.scratch is not None
    async with office.desk.scratch():
        (copied,) = tmp_path.glob(f"{PREFIX}*")
        assert copied.stat().st_mode & 0o077 == 0
        octets = b"".join(path.read_bytes() for path in copied.iterdir() if path.is_file())
        assert b"owner" in octets
        assert b"argon2" not in octets


async def test_several_at_once_wait_for_each_other(office: Office) -> None:
    await office.done(*PEOPLE)
    asked = [office.ask(Request("can", (*CAN, "--with", "grr account owner@acme.test usr delegate@acme.test sendAs"))) for _ in range(4)]
    assert [one.status for one in await asyncio.gather(*asked)] == [0, 0, 0, 0]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}abc"
    left.mkdir()
    (left / "supposed.db").write_bytes(b"x")
    (tmp_path / "procura.db").write_bytes(b"y")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["procura.db"]
