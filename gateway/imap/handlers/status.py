"""STATUS: figures of a folder that need not be selected."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.folders import Figures
from gateway.imap.grammar.status import FolderStatus
from gateway.imap.responses import StatusOf
from gateway.imap.session import Output, Services, Session, mailbox_id

FIGURES: Mapping[bytes, Callable[[Figures, Services], int | bytes]] = MappingProxyType(
    {
        b"MESSAGES": lambda figures, _: figures.row.exists,
        b"RECENT": lambda figures, services: max(0, figures.recent - services.states.claimed(figures.row)),
        b"UIDNEXT": lambda figures, _: figures.row.uidnext,
        b"UIDVALIDITY": lambda figures, _: figures.row.uidvalidity,
        b"UNSEEN": lambda figures, _: figures.unseen,
        b"HIGHESTMODSEQ": lambda figures, _: figures.row.modseq,
        b"SIZE": lambda figures, _: figures.row.size,
        b"MAILBOXID": lambda figures, _: mailbox_id(figures.row),
        b"APPENDLIMIT": lambda figures, services: services.append_limit,
        b"DELETED": lambda figures, _: figures.row.deleted,
        b"DELETED-STORAGE": lambda figures, _: figures.deleted_size,
    }
)
"""What each item is. An extension adds a row."""
_WORDS: Final = frozenset((b"MAILBOXID",))
"""Items that are no numbers."""


async def status(session: Session, command: FolderStatus, emit: Output) -> None:
    """RFC 3501 section 6.3.10."""
    if b"HIGHESTMODSEQ" in command.items:
        session.use_modseqs(emit)
    place = session.place(command.mailbox)
    figures = await session.services.folders.figures(session.acting, place, deleted_size=b"DELETED-STORAGE" in command.items)
    if session.watch is not None:
        session.watch.asked(figures.row.id)
    emit.say(of(command.mailbox, command.items, figures, session.services))


def speller(items: Sequence[bytes], services: Services) -> Callable[[Figures], bytes]:
    """Spells what stands behind the mailbox in the response, to its end."""
    readers = [FIGURES[item] for item in items]
    template = b"(%b)\r\n" % b" ".join(b"%b %%b" % item if item in _WORDS else b"%b %%d" % item for item in items)

    def spelled(figures: Figures) -> bytes:
        return template % tuple([reader(figures, services) for reader in readers])

    return spelled


def of(mailbox: str, items: tuple[bytes, ...], figures: Figures, services: Services) -> StatusOf:
    """The response."""
    return StatusOf(mailbox, tuple((item, FIGURES[item](figures, services)) for item in items))
