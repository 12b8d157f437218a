"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: folders as such."""

from gateway.folders import Place
from gateway.imap.grammar.folders import Create, Delete, Rename, Subscribe
from gateway.imap.responses import CANNOT
from gateway.imap.session import Bad, No, Output, Session


async def create(session: Session, command: Create, emit: Output) -> None:
    """RFC 3501 section 6.3.3; a separator at the end of the name says nothing that matters here."""
    if command.parameters:
        raise Bad("there is no such parameter of CREATE here")
    await session.services.folders.create(session.acting, _folder(session, command.mailbox, to_create=True))


async def delete(session: Session, command: Delete, emit: Output) -> None:
    """RFC 3501 section 6.3.4."""
    place = _folder(session, command.mailbox)
    await session.services.folders.delete(session.acting, place)
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


async def subscribe(session: Session, command: Subscribe, emit: Output) -> None:
    """RFC 3501 sections 6.3.6 and 6.3.7."""
    place = session.place(command.mailbox)
    if command.subscribed:
        await session.services.folders.subscribe(session.acting, place)
    else:
        await session.services.folders.unsubscribe(session.acting, place)


def _folder(session: Session, mailbox: str, *, to_create: bool = False) -> Place:
    place = session.place(mailbox, to_create=to_create)
    if place.path == "/":
        raise No("this is where folders are, no folder", CANNOT)
    return place
