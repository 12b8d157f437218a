"""What can follow what was typed of a command line: verbs, options, attributes and words from their tables, names from the server."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from config.settings import names as setting_names
from gateway.control import Broken, NobodyThere, ask
from gateway.prov import attributes, verbs
from gateway.prov.commands import COMMANDS
from gateway.prov.run import Request, Said
from gateway.prov.verb import Verb

PATIENCE: Final = 1.5
"""Seconds: whoever pressed Tab waits."""
MOST: Final = 200
"""Names that are offered at once."""

OWN_COMMANDS: Final = (
    "check",
    "completion",
    "demo",
    "example",
    "migrate",
    "migrate-store",
    "prov",
    "renew-uidvalidity",
    "restore",
    "serve",
    "settings",
)
"""Commands that no table has; `cli.py` parses them."""


class Kind(StrEnum):
    """What a name is of."""

    ACCOUNT = "account"
    LIST = "list"
    DOMAIN = "domain"
    COS = "cos"


Names = Callable[[Kind, str], Sequence[str]]
"""Those of this kind that begin so."""

_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {
        "ACCOUNT": (Kind.ACCOUNT,),
        "ACTOR": (Kind.ACCOUNT,),
        "ADMIN": (Kind.ACCOUNT,),
        "A": (Kind.ACCOUNT,),
        "M": (Kind.ACCOUNT, Kind.LIST),
        "MEMBER": (Kind.ACCOUNT, Kind.LIST),
        "ADDRESS": (Kind.ACCOUNT, Kind.LIST),
        "OWNER": (Kind.ACCOUNT, Kind.LIST),
        "TARGET": (Kind.ACCOUNT, Kind.LIST),
        "GRANTEE": (Kind.ACCOUNT, Kind.LIST, Kind.DOMAIN, Kind.COS),
        "LIST": (Kind.LIST,),
        "DOMAIN": (Kind.DOMAIN,),
        "COS": (Kind.COS,),
    }
)
_OPTION: Final = re.compile(r"(--[a-z-]+)(?: ([A-Za-z0-9/|-]+))?")
_WORDS: Final = re.compile(r"[a-z0-9-]+(?:\|[a-z0-9-]+)*")
_SAFE: Final = re.compile(r"[A-Za-z0-9._+@-]*")


def candidates(typed: Sequence[str], known: Names) -> list[str]:
    """What the last word of these could become; the command's own name is not among them."""
    *before, last = typed or [""]
    return [one for one in dict.fromkeys(_offered(before, last, known)) if one.startswith(last) and one != last][:MOST]


def _offered(before: Sequence[str], last: str, known: Names) -> Sequence[str]:
    words = _without_settings(before)
    if words is None:
        return ()
    if not words:
        settings = [f"--{name}" for name in (*sorted(setting_names()), "as", "config")] if last.startswith("-") else []
        return [*sorted((*OWN_COMMANDS, *COMMANDS)), "--help", "--version", *settings]
    command, *rest = words
    if command == "completion":
        return SHELLS if not rest else ()
    if command != "prov":
        verb = COMMANDS.get(command)
        return () if verb is None else [*_within(verb, rest, last, known), "--json", "--help"]
    while rest[:1] and rest[0].startswith("-"):
        rest = rest[1:]
    if not rest:
        return [*(one.name for one in verbs.VERBS.values()), "--json", "--keep-going", "--progress", "-f", "--help"]
    verb = verbs.VERBS.get(rest[0].lower())
    if verb is None:
        return ()
    if verb.name == "selectMailbox" and len(rest) > 1:
        if len(rest) == 2:
            return [one.name for one in verbs.MAILBOX_VERBS.values()]
        within = verbs.MAILBOX_VERBS.get(rest[2].lower())
        return () if within is None else _within(within, rest[3:], last, known)
    return _within(verb, rest[1:], last, known)


def _without_settings(words: Sequence[str]) -> list[str] | None:
    """None: the last of them still needs its value."""
    found: list[str] = []
    waiting = list(words)
    while waiting:
        one = waiting.pop(0)
        name = one[2:].partition("=")[0].replace("-", "_")
        if one.startswith("--") and not found and (name in ("as", "config") or name in setting_names()):
            if "=" not in one and not waiting:
                return None
            if "=" not in one:
                waiting.pop(0)
            continue
        found.append(one)
    return found


def _within(verb: Verb, before: Sequence[str], last: str, known: Names) -> Sequence[str]:
    """Behind the verb."""
    fitting = [form for form in verb.forms if _fits(_tokens(form), before)]
    forms = [*map(_tokens, fitting)]
    # What an option takes, those forms say that fit; of the others it is known that it takes something.
    options = {name: value for form in (*verb.forms, *fitting) for name, value in _OPTION.findall(form)}
    if before and before[-1] in options and (value := options[before[-1]]):
        return _of(value, verb, last, known)
    if last.startswith("-"):
        return [*options, *(one for form in verb.forms for one in re.findall(r"\[(-[a-z])\b", form))]
    plain = _plain(before, options)
    found: list[str] = []
    for form in forms:
        if len(plain) < len(form):
            found += _of(form[len(plain)], verb, last, known)
    return [*found, *_attributes(verb, plain)]


def _plain(before: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """Without options and their values."""
    found: list[str] = []
    waiting = list(before)
    while waiting:
        one = waiting.pop(0)
        if one.startswith("-"):
            if options.get(one):
                del waiting[:1]
            continue
        found.append(one)
    return found


def _tokens(form: str) -> list[str]:
    """What stands where, options and attributes left out: `[list [--to DOMAIN]` is `list`."""
    bare = re.sub(r"\[?-{1,2}[a-z][a-z-]*(?: [A-Za-z0-9/|,.<>-]+)?(?:\[,[^\]]*\])?\]?", " ", form)
    bare = re.sub(r"\[?attr(?: value)?(?: \.\.\.)?\]?", " ", bare)
    return [one for one in re.sub(r"[\[\]]", " ", bare).split() if one not in ("...", "|") and not one.startswith(";")]


def _fits(form: Sequence[str], before: Sequence[str]) -> bool:
    """Is what was typed this way of using the verb, as far as its first word tells?"""
    if not before or not form or not _WORDS.fullmatch(form[0]):
        return True
    return before[0] in form[0].split("|")


def _of(place: str, verb: Verb, last: str, known: Names) -> list[str]:
    kinds = (_subject(verb),) if place == "NAME" else _KINDS.get(place, ())
    if kinds:
        return [name for kind in kinds if kind is not None for name in known(kind, last)]
    return place.split("|") if _WORDS.fullmatch(place) or "|" in place else []


def _subject(verb: Verb) -> Kind | None:
    """Of what NAME is one. What is made has no name yet."""
    name = verb.name.lower()
    if name.startswith("create"):
        return None
    if "distributionlist" in name:
        return Kind.LIST
    if "domain" in name:
        return Kind.DOMAIN
    return Kind.COS if name.endswith("cos") and "account" not in name else Kind.ACCOUNT


def _attributes(verb: Verb, plain: Sequence[str]) -> Sequence[str]:
    """Where an attribute can stand: behind the names, each second word, or each word where there are no values."""
    if "attr" not in verb.arguments:
        return ()
    leading = len(_tokens(verb.arguments))
    behind = len(plain) - leading
    if behind < 0 or ("value" in verb.arguments and behind % 2):
        return ()
    name = verb.name.lower()
    table = attributes.NAMES[
        "list" if "distributionlist" in name else "domain" if "domain" in name else "cos" if "cos" in name else "account"
    ]
    return sorted(table)


def from_server(data: Path, acting: str = "") -> Names:
    """Names that the server which runs on this data knows; none where none answers in time, whatever the reason."""

    def known(kind: Kind, start: str) -> Sequence[str]:
        if not _SAFE.fullmatch(start):
            return ()
        asked = {
            Kind.ACCOUNT: ("searchAccounts", f"(mail={start}*)", "limit", str(MOST)),
            Kind.LIST: ("getAllDistributionLists",),
            Kind.DOMAIN: ("getAllDomains",),
            Kind.COS: ("getAllCos",),
        }
        return asyncio.run(_lines(data, Request("prov", asked[kind], acting=acting)))

    return known


async def _lines(data: Path, request: Request) -> list[str]:
    told = ""
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in ask(data, request):
                if isinstance(event, Said) and not event.error:
                    told += event.text
    except (NobodyThere, Broken, OSError, TimeoutError):
        return []
    return told.splitlines()


def behind(word: str, breaks: str, found: Sequence[str]) -> list[str]:
    """What a shell puts in the place of the end of the word, where its own words end at these characters (COMP_WORDBREAKS) too."""
    cut = max((word.rfind(one) + 1 for one in breaks), default=0)
    return [one[cut:] for one in found]


_BASH: Final = """\
# Completion of procura for bash: eval "$(procura completion bash)", or into bash-completion's directory.
_procura() {
    local IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" complete "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o bashdefault -o default -F _procura procura
"""
_ZSH: Final = """\
#compdef procura
# Completion of procura for zsh: eval "$(procura completion zsh)" behind compinit, or as the file _procura in a directory of fpath.
_procura() {
    local -a found
    found=("${(@f)$("${words[1]}" complete '' "$LBUFFER" 2>/dev/null)}")
    found=(${found:#})
    compadd -- "${found[@]}" || _files
}
compdef _procura procura
"""
_FISH: Final = """\
# Completion of procura for fish: procura completion fish | source, or > ~/.config/fish/completions/procura.fish
function __procura_offered
    set -l words (commandline -po)
    command $words[1] complete "" (commandline -cp) 2>/dev/null
end
complete -c procura -a '(__procura_offered)'
"""

SCRIPTS: Final[Mapping[str, str]] = MappingProxyType({"bash": _BASH, "zsh": _ZSH, "fish": _FISH})
SHELLS: Final = tuple(SCRIPTS)
