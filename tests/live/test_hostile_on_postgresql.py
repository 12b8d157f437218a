"""The hostile suite and the kill points with servers that keep everything on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.live.on_postgresql import HOSTILE, passes_there
from tests.live.verified import SOAK


@pytest.mark.slow
@pytest.mark.timeout(3600 if SOAK else 400)
@pytest.mark.parametrize("file", HOSTILE if SOAK else [*HOSTILE][:1])
def test_it_holds_there_too(file: str) -> None:
    passes_there(file)
