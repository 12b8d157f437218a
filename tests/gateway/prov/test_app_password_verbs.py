"""App passwords, asked for as an operator asks."""

import json

import pytest

from gateway.apppasswords import read
from tests.gateway.administration import Office

PEOPLE = ("cd acme.test", *(f"ca {name}@acme.test ''" for name in ("owner", "delegate")), "cdl team@acme.test")


async def listed(office: Office, account: str = "owner@acme.test") -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((await office.command(f"app-password list {account}", as_json=True)).out)
    return found


async def test_made_shown_once_listed_and_revoked(office: Office) -> None:
    await office.done(*PEOPLE)
    assert (await office.command("app-password list owner@acme.test")).out == "no app passwords\n"
    told = await office.command("app-password create owner@acme.test 'my phone'")
    assert told.status == 0
    password, hint = told.out.splitlines()
    typed = read(password.encode())
    assert typed is not None
    assert hint == "It is shown this once."
    shown = await office.command("app-password list owner@acme.test")
    assert shown.out.splitlines()[1].startswith("my phone")
    record = await office.command("audit list --limit 5")
    for text in (shown.out, record.out, json.dumps(await listed(office))):
        assert typed.selector not in text
        assert password not in text
    assert "app password created: operator on owner@acme.test; my phone: rights rwixd send sendAs sendOnBehalfOf" in record.out
    assert (await office.command("app-password revoke owner@acme.test 'my phone'")).status == 0
    again = await office.command("app-password revoke owner@acme.test 'my phone'")
    assert (again.status, again.err) == (1, "ERROR: account.NO_SUCH_APP_PASSWORD (no such app password: my phone)\n")
    assert "app password revoked" in (await office.command("audit list --limit 1")).out


async def test_limits(office: Office) -> None:
    await office.done(*PEOPLE)
    line = (
        "app-password create delegate@acme.test robot --protocols smtp,imap --principal team@acme.test --rights r,sendAs,SENDONBEHALFOF "
        "--networks 192.0.2.7/24,2001:db8::1 --until +2h"
    )
    assert (await office.command(line)).status == 0
    (row,) = await listed(office, "delegate@acme.test")
    assert row == {
        "name": "robot",
        "created": "2027-01-15T08:00:00Z",
        "until": "2027-01-15T10:00:00Z",
        "over": False,
        "lastUsed": None,
        "protocols": ["imap", "smtp"],
        "networks": ["192.0.2.0/24", "2001:db8::1/128"],
        "principal": "team@acme.test",
        "rights": ["r", "sendAs", "sendOnBehalfOf"],
    }
    office.clock.turn(7200)
    assert (await listed(office, "delegate@acme.test"))[0]["over"] is True
    assert "(over)" in (await office.command("app-password list delegate@acme.test")).out
    assert (await office.command("app-password create delegate@acme.test second --rights send")).status == 0
    assert (await office.command("app-password revoke delegate@acme.test --all")).out == "2 revoked\n"
    assert await listed(office, "delegate@acme.test") == []


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("create owner@acme.test", 2, "create ACCOUNT NAME"),
        ("create owner@acme.test a b", 2, "create ACCOUNT NAME"),
        ("create owner@acme.test x --frob", 2, "--frob"),
        ("revoke owner@acme.test", 2, "revoke ACCOUNT NAME"),
        ("revoke owner@acme.test x --all", 2, "revoke ACCOUNT NAME"),
        ("frob owner@acme.test", 2, "create ACCOUNT NAME"),
        ("create nobody@acme.test x", 1, "account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test)"),
        ("list nobody@acme.test", 1, "account.NO_SUCH_ACCOUNT"),
        ("revoke nobody@acme.test --all", 1, "account.NO_SUCH_ACCOUNT"),
        ("create owner@acme.test x --principal nobody@acme.test", 1, "account.NO_SUCH_ACCOUNT (no such account: nobody@acme.test)"),
        ("create owner@acme.test x --protocols pop", 1, "no protocol among pop: imap, smtp, http"),
        ("create owner@acme.test x --networks 192.0.2.300", 1, "no network: 192.0.2.300"),
        ("create owner@acme.test x --rights rq", 1, "no right rq"),
        ("create owner@acme.test x --rights ra", 1, "never has 'a'"),
        ("create owner@acme.test x --rights ''", 1, "without any right"),
        ("create owner@acme.test x --rights none", 1, "without any right"),
        ("create owner@acme.test x --until 2020-01-01", 1, "expired already"),
        ("create owner@acme.test x --until soon", 1, "no time: soon"),
        ("create owner@acme.test ''", 1, "1 to 64 printable characters"),
        ("create owner@acme.test there", 1, "account.APP_PASSWORD_EXISTS (app password already exists: there)"),
    ],
)
async def test_what_cannot_be_leaves_nothing(office: Office, line: str, status: int, words: str) -> None:
    await office.done(*PEOPLE)
    assert (await office.command("app-password create owner@acme.test there")).status == 0
    told = await office.command(f"app-password {line}")
    assert (told.status, told.out) == (status, "")
    assert words in told.err
    assert [row["name"] for row in await listed(office)] == ["there"]


async def test_a_full_account_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.done(*PEOPLE)
    monkeypatch.setattr("store.app_passwords.MOST", 1)
    await office.command("app-password create owner@acme.test one")
    assert "at most 1 app passwords" in (await office.command("app-password create owner@acme.test two")).err
