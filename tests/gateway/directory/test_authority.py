"""Nothing is done to the directory, and nothing in it is seen, without the roles being asked; and they are asked about what is."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gateway.directory.accounts import AccountChanges
from gateway.directory.authority import Authority, Matter
from gateway.directory.domains import DomainChanges
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.directory.service import Directory
from policy.cos import ATTRIBUTES
from policy.domain_limits import LIMITS
from policy.identity import AccountId
from policy.people import PERSONAL
from policy.roles import ACCOUNT_ATTRIBUTES, DOMAIN_ATTRIBUTES, Operation, Role
from policy.status import AccountStatus, DomainStatus
from store.accounts import SetAccountStatus, SetGlobalAdministrator
from store.errors import Stale
from store.port import Deed
from store.roles import RemoveRole
from tests.architecture.tree import ROOT, modules
from tests.gateway.administration import Office

# Public methods that neither read nor write the directory, and what an owner may read: who asks is known to whoever calls that.
# `change` and `verify` are what a person does, who has to know the old password or the code.
HARMLESS = {
    ("Accounts", "verifiers"),
    ("FirstAccess", "use"),
    ("PasswordRules", "change"),
    ("PasswordRules", "judge"),
    ("SecondFactors", "verify"),
    ("Trail", "seal"),
    ("Trail", "sealed"),
    ("Trail", "about"),
}
ASKING = {"do", "allow", "sees", "only_operator"}


def services() -> list[type]:
    source = ast.parse((ROOT / "gateway/directory/service.py").read_text())
    module = inspect.getmodule(Directory)
    made = {node.func.id for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    found = [getattr(module, name) for name in sorted(made) if inspect.isclass(getattr(module, name, None))]
    return [
        one
        for one in found
        if one.__module__.startswith("gateway.directory.") and one not in (Directory, Records, Authority, Matter, Fault)
    ]


def asks(kind: type, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Does the method ask the records, or another method of its own that does, or a function that is given them and does?"""
    method = inspect.unwrap(getattr(kind, name))
    source = inspect.getsource(method)
    tree = ast.parse("if True:\n" + source if source.startswith(" ") else source)
    for node in ast.walk(tree):
        if given(node, "self._records", method.__globals__):
            return True
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr in ASKING and isinstance(node.value, ast.Attribute) and node.value.attr == "_records":
            return True
        own = isinstance(node.value, ast.Name) and node.value.id == "self" and inspect.isfunction(getattr(kind, node.attr, None))
        if own and node.attr not in seen | {name} and asks(kind, node.attr, seen | {name}):
            return True
    return False


def given(node: ast.AST, records: str, known: dict[str, Any], depth: int = 4) -> bool:
    """Is it a call of a function that is given the records under this name, and asks them?"""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and depth):
        return False
    function = known.get(node.func.id)
    if not inspect.isfunction(function) or records not in map(ast.unparse, node.args):
        return False
    return any(
        (isinstance(one, ast.Attribute) and one.attr in ASKING and ast.unparse(one.value) == "records")
        or given(one, "records", function.__globals__, depth - 1)
        for one in ast.walk(ast.parse(inspect.getsource(function)))
    )


def test_the_services_are_found() -> None:
    assert {"Accounts", "MailingLists", "Mailboxes", "AdminRoles", "Waiting", "Trail"} <= {one.__name__ for one in services()}


@pytest.mark.parametrize("kind", services(), ids=lambda kind: kind.__name__)
def test_every_method_of_a_service_asks(kind: type) -> None:
    public = [
        name
        for name, one in inspect.getmembers(kind)
        if not name.startswith("_") and (inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one))
    ]
    assert public
    assert [name for name in public if (kind.__name__, name) not in HARMLESS and not asks(kind, name)] == []


def changes_without_a_matter(source: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "do"
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "_records"
        and not any(keyword.arg == "matter" for keyword in node.keywords)
    ]


def test_every_change_names_its_operation() -> None:
    assert changes_without_a_matter("async def f(self): await self._records.do(deed, 'x', 'y')") == [1]
    found = {str(path): changes_without_a_matter((ROOT / path).read_text()) for path in modules("gateway")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_every_attribute_that_can_be_set_has_a_row() -> None:
    account = AccountChanges(
        "a", "b", AccountStatus.ACTIVE, "c", True, True, {one.field: "" for one in ATTRIBUTES}, True, dict.fromkeys(PERSONAL, "")
    )
    assert account.attributes == ACCOUNT_ATTRIBUTES.keys()
    assert all(getattr(account, name) is not None for name in AccountChanges.__slots__)
    assert AccountChanges().attributes == frozenset()
    domain = DomainChanges(DomainStatus.ACTIVE, "c", "+", "n", 1, {one.name: "1" for one in LIMITS}, ("c:1",))
    assert domain.attributes == DOMAIN_ATTRIBUTES.keys()
    assert all(getattr(domain, name) is not None for name in DomainChanges.__slots__)
    assert DomainChanges().attributes == frozenset()


# --- in the transaction that writes


async def helper(office: Office) -> Directory:
    """hanna@acme.test of the help desk."""
    await office.done(
        "cd acme.test",
        "idd acme.test",
        "ca hanna@acme.test '' isDelegatedAdminAccount TRUE",
        "ca owner@acme.test ''",
        "ca root@acme.test '' isAdminAccount TRUE",
        "grr domain acme.test usr hanna@acme.test help-desk",
    )
    return await office.directory.acting("hanna@acme.test")


async def before_the_next(office: Office, monkeypatch: pytest.MonkeyPatch, deed: Deed[Any], times: int = 1) -> None:
    """Somebody else is faster by one deed."""
    do: Callable[..., Any] = office.store.do
    left = times

    async def overtaken(asked: Deed[Any], *rest: Any, **more: Any) -> Any:
        nonlocal left
        if left and rest and rest[0] is not None:
            left -= 1
            await do(deed)
        return await do(asked, *rest, **more)

    monkeypatch.setattr(office.store, "do", overtaken, raising=False)


async def test_a_role_that_is_taken_away_meanwhile_counts_no_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    acting = await helper(office)
    assert acting.authority.account is not None
    await before_the_next(office, monkeypatch, RemoveRole(acting.authority.account, Role.HELP_DESK))
    with pytest.raises(Fault, match="no role was granted") as raised:
        await acting.accounts.modify("owner@acme.test", AccountChanges(display_name="New"))
    assert raised.value.code is Code.PERM_DENIED
    assert (await office.directory.accounts.get("owner@acme.test")).row.display_name == ""


async def test_a_role_that_ends_meanwhile_counts_no_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await helper(office)
    await office.command("roles grant hanna@acme.test help-desk --until +1h")
    acting = await office.directory.acting("hanna@acme.test")
    do: Callable[..., Any] = office.store.do

    async def late(asked: Deed[Any], *rest: Any, **more: Any) -> Any:
        office.clock.turn(3600)
        return await do(asked, *rest, **more)

    monkeypatch.setattr(office.store, "do", late, raising=False)
    with pytest.raises(Fault, match="outside its time"):
        await acting.accounts.modify("owner@acme.test", AccountChanges(display_name="New"))
    assert (await office.directory.accounts.get("owner@acme.test")).row.display_name == ""


async def test_a_target_that_becomes_an_administrator_meanwhile_is_out_of_reach(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    acting = await helper(office)
    owner = (await office.directory.accounts.get("owner@acme.test")).row.id
    await before_the_next(office, monkeypatch, SetGlobalAdministrator(owner, True))
    with pytest.raises(Fault, match="needs the role global"):
        await acting.accounts.modify("owner@acme.test", AccountChanges(display_name="New"))


async def test_what_changes_beside_it_only_makes_it_judge_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    acting = await helper(office)
    owner = (await office.directory.accounts.get("owner@acme.test")).row.id
    await before_the_next(office, monkeypatch, SetAccountStatus(owner, AccountStatus.LOCKED), times=3)
    await acting.accounts.modify("owner@acme.test", AccountChanges(display_name="New"))
    assert (await office.directory.accounts.get("owner@acme.test")).row.display_name == "New"


async def test_what_never_stands_still_is_told_to_come_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    acting = await helper(office)
    do: Callable[..., Any] = office.store.do

    async def stale(asked: Deed[Any], *rest: Any, **more: Any) -> Any:
        if rest and rest[0] is not None:
            raise Stale("what was judged has changed")
        return await do(asked, *rest, **more)

    monkeypatch.setattr(office.store, "do", stale, raising=False)
    with pytest.raises(Fault) as raised:
        await acting.accounts.modify("owner@acme.test", AccountChanges(display_name="New"))
    assert raised.value.code is Code.TEMPORARILY_UNAVAILABLE


async def test_a_change_that_names_no_operation_is_the_operators(office: Office) -> None:
    await helper(office)
    root = await office.directory.acting("root@acme.test")
    deed = SetAccountStatus(AccountId(2), AccountStatus.LOCKED)
    with pytest.raises(Fault, match="only the operator of the machine"):
        await root.records.do(deed, "something new", "owner@acme.test")
    await office.directory.records.do(deed, "something new", "owner@acme.test")


async def test_an_administrator_who_is_gone_does_nothing(office: Office) -> None:
    acting = await helper(office)
    await office.done("da hanna@acme.test")
    with pytest.raises(Fault) as raised:
        await acting.allow(Matter(Operation.VIEW_ACCOUNT))
    assert raised.value.code is Code.NO_SUCH_ACCOUNT
