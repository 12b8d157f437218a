"""Passwords are set by the rules of the class of service, at every door by the same service."""

import pytest

from gateway.directory.faults import Code, Fault
from tests.gateway.administration import Office

DAY = 86400


@pytest.fixture
async def strict(office: Office) -> Office:
    await office.done(
        "cd acme.test",
        "cc strict passwordMinLength 10 passwordBlockCommonEnabled TRUE zimbraPasswordEnforceHistory 3 passwordMinAge 2",
        "ca anna@acme.test 'correct horse 7' cos strict displayName 'Anna Verdi'",
    )
    return office


async def refused(office: Office, line: str) -> str:
    told = await office.prov(line)
    assert (told.status, told.out) == (1, ""), line
    return told.err


async def test_each_rule_is_named(strict: Office) -> None:
    assert await refused(strict, "sp anna@acme.test short") == (
        "ERROR: account.INVALID_PASSWORD (invalid password: too short: passwordMinLength asks for 10 characters)\n"
    )
    assert "passwordBlockCommonEnabled" in await refused(strict, "sp anna@acme.test 'Password2026!'")
    assert "passwordBlockCommonEnabled" in await refused(strict, "sp anna@acme.test 'Verdi123456'")
    await strict.done("sp anna@acme.test short --force", "sp anna@acme.test ''")
    assert "account.NO_SUCH_ACCOUNT" in await refused(strict, "sp nobody@acme.test 'correct horse 7'")
    assert (await strict.prov("sp anna@acme.test 'correct horse 7' --frob")).status == 2


async def test_former_ones_come_back_only_after_others(strict: Office) -> None:
    await strict.done("sp anna@acme.test 'second horse 8'", "sp anna@acme.test 'third horse 9'")
    for word in ("correct horse 7", "second horse 8", "third horse 9"):
        assert "account.PASSWORD_RECENTLY_USED" in await refused(strict, f"sp anna@acme.test '{word}'")
    await strict.done("sp anna@acme.test 'fourth horse 10'", "sp anna@acme.test 'correct horse 7'")


async def test_of_an_account_that_is_only_made(strict: Office) -> None:
    assert "passwordMinLength asks for 6" in await refused(strict, "ca bruno@acme.test short")
    assert "passwordMinLength asks for 10" in await refused(strict, "ca bruno@acme.test 'shorter' cos strict")
    assert "passwordMinLength asks for 12" in await refused(strict, "ca bruno@acme.test 'correct hor' cos strict passwordMinLength 12")
    assert "account.NO_SUCH_COS" in await refused(strict, "ca bruno@acme.test 'correct horse 7' cos nosuch")
    assert "account.NO_SUCH_DOMAIN" in await refused(strict, "ca bruno@nowhere.test 'correct horse 7'")
    await strict.done("md acme.test cos strict")
    assert "passwordMinLength asks for 10" in await refused(strict, "ca bruno@acme.test shorter")
    await strict.done("ca bruno@acme.test shorter --force displayName Bruno", "ca carla@acme.test ''")
    assert (await strict.directory.accounts.get("bruno@acme.test")).row.display_name == "Bruno"


async def test_must_change(strict: Office) -> None:
    await strict.done("sp anna@acme.test 'second horse 8' --must-change")
    account = (await strict.directory.accounts.get("anna@acme.test")).row
    assert account.must_change_password
    assert "to be changed" in (await strict.command("audit list --limit 1")).out
    await strict.directory.password_rules.change(account.id, "second horse 8", "third horse 9")
    assert not (await strict.directory.accounts.get("anna@acme.test")).row.must_change_password


async def test_the_person_changes_it(strict: Office) -> None:
    anna = (await strict.directory.accounts.get("anna@acme.test")).row.id
    change = strict.directory.password_rules.change

    async def code(old: str, new: str) -> Code:
        with pytest.raises(Fault) as fault:
            await change(anna, old, new)
        return fault.value.code

    assert await code("correct horse 7", "second horse 8") is Code.PASSWORD_CHANGE_TOO_SOON
    strict.clock.turn(2 * DAY)
    assert await code("wrong", "second horse 8") is Code.AUTH_FAILED
    assert await code("", "second horse 8") is Code.AUTH_FAILED
    assert await code("correct horse 7", "") is Code.INVALID_PASSWORD
    assert await code("correct horse 7", "short") is Code.INVALID_PASSWORD
    assert await code("correct horse 7", "correct horse 7") is Code.PASSWORD_RECENTLY_USED
    await change(anna, "correct horse 7", "second horse 8")
    assert await code("correct horse 7", "third horse 9") is Code.AUTH_FAILED


async def test_who_may_not_set_it_learns_nothing_of_it(strict: Office) -> None:
    """Rules and history tell what a password is not, and was: that is for who may set it."""
    await strict.done(
        "idd acme.test", "ca hanna@acme.test '' isDelegatedAdminAccount TRUE", "ca boss@acme.test 'boss horse 77' isAdminAccount TRUE"
    )
    await strict.done("ma boss@acme.test passwordEnforceHistory 3", "grr domain acme.test usr hanna@acme.test help-desk")
    acting = await strict.directory.acting("hanna@acme.test")
    for word in ("boss horse 77", "short", "another horse 8"):
        with pytest.raises(Fault) as fault:
            await acting.password_rules.set("boss@acme.test", word)
        assert fault.value.code is Code.PERM_DENIED
    with pytest.raises(Fault) as fault:
        await acting.password_rules.set("anna@acme.test", "correct horse 7")
    assert fault.value.code is Code.PASSWORD_RECENTLY_USED
