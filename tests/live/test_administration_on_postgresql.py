"""What an administrator and an owner do, with everything in a database of PostgreSQL (tests/live/on_postgresql.py)."""

from __future__ import annotations

import pytest

from tests.live.on_postgresql import ADMINISTRATION, passes_there


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("file", ADMINISTRATION)
def test_live_tests_pass_there_too(file: str) -> None:
    passes_there(file)
