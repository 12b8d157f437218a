"""In which phase is a session, who may speak in it, and where does an answer lead?"""

from dataclasses import dataclass
from enum import Enum, auto


class Phase(Enum):
    """The four states of RFC 3501 section 3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()

    __hash__ = object.__hash__  # asked of every command; Enum's is that of the name, found anew each time


Phases = frozenset[Phase]

ANY: Phases = frozenset({Phase.NOT_AUTHENTICATED, Phase.AUTHENTICATED, Phase.SELECTED})
"""`command-any`: everywhere but after the end."""
NOT_AUTHENTICATED: Phases = frozenset({Phase.NOT_AUTHENTICATED})
"""`command-nonauth`"""
AUTHENTICATED: Phases = frozenset({Phase.AUTHENTICATED, Phase.SELECTED})
"""`command-auth`: in a selected folder too."""
SELECTED: Phases = frozenset({Phase.SELECTED})
"""`command-select`"""


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a command leads when it is answered OK, and when NO; None: the phase stays."""

    ok: Phase | None = None
    no: Phase | None = None


STAY = Transition()
LOGS_IN = Transition(ok=Phase.AUTHENTICATED)
# RFC 3501 section 6.3.1: a SELECT that fails leaves no folder selected.
SELECTS = Transition(ok=Phase.SELECTED, no=Phase.AUTHENTICATED)
DESELECTS = Transition(ok=Phase.AUTHENTICATED)
LOGS_OUT = Transition(ok=Phase.NOT_AUTHENTICATED)
ENDS = Transition(ok=Phase.LOGOUT)


def may_speak(phase: Phase, phases: Phases) -> bool:
    """May a command that belongs to these phases be given in this one?"""
    return phase in phases


def after(phase: Phase, transition: Transition, *, ok: bool) -> Phase:
    """The phase after a command was answered OK, or NO. BAD never changes it. After the end nothing follows."""
    if phase is Phase.LOGOUT:
        return phase
    return (transition.ok if ok else transition.no) or phase


def wrong_phase(phase: Phase, phases: Phases) -> str:
    """Why a command is not for this phase, in words for the client."""
    if phase is Phase.LOGOUT:
        return "the session is over"
    if phase is Phase.NOT_AUTHENTICATED:
        return "log in first"
    if phases == NOT_AUTHENTICATED:
        return "already logged in"
    return "select a mailbox first"
