"""Parts of administration that were made apart, against each other: what one takes away another must not give back."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.prov.arguments import words
from gateway.prov.run import Request
from store import app_passwords, breakglass, shares, verify
from tests.gateway.administration import SECOND, Office, Told, opened_office

ROLES = {"dora": "domain", "uma": "user-management", "gus": "group-management", "hanna": "help-desk"}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path, keep_deleted=3600 * SECOND) as office:
        await office.done(
            "cd acme.test",
            "cd other.test",
            "idd acme.test",
            "ca gloria@acme.test '' isGlobalAdministrator TRUE",
            "ca anna@acme.test ''",
            "ca bruno@acme.test ''",
            "ca carl@acme.test ''",
            "ca far@other.test ''",
            "cdl team@acme.test",
            "cdl door@acme.test",
            "cdl strangers@other.test",
        )
        for name, role in ROLES.items():
            await office.done(f"ca {name}@acme.test '' isDelegatedAdminAccount TRUE", f"grr domain acme.test usr {name}@acme.test {role}")
        yield office


async def as_(office: Office, who: str, line: str) -> Told:
    """`procura --as WHO@acme.test LINE`."""
    command, *arguments = words(line)
    return await office.ask(Request(command, tuple(arguments), acting=f"{who}@acme.test"))


async def refused(office: Office, who: str, line: str, why: str = "") -> None:
    told = await as_(office, who, line)
    assert (told.status, told.out) == (1, ""), f"{who} may {line}: {told.out}"
    assert told.err.startswith("ERROR: service.PERM_DENIED"), told.err
    assert why in told.err


async def commanded(office: Office, *lines: str) -> None:
    for line in lines:
        told = await office.command(line)
        assert told.status == 0, f"{line}: {told.err}"


async def number_of(office: Office, name: str) -> int:
    return (await office.directory.accounts.get(name)).row.id


async def is_whole(office: Office) -> None:
    async with office.store.snapshot() as snapshot:
        assert await snapshot.work(verify.strays) == []


async def allowed(office: Office, line: str) -> bool:
    told = await office.command(f"can {line}")
    assert told.err == ""
    return told.status == 0


def spoken(told: Told) -> str:
    return re.sub(r"d-[0-9a-f]{12}", "d-", told.err)


# --- restoring, by a role


@pytest.mark.parametrize("was", ["ma bruno@acme.test isAdminAccount TRUE", "ma bruno@acme.test isDelegatedAdminAccount TRUE", "role"])
async def test_who_was_an_administrator_is_brought_back_by_those_alone_who_could_have_deleted_it(office: Office, was: str) -> None:
    await office.done("grr domain acme.test usr bruno@acme.test help-desk" if was == "role" else was, "da bruno@acme.test")
    await refused(office, "uma", "restore-account bruno@acme.test", "administrator")
    if "isAdminAccount" in was:
        await refused(office, "dora", "restore-account bruno@acme.test", "administrator")
    assert (await as_(office, "gloria", "restore-account bruno@acme.test")).status == 0


async def test_a_restored_account_gets_into_no_list_that_the_role_may_not_fill(office: Office) -> None:
    await office.done(
        "grr account gloria@acme.test grp door@acme.test loginAs",
        "adlm door@acme.test bruno@acme.test",
        "adlm strangers@other.test bruno@acme.test",
        "adlm team@acme.test bruno@acme.test",
        "mdl strangers@other.test +owner bruno@acme.test",
        "da bruno@acme.test",
    )
    told = await as_(office, "uma", "restore-account bruno@acme.test")
    assert told.status == 0, told.err
    assert "bruno" not in (await office.prov("gdl door@acme.test")).out
    assert "bruno" not in (await office.prov("gdl strangers@other.test")).out
    assert "bruno" in (await office.prov("gdl team@acme.test")).out
    # Neither what is in another domain, nor that there is anything, is told to a role.
    assert "door@acme.test" in told.out
    assert not await allowed(office, "bruno@acme.test login-as gloria@acme.test")
    assert (await as_(office, "uma", "prov sp bruno@acme.test newnew77")).status == 0


async def test_the_operator_brings_back_every_membership(office: Office) -> None:
    await office.done("adlm strangers@other.test bruno@acme.test", "mdl strangers@other.test +owner bruno@acme.test", "da bruno@acme.test")
    await commanded(office, "restore-account bruno@acme.test")
    assert (await office.prov("gdl strangers@other.test")).out.count("bruno@acme.test") == 2


async def test_a_dynamic_list_that_leads_to_an_administrator_is_not_entered_by_restoring_under_another_name(office: Office) -> None:
    await office.done(
        "cddl staff@acme.test '(mail=it-*)'",
        "grr account gloria@acme.test grp staff@acme.test loginAs",
        "da bruno@acme.test",
    )
    await refused(office, "uma", "prov ca it-x@acme.test ''", "log in as an administrator")
    await refused(office, "uma", "restore-account bruno@acme.test --to it-bruno@acme.test", "log in as an administrator")


@pytest.mark.parametrize(
    ("there", "not_there"),
    [
        ("restore-account far@other.test", "restore-account ghost@other.test"),
        (
            "break-glass open far@other.test --by gloria@acme.test --reason x",
            "break-glass open ghost@other.test --by gloria@acme.test --reason x",
        ),
        ("break-glass open 2 --by gloria@acme.test --reason x", "break-glass open 9999 --by gloria@acme.test --reason x"),
        ("break-glass close 1", "break-glass close 99"),
        ("prov grr account anna@acme.test cos secret sendAs", "prov grr account anna@acme.test cos ghost sendAs"),
        ("prov sm anna@acme.test mfg / cos secret r", "prov sm anna@acme.test mfg / cos ghost r"),
        ("share create anna@acme.test --members cos:secret --preset read", "share create anna@acme.test --members cos:ghost --preset read"),
        ("prov md acme.test cos secret", "prov md acme.test cos ghost"),
        ("prov cd new.test cos secret", "prov cd new.test cos ghost"),
        ("prov ma anna@acme.test cos secret", "prov ma anna@acme.test cos ghost"),
        ("prov sac anna@acme.test secret", "prov sac anna@acme.test ghost"),
        ("prov ca new@acme.test '' cos secret", "prov ca new@acme.test '' cos ghost"),
        ("prov gc secret", "prov gc ghost"),
        ("prov mc secret quota 0", "prov mc ghost quota 0"),
        ("prov rc secret other", "prov rc ghost other"),
        ("prov cpc secret other", "prov cpc ghost other"),
        ("prov dc secret", "prov dc ghost"),
        ("prov gg -g cos secret", "prov gg -g cos ghost"),
        ("who-can read far@other.test", "who-can read ghost@other.test"),
        ("can far@other.test", "can ghost@other.test"),
        ("can anna@acme.test read far@other.test", "can anna@acme.test read ghost@other.test"),
        ("actor freeze far@other.test", "actor freeze ghost@other.test"),
        ("sessions list --account far@other.test", "sessions list --account ghost@other.test"),
        ("app-password list far@other.test", "app-password list ghost@other.test"),
        ("grants list --owner far@other.test", "grants list --owner ghost@other.test"),
        ("grants list --actor far@other.test", "grants list --actor ghost@other.test"),
        ("share list --member cos:secret", "share list --member cos:ghost"),
        ("policy rollback", "policy rollback"),
    ],
)
async def test_what_a_role_may_not_see_has_the_same_words_there_or_not(office: Office, there: str, not_there: str) -> None:
    await office.done("cc secret quota 0")
    await commanded(office, "break-glass open anna@acme.test --by gloria@acme.test --reason x")
    if "restore" in there:
        await office.done("da far@other.test")
    for who in ROLES:
        first, second = [await as_(office, who, line) for line in (there, not_there)]
        assert spoken(first) == spoken(second), who
        assert (first.status, first.out) == (second.status, second.out), who


# --- denials


async def test_a_denial_comes_back_with_the_account_whatever_else_does(office: Office) -> None:
    await office.done(
        "grr account anna@acme.test dom acme.test sendAs",
        "grr account anna@acme.test usr bruno@acme.test -sendAs",
        "grr account bruno@acme.test dom acme.test sendAs",
        "grr account bruno@acme.test usr carl@acme.test -sendAs",
        "da bruno@acme.test",
    )
    told = await office.command("restore-account bruno@acme.test")
    assert told.status == 0
    assert not await allowed(office, "bruno@acme.test send-as anna@acme.test")
    await office.done("grr account bruno@acme.test dom acme.test sendAs")
    assert not await allowed(office, "carl@acme.test send-as bruno@acme.test")


async def test_a_list_that_is_denied_something_is_not_deleted_before_that_is_decided(office: Office) -> None:
    await office.done(
        "adlm team@acme.test bruno@acme.test",
        "grr account anna@acme.test dom acme.test sendAs",
        "grr account anna@acme.test grp team@acme.test -sendAs",
    )
    told = await office.prov("ddl team@acme.test")
    assert told.status == 1
    assert "-sendAs on anna@acme.test" in told.err
    assert not await allowed(office, "bruno@acme.test send-as anna@acme.test")
    await office.done("rvr account anna@acme.test grp team@acme.test -sendAs", "ddl team@acme.test")
    # Over already: nothing rests on it.
    await office.done("cdl crew@acme.test", "grr account anna@acme.test grp crew@acme.test -sendAs --until 2027-01-15T09:00:00Z")
    assert (await office.prov("ddl crew@acme.test")).status == 1
    office.clock.turn(2 * 3600)
    await office.done("ddl crew@acme.test")
    await is_whole(office)


async def test_a_role_that_deletes_a_denied_list_learns_of_no_other_domain(office: Office) -> None:
    await office.done("grr account far@other.test grp team@acme.test -sendAs")
    told = await as_(office, "gus", "prov ddl team@acme.test")
    assert told.status == 1
    assert "far" not in told.err


# --- break-glass


async def test_a_window_ends_with_the_administration_of_who_has_it(office: Office) -> None:
    await office.done("ca greta@acme.test '' isGlobalAdministrator TRUE")
    await commanded(office, "break-glass open anna@acme.test --by greta@acme.test --reason x")
    assert await allowed(office, "greta@acme.test login-as anna@acme.test")
    await office.done("ma greta@acme.test isAdminAccount FALSE")
    assert not await allowed(office, "greta@acme.test login-as anna@acme.test")
    assert "greta" not in (await office.command("who-can login-as anna@acme.test")).out
    await office.done("ma greta@acme.test isAdminAccount TRUE", "ma anna@acme.test isAdminAccount TRUE")
    assert not await allowed(office, "greta@acme.test login-as anna@acme.test")


async def test_an_administrator_opens_windows_for_itself_alone_under_as(office: Office) -> None:
    await office.done("ca greta@acme.test '' isGlobalAdministrator TRUE")
    await refused(office, "gloria", "break-glass open anna@acme.test --by greta@acme.test --reason x", "for nobody else")
    await refused(office, "dora", "break-glass open anna@acme.test --by dora@acme.test --reason x")
    await refused(office, "hanna", "break-glass open anna@acme.test --by gloria@acme.test --reason x")
    assert (await as_(office, "gloria", "break-glass open anna@acme.test --by gloria@acme.test --reason x")).status == 0
    await refused(office, "dora", "break-glass close 1")
    assert (await as_(office, "gloria", "break-glass close 1")).status == 0
    async with office.store.snapshot() as snapshot:
        (one,) = await snapshot.work(breakglass.newest)
    assert one.closed is not None


async def test_a_window_does_not_outlive_the_account(office: Office) -> None:
    await commanded(office, "break-glass open anna@acme.test --by gloria@acme.test --reason x")
    await office.done("da anna@acme.test")
    await commanded(office, "restore-account anna@acme.test")
    assert not await allowed(office, "gloria@acme.test login-as anna@acme.test")


# --- documents


async def exported(office: Office) -> str:
    return (await office.command("policy export")).out


async def test_taking_a_document_back_gives_nothing_to_who_has_the_name_now(office: Office) -> None:
    await office.done("grr account anna@acme.test usr bruno@acme.test sendAs", "adlm team@acme.test bruno@acme.test x@acme.test")
    before = await exported(office)
    await office.done("rvr account anna@acme.test usr bruno@acme.test sendAs", "rdlm team@acme.test bruno@acme.test")
    without = await exported(office)
    await office.directory.policy.apply(before)
    await office.directory.policy.apply(without)
    await office.done("da bruno@acme.test", "ca bruno@acme.test ''")
    told = await office.command("policy rollback")
    assert told.status == 1
    assert "bruno@acme.test" in told.err
    assert await exported(office) == without
    # Who comes back is who it was.
    await office.done("ra bruno@acme.test b2@acme.test")
    await commanded(office, "restore-account bruno@acme.test", "policy rollback")
    assert await allowed(office, "bruno@acme.test send-as anna@acme.test")


async def test_an_address_that_was_nobodys_is_not_made_a_member_by_taking_back(office: Office) -> None:
    await office.done("adlm team@acme.test x@acme.test")
    text = await exported(office)
    await office.directory.policy.apply(text.replace('members = ["x@acme.test"]', ""))
    assert await exported(office) != text
    await office.done("ca x@acme.test ''", "grr account anna@acme.test grp team@acme.test sendAs")
    assert (await office.command("policy rollback")).status == 1
    assert not await allowed(office, "x@acme.test send-as anna@acme.test")


async def test_a_folder_made_anew_under_the_old_name_is_another(office: Office) -> None:
    await office.done("sm anna@acme.test cf /Work", "sm anna@acme.test mfg /Work account bruno@acme.test r")
    text = await exported(office)
    changed = re.sub(r"\n\[\[[^\n]*\n(?:[^\[\n][^\n]*\n)*?[^\n]*/Work[^\n]*\n(?:[^\[\n][^\n]*\n)*", "\n", text)
    if changed == text:
        changed = "".join(line for line in text.splitlines(keepends=True) if "/Work" not in line)
    await office.directory.policy.apply(changed)
    assert not await allowed(office, "bruno@acme.test read anna@acme.test /Work")
    await office.done("sm anna@acme.test df /Work", "sm anna@acme.test cf /Work")
    assert (await office.command("policy rollback")).status == 1


async def test_suspending_every_domain_leaves_the_global_administrator_in(office: Office) -> None:
    for status in ("closed", "suspended", "locked", "maintenance"):
        text = await exported(office)
        changed = re.sub(r'(?m)^(\[domain\."?acme\.test"?\]\n(?:\w+ = .*\n)*?)status = .*$', rf'\1status = "{status}"', text)
        assert changed != text, text
        await office.directory.policy.apply(changed)
        assert (await as_(office, "gloria", "prov ga anna@acme.test")).status == 0, status
        await refused(office, "dora", "prov ga anna@acme.test", "the account is")
    assert (await as_(office, "gloria", "policy rollback")).status == 0


# --- shares


async def test_a_mailbox_that_goes_with_its_share_can_come_back(office: Office) -> None:
    await commanded(office, "share create support@acme.test --members team@acme.test --preset manage --yes")
    await commanded(office, "share end support@acme.test --delete-mailbox --yes")
    assert "support@acme.test" in (await office.command("deleted")).out
    await commanded(office, "restore-account support@acme.test")
    await is_whole(office)


async def test_who_comes_back_is_a_member_of_the_shares_again(office: Office) -> None:
    await commanded(office, "share create support@acme.test --members bruno@acme.test,team@acme.test --preset manage --yes")
    await office.done("da bruno@acme.test")
    await commanded(office, "restore-account bruno@acme.test --rebind-grants")
    assert "bruno@acme.test" in (await office.command("share show support@acme.test")).out
    assert await allowed(office, "bruno@acme.test read support@acme.test")
    await commanded(office, "share end support@acme.test --yes")
    assert not await allowed(office, "bruno@acme.test read support@acme.test")
    assert not await allowed(office, "bruno@acme.test send-as support@acme.test")


async def test_without_rebinding_nobody_is_a_member_of_anything(office: Office) -> None:
    await commanded(office, "share create support@acme.test --members bruno@acme.test,team@acme.test --preset manage --yes")
    await office.done("da bruno@acme.test")
    await commanded(office, "restore-account bruno@acme.test")
    assert "bruno@acme.test" not in (await office.command("share show support@acme.test")).out


async def test_a_mailbox_that_comes_back_has_its_shares(office: Office) -> None:
    await commanded(office, "share create support@acme.test --members bruno@acme.test,team@acme.test --preset manage --note help --yes")
    before = (await office.command("share show support@acme.test")).out
    await office.done("da support@acme.test")
    await commanded(office, "restore-account support@acme.test --rebind-grants")
    assert (await office.command("share show support@acme.test")).out == before
    await commanded(office, "share end support@acme.test --yes")
    assert not await allowed(office, "bruno@acme.test read support@acme.test")
    async with office.store.snapshot() as snapshot:
        assert await snapshot.work(shares.page, 0, 10) == []


# --- who may


async def test_who_may_through_logging_in_as_a_holder_is_listed(office: Office) -> None:
    await office.done(
        "grr account anna@acme.test usr bruno@acme.test sendAs",
        "grr account bruno@acme.test usr carl@acme.test loginAs",
    )
    told = await office.command("who-can send-as anna@acme.test")
    assert "carl@acme.test" in told.out
    assert "logging in as bruno@acme.test" in told.out
    await office.done("rvr account bruno@acme.test usr carl@acme.test loginAs")
    assert "carl@acme.test" not in (await office.command("who-can send-as anna@acme.test")).out


async def test_credentials_come_back_once(office: Office) -> None:
    await office.done("ca dina@acme.test ''")
    await commanded(
        office, "app-password create dina@acme.test phone", "app-password create dina@acme.test desk --principal anna@acme.test"
    )
    await office.done("da dina@acme.test", "da anna@acme.test")
    await commanded(office, "restore-account dina@acme.test")
    number = await number_of(office, "dina@acme.test")
    async with office.store.snapshot() as snapshot:
        assert [one.scope.name for one in await snapshot.ask(app_passwords.of_account, number)] == ["phone"]  # type: ignore[arg-type]
    await is_whole(office)


async def test_a_member_that_was_kept_as_an_address_is_no_member_twice(office: Office) -> None:
    await office.done("adlm team@acme.test x@acme.test y@acme.test", "ca x@acme.test ''", "adlm team@acme.test x@acme.test")
    assert (await office.prov("gdl team@acme.test")).out.count("x@acme.test") == 1
    # By another name the same: a document names it once.
    await office.done("aaa bruno@acme.test y@acme.test", "adlm team@acme.test bruno@acme.test", "ra bruno@acme.test y@acme.test")
    text = await exported(office)
    assert (await office.directory.policy.apply(text)).plan.changes == ()


@pytest.mark.parametrize("to", ["cos special", "dom acme.test", "all"])
async def test_who_may_log_in_as_an_administrator_by_class_or_domain_is_taken_over_by_no_role(office: Office, to: str) -> None:
    await office.done("cc special", "sac anna@acme.test special", f"grr account gloria@acme.test {to} loginAs")
    await refused(office, "hanna", "prov sp anna@acme.test newnew77", "log in as an administrator")
    await refused(office, "uma", "prov grr account anna@acme.test usr uma@acme.test loginAs", "log in as an administrator")
    if to == "cos special":
        assert (await as_(office, "hanna", "prov sp carl@acme.test newnew77")).status == 0
        assert (await as_(office, "uma", "prov ca new@acme.test ''")).status == 0
        await office.done("md acme.test cos special")
    # Whoever is made there is one of them, too.
    await refused(office, "uma", "prov ca newer@acme.test ''", "log in as an administrator")
    await office.done("da carl@acme.test")
    await refused(office, "uma", "restore-account carl@acme.test", "log in as an administrator")
