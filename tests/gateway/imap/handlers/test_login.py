"""LOGIN and AUTHENTICATE beyond what the listener's tests show."""

from base64 import b64encode

import pytest

from policy.identity import Address
from policy.status import AccountStatus
from store import accounts
from tests.gateway.imap.handlers.house import PASSWORD, House


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (AccountStatus.LOCKED, b"NO [CONTACTADMIN] account is locked"),
        (AccountStatus.CLOSED, b"NO [CONTACTADMIN] account is closed"),
        (AccountStatus.PENDING, b"NO [CONTACTADMIN] account is pending"),
        (AccountStatus.MAINTENANCE, b"NO [UNAVAILABLE] "),
    ],
)
async def test_what_a_refusal_says_depends_on_the_password(house: House, port: int, status: AccountStatus, said: bytes) -> None:
    await house.status("bruno", status)
    client = await house.client(port)
    assert (await client.do("LOGIN bruno@acme.test secret")).tagged.startswith(said)
    assert (await client.do("LOGIN bruno@acme.test wrong")).tagged == b"NO [AUTHENTICATIONFAILED] authentication failed"


@pytest.mark.parametrize("as_whom", ["anna@acme.test", "nobody@acme.test"])
async def test_another_identity_without_the_right_to_it(house: House, port: int, as_whom: str) -> None:
    """The password was right, so it may be said why (RFC 5530 section 3); not, whether there is such an account."""
    client = await house.client(port)
    response = b64encode(f"{as_whom}\0bruno@acme.test\0{PASSWORD}".encode()).decode()
    said = await client.do(f"AUTHENTICATE PLAIN {response}")
    assert said.tagged.startswith(b"NO [AUTHORIZATIONFAILED] you may not act as this account [d-")


async def test_a_password_that_must_be_changed(house: House, port: int) -> None:
    await house.store.do(accounts.SetMustChangePassword(house.ids["bruno"], True))
    assert (await (await house.client(port)).do("LOGIN bruno@acme.test secret")).tagged.startswith(b"NO [EXPIRED] ")


async def test_other_mechanisms_are_not_offered(house: House, port: int) -> None:
    client = await house.client(port)
    assert (await client.do("AUTHENTICATE CRAM-MD5")).tagged.startswith(b"NO")


async def test_sessions_of_one_account_are_counted(house: House, port: int) -> None:
    house.sessions._per_account = 2
    for _ in range(2):
        await house.client(port, "bruno")
    assert (await (await house.client(port)).do("LOGIN bruno@acme.test secret")).tagged.startswith(b"NO [LIMIT]")


@pytest.mark.parametrize("initial", [False, True])
async def test_authenticate_login(house: House, port: int, initial: bool) -> None:
    client = await house.client(port)
    user, password = b64encode(b"bruno@acme.test"), b64encode(PASSWORD.encode())
    client.writer.write(b"a AUTHENTICATE LOGIN" + (b" " + user if initial else b"") + b"\r\n")
    if not initial:
        assert await client.line() == b"+ " + b64encode(b"Username:")
        client.writer.write(user + b"\r\n")
    assert await client.line() == b"+ " + b64encode(b"Password:")
    client.writer.write(password + b"\r\n")
    assert (await client.until("a")).ok


async def test_authenticate_login_refused_and_cancelled(house: House, port: int) -> None:
    client = await house.client(port)
    client.writer.write(b"a AUTHENTICATE LOGIN " + b64encode(b"bruno@acme.test") + b"\r\n")
    await client.line()
    client.writer.write(b64encode(b"wrong") + b"\r\n")
    assert (await client.until("a")).tagged.startswith(b"NO [AUTHENTICATIONFAILED]")
    client.writer.write(b"b AUTHENTICATE LOGIN\r\n")
    await client.line()
    client.writer.write(b"*\r\n")
    assert (await client.until("b")).tagged.startswith(b"BAD")


async def test_a_session_whose_account_gets_another_address_ends(house: House, port: int) -> None:
    """It would list its own folders as another's, and those of whoever has its old address now as its own."""
    anna = await house.client(port, "anna")
    await house.store.do(accounts.RenameAccount(house.ids["anna"], Address("anne", "acme.test")))
    assert await anna.line() == b"* BYE the account was renamed"
