"""What a list lets be done to it: who joins and leaves, whose posts wait for its owners, when a member's mail ends (delegation.md 9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

T = TypeVar("T", bound=StrEnum)


class Joining(StrEnum):
    """What happens when somebody asks by mail to become a member, or to be one no more; Carbonio's words."""

    ACCEPT = "accept"
    APPROVAL = "approval"
    REJECT = "reject"


class Moderation(StrEnum):
    """Whose posts wait until an owner lets them through."""

    NONE = "none"
    NON_MEMBERS = "non-members"
    ALL = "all"


POSTING_RESTRICTED: Final = "postingRestricted"
"""The name under which it is kept, and shown: TRUE or FALSE."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """A list is a group too: who joins may gain rights. So both policies are `reject` unless they are set, as in Carbonio.

    `restricted`: without any grant nobody may post, instead of everybody. A list becomes so when the last of those who were granted
    `sendToDistList` ceases to be: what was closed does not open by itself.
    """

    subscription: Joining = Joining.REJECT
    unsubscription: Joining = Joining.REJECT
    moderation: Moderation = Moderation.NONE
    restricted: bool = False


def list_rules(attributes: Mapping[str, str]) -> ListRules:
    """From what is stored of a list; a text that cannot be read (nothing writes one) counts as the strictest."""
    return ListRules(
        _read(Joining, attributes.get("subscriptionPolicy"), Joining.REJECT, Joining.REJECT),
        _read(Joining, attributes.get("unsubscriptionPolicy"), Joining.REJECT, Joining.REJECT),
        _read(Moderation, attributes.get("moderation"), Moderation.NONE, Moderation.ALL),
        (attributes.get(POSTING_RESTRICTED) or "FALSE") != "FALSE",
    )


def _read(kind: type[T], text: str | None, default: T, strictest: T) -> T:
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        return strictest


def judge_moderation(rules: ListRules, *, is_owner: bool, is_member: bool) -> bool:
    """Does this post wait for an owner? What an owner posts, known by a login, has been seen by one."""
    match rules.moderation:
        case Moderation.NONE:
            return False
        case Moderation.NON_MEMBERS:
            return not (is_owner or is_member)
        case Moderation.ALL:
            return not is_owner


@dataclass(frozen=True, slots=True)
class BounceRules:
    """`limit` bounces, one a day counted, end a member's mail; after `forget` (microseconds) without one they count no more."""

    limit: int
    forget: int


@dataclass(frozen=True, slots=True)
class BounceHistory:
    """Of one member. `counted`: when the last one was that counted, microseconds since 1970; `suspended`: since when nothing is sent."""

    score: int
    counted: int
    suspended: int | None = None


def says_unreachable(status: str) -> bool:
    """Does a failure of this enhanced status code (RFC 3463) speak of the member, or of the one message?

    What was refused for its content (6), for a policy (7), its size or its way round in circles would cost a list all members whose
    servers dislike one poster.
    """
    parts = status.split(".")
    return len(parts) == _PARTS and parts[1] in ("0", "1", "2", "3", "4", "5") and status[1:] not in (".2.3", ".3.4", ".4.6")


_PARTS = 3
DAY = 86_400_000_000
"""Microseconds."""


def after_bounce(history: BounceHistory | None, now: int, rules: BounceRules) -> BounceHistory:
    """One more message could not be delivered, for good.

    A day's bounces count once: what one broken night does to a busy list says nothing about the member.
    """
    if history is None or now - history.counted >= rules.forget:
        suspended = None if history is None else history.suspended
        history = BounceHistory(1, now, suspended)
    elif now // DAY != history.counted // DAY:
        history = BounceHistory(history.score + 1, now, history.suspended)
    if history.suspended is None and history.score >= rules.limit:
        return BounceHistory(history.score, history.counted, now)
    return history
