"""What is kept of a deleted account, how it comes back, and how it goes in pieces."""

from pathlib import Path

import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Address
from policy.rights import Right
from policy.scope import Door, Scope
from store import accounts, app_passwords, blobs, deleted, folders, grants, lists, people, subscriptions, totp, verify
from store.accounts import CreateAccount, DeleteAccount, ModifyAccount, RenameAccount, SetVerifier
from store.app_passwords import CreateAppPassword
from store.blobs import Files, SweepBlobs
from store.deleted import Bind, Kind, PurgeDeleted, RestoreDeleted
from store.domains import ModifyDomain
from store.dynamic import CreateDynamicList, SetFilter
from store.errors import Conflict, LimitReached, NotFound
from store.grants import SetFolderEntry, SetSendGrant
from store.lists import CreateList
from store.model import QueueKind, QueueState
from store.queue import AcceptMessage, OntoQueue, queued
from store.subscriptions import Subscribe
from store.totp import EnrolTotp, UseTotp
from tests.store.letters import Bench, letter
from tests.store.test_folders import put

MONTH = 30 * 86_400 * 1_000_000
ANNA = Address("anna", "acme.test")


@pytest.fixture
def bench(bench: Bench) -> Bench:
    made = bench
    put(made, made.inbox(made.anna), 5, keywords=("x",))
    made.do(SetFolderEntry(made.inbox(made.anna), FolderEntry(Grantee(GranteeKind.ACCOUNT, made.bruno), Right.READ, expires=9, note="n")))
    made.do(SetFolderEntry(made.inbox(made.bruno), FolderEntry(Grantee(GranteeKind.ACCOUNT, made.anna), Right.READ)))
    made.do(SetSendGrant(SendGrant(made.anna, Grantee(GranteeKind.ALL), SendRight.SEND_AS, deny=True, undo_window=7)))
    made.do(Subscribe(made.bruno, made.anna, "/INBOX"))
    made.do(ModifyAccount(made.anna, personal={"department": "sales", "sn": "Rossi"}))
    made.do(ModifyAccount(made.anna, values={"password_enforce_history": "3"}))
    for verifier in ("first", "second", "third"):
        made.do(SetVerifier(made.anna, verifier))
    made.do(EnrolTotp(made.anna, b"sealed"))
    made.do(UseTotp(made.anna, b"sealed", 7, confirm=True, codes=(b"one", b"two")))
    for name, principal in (("phone", None), ("team", made.bruno)):
        made.do(CreateAppPassword(made.anna, Scope(0, name, frozenset({Door.IMAP}), principal=principal, expires=9), name, name.encode()))
    made.do(CreateDynamicList(CreateList(Address("sales", "acme.test")), "(department=sales)"))
    return made


def everything(bench: Bench) -> dict[str, list[object]]:
    """Every row there is, but for counters of what happened."""
    names = bench.ask(verify.tables)
    skipped = ("epoch", "migration", "audit")
    return {name: sorted(bench.raw.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names if name not in skipped}


def test_restored_every_row_is_as_it_was(bench: Bench) -> None:
    before = everything(bench)
    facts = bench.ask(deleted.facts_of, bench.anna)
    address = bench.ask(accounts.by_id, bench.anna).address  # type: ignore[union-attr]
    assert bench.do(DeleteAccount(bench.anna, MONTH))
    assert not bench.do(DeleteAccount(bench.anna, MONTH))
    row = bench.ask(deleted.by_address, address)
    assert row is not None
    assert row.facts == facts
    assert bench.ask(folders.of_owner, bench.anna) == []
    assert bench.ask(grants.entries, bench.inbox(bench.bruno)) == []
    assert bench.ask(subscriptions.of_subscriber, bench.bruno) == {}
    bound = bench.do(RestoreDeleted(bench.anna, address, rebind=True))
    assert [one for one in bound if one.why] == []
    assert everything(bench) == before
    bench.check()
    with pytest.raises(NotFound):
        bench.do(RestoreDeleted(bench.anna, address, rebind=True))


def test_a_dynamic_list_has_whom_its_filter_means_by_then(bench: Bench) -> None:
    group = bench.do(CreateDynamicList(CreateList(Address("rossi", "acme.test")), "(sn=rossi)"))
    facts = bench.ask(deleted.facts_of, bench.anna)
    assert facts is not None
    assert (facts.member_of, facts.personal) == ((), {"department": "sales", "sn": "Rossi"})
    bench.do(DeleteAccount(bench.anna, MONTH))
    assert bench.ask(lists.members, group) == []
    bench.do(SetFilter(group, "(sn=bianchi)"))
    bench.do(RestoreDeleted(bench.anna, ANNA, rebind=True))
    assert bench.ask(people.personal, bench.anna) == facts.personal
    assert bench.ask(lists.members, group) == []
    sales = bench.ask(lists.by_address, Address("sales", "acme.test"))
    assert sales is not None
    assert [one.address for one in bench.ask(lists.members, sales.id)] == [ANNA]
    bench.check()


def test_it_does_not_come_back_beyond_what_the_domain_may_have(bench: Bench) -> None:
    row = bench.ask(accounts.by_id, bench.anna)
    assert row is not None
    bench.do(DeleteAccount(bench.anna, MONTH))
    bench.do(ModifyDomain(row.domain, max_accounts=1))
    with pytest.raises(LimitReached):
        bench.do(RestoreDeleted(bench.anna, ANNA, rebind=True))
    bench.do(ModifyDomain(row.domain, max_accounts=2))
    bench.do(RestoreDeleted(bench.anna, ANNA, rebind=True))


def test_an_app_password_does_not_outlive_what_it_is_for(bench: Bench) -> None:
    bench.do(DeleteAccount(bench.anna, MONTH))
    bench.do(DeleteAccount(bench.bruno))
    bound = bench.do(RestoreDeleted(bench.anna, ANNA, rebind=False))
    told = [(one.what, one.why) for one in bound if one.kind is Kind.CREDENTIAL]
    assert told == [("app password phone", ""), ("app password team", "what it was for is gone")]
    assert [one.scope.name for one in bench.ask(app_passwords.of_account, bench.anna)] == ["phone"]
    assert bench.ask(totp.is_required, bench.anna)


def test_an_account_made_anew_has_none_of_the_credentials(bench: Bench) -> None:
    facts = bench.ask(deleted.facts_of, bench.anna)
    assert facts is not None
    assert "sealed" not in repr(facts).replace("sealed=", "")
    assert "first" not in repr(facts)
    other = bench.do(CreateAccount(Address("other", "acme.test")))
    bound = bench.do(Bind(other, facts, {}, rebind=False))
    told = [one.what for one in bound if one.kind is Kind.CREDENTIAL and one.why]
    assert told == ["app password phone", "app password team", "second factor"]
    assert bench.ask(app_passwords.of_account, other) == []
    assert not bench.ask(totp.is_required, other)


def test_nobody_takes_its_number_or_its_folders(bench: Bench) -> None:
    address = bench.ask(accounts.by_id, bench.anna).address  # type: ignore[union-attr]
    inboxes = bench.inbox(bench.anna)
    bench.do(DeleteAccount(bench.anna, MONTH))
    other = bench.do(CreateAccount(address))
    assert other > bench.anna
    assert bench.inbox(other) > inboxes
    with pytest.raises(Conflict):
        bench.do(RestoreDeleted(bench.anna, address, rebind=True))
    with pytest.raises(NotFound):
        bench.do(RestoreDeleted(bench.anna, Address("anna", "elsewhere.test"), rebind=True))
    bench.do(RenameAccount(other, Address("second", address.domain)))
    bench.do(RestoreDeleted(bench.anna, address, rebind=False))
    assert bench.inbox(bench.anna) == inboxes
    bench.check()


def test_it_goes_in_pieces_and_does_not_come_back_from_the_middle(bench: Bench) -> None:
    address = bench.ask(accounts.by_id, bench.anna).address  # type: ignore[union-attr]
    bench.do(DeleteAccount(bench.anna, MONTH))
    assert not bench.do(PurgeDeleted(bench.anna, most=2))
    assert bench.ask(deleted.by_address, address) is None
    assert bench.ask(deleted.overdue) == [bench.anna]
    with pytest.raises(NotFound):
        bench.do(RestoreDeleted(bench.anna, address, rebind=True))
    steps = 1
    while not bench.do(PurgeDeleted(bench.anna, most=2)):
        steps += 1
        assert steps < 100
    bench.do(SweepBlobs())
    left = everything(bench)
    for table in ("message", "wire", "head", "keyword", "blob", "deleted_account", "deleted_folder", "send_grant", "folder_entry"):
        assert left[table] == [], table
    assert bench.do(PurgeDeleted(bench.anna))
    assert bench.do(PurgeDeleted(AccountId(99)))
    bench.check()


@pytest.mark.parametrize("until", [0, MONTH])
def test_what_was_held_for_it_goes_back_to_who_sent_it(bench: Bench, until: int) -> None:
    held = OntoQueue(QueueKind.HELD, "bruno@acme.test", letter(3), "", 1 << 60, account=bench.bruno)
    bench.do(AcceptMessage("", (), (held,)))
    bench.do(DeleteAccount(bench.bruno, until))
    if until:
        while not bench.do(PurgeDeleted(bench.bruno)):
            pass
    bench.do(SweepBlobs())
    (row,) = bench.ask(queued)
    assert (row.state, row.account) == (QueueState.DUE, None)
    assert bench.ask(blobs.octets, row.blob, Files(Path("nowhere"))) == letter(3).octets
    assert bench.ask(verify.strays) == []
    bench.check()


def test_an_administrator_comes_back_as_somebody(bench: Bench) -> None:
    made = bench.do(CreateAccount(Address("root", "acme.test"), is_global_administrator=True))
    bench.do(DeleteAccount(made, MONTH))
    (one,) = bench.do(RestoreDeleted(made, Address("root", "acme.test"), rebind=True))
    assert (one.kind, bool(one.why)) == (Kind.ADMINISTRATION, True)
    row = bench.ask(accounts.by_id, made)
    assert row is not None
    assert not row.is_global_administrator
