"""How a service says no."""

import asyncio

import pytest

from gateway.refusal import Refused, later, until
from policy.reasons import Defer, Reason, Refuse
from store.errors import Broken, Busy, Full


@pytest.mark.parametrize("verdict", [Refuse(Reason.RECIPIENT_CLOSED, "closed", "d-1"), Defer(Reason.BUSY)])
def test_it_carries_the_verdict(verdict: Refuse | Defer) -> None:
    with pytest.raises(Refused) as caught:
        raise Refused(verdict)
    assert caught.value.verdict is verdict


def test_a_full_disk_is_told_apart() -> None:
    assert later(Full("no room")) == Defer(Reason.DISK_FULL)
    assert [later(one) for one in (Busy("away"), Broken("a constraint"))] == [Defer(Reason.BUSY)] * 2


@pytest.mark.parametrize("further", [0.0, 0.0002, 0.0004, 0.0006, 0.0008])
async def test_a_moment_is_met_whenever_it_was_set(further: float) -> None:
    """A timer alone is up to a millisecond late, the more so the later it was set: who waits could tell how long was looked."""
    loop = asyncio.get_running_loop()
    late = []
    for _ in range(8):
        moment = loop.time() + 0.0041
        while loop.time() < moment - 0.004 + further:
            pass
        await until(moment)
        late.append(loop.time() - moment)
    assert 0 <= min(late) < 0.0001
