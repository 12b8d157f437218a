"""LOGIN and AUTHENTICATE: from what a client says to somebody who acts."""

from binascii import b2a_base64

from gateway import mechanisms
from gateway.imap.framing import FramingError
from gateway.imap.grammar.cursor import BadSyntax
from gateway.imap.grammar.login import Authenticate, Login, sasl_answer
from gateway.imap.responses import CANNOT, PRIVACYREQUIRED
from gateway.imap.session import Answer, Bad, No, Output, Session
from gateway.login import Peer
from gateway.sasl.exchange import Cancelled, Credentials, Malformed
from policy.identity import Actor


async def login(session: Session, command: Login, emit: Output) -> Answer:
    """RFC 3501 section 6.2.3."""
    _require_privacy(session)
    credentials = Credentials("LOGIN", command.user, "", command.password.encode("utf-8"))
    heard = session.services.sessions.heard
    return _enter(session, await session.services.login.authenticate(credentials, _peer(session)), heard)


async def authenticate(session: Session, command: Authenticate, emit: Output) -> Answer:
    """RFC 3501 section 6.2.2, with RFC 4959's initial response."""
    mechanism = command.mechanism.decode("ascii", "replace")
    if mechanism not in session.services.mechanisms:
        raise No("this mechanism is not offered", CANNOT)
    _require_privacy(session)
    if mechanism not in mechanisms.offered(session.services.mechanisms, session.wire.end_point):
        raise No("this mechanism is not offered", CANNOT)

    heard = session.services.sessions.heard

    async def ask(challenge: bytes) -> bytes:
        try:
            answer = sasl_answer(await session.wire.ask(b2a_base64(challenge, newline=False)))
        except (BadSyntax, FramingError) as error:
            raise Bad(error.message) from None
        if answer is None:
            raise Cancelled
        return answer

    try:
        actor = await mechanisms.authenticate(mechanism, command.initial, ask, session.services.login, _peer(session))
    except Malformed as malformed:
        raise Bad(malformed.message) from None
    except Cancelled:
        raise Bad("AUTHENTICATE cancelled") from None
    return _enter(session, actor, heard)


def _require_privacy(session: Session) -> None:
    secure, _ = session.wire.circumstances_of_tls
    if not secure and not session.services.plaintext_login:
        raise No("passwords are taken over TLS only", PRIVACYREQUIRED)


def _peer(session: Session) -> Peer:
    secure, _ = session.wire.circumstances_of_tls
    return Peer(session.wire.peer, "imap", secure, session.wire.end_point)


def _enter(session: Session, actor: Actor, heard: int) -> Answer:
    session.enter(actor, heard)
    return Answer(f"logged in as {actor.address}")
