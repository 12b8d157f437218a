"""Who is about to run out of room, and hears of it by mail, at most once in so long a time?"""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.delivery import Delivery
from policy.identity import AccountId
from policy.quota import Usage, is_warning_due
from store import accounts
from store.accounts import WarnedOfQuota
from store.deeds import Several
from store.errors import StoreError
from store.model import AccountRow
from store.port import Event, RoomTaken, Store

log = logging.getLogger(__name__)

PAUSE: Final = 0.2
"""Seconds between two looks: a mailbox that is being filled is not looked at for each message."""
AT_ONCE: Final = 500
"""Accounts looked at in one snapshot at the start."""
SUBJECT: Final = "Your mailbox is nearly full"
TEXT: Final = (
    "Your mailbox ${RECIPIENT_ADDRESS} holds ${MBOX_SIZE_MB} MB, which is ${PERCENT}% of the ${QUOTA_MB} MB you may use.\n"
    "When it is full, new mail for you is refused, and nobody can put messages into your folders.\n"
    "Delete what you no longer need (and empty the Trash), or ask your administrator for more room."
)
_PLACEHOLDER: Final = re.compile(r"\$\{([A-Z_]+)\}")
_FIELD: Final = re.compile(r"[!-9;-~]+:")


class QuotaWarnings:
    """`run` is a task of the application, `told` a watcher of the store. What cannot be written is tried at the next message."""

    def __init__(self, store: Store, delivery: Delivery, *, pause: float = PAUSE) -> None:
        self._store = store
        self._delivery = delivery
        self._pause = pause
        self._grown: set[AccountId] = set()
        self._wake = asyncio.Event()

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        for event in events:
            if isinstance(event, RoomTaken) and self._store.leads:
                self._grown.add(event.owner)
                self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled. Begins with all accounts: who filled up just before the last process ended has not been told."""
        await self._look_at_all()
        while True:
            await self._wake.wait()
            self._wake.clear()
            grown, self._grown = self._grown, set()
            for owner in grown:
                await self._look_at(owner)
            await asyncio.sleep(self._pause)

    async def _look_at_all(self) -> None:
        after = 0
        while True:
            try:
                async with self._store.snapshot() as snapshot:
                    found = await snapshot.work(accounts.with_mail, after, AT_ONCE)
            except StoreError as fault:
                log.warning("quota warnings", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
                return
            for owner in found:
                await self._look_at(owner)
            if len(found) < AT_ONCE:
                return
            after = found[-1]

    async def _look_at(self, owner: AccountId) -> None:
        try:
            async with self._store.snapshot() as snapshot:
                row = await snapshot.ask(accounts.by_id, owner)
                if row is None:
                    return
                values, usage = row.values, Usage(row.used, row.values.quota)
                warned = await snapshot.ask(accounts.quota_warned, owner)
                if not is_warning_due(usage, values.quota_warn_percent, values.quota_warn_interval, warned, snapshot.now):
                    return
                subject, text = worded(row, usage, snapshot.now)
                mail = await self._delivery.notice(snapshot, row.address, subject, text)
            await self._store.do(Several((mail, WarnedOfQuota(owner))))
        except StoreError as fault:
            log.warning("quota warning", extra={"fields": {"account": owner, "outcome": "not written", "reason": repr(fault)}})
            return
        except Exception:
            log.exception("quota warning failed", extra={"fields": {"account": owner}})
            return
        log.info("quota warning", extra={"fields": {"account": owner, "percent": usage.percent, "outcome": "delivered"}})


def worded(row: AccountRow, usage: Usage, now: int) -> tuple[str, str]:
    """Subject and text. The account's `quota_warn_message` is a text with Carbonio's placeholders; where it begins with header fields, as
    Carbonio's own does, its Subject is taken, and the other fields stay ours. `now` in microseconds."""
    known = {
        "NEWLINE": "\n",
        "RECIPIENT_ADDRESS": str(row.address),
        "RECIPIENT_NAME": row.display_name or str(row.address),
        "RECIPIENT_DOMAIN": row.address.domain,
        "MBOX_SIZE_MB": _megabytes(usage.used),
        "QUOTA_MB": _megabytes(usage.limit),
        "WARN_PERCENT": str(row.values.quota_warn_percent),
        "PERCENT": str(usage.percent),
        "DATE": datetime.fromtimestamp(now / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
    written = row.values.quota_warn_message or TEXT
    text = _PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), written).replace("\r\n", "\n")
    head, gap, body = text.partition("\n\n")
    fields = head.split("\n")
    if not gap or not all(_FIELD.match(field) for field in fields):
        return SUBJECT, text
    subjects = [field.partition(":")[2].strip() for field in fields if field.lower().startswith("subject:")]
    return (subjects[0] if subjects else SUBJECT), body


def _megabytes(octets: int) -> str:
    return f"{octets / (1 << 20):.1f}".removesuffix(".0")
