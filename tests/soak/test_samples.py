"""What is growth, and what is not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.soak.rights import SOON, Taken
from tests.soak.samples import MEBI, SQLITE, Sample, growing, slope, table

WARM = 1500.0
FLAT = Sample(
    at=WARM,
    processes=4,
    memory=250 * MEBI,
    supervisor=40 * MEBI,
    keeper=100 * MEBI,
    workers=110 * MEBI,
    sqlite=50 * MEBI,
    besides=200 * MEBI,
    blocks=1_400_000,
    descriptors=140,
    threads=25,
    log=16 * MEBI,
    database=50 * MEBI,
    index=40 * MEBI,
    index_log=8 * MEBI,
    queue=10,
)


def sampled(minutes: float = 30, **each_minute: float) -> list[Sample]:
    """Every ten seconds, with some noise. `each_minute`: by how much a column grows."""
    chance = random.Random(1)
    found = []
    for number in range(int(minutes * 6)):
        noisy = replace(
            FLAT,
            at=WARM + number * 10,
            besides=FLAT.besides + chance.randrange(8 * MEBI),
            blocks=FLAT.blocks + chance.randrange(60_000),
            queue=chance.randrange(60),
        )
        grown = {name: int(getattr(noisy, name) + by * number / 6) for name, by in each_minute.items()}
        found.append(replace(noisy, **grown))
    return found


def test_noise_and_a_peak_are_no_growth() -> None:
    samples = sampled()
    samples[90] = replace(samples[90], besides=900 * MEBI, descriptors=900, queue=1900)
    assert growing(samples) == []


@pytest.mark.parametrize(
    ("column", "by"),
    [("besides", MEBI), ("blocks", 2000), ("supervisor", MEBI), ("descriptors", 1), ("threads", 0.5), ("log", 3 * MEBI), ("queue", 10)],
)
def test_what_grows_a_little_each_minute_is_found(column: str, by: float) -> None:
    (said,) = growing(sampled(**{column: by}))[:1]
    assert said.startswith(f"{column} grew by ")


def test_a_log_that_is_too_large_is_found_at_once() -> None:
    samples = sampled()
    samples[20] = replace(samples[20], log=81 * MEBI)
    assert growing(samples) == [f"log was {81 * MEBI:,.0f}, never more than {80 * MEBI:,.0f} is allowed"]


def test_sqlite_may_fill_its_caches_and_no_more() -> None:
    assert growing(sampled(sqlite=0.7 * MEBI)) == []
    (said,) = growing(sampled(sqlite=1.0 * MEBI))
    assert said.endswith(f"never more than {SQLITE:,.0f} is allowed")


def test_too_few_samples_show_nothing() -> None:
    assert growing(sampled()[:3]) == ["3 samples are too few to tell"]


def test_the_table_has_the_slope_of_each_column() -> None:
    samples = sampled(descriptors=2.0)
    assert slope(samples, "descriptors") * 60 == pytest.approx(2.0, rel=0.1)
    lines = table(samples, WARM)
    assert len(lines) == 14
    assert "+120.0" in lines[-1].replace("+119.9", "+120.0")


def test_what_is_got_too_late_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tests.soak.rights.time.monotonic", lambda: now)
    taken = Taken("it")
    taken.tries(lambda: True)
    taken.took()
    now += SOON - 0.1
    taken.tries(lambda: True)
    assert (taken.wrong, taken.late) == ([], pytest.approx(SOON - 0.1))
    now += 0.2
    taken.tries(lambda: False)
    assert taken.wrong == []
    taken.tries(lambda: True)
    assert len(taken.wrong) == 1
    taken.gives()
    taken.tries(lambda: True)
    assert (len(taken.wrong), taken.tried, taken.refused) == (1, 5, 1)
