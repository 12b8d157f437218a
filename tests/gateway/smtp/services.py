"""Services that answer by the name they are given: edge doubles, so that the dialogue can be tested without a store."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.login import Peer
from gateway.refusal import Refused
from gateway.sasl.bearer import Hints
from gateway.sasl.exchange import BearerToken, Claim, Credentials, ScramProof
from gateway.sasl.scram import is_proved, keys_of, keys_of_nobody
from gateway.sessions import Doing
from policy.delivery import Door
from policy.identity import AccountId, Actor, Address
from policy.reasons import Defer, Reason, Refuse
from store.model import ScramKeys

PASSWORD = b"correct horse"
ANNA = Actor(AccountId(1), Address("anna", "acme.test"), "Anna")

OF_RECIPIENT: dict[str, Refuse | Defer] = {
    "nobody": Refuse(Reason.RECIPIENT_UNKNOWN),
    "closed": Refuse(Reason.RECIPIENT_CLOSED, "closed"),
    "maintenance": Defer(Reason.RECIPIENT_MAINTENANCE, "maintenance"),
    "full": Defer(Reason.RECIPIENT_OVER_QUOTA),
    "list": Refuse(Reason.POSTING_NOT_PERMITTED, "anna@acme.test may not post to list@acme.test", "d-1"),
    "remote": Refuse(Reason.RELAY_NOT_PERMITTED),
}
OF_LOGIN: dict[str, Refuse | Defer] = {
    "locked@acme.test": Refuse(Reason.ACCOUNT_STATUS, "locked"),
    "maintenance@acme.test": Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance"),
    "expired@acme.test": Refuse(Reason.PASSWORD_EXPIRED, "https://acme.test/password"),
}


TOKEN = "anna.good"


class FakeLogin:
    def __init__(self) -> None:
        self.asked: list[tuple[Claim, Peer]] = []
        self.distrusted: list[str] = []

    async def authenticate(self, claim: Claim, peer: Peer) -> Actor:
        self.asked.append((claim, peer))
        await asyncio.sleep(0)
        name = "anna@acme.test" if isinstance(claim, BearerToken) else claim.authcid
        if name == "boom@acme.test":
            raise RuntimeError("secret /var/lib/procura.db")
        match claim:
            case Credentials(password=password):
                right = password == PASSWORD
            case ScramProof():
                right = is_proved(claim)
            case BearerToken(token=token):
                right = token == TOKEN
        if not right:
            raise Refused(Refuse(Reason.BAD_CREDENTIALS, "wrong password", "d-9"))
        if name in OF_LOGIN:
            raise Refused(OF_LOGIN[name])
        if claim.authzid not in ("", name):
            raise Refused(Refuse(Reason.AUTHORIZATION_REFUSED))
        return ANNA

    @property
    def hints(self) -> Hints:
        return Hints("mail", "https://issuer.acme.test/.well-known/openid-configuration")

    async def scram_keys(self, authcid: str, peer: Peer) -> ScramKeys:
        known = authcid == "anna@acme.test" or authcid in OF_LOGIN
        return keys_of(PASSWORD.decode(), b"salt", 4096) if known else keys_of_nobody(b"k", authcid.encode(), 4096)

    async def distrust(self, peer: Peer, why: str) -> Refused:
        self.distrusted.append(why)
        return Refused(Refuse(Reason.BAD_CREDENTIALS))


class FakeMessage:
    """A transaction and an inbound message in one. What the message says decides what becomes of it."""

    def __init__(self, place: "FakePlace", sender: Address | None) -> None:
        self._place = place
        self.sender = sender
        self.recipients: list[Address] = []

    async def add(self, recipient: Address, dsn: Sequence[str] = ()) -> None:
        self._place.requests.append(tuple(dsn))
        if recipient.local == "boom":
            raise RuntimeError("secret /var/lib/procura.db")
        if recipient.local in OF_RECIPIENT:
            raise Refused(OF_RECIPIENT[recipient.local])
        self.recipients.append(recipient)

    async def _commit(self, octets: bytes) -> str:
        place = self._place
        place.begun.set()
        if place.gate is not None:
            await place.gate.wait()
        if b"Subject: boom" in octets:
            raise RuntimeError("secret /var/lib/procura.db")
        if b"Subject: refuse" in octets:
            raise Refused(
                Refuse(
                    Reason.SENDER_NOT_PERMITTED,
                    "anna@acme.test may not send as berta@acme.test: no sendAs or sendOnBehalfOf grant",
                    "d-7f3a",
                )
            )
        if b"Subject: busy" in octets:
            raise Refused(Defer(Reason.BUSY))
        place.kept.append((self.sender, tuple(self.recipients), octets))
        return f"q{len(place.kept)}"


class FakeTransaction(FakeMessage):
    async def commit(self, octets: bytes) -> str:
        return await self._commit(octets)


class FakeInbound(FakeMessage):
    async def commit(self, octets: bytes) -> Sequence[str | Refuse | Defer]:
        queue_id = await self._commit(octets)
        if b"Subject: miscount" in octets:
            return ["q", "q", "q", "q"]
        return [Refuse(Reason.RECIPIENT_CLOSED, "closed") if one.local == "closing" else queue_id for one in self.recipients]


class FakePlace:
    """Both services."""

    def __init__(self) -> None:
        self.kept: list[tuple[Address | None, tuple[Address, ...], bytes]] = []
        self.begun = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.began: list[tuple[object, ...]] = []
        self.secured: list[bool] = []
        self.releases: list[int | None] = []
        self.requests: list[tuple[str, ...]] = []
        self.spoken: list[tuple[str, str]] = []


class FakeSubmission(FakePlace):
    async def begin(
        self,
        actor: Actor,
        reverse_path: Address | None,
        smtputf8: bool,
        source: str = "",
        *,
        secured: bool = False,
        release: int | None = None,
        dsn: Sequence[str] = (),
    ) -> FakeTransaction:
        self.requests.append(tuple(dsn))
        self.releases.append(release)
        self.began.append((actor, reverse_path, smtputf8))
        self.secured.append(secured)
        if reverse_path is not None and reverse_path.local == "stranger":
            raise Refused(Refuse(Reason.REVERSE_PATH_NOT_PERMITTED, f"{actor.address} may not send from {reverse_path}", "d-2"))
        return FakeTransaction(self, reverse_path)


class FakeDelivery(FakePlace):
    async def begin(
        self, door: Door, reverse_path: Address | None, peer_ip: str, *, helo: str = "", protocol: str = "", dsn: Sequence[str] = ()
    ) -> FakeInbound:
        self.requests.append(tuple(dsn))
        self.spoken.append((helo, protocol))
        self.began.append((door, reverse_path, peer_ip))
        return FakeInbound(self, reverse_path)


class FakeSessions:
    heard = 0

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.open: list[Callable[[Refuse | Defer], None]] = []

    def add(
        self,
        actor: Actor,
        protocol: str,
        peer: str,
        end: Callable[[Refuse | Defer], None],
        describe: Callable[[], Doing] = Doing,
        *,
        heard: int | None = None,
    ) -> Callable[[], None] | None:
        if len(self.open) >= self.most:
            return None
        self.open.append(end)
        return lambda: self.open.remove(end)
