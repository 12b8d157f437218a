"""`make soak`, for as long as SOAK_MINUTES says; in every other run a short one, so that it can still run when it is wanted."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.soak.soaking import Soak

MINUTES = float(os.environ.get("SOAK_MINUTES") or "0.25")
SEED = int(os.environ.get("SOAK_SEED") or "0")


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 900)
def test_a_house_under_mixed_load_loses_nothing_and_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = SEED or random.SystemRandom().randrange(1, 1_000_000)
    with capsys.disabled():
        print(f"\nsoak: {MINUTES:g} min, SOAK_SEED={seed}", flush=True)
    report = Soak(tmp_path, MINUTES, seed).run()
    if MINUTES >= 1:
        with capsys.disabled():
            print(report.spelled(), flush=True)
    assert not report.wrong, report.spelled()
