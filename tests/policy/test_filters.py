"""What a filter means, what is none, and that nothing hostile comes through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.filters import DEEPEST, All, Any, BadFilter, Equal, Filter, Like, Not, Present, compared, matches, names_in, parse, spell

KNOWN = {name.lower(): name for name in ("department", "status", "sn", "mail")} | {"surname": "sn"}
ADA = {"department": ["sales", "board"], "status": ["active"], "sn": ["love lace"]}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("(department=sales)", True),
        ("department=SALES", True),
        ("( department=sales)", None),
        ("(department= Sales )", True),
        ("(department=board)", True),
        ("(department=sale)", False),
        ("(department=sale*)", True),
        ("(department=*ales)", True),
        ("(department=s*l*s)", True),
        ("(department=s*e*s)", True),
        ("(department=s*s*s)", False),
        ("(department=sa*ales)", False),
        ("(department=*)", True),
        ("(mail=*)", False),
        ("(!(mail=*))", True),
        ("(!(mail=x))", True),
        ("(surname=LOVE   LACE)", True),
        ("(&(department=sales)(status=active))", True),
        ("(&(department=sales)(status=locked))", False),
        ("(|(department=nobody)(status=active))", True),
        ("(&(|(status=x)(status=active))(!(department=x)))", True),
        ("ldap:///??sub?(&(status=active)(sn=love*))", True),
        ("(sn=\\6cove lace)", True),
        ("(sn=lov\\c3\\a9)", False),
        ("", None),
        ("()", None),
        ("(&)", None),
        ("(|)", None),
        ("(!)", None),
        ("(department)", None),
        ("(department=)", None),
        ("(nosuch=x)", None),
        ("(department>=3)", None),
        ("(department~=x)", None),
        ("(department:=x)", None),
        ("(department=sales", None),
        ("(department=sales))", None),
        ("(department=sales)(status=active)", None),
        ("(department=a(b)", None),
        ("(department=\\zz)", None),
        ("(department=\\ff)", None),
        ("(department=a\0b)", None),
        ("(!" * DEEPEST + "(status=active)" + ")" * DEEPEST, None),
        ("(!" * 100_000, None),
        ("(|" + "(sn=a)" * 64 + ")", None),
        ("(sn=" + "a" * 3000 + ")", None),
    ],
)
def test_what_it_means(text: str, meant: bool | None) -> None:
    if meant is None:
        with pytest.raises(BadFilter):
            parse(text, KNOWN)
    else:
        assert matches(parse(text, KNOWN), ADA) is meant


def _some(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[tuple[Filter, ...]]:
    return st.lists(inner, min_size=1, max_size=3).map(tuple)


names = st.sampled_from(sorted({*KNOWN.values()}))
texts = st.text(min_size=1, max_size=6).map(compared).filter(bool)
filters: st.SearchStrategy[Filter] = st.recursive(
    st.builds(Present, names)
    | st.builds(Equal, names, texts)
    | st.builds(Like, names, texts, st.lists(texts, max_size=2).map(tuple), texts | st.just("")),
    lambda inner: st.builds(Not, inner) | st.builds(All, _some(inner)) | st.builds(Any, _some(inner)),
    max_leaves=6,
)


def deep(one: Filter) -> int:
    match one:
        case Not(part):
            return 1 + deep(part)
        case All(parts) | Any(parts):
            return 1 + max(map(deep, parts))
        case _:
            return 1


@given(filters, st.dictionaries(names, st.lists(texts, max_size=2)))
def test_spelled_it_reads_back_and_means_the_same(wanted: Filter, values: dict[str, list[str]]) -> None:
    if deep(wanted) > DEEPEST:
        return
    again = parse(spell(wanted), KNOWN)
    assert matches(again, values) == matches(wanted, values)
    assert spell(again) == spell(wanted)
    assert names_in(again) == names_in(wanted)
    assert matches(Not(wanted), values) != matches(wanted, values)


@given(st.text() | st.text(alphabet="()&|!=*\\a5"))
def test_any_text_is_a_filter_or_a_bad_one(text: str) -> None:
    try:
        parse(text, KNOWN)
    except BadFilter:
        pass
