"""Who uses a grant has it noted, at every door."""

from pathlib import Path

from gateway.folders import NewItem, Place, Visit
from gateway.grant_use import stood_on
from policy.decision import Decision, step
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, SendRight
from policy.reasons import Reason, Refuse
from policy.rights import Right
from store import folders, tenure
from store.grants import SetFolderEntry
from store.tenure import Used
from tests.gateway.house import House, letter, opened

ANNA = Grantee(GranteeKind.ACCOUNT, 7)
READ = Right.LOOKUP | Right.READ


def test_only_what_decided_and_allowed_counts() -> None:
    steps = (
        step("a", decided=True, grantee=ANNA, folder="/INBOX", right="r"),
        step("b", decided=False, grantee=ANNA, folder="/", right="r"),
        step("c", decided=True, grantee=ANNA, right="sendAs"),
        step("d", decided=True),
    )
    assert stood_on(Decision(None, steps), 3) == (Used(3, ANNA, "/INBOX"), Used(3, ANNA, right=SendRight.SEND_AS))
    assert stood_on(Decision(Refuse(Reason.RIGHT_MISSING), steps), 3) == ()


async def used(house: House, name: str) -> dict[str, int | None]:
    row = house.actor(name).account
    found = await house.ask(tenure.on, row, 50)
    return {f"{one.path or getattr(one.granted, 'right', '')}": one.used for one in found}


async def test_folders_read_and_written_and_mail_that_is_sent(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno", "carla") as house:
        team = Grantee(GranteeKind.GROUP, await house.group("team", "bruno"))
        root = await house.ask(folders.by_path, house.actor("anna").account, "/")
        assert root is not None
        await house.store.do(SetFolderEntry(root.id, FolderEntry(team, READ)))
        await house.share("anna", "/Sent", "bruno", READ | Right.INSERT)
        await house.grant("anna", "bruno", SendRight.SEND_AS)
        assert await used(house, "anna") == {"/": None, "/Sent": None, "sendAs": None}
        visit = Visit(house.actor("bruno"), "imap", "192.0.2.1")
        inbox = await house.folders.open(visit, Place("anna@acme.test", "/INBOX"))
        await inbox.news(None)
        await house.folders.close()  # waits for what nobody waited for
        assert await used(house, "anna") == {"/": house.clock.at, "/Sent": None, "sendAs": None}
        for seconds in (1800, 1801):
            house.clock.turn(seconds)
            await inbox.news(None)
        await house.folders.close()
        assert (await used(house, "anna"))["/"] == house.clock.at, "a session that stays open is in use too"
        await house.folders.append(visit, Place("anna@acme.test", "/Sent"), [NewItem(letter())])
        await house.submit("bruno", "bruno@acme.test", ["carla@acme.test"], letter("anna@acme.test", "carla@acme.test"))
        assert set((await used(house, "anna")).values()) == {house.clock.at}


async def test_posting_to_a_list(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        group = await house.group("news", "anna")
        await house.grant("news", "bruno", SendRight.SEND_TO_LIST)
        await house.submit("bruno", "bruno@acme.test", ["news@acme.test"], letter("bruno@acme.test", "news@acme.test"))
        assert [one.used for one in await house.ask(tenure.on, group, 5)] == [house.clock.at]
