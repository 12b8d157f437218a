"""Reading what was typed: words of a line, options of a verb, times, pairs of attribute and value."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.prov.answer import Usage

_PIECE: Final = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#.*)|'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)|(?P<plain>[^\s'"\\]+)""",
    re.DOTALL,
)
_ESCAPED: Final = re.compile(r'\\([\\"$`])')
_RELATIVE: Final = re.compile(r"\+?(\d{1,9})([mhdw])")
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_GENERALISED: Final = re.compile(r"(\d{14})(?:\.\d+)?Z")


def words(line: str) -> list[str]:
    """A line of a batch as a POSIX shell would part it, without expanding anything; `#` begins a comment where a word could.

    Raises Fault where a quotation does not end.
    """
    found: list[str] = []
    word: str | None = None
    position = 0
    while position < len(line):
        piece = _PIECE.match(line, position)
        if piece is None:
            raise Fault(Code.INVALID_REQUEST, "no closing quotation")
        position = piece.end()
        match piece.lastgroup:
            case "space":
                if word is not None:
                    found.append(word)
                word = None
            case "comment" if word is None:
                break
            case "double":
                word = (word or "") + _ESCAPED.sub(r"\1", piece["double"])
            case kind:
                word = (word or "") + piece[kind or 0]
    if word is not None:
        found.append(word)
    return found


@dataclass(frozen=True, slots=True)
class Options:
    """`flags` that were there, `values` of options that take one, and the rest of the arguments in order."""

    flags: frozenset[str]
    values: dict[str, str]
    rest: tuple[str, ...]


def options(arguments: Sequence[str], flags: Sequence[str] = (), valued: Sequence[str] = ()) -> Options:
    """`--name value` and `--name=value` anywhere among the arguments; `--` ends them. Raises Usage without a text of its own.

    Only long options of this very verb are options: `-sendAs` is a right, and `-attr` takes a value away.
    """
    found: set[str] = set()
    values: dict[str, str] = {}
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        name, equals, value = one.partition("=")
        if one == "--":
            rest += waiting
            break
        if one in flags:
            found.add(one)
        elif name in valued:
            if not equals and not waiting:
                raise Usage(f"{name} needs a value")
            values[name] = value if equals else waiting.pop(0)
        elif one.startswith("--"):
            raise Usage(f"there is no option {name} here")
        else:
            rest.append(one)
    return Options(frozenset(found), values, tuple(rest))


def moment(text: str, now: int) -> int:
    """Microseconds since 1970 UTC from `2026-12-24`, `2026-12-24T18:00`, `2026-12-24T18:00+01:00`, `20261224180000Z`,
    or from now: `+90m`, `12h`, `7d`, `2w`. Without a zone it is the local time of the server. Raises Fault."""
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return now + int(relative[1]) * _UNITS[relative[2]] * 1_000_000
    generalised = _GENERALISED.fullmatch(text)
    try:
        spelled = text if generalised is None else f"{text[:8]}T{text[8:14]}Z"
        read = datetime.fromisoformat(spelled)
        if read.tzinfo is None:
            read = read.astimezone()
        return (read - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(microseconds=1)
    except (ValueError, OverflowError, OSError):
        raise Fault(Code.INVALID_REQUEST, f"no time: {text} (write 2026-12-24, 2026-12-24T18:00, +90m, 12h, 7d or 2w)") from None


def pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Attribute and value, attribute and value. Raises Usage."""
    if len(arguments) % 2:
        raise Usage(f"no value for the attribute {arguments[-1]}")
    return list(zip(arguments[::2], arguments[1::2], strict=True))
