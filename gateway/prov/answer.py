"""What a verb gives back: text as administrators know it, and the same as data."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Usage(Exception):
    """The verb was written wrongly: the command line prints this and ends with 2."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` ends with a newline or is empty; `data` is what `--json` prints (None: nothing to tell). `denied`: exit status 1.
    `pieces`: a text that is told as it is made, instead, and the same with `--json`."""

    text: str = ""
    data: Any = None
    denied: bool = False
    pieces: AsyncIterator[str] | None = None

    def spelled(self, as_json: bool) -> str:
        """What goes to standard output."""
        return json.dumps(self.data, ensure_ascii=False) + "\n" if as_json else self.text


def lines(some: Iterable[str]) -> str:
    """Each with its newline."""
    return "".join(f"{one}\n" for one in some)


def table(formats: Sequence[int], rows: Iterable[Sequence[object]]) -> str:
    """Columns of at least these widths, negative ones to the right; nothing is cut off, and the last column is left as it is."""
    told = []
    for row in rows:
        cells = [f"{cell!s:>{-width}}" if width < 0 else f"{cell!s:<{width}}" for cell, width in zip(row, formats, strict=True)]
        told.append("  ".join(cells).rstrip())
    return lines(told)


def moment(microseconds: int) -> str:
    """A time for people: local, to the second, with its offset."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).astimezone().isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return "never"


def clock(microseconds: int, now: int) -> str:
    """`14:05`, with its date where that is not today."""
    then = (_EPOCH + timedelta(microseconds=microseconds)).astimezone()
    today = (_EPOCH + timedelta(microseconds=now)).astimezone().date()
    return then.strftime("%H:%M" if then.date() == today else "%Y-%m-%d %H:%M")


def stamp(microseconds: int | None) -> str | None:
    """A time for programs: UTC."""
    if microseconds is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError:
        return None
