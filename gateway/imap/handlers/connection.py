"""CAPABILITY, NOOP, LOGOUT, STARTTLS, IDLE, ENABLE, ID: answers about the connection itself."""

from typing import Final

from gateway.changes import News
from gateway.imap.grammar.connection import Capability, Compress, Enable, Identify, Idle, Logout, Noop, StartTls, Unauthenticate
from gateway.imap.handlers.contexts import end_numbered
from gateway.imap.handlers.notify import watch_metadata
from gateway.imap.responses import COMPRESSIONACTIVE, Capabilities, Condition, Continuation, Enabled, Identification, Status
from gateway.imap.session import SPELLINGS, Answer, Bad, No, Output, Session

CLIENT: Final = 200
"""Characters of what a client calls itself that are kept."""
_OURSELVES: Final = (("name", "procura"), ("vendor", "procura"))


async def capability(session: Session, command: Capability, emit: Output) -> None:
    """What can be done here, now."""
    emit.say(Capabilities(session.capabilities().names))


async def noop(session: Session, command: Noop, emit: Output) -> None:
    """What happened is told before the tagged answer."""
    session.news |= News.FOLDER
    if session.watch is not None and session.watch.pending:
        session.news |= News.ELSEWHERE


async def logout(session: Session, command: Logout, emit: Output) -> Answer:
    """BYE, OK, end."""
    emit.say(Status(Condition.BYE, "goodbye"))
    session.deselect()
    return Answer()


async def unauthenticate(session: Session, command: Unauthenticate, emit: Output) -> Answer:
    """RFC 8437: whoever comes next on this connection comes as to a new one, but for TLS, which stays."""
    session.withdraw()
    return Answer(then=session.wire.expand)


async def compress(session: Session, command: Compress, emit: Output) -> Answer:
    """RFC 4978 section 3: deflated from behind the tagged OK on. TLS never compresses here."""
    if session.wire.compressed:
        raise No("DEFLATE is active already, by COMPRESS", COMPRESSIONACTIVE)
    if session.wire.pending:
        raise Bad("nothing may be sent behind COMPRESS before it is answered")
    return Answer("DEFLATE active", then=session.wire.compress)


async def starttls(session: Session, command: StartTls, emit: Output) -> Answer:
    """RFC 3501 section 6.2.1; RFC 9051 section 7.1: whatever was said before is void afterwards."""
    secure, can_secure = session.wire.circumstances_of_tls
    if secure:
        raise Bad("TLS is on already")
    if not can_secure:
        raise No("there is no TLS here")
    return Answer("begin TLS now", then=session.wire.secure)


async def idle(session: Session, command: Idle, emit: Output) -> Answer:
    """RFC 2177. The listener waits for DONE; this command's task ends here."""
    session.news |= News.FOLDER
    emit.say(Continuation(b"idling"))
    return Answer("IDLE completed", idles=True)


async def enable(session: Session, command: Enable, emit: Output) -> None:
    """RFC 5161: what is unknown is passed over (clients.md 20: mutt asks for UTF8=ACCEPT without having seen it)."""
    enabled = tuple(name for name in dict.fromkeys(command.names) if session.services.registry.enables(name))
    if b"CONDSTORE" in enabled or b"QRESYNC" in enabled:
        # RFC 7162 section 3.2.3: QRESYNC comes with all of CONDSTORE.
        session.use_modseqs(emit)
    if b"METADATA" in enabled and b"METADATA" not in session.enabled:
        await watch_metadata(session, emit)
    if b"UIDONLY" in enabled and session.selected is not None:
        end_numbered(session.selected, emit)
    session.enable(*enabled)
    emit.utf8 = session.takes_utf8
    emit.say(Enabled(tuple(SPELLINGS.get(name, name) for name in enabled)))


async def identify(session: Session, command: Identify, emit: Output) -> None:
    """RFC 2971. Our version is nobody's business before login, and of no use after it; the client's is shown to administrators."""
    said = {name.lower(): value for name, value in command.fields if value}
    session.client = " ".join(said[name] for name in ("name", "version") if name in said)[:CLIENT]
    emit.say(Identification(_OURSELVES))
