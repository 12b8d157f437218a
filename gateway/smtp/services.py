"""What SMTP and LMTP ask of the services: who is this, may this be sent, does this recipient take mail?"""

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.sessions import Doing
from policy.delivery import Door
from policy.identity import Actor, Address
from policy.reasons import Defer, Refuse


class Transaction(Protocol):
    """One message being submitted."""

    async def add(self, recipient: Address, dsn: Sequence[str] = ()) -> None:
        """RCPT; `dsn`: NOTIFY and ORCPT (gateway.dsn). Raises Refused."""

    async def commit(self, octets: bytes) -> str:
        """The end of DATA: durable when it returns, with the queue id. Raises Refused."""
        ...


class Submission(Protocol):
    """The submission service."""

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
    ) -> Transaction:
        """MAIL; `reverse_path` None is `<>`, `source` the client's address for the record, `secured`: by TLS; `release`: not to be
        sent before, microseconds since 1970; `dsn`: RET and ENVID (gateway.dsn). Raises Refused."""
        ...


class Inbound(Protocol):
    """One message that came in by LMTP or MX."""

    async def add(self, recipient: Address, dsn: Sequence[str] = ()) -> None:
        """RCPT; `dsn`: NOTIFY and ORCPT (gateway.dsn). Raises Refused."""

    async def commit(self, octets: bytes) -> Sequence[str | Refuse | Defer]:
        """One outcome per accepted recipient, in the order of RCPT: a queue id, or why not. Raises Refused for all of them."""
        ...


class Delivery(Protocol):
    """The delivery service."""

    async def begin(
        self, door: Door, reverse_path: Address | None, peer_ip: str, *, helo: str = "", protocol: str = "", dsn: Sequence[str] = ()
    ) -> Inbound:
        """MAIL; `reverse_path` None is `<>`, `dsn`: RET and ENVID (gateway.dsn); `helo` and `protocol`: for Received. Raises Refused."""
        ...


class Sessions(Protocol):
    """Who is logged in now, so that a change of status or password ends it."""

    @property
    def heard(self) -> int:
        """To be asked before a login is looked at, and given to `add`."""

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
        """`end` may be called at any time and more than once; `describe`: what the session is doing, for administrators; `heard`: as it was
        before. What is returned takes the session out again. None: the account has as many sessions as it may.
        """
        ...
