"""From grants (who was given what, where and when) to the rights an actor holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from policy.decision import Decision, Step, step
from policy.grantees import Grantee as Grantee
from policy.grantees import GranteeKind as GranteeKind
from policy.identity import AccountId, CosId, DomainId, ListId
from policy.reasons import Reason, Refuse
from policy.rights import ALL_RIGHTS, Right, spell_letters
from policy.scope import Scope, Sending


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything by which a grant can match an account, as the directory says it now.

    `groups`: every list the account is in, directly or through others, with the path that leads there:
    the lists from the one the account is a member of up to the list itself (so a direct membership is a path of one).
    `scope`: the limits of the app password by which the account acts, None where it acts without such.
    """

    account: AccountId
    domain: DomainId
    cos: CosId
    groups: Mapping[ListId, tuple[ListId, ...]]
    scope: Scope | None = None

    def matches(self, grantee: Grantee) -> bool:
        """Does what is granted to this grantee hold for the account?"""
        match grantee.kind:
            case GranteeKind.ACCOUNT:
                return grantee.id == self.account
            case GranteeKind.GROUP:
                return grantee.id in self.groups
            case GranteeKind.DOMAIN:
                return grantee.id == self.domain
            case GranteeKind.COS:
                return grantee.id == self.cos
            case GranteeKind.ALL:
                return True

    def path_to(self, grantee: Grantee) -> tuple[ListId, ...]:
        """The lists through which the account belongs to a group; empty for every other kind of grantee."""
        return self.groups.get(ListId(grantee.id), ()) if grantee.kind is GranteeKind.GROUP else ()


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One grantee's entry on one folder. `rights` NONE is the explicit empty entry. Times: microseconds since 1970 UTC.

    The entry exists from `not_before` (included) until `expires` (excluded). `review`: when somebody is to look at it
    again; it decides nothing.
    """

    grantee: Grantee
    rights: Right
    not_before: int | None = None
    expires: int | None = None
    note: str = ""
    review: int | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One folder on the way from the folder asked about up to the mailbox root `/`."""

    path: str  # "/" for the root, "/Posta/2026" below it
    entries: Sequence[FolderEntry]
    no_inherit: bool = False


@dataclass(frozen=True, slots=True)
class Counting:
    """An entry that counts, and the level it comes from."""

    entry: FolderEntry
    path: str
    inherited: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The rights an actor holds on a folder, through which entries, and until when no clock alone changes that."""

    rights: Right
    through: tuple[Counting, ...] = ()
    valid_until: int | None = None


class SendRight(StrEnum):
    """Granted on the account or list in whose name mail goes out; Carbonio's words."""

    SEND_AS = "sendAs"
    SEND_ON_BEHALF_OF = "sendOnBehalfOf"
    SEND_TO_LIST = "sendToDistList"
    LOGIN_AS = "loginAs"


@dataclass(frozen=True, slots=True)
class SendGrant:
    """`right` of `grantee` on the principal `target` (an account or list id). `deny`: a leading `-` on the command line.

    `undo_window`: seconds that mail sent by it waits; None: as the principal's class of service says.
    """

    target: int
    grantee: Grantee
    right: SendRight
    deny: bool = False
    not_before: int | None = None
    expires: int | None = None
    note: str = ""
    undo_window: int | None = None
    review: int | None = None


def in_force(granted: FolderEntry | SendGrant, now: int) -> bool:
    """From `not_before` (included) until `expires` (excluded); outside that it does not exist for any decision."""
    return (granted.not_before is None or granted.not_before <= now) and (granted.expires is None or now < granted.expires)


def next_change(granted: FolderEntry | SendGrant, now: int) -> int | None:
    """When the clock alone next starts or ends this grant; None: never again."""
    if granted.not_before is not None and granted.expires is not None and granted.not_before >= granted.expires:
        return None
    if granted.not_before is not None and now < granted.not_before:
        return granted.not_before
    return granted.expires if granted.expires is not None and now < granted.expires else None


def earliest(times: Iterable[int | None]) -> int | None:
    """The first of those that are; None where there is none."""
    return min((time for time in times if time is not None), default=None)


def entries_that_count(levels: Sequence[Level], now: int) -> tuple[tuple[Counting, ...], int | None]:
    """For each grantee the nearest entry in force from the folder (first level) up to the root; with it, valid_until."""
    return _walk(levels, now, None)


def _walk(levels: Sequence[Level], now: int, standing: Standing | None) -> tuple[tuple[Counting, ...], int | None]:
    """`standing`: look only at the entries that match it."""
    counting: list[Counting] = []
    changes: list[int | None] = []
    decided: set[Grantee] = set()
    for height, level in enumerate(levels):
        here: set[Grantee] = set()
        for entry in level.entries:
            if entry.grantee in decided or (standing is not None and not standing.matches(entry.grantee)):
                continue
            changes.append(next_change(entry, now))
            if in_force(entry, now):
                here.add(entry.grantee)
                counting.append(Counting(entry, level.path, height > 0))
        decided |= here
        if level.no_inherit:
            break
    return tuple(counting), earliest(changes)


def rights_of(standing: Standing, owner: AccountId, levels: Sequence[Level], now: int) -> Held:
    """The union over every grantee entry that counts and matches. The owner holds everything, always. Of either, who acts by an app
    password holds what its scope leaves."""
    if standing.account == owner:
        held = Held(ALL_RIGHTS)
    else:
        through, valid_until = _walk(levels, now, standing)
        rights = 0
        for one in through:
            rights |= one.entry.rights.value
        held = Held(Right(rights), through, valid_until)
    scope = standing.scope
    if scope is None:
        return held
    ends = None if scope.is_over(now) else scope.expires
    return replace(held, rights=scope.rights_on(owner, held.rights, now), valid_until=earliest((held.valid_until, ends)))


def trace_rights(standing: Standing, levels: Sequence[Level], now: int, needed: Right) -> tuple[Step, ...]:
    """Every entry that matches, from the folder upward, with what it gives; those that give some of `needed` decided.

    Entries outside their time and the folder that stops the walk are told too: they are what people ask about.
    """
    steps: list[Step] = []
    decided: set[Grantee] = set()
    for level in levels:
        here: set[Grantee] = set()
        for entry in level.entries:
            if not standing.matches(entry.grantee):
                continue
            letters = spell_letters(entry.rights)
            who = _grantee_words(entry.grantee, standing)
            if entry.grantee in decided:
                words: tuple[str | Grantee, ...] = (*who, f" on {level.path}: {letters}, but a nearer entry replaces it")
            elif in_force(entry, now):
                here.add(entry.grantee)
                words = (*who, f" on {level.path}: {letters}")
            else:
                words = (*who, f" on {level.path}: {letters}, but {_outside(entry, now)}")
            gives = entry.grantee in here and bool(entry.rights & needed)
            path = standing.path_to(entry.grantee)
            steps.append(step(*words, decided=gives, grantee=entry.grantee, group_path=path, folder=level.path, right=letters))
        decided |= here
        if level.no_inherit:
            steps.append(step(f"{level.path} does not inherit: what stands above it does not count", folder=level.path))
            break
    return tuple(steps)


_LEVELS = (GranteeKind.ACCOUNT, GranteeKind.GROUP, GranteeKind.COS, GranteeKind.DOMAIN, GranteeKind.ALL)

_REFUSALS: Mapping[SendRight, Reason] = MappingProxyType(
    {
        SendRight.SEND_AS: Reason.SENDER_NOT_PERMITTED,
        SendRight.SEND_ON_BEHALF_OF: Reason.SENDER_NOT_PERMITTED,
        SendRight.SEND_TO_LIST: Reason.POSTING_NOT_PERMITTED,
        SendRight.LOGIN_AS: Reason.AUTHORIZATION_REFUSED,
    }
)


def judge_send_right(
    standing: Standing, principal: int, right: SendRight, grants: Sequence[SendGrant], now: int, *, restricted: bool = False
) -> Decision:
    """delegation.md section 4: self, then by level (individual, groups, COS, domain, all), deny before allow, else deny.

    Grants of other rights or on other principals may be among `grants`; they are not looked at. A grant of sendToDistList
    restricts the list also outside its time and for whom it does not match: a list is open only where none is stored, and it is not
    `restricted` by itself (policy.lists.ListRules).
    """
    if standing.scope is not None and right is not SendRight.SEND_TO_LIST:
        return _narrowed(
            standing.scope, judge_send_right(replace(standing, scope=None), principal, right, grants, now), principal, right, now
        )
    if standing.account == principal:
        return Decision(None, (step("it is the actor's own account", decided=True, right=right),))
    asked = [grant for grant in grants if grant.target == principal and grant.right is right]
    matching = [grant for grant in asked if standing.matches(grant.grantee)]
    matching.sort(key=lambda grant: (_LEVELS.index(grant.grantee.kind), not grant.deny, grant.grantee.id))
    valid_until = earliest(next_change(grant, now) for grant in matching)
    steps: list[Step] = []
    found: SendGrant | None = None
    for grant in matching:
        counts = found is None and in_force(grant, now)
        if counts:
            found = grant
            remark = ""
        else:
            remark = f", but {_outside(grant, now)}" if not in_force(grant, now) else ", but what decided comes first"
        steps.append(
            step(
                *_grantee_words(grant.grantee, standing),
                f": {'-' if grant.deny else ''}{right}{remark}",
                decided=counts,
                grantee=grant.grantee,
                group_path=standing.path_to(grant.grantee),
                right=right,
            )
        )
    if found is not None:
        refusal = Refuse(_REFUSALS[right], f"{right} is denied") if found.deny else None
        # Whoever of those that decide together asked for more time is given it; which of them is told first must not matter.
        together = [one for one in matching if one.grantee.kind is found.grantee.kind and not one.deny and in_force(one, now)]
        windows = [one.undo_window for one in together if one.undo_window is not None]
        return Decision(refusal, tuple(steps), valid_until, max(windows, default=None) if refusal is None else None)
    if right is SendRight.SEND_TO_LIST and not asked and not restricted:
        return Decision(None, (step("nobody was granted sendToDistList on this list: everybody may post", decided=True, right=right),))
    steps.append(step(f"no {right} grant counts for the actor, its groups, class of service or domain", decided=True, right=right))
    return Decision(Refuse(_REFUSALS[right], f"no {right} grant"), tuple(steps), valid_until)


def _narrowed(scope: Scope, decision: Decision, principal: int, right: SendRight, now: int) -> Decision:
    """What the app password leaves of a decision that allows."""
    if not decision.allowed:
        return decision
    if scope.sends(Sending(right), principal, now):
        return replace(decision, valid_until=earliest((decision.valid_until, scope.expires)))
    detail = f"the app password {scope.name} does not allow {right} here"
    earlier = (replace(one, decided=False) for one in decision.trace)
    return Decision(Refuse(_REFUSALS[right], detail), (*earlier, step(detail, decided=True, right=right)), decision.valid_until)


def _grantee_words(grantee: Grantee, standing: Standing) -> tuple[str | Grantee, ...]:
    words: list[str | Grantee] = [grantee]
    for between in standing.path_to(grantee)[:-1]:
        words += [", through " if len(words) == 1 else " in ", Grantee(GranteeKind.GROUP, between)]
    return tuple(words)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _outside(granted: FolderEntry | SendGrant, now: int) -> str:
    """Why a grant does not count now: not yet, or no longer."""
    if granted.expires is not None and granted.expires <= now:
        return f"only until {_spell_time(granted.expires)}"
    assert granted.not_before is not None
    return f"only from {_spell_time(granted.not_before)}"


def _spell_time(microseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M:%S UTC")
    except OverflowError:
        return "a time beyond the calendar"
