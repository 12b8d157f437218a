"""ARC sets: found in any order, whole or not (RFC 8617 sections 4.2 and 5.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.arc import read_chain, sealed_octets, to_be_sealed
from gateway.message.split import read_header


def arc_set(number: int, cv: str | None = None) -> str:
    cv = cv or ("none" if number == 1 else "pass")
    return (
        f"ARC-Seal: i={number}; a=rsa-sha256; cv={cv}; d=a.test; s=s; b=abc\r\n"
        f"ARC-Message-Signature: i={number}; a=rsa-sha256; d=a.test; s=s; h=from; bh=x; b=y\r\n"
        f"ARC-Authentication-Results: i={number}; a.test;\r\n none\r\n"
    )


def chain(text: str) -> tuple[int, int, str, bool]:
    octets = (text + "From: a@b\r\n\r\n").encode()
    found = read_chain(octets, read_header(octets))
    return len(found.sets), found.last, found.fault, found.ended


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0, "", False)),
        (arc_set(1), (1, 1, "", False)),
        (arc_set(1) + arc_set(3) + arc_set(2), (3, 3, "", False)),
        (arc_set(2, "fail") + arc_set(1), (0, 2, "the seal of instance 2 does not say that the chain held", True)),
        (arc_set(2), (0, 2, "instance 1 is not whole", False)),
        (arc_set(1) + arc_set(1), (0, 1, "instance 1 is not whole", False)),
        (arc_set(1).partition("\r\n")[2], (0, 1, "instance 1 is not whole", False)),
        (arc_set(1, "pass"), (0, 1, "the seal of instance 1 does not say that the chain held", False)),
        (arc_set(2, "none") + arc_set(1), (0, 2, "the seal of instance 2 does not say that the chain held", False)),
        (arc_set(1).replace("cv=none", "cv=none; h=from"), (0, 1, "the seal of instance 1 does not say that the chain held", False)),
        ("ARC-Seal: no instance\r\n", (0, 0, "a field without an instance", False)),
        (arc_set(1) + "ARC-Seal: i=0; cv=none\r\n", (0, 1, "a field without an instance", False)),
        ("".join(arc_set(number) for number in range(1, 51)), (50, 50, "", False)),
        ("".join(arc_set(number) for number in range(1, 52)), (0, 50, "too many instances", False)),
        ("ARC-Seal: i=999; cv=none\r\n", (0, 50, "too many instances", False)),
    ],
)
def test_chains(text: str, expected: tuple[int, int, str, bool]) -> None:
    assert chain(text) == expected


def test_what_a_seal_signs_is_the_same_when_it_is_made_and_when_it_is_judged() -> None:
    octets = (arc_set(2) + arc_set(1) + "From: a@b\r\n\r\n").encode()
    sets = read_chain(octets, read_header(octets)).sets
    whole = sealed_octets(octets, sets)
    results, signature, seal = (octets[one.value : one.end] for one in (sets[1].results, sets[1].message_signature, sets[1].seal))
    assert to_be_sealed(octets, sets[:1], results, signature, seal) == whole
    lines = whole.split(b"\r\n")
    assert [line.partition(b":")[0] for line in lines] == [b"arc-authentication-results", b"arc-message-signature", b"arc-seal"] * 2
    assert lines[2].endswith(b"b=abc")
    assert lines[5].endswith(b"b=")


@given(st.lists(st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]).flatmap(
    lambda name: st.text("i=12;cvnone pass", max_size=20).map(lambda value: f"{name}: {value}\r\n")), max_size=12))  # fmt: skip
def test_whatever_there_is_it_is_read(lines: list[str]) -> None:
    octets = "".join([*lines, "\r\n"]).encode()
    found = read_chain(octets, read_header(octets))
    assert len(found.sets) in (0, found.last)
