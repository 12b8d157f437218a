"""What a session keeps while it idles, counted in octets that our own modules have allocated."""

from __future__ import annotations

import gc
import tracemalloc

from gateway.arrival import arrived
from gateway.imap.listener import Limits
from store import messages
from tests.gateway.imap.handlers.house import House

SESSIONS = 20
MOST = 8 * 1024
"""Of one session; what the event loop and the system keep for a connection comes on top. Measured: 6.9 KiB."""
OURS = [tracemalloc.Filter(True, f"*/{room}/*") for room in ("gateway", "policy", "store", "config")]
THEIRS = tracemalloc.Filter(False, "*/tests/*")


def _kept() -> int:
    gc.collect()
    traces = tracemalloc.take_snapshot().filter_traces((THEIRS,)).filter_traces(OURS)
    return sum(one.size for one in traces.statistics("filename"))


async def test_an_idle_session_keeps_next_to_nothing(house: House) -> None:
    port = await house.listen(Limits())
    item = messages.NewInFolder(arrived(b"Subject: x\r\n\r\nhello\r\n"))
    await house.store.do(messages.AppendMessages(await house.folder("anna"), (item,) * 500, 0))
    tracemalloc.start()
    try:
        idling = []
        before = 0
        for number in range(SESSIONS + 2):
            if number == 2:  # the first ones bring what is shared
                before = _kept()
            client = await house.client(port, "anna")
            await client.do("SELECT INBOX")
            await client.idle()
            idling.append(client)
        each = (_kept() - before) / SESSIONS
    finally:
        tracemalloc.stop()
    assert 0 < each < MOST, each
