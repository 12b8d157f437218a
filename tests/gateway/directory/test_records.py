"""A change and its record are one transaction; what the store refuses is told in the directory's words."""

import pytest

from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.identity import AccountId
from policy.status import AccountStatus
from store.accounts import SetAccountStatus
from store.domains import CreateDomain
from store.errors import Busy, Conflict, NotFound
from tests.gateway.administration import Office


async def test_what_was_refused_is_not_on_record(office: Office) -> None:
    records = Records(office.store)
    await records.do(CreateDomain("acme.test"), "domain created", "acme.test")
    with pytest.raises(Fault, match=r"account\.DOMAIN_EXISTS"):
        await records.do(CreateDomain("acme.test"), "domain created", "acme.test", words={Conflict: Fault(Code.DOMAIN_EXISTS, "acme.test")})
    assert [row.entry.event for row in await office.directory.trail.find(10)] == ["domain created"]


async def test_who_was_overtaken_is_told(office: Office) -> None:
    deed = SetAccountStatus(AccountId(999), AccountStatus.LOCKED)
    with pytest.raises(Fault, match=r"service\.INVALID_REQUEST .*not there any more"):
        await Records(office.store).do(deed, "account changed", "gone")
    with pytest.raises(Fault, match=r"account\.NO_SUCH_ACCOUNT"):
        await Records(office.store).do(deed, "account changed", "gone", words={NotFound: Fault(Code.NO_SUCH_ACCOUNT, "gone")})


async def test_a_store_that_cannot_now_means_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object, **__: object) -> object:
        raise Busy("the disk is full")

    monkeypatch.setattr(office.store, "do", busy, raising=False)
    with pytest.raises(Fault, match=r"service\.TEMPORARILY_UNAVAILABLE .*the disk is full"):
        await Records(office.store).do(CreateDomain("acme.test"), "domain created", "acme.test")


def test_every_code_has_words() -> None:
    for code in Code:
        assert str(Fault(code, "x@acme.test")).startswith(f"{code} (")
        assert "x@acme.test" in Fault(code, "x@acme.test").message
