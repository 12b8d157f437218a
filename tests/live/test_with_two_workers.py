"""A choice of the live tests once more, against two workers: what a session is told, what is revoked, limits, rates, the index."""

from __future__ import annotations

import os

import pytest

from tests.live.again import passes
from tests.live.server import WORKERS
from tests.live.several import WORKERS as TWO


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(WORKERS in os.environ, reason="every test has so many workers already")
@pytest.mark.parametrize("file", ["test_open_sessions.py", "test_revocation.py", "test_limits.py", "test_rates.py", "test_search_index.py"])
def test_live_tests_pass_with_two_workers_too(file: str) -> None:
    passes(file, {WORKERS: str(TWO)})
