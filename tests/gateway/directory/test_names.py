"""Which object is meant, and what it is called."""

import pytest

from gateway.directory import names
from gateway.directory.faults import Fault
from policy.grantees import Grantee, GranteeKind
from policy.identity import Address
from tests.gateway.administration import Office


@pytest.mark.parametrize(
    ("name", "shown"),
    [("acme.test", "acme.test"), ("xn--bcher-kva.test", "bücher.test"), ("xn--zzzzzz.test", "xn--zzzzzz.test")],
)
def test_a_domain_is_shown_as_people_write_it(name: str, shown: str) -> None:
    assert names.shown_domain(name) == shown
    assert names.shown(Address("a", name)) == f"a@{shown}"


@pytest.mark.parametrize("text", ["", "a", "a@", "@b.test", "a b@c.test", "a@b@c.test", "a@-b.test", "a\n@b.test"])
def test_what_is_no_address_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(Fault, match=r"service\.INVALID_REQUEST"):
        names.new_address(text)


async def test_an_account_is_found_by_address_alias_and_id_and_never_by_a_tag(office: Office) -> None:
    await office.done("cd bücher.test", "ca Anna@BÜCHER.test ''", "aaa anna@bücher.test a@bücher.test", "cad b.test bücher.test")
    async with office.store.snapshot() as snapshot:
        row = await names.account(snapshot, "anna@xn--bcher-kva.test")
        for text in ("ANNA@bücher.test", "a@bücher.test", "a@b.test", str(row.id)):
            assert (await names.account(snapshot, text)).id == row.id
        for text in ("anna+x@bücher.test", "9999", "", "anna", "9" * 30):
            with pytest.raises(Fault, match=r"account\.NO_SUCH_ACCOUNT"):
                await names.account(snapshot, text)


async def test_a_list_is_no_account_and_the_other_way_round(office: Office) -> None:
    await office.done("cd acme.test", "cdl team@acme.test", "ca anna@acme.test ''")
    async with office.store.snapshot() as snapshot:
        with pytest.raises(Fault, match=r"account\.NO_SUCH_ACCOUNT"):
            await names.account(snapshot, "team@acme.test")
        with pytest.raises(Fault, match=r"account\.NO_SUCH_DISTRIBUTION_LIST"):
            await names.mailing_list(snapshot, "anna@acme.test")


async def test_grantees_have_names_also_when_they_are_gone(office: Office) -> None:
    await office.done("cd acme.test", "cad alias.test acme.test", "cdl team@acme.test", "ca anna@acme.test ''")
    wanted = {
        GranteeKind.ACCOUNT: "anna@acme.test",
        GranteeKind.GROUP: "team@acme.test",
        GranteeKind.DOMAIN: "acme.test",
        GranteeKind.COS: "default",
        GranteeKind.ALL: "",
    }
    async with office.store.snapshot() as snapshot:
        for kind, name in wanted.items():
            found = await names.grantee(snapshot, kind, name)
            assert await snapshot.ask(names.name_of, found) == name
            if kind is not GranteeKind.ALL:
                assert await snapshot.ask(names.name_of, Grantee(kind, 999)) == "#999"
        # An alias domain has no accounts of its own.
        assert await names.grantee(snapshot, GranteeKind.DOMAIN, "alias.test") == await names.grantee(
            snapshot, GranteeKind.DOMAIN, "acme.test"
        )
        called = await snapshot.ask(names.names_of, frozenset({Grantee(GranteeKind.ALL), Grantee(GranteeKind.COS, 1)}))
    call = names.caller(called)
    assert (call(Grantee(GranteeKind.ALL)), call(Grantee(GranteeKind.COS, 1)), call(Grantee(GranteeKind.COS, 7))) == (
        "everybody",
        "cos default",
        "cos #7",
    )
