"""`procura dkim`: keys with which mail is signed, and their DNS records."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.directory.names import shown_domain
from gateway.directory.signing_keys import DEFAULT_BITS, Checked, Published, algorithms, record_name, text_of
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from gateway.signatures import RSA, bits_of, fingerprint, zone_line
from store.dkim import KeyRow

ARGUMENTS: Final = (
    "create DOMAIN [--algorithm rsa|ed25519|both] [--selector S] [--bits N] [--activate] [--foreign] | list [DOMAIN] | "
    "show DOMAIN [SELECTOR ...] | check DOMAIN | activate DOMAIN [SELECTOR ...] [--unchecked] | retire DOMAIN SELECTOR ... | "
    "remove DOMAIN SELECTOR ..."
)


async def _dkim(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "create":
            return await _create(desk, rest)
        case "list" if len(rest) <= 1:
            keys = await desk.directory.signing_keys.of(rest[0]) if rest else await desk.directory.signing_keys.all()
            return Answer(_table(keys), [_data(key) for key in keys])
        case "show" if rest:
            keys = await desk.directory.signing_keys.of(rest[0])
            wanted = {one.lower() for one in rest[1:]}
            keys = [key for key in keys if (key.selector in wanted if wanted else key.retired is None)]
            return Answer(_zone(keys), [_data(key) for key in keys], denied=not keys)
        case "check" if len(rest) == 1:
            return _told(await desk.directory.signing_keys.check(rest[0]))
        case "activate" if rest:
            read = options(rest, flags=("--unchecked",))
            if read.rest:
                domain, *selectors = read.rest
                keys = await desk.directory.signing_keys.activate(domain, selectors, unchecked="--unchecked" in read.flags)
                return _done(keys, "signs")
        case "retire" if len(rest) > 1:
            return _done(await desk.directory.signing_keys.retire(rest[0], rest[1:]), "signs no more; leave its record for a week")
        case "remove" if len(rest) > 1:
            return _done(await desk.directory.signing_keys.remove(rest[0], rest[1:]), "removed; its record can go")
    raise Usage(ARGUMENTS)


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, flags=("--activate", "--foreign"), valued=("--algorithm", "--selector", "--bits"))
    bits = read.values.get("--bits", str(DEFAULT_BITS))
    if len(read.rest) != 1 or not (bits.isascii() and bits.isdigit() and len(bits) < 6):
        raise Usage(ARGUMENTS)
    keys = await desk.directory.signing_keys.create(
        read.rest[0],
        algorithms(read.values.get("--algorithm", RSA)),
        read.values.get("--selector"),
        int(bits),
        activate="--activate" in read.flags,
        foreign="--foreign" in read.flags,
    )
    hint = "They sign already: publish this at once."
    if "--activate" not in read.flags:
        hint = f"Publish this, then: procura dkim activate {shown_domain(keys[0].domain)}; until then nothing is signed with it."
    return Answer(f"; {hint}\n{_zone(keys)}", [_data(key) for key in keys])


def _state(key: KeyRow) -> str:
    return "signs" if key.is_active else "retired" if key.retired is not None else "new"


def _since(key: KeyRow) -> int:
    return key.retired or key.activated or key.created


def _zone(keys: Iterable[KeyRow]) -> str:
    """Lines of a zone file, what is no record as comments."""
    told = []
    for key in keys:
        told.append(f"; {key.algorithm}, {bits_of(key.algorithm, key.public)} bits, {_state(key)} since {moment(_since(key))}")
        told.append(zone_line(record_name(key), text_of(key)))
    return lines(told)


def _table(keys: Sequence[KeyRow]) -> str:
    if not keys:
        return "there are no keys: nothing is signed\n"
    told: list[Sequence[object]] = [("Domain", "Selector", "Algorithm", "Bits", "State", "Since")]
    for key in keys:
        bits = bits_of(key.algorithm, key.public)
        told.append((shown_domain(key.domain), key.selector, key.algorithm, bits, _state(key), moment(_since(key))))
    return table((20, 18, 9, -4, 7, 0), told)


def _told(checked: Sequence[Checked]) -> Answer:
    """0 where every key that signs or is to sign is published."""
    if not checked:
        return Answer("every key is retired: nothing is signed\n", [], denied=True)
    told = [f"{record_name(one.key)}: {one.published}{f' ({one.detail})' if one.detail else ''}; {_state(one.key)}" for one in checked]
    whole = all(one.published is Published.SAME for one in checked)
    waiting = [one.key for one in checked if one.key.activated is None]
    if whole and waiting:
        which = "it" if len(waiting) == 1 else "of each algorithm the newest"
        told.append(f"procura dkim activate {shown_domain(waiting[0].domain)}: {which} would sign")
    data = [
        {**_data(one.key), "published": one.published is Published.SAME, "found": str(one.published), "detail": one.detail}
        for one in checked
    ]
    return Answer(lines(told), data, denied=not whole)


def _done(keys: Sequence[KeyRow], what: str) -> Answer:
    told = [f"{record_name(key)}: {what}" for key in keys]
    return Answer(lines(told), [record_name(key) for key in keys])


def _data(key: KeyRow) -> dict[str, Any]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "bits": bits_of(key.algorithm, key.public),
        "fingerprint": fingerprint(key.public),
        "state": _state(key),
        "created": stamp(key.created),
        "activated": stamp(key.activated),
        "retired": stamp(key.retired),
        "name": record_name(key),
        "type": "TXT",
        "value": text_of(key),
    }


VERB: Final = Verb(
    "dkim", "", ARGUMENTS, "keys with which mail that leaves is signed, and the DNS records that belong to them", 1, None, _dkim
)
