"""One reply for each recipient: LMTP (RFC 2033), which aiosmtpd answers with one for all."""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from gateway.smtp.engine import HardenedSMTP

log = logging.getLogger(__name__)

# A reply: lines with a hyphen after the code, and one without.
_REPLY = re.compile(r"(?:[0-9]{3}-[^\r\n]*\r\n)*[0-9]{3} [^\r\n]*")


class HardenedLMTP(HardenedSMTP):
    """LHLO in the place of EHLO and HELO; after DATA as many replies as RCPT commands were accepted, whatever happened.

    A handler's `handle_DATA` returns one reply for each of them, in their order, joined by CRLF; or a single one that holds for all.
    """

    verbs: ClassVar[Mapping[bytes, str]] = MappingProxyType(
        {b"LHLO": "smtp_LHLO"} | {verb: method for verb, method in HardenedSMTP.verbs.items() if verb not in (b"EHLO", b"HELO", b"XCLIENT")}
    )

    counts_refusals: ClassVar[bool] = False
    hears_neighbours: ClassVar[bool] = False

    def greeting(self) -> str:
        """RFC 2033 section 4."""
        return f"220 {self.hostname} LMTP"

    async def smtp_LHLO(self, hostname: str | None) -> None:
        """RFC 2033 section 4.1: the semantics of EHLO."""
        await self.smtp_EHLO(hostname)

    def after_data(self, status: str, recipients: int) -> list[str]:
        """RFC 2033 section 4.2."""
        replies = _REPLY.findall(status)
        if len(replies) == recipients:
            return replies
        if len(replies) == 1:
            return replies * recipients
        fields = {"listener": self.terms.name, "reason": f"{len(replies)} outcomes for {recipients} recipients"}
        log.error("lmtp.miscount", extra={"fields": fields})
        # Whoever hands mail in tries again; the delivery service knows by then what it has delivered.
        return ["451 4.3.0 something went wrong here, try again later"] * recipients
