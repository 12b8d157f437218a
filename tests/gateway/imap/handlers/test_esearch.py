"""ESEARCH: which mailboxes are searched, what is said of each, and whose may be searched at all (RFC 7377)."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

import gateway.imap.handlers.esearch as handler
from policy.grants import Grantee, GranteeKind
from policy.status import AccountStatus
from store import audit, domains, folders, subscriptions
from store.audit import AuditEntry
from tests.gateway.imap.handlers.house import Client, House, Said

TREE = ("/Work", "/Work/Deep", "/Work/Deep/Deeper", "/Workshop", "/Other")


@pytest.fixture
async def tree(house: House, anna: Client) -> Client:
    """One message in each folder, two in INBOX."""
    for path in TREE:
        await house.make("anna", path)
        await house.put("anna", path, 1)
    await house.put("anna", "/INBOX", 2)
    return anna


def found(said: Said) -> dict[str, str]:
    """Mailbox → the data behind UID."""
    assert said.ok, said
    answers = {}
    for line in said.having("ESEARCH"):
        match = re.fullmatch(rb'\* ESEARCH \(TAG "t\d+" MAILBOX "([^"]*)" UIDVALIDITY [1-9]\d*\) UID (.*)', line)
        assert match is not None, line
        assert match[1].decode() not in answers, "one response for each mailbox"
        answers[match[1].decode()] = match[2].decode()
    return answers


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ("inboxes", ["INBOX"]),
        ("personal", ["INBOX", "Other", "Work", "Work/Deep", "Work/Deep/Deeper", "Workshop"]),
        ("mailboxes Work", ["Work"]),
        ("mailboxes (Other inbox Work)", ["Other", "INBOX", "Work"]),
        ("subtree Work", ["Work", "Work/Deep", "Work/Deep/Deeper"]),
        ("subtree-one Work", ["Work", "Work/Deep"]),
        ("subtree (Work/Deep Other)", ["Work/Deep", "Work/Deep/Deeper", "Other"]),
        ("SUBTREE Work Mailboxes Work/Deep INBOXES", ["Work", "Work/Deep", "Work/Deep/Deeper", "INBOX"]),
        ('mailboxes (Nothing "Work*" Other)', ["Other"]),
        ('mailboxes ("a//b" "" "Other Users" Other)', ["Other"]),
        ('subtree ("" "Other Users" "Other Users/nobody" "Other Users/anna")', []),
        ("mailboxes Wor subtree Wo", []),
        ("subscribed", ["INBOX"]),
    ],
)
async def test_sources(tree: Client, sources: str, names: list[str]) -> None:
    """Each mailbox once, in the client's order, though it may be meant twice."""
    answers = found(await tree.do(f"ESEARCH IN ({sources}) RETURN (COUNT) ALL"))
    assert list(answers) == names
    assert all(data == f"COUNT {2 if name == 'INBOX' else 1}" for name, data in answers.items())


async def test_subscriptions_count_whoever_owns_the_folder(house: House, tree: Client, bruno: Client) -> None:
    await house.share("anna", "/Work", "bruno", "r")
    # What is shared is subscribed by itself, unless its owner or the actor says otherwise (delegation.md section 2).
    await bruno.do('UNSUBSCRIBE "Other Users/anna/Work/Deep/Deeper"')
    assert list(found(await bruno.do("ESEARCH IN (subscribed) ALL"))) == ["Other Users/anna/Work", "Other Users/anna/Work/Deep"]
    await house.store.do(folders.SwitchFolder(await house.folder("anna", "/Work"), subscribe_auto=False))
    assert list(found(await bruno.do("ESEARCH IN (subscribed) ALL"))) == ["Other Users/anna/Work/Deep"]
    await house.store.do(subscriptions.Subscribe(house.ids["anna"], house.ids["anna"], "/Gone"))
    await tree.do("SUBSCRIBE Other")
    assert list(found(await tree.do("ESEARCH IN (subscribed) ALL"))) == ["INBOX", "Other"]


async def test_options_and_criteria_count_for_each_mailbox(house: House, tree: Client) -> None:
    await house.put("anna", "/Other", 4, first=2)
    await tree.do("SELECT Other")
    await tree.do("STORE 2,5 +FLAGS (\\Seen $Work)")
    for select in ("SELECT Other", "UNSELECT", "SELECT INBOX"):
        await tree.do(select)
        both = "ESEARCH IN (mailboxes (INBOX Other))"
        assert found(await tree.do(f"{both} UNSEEN")) == {"INBOX": "ALL 1:2", "Other": "ALL 1,3:4"}, select
        assert found(await tree.do(f"{both} RETURN () UNSEEN")) == {"INBOX": "ALL 1:2", "Other": "ALL 1,3:4"}
        assert found(await tree.do(f"{both} RETURN (MIN MAX COUNT) SEEN")) == {"Other": "MIN 2 MAX 5 COUNT 2"}
        assert found(await tree.do(f"{both} RETURN (PARTIAL -1:-2) ALL")) == {
            "INBOX": "PARTIAL (-1:-2 1:2)",
            "Other": "PARTIAL (-1:-2 4:5)",
        }
        assert found(await tree.do(f"{both} RETURN (PARTIAL 3:9 COUNT) ALL")) == {
            "INBOX": "COUNT 2 PARTIAL (3:9 NIL)",
            "Other": "COUNT 5 PARTIAL (3:9 3:5)",
        }
        # Message numbers are places in each mailbox; a range may be beyond its end (section 2).
        assert found(await tree.do(f"{both} 2:3")) == {"INBOX": "ALL 2", "Other": "ALL 2:3"}
        assert found(await tree.do(f"{both} 4:100")) == {"Other": "ALL 4:5"}
        assert found(await tree.do(f"{both} UID *")) == {"INBOX": "ALL 2", "Other": "ALL 5"}
        assert found(await tree.do(f"{both} UID 2,9 NOT 9")) == {"INBOX": "ALL 2", "Other": "ALL 2"}
        assert found(await tree.do(f"{both} KEYWORD $work")) == {"Other": "ALL 2,5"}
        assert found(await tree.do(f'{both} CHARSET UTF-8 OR SUBJECT "4" BODY "hello 1"')) == {"INBOX": "ALL 1", "Other": "ALL 1,4"}
        assert found(await tree.do(f"{both} RETURN (CONTEXT COUNT) SUBJECT nowhere")) == {}
    assert (await tree.do("ESEARCH IN (personal) CHARSET X-KLINGON SUBJECT x")).tagged.startswith(b"NO [BADCHARSET (")
    assert (await tree.do("ESEARCH IN (inboxes) OLD")).untagged == []
    assert found(await tree.do("ESEARCH IN (mailboxes Work) RECENT")) == {"Work": "ALL 1"}


async def test_mod_sequences_are_those_of_each_mailbox(tree: Client) -> None:
    await tree.do("SELECT Other")
    await tree.do("STORE 1 +FLAGS (\\Seen)")
    said = await tree.do("ESEARCH IN (mailboxes (Work Other)) RETURN (COUNT) MODSEQ 1")
    assert said.untagged[0].startswith(b"* OK [HIGHESTMODSEQ")
    answers = found(said)
    assert re.fullmatch(r"COUNT 1 MODSEQ \d+", answers["Work"])
    assert answers["Other"] > answers["Work"]


async def test_the_selected_mailbox(house: House, tree: Client) -> None:
    for command in (
        "ESEARCH ALL",
        "ESEARCH IN (selected) ALL",
        "ESEARCH IN (personal selected) ALL",
        "ESEARCH IN (personal) RETURN (UPDATE) ALL",
    ):
        assert (await tree.do(command)).tagged.startswith(b"BAD"), command
    await tree.do("SELECT Work/Deep")
    for command in ("ESEARCH ALL", "ESEARCH IN (selected) ALL", "ESEARCH IN (selected selected) RETURN () ALL"):
        assert found(await tree.do(command)) == {"Work/Deep": "ALL 1"}, command
    assert (await tree.do("ESEARCH RETURN (COUNT) DELETED")).untagged == []
    assert list(found(await tree.do("ESEARCH IN (mailboxes Other selected inboxes) ALL"))) == ["Other", "Work/Deep", "INBOX"]
    # What the client was not told of yet is not among it, as with UID SEARCH.
    await house.put("anna", "/Work/Deep", 1, first=2)
    said = await tree.do("ESEARCH IN (subtree-one Work) ALL")
    assert found(said) == {"Work": "ALL 1", "Work/Deep": "ALL 1"}
    assert said.having("EXISTS") == [b"* 2 EXISTS"]
    assert found(await tree.do("ESEARCH ALL")) == {"Work/Deep": "ALL 1:2"}


async def test_saving_is_for_the_selected_mailbox_alone(tree: Client) -> None:
    await tree.do("SELECT INBOX")
    assert (await tree.do("ESEARCH IN (selected) RETURN (SAVE) 2")).untagged == []
    assert (await tree.do("UID FETCH $ (UID)")).untagged == [b"* 2 FETCH (UID 2)"]
    for sources in ("personal", "selected personal", "inboxes", "mailboxes INBOX", "subtree INBOX"):
        assert (await tree.do(f"ESEARCH IN ({sources}) RETURN (SAVE) ALL")).tagged.startswith(b"BAD"), sources
    assert (await tree.do("UID FETCH $ (UID)")).untagged == [b"* 2 FETCH (UID 2)"]
    assert found(await tree.do("ESEARCH IN (mailboxes (INBOX Other)) $")) == {"INBOX": "ALL 2"}
    await tree.do("UNSELECT")
    assert (await tree.do("ESEARCH IN (personal) RETURN (SAVE) ALL")).tagged.startswith(b"BAD")


async def test_updates_are_for_the_selected_mailbox_alone(house: House, tree: Client) -> None:
    await tree.do("SELECT INBOX")
    said = await tree.do("ESEARCH IN (mailboxes (Other INBOX)) RETURN (UPDATE COUNT) UNSEEN")
    assert found(said) == {"Other": "COUNT 1", "INBOX": "COUNT 2"}
    await house.put("anna", "/Other", 1)
    (told,) = (await tree.do("STORE 1 +FLAGS (\\Seen)")).having("ESEARCH")
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t3" MAILBOX "INBOX" UIDVALIDITY \d+\) UID REMOVEFROM \(0 1\)', told)
    assert (await tree.do("ESEARCH IN (mailboxes Other) RETURN (UPDATE) UNSEEN")).having("NO") == [
        b'* NO [NOUPDATE "t5"] only the selected mailbox can be followed'
    ]
    tree.send(b"t3 ESEARCH RETURN (UPDATE) ALL\r\n")
    assert (await tree.until("t3")).tagged.startswith(b"BAD")
    assert (await tree.do('CANCELUPDATE "t3"')).ok
    assert not (await tree.do("STORE 2 +FLAGS (\\Seen)")).having("ESEARCH")


async def test_what_is_selected_stays_selected_as_it_is(tree: Client) -> None:
    await tree.do("SELECT Work")
    await tree.do("ESEARCH IN (personal) RECENT")
    assert found(await tree.do("ESEARCH ALL")) == {"Work": "ALL 1"}
    # Nobody was told of these messages: they are recent for who selects their folder first.
    assert (await tree.do("SELECT Other")).having("RECENT") == [b"* 1 RECENT"]


async def test_before_login_there_is_nothing_to_search(house: House, port: int) -> None:
    client = await house.client(port)
    assert (await client.do("ESEARCH IN (personal) ALL")).tagged.startswith(b"BAD")


async def test_with_imap4rev2_names_are_utf_8(house: House, anna: Client) -> None:
    await house.make("anna", "/Büro/Ablage")
    await house.put("anna", "/Büro/Ablage", 2)
    (line,) = (await anna.do("ESEARCH IN (subtree B&APw-ro) RETURN (COUNT) ALL")).untagged
    assert b' MAILBOX "B&APw-ro/Ablage" ' in line
    await anna.do("ENABLE IMAP4rev2")
    for sources in ('subtree "Büro"', 'mailboxes "Büro/Ablage"', "personal"):
        (line,) = (await anna.do(f"ESEARCH IN ({sources}) RETURN (COUNT) ALL")).untagged
        assert ' MAILBOX "Büro/Ablage" '.encode() in line
    await anna.do('SELECT "Büro/Ablage"')
    assert (await anna.do("UID SEARCH UNSEEN")).untagged == [b'* ESEARCH (TAG "t8") UID ALL 1:2']
    await anna.do("SEARCH RETURN (UPDATE) UNSEEN")
    assert (await anna.do("STORE 1 +FLAGS.SILENT (\\Seen)")).having("ESEARCH") == [b'* ESEARCH (TAG "t9") REMOVEFROM (0 1)']


# --- rights


async def grantee(house: House, kind: str) -> Grantee:
    match kind:
        case "account":
            return Grantee(GranteeKind.ACCOUNT, house.ids["bruno"])
        case "group":
            return await house.group("staff", "bruno")
        case "all":
            return Grantee(GranteeKind.ALL, 0)
        case _:
            async with house.store.snapshot() as snapshot:
                domain = await snapshot.ask(domains.by_name, "acme.test")
            assert domain is not None
            return Grantee(GranteeKind.DOMAIN, domain.id)


@pytest.mark.parametrize("kind", ["account", "group", "domain", "all"])
async def test_grants_of_every_kind(house: House, tree: Client, bruno: Client, kind: str) -> None:
    await house.share("anna", "/Work/Deep", await grantee(house, kind), "r")
    seen = ["Other Users/anna/Work/Deep", "Other Users/anna/Work/Deep/Deeper"]
    everything = " ".join(f'"Other Users/anna{path}"' for path in ("/INBOX", *TREE))
    for sources in ('subtree "Other Users"', 'subtree "Other Users/anna"', 'subtree "Other Users/anna/Work"', f"mailboxes ({everything})"):
        assert list(found(await bruno.do(f"ESEARCH IN ({sources}) TEXT hello"))) == seen, sources
    assert list(found(await bruno.do('ESEARCH IN (subtree-one "Other Users/anna/Work") ALL'))) == seen[:1]
    assert list(found(await bruno.do("ESEARCH IN (subscribed) ALL"))) == seen
    assert found(await bruno.do("ESEARCH IN (personal inboxes) ALL")) == {}


@pytest.mark.parametrize(("rights", "is_found"), [("lr", True), ("l", False), ("r", False), ("lswikxtea", False), ("lrswikxtea", True)])
async def test_l_and_r_are_needed_and_who_lacks_one_is_told_nothing(
    house: House, tree: Client, bruno: Client, rights: str, is_found: bool
) -> None:
    await house.share("anna", "/Other", "bruno", rights, rfc=True)
    for sources in ('mailboxes "Other Users/anna/{}"', 'subtree "Other Users/anna/{}"', 'subtree-one "Other Users/anna/{}"'):
        said = await bruno.do(f"ESEARCH IN ({sources.format('Other')}) ALL")
        assert bool(found(said)) is is_found
        if not is_found:
            absent = await bruno.do(f"ESEARCH IN ({sources.format('Absnt')}) ALL")
            assert said.all == absent.all
    assert all(entry.allowed for entry in await recorded(house)), "nothing is refused, so no refusal is recorded"


async def test_names_are_given_back_as_they_were_written(house: House, tree: Client, bruno: Client) -> None:
    await house.share("anna", "/Work", "bruno", "r")
    for owner in ("anna", "anna@acme.test", "ANNA@acme.test"):
        top = f"Other Users/{owner}/Work"
        assert list(found(await bruno.do(f'ESEARCH IN (mailboxes "{top}/Deep") ALL'))) == [f"{top}/Deep"]
        assert list(found(await bruno.do(f'ESEARCH IN (subtree "{top}") ALL'))) == [top, f"{top}/Deep", f"{top}/Deep/Deeper"]
    await bruno.do('SELECT "Other Users/anna@acme.test/Work"')
    assert list(found(await bruno.do("ESEARCH ALL"))) == ["Other Users/anna/Work"]


@pytest.mark.parametrize("status", [AccountStatus.MAINTENANCE, AccountStatus.CLOSED])
async def test_an_owner_who_cannot_be_reached_is_passed_over(house: House, tree: Client, bruno: Client, status: AccountStatus) -> None:
    await house.share("anna", "/Work", "bruno", "r")
    await house.put("bruno", "/INBOX", 1)
    await house.status("anna", status)
    assert list(found(await bruno.do('ESEARCH IN (subtree "Other Users" personal mailboxes "Other Users/anna/Work") ALL'))) == ["INBOX"]


async def test_a_right_that_goes_while_the_search_runs(house: House, tree: Client, bruno: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/Other", "/Work"):
        await house.share("anna", path, "bruno", "r")
    find = house.folders.find

    async def found_then_taken(visit: object, where: object) -> object:
        folder = await find(visit, where)  # type: ignore[arg-type]
        if folder is not None and folder.row.path == "/Work":
            await house.unshare("anna", "/Work", "bruno")
        return folder

    monkeypatch.setattr(house.folders, "find", found_then_taken)
    assert list(found(await bruno.do('ESEARCH IN (subtree "Other Users/anna") ALL'))) == ["Other Users/anna/Other"]


async def test_own_seen_where_it_is_private(house: House, tree: Client, bruno: Client) -> None:
    await house.share("anna", "/Other", "bruno", "rw")
    await house.store.do(folders.SwitchFolder(await house.folder("anna", "/Other"), seen_private=True))
    await bruno.do('SELECT "Other Users/anna/Other"')
    await bruno.do("STORE 1 +FLAGS (\\Seen)")
    await bruno.do("UNSELECT")
    assert list(found(await bruno.do('ESEARCH IN (subtree "Other Users/anna") SEEN'))) == ["Other Users/anna/Other"]
    assert list(found(await bruno.do('ESEARCH IN (subtree "Other Users/anna") SEEN 1'))) == ["Other Users/anna/Other"]
    assert found(await tree.do("ESEARCH IN (mailboxes Other) SEEN")) == {}


async def test_delegated_reading_is_on_record_once_for_each_folder(house: House, tree: Client, bruno: Client) -> None:
    await house.share("anna", "/Work", "bruno", "r")
    for _ in range(3):
        await bruno.do('ESEARCH IN (subtree "Other Users/anna" mailboxes ("Other Users/anna/INBOX" "Other Users/anna/Nothing")) ALL')
    entries = await recorded(house)
    assert all(entry.allowed and entry.principal_address == "anna@acme.test" for entry in entries)
    assert len(entries) == 3, "Work, and what is below it; not INBOX, which is hidden"


async def recorded(house: House) -> list[AuditEntry]:
    """What is on record of bruno's reading, the oldest first."""
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        rows = await snapshot.work(audit.newest)
    return [row.entry for row in reversed(rows) if row.entry.actor_address == "bruno@acme.test"]


# --- cost


async def test_how_many_mailboxes_is_bounded(house: House, tree: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "MOST", 5)
    said = await tree.do("ESEARCH IN (personal) ALL")
    assert said.tagged.startswith(b"NO [LIMIT]")
    assert said.untagged == []
    assert len(found(await tree.do("ESEARCH IN (subtree Work mailboxes (Other INBOX)) ALL"))) == 5


async def test_too_long_a_search_is_refused_wherever_it_is(tree: Client) -> None:
    longest = " ".join(["SUBJECT x"] * 501)
    assert (await tree.do(f"ESEARCH IN (personal) {longest}")).tagged.startswith(b"NO [LIMIT]")


async def test_others_go_on_meanwhile(house: House, port: int, anna: Client) -> None:
    for number in range(150):
        await house.make("anna", f"/F{number}")
        await house.put("anna", f"/F{number}", 1)
    other = await house.client(port, "anna")
    running = asyncio.create_task(anna.do("ESEARCH IN (personal) RETURN (COUNT) TEXT hello", seconds=30))
    longest = 0.0
    while not running.done():
        begun = time.perf_counter()
        assert (await other.do("NOOP")).ok
        longest = max(longest, time.perf_counter() - begun)
    assert len(found(await running)) == 150
    assert longest < 0.25
