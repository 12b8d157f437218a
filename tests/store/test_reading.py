"""A reading transaction changes nothing, whatever is asked of it."""

from typing import Any

import pytest

from store.port import FoldersChanged
from store.reading import OnlyReads


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("run", ("accounts.insert",)),
        ("insert", ("accounts.insert",)),
        ("many", ("accounts.insert", [{}])),
        ("touch", (1,)),
        ("wake", (FoldersChanged(1),)),  # type: ignore[arg-type]
        ("in_turn", ()),
    ],
)
def test_it_refuses(method: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="only reads"):
        getattr(OnlyReads(), method)(*arguments)
