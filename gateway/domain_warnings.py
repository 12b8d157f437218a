"""Who is told that a domain has nearly used up the room of all its accounts?"""

import logging
from typing import Final

from gateway.delivery import Delivery
from gateway.message.canonical import read_address
from policy.identity import BadAddress
from policy.quota import WARN_AGAIN, Usage, is_warning_due
from store import domains
from store.deeds import Several
from store.domains import WarnedOfRoom
from store.errors import StoreError
from store.model import DomainRow
from store.port import Store

log = logging.getLogger(__name__)

SUBJECT: Final = "The mailboxes of {} are nearly full"


class DomainWarnings:
    """`round` is called once an hour. Mail and mark are one deed."""

    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery

    async def round(self) -> None:
        """Every domain with an aggregate quota that nobody was told of for a day. Raises StoreError."""
        async with self._store.snapshot() as snapshot:
            rows = await snapshot.work(domains.all_of_them)
            now = snapshot.now
        for row in rows:
            limits = row.limits
            usage = Usage(row.used, limits.aggregate_quota)
            warned = row.warned or None
            if limits.warn_recipients and is_warning_due(usage, limits.warn_percent, WARN_AGAIN, warned, now):
                await self._tell(row, usage)

    async def _tell(self, row: DomainRow, usage: Usage) -> None:
        mails = []
        try:
            async with self._store.snapshot() as snapshot:
                for one in row.limits.warn_recipients:
                    try:
                        to = read_address(one)
                    except BadAddress:
                        continue
                    mails.append(await self._delivery.notice(snapshot, to, SUBJECT.format(row.name), worded(row, usage)))
            await self._store.do(Several((*mails, WarnedOfRoom(row.id))))
        except StoreError as fault:
            log.warning("domain warning", extra={"fields": {"domain": row.name, "outcome": "not written", "reason": repr(fault)}})
            return
        log.info("domain warning", extra={"fields": {"domain": row.name, "percent": usage.percent, "outcome": "delivered"}})


def worded(row: DomainRow, usage: Usage) -> str:
    """What the mail says."""
    ends = {
        "allowsendreceive": "Nothing is refused when it is used up: this is a notice.",
        "blocksend": "When it is used up, nobody in the domain can send mail.",
        "blocksendreceive": "When it is used up, nobody in the domain can send mail, and mail for it is refused.",
    }[row.limits.policy]
    return (
        f"The accounts of {row.name} use {_megabytes(usage.used)} MB, which is {usage.percent}% of the {_megabytes(usage.limit)} MB that "
        f"they have together (aggregateQuota).\n{ends}\n"
        f"procura prov getQuotaUsage {row.name} shows who uses how much."
    )


def _megabytes(octets: int) -> str:
    return f"{octets / (1 << 20):.1f}".removesuffix(".0")
