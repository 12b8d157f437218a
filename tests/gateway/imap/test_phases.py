"""Who may speak when, and where answers lead."""

import pytest

from gateway.imap.phases import (
    ANY,
    AUTHENTICATED,
    DESELECTS,
    ENDS,
    LOGS_IN,
    LOGS_OUT,
    NOT_AUTHENTICATED,
    SELECTED,
    SELECTS,
    STAY,
    Phase,
    Phases,
    Transition,
    after,
    may_speak,
    wrong_phase,
)

FRESH, IN, OPEN, OVER = Phase.NOT_AUTHENTICATED, Phase.AUTHENTICATED, Phase.SELECTED, Phase.LOGOUT


@pytest.mark.parametrize(
    ("phases", "allowed"),
    [(ANY, {FRESH, IN, OPEN}), (NOT_AUTHENTICATED, {FRESH}), (AUTHENTICATED, {IN, OPEN}), (SELECTED, {OPEN})],
)
def test_commands_belong_to_phases(phases: Phases, allowed: set[Phase]) -> None:
    assert {phase for phase in Phase if may_speak(phase, phases)} == allowed


@pytest.mark.parametrize(
    ("phase", "transition", "ok", "then"),
    [
        (FRESH, LOGS_IN, True, IN),
        (FRESH, LOGS_IN, False, FRESH),
        (IN, SELECTS, True, OPEN),
        (IN, SELECTS, False, IN),
        (OPEN, SELECTS, True, OPEN),
        (OPEN, SELECTS, False, IN),
        (OPEN, DESELECTS, True, IN),
        (OPEN, DESELECTS, False, OPEN),
        (OPEN, STAY, True, OPEN),
        (OPEN, ENDS, True, OVER),
        (OPEN, LOGS_OUT, True, FRESH),
        (IN, LOGS_OUT, True, FRESH),
        (OVER, LOGS_IN, True, OVER),
    ],
)
def test_answers_lead_on(phase: Phase, transition: Transition, ok: bool, then: Phase) -> None:
    assert after(phase, transition, ok=ok) is then


@pytest.mark.parametrize(
    ("phase", "phases", "words"),
    [
        (FRESH, SELECTED, "log in first"),
        (FRESH, AUTHENTICATED, "log in first"),
        (IN, SELECTED, "select a mailbox first"),
        (OPEN, NOT_AUTHENTICATED, "already logged in"),
        (OVER, ANY, "the session is over"),
    ],
)
def test_a_wrong_phase_is_explained(phase: Phase, phases: Phases, words: str) -> None:
    assert wrong_phase(phase, phases) == words
