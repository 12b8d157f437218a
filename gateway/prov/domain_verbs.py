"""The verbs about domains and classes of service."""

from collections.abc import Sequence

from gateway.directory.names import shown_domain
from gateway.prov import attributes
from gateway.prov.account_verbs import again, signed
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import options, pairs
from gateway.prov.verb import Desk, Verb


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    view = await desk.directory.domains.create(arguments[0], attributes.domain_changes(pairs(arguments[1:])))
    return Answer(f"{view.row.id}\n", attributes.data(shown_domain(view.row.name), attributes.domain(view)))


async def _create_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    changes = attributes.domain_changes(pairs(arguments[2:]))
    view = await desk.directory.domains.create_alias(arguments[0], arguments[1], changes.note or "")
    return Answer(f"{view.row.id}\n", attributes.data(shown_domain(view.row.name), attributes.domain(view)))


async def _get(desk: Desk, arguments: Sequence[str]) -> Answer:
    view = await desk.directory.domains.get(arguments[0])
    name, shown = shown_domain(view.row.name), attributes.domain(view)
    wanted, plain = arguments[1:], attributes.plain_domain_name
    return Answer(
        attributes.block(f"name {name}", shown, wanted=wanted, plain=plain), attributes.data(name, shown, wanted=wanted, plain=plain)
    )


async def _all(desk: Desk, arguments: Sequence[str]) -> Answer:
    verbose = "-v" in arguments
    views = [(shown_domain(view.row.name), attributes.domain(view)) for view in await desk.directory.domains.all()]
    if verbose:
        return Answer("".join(attributes.block(f"name {name}", shown) for name, shown in views), [attributes.data(*view) for view in views])
    return Answer(lines(name for name, _ in views), [name for name, _ in views])


async def _modify(desk: Desk, arguments: Sequence[str]) -> Answer:
    edits = pairs(arguments[1:])
    there = (await desk.directory.domains.get(arguments[0])).cos_limits if signed(edits) else ()
    await desk.directory.domains.modify(arguments[0], attributes.domain_changes(edits, [f"{name}:{most}" for name, most in there]))
    return Answer()


async def _rename(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, flags=("--keep-alias",))
    if len(read.rest) != 2:
        raise Usage("which domain, and which name?")
    await desk.directory.domains.rename(read.rest[0], read.rest[1], keep="--keep-alias" in read.flags)
    return Answer()


async def _delete(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.domains.delete(arguments[0])
    return Answer()


async def _initialise(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.domains.initialise_delegation(arguments[0])
    return Answer()


async def _create_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    values, note = attributes.cos_changes(pairs(arguments[1:]))
    row = await desk.directory.classes.create(arguments[0], values, note or "")
    return Answer(f"{row.id}\n", attributes.data(row.name, attributes.service_class(row)))


async def _get_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    row = await desk.directory.classes.get(arguments[0])
    shown = attributes.service_class(row)
    wanted, plain = arguments[1:], attributes.plain_cos_name
    return Answer(
        attributes.block(f"name {row.name}", shown, wanted=wanted, plain=plain),
        attributes.data(row.name, shown, wanted=wanted, plain=plain),
    )


async def _all_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    rows = [(row.name, attributes.service_class(row)) for row in await desk.directory.classes.all()]
    if "-v" in arguments:
        return Answer("".join(attributes.block(f"name {name}", shown) for name, shown in rows), [attributes.data(*row) for row in rows])
    return Answer(lines(name for name, _ in rows), [name for name, _ in rows])


async def _modify_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    edits = pairs(arguments[1:])
    if not signed(edits):
        await desk.directory.classes.modify(arguments[0], *attributes.cos_changes(edits))
        return Answer()

    async def change() -> None:
        row = await desk.directory.classes.get(arguments[0])
        values, note = attributes.cos_changes(edits, row.values)
        await desk.directory.classes.modify(arguments[0], values, note, {field: row.values.get(field, "") for field in values})

    await again(change)
    return Answer()


async def _copy_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    row = await desk.directory.classes.copy(arguments[0], arguments[1])
    return Answer(f"{row.id}\n", attributes.data(row.name, attributes.service_class(row)))


async def _rename_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.classes.rename(arguments[0], arguments[1])
    return Answer()


async def _delete_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.classes.delete(arguments[0])
    return Answer()


VERBS = (
    Verb("createDomain", "cd", "NAME [attr value ...]", "a domain whose addresses are ours", 1, None, _create),
    Verb(
        "createAliasDomain", "cad", "ALIAS-DOMAIN DOMAIN [note TEXT]", "every address of the domain exists there too", 2, 4, _create_alias
    ),
    Verb("getDomain", "gd", "NAME [attr ...]", "what is set on a domain", 1, None, _get),
    Verb("getAllDomains", "gad", "[-v]", "every domain", 0, 1, _all),
    Verb(
        "modifyDomain",
        "md",
        "NAME attr value [attr value ...]",
        "change values, which getDomain shows; maxQuota, aggregateQuota: octets, 512m or 2g; cosMaxAccounts CLASS:NUMBER ...",
        3,
        None,
        _modify,
    ),
    Verb(
        "renameDomain",
        "rd",
        "NAME NEW-NAME [--keep-alias]",
        "every address in it, and whatever spells the old name; --keep-alias: mail to the old name still comes; renaming back undoes it",
        2,
        3,
        _rename,
    ),
    Verb("deleteDomain", "dd", "NAME", "an empty domain", 1, 1, _delete),
    Verb("initDomainForDelegation", "idd", "NAME", "admin roles in this domain count from now on", 1, 1, _initialise),
    Verb("createCos", "cc", "NAME [attr value ...]", "a class of service", 1, None, _create_cos),
    Verb("copyCos", "cpc", "NAME NEW-NAME", "another class of service with the same values", 2, 2, _copy_cos),
    Verb("getCos", "gc", "NAME [attr ...]", "the values of a class of service", 1, None, _get_cos),
    Verb("getAllCos", "gac", "[-v]", "every class of service", 0, 1, _all_cos),
    Verb(
        "modifyCos",
        "mc",
        "NAME attr value [attr value ...]",
        "change values, which getCos shows; '' restores the default",
        3,
        None,
        _modify_cos,
    ),
    Verb("renameCos", "rc", "NAME NEW-NAME", "another name for a class of service", 2, 2, _rename_cos),
    Verb("deleteCos", "dc", "NAME", "a class of service that nobody has", 1, 1, _delete_cos),
)
