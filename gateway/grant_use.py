"""Which grants did a decision stand on? So that those that nobody uses can be found (`procura grants unused`)."""

from policy.decision import Decision
from policy.grants import SendRight
from store.tenure import Used

_SEND_RIGHTS = frozenset(SendRight)


def stood_on(decision: Decision, target: int) -> tuple[Used, ...]:
    """`target`: whose folder it was about, or in whose name something was sent. Nothing where it refused, or nobody's grant decided."""
    if not decision.allowed:
        return ()
    found = []
    for one in decision.trace:
        if not one.decided or one.grantee is None:
            continue
        if one.folder:
            found.append(Used(target, one.grantee, one.folder))
        elif one.right in _SEND_RIGHTS:
            found.append(Used(target, one.grantee, right=SendRight(one.right)))
    return tuple(found)
