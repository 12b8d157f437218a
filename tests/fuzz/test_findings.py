"""What the fuzzers found stays mended; seeds, and any octets near them, are harmless (hypothesis). `make fuzz` looks on for longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import PARSERS, SESSIONS, Sessions

FINDINGS = sorted(path for path in (Path(__file__).parent / "findings").rglob("*") if path.is_file())


@st.composite
def near(draw: st.DrawFn, name: str) -> bytes:
    """A seed with some of its octets replaced, taken out, put in or doubled; or anything."""
    octets = bytearray(draw(st.sampled_from(SEEDS[name])))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(octets)))
        end = min(len(octets), at + draw(st.integers(0, 8)))
        octets[at:end] = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"(", b")", b'"', b"\\", b"\r\n", b"\n", b"{", b"}", b"9" * 30, bytes(octets[:at])[-40:]])
        )
    return bytes(octets)


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    made = Sessions()
    yield made
    made.close()


def play(name: str, octets: bytes, sessions: Sessions) -> None:
    (getattr(sessions, name) if name in SESSIONS else PARSERS[name])(octets)


def test_every_target_has_seeds() -> None:
    assert SEEDS.keys() == {*PARSERS, *SESSIONS}
    assert {path.parent.name for path in FINDINGS} <= SEEDS.keys()


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_harmless(name: str, sessions: Sessions) -> None:
    for octets in SEEDS[name]:
        play(name, octets, sessions)


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_stays_mended(path: Path, sessions: Sessions) -> None:
    play(path.parent.name, path.read_bytes(), sessions)


@pytest.mark.parametrize("name", PARSERS)
def test_any_octets_are_parsed_or_refused(name: str) -> None:
    @given(near(name) | st.binary(max_size=300))
    @settings(max_examples=200)
    def holds(octets: bytes) -> None:
        PARSERS[name](octets)

    holds()


@pytest.mark.parametrize("name", SESSIONS)
def test_any_octets_in_any_state_find_no_fault(name: str, sessions: Sessions) -> None:
    @given(near(name))
    @settings(max_examples=60)
    def holds(octets: bytes) -> None:
        play(name, octets, sessions)

    holds()
