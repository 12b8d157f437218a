"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT: which folder the session is in."""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor, nothing
from gateway.imap.grammar.parameters import Parameter, parameters
from gateway.imap.grammar.strings import mailbox_as_written


@dataclass(frozen=True, slots=True)
class Select:
    """A folder to go into, its name as written; `read_only` for EXAMINE. What the parameters mean, their extensions say."""

    mailbox: str
    read_only: bool
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A checkpoint."""


@dataclass(frozen=True, slots=True)
class Close:
    """Leave the folder, expunging first."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """Leave the folder."""


def select(c: Cursor, *, read_only: bool) -> Select:
    """`select = "SELECT" SP mailbox [select-params]`, `examine` likewise; `select-params = SP "(" select-param
    *(SP select-param) ")"` (RFC 3501, RFC 4466 section 3)
    """
    c.sp()
    name = mailbox_as_written(c)
    return Select(name, read_only, parameters(c, "a parameter of SELECT") if c.skip(b" ") else ())


def check(c: Cursor) -> Check:
    """`command-select = "CHECK" / ...`"""
    nothing(c)
    return Check()


def close(c: Cursor) -> Close:
    """`command-select = "CLOSE" / ...`"""
    nothing(c)
    return Close()


def unselect(c: Cursor) -> Unselect:
    """`command-select /= "UNSELECT"` (RFC 3691 section 4)"""
    nothing(c)
    return Unselect()
