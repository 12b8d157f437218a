"""Objects through the real command: dynamic groups, bad input, two administrators at once, a command that is killed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk

ENDED = b"* BYE access to this folder has ended"
OWNER, ANNA, BRUNO = "owner@acme.test", "anna@acme.test", "bruno@acme.test"
LINES = 1_000
PATIENCE = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("objects")) as running:
        running.people("owner", "anna", "bruno")
        running.prov(
            "createDynamicDistributionList sales@acme.test (&(department=sales)(!(title=trainee)))",
            "createDistributionList house@acme.test",
            "addDistributionListMember house@acme.test sales@acme.test",
            "selectMailbox owner@acme.test modifyFolderGrant /INBOX group house@acme.test r",
            "grantRight account owner@acme.test grp sales@acme.test sendAs",
        )
        yield running


def everything(server: Server) -> dict[str, list[object]]:
    """The rows of every table that holds the directory and its grants."""
    names = ["domain", "cos", "object", "address", "account", "person", "list", "list_owner", "list_member", "list_external"]
    names += ["dynamic_list", "unjudged", "folder_entry", "send_grant"]
    with server.behind() as raw:
        return {name: sorted(raw.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def can(server: Server, *words: str) -> bool:
    return server.run("can", *words, check=False).returncode == 0


def test_an_attribute_opens_and_ends_what_its_group_was_granted(server: Server) -> None:
    server.prov("modifyAccount bruno@acme.test department ''")
    server.deliver(OWNER, compose("a@elsewhere.test", OWNER, "for sales"))
    with Talk(server.ports["imap"], BRUNO) as session, Mail(server.ports["submission"]) as smtp:
        assert smtp.login(BRUNO).startswith("235")
        letter = compose(OWNER, ANNA, "as the owner")
        assert smtp.send(BRUNO, [ANNA], letter)[0].startswith("550")
        assert session.do('SELECT "Other Users/owner/INBOX"').kind.startswith("NO")
        server.prov("modifyAccount bruno@acme.test departmentNumber Sales")
        session.ok('SELECT "Other Users/owner/INBOX"')
        assert smtp.send(BRUNO, [ANNA], letter)[0].startswith("250")
        assert b"for sales" in b"".join(session.ok("FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject)])").lines)
        session.idle()
        server.prov("modifyAccount bruno@acme.test title Trainee")
        assert session.farewell(PATIENCE).startswith(ENDED)
        assert smtp.send(BRUNO, [ANNA], letter)[0].startswith("550")
    assert not can(server, BRUNO, "send-as", OWNER)
    assert not can(server, BRUNO, "read", OWNER)


def test_mail_to_it_goes_to_whom_it_means_now(server: Server) -> None:
    server.prov("modifyAccount anna@acme.test department sales", "modifyAccount bruno@acme.test department '' title ''")
    before = {name: len(server.messages(name)) for name in (ANNA, BRUNO)}
    server.deliver("house@acme.test", compose("a@elsewhere.test", "house@acme.test", "to the house"))
    server.wait_for(ANNA, count=before[ANNA] + 1)
    assert len(server.messages(BRUNO)) == before[BRUNO]
    server.prov("modifyAccount anna@acme.test department ''", "modifyAccount bruno@acme.test department sales")
    server.deliver("sales@acme.test", compose("a@elsewhere.test", "sales@acme.test", "to sales"))
    server.wait_for(BRUNO, count=before[BRUNO] + 1)
    assert len(server.messages(ANNA)) == before[ANNA] + 1


BAD = [
    ("createAccount anna@acme.test ''", "account.ACCOUNT_EXISTS"),
    ("createAccount fresh@nowhere.test ''", "account.NO_SUCH_DOMAIN"),
    ("createAccount fresh@acme.test '' department sales quota lots", "account.INVALID_ATTR_VALUE"),
    ("createAccount fresh@acme.test '' cos nosuch", "account.NO_SUCH_COS"),
    ("createAccount fresh@acme.test '' nosuch x", "account.INVALID_ATTR_NAME"),
    ("modifyAccount nobody@acme.test department x", "account.NO_SUCH_ACCOUNT"),
    ("modifyAccount anna@acme.test department x status asleep", "account.INVALID_ATTR_VALUE"),
    ("modifyAccount anna@acme.test displayName x cos nosuch", "account.NO_SUCH_COS"),
    ("modifyAccount anna@acme.test displayName x allowFromAddresses bruno@acme.test", "account.INVALID_ATTR_VALUE"),
    ("modifyAccount anna@acme.test displayName x +quota 1g", "account.INVALID_ATTR_NAME"),
    ("renameAccount anna@acme.test bruno@acme.test", "account.ACCOUNT_EXISTS"),
    ("renameAccount anna@acme.test anna@nowhere.test", "account.NO_SUCH_DOMAIN"),
    ("addAccountAlias anna@acme.test sales@acme.test", "account.ACCOUNT_EXISTS"),
    ("removeAccountAlias anna@acme.test anna@acme.test", "account.NO_SUCH_ALIAS"),
    ("deleteAccount nobody@acme.test", "account.NO_SUCH_ACCOUNT"),
    ("deleteAccount sales@acme.test", "account.NO_SUCH_ACCOUNT"),
    ("createDomain acme.test", "account.DOMAIN_EXISTS"),
    ("createAliasDomain acme.test acme.test", "account.DOMAIN_EXISTS"),
    ("deleteDomain acme.test", "account.DOMAIN_NOT_EMPTY"),
    ("modifyDomain acme.test note x maxAccounts many", "account.INVALID_ATTR_VALUE"),
    ("modifyDomain acme.test note x cos nosuch", "account.NO_SUCH_COS"),
    ("createCos default", "account.COS_EXISTS"),
    ("modifyCos default note x quota lots", "account.INVALID_ATTR_VALUE"),
    ("deleteCos default", "service.INVALID_REQUEST"),
    ("addDistributionListMember house@acme.test anna@acme.test house@acme.test", "service.INVALID_REQUEST"),
    ("addDistributionListMember house@acme.test bruno@acme.test not-an-address", "service.INVALID_REQUEST"),
    ("addDistributionListMember sales@acme.test house@acme.test", "service.INVALID_REQUEST"),
    ("modifyDistributionList house@acme.test displayName x owner nobody@acme.test", "account.NO_SUCH_ACCOUNT"),
    ("modifyDistributionList sales@acme.test displayName x filter (department=", "service.INVALID_REQUEST"),
    ("createDynamicDistributionList fresh@acme.test (password=*)", "service.INVALID_REQUEST"),
    ("createDynamicDistributionList fresh@acme.test (uid=*) owner nobody@acme.test", "account.NO_SUCH_ACCOUNT"),
]


def test_bad_input_says_what_is_wrong_and_leaves_everything_as_it_was(server: Server) -> None:
    before = everything(server)
    told = server.run("prov", "--keep-going", "-f", "-", stdin="\n".join(line for line, _ in BAD) + "\n", check=False)
    assert told.returncode == 1
    said = [line for line in told.stderr.splitlines() if "ERROR" in line]
    assert len(said) == len(BAD), told.stderr
    for (line, code), text in zip(BAD, said, strict=True):
        assert f"ERROR: {code} (" in text, f"{line}: {text}"
    assert everything(server) == before
    one = server.run("prov", "deleteAccount", "nobody@acme.test", check=False)
    assert (one.returncode, one.stderr) == (1, "ERROR: account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test)\n")
    assert server.run("prov", "deleteAccount", check=False).returncode == 2


def test_a_cycle_of_lists_harms_nobody(server: Server) -> None:
    server.prov(
        "createDistributionList one@acme.test",
        "createDistributionList two@acme.test",
        "addDistributionListMember one@acme.test two@acme.test owner@acme.test",
        "addDistributionListMember two@acme.test one@acme.test",
        "selectMailbox anna@acme.test modifyFolderGrant /INBOX group two@acme.test r",
    )
    assert can(server, OWNER, "read", ANNA)
    before = len(server.messages(OWNER))
    server.deliver("two@acme.test", compose("a@elsewhere.test", "two@acme.test", "around"))
    server.wait_for(OWNER, count=before + 1)
    server.prov("deleteDistributionList two@acme.test", "deleteDistributionList one@acme.test")
    assert not can(server, OWNER, "read", ANNA)
    assert len(server.messages(OWNER)) == before + 1


def test_what_is_deleted_leaves_no_grant_and_is_deleted_once(server: Server) -> None:
    server.prov(
        "createDistributionList gone-list@acme.test",
        f"createAccount gone@acme.test '{PASSWORD}' department sales",
        "addDistributionListMember gone-list@acme.test gone@acme.test",
        "modifyDistributionList gone-list@acme.test owner gone@acme.test",
        *(
            line
            for who in ("usr gone@acme.test", "grp gone-list@acme.test")
            for line in (
                f"grantRight account anna@acme.test {who} sendAs",
                f"grantRight account gone@acme.test {who.replace('gone@', 'anna@')} sendOnBehalfOf",
                f"selectMailbox anna@acme.test modifyFolderGrant /INBOX {who.replace('usr', 'account').replace('grp', 'group')} r",
            )
        ),
        "selectMailbox gone@acme.test modifyFolderGrant /INBOX account anna@acme.test r",
    )
    with ThreadPoolExecutor(4) as pool:
        ended = [*pool.map(lambda _: server.run("prov", "deleteAccount", "gone@acme.test", check=False), range(4))]
    assert sorted(one.returncode for one in ended) == [0, 1, 1, 1]
    assert {one.stderr for one in ended if one.returncode} == {"ERROR: account.NO_SUCH_ACCOUNT (no such account: gone@acme.test)\n"}
    server.prov("deleteAccount --if-exists gone@acme.test", "deleteDistributionList gone-list@acme.test")
    found = everything(server)
    there = {row[0] for row in found["object"]}
    with server.behind() as raw:
        named = [*raw.execute("SELECT grantee FROM folder_entry WHERE grantee_kind IN ('account', 'group')")]
        named += [*raw.execute("SELECT grantee FROM send_grant WHERE grantee_kind IN ('account', 'group')")]
        named += [*raw.execute("SELECT target FROM send_grant UNION SELECT owner FROM folder_entry UNION SELECT member FROM list_member")]
        named += [*raw.execute("SELECT account FROM list_owner UNION SELECT account FROM person")]
    assert {row[0] for row in named} <= there
    assert found["unjudged"] == []


def test_two_administrators_at_once_lose_nothing_of_each_other(server: Server) -> None:
    def type_lines(lines: list[str]) -> None:
        server.prov(*lines)

    count = 20
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            [f"modifyAccount anna@acme.test title t{number}" for number in range(count)],
            [f"modifyAccount anna@acme.test company c{number}" for number in range(count)],
            *(
                [f"modifyAccount anna@acme.test +allowFromAddresses {who}{number}@elsewhere.test" for number in range(count)]
                for who in "ab"
            ),
        ]
        [*pool.map(type_lines, jobs)]
        owners = [
            ["modifyDistributionList house@acme.test +owner anna@acme.test"],
            ["modifyDistributionList house@acme.test +owner bruno@acme.test"],
        ]
        [*pool.map(type_lines, owners)]
    found = json.loads(server.run("prov", "--json", "getAccount", "anna@acme.test").stdout)["attributes"]
    assert (found["title"], found["company"]) == (f"t{count - 1}", f"c{count - 1}")
    assert {*found["allowFromAddresses"]} == {f"{who}{number}@elsewhere.test" for who in "ab" for number in range(count)}
    house = json.loads(server.run("prov", "--json", "getDistributionList", "house@acme.test").stdout)["attributes"]
    assert sorted(house["owner"]) == [ANNA, BRUNO]


def test_a_command_that_is_killed_leaves_whole_lines(server: Server) -> None:
    process = started(
        [*server.command, "prov", "-f", "-"],
        # What a batch prints is written in pieces of 8 KiB, and all of this is less.
        env={**server.environment, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    fields = "department sales title batch sn Name quota 1g"
    lines = [f"createAccount killed{number}@acme.test '' displayName Number{number} {fields}\n" for number in range(LINES)]
    with ThreadPoolExecutor(1) as pool:

        def feed(stream: object) -> None:
            try:
                stream.write("".join(lines))  # type: ignore[attr-defined]
                stream.flush()  # type: ignore[attr-defined]
            except (BrokenPipeError, OSError):
                pass

        feeding = pool.submit(feed, process.stdin)
        assert process.stdout.readline()
        process.kill()
        process.wait()
        feeding.result()
    # The line that was being done is done or not; then nothing more comes.
    still, count = -1, 0
    end = time.monotonic() + PATIENCE
    while still != count:
        assert time.monotonic() < end
        time.sleep(0.5)
        still, count = count, len(server.run("prov", "searchAccounts", "(title=batch)").stdout.split())
    assert 0 < count <= LINES
    with server.behind() as raw:
        made = {name: row for name, *row in raw.execute(WHOLE)}
    assert len(made) == count
    assert set(made) == {f"killed{number}" for number in range(count)}
    assert all(row[0] == f"Number{name.removeprefix('killed')}" and row[1:] == [3, 1, True] for name, row in made.items())
    again = server.run("prov", "--keep-going", "-f", "-", stdin="".join(lines), check=False)
    assert again.stderr.count("account.ACCOUNT_EXISTS") == count
    assert len(server.run("prov", "searchAccounts", "(title=batch)").stdout.split()) == LINES
    assert len(server.run("prov", "getDistributionList", "sales@acme.test").stdout.split("members\n")[1].split()) >= LINES


WHOLE = """
    SELECT p.local, a.display_name,
        (SELECT COUNT(*) FROM person WHERE account = a.id),
        (SELECT COUNT(*) FROM list_member m JOIN dynamic_list y ON y.list = m.list WHERE m.member = a.id),
        (SELECT COUNT(*) FROM folder f WHERE f.owner = a.id) > 3
    FROM account a JOIN address p ON p.object = a.id AND p.is_primary = 1 WHERE p.local LIKE 'killed%'
"""
