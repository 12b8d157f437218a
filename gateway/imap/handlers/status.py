"""STATUS: figures of a folder that need not be selected."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gateway.folders import Figures
from gateway.imap.grammar.status import FolderStatus
from gateway.imap.responses import StatusOf
from gateway.imap.session import Output, Session

FIGURES: Mapping[bytes, Callable[[Figures], int]] = MappingProxyType(
    {
        b"MESSAGES": lambda figures: figures.row.exists,
        b"RECENT": lambda figures: figures.recent,
        b"UIDNEXT": lambda figures: figures.row.uidnext,
        b"UIDVALIDITY": lambda figures: figures.row.uidvalidity,
        b"UNSEEN": lambda figures: figures.unseen,
        b"DELETED-STORAGE": lambda figures: figures.deleted_size,
    }
)
"""What each item is. An extension adds a row."""


async def status(session: Session, command: FolderStatus, emit: Output) -> None:
    """RFC 3501 section 6.3.10."""
    place = session.place(command.mailbox)
    figures = await session.services.folders.figures(session.acting, place, deleted_size=b"DELETED-STORAGE" in command.items)
    emit.say(of(command.mailbox, command.items, figures))


def of(mailbox: str, items: tuple[bytes, ...], figures: Figures) -> StatusOf:
    """The response."""
    return StatusOf(mailbox, tuple((item, FIGURES[item](figures)) for item in items))
