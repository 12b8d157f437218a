"""Admin roles as they are typed: `--as` in front of the verbs, every way out of the domain and upwards, and `procura roles`."""

import json
import re

import pytest

from gateway.prov.arguments import words
from gateway.prov.run import Request
from tests.gateway.administration import Office, Told

ROLES = {
    "dora": "domain",
    "dele": "delegated-domain",
    "uma": "user-management",
    "gus": "group-management",
    "hanna": "help-desk",
}
GLOBAL, ALL = "gloria", ("gloria", *ROLES)


@pytest.fixture
async def acme(office: Office) -> Office:
    """acme.test with an administrator of each role, owner, delegate, the lists team and door; other.test with one person and a list."""
    await office.done(
        "cd acme.test",
        "cad acme.example acme.test",
        "cd other.test",
        "idd acme.test",
        "idd other.test",
        "cc rich quota 0",
        "ca gloria@acme.test '' isGlobalAdministrator TRUE",
        "ca owner@acme.test ''",
        "ca delegate@acme.test ''",
        "ca stranger@other.test ''",
        "cdl team@acme.test",
        "cdl door@acme.test",
        "cdl strangers@other.test",
        "adlm team@acme.test delegate@acme.test",
    )
    for name, role in ROLES.items():
        await office.done(f"ca {name}@acme.test '' isDelegatedAdminAccount TRUE", f"grr domain acme.test usr {name}@acme.test {role}")
    return office


async def typed(office: Office, who: str, line: str, command: str = "prov") -> Told:
    """`procura --as WHO@acme.test prov LINE`."""
    return await office.ask(Request(command, tuple(words(line)), acting=f"{who}@acme.test"))


async def refused(office: Office, who: str, line: str, why: str = "", command: str = "prov") -> None:
    """With a number under which it is on record; nothing else is on record after it, so nothing was changed."""
    told = await typed(office, who, line, command)
    assert told.status == 1, f"{who} may {line}: {told.out}"
    found = re.fullmatch(r"ERROR: service\.PERM_DENIED \(permission denied: (.*) \[(d-[0-9a-f]{12})\]\)\n", told.err)
    assert found is not None, f"{who} {line}: {told.err}"
    assert why in found[1], f"{who} {line}"
    (row,) = await office.directory.trail.find(1)
    assert (row.entry.decision, row.entry.allowed, row.entry.actor_address) == (found[2], False, f"{who}@acme.test")


async def dump(office: Office) -> list[str]:
    """All there is, as the operator sees it."""
    lines = ("gaa -v", "gadl -v", "gad -v", "gac -v", "gg -t account owner@acme.test", "sm owner@acme.test gfg /", "sm owner@acme.test gaf")
    return [(await office.prov(line)).out for line in lines]


# The least that each verb needs, by hand: who may (Global may all), on a normal account or list of the own domain.
MAY = [
    ("ga owner@acme.test", "dora dele uma hanna"),
    ("gaa acme.test", "dora dele uma hanna"),
    ("gam owner@acme.test", "dora dele uma hanna"),
    ("gqu acme.test", "dora dele uma hanna"),
    ("ma owner@acme.test displayName New", "dora dele uma hanna"),
    ("ma owner@acme.test department Sales sn Owner", "dora dele uma hanna"),
    ("sa (uid=*) domain acme.test", "dora dele uma hanna"),
    ("cta acme.test", "dora dele uma hanna"),
    ("ca @acme.test '' sn New", "dora dele uma"),
    ("cddl new@acme.test (uid=*)", ""),
    ("cpc rich richer", ""),
    ("sp owner@acme.test newnew", "dora dele uma hanna"),
    ("ma owner@acme.test mustChangePassword TRUE", "dora dele uma hanna"),
    ("ma owner@acme.test status locked", "dora dele uma"),
    ("ma owner@acme.test displayName New status locked", "dora dele uma"),
    ("ma owner@acme.test quota 1g", ""),
    ("ma owner@acme.test isDelegatedAdminAccount TRUE", "dora"),
    ("ma owner@acme.test isAdminAccount TRUE", ""),
    ("sac owner@acme.test rich", ""),
    ("ca new@acme.test ''", "dora dele uma"),
    ("ca new@acme.test '' isDelegatedAdminAccount TRUE", "dora"),
    ("ca new@acme.test '' isAdminAccount TRUE", ""),
    ("ca new@acme.test '' cos rich", ""),
    ("ra owner@acme.test renamed@acme.test", "dora dele uma"),
    ("da owner@acme.test", "dora dele uma"),
    ("aaa owner@acme.test alias@acme.test", "dora dele uma"),
    ("gdl team@acme.test", "dora dele uma gus"),
    ("gadl acme.test", "dora dele uma gus"),
    ("cdl new@acme.test", "dora dele uma gus"),
    ("mdl team@acme.test displayName New", "dora dele uma gus"),
    ("mdl team@acme.test +owner owner@acme.test", "dora dele uma gus"),
    ("rdl team@acme.test renamed@acme.test", "dora dele uma gus"),
    ("ddl team@acme.test", "dora dele uma gus"),
    ("adlm team@acme.test owner@acme.test", "dora dele uma gus"),
    ("adlm team@acme.test somebody@elsewhere.example", "dora dele uma gus"),
    ("rdlm team@acme.test delegate@acme.test", "dora dele uma gus"),
    ("adla team@acme.test alias@acme.test", "dora dele uma gus"),
    ("grr account owner@acme.test usr delegate@acme.test sendAs", "dora dele uma"),
    ("grr account owner@acme.test usr delegate@acme.test loginAs", "dora dele uma"),
    ("grr dl team@acme.test usr delegate@acme.test sendToDistList", "dora dele uma gus"),
    ("gg -t account owner@acme.test", "dora dele uma"),
    ("gg -t dl team@acme.test", "dora dele uma gus"),
    ("ckr account owner@acme.test delegate@acme.test sendAs", "dora dele uma"),
    ("sm owner@acme.test mfg / account delegate@acme.test rw", "dora dele uma"),
    ("sm owner@acme.test gfg /", "dora dele uma"),
    ("sm owner@acme.test gaf", "dora dele uma"),
    ("sm owner@acme.test cf /New", "dora dele uma"),
    ("sm owner@acme.test mf /INBOX inherit false", "dora dele uma"),
    ("gd acme.test", "dora dele"),
    ("md acme.test note New", "dora"),
    ("md acme.test delimiter -", "dora"),
    ("md acme.test maxAccounts 0", ""),
    ("md acme.test cos rich", ""),
    ("idd acme.test", ""),
    ("cd new.test", ""),
    ("cad new.test acme.test", ""),
    ("dd acme.example", ""),
    ("cc new", ""),
    ("mc rich quota 0", ""),
    ("gc rich", ""),
    ("gac", ""),
    ("grr domain acme.test usr owner@acme.test help-desk", "dora"),
    ("grr domain acme.test usr owner@acme.test domainAdminRights", "dora"),
]


@pytest.mark.parametrize(("line", "who"), MAY)
async def test_who_may_type_what(acme: Office, line: str, who: str) -> None:
    before = await dump(acme)
    for name in ROLES:
        if name not in who.split():
            await refused(acme, name, line, "needs the role")
    assert await dump(acme) == before
    # Each that may does it in a directory of its own: nothing is left of what the others did.
    for name in (who.split()[-1] if who else GLOBAL,):
        told = await typed(acme, name, line)
        assert (told.status, told.err) == (0, ""), f"{name} {line}"


@pytest.mark.parametrize(
    "line",
    [
        # out of the domain, and into it
        "ra owner@acme.test owner@other.test",
        "ra stranger@other.test stranger@acme.test",
        "aaa owner@acme.test alias@other.test",
        "aaa stranger@other.test alias@acme.test",
        "ca new@other.test ''",
        "cdl new@other.test",
        "rdl team@acme.test team@other.test",
        "rdl strangers@other.test strangers@acme.test",
        "adla team@acme.test team@other.test",
        "adlm team@acme.test stranger@other.test",
        "adlm team@acme.test strangers@other.test",
        "adlm team@acme.test nobody@other.test",
        "adlm strangers@other.test owner@acme.test",
        "mdl team@acme.test +owner stranger@other.test",
        "grr account owner@acme.test usr stranger@other.test sendAs",
        "grr account owner@acme.test dom other.test sendAs",
        "grr account owner@acme.test all sendAs",
        "grr account owner@acme.test cos rich sendAs",
        "grr account stranger@other.test usr owner@acme.test sendAs",
        "sm owner@acme.test mfg / group strangers@other.test r",
        "sm owner@acme.test mfg / all r",
        "sm stranger@other.test mfg / account owner@acme.test r",
        "sm stranger@other.test gaf",
        "da stranger@other.test",
        "sp stranger@other.test newnew",
        "ga stranger@other.test",
        "gam stranger@other.test",
        "gaa other.test",
        "gdl strangers@other.test",
        "gd other.test",
        "md other.test note New",
        "gg -t account stranger@other.test",
        "gg -g usr stranger@other.test",
        "ckr account stranger@other.test owner@acme.test sendAs",
        "grr domain other.test usr stranger@other.test help-desk",
    ],
)
async def test_no_role_reaches_beyond_its_domain(acme: Office, line: str) -> None:
    before = await dump(acme)
    for name in ROLES:
        # What lacks the operation itself is told so where the other domain is only that of a grantee.
        await refused(acme, name, line, "needs the role")
    await refused(acme, "dora", line, "is for the own domain: beyond it needs the role global")
    assert await dump(acme) == before
    told = await typed(acme, GLOBAL, line)
    assert (told.status, told.err) == (0, "")


@pytest.mark.parametrize(
    ("there", "not_there"),
    [
        ("ga stranger@other.test", "ga ghost@other.test"),
        ("ra owner@acme.test stranger@other.test", "ra owner@acme.test ghost@other.test"),
        ("aaa owner@acme.test stranger@other.test", "aaa owner@acme.test x@ghost.test"),
        ("adlm team@acme.test stranger@other.test", "adlm team@acme.test ghost@other.test"),
        ("gdl strangers@other.test", "gdl ghosts@other.test"),
        ("gd other.test", "gd ghost.test"),
        ("ca stranger@other.test ''", "ca ghost@other.test ''"),
        ("grr account stranger@other.test usr stranger@other.test sendAs", "grr account ghost@other.test usr ghost@other.test sendAs"),
        ("grr domain other.test usr stranger@other.test help-desk", "grr domain other.test usr ghost@other.test help-desk"),
        ("adlm strangers@other.test strangers@other.test", "adlm ghosts@other.test ghosts@other.test"),
        ("sm stranger@other.test cf /New", "sm ghost@other.test cf /New"),
        ("md other.test note x", "md ghost.test note x"),
        ("mdl team@acme.test +owner stranger@other.test", "mdl team@acme.test +owner ghost@other.test"),
        ("sm owner@acme.test mfg / group strangers@other.test r", "sm owner@acme.test mfg / group ghosts@other.test r"),
        ("grr account owner@acme.test usr stranger@other.test sendAs", "grr account owner@acme.test usr ghost@other.test sendAs"),
        ("grr account owner@acme.test dom other.test sendAs", "grr account owner@acme.test dom ghost.test sendAs"),
        ("ckr account owner@acme.test stranger@other.test sendAs", "ckr account owner@acme.test ghost@other.test sendAs"),
        ("gg -g usr stranger@other.test", "gg -g usr ghost@other.test"),
    ],
)
async def test_whether_something_is_there_in_another_domain_shows_in_nothing(acme: Office, there: str, not_there: str) -> None:
    for name in ROLES:
        first, second = [re.sub(r"d-[0-9a-f]{12}", "d-", (await typed(acme, name, line)).err) for line in (there, not_there)]
        assert first == second
        assert first.startswith("ERROR: service.PERM_DENIED")


async def test_a_number_tells_nothing_of_another_domain_either(acme: Office) -> None:
    stranger = json.loads((await acme.prov("ga stranger@other.test id", as_json=True)).out)["attributes"]["id"]
    for number in (stranger, 99999):
        await refused(acme, "hanna", f"ga {number}", "beyond it")
    assert (await typed(acme, "hanna", "ga ghost@acme.test")).err.startswith("ERROR: account.NO_SUCH_ACCOUNT")


async def test_listings_show_the_own_domain(acme: Office) -> None:
    assert "stranger@other.test" not in (await typed(acme, "hanna", "gaa")).out
    assert "owner@acme.test" in (await typed(acme, "hanna", "gaa")).out
    assert (await typed(acme, "dele", "gad")).out == "acme.example\nacme.test\n"
    assert (await typed(acme, "gus", "gadl")).out == "team@acme.test\ndoor@acme.test\n"
    await refused(acme, "gus", "gaa", "to view an account needs the role help-desk")
    await refused(acme, "uma", "gad", "to view a domain needs the role delegated-domain")
    await refused(acme, "owner", "gadl", "no role was granted")
    assert (await typed(acme, "dora", "list", "roles")).out.count("acme.test  ") > 4
    assert "stranger@other.test" in (await typed(acme, GLOBAL, "gaa")).out


HIGHER = {  # whom each may not act on; of the own height only Domain may act on another
    "dora": ("gloria",),
    "dele": ("gloria", "dora", "dele", "uma", "gus", "hanna"),
    "uma": ("gloria", "dora", "dele", "uma", "gus", "hanna"),
    "hanna": ("gloria", "dora", "dele", "uma", "gus", "hanna"),
}


@pytest.mark.parametrize("who", HIGHER)
async def test_nobody_acts_on_a_higher_role(acme: Office, who: str) -> None:
    for target in HIGHER[who]:
        name = f"{target}@acme.test"
        for line in (
            f"ma {name} displayName New",
            f"da {name}",
            f"ra {name} x@acme.test",
            f"aaa {name} x@acme.test",
            f"ma {name} status closed",
        ):
            await refused(acme, who, line)
        for line in (
            f"ma {name} isDelegatedAdminAccount FALSE",
            f"ma {name} isAdminAccount FALSE",
            f"rvr domain acme.test usr {name} {ROLES.get(target, 'domain')}",
        ):
            await refused(acme, who, line)


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("target", ALL)
async def test_nobody_but_global_takes_over_an_administrator(acme: Office, who: str, target: str) -> None:
    name = f"{target}@acme.test"
    for line in (
        f"sp {name} new",
        f"ma {name} mustChangePassword FALSE",
        f"grr account {name} usr owner@acme.test loginAs",
        f"grr account {name} usr {who}@acme.test sendAs",
        f"sm {name} mfg / account {who}@acme.test rwixda",
        f"sm {name} gaf",
    ):
        await refused(acme, who, line)
    await refused(acme, who, name, command="unlock")


@pytest.mark.parametrize("who", ROLES)
async def test_nobody_moves_up(acme: Office, who: str) -> None:
    own = f"{who}@acme.test"
    await refused(acme, who, f"ma {own} isAdminAccount TRUE")
    await refused(acme, who, f"grant {own} global", command="roles")
    if who != "dora":
        for role in ROLES.values():
            await refused(acme, who, f"grr domain acme.test usr {own} {role}")
            await refused(acme, who, f"grant owner@acme.test {role}", command="roles")
    await refused(acme, who, f"sac {own} rich")


async def test_a_domain_administrator_manages_those_of_the_domain(acme: Office) -> None:
    for line in ("ma hanna@acme.test displayName Hanna", "rvr domain acme.test usr hanna@acme.test help-desk", "da dele@acme.test"):
        assert (await typed(acme, "dora", line)).err == ""
    assert (await typed(acme, "dora", "grant owner@acme.test domain", "roles")).status == 0
    assert (await typed(acme, "dora", "revoke owner@acme.test domain", "roles")).status == 0
    assert (await typed(acme, "hanna", "ga owner@acme.test")).err.startswith(
        "ERROR: service.PERM_DENIED (permission denied: no admin role counts"
    )


async def test_a_way_to_become_an_administrator_through_somebody_else_is_closed(acme: Office) -> None:
    await acme.done(
        "grr account dora@acme.test grp door@acme.test loginAs",
        "grr account dora@acme.test usr delegate@acme.test loginAs",
        "cdl outer@acme.test",
        "adlm door@acme.test outer@acme.test",
    )
    await refused(acme, "gus", "adlm door@acme.test gus@acme.test", "log in as an administrator needs the role global")
    await refused(acme, "gus", "adlm outer@acme.test gus@acme.test", "needs the role global")
    await refused(acme, "gus", "mdl door@acme.test +owner gus@acme.test", "needs the role global")
    await refused(acme, "hanna", "sp delegate@acme.test newnew", "needs the role global")
    await refused(acme, "uma", "grr account delegate@acme.test usr owner@acme.test loginAs", "needs the role global")
    assert (await typed(acme, "hanna", "sp owner@acme.test newnew")).status == 0


async def test_the_last_global_administrator_stays(acme: Office) -> None:
    for line in ("da gloria@acme.test", "ma gloria@acme.test isAdminAccount FALSE", "ma gloria@acme.test status closed"):
        await refused(acme, GLOBAL, line, "no global administrator")
    await refused(acme, GLOBAL, "revoke gloria@acme.test global", "no global administrator", command="roles")
    await acme.done("ma owner@acme.test isAdminAccount TRUE")
    assert (await typed(acme, GLOBAL, "da gloria@acme.test")).err == ""
    assert (await acme.prov("da owner@acme.test")).status == 0  # the operator of the machine can always make another


async def test_a_partial_change_is_no_change(acme: Office) -> None:
    await refused(acme, "hanna", "ma owner@acme.test displayName New quota 0", "to set quota needs the role global")
    await refused(acme, "uma", "adlm team@acme.test owner@acme.test stranger@other.test", "beyond it")


# --- before a role counts


async def test_nothing_counts_before_all_of_it_is_there(acme: Office) -> None:
    await acme.done("cd late.test", "ca anna@late.test ''", "ca bruno@late.test ''")

    async def outcome() -> str:
        told = await acme.ask(Request("prov", ("ga", "bruno@late.test"), acting="anna@late.test"))
        return "" if told.status == 0 else told.err.split("no admin role counts: ")[1].split(" [")[0]

    assert await outcome() == "no role was granted"
    granted = await acme.command("roles grant anna@late.test help-desk")
    assert (granted.status, granted.out) == (
        0,
        "it does not count yet: the account is not marked as delegated administrator (isDelegatedAdminAccount)\n",
    )
    assert "isDelegatedAdminAccount" in await outcome()
    await acme.done("ma anna@late.test isDelegatedAdminAccount TRUE")
    assert "initDomainForDelegation" in await outcome()
    await acme.done("initDomainForDelegation late.test")
    assert await outcome() == ""
    for taken, given in (
        ("ma anna@late.test status locked", "ma anna@late.test status active"),
        ("md late.test status suspended", "md late.test status active"),
        ("ra anna@late.test anna@acme.test", None),
    ):
        await acme.done(taken)
        if given is None:
            break
        assert await outcome() != ""
        await acme.done(given)
        assert await outcome() == ""
    await refused(acme, "anna", "ga owner@acme.test", "the account has left the domain of its role")


async def test_a_role_has_its_time(acme: Office) -> None:
    assert (await acme.command("roles grant owner@acme.test help-desk --from +1h --until +2h --note 'summer help'")).status == 0
    await acme.done("ma owner@acme.test isDelegatedAdminAccount TRUE")
    await refused(acme, "owner", "ga delegate@acme.test", "outside its time")
    acme.clock.turn(3600)
    assert (await typed(acme, "owner", "ga delegate@acme.test")).status == 0
    shown = (await acme.command("roles show owner@acme.test")).out
    assert "until 2027-" in shown
    assert "summer help" in shown
    acme.clock.turn(3600)
    await refused(acme, "owner", "ga delegate@acme.test", "outside its time")


async def test_who_is_none_acts_as_nobody(acme: Office) -> None:
    told = await typed(acme, "ghost", "ga owner@acme.test")
    assert (told.status, told.err) == (1, "ERROR: account.NO_SUCH_ACCOUNT (no such account: ghost@acme.test)\n")
    await refused(acme, "owner", "ga owner@acme.test", "no role was granted")


# --- commands besides prov


async def test_the_commands_are_judged_too(acme: Office) -> None:
    await acme.done("sm owner@acme.test mfg / account delegate@acme.test r")
    for line, who in (
        ("can delegate@acme.test read owner@acme.test", "uma"),
        ("sessions owner@acme.test", "hanna"),
        ("sessions end --account owner@acme.test", "hanna"),
        ("logins owner@acme.test", "hanna"),
        ("app-password create owner@acme.test phone --principal delegate@acme.test", "hanna"),
        ("app-password list owner@acme.test", "hanna"),
        ("app-password revoke owner@acme.test phone", "hanna"),
        ("app-password revoke owner@acme.test --all", "hanna"),
        ("unlock owner@acme.test", "hanna"),
        ("roles list acme.test", "dora"),
        ("roles show hanna@acme.test", "dora"),
    ):
        command, *rest = line.split()
        told = await typed(acme, who, " ".join(rest), command)
        assert (told.status, told.err) == (0, ""), line
        await refused(acme, "gus", " ".join(rest), command=command)
    for line in ("queue list", "queue retry", "queue drop 1", "sessions", "audit verify", "audit list", "dkim list"):
        command, *rest = line.split()
        for name in ROLES:
            await refused(acme, name, " ".join(rest), command=command)
    await refused(acme, "uma", "delegate@acme.test read stranger@other.test", command="can")
    for line in (
        "app-password create dora@acme.test door",  # else the help desk could log in as an administrator
        "app-password list dora@acme.test",
        "app-password revoke dora@acme.test --all",
        "app-password create stranger@other.test phone",
        "app-password create owner@acme.test phone --principal stranger@other.test",
        "sessions end --account stranger@other.test",
        "sessions stranger@other.test",
        "logins stranger@other.test",
    ):
        command, *rest = line.split()
        await refused(acme, "hanna", " ".join(rest), command=command)
    for line in ("queue list", "sessions", "audit verify", "roles list"):
        command, *rest = line.split()
        assert (await typed(acme, GLOBAL, " ".join(rest), command)).status == 0, line


async def test_what_waits_at_lists_is_their_administrators(acme: Office) -> None:
    for line in ("pending", "held team@acme.test", "bounces team@acme.test", "members team@acme.test"):
        await refused(acme, "hanna", line, "needs the role group-management", command="list")
        assert (await typed(acme, "gus", line, "list")).status == 0, line
    for line in ("pending strangers@other.test", "bounces strangers@other.test", "resume strangers@other.test x@elsewhere.example"):
        await refused(acme, "gus", line, "beyond it", command="list")


async def test_freezing_is_user_managements(acme: Office) -> None:
    for side in ("principal", "actor"):
        await refused(acme, "hanna", "freeze owner@acme.test", "needs the role user-management", command=side)
        await refused(acme, "uma", "freeze hanna@acme.test", "needs the role domain", command=side)
        await refused(acme, "uma", "freeze stranger@other.test", "beyond it", command=side)
        await refused(acme, "uma", "unfreeze stranger@other.test", "beyond it", command=side)
        for line in ("freeze owner@acme.test", "list", "unfreeze owner@acme.test"):
            told = await typed(acme, "uma", line, side)
            assert (told.status, told.err) == (0, ""), line
        assert (await acme.command(f"{side} freeze stranger@other.test")).status == 0
        assert "stranger" not in (await typed(acme, "uma", "list", side)).out
        assert "stranger" in (await acme.command(f"{side} list")).out
    await refused(acme, "uma", "recall 1", "needs the role global", command="queue")


async def test_what_is_no_part_of_the_directory_is_out_of_reach_until_it_was_asked_for(acme: Office) -> None:
    from gateway.directory.faults import Fault

    desk = await acme.desk.acting_as("gloria@acme.test")
    with pytest.raises(Fault, match="only the operator"):
        _ = desk.explain
    assert acme.desk.explain is not None


# --- procura roles


async def test_roles_are_listed_shown_given_and_taken(acme: Office) -> None:
    told = (await acme.command("roles")).out
    assert [line.split()[:3] for line in told.splitlines()[1:]] == [
        ["gloria@acme.test", "global", "(all)"],
        *([f"{name}@acme.test", role, "acme.test"] for name, role in ROLES.items()),
    ]
    assert (await acme.command("roles list other.test")).out == "no administrators\n"
    data = json.loads((await acme.command("roles show hanna@acme.test", as_json=True)).out)
    assert data == {
        "id": data["id"],
        "name": "hanna@acme.test",
        "isDelegatedAdminAccount": True,
        "roles": [{"role": "help-desk", "domain": "acme.test", "from": None, "until": None, "note": "", "counts": True, "obstacle": None}],
    }
    assert "no administrator" in (await acme.command("roles show owner@acme.test")).out
    assert (await acme.command("roles grant hanna@acme.test Group-Management")).out == ""
    assert (await typed(acme, "hanna", "adlm team@acme.test owner@acme.test")).status == 0
    assert (await acme.command("roles revoke hanna@acme.test group-management")).status == 0
    await refused(acme, "hanna", "adlm team@acme.test owner@acme.test")
    told_again = await acme.command("roles revoke hanna@acme.test group-management")
    assert (told_again.status, told_again.err) == (
        1,
        "ERROR: account.NO_SUCH_GRANT (no such grant: role group-management of hanna@acme.test)\n",
    )
    assert (await acme.command("roles grant owner@acme.test global")).status == 0
    assert "isGlobalAdministrator: TRUE" in (await acme.prov("ga owner@acme.test isGlobalAdministrator isAdminAccount")).out
    assert (await acme.command("roles revoke owner@acme.test global")).status == 0
    assert (await acme.command("roles revoke owner@acme.test global")).status == 1


async def test_a_role_says_what_it_may(acme: Office) -> None:
    told = (await acme.command("roles show help-desk")).out
    assert "set a password" in told
    assert "delete an account" not in told
    data = json.loads((await acme.command("roles show user-management", as_json=True)).out)
    assert data["includes"] == ["group-management", "help-desk"]
    assert "delete an account" in data["may"]["user-management"]["operations"]


@pytest.mark.parametrize(
    "line",
    ["roles grant hanna@acme.test king", "roles grant hanna@acme.test", "roles sing", "roles revoke hanna@acme.test", "roles list a b"],
)
async def test_roles_written_wrongly(acme: Office, line: str) -> None:
    assert (await acme.command(line)).status == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("roles grant ghost@acme.test domain", "account.NO_SUCH_ACCOUNT"),
        ("roles list ghost.test", "account.NO_SUCH_DOMAIN"),
        ("roles grant owner@acme.test domain --from +2h --until +1h", "would end before it starts"),
        ("roles grant owner@acme.test global --until +1h", "neither times nor a note"),
    ],
)
async def test_roles_that_cannot_be(acme: Office, line: str, said: str) -> None:
    told = await acme.command(line)
    assert told.status == 1
    assert said in told.err


async def test_a_role_on_a_domain_is_granted_as_carbonio_spells_it(acme: Office) -> None:
    await acme.done("grantRight domain acme.test usr owner@acme.test domainAdminRights --until +1d")
    assert "adminRole: domain" in (await acme.prov("ga owner@acme.test")).out
    await acme.done("revokeRight domain acme.test usr owner@acme.test domainAdminRights")
    for line, status in (
        ("grr domain other.test usr owner@acme.test domainAdminRights", 1),
        ("grr domain acme.test usr owner@acme.test king", 2),
        ("grr domain acme.test grp team@acme.test domainAdminRights", 2),
        ("grr domain ghost.test usr owner@acme.test domainAdminRights", 1),
        ("idd acme.example", 1),
        ("idd ghost.test", 1),
    ):
        assert (await acme.prov(line)).status == status, line


async def test_the_attributes_have_carbonios_names(acme: Office) -> None:
    told = (await acme.prov("ga hanna@acme.test zimbraIsDelegatedAdminAccount isAdminAccount")).out
    assert told == "# name hanna@acme.test\nzimbraIsDelegatedAdminAccount: TRUE\nisAdminAccount: FALSE\n\n"
    assert "delegationInitialised: 2027-01-15T08:00:00Z" in (await acme.prov("gd acme.test")).out
    await acme.done("ma hanna@acme.test zimbraIsDelegatedAdminAccount FALSE")
    assert "isDelegatedAdminAccount: FALSE" in (await acme.prov("ga hanna@acme.test")).out


# --- on record


async def test_who_did_what_by_which_role_is_on_record(acme: Office) -> None:
    assert (await typed(acme, "hanna", "ma owner@acme.test displayName New")).status == 0
    assert (await typed(acme, "hanna", "da owner@acme.test")).status == 1
    second, first = [row.entry for row in await acme.directory.trail.find(2)]
    assert (first.event, first.allowed, first.actor_address, first.principal_address) == (
        "account changed",
        True,
        "hanna@acme.test",
        "owner@acme.test",
    )
    assert (first.right, first.because, first.detail) == ("modify an account", "role help-desk of acme.test", "displayName")
    assert (second.event, second.allowed, second.actor_address, second.principal_address) == (
        "account deleted",
        False,
        "hanna@acme.test",
        "owner@acme.test",
    )
    assert (second.right, second.because) == ("delete an account", "to delete an account needs the role user-management, not help-desk")
    assert (await acme.directory.trail.find(5, actor="hanna@acme.test"))[0].entry == second


async def test_a_refusal_is_found_by_its_number(acme: Office) -> None:
    told = await typed(acme, "gus", "ga stranger@other.test")
    number = re.search(r"d-[0-9a-f]{12}", told.err)
    assert number is not None
    (row,) = await acme.directory.trail.find(1, decision=number[0])
    assert (row.entry.allowed, row.entry.actor_address) == (False, "gus@acme.test")


async def test_a_filter_is_no_way_into_a_list_that_administers(acme: Office) -> None:
    await acme.done(
        "cddl chiefs@acme.test (|(department=chiefs)(uid=chief*))",
        "cddl staff@acme.test (department=staff)",
        "grr account dora@acme.test grp chiefs@acme.test loginAs",
    )
    before = await dump(acme)
    for who, line in (
        ("hanna", "ma owner@acme.test department chiefs"),
        ("uma", "ca new@acme.test '' department chiefs"),
        ("uma", "ra owner@acme.test chief@acme.test"),
        ("gus", "mdl staff@acme.test displayName New"),
        ("dora", "mdl staff@acme.test filter (uid=*)"),
        ("gus", "ddl staff@acme.test"),
    ):
        await refused(acme, who, line, "needs the role global")
    assert await dump(acme) == before
    assert (await typed(acme, "hanna", "ma owner@acme.test title Chief")).status == 0
    await acme.done("rvr account dora@acme.test grp chiefs@acme.test loginAs")
    assert (await typed(acme, "hanna", "ma owner@acme.test department staff")).status == 0
    assert "owner@acme.test" in (await acme.prov("gdl staff@acme.test")).out


async def test_a_search_shows_only_who_may_be_seen(acme: Office) -> None:
    assert (await typed(acme, "hanna", "sa (uid=*) domain acme.test")).out.split()
    found = await typed(acme, "hanna", "sa (uid=*)")
    assert (found.status, "stranger@other.test" in found.out, "owner@acme.test" in found.out) == (0, False, True)
    await refused(acme, "hanna", "sa (uid=*) domain other.test")
    await refused(acme, "hanna", "propose --surname X --domain acme.test", "needs the role", "account")
