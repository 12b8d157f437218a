"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: folders as such."""

from types import MappingProxyType
from typing import Final

from gateway.folders import Place
from gateway.imap.grammar.folders import Create, Delete, Rename, Subscribe, create_uses
from gateway.imap.names import SEPARATOR
from gateway.imap.responses import CANNOT, USEATTR, mailboxid
from gateway.imap.session import Answer, No, Output, Session, mailbox_id
from policy.folders import SpecialUse

USES: Final = MappingProxyType(
    {
        b"\\Drafts": SpecialUse.DRAFTS,
        b"\\Sent": SpecialUse.SENT,
        b"\\Trash": SpecialUse.TRASH,
        b"\\Junk": SpecialUse.JUNK,
        b"\\Archive": SpecialUse.ARCHIVE,
    }
)
"""What a folder may be for (RFC 6154 section 2)."""


async def create(session: Session, command: Create, emit: Output) -> Answer:
    """RFC 3501 section 6.3.3, RFC 6154 section 5.3; a separator at the end of the name says nothing that matters here."""
    uses = create_uses(command.parameters)
    place = _folder(session, command.mailbox, to_create=True)
    use = await _special_use(session, place, uses) if uses else None
    row = await session.services.folders.create(session.acting, place, use)
    session.did(command.mailbox.rstrip(SEPARATOR))
    return Answer(code=mailboxid(mailbox_id(row)))


async def _special_use(session: Session, place: Place, uses: tuple[bytes, ...]) -> SpecialUse:
    """Raises No where the folder cannot serve so: what a folder is for is its owner's to say, and each has one purpose."""
    use = USES.get(uses[0])
    if len(uses) > 1 or use is None:
        raise No("a folder has one special use, of \\Archive, \\Drafts, \\Junk, \\Sent and \\Trash", USEATTR)
    if place.owner is not None:
        raise No("what a folder is for is its owner's to say", USEATTR)
    own = await session.services.folders.listing(session.acting)
    if any(one.row.special_use is use for one in own.folders):
        raise No("there is a folder for this already", USEATTR)
    return use


async def delete(session: Session, command: Delete, emit: Output) -> None:
    """RFC 3501 section 6.3.4."""
    place = _folder(session, command.mailbox)
    await session.services.folders.delete(session.acting, place)
    session.did(command.mailbox)
    selected = session.selected
    if selected is None or selected.folder.row.path != place.path:
        return
    assert session.actor is not None
    if str(selected.folder.owner) == (place.owner or str(session.actor.address)):
        # Its own doing: no reason to be thrown out.
        session.deselect()


async def rename(session: Session, command: Rename, emit: Output) -> None:
    """RFC 3501 section 6.3.5."""
    await session.services.folders.rename(session.acting, _folder(session, command.mailbox), _folder(session, command.new, to_create=True))
    session.did(command.mailbox, command.new.rstrip(SEPARATOR))


async def subscribe(session: Session, command: Subscribe, emit: Output) -> None:
    """RFC 3501 sections 6.3.6 and 6.3.7."""
    place = session.place(command.mailbox)
    if command.subscribed:
        await session.services.folders.subscribe(session.acting, place)
    else:
        await session.services.folders.unsubscribe(session.acting, place)
    session.did(command.mailbox)


def _folder(session: Session, mailbox: str, *, to_create: bool = False) -> Place:
    place = session.place(mailbox, to_create=to_create)
    if place.path == "/":
        raise No("this is where folders are, no folder", CANNOT)
    return place
