"""Second factors, asked for as an operator asks, and by the pages to come."""

import json

import pyotp
import pytest

from gateway.directory.faults import Code, Fault
from policy.identity import AccountId
from tests.gateway.administration import Office

ANNA = "anna@acme.test"


async def enrolled(office: Office) -> tuple[AccountId, pyotp.TOTP]:
    await office.done("cd acme.test", f"ca {ANNA} 'correct horse 7' lockoutMaxFailures 3")
    told = json.loads((await office.command(f"totp enroll {ANNA}", as_json=True)).out)
    return (await office.directory.accounts.get(ANNA)).row.id, pyotp.TOTP(told["secret"])


def code(office: Office, totp: pyotp.TOTP) -> str:
    return totp.at(office.clock.at // 1_000_000)


async def test_shown_once_confirmed_used_once_disabled(office: Office) -> None:
    account, totp = await enrolled(office)
    verify = office.directory.second_factors.verify
    assert (await office.command(f"totp status {ANNA}")).out == "to be confirmed; 0 one-time codes left\n"
    assert not await verify(account, code(office, totp), "192.0.2.1"), "not confirmed yet"
    wrong = await office.command(f"totp confirm {ANNA} 000000")
    assert (wrong.status, "account.TWO_FACTOR_AUTH_FAILED" in wrong.err) == (1, True)
    *codes, hint = (await office.command(f"totp confirm {ANNA} {code(office, totp)}")).out.splitlines()
    assert hint.startswith("Each is good once")
    assert not await verify(account, code(office, totp), "192.0.2.1"), "the code of the confirmation was used"
    office.clock.turn(30)
    assert await verify(account, code(office, totp), "192.0.2.1")
    assert not await verify(account, code(office, totp), "192.0.2.1")
    assert await verify(account, codes[0], "192.0.2.1")
    assert not await verify(account, codes[0], "192.0.2.1")
    assert (await office.command(f"totp status {ANNA}")).out == f"confirmed; {len(codes) - 1} one-time codes left\n"
    assert "account.SECOND_FACTOR_EXISTS" in (await office.command(f"totp enroll {ANNA}")).err
    fresh = json.loads((await office.command(f"totp codes {ANNA}", as_json=True)).out)["codes"]
    assert not await verify(account, codes[1], "192.0.2.1")
    office.clock.turn(3600)
    assert await verify(account, fresh[0], "192.0.2.1")
    record = (await office.command("audit list --limit 50")).out
    assert totp.secret not in record
    assert not any(one in record for one in (*codes, *fresh))
    assert (await office.command(f"totp disable {ANNA}")).status == 0
    assert "account.NO_SUCH_SECOND_FACTOR" in (await office.command(f"totp disable {ANNA}")).err
    assert not await verify(account, fresh[1], "192.0.2.1")


async def test_who_guesses_is_locked_out(office: Office) -> None:
    account, totp = await enrolled(office)
    await office.command(f"totp confirm {ANNA} {code(office, totp)}")
    office.clock.turn(30)
    for guess in ("000000", "nonsense", "111111"):
        assert not await office.directory.second_factors.verify(account, guess, "192.0.2.1")
    assert (await office.directory.accounts.get(ANNA)).lockout_until is not None
    assert not await office.directory.second_factors.verify(account, code(office, totp), "192.0.2.1")


async def test_what_cannot_be(office: Office) -> None:
    account, totp = await enrolled(office)
    for line, status in ((f"totp frob {ANNA}", 2), (f"totp confirm {ANNA}", 2), ("totp enroll", 2), ("totp enroll nobody@acme.test", 1)):
        assert (await office.command(line)).status == status
    for word in ("codes", "disable"):
        assert (await office.command(f"totp {word} {ANNA}")).status == (1 if word == "codes" else 0)
    assert "account.NO_SUCH_SECOND_FACTOR" in (await office.command(f"totp confirm {ANNA} 123456")).err
    await office.command(f"totp enroll {ANNA}")
    office.directory.second_factors._key = b"x" * 32
    with pytest.raises(Fault) as fault:
        await office.directory.second_factors.confirm(ANNA, code(office, totp))
    assert fault.value.code is Code.TWO_FACTOR_AUTH_FAILED
    assert "secret.key" in fault.value.message
    assert not await office.directory.second_factors.verify(account, "123456", "")
