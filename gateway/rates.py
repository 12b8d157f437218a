"""How many may be sent now, and what a sender is told who has reached a limit."""

from collections.abc import Sequence
from datetime import UTC, datetime

from policy.identity import Address
from policy.rates import RateLimit
from policy.reasons import Defer, Reason
from store import rates
from store.port import Tx
from store.rates import Counts, Reached


def reached_first(tx: Tx, counting: Sequence[RateLimit], recipients: int = 1) -> Reached | None:
    """The first limit that keeps a sender from one more message with so many recipients; None: none does."""
    for limit in counting:
        why = rates.reached(tx, limit, 1, recipients)
        if why is not None:
            return why
    return None


def too_much(why: Reached, principal: Address | None) -> Defer:
    """`principal`: in whose name the limit is, where it is not the actor's own. Always "later": the same message may go then."""
    reason = Reason.SEND_RATE if why.counts is Counts.MESSAGES else Reason.SEND_RECIPIENT_RATE
    name = "" if principal is None else f" in the name of {principal}"
    number, _, time = str(why.rate).partition("/")
    words = f"you may send {'to ' if why.counts is Counts.RECIPIENTS else ''}{number} {why.counts}{name} within {time}"
    if why.again is None:
        return Defer(reason, f"{words}, so never so many at once", principal=why.limit.principal or None)
    # The next whole second: who comes back then is let in.
    again = datetime.fromtimestamp(-(-why.again // 1_000_000), UTC)
    return Defer(reason, f"{words}; again from {again:%Y-%m-%d %H:%M:%S} UTC", principal=why.limit.principal or None)
