"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: folders as such."""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.parameters import Parameter, parameters
from gateway.imap.grammar.strings import mailbox


@dataclass(frozen=True, slots=True)
class Create:
    """A folder to be made. A separator at the end of the name means that folders are wanted below it."""

    mailbox: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """A folder to be removed."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A folder to be called otherwise."""

    mailbox: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A name for the client's list; `subscribed` is False for UNSUBSCRIBE."""

    mailbox: str
    subscribed: bool


def create(c: Cursor) -> Create:
    """`create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]` (RFC 3501, RFC 4466 section 2.1)"""
    c.sp()
    name = mailbox(c)
    return Create(name, parameters(c, "a parameter of CREATE") if c.skip(b" ") else ())


def create_uses(found: tuple[Parameter, ...]) -> tuple[bytes, ...]:
    """`create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"` (RFC 6154 section 6): the attributes as `\\Sent`, each once.
    Raises BadSyntax for another parameter."""
    uses: dict[bytes, None] = {}
    for one in found:
        if one.name != b"USE" or not isinstance(one.value, tuple):
            raise BadSyntax("expected USE with a list of attributes as the parameter of CREATE")
        for use in one.value:
            if not isinstance(use, bytes) or not use.startswith(b"\\"):
                raise BadSyntax("expected attributes like \\Sent in USE")
            uses[use[:2].upper() + use[2:].lower()] = None
    return tuple(uses)


def delete(c: Cursor) -> Delete:
    """`delete = "DELETE" SP mailbox`"""
    c.sp()
    return Delete(mailbox(c))


def rename(c: Cursor) -> Rename:
    """`rename = "RENAME" SP mailbox SP mailbox`"""
    c.sp()
    name = mailbox(c)
    c.sp()
    return Rename(name, mailbox(c))


def subscribe(c: Cursor, *, subscribed: bool) -> Subscribe:
    """`subscribe = "SUBSCRIBE" SP mailbox`, `unsubscribe = "UNSUBSCRIBE" SP mailbox`"""
    c.sp()
    return Subscribe(mailbox(c), subscribed)
