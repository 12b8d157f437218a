"""The verbs that find people, count them and propose names, and `procura account propose`."""

from collections.abc import Sequence
from typing import Final

from gateway.directory.names import shown
from gateway.directory.people import PersonName
from gateway.prov import attributes
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb

_SEARCH_WORDS: Final = ("limit", "offset", "domain")
_NAMES: Final = ("--given-name", "--initials", "--surname")


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Usage(f"{name} is a number")
    return int(text)


async def _search(desk: Desk, arguments: Sequence[str]) -> Answer:
    rest = [one for one in arguments if one != "-v"]
    if not rest or len(rest) % 2 == 0:
        raise Usage("a filter, then limit N, offset N or domain DOMAIN")
    wanted = {name.lower(): value for name, value in zip(rest[1::2], rest[2::2], strict=True)}
    if not {*wanted} <= {*_SEARCH_WORDS}:
        raise Usage("after the filter: limit N, offset N or domain DOMAIN")
    limit = _number("limit", wanted["limit"]) if "limit" in wanted else None
    names, blocks, data = [], [], []
    found = desk.directory.people.search(rest[0], wanted.get("domain"), _number("offset", wanted.get("offset", "0")), limit or None)
    async for view in found:
        name = shown(view.row.address)
        names.append(name)
        if "-v" in arguments:
            values = attributes.account(view)
            blocks.append(attributes.block(f"name {name}", values))
            data.append(attributes.data(name, values))
    return Answer("".join(blocks), data) if "-v" in arguments else Answer(lines(names), names)


async def _count(desk: Desk, arguments: Sequence[str]) -> Answer:
    """As Carbonio counts: by class of service."""
    counts: dict[tuple[str, int], int] = {}
    async for view in desk.directory.accounts.all(arguments[0]):
        key = (view.cos, int(view.row.cos))
        counts[key] = counts.get(key, 0) + 1
    rows = sorted(counts.items())
    told = [f"{'cos name':<20} {'cos id':<8} # of accounts", f"{'-' * 20} {'-' * 8} {'-' * 13}"]
    told += [f"{name:<20} {number:<8} {count}" for (name, number), count in rows]
    told += ["", f"total: {sum(counts.values())}"]
    return Answer(lines(told), [{"cos": name, "cosId": number, "accounts": count} for (name, number), count in rows])


async def _account(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    if word.lower() != "propose":
        raise Usage("propose")
    read = options(rest, valued=(*_NAMES, "--domain"))
    if read.rest or not {*_NAMES} & {*read.values}:
        raise Usage("propose --given-name NAME --surname NAME [--initials LETTERS] [--domain DOMAIN]")
    person = PersonName(*(read.values.get(name, "") for name in _NAMES))
    domains = [read.values["--domain"]] if "--domain" in read.values else await _only_domain(desk)
    found = [shown(one) for one in await desk.directory.people.propose(domains[0], person)]
    return Answer(lines(found), found)


async def _only_domain(desk: Desk) -> list[str]:
    own = [view.row.name for view in await desk.directory.domains.all() if not view.target]
    if len(own) != 1:
        raise Usage("which domain? --domain DOMAIN")
    return own


ACCOUNT: Final = Verb(
    "account",
    "",
    "propose --given-name NAME --surname NAME [--initials LETTERS] [--domain DOMAIN]",
    "addresses that nobody has yet, made of a person's names; createAccount @DOMAIN takes the first of them",
    1,
    None,
    _account,
)

VERBS: Final = (
    Verb(
        "searchAccounts",
        "sa",
        "[-v] FILTER [limit N] [offset N] [domain DOMAIN]",
        "accounts that a filter means, such as (department=sales) or (&(sn=Mc*)(!(status=closed)))",
        1,
        8,
        _search,
    ),
    Verb("countAccount", "cta", "DOMAIN", "the accounts of a domain by class of service", 1, 1, _count),
)
