"""What is a row of the capability table, and does any name have two owners?"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.phases import STAY, Phase, Phases, Transition

T = TypeVar("T")


class DuplicateOwner(Exception):
    """Two rows of the table bring the same name: a fault in the program, found at its start."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: how its arguments are read, who answers it, when it may be given.

    `syntax` reads what stands behind the name (use it through `Cursor.whole`); `answer` is called with the session, what
    `syntax` returned, and the function that emits responses. `keeps_numbers`: no EXPUNGE may be announced before its tagged
    answer (RFC 3501 section 7.4.1). `by_number`: it names messages by their numbers, which a client that enabled UIDONLY gave up.
    Build with `command`, which checks that syntax and answer agree.
    """

    name: bytes
    syntax: Callable[[Cursor], Any]
    answer: Callable[[Any, Any, Any], Awaitable[Any]]
    phases: Phases
    keeps_numbers: bool = False
    leads: Transition = STAY
    by_number: bool = False


def command(
    name: bytes,
    syntax: Callable[[Cursor], T],
    answer: Callable[[Any, T, Any], Awaitable[Any]],
    phases: Phases,
    *,
    keeps_numbers: bool = False,
    leads: Transition = STAY,
    by_number: bool = False,
) -> Command:
    """A row; mypy sees to it that `answer` takes what `syntax` makes. `name` in upper case, `UID FETCH` for one under UID."""
    return Command(name, syntax, answer, phases, keeps_numbers, leads, by_number)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides whether a capability is announced."""

    phase: Phase
    secure: bool
    """TLS is on."""
    can_secure: bool
    """TLS is off and STARTTLS would work."""
    plaintext_login: bool
    """Passwords are taken without TLS."""
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    """Of SASL: those that work on this channel."""


def always(circumstances: Circumstances) -> bool:
    """Announced everywhere."""
    return True


def before_login(circumstances: Circumstances) -> bool:
    """Announced until somebody has logged in."""
    return circumstances.phase is Phase.NOT_AUTHENTICATED


def after_login(circumstances: Circumstances) -> bool:
    """Announced as soon as somebody has logged in."""
    return circumstances.phase is not Phase.NOT_AUTHENTICATED


def may_secure(circumstances: Circumstances) -> bool:
    """STARTTLS: while TLS can still be switched on."""
    return circumstances.can_secure and before_login(circumstances)


def may_log_in(circumstances: Circumstances) -> bool:
    """SASL-IR: while a password would be taken."""
    return before_login(circumstances) and (circumstances.secure or circumstances.plaintext_login)


def may_log_in_by(mechanism: str) -> Callable[[Circumstances], bool]:
    """AUTH=...: while this mechanism would be taken."""
    return lambda circumstances: may_log_in(circumstances) and mechanism in circumstances.mechanisms


def may_not_log_in(circumstances: Circumstances) -> bool:
    """LOGINDISABLED: while no password would be taken."""
    return before_login(circumstances) and not may_log_in(circumstances)


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability and all that it brings. `announced` decides by the circumstances; `enabled_by_enable`: ENABLE knows it.
    `needs`: it is there only where these are in the table too.

    The names in the sets are those that the productions' own tables gained a row for: FETCH items, SEARCH keys, STATUS items,
    options of LIST, parameters and modifiers. They are stated here so that two extensions cannot bring the same.
    """

    name: bytes
    commands: tuple[Command, ...] = ()
    announced: Callable[[Circumstances], bool] = always
    fetch_items: frozenset[bytes] = frozenset()
    search_keys: frozenset[bytes] = frozenset()
    search_options: frozenset[bytes] = frozenset()
    status_items: frozenset[bytes] = frozenset()
    list_selections: frozenset[bytes] = frozenset()
    list_returns: frozenset[bytes] = frozenset()
    select_parameters: frozenset[bytes] = frozenset()
    fetch_modifiers: frozenset[bytes] = frozenset()
    store_modifiers: frozenset[bytes] = frozenset()
    enabled_by_enable: bool = False
    needs: frozenset[bytes] = frozenset()


_PRODUCTIONS = (
    "fetch_items",
    "search_keys",
    "search_options",
    "status_items",
    "list_selections",
    "list_returns",
    "select_parameters",
    "fetch_modifiers",
    "store_modifiers",
)


@dataclass(frozen=True, slots=True)
class Registry:
    """The whole table, looked up by name. Build with `build`."""

    capabilities: tuple[Capability, ...]
    commands: Mapping[bytes, Command]
    owners: Mapping[tuple[str, bytes], bytes] = field(repr=False)
    """(production, name) to the capability that brings it: `("fetch_items", b"MODSEQ")`."""

    def announce(self, circumstances: Circumstances) -> tuple[bytes, ...]:
        """The names for a CAPABILITY response, in the table's order."""
        return tuple([row.name for row in self.capabilities if row.announced(circumstances) and self._is_whole(row)])

    def enables(self, name: bytes) -> bool:
        """Is this the name (upper case) of something that ENABLE switches on?"""
        return any(row.name == name and row.enabled_by_enable and self._is_whole(row) for row in self.capabilities)

    def _is_whole(self, row: Capability) -> bool:
        return all(("capabilities", name) in self.owners for name in row.needs)


def build(capabilities: Iterable[Capability]) -> Registry:
    """The table of these rows. Raises DuplicateOwner."""
    rows = tuple(capabilities)
    commands: dict[bytes, Command] = {}
    owners: dict[tuple[str, bytes], bytes] = {}
    for row in rows:
        _own(owners, "capabilities", row.name, row.name)
        for each in row.commands:
            _own(owners, "commands", each.name, row.name)
            commands[each.name] = each
        for production in _PRODUCTIONS:
            for name in getattr(row, production):
                _own(owners, production, name, row.name)
    return Registry(rows, MappingProxyType(commands), MappingProxyType(owners))


def _own(owners: dict[tuple[str, bytes], bytes], production: str, name: bytes, owner: bytes) -> None:
    if name != name.upper():
        raise DuplicateOwner(f"{production}: {name!r} of {owner!r} is not in upper case, so nobody would find it")
    if (production, name) in owners:
        raise DuplicateOwner(f"{production}: {name!r} belongs to {owners[production, name]!r} and to {owner!r}")
    owners[production, name] = owner
