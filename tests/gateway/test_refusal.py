"""How a service says no."""

import pytest

from gateway.refusal import Refused
from policy.reasons import Defer, Reason, Refuse


@pytest.mark.parametrize("verdict", [Refuse(Reason.RECIPIENT_CLOSED, "closed", "d-1"), Defer(Reason.BUSY)])
def test_it_carries_the_verdict(verdict: Refuse | Defer) -> None:
    with pytest.raises(Refused) as caught:
        raise Refused(verdict)
    assert caught.value.verdict is verdict
