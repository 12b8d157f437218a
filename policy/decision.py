"""A verdict together with what led to it: the grant that decided and the group path to it, or what was missing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from policy.grantees import Grantee
from policy.identity import ListId
from policy.reasons import Defer, Refuse


@dataclass(frozen=True, slots=True)
class Witness:
    """What a judgement rests on: the epochs of the scopes it consulted, and until when no clock alone can change it.

    A scope is an account's or list's id, or 0 for the directory (membership, classes of service, domains, aliases).
    The writer compares it inside the transaction that acts (architecture.md section 9).
    `valid_until`: microseconds since 1970 UTC; None: no grant that was considered starts or ends.
    """

    epochs: tuple[tuple[int, int], ...] = ()
    valid_until: int | None = None

    def joined(self, other: "Witness") -> "Witness":
        """Both judgements rest on this. Two epochs of one scope: the older one, which the writer will refuse."""
        epochs = dict(self.epochs)
        for scope, epoch in other.epochs:
            epochs[scope] = min(epoch, epochs.get(scope, epoch))
        ends = [end for end in (self.valid_until, other.valid_until) if end is not None]
        return Witness(tuple(sorted(epochs.items())), min(ends) if ends else None)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a trace, in words an administrator reads: what was looked at and what it gave.

    `text` says it with numbers for names ("group #12"), since policy knows no names; `named` says it with names.
    The other fields say the same to programs: whose grant it is, through which lists the actor belongs to it
    (as in Standing.groups), on which folder it stands, and the right as its own vocabulary spells it (`sendAs`, `rw`).
    """

    text: str
    decided: bool = False
    grantee: Grantee | None = None
    group_path: tuple[ListId, ...] = ()
    folder: str = ""
    right: str = ""
    parts: tuple[str | Grantee, ...] = ()

    def named(self, name: Callable[[Grantee], str]) -> str:
        """The line with every grantee called what `name` calls it."""
        return "".join(part if isinstance(part, str) else name(part) for part in self.parts) if self.parts else self.text


def step(
    *parts: str | Grantee,
    decided: bool = False,
    grantee: Grantee | None = None,
    group_path: tuple[ListId, ...] = (),
    folder: str = "",
    right: str = "",
) -> Step:
    """A Step from the pieces of its sentence."""
    return Step("".join(map(str, parts)), decided, grantee, group_path, folder, right, parts)


@dataclass(frozen=True, slots=True)
class Decision:
    """`refusal` None: allowed. `trace` tells why, the deciding step marked; `valid_until` as in Witness. `undo_window`: seconds that mail
    sent by the deciding grants waits; None: they do not say."""

    refusal: Refuse | Defer | None
    trace: tuple[Step, ...] = ()
    valid_until: int | None = field(default=None)
    undo_window: int | None = None

    @property
    def allowed(self) -> bool:
        """Nothing was refused or deferred."""
        return self.refusal is None

    @property
    def deciding(self) -> Step | None:
        """The step that decided, or the last one; None where nothing was traced."""
        for one in self.trace:
            if one.decided:
                return one
        return self.trace[-1] if self.trace else None

    @property
    def because(self) -> str:
        """The text of the step that decided, or of the last one."""
        found = self.deciding
        return found.text if found is not None else ""
