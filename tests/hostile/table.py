"""tests/hostile/README.md from attacks.toml: `python -m tests.hostile.table > tests/hostile/README.md`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
CLASSES = {
    **{f"2.1.{number}": "SMTP and LMTP" for number in range(1, 15)},
    **{f"2.2.{number}": "IMAP" for number in range(15, 23)},
    **{f"2.3.{number}": "rights" for number in range(23, 33)},
    **{f"2.4.{letter}": "sender identity" for letter in "abcdefg"},
    **{f"2.5.{number}": "accounts and roles" for number in range(33, 39)},
}
"""Every class of robustness.md section 2."""

PREFACE = """# Hostile input

Peers that mean harm, through raw sockets, against one running server in each file. Beside every attack a bystander says NOOP on an IMAP and an LMTP session
that were there before; it has to be answered within a multiple of what it takes while nothing happens, the server's memory may not grow by more than a bound
(VmHWM), no traceback may be in its log, and its event loop is watched (`stalls.py`: a step of more than 100 ms is written down with its stack). Machines that
are busy with others make everything late: so what counts in `make test` is what the loop's thread itself worked, five times 100 ms at most;
`PROCURA_STRICT=1` takes 100 ms by the clock.

What follows is made from `attacks.toml`: `python -m tests.hostile.table > tests/hostile/README.md`.
"""


def attacks() -> dict[str, dict[str, object]]:
    """By the class's number."""
    return tomllib.loads((HERE / "attacks.toml").read_text())


def page() -> Iterator[str]:
    """Line by line."""
    yield PREFACE
    yield "| class | about | tests |"
    yield "|---|---|---|"
    for number, row in attacks().items():
        tests = row["tests"]
        assert isinstance(tests, list)
        yield f"| {number} {CLASSES[number]} | {row['about']} | {', '.join(f'`{one}`' for one in tests)} |"


if __name__ == "__main__":
    print("\n".join(page()))
