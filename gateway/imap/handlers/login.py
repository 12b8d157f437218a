"""LOGIN and AUTHENTICATE: from what a client says to somebody who acts."""

from gateway.imap.framing import FramingError
from gateway.imap.grammar.cursor import BadSyntax
from gateway.imap.grammar.login import Authenticate, Login, sasl_answer
from gateway.imap.responses import CANNOT, PRIVACYREQUIRED
from gateway.imap.session import Answer, Bad, No, Output, Session
from gateway.login import Credentials, Peer


async def login(session: Session, command: Login, emit: Output) -> Answer:
    """RFC 3501 section 6.2.3."""
    _require_privacy(session)
    return await _enter(session, Credentials("LOGIN", command.user, "", command.password.encode("utf-8")))


async def authenticate(session: Session, command: Authenticate, emit: Output) -> Answer:
    """RFC 3501 section 6.2.2, RFC 4616 (PLAIN)."""
    if command.mechanism != b"PLAIN":
        raise No("this mechanism is not offered", CANNOT)
    _require_privacy(session)
    message = command.initial
    if message is None:
        try:
            message = sasl_answer(await session.wire.ask(b""))
        except (BadSyntax, FramingError) as error:
            raise Bad(error.message) from None
        if message is None:
            raise Bad("AUTHENTICATE cancelled")
    return await _enter(session, plain(message))


def plain(message: bytes) -> Credentials:
    """`message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 section 2). Raises Bad."""
    parts = message.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Bad("expected authorisation identity, user name and password, parted by NUL")
    try:
        return Credentials("PLAIN", parts[1].decode("utf-8"), parts[0].decode("utf-8"), parts[2])
    except UnicodeDecodeError:
        raise Bad("expected UTF-8") from None


def _require_privacy(session: Session) -> None:
    secure, _ = session.wire.circumstances_of_tls
    if not secure and not session.services.plaintext_login:
        raise No("passwords are taken over TLS only", PRIVACYREQUIRED)


async def _enter(session: Session, credentials: Credentials) -> Answer:
    secure, _ = session.wire.circumstances_of_tls
    actor = await session.services.login.authenticate(credentials, Peer(session.wire.peer, "imap", secure))
    session.enter(actor)
    return Answer(f"logged in as {actor.address}")
