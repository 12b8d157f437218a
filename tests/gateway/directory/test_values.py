"""Values are checked when they are written, and kept in the form in which policy compares them."""

import pytest

from gateway.directory.faults import Fault
from gateway.directory.values import checked
from tests.gateway.administration import Office


async def test_addresses_are_kept_canonical_and_once(office: Office) -> None:
    await office.done("cd acme.test", "ca anna@acme.test ''", "aaa anna@acme.test a@acme.test")
    own = (await office.directory.accounts.get("anna@acme.test")).row.id
    async with office.store.snapshot() as snapshot:
        found = await checked(snapshot, {"allow_from_addresses": "X@Bücher.TEST, X@bücher.test", "quota": "5m"}, own)
        assert found == {"allow_from_addresses": "X@xn--bcher-kva.test", "quota": "5m"}
        assert await checked(snapshot, {"delegated_sender_addresses": "A+tag@acme.test"}, own) == {
            "delegated_sender_addresses": "a@acme.test"
        }
        assert await checked(snapshot, {"quota": " "}) == {"quota": ""}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("quota", "lots"),
        ("lockout_duration", "1y"),
        ("lockout_enabled", "perhaps"),
        ("delegated_sent", "nobody"),
        ("allow_from_addresses", "nobody"),
        ("allow_from_addresses", "bob@acme.test"),
        ("delegated_sender_addresses", "bob@acme.test"),
        ("delegated_sender_addresses", "x@else.where"),
    ],
)
async def test_what_cannot_be_is_refused(office: Office, field: str, text: str) -> None:
    await office.done("cd acme.test", "ca anna@acme.test ''", "ca bob@acme.test ''")
    own = (await office.directory.accounts.get("anna@acme.test")).row.id
    async with office.store.snapshot() as snapshot:
        with pytest.raises(Fault, match=r"account\.INVALID_ATTR_VALUE"):
            await checked(snapshot, {field: text}, own)
