"""STATUS: figures of a folder that need not be selected."""

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from gateway.folders import Extra, Figures
from gateway.imap.grammar.status import FolderStatus
from gateway.imap.responses import StatusOf
from gateway.imap.session import Output, Services, Session, mailbox_id

_PLAIN: Final = MappingProxyType(
    {
        b"MESSAGES": "exists",
        b"UIDNEXT": "uidnext",
        b"UIDVALIDITY": "uidvalidity",
        b"UNSEEN": "unseen",
        b"HIGHESTMODSEQ": "modseq",
        b"SIZE": "size",
        b"DELETED": "deleted",
        b"DELETED-STORAGE": "deleted_size",
    }
)
"""Items that the figures have as they are told."""


def _plain(name: str) -> Callable[[Figures, Services], int]:
    found: Callable[[Figures], int] = attrgetter(name)
    return lambda figures, _: found(figures)


FIGURES: Mapping[bytes, Callable[[Figures, Services], int | bytes]] = MappingProxyType(
    {
        **{item: _plain(name) for item, name in _PLAIN.items()},
        b"RECENT": lambda figures, services: max(0, figures.recent - services.states.claimed(figures)),
        b"MAILBOXID": lambda figures, _: mailbox_id(figures),
        b"APPENDLIMIT": lambda figures, services: services.append_limit,
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
    figures = await session.services.folders.figures(session.acting, place, extra(command.items))
    if session.watch is not None:
        session.watch.asked(figures.id)
    emit.say(of(command.mailbox, command.items, figures, session.services))


def extra(items: Collection[bytes]) -> Extra:
    """What more is to be looked at than the folder's row."""
    found = Extra.RECENT if b"RECENT" in items else Extra.NONE
    return found | Extra.DELETED_SIZE if b"DELETED-STORAGE" in items else found


def speller(items: Sequence[bytes], services: Services) -> Callable[[Figures], bytes]:
    """Spells what stands behind the mailbox in the response, to its end."""
    template = b"(%b)\r\n" % b" ".join(b"%b %%b" % item if item in _WORDS else b"%b %%d" % item for item in items)
    if items and all(item in _PLAIN for item in items):
        # As next to every client asks, of all its folders at once.
        plain = attrgetter(*[_PLAIN[item] for item in items])
        return lambda figures: template % plain(figures)
    readers = [FIGURES[item] for item in items]

    def spelled(figures: Figures) -> bytes:
        return template % tuple([reader(figures, services) for reader in readers])

    return spelled


def of(mailbox: str, items: tuple[bytes, ...], figures: Figures, services: Services) -> StatusOf:
    """The response."""
    return StatusOf(mailbox, tuple((item, FIGURES[item](figures, services)) for item in items))
