"""Every verb of `procura prov`, by its long and its short name."""

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.prov import account_verbs, domain_verbs, list_verbs, mailbox_verbs, people_verbs, right_verbs
from gateway.prov.absent import BY_NAME
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.verb import Desk, Verb


def _by_name(some: Sequence[Verb]) -> Mapping[str, Verb]:
    found: dict[str, Verb] = {}
    for verb in some:
        for name in (verb.name.lower(), verb.short):
            if found.setdefault(name, verb) is not verb:
                raise AssertionError(f"two verbs are called {name}")
    return MappingProxyType(found)


MAILBOX_VERBS: Final = _by_name(mailbox_verbs.VERBS)
"""Those that follow `selectMailbox ACCOUNT`."""


def _within_mailbox(word: str) -> Verb:
    verb = MAILBOX_VERBS.get(word.lower())
    if verb is None:
        raise Usage(_unknown(word, MAILBOX_VERBS))
    return verb


async def _select_mailbox(desk: Desk, arguments: Sequence[str]) -> Answer:
    account, word, *rest = arguments
    verb = _within_mailbox(word)
    if rest in (["--help"], ["-h"]):
        return Answer(f"selectMailbox ACCOUNT {verb.usage}\n    {verb.purpose}\n", verb.usage)
    try:
        return await verb(desk, [account, *rest])
    except Usage as error:
        raise Usage(error.text.replace("usage: ", "usage: selectMailbox ACCOUNT ")) from None


_SELECT: Final = Verb("selectMailbox", "sm", "ACCOUNT VERB ...", "the verbs below, on this account's folders", 2, None, _select_mailbox)

GROUPS: Final[tuple[tuple[str, tuple[Verb, ...]], ...]] = (
    ("Domains and classes of service", domain_verbs.VERBS),
    ("Accounts", (*account_verbs.VERBS, *people_verbs.VERBS)),
    ("Lists", list_verbs.VERBS),
    ("Rights", right_verbs.VERBS),
    ("Folders", (_SELECT,)),
)

VERBS: Final = _by_name([verb for _, group in GROUPS for verb in group])


def find(word: str) -> Verb:
    """By its long or short name, in any case. Raises Usage."""
    verb = VERBS.get(word.lower())
    if verb is None:
        if word.lower() in MAILBOX_VERBS:
            raise Usage(f"usage: selectMailbox ACCOUNT {MAILBOX_VERBS[word.lower()].usage}")
        absent = BY_NAME.get(word.lower())
        if absent is not None:
            raise Usage(f"usage: there is no {absent.name} ({absent.short}) here: {absent.why}")
        raise Usage(_unknown(word, VERBS))
    return verb


def _unknown(word: str, table: Mapping[str, Verb]) -> str:
    near = difflib.get_close_matches(word.lower(), table, n=1)
    meant = f"; did you mean {table[near[0]].name}?" if near else ""
    return f"usage: there is no verb {word}{meant} (procura prov --help lists them)"


def overview() -> str:
    """Every verb with its arguments and what it is for."""
    told = ["usage: procura prov [--json] VERB ARGUMENTS...", "       procura prov [--json] [--keep-going] [--progress] -f FILE|-", ""]
    for title, group in (*GROUPS, ("  after selectMailbox ACCOUNT", mailbox_verbs.VERBS)):
        told += [title]
        for verb in group:
            told += [f"  {verb.usage}", f"      {verb.purpose}"]
        told.append("")
    told += [
        "Names of verbs and attributes are taken in any case; Carbonio's attribute names (zimbraAccountStatus ...) too.",
        "A FILTER is of RFC 4515 with & | ! = and *: (&(department=sales)(title=*)(!(status=closed))); ldap:///??sub? may stand before it.",
        "procura --as ADMINISTRATOR prov ... does it with the rights of that account's admin role, and no others (procura roles --help).",
        "T is 2026-12-24, 2026-12-24T18:00 (local time), 2026-12-24T18:00+01:00, or from now: +90m, 12h, 7d, 2w.",
    ]
    return lines(told)


def usage(verb: Verb) -> str:
    """What `prov VERB --help` says."""
    return f"usage: procura prov {verb.usage}\n    {verb.purpose}\n"
