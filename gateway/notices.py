"""Tells people by mail what happened to their account: so far, that it was locked out, by whom and when."""

import asyncio
import logging
from datetime import UTC, datetime

from gateway.delivery import Delivery
from gateway.login import LockoutBegan, Login
from policy.login import FOREVER
from store.errors import StoreError
from store.port import Store

log = logging.getLogger(__name__)


class Notices:
    """`run` is a task of the application. What cannot be written is logged: a notice must not stop anything."""

    def __init__(self, store: Store, delivery: Delivery, login: Login) -> None:
        self._store = store
        self._delivery = delivery
        self._began: asyncio.Queue[LockoutBegan] = asyncio.Queue()
        login.lockout_began.append(self._began)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            began = await self._began.get()
            try:
                async with self._store.snapshot() as snapshot:
                    deed = await self._delivery.notice(snapshot, began.address, "Your account is locked out for a while", _lockout(began))
                await self._store.do(deed)
            except StoreError as fault:
                log.warning("notice", extra={"fields": {"account": str(began.address), "outcome": "not written", "reason": repr(fault)}})
            except Exception:
                log.exception("notice failed", extra={"fields": {"account": str(began.address)}})


def _lockout(began: LockoutBegan) -> str:
    until = began.history.locked_until
    lines = [
        f"Too many wrong passwords were tried for {began.address}, so for now nobody can log in to it.",
        "Your mail still arrives, and sessions that are open stay open.",
        "",
        "It ends when an administrator unlocks the account."
        if until is None or until >= FOREVER
        else f"It ends by itself at {_spelled(until)}.",
        "Networks from which you have logged in before are let in meanwhile, unless wrong passwords came from there.",
        "",
        "The attempts that counted:",
    ]
    lines += [f"  {_spelled(one.at)}  from {one.source}" for one in began.history.failures[-50:]]
    return "\n".join(lines)


def _spelled(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
