"""can, unlock, queue, sessions, audit."""

import json

from gateway.postponed import Postponed
from gateway.questions import Act
from policy.identity import Actor
from policy.login import Failure
from store.login import RecordFailure
from store.model import NewMessage, QueueKind
from store.queue import AcceptMessage, Delegation, OntoQueue
from tests.gateway.administration import SECOND, Office

PEOPLE = ("cd acme.test", "ca owner@acme.test ''", "ca delegate@acme.test ''")


async def test_can_says_what_decided_and_ends_with_it(office: Office) -> None:
    await office.done(*PEOPLE, "sm owner@acme.test mfg / account delegate@acme.test r")
    told = await office.command("can delegate@acme.test read owner@acme.test")
    assert (told.status, told.out) == (0, "ALLOWED\nVia:\n  * account delegate@acme.test on /: r\n")
    told = await office.command("can delegate@acme.test write owner@acme.test /Sent")
    assert told.status == 1
    assert told.out.startswith("DENIED: you need 'w' (write) on this folder; ask owner@acme.test\nVia:\n")
    told = await office.command("can delegate@acme.test send-as owner@acme.test", as_json=True)
    assert told.status == 1
    assert json.loads(told.out)["allowed"] is False


async def test_can_is_asked_rightly(office: Office) -> None:
    await office.done(*PEOPLE)
    told = await office.command("can delegate@acme.test eat owner@acme.test")
    assert (told.status, told.err.splitlines()[0]) == (2, "eat is none of " + ", ".join(Act))
    assert (await office.command("can delegate@acme.test send-as owner@acme.test /INBOX")).status == 2
    assert (await office.command("can delegate@acme.test read")).status == 2
    assert (await office.command("can delegate@acme.test")).out == "delegate@acme.test may do nothing with what is others'\n"
    told = await office.command("can ghost@acme.test read owner@acme.test")
    assert (told.status, told.err) == (1, "ERROR: account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)\n")


async def test_unlock_ends_a_lockout_that_is_shown_with_its_end(office: Office) -> None:
    await office.done(*PEOPLE, "ma owner@acme.test lockoutMaxFailures 3")
    row = (await office.directory.accounts.get("owner@acme.test")).row
    for digest in range(3):
        await office.store.do(RecordFailure(row.id, Failure(office.clock.at, "192.0.2.0/24", digest)))
    status = (await office.prov("ga owner@acme.test status")).out.splitlines()[1]
    assert status.startswith("status: lockout until ")
    shown = json.loads((await office.prov("ga owner@acme.test", as_json=True)).out)["attributes"]
    assert (shown["status"], shown["lockoutUntil"]) == ("lockout", "2027-01-15T09:00:00Z")
    assert (await office.command("unlock owner@acme.test")).out == ""
    assert (await office.prov("ga owner@acme.test status")).out.splitlines()[1] == "status: active"
    assert "was not locked out" in (await office.command("unlock owner@acme.test")).out


async def test_status_active_and_a_new_password_end_a_lockout_too(office: Office) -> None:
    await office.done(*PEOPLE, "ma owner@acme.test lockoutMaxFailures 1")
    row = (await office.directory.accounts.get("owner@acme.test")).row
    for line in ("ma owner@acme.test status active", "sp owner@acme.test newnew"):
        await office.store.do(RecordFailure(row.id, Failure(office.clock.at, "192.0.2.0/24", 1)))
        assert (await office.directory.accounts.get("owner@acme.test")).lockout_until == office.clock.at + 3600 * SECOND
        await office.done(line)
        assert (await office.directory.accounts.get("owner@acme.test")).lockout_until is None


async def test_the_queue_is_listed_held_released_retried_and_dropped(office: Office) -> None:
    await office.done(*PEOPLE)
    assert (await office.command("queue")).out == "the queue is empty\n"
    assert (await office.command("queue summary")).out == "the queue is empty\n"
    message = NewMessage(b"Subject: x\r\n\r\nx\r\n", b"", b"", b"", 1, "", "", "", "x", "", None)
    later = office.clock.at + 86400 * SECOND
    row = (await office.directory.accounts.get("owner@acme.test")).row
    held = OntoQueue(QueueKind.HELD, "owner@acme.test", message, "a@x.test", later, row.id)
    relay = OntoQueue(QueueKind.RELAY, "b@x.test", message, "", later, due=later)
    await office.store.do(AcceptMessage("Q1", queued=(held,)))
    await office.store.do(AcceptMessage("Q2", queued=(relay,)))
    rows = json.loads((await office.command("queue list", as_json=True)).out)
    assert [(one["message"], one["kind"], one["state"], one["recipient"]) for one in rows] == [
        ("Q1", "held", "held", "owner@acme.test"),
        ("Q2", "relay", "due", "b@x.test"),
    ]
    listed = (await office.command("queue list")).out.splitlines()
    assert listed[0].split() == ["Id", "Message", "State", "Size", "Since", "Sender", "Recipient"]
    assert "<>" in listed[2]
    assert "held: maintenance" in listed[1]
    assert [one["message"] for one in json.loads((await office.command("queue list --to X.test", as_json=True)).out)] == ["Q2"]
    assert (await office.command("queue list --limit 1")).out.splitlines()[-1].startswith("and more; --limit N")
    assert (await office.command("queue list --limit 2")).out.splitlines()[-1].endswith("b@x.test")
    for wrong in ("--limit 0", "--limit x", "--limit 1000000", "Q1", "--from x"):
        assert (await office.command(f"queue list {wrong}")).status == 2
    heaps = (await office.command("queue summary")).out.splitlines()
    assert heaps[0].split() == ["Waiting", "Octets", "Held", "Tried", "Oldest", "Next", "For"]
    assert [line.split()[0] for line in heaps[1:]] == ["1", "1"]
    assert [line.split()[-1] for line in heaps[1:]] == ["here", "x.test"]
    first, second = json.loads((await office.command("queue summary", as_json=True)).out)
    assert (first["destination"], first["held"], first["nextDue"]) == ("", 1, None)
    assert (second["destination"], second["waiting"], second["nextDue"]) == ("x.test", 1, rows[1]["due"])
    assert (await office.command("queue summary x")).status == 2
    assert (await office.command(f"queue hold Q1 {rows[1]['id']}")).out == "2 held\n"
    assert (await office.command("queue")).out.count("held: operator") == 2
    assert [one["heldBy"] for one in json.loads((await office.command("queue list", as_json=True)).out)] == ["operator"] * 2
    shown = (await office.command("queue show Q2")).out.splitlines()
    assert shown[:5] == [f"id: {rows[1]['id']}", "message: Q2", "state: held: operator", "recipient: b@x.test", "sender: <>"]
    assert json.loads((await office.command("queue show Q2", as_json=True)).out)[0]["destination"] == "x.test"
    assert (await office.command("queue retry")).out == "0 to be tried now\n"
    assert (await office.command("queue release Q1 Q2")).out == "2 released\n"
    assert (await office.command("queue release Q1")).out == "0 released\n"
    for word in ("show", "hold", "release"):
        assert (await office.command(f"queue {word}")).status == 2
        assert "not in the queue: 99999999999999999999" in (await office.command(f"queue {word} 99999999999999999999")).err
    assert (await office.command("queue retry Q1")).out == "1 to be tried now\n"
    assert (await office.command("queue drop Q9")).err == "ERROR: service.INVALID_REQUEST (invalid request: not in the queue: Q9)\n"
    assert (await office.command(f"queue drop Q1 {rows[1]['id']}")).out == "2 dropped\n"
    assert (await office.command("queue")).out == "the queue is empty\n"
    assert (await office.command("queue drop")).status == 2


async def test_the_record_is_whole_and_says_what_was_changed(office: Office) -> None:
    await office.done(*PEOPLE, "grr account owner@acme.test usr delegate@acme.test sendAs --note holiday")
    told = (await office.command("audit verify")).out.splitlines()
    assert told[0] == "OK: 4 records"
    head = told[1].removeprefix("head ")
    assert (await office.command(f"audit verify {head}")).status == 0
    number, _, spelled = head.partition(":")
    told_wrong = await office.command(f"audit verify {number}:{'0' * len(spelled)}")
    assert (told_wrong.status, told_wrong.out.split(":")[0]) == (1, "BROKEN at record 4")
    assert (await office.command("audit verify nonsense")).status == 1
    (row,) = json.loads((await office.command("audit list --owner owner@acme.test", as_json=True)).out)
    assert (row["event"], row["principal_address"], row["right"], row["detail"], row["actor_address"]) == (
        "grant changed",
        "owner@acme.test",
        "sendAs",
        "to account delegate@acme.test",
        "operator",
    )
    assert (await office.command("audit list --limit 2")).out.count("\n") == 2
    assert (await office.command(f"audit list --decision {row['decision']}")).out.count("\n") == 1
    assert (await office.command("audit list --limit no")).status == 2
    assert (await office.command("audit")).status == 2


async def test_principals_and_actors_are_frozen_listed_and_let_go(office: Office) -> None:
    await office.done(*PEOPLE, "cdl team@acme.test", "aaa owner@acme.test boss@acme.test")
    assert (await office.command("principal list")).out == "nobody is frozen\n"
    told = await office.command("principal freeze boss@acme.test --note 'lost laptop'")
    assert (told.status, told.out) == (0, "boss@acme.test is frozen as principal; of what waits, 0 held\n")
    await office.command("principal freeze team@acme.test")
    await office.command("actor freeze delegate@acme.test")
    assert [line.split(" since ")[0] for line in (await office.command("principal list")).out.splitlines()] == [
        "owner@acme.test",
        "team@acme.test",
    ]
    (first, _) = json.loads((await office.command("principal list", as_json=True)).out)
    assert first == {"name": "owner@acme.test", "since": "2027-01-15T08:00:00Z", "note": "lost laptop"}
    assert (await office.command("actor list")).out.startswith("delegate@acme.test since ")
    assert (
        await office.command("principal unfreeze owner@acme.test")
    ).out == "owner@acme.test is not frozen as principal any more; of what was held, 0 go on\n"
    assert (await office.command("principal unfreeze owner@acme.test")).err == (
        "ERROR: service.INVALID_REQUEST (invalid request: owner@acme.test is not frozen as principal)\n"
    )
    assert "no such account: ghost@acme.test" in (await office.command("actor freeze ghost@acme.test")).err
    assert "is a list" in (await office.command("actor freeze team@acme.test")).err
    rows = json.loads((await office.command("audit list --owner owner@acme.test", as_json=True)).out)
    assert [(row["event"], row["detail"]) for row in rows][:2] == [("principal unfrozen", ""), ("principal frozen", "lost laptop")]
    for line in (
        "principal",
        "principal freeze",
        "principal melt owner@acme.test",
        "principal unfreeze owner@acme.test --note x",
        "actor list x",
    ):
        assert (await office.command(line)).status == 2, line


async def test_what_is_frozen_or_waits_is_shown_as_such_and_recalled(office: Office) -> None:
    await office.done(*PEOPLE)
    ids = [(await office.directory.accounts.get(f"{name}@acme.test")).row for name in ("delegate", "owner")]
    octets = b"From: owner@acme.test\r\nSubject: x\r\n\r\nx\r\n"
    message = NewMessage(octets, b"", b"", b"", 1, "", "", "", "x", "", None)
    at = office.clock.at + 3600 * SECOND
    asked = Postponed(at, Actor(ids[0].id, ids[0].address), None, (ids[1].address,), smtputf8=False, protocol="ESMTPA", source="")
    waiting = OntoQueue(
        QueueKind.RELAY,
        "owner@acme.test",
        message,
        "",
        at * 2,
        parameters=asked.spelled(),
        due=at,
        delegation=Delegation(ids[0].id, (ids[1].id,)),
    )
    await office.store.do(AcceptMessage("Q1", queued=(waiting,), waits=True))
    await office.store.do(AcceptMessage("Q2", queued=(OntoQueue(QueueKind.RELAY, "b@x.test", message, "", at),)))
    listed = (await office.command("queue")).out
    assert "waits until 2027-01-15" in listed
    assert "recall: procura queue recall Q1" in (await office.command("queue show Q1")).out
    await office.command("principal freeze owner@acme.test")
    await office.command("actor freeze delegate@acme.test")
    listed = (await office.command("queue")).out
    assert listed.count("held: frozen") == 1
    assert "frozen: actor delegate@acme.test" in listed
    assert "frozen: principal owner@acme.test" in listed
    data = {one["message"]: one for one in json.loads((await office.command("queue", as_json=True)).out)}
    assert (data["Q1"]["heldBy"], data["Q1"]["recallable"], data["Q2"]["heldBy"], data["Q2"]["recallable"]) == ("freeze", True, None, False)
    assert data["Q1"]["frozen"] == ["actor delegate@acme.test", "principal owner@acme.test"]
    told = await office.command("queue recall Q1 Q2")
    assert (told.status, told.err) == (
        1,
        "ERROR: service.INVALID_REQUEST (invalid request: on its way already, so that it cannot be recalled: Q2)\n",
    )
    told = await office.command("queue recall Q1")
    assert (told.status, told.out) == (0, "1 recalled\n")
    assert "not in the queue: Q1" in (await office.command("queue recall Q1")).err
    assert (await office.command("queue recall")).status == 2


async def test_a_recall_window_is_granted_with_the_right(office: Office) -> None:
    await office.done(*PEOPLE, "grr account owner@acme.test usr delegate@acme.test sendAs --undo-window 2m --note Anna")
    assert "sendAs (waits 120 s; Anna)" in (await office.prov("gg -t account owner@acme.test")).out
    (row,) = json.loads((await office.prov("gg -t account owner@acme.test", as_json=True)).out)
    assert row["undoWindow"] == 120
    for line in ("sendAs --undo-window soon", "sendAs --undo-window 8d", "loginAs --undo-window 5s", "-sendAs --undo-window 5s"):
        assert (await office.prov(f"grr account owner@acme.test usr delegate@acme.test {line}")).status in (1, 2), line
    await office.done("grr account owner@acme.test usr delegate@acme.test sendAs")
    (row,) = json.loads((await office.prov("gg -t account owner@acme.test", as_json=True)).out)
    assert row["undoWindow"] is None


async def test_names_are_proposed_that_nobody_has(office: Office) -> None:
    await office.done("cd acme.test", "ca a.lovelace@acme.test ''", "cdl ada.lovelace@acme.test")
    told = await office.command("account propose --given-name Ada --surname Lovelace")
    assert told.out.split() == [
        "alovelace@acme.test",
        "lovelace.ada@acme.test",
        "lovelace@acme.test",
        "ada@acme.test",
        "a.lovelace2@acme.test",
    ]
    told = await office.command("account propose --surname=Müller --domain acme.test", as_json=True)
    assert json.loads(told.out)[:2] == ["mueller@acme.test", "mueller2@acme.test"]
    for line, status, said in (
        ("account propose --surname 林", 1, "no name can be proposed"),
        ("account propose --surname X --domain nowhere.test", 1, "account.NO_SUCH_DOMAIN"),
        ("account propose", 2, "usage: account propose"),
        ("account propose --surname X more", 2, "usage: account propose"),
        ("account show", 2, "usage: account propose"),
    ):
        told = await office.command(line)
        assert (told.status, said in told.err) == (status, True), told.err
    await office.done("cd other.test")
    told = await office.command("account propose --surname X")
    assert (told.status, "--domain DOMAIN" in told.err) == (2, True)
