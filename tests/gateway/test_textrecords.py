"""TXT records, from a DNS server of the tests' own."""

from collections.abc import Iterator

import pytest
from dns.resolver import LRUCache

from gateway.resolver import Resolver, Silent
from gateway.textrecords import TextRecords
from tests.live.names import Names


@pytest.fixture
def names() -> Iterator[Names]:
    zone = {
        "one.test": {"TXT": ['"a b" "c"']},
        "two.test": {"TXT": ['"x"', '"y"']},
        "long.test": {"TXT": [" ".join([f'"{"z" * 255}"'] * 20)]},
        "alias.test": {"CNAME": ["one.test."]},
        "none.test": {"A": ["127.0.0.1"]},
    }
    there = Names(zone, broken=["broken.test"])
    yield there
    there.close()


async def test_strings_are_joined_and_records_kept_apart(names: Names) -> None:
    records = TextRecords([("127.0.0.1", names.port)])
    assert await records.of("one.test") == [b"a bc"]
    assert sorted(await records.of("two.test.")) == [b"x", b"y"]
    assert await records.of("long.test") == [b"z" * 5100]
    assert await records.of("alias.test") == [b"a bc"]


async def test_nothing_for_certain_and_nothing_for_now_are_told_apart(names: Names) -> None:
    records = TextRecords([("127.0.0.1", names.port)])
    for name in ("none.test", "nowhere.test", "x" * 64 + ".test", "a..test", ".".join(["x" * 50] * 9)):
        assert await records.of(name) == []
    with pytest.raises(Silent):
        await records.of("broken.test")


@pytest.mark.parametrize(("cached", "times"), [(True, 1), (False, 2)])
async def test_answers_are_kept_where_that_is_wanted(names: Names, cached: bool, times: int) -> None:
    records = TextRecords([("127.0.0.1", names.port)], cached=cached)
    for _ in range(2):
        await records.of("one.test")
    assert names.asked["one.test TXT"] == times


async def test_answers_are_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.resolver.CACHED", 3)
    resolver = Resolver([("127.0.0.1", names.port)])
    for number in range(10):
        names.zone[f"n{number}.test"] = {"TXT": ['"x"']}
        assert await resolver.texts(f"n{number}.test") == (b"x",)
    cache = resolver._resolver_now().cache
    assert isinstance(cache, LRUCache)
    assert len(cache.data) == 3
