"""`python -m tests.fuzz.run TARGET SECONDS DIRECTORY`: atheris on one target; what it finds is left in the directory.

A finding becomes a regression case by being copied to tests/fuzz/findings/TARGET/, where test_findings.py plays it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway", "policy"]):
    from tests.fuzz.seeds import SEEDS
    from tests.fuzz.targets import PARSERS, SESSIONS, Sessions


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    name, seconds, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    corpus, found = directory / "corpus" / name, directory / "found" / name
    for place in (corpus, found):
        place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed{number}").write_bytes(seed)
    target = getattr(Sessions(), name) if name in SESSIONS else PARSERS[name]
    arguments = [sys.argv[0], str(corpus), f"-artifact_prefix={found}/", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1500"]
    arguments += ["-max_len=4096", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
