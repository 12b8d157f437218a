"""Who else says whether a signature holds: dkimpy, and Perl's Mail::DKIM where it is installed."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dkim

PERL = Path(__file__).with_name("perl_judge.pl")


def texts(keys: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name → text of the records that `procura dkim show --json` prints."""
    return {key["name"]: key["value"] for key in keys}


def published(records: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """The same for tests.live.names.Names: in strings of at most 255 octets."""
    return {name: {"TXT": [" ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))]} for name, text in records.items()}


def dkimpy(octets: bytes, records: Mapping[str, str]) -> list[bool]:
    """Of every DKIM-Signature, topmost first."""

    def asked(name: bytes, timeout: int = 5) -> bytes | None:
        found = records.get(name.decode().rstrip("."))
        return None if found is None else found.encode()

    judge = dkim.DKIM(octets)
    count = sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)
    return [_holds(judge, number, asked) for number in range(count)]


def _holds(judge: dkim.DKIM, number: int, asked: Any) -> bool:
    try:
        return bool(judge.verify(number, dnsfunc=asked))
    except dkim.DKIMException:
        return False


def dkimpy_chain(octets: bytes, records: Mapping[str, str]) -> bytes | None:
    """The chain's validation by dkimpy; None: it has ended."""

    def asked(name: bytes, timeout: int = 5) -> bytes | None:
        found = records.get(name.decode().rstrip("."))
        return None if found is None else found.encode()

    result: bytes | None = dkim.ARC(octets).verify(dnsfunc=asked)[0]
    return result


@functools.cache
def has_perl_judge() -> bool:
    """Is libmail-dkim-perl there?"""
    try:
        done = subprocess.run(
            ["perl", "-MMail::DKIM::ARC::Verifier", "-MNet::DNS", "-e", "1"], capture_output=True, timeout=30, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def perl(octets: bytes, port: int, what: str = "dkim") -> list[str]:
    """One line for each signature: algorithm, domain, result; of a chain its result. `port`: of the name server."""
    done = subprocess.run(["perl", str(PERL), str(port), what], input=octets, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().splitlines()
