"""Services that answer by the name they are given: edge doubles, so that the dialogue can be tested without a store."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.login import Credentials, Peer
from gateway.refusal import Refused
from policy.delivery import Door
from policy.identity import AccountId, Actor, Address
from policy.reasons import Defer, Reason, Refuse

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


class FakeLogin:
    def __init__(self) -> None:
        self.asked: list[tuple[Credentials, Peer]] = []

    async def authenticate(self, credentials: Credentials, peer: Peer) -> Actor:
        self.asked.append((credentials, peer))
        await asyncio.sleep(0)
        if credentials.authcid == "boom@acme.test":
            raise RuntimeError("secret /var/lib/procura.db")
        if credentials.password != PASSWORD:
            raise Refused(Refuse(Reason.BAD_CREDENTIALS, "wrong password", "d-9"))
        if credentials.authcid in OF_LOGIN:
            raise Refused(OF_LOGIN[credentials.authcid])
        if credentials.authzid not in ("", credentials.authcid):
            raise Refused(Refuse(Reason.AUTHORIZATION_REFUSED))
        return ANNA


class FakeMessage:
    """A transaction and an inbound message in one. What the message says decides what becomes of it."""

    def __init__(self, place: "FakePlace", sender: Address | None) -> None:
        self._place = place
        self.sender = sender
        self.recipients: list[Address] = []

    async def add(self, recipient: Address) -> None:
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


class FakeSubmission(FakePlace):
    async def begin(
        self, actor: Actor, reverse_path: Address | None, smtputf8: bool, source: str = "", *, secured: bool = False
    ) -> FakeTransaction:
        self.began.append((actor, reverse_path, smtputf8))
        self.secured.append(secured)
        if reverse_path is not None and reverse_path.local == "stranger":
            raise Refused(Refuse(Reason.REVERSE_PATH_NOT_PERMITTED, f"{actor.address} may not send from {reverse_path}", "d-2"))
        return FakeTransaction(self, reverse_path)


class FakeDelivery(FakePlace):
    async def begin(self, door: Door, reverse_path: Address | None, peer_ip: str) -> FakeInbound:
        self.began.append((door, reverse_path, peer_ip))
        return FakeInbound(self, reverse_path)


class FakeSessions:
    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.open: list[Callable[[Refuse | Defer], None]] = []

    def add(self, actor: Actor, protocol: str, peer: str, end: Callable[[Refuse | Defer], None]) -> Callable[[], None] | None:
        if len(self.open) >= self.most:
            return None
        self.open.append(end)
        return lambda: self.open.remove(end)
