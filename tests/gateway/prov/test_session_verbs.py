"""Who is logged in and who was, asked as an operator asks it."""

import json

from gateway.sessions import SessionRow
from tests.gateway.administration import Office

PEOPLE = ("cd acme.test", *(f"ca {name}@acme.test ''" for name in ("owner", "delegate", "other")))


async def shown(office: Office) -> None:
    await office.done(*PEOPLE, "aaa owner@acme.test boss@acme.test")
    office.open_sessions += [
        SessionRow(1, "owner@acme.test", "delegate@acme.test", "imap", "192.0.2.1", 5, 1_800_000_000_000_000, "Mutt 2.2", "/INBOX"),
        SessionRow(2, "other@acme.test", "", "smtp", "192.0.2.2", 7, client="evil\x1b[2Jname"),
        SessionRow(3, "owner@acme.test", "", "smtp", "192.0.2.1", 9),
    ]


async def numbers(office: Office, line: str) -> list[int]:
    told = await office.command(f"sessions {line}", as_json=True)
    assert told.status == 0, told.err
    return [row["number"] for row in json.loads(told.out)]


async def test_sessions_are_those_of_this_server(office: Office) -> None:
    assert (await office.command("sessions")).out == "no open sessions\n"
    await shown(office)
    told = (await office.command("sessions list")).out
    assert told.splitlines()[1].split()[-6:] == ["owner@acme.test", "(by", "delegate@acme.test)", "Mutt", "2.2", "/INBOX"]
    assert "evil?[2Jname" in told
    (row, *_) = json.loads((await office.command("sessions", as_json=True)).out)
    assert row == {
        "number": 1,
        "account": "owner@acme.test",
        "actor": "delegate@acme.test",
        "protocol": "imap",
        "peer": "192.0.2.1",
        "since": "2027-01-15T08:00:00Z",
        "seconds": 5,
        "client": "Mutt 2.2",
        "folder": "/INBOX",
    }


async def test_a_choice_of_sessions(office: Office) -> None:
    await shown(office)
    assert await numbers(office, "owner@acme.test") == [1, 3]
    assert await numbers(office, "list boss@acme.test") == [1, 3], "an alias means the account"
    assert await numbers(office, "list --account delegate@acme.test") == [1]
    assert await numbers(office, "list --protocol smtp") == [2, 3]
    assert await numbers(office, "list --peer 192.0.2.1 --protocol imap") == [1]
    assert await numbers(office, "list other@acme.test --protocol imap") == []


async def test_ending_sessions(office: Office) -> None:
    await shown(office)
    told = await office.command("sessions end 1 99")
    assert (told.status, told.err) == (1, "ERROR: account.NO_SUCH_SESSION (no such session: 99)\n")
    assert len(office.open_sessions) == 3, "nothing half done"
    assert (await office.command("sessions end 2 2")).out == "1 ended\n"
    assert (await office.command("sessions end --account owner@acme.test --protocol smtp")).out == "1 ended\n"
    assert [row.number for row in office.open_sessions] == [1]
    assert (await office.command("sessions end --account other@acme.test")).out == "0 ended\n"
    (newest, *_) = json.loads((await office.command("audit list", as_json=True)).out)
    assert (newest["event"], newest["principal_address"], newest["detail"]) == (
        "sessions ended",
        "owner@acme.test",
        "smtp 3 from 192.0.2.1",
    )


async def test_what_is_written_wrongly(office: Office) -> None:
    await shown(office)
    for line in ("end", "end 1 --account owner@acme.test", "end x", "list a b", "list --protocol pop", "frob 1", "list a --account b"):
        assert (await office.command(f"sessions {line}")).status == 2, line
    for line in ("list nobody@acme.test", "nobody@acme.test", "end --account nobody@acme.test"):
        assert "account.NO_SUCH_ACCOUNT" in (await office.command(f"sessions {line}")).err
    for line in ("", "owner@acme.test --failed --admitted", "owner@acme.test --limit 0", "owner@acme.test other@acme.test"):
        assert (await office.command(f"logins {line}")).status == 2, line
    assert "account.NO_SUCH_ACCOUNT" in (await office.command("logins nobody@acme.test")).err


async def test_the_last_logins(office: Office) -> None:
    await shown(office)
    assert (await office.command("logins owner@acme.test")).out == "no logins on record\n"
    account = (await office.directory.accounts.get("owner@acme.test")).row.id
    office.history.note(account, "192.0.2.1", "imap", "PLAIN", admitted=True, outcome="admitted", app_password="phone")
    office.clock.turn(60)
    office.history.note(account, "", "smtp", "LOGIN", admitted=False, outcome="wrong password")
    told = (await office.command("logins boss@acme.test")).out.splitlines()
    assert told[1].split()[-3:] == ["FAILED:", "wrong", "password"]
    assert told[2].endswith("admitted (app password phone)")
    (row,) = json.loads((await office.command("logins owner@acme.test --admitted", as_json=True)).out)
    assert row == {
        "first": "2027-01-15T08:00:00Z",
        "last": "2027-01-15T08:00:00Z",
        "times": 1,
        "source": "192.0.2.1",
        "protocol": "imap",
        "mechanism": "PLAIN",
        "admitted": True,
        "outcome": "admitted",
        "appPassword": "phone",
    }
    assert len((await office.command("logins owner@acme.test --failed")).out.splitlines()) == 2
