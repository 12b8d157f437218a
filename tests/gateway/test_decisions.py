"""Numbers of decisions: drawn in each process, and never the same."""

import os
import re

from gateway.decisions import new_decision


def test_they_can_be_read_out_over_the_telephone() -> None:
    assert re.fullmatch(r"d-[0-9a-f]{12}", new_decision())


def test_no_two_are_the_same_in_several_processes() -> None:
    """Of four octets some would be among so many."""
    reading, writing = os.pipe()
    for _ in range(2):
        if not os.fork():
            with os.fdopen(writing, "w") as out:
                out.write("".join(f"{new_decision()}\n" for _ in range(100_000)))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as found:
        numbers = found.read().split()
    for _ in range(2):
        os.wait()
    assert len(numbers) == 200_000
    assert len(set(numbers)) == len(numbers)
