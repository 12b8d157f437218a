"""What `carbonio prov` has and we have not is named as such, and stands in the page about it."""

from pathlib import Path

import pytest

from gateway.prov.absent import ABSENT, BY_NAME
from gateway.prov.answer import Usage
from gateway.prov.verbs import VERBS, find

PAGE = Path(__file__).parents[3] / "gateway" / "prov" / "README.md"


def test_no_name_is_there_twice() -> None:
    assert len(BY_NAME) == 2 * len(ABSENT)
    assert BY_NAME.keys() & VERBS.keys() == set()


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_whoever_types_it_is_told_what_to_do_instead(name: str) -> None:
    one = BY_NAME[name]
    with pytest.raises(Usage) as caught:
        find(name.upper())
    assert caught.value.text == f"usage: there is no {one.name} ({one.short}) here: {one.why}"


def test_the_page_has_every_verb_and_every_one_that_is_absent() -> None:
    text = PAGE.read_text()
    there = [f"| `{one.name}` `{one.short}` | ✓ | {one.arguments.replace('|', chr(92) + '|')} |" for one in dict.fromkeys(VERBS.values())]
    absent = [f"| `{one.name}` `{one.short}` | – | {one.why.replace('|', chr(92) + '|')} |" for one in ABSENT]
    assert [line for line in text.splitlines() if line.startswith("| `")] == [*there, *absent]
