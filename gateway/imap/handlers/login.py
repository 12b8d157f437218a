"""LOGIN and AUTHENTICATE: from what a client says to somebody who acts."""

from binascii import b2a_base64

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
    """RFC 3501 section 6.2.2, with RFC 4959's initial response: PLAIN (RFC 4616), and LOGIN, which some clients still prefer."""
    if command.mechanism not in (b"PLAIN", b"LOGIN"):
        raise No("this mechanism is not offered", CANNOT)
    _require_privacy(session)
    first = command.initial
    if command.mechanism == b"PLAIN":
        return await _enter(session, plain(await _answer(session, b"") if first is None else first))
    user = await _answer(session, b"Username:") if first is None else first
    try:
        name = user.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("expected UTF-8") from None
    return await _enter(session, Credentials("LOGIN", name, "", await _answer(session, b"Password:")))


async def _answer(session: Session, challenge: bytes) -> bytes:
    """What the client answers to a challenge. Raises Bad: cancelled with `*`, or no base64."""
    try:
        answer = sasl_answer(await session.wire.ask(b2a_base64(challenge, newline=False)))
    except (BadSyntax, FramingError) as error:
        raise Bad(error.message) from None
    if answer is None:
        raise Bad("AUTHENTICATE cancelled")
    return answer


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
