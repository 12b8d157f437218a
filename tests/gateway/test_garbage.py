import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.garbage import look_seldom
from policy.delivery import Door
from tests.gateway.house import letter, opened

MAILS = 30


@pytest.fixture
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("as_before")
def test_what_is_there_at_the_start_is_looked_at_no_more() -> None:
    there = [[one] for one in range(10)]
    look_seldom()
    assert not any(found is one for found in gc.get_objects() for one in there)


@pytest.mark.usefixtures("as_before")
async def test_a_mail_leaves_next_to_nothing_to_find(tmp_path: Path) -> None:
    """Else what is found seldom would be much."""
    async with opened(tmp_path, "anna", "bruno") as house:
        await house.bring(Door.LMTP, "x@far.test", ["anna"], letter(text="0"))
        await house.submit("anna", "anna", "bruno", letter("anna@acme.test", text="0"))
        look_seldom()
        gc.disable()
        try:
            for number in range(1, MAILS):
                await house.bring(Door.LMTP, "x@far.test", ["anna"], letter(text=f"{number}"))
                await house.submit("anna", "anna", "bruno", letter("anna@acme.test", text=f"{number}"))
            assert gc.collect() < MAILS
        finally:
            gc.enable()
