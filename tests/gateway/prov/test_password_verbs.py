"""Codes for the first access, asked for as an operator and a help desk ask, and used as the person uses them."""

import pytest

from gateway.directory.faults import Code, Fault
from gateway.prov.run import Request
from policy.login import lockout_end
from store import login
from tests.gateway.administration import Office

ANNA, BOB, DESK, BOSS = "anna@acme.test", "bob@acme.test", "desk@acme.test", "boss@acme.test"
GOOD = "correct horse 7"


async def code_of(office: Office, who: str, *options: str) -> str:
    told = await office.command(" ".join(("password", "code", who, *options)))
    assert (told.status, told.err) == (0, "")
    return told.out.splitlines()[0]


async def refused(office: Office, who: str, code: str, password: str = GOOD, source: str = "192.0.2.1") -> Code:
    with pytest.raises(Fault) as caught:
        await office.directory.first_access.use(who, code, password, source)
    return caught.value.code


async def test_a_code_sets_the_first_password_once(office: Office) -> None:
    await office.done("cd acme.test", f"ca {ANNA} '' passwordMinLength 10")
    code = await code_of(office, ANNA)
    assert (await office.command(f"password status {ANNA}")).out.startswith("a code, until ")
    assert await refused(office, ANNA, code, "short") is Code.INVALID_PASSWORD
    assert await refused(office, ANNA, code, "") is Code.INVALID_PASSWORD
    assert await refused(office, BOB, code) is Code.AUTH_FAILED
    told = await office.command(f"password set {ANNA} {code.upper().replace('-', '')} --password '{GOOD}\n'")
    assert (told.status, told.out) == (0, "the password is set\n")
    assert await refused(office, ANNA, code) is Code.AUTH_FAILED
    assert (await office.directory.accounts.get(ANNA)).row.verifier
    again = await office.command(f"password code {ANNA}")
    assert (again.status, "has a password of its own" in again.err) == (1, True)
    await office.done(f"ma {ANNA} mustChangePassword TRUE")
    await office.directory.first_access.use(ANNA, await code_of(office, ANNA), "another horse 8", "192.0.2.1")
    assert not (await office.directory.accounts.get(ANNA)).row.must_change_password


async def test_it_ends_by_time_by_another_and_by_a_password(office: Office) -> None:
    await office.done("cd acme.test", f"ca {ANNA} ''")
    first = await code_of(office, ANNA)
    second = await code_of(office, ANNA, "--until 12h")
    assert await refused(office, ANNA, first) is Code.AUTH_FAILED
    office.clock.turn(12 * 3600)
    assert await refused(office, ANNA, second) is Code.AUTH_FAILED
    assert (await office.command(f"password status {ANNA}")).out == "no code\n"
    third = await code_of(office, ANNA)
    await office.done(f"sp {ANNA} '{GOOD}'")
    assert await refused(office, ANNA, third) is Code.AUTH_FAILED
    for until in ("31d", "2001-01-01"):
        await office.done(f"ma {ANNA} mustChangePassword TRUE")
        told = await office.command(f"password code {ANNA} --until {until}")
        assert (told.status, "within 30 days" in told.err) == (1, True)


async def test_guesses_lock_the_account_out_and_a_right_code_does_not_tell(office: Office) -> None:
    await office.done("cd acme.test", f"ca {ANNA} '' lockoutMaxFailures 3", f"ca {BOB} '' status closed")
    code = await code_of(office, ANNA)
    for guess in ("aaaa-bbbb-cccc", "", code[:-1]):
        assert await refused(office, ANNA, guess) is Code.AUTH_FAILED
    row = (await office.directory.accounts.get(ANNA)).row
    async with office.store.snapshot() as snapshot:
        assert lockout_end(await snapshot.ask(login.history, row.id), row.values, snapshot.now) is not None
    assert await refused(office, ANNA, code) is Code.AUTH_FAILED
    office.clock.turn(3600)
    await office.directory.first_access.use(ANNA, code, GOOD, "192.0.2.1")
    assert await refused(office, BOB, await code_of(office, BOB)) is Code.PERM_DENIED


async def test_a_help_desk_gives_codes_but_none_for_administrators(office: Office) -> None:
    await office.done("cd acme.test", f"ca {ANNA} ''", f"ca {BOSS} '' isGlobalAdministrator TRUE")
    await office.done("idd acme.test", f"ca {DESK} '' isDelegatedAdminAccount TRUE")
    assert (await office.command(f"roles grant {DESK} help-desk")).status == 0
    told = await office.ask(Request("password", ("code", ANNA), acting=DESK))
    assert (told.status, told.err) == (0, "")
    for who in (BOSS, DESK):
        told = await office.ask(Request("password", ("code", who), acting=DESK))
        assert (told.status, "service.PERM_DENIED" in told.err) == (1, True), who
    assert (await office.ask(Request("password", ("code", DESK), acting=ANNA))).status == 1


@pytest.mark.parametrize("typed", ["code", "code a b", "set a", "set a b", "set a b --until 1d", "status a --until 1d", "what a"])
async def test_written_wrongly_it_says_how(office: Office, typed: str) -> None:
    told = await office.command(f"password {typed}")
    assert (told.status, "usage: " in told.err) == (2, True)
