"""What is remembered of a sender saves statements, and nothing that changes meanwhile goes unnoticed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.own_senders import OwnSenders
from gateway.refusal import Refused
from gateway.sending import Gathered
from policy.grants import SendRight
from policy.quota import AggregatePolicy, DomainLimits
from policy.reasons import Reason
from policy.status import AccountStatus
from store.accounts import DeleteAccount, RenameAccount
from store.addresses import AddAlias, RemoveAlias
from store.domains import ModifyDomain
from store.sqlite import SqliteTx
from tests.gateway.house import House, address, letter, opened


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "olga") as house:
        yield house


async def gathered(house: House, senders: OwnSenders, *named: str) -> Gathered:
    async with house.store.snapshot() as snapshot:
        found = await senders.gathered(snapshot, house.actor("anna"), [address(one) for one in named])
    assert isinstance(found, Gathered)
    return found


def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every named statement of a reader from now on; an epoch is none."""
    statements: list[str] = []
    all_of, one_of = SqliteTx.all, SqliteTx.one

    def every(tx: SqliteTx, statement: str, /, **parameters: object) -> object:
        statements.append(statement)
        return all_of(tx, statement, **parameters)

    def one(tx: SqliteTx, statement: str, /, **parameters: object) -> object:
        statements.append(statement)
        return one_of(tx, statement, **parameters)

    monkeypatch.setattr(SqliteTx, "all", every)
    monkeypatch.setattr(SqliteTx, "one", one)
    return statements


async def test_the_next_message_asks_for_nothing_but_epochs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    senders = OwnSenders()
    first = await gathered(house, senders, "anna")
    statements = noted(monkeypatch)
    assert await gathered(house, senders, "anna") is first
    assert await gathered(house, senders) is first
    assert statements == []


async def test_a_message_of_ones_own_from_its_mail_to_its_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.submit("anna", "anna@acme.test", "bruno", letter())
    statements = noted(monkeypatch)
    transaction = await house.submission.begin(house.actor("anna"), address("anna"), smtputf8=False)
    assert statements == []
    await transaction.add(address("bruno"))
    assert statements == [], "the recipient is known from the message before (known_recipients.py)"


async def test_another_address_is_asked_about(house: House) -> None:
    senders = OwnSenders()
    await gathered(house, senders, "anna")
    assert address("olga") in (await gathered(house, senders, "olga")).facts.principals
    assert address("olga") not in (await gathered(house, senders, "anna")).facts.principals


async def _alias_goes(house: House) -> None:
    await house.store.do(RemoveAlias(house.ids["anna"], address("sales")))


async def _renamed(house: House) -> None:
    await house.store.do(RenameAccount(house.ids["anna"], address("ann")))


async def _domain_cut(house: House) -> None:
    await house.store.do(ModifyDomain(house.acme, delimiter="-"))


async def _modified(house: House) -> None:
    await house.values("anna", send_rate="2/1h")


@pytest.mark.parametrize("change", [_alias_goes, _renamed, _domain_cut, _modified])
async def test_what_has_changed_is_gathered_anew(house: House, change: Callable[[House], Awaitable[None]]) -> None:
    senders = OwnSenders()
    await house.store.do(AddAlias(house.ids["anna"], address("sales")))
    before = await gathered(house, senders, "sales")
    await change(house)
    after = await gathered(house, senders, "sales")
    assert (before.facts, before.person_values) != (after.facts, after.person_values)


async def test_who_is_closed_or_gone_sends_nothing_more(house: House) -> None:
    await house.submit("anna", "anna@acme.test", "bruno", letter())
    begun = await house.submission.begin(house.actor("anna"), address("anna"), smtputf8=False)
    await begun.add(address("bruno"))
    await house.status("anna", AccountStatus.CLOSED)
    with pytest.raises(Refused) as refused:
        await begun.commit(letter())
    assert refused.value.verdict.reason is Reason.SESSION_ENDED
    await house.status("anna", AccountStatus.ACTIVE)
    await house.submit("anna", "anna@acme.test", "bruno", letter())
    await house.store.do(DeleteAccount(house.ids["anna"]))
    with pytest.raises(Refused):
        await house.submission.begin(house.actor("anna"), address("anna"), smtputf8=False)
    assert len(await house.mail("bruno")) == 2


async def test_a_change_at_the_last_moment_is_seen_by_the_deed(house: House) -> None:
    await house.submit("anna", "anna@acme.test", "bruno", letter())
    house.store.before.append(lambda: house.status("anna", AccountStatus.LOCKED))
    with pytest.raises(Refused):
        await house.submit("anna", "anna@acme.test", "bruno", letter())
    assert len(await house.mail("bruno")) == 1


async def test_how_full_a_domain_is_has_no_epoch_so_it_is_always_asked(house: House) -> None:
    limits = DomainLimits(aggregate_quota=2000, policy=AggregatePolicy.BLOCK_SEND)
    await house.store.do(ModifyDomain(house.acme, limits=limits))
    await house.submit("anna", "anna@acme.test", "bruno", letter())
    await house.submit("anna", "anna@acme.test", "bruno", letter(text="x" * 2000))
    with pytest.raises(Refused) as refused:
        await house.submit("anna", "anna@acme.test", "bruno", letter())
    assert refused.value.verdict.reason is Reason.OVER_QUOTA


async def test_rights_of_others_are_never_remembered(house: House) -> None:
    await house.grant("olga", "anna", SendRight.SEND_AS)
    senders = OwnSenders()
    assert not (await gathered(house, senders, "olga")).lasting
    assert await gathered(house, senders, "olga") is not await gathered(house, senders, "olga")


async def test_no_more_are_kept_than_agreed(house: House) -> None:
    senders = OwnSenders(most=1)
    first = await gathered(house, senders, "anna")
    async with house.store.snapshot() as snapshot:
        await senders.gathered(snapshot, house.actor("bruno"), [])
    assert await gathered(house, senders, "anna") is not first


async def test_another_may_drop_what_is_kept_while_it_is_confirmed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    senders = OwnSenders()
    first = await gathered(house, senders, "anna")
    async with house.store.snapshot() as snapshot:
        confirms = type(snapshot).confirms

        async def slowly(self: Any, witness: Any) -> bool:
            senders._kept.clear()
            return await confirms(self, witness)

        monkeypatch.setattr(type(snapshot), "confirms", slowly)
        assert await senders.gathered(snapshot, house.actor("anna"), [address("anna")]) is first
