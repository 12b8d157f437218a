"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: who may do what with a folder (RFC 4314)."""

from gateway.imap.grammar.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from gateway.imap.responses import Acl, OwnRights, RightsList
from gateway.imap.session import Output, Session
from policy.rights import Change, spell_rfc


async def setacl(session: Session, command: SetAcl, emit: Output) -> None:
    """RFC 4314 section 3.1."""
    change = Change(command.mode.value.decode("ascii"))
    await session.services.folders.set_entry(session.acting, session.place(command.mailbox), command.identifier, change, command.rights)


async def deleteacl(session: Session, command: DeleteAcl, emit: Output) -> None:
    """RFC 4314 section 3.2."""
    await session.services.folders.remove_entry(session.acting, session.place(command.mailbox), command.identifier)


async def getacl(session: Session, command: GetAcl, emit: Output) -> None:
    """RFC 4314 section 3.3: the owner, and every entry that counts."""
    entries = await session.services.folders.entries(session.acting, session.place(command.mailbox))
    emit.say(Acl(command.mailbox, tuple((one.identifier, one.rights) for one in entries)))


async def listrights(session: Session, command: ListRights, emit: Output) -> None:
    """RFC 4314 section 3.4."""
    always, optional = await session.services.folders.grantable(session.acting, session.place(command.mailbox), command.identifier)
    emit.say(RightsList(command.mailbox, command.identifier, always, optional))


async def myrights(session: Session, command: MyRights, emit: Output) -> None:
    """RFC 4314 section 3.5."""
    held = await session.services.folders.rights(session.acting, session.place(command.mailbox))
    emit.say(OwnRights(command.mailbox, spell_rfc(held)))
