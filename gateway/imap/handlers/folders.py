"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: folders as such."""

from gateway.folders import HAS_CHILDREN, NOT_ONES_OWN, Place, use_named
from gateway.imap.grammar.folders import Create, Delete, Rename, Subscribe, create_uses
from gateway.imap.handlers.listing import listed, renamed
from gateway.imap.names import SEPARATOR
from gateway.imap.responses import CANNOT, HASCHILDREN, Listed, mailboxid
from gateway.imap.session import Answer, No, Output, Session, mailbox_id
from gateway.refusal import Refused
from policy.folders import SpecialUse
from store.model import FolderRow


async def create(session: Session, command: Create, emit: Output) -> Answer:
    """RFC 3501 section 6.3.3, RFC 6154 section 5.3; a separator at the end of the name says nothing that matters here."""
    uses = create_uses(command.parameters)
    place = _folder(session, command.mailbox, to_create=True)
    use = _special_use(place, uses)
    row = await session.services.folders.create(session.acting, place, use)
    session.did(command.mailbox.rstrip(SEPARATOR))
    await _tell_name(session, command.mailbox, row, emit)
    return Answer(code=mailboxid(mailbox_id(row)))


def _special_use(place: Place, uses: tuple[bytes, ...]) -> SpecialUse | None:
    """Raises Refused where the folder cannot serve so; whether another does already is for the service to see."""
    use = use_named(uses)
    if use is not None and place.owner is not None:
        raise Refused(NOT_ONES_OWN)
    return use


async def delete(session: Session, command: Delete, emit: Output) -> None:
    """RFC 3501 section 6.3.4; with IMAP4rev2 HASCHILDREN says why a name stays (RFC 9051 section 6.3.5)."""
    place = _folder(session, command.mailbox)
    try:
        await session.services.folders.delete(session.acting, place)
    except Refused as refused:
        if refused.verdict == HAS_CHILDREN and session.is_rev2:
            raise No(refused.verdict.detail, HASCHILDREN) from None
        raise
    session.did(command.mailbox)
    name = session.names.canonical(command.mailbox)
    if session.is_rev2 and name != command.mailbox:
        emit.say(Listed((b"\\NonExistent",), name, renamed(command.mailbox, name)))
    selected = session.selected
    if selected is None or selected.folder.row.path != place.path:
        return
    assert session.actor is not None
    if str(selected.folder.owner) == (place.owner or str(session.actor.address)):
        # Its own doing: no reason to be thrown out.
        session.deselect()


async def rename(session: Session, command: Rename, emit: Output) -> None:
    """RFC 3501 section 6.3.5."""
    to = _folder(session, command.new, to_create=True)
    row = await session.services.folders.rename(session.acting, _folder(session, command.mailbox), to)
    session.did(command.mailbox, command.new.rstrip(SEPARATOR))
    if session.is_rev2 and not (_is_canonical(session, command.mailbox) and _is_canonical(session, command.new)):
        emit.say(await listed(session, command.new, row, old=command.mailbox))


async def subscribe(session: Session, command: Subscribe, emit: Output) -> None:
    """RFC 3501 sections 6.3.6 and 6.3.7."""
    place = session.place(command.mailbox)
    if command.subscribed:
        await session.services.folders.subscribe(session.acting, place)
    else:
        await session.services.folders.unsubscribe(session.acting, place)
    session.did(command.mailbox)


async def _tell_name(session: Session, mailbox: str, row: FolderRow, emit: Output) -> None:
    """RFC 9051 section 6.3.9.7: who wrote a name in another form than Normalization Form C is told how it is listed."""
    if session.is_rev2 and not _is_canonical(session, mailbox):
        emit.say(await listed(session, mailbox, row))


def _is_canonical(session: Session, mailbox: str) -> bool:
    return session.names.canonical(mailbox) == (mailbox.removesuffix(SEPARATOR) if len(mailbox) > 1 else mailbox)


def _folder(session: Session, mailbox: str, *, to_create: bool = False) -> Place:
    place = session.place(mailbox, to_create=to_create)
    if place.path == "/":
        raise No("this is where folders are, no folder", CANNOT)
    return place
