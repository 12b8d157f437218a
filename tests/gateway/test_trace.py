"""How a decision came about survives the record."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.trace import STEPS, TEXT, read_trace, spell_trace
from policy.decision import Decision, step
from policy.grantees import Grantee, GranteeKind


def test_steps_come_back_with_their_grantees() -> None:
    group = Grantee(GranteeKind.GROUP, 7)
    steps = (step(group, " on /: r"), step("missing: é", decided=True))
    found = read_trace(spell_trace(Decision(None, steps)))
    assert [(one.parts, one.decided) for one in found] == [(one.parts, one.decided) for one in steps]
    assert found[0].named(lambda _: "group x") == "group x on /: r"


def test_a_trace_is_bounded_and_keeps_what_decided() -> None:
    steps = (*(step(f"{number}" * 5000) for number in range(500)), step("the end", decided=True))
    spelled = spell_trace(Decision(None, steps))
    assert len(spelled) < STEPS * (TEXT + 20)
    found = read_trace(spelled)
    assert len(found) == STEPS
    assert [one.text for one in found if one.decided] == ["the end"]


def test_nothing_is_nothing() -> None:
    assert spell_trace(Decision(None)) == ""
    assert read_trace("") == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=12
)


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_read_without_harm(text: str) -> None:
    for one in read_trace(text):
        assert one.parts or one.text == ""
