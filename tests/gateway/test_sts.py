"""MTA-STS records and policies: those of RFC 8461's own form, and what comes in their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sts import LARGEST, LONGEST, BadPolicy, Mode, Policy, read_policy, read_record

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.far.test\r\nmx: *.far.test\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((b"v=STSv1; id=20160831085700Z;",), "20160831085700Z"),
        ((b"v=STSv1;id=1",), "1"),
        ((b"v=STSv1 ; \t id = a1 ; x=y",), "a1"),
        ((b"v=STSv1; x=y; id=a1",), "a1"),
        ((b"v=spf1 -all", b"v=STSv1; id=1"), "1"),
        ((b"v=STSv1; id=1", b"v=STSv1; id=1"), None),
        ((b"v=STSv1", b"v=STSv1; id=1"), "1"),
        ((b"v=STSv2; id=1",), None),
        ((b"V=STSv1; id=1",), None),
        ((b" v=STSv1; id=1",), None),
        ((b"v=STSv1;",), None),
        ((b"v=STSv1; id=",), None),
        ((b"v=STSv1; id=a-b",), None),
        ((b"v=STSv1; id=" + b"a" * 33,), None),
        ((b"v=STSv1; id=\xc3\xbc",), None),
        ((), None),
    ],
)
def test_records(texts: tuple[bytes, ...], found: str | None) -> None:
    assert read_record(texts) == found


@pytest.mark.parametrize(
    ("octets", "policy"),
    [
        (GOOD, Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), 604_800)),
        (GOOD.replace(b"\r\n", b"\n"), Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), 604_800)),
        (GOOD.rstrip(), Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), 604_800)),
        (b"mode:testing\nversion:STSv1\nmax_age:1\nmx:A.Test.\n", Policy(Mode.TESTING, ("a.test",), 1)),
        (b"version: STSv1\nmode: none\nmax_age: 86400\n", Policy(Mode.NONE, (), 86_400)),
        (GOOD + b"mode: none\nmax_age: 5\nx-new: \xc3\xbc\n", Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), 604_800)),
        (GOOD.replace(b"604800", b"9999999999"), Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), LONGEST)),
        (GOOD.replace(b"enforce", b"enforce \t"), Policy(Mode.ENFORCE, ("mail.far.test", "*.far.test"), 604_800)),
    ],
)
def test_policies(octets: bytes, policy: Policy) -> None:
    assert read_policy(octets) == policy


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<html>not found</html>",
        GOOD.replace(b"STSv1", b"STSv2"),
        GOOD.replace(b"version: STSv1\r\n", b""),
        GOOD.replace(b"enforce", b"Enforce"),
        GOOD.replace(b"enforce", b"enforce; x"),
        GOOD.replace(b"mode: enforce\r\n", b""),
        GOOD.replace(b"max_age: 604800\r\n", b""),
        GOOD.replace(b"604800", b"-1"),
        GOOD.replace(b"604800", b"1e9"),
        GOOD.replace(b"604800", b"12345678901"),
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        GOOD + b"mx: *\n",
        GOOD + b"mx: a.*.test\n",
        GOOD + b"mx: a b\n",
        GOOD + b"mx: .test\n",
        GOOD + b"mx:\n",
        GOOD + b"\xff: x\n",
        GOOD + b"no colon\n",
        GOOD + b"mx: a.test\r mx: b.test\n",
        GOOD + b"mx: a.test\n" * 1000,
        GOOD + b"x: " + b"y" * LARGEST,
    ],
)
def test_what_is_no_policy(octets: bytes) -> None:
    with pytest.raises(BadPolicy):
        read_policy(octets)


def test_which_servers_it_names() -> None:
    policy = read_policy(GOOD)
    assert policy.names("mail.far.test")
    assert policy.names("MX1.far.test.")
    assert not policy.names("a.mx1.far.test")
    assert not policy.names("far.test")
    assert not policy.names("mail.far.test.evil.test")


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_no_record_is_too_odd(texts: list[bytes]) -> None:
    found = read_record(tuple(texts))
    assert found is None or (0 < len(found) <= 32 and found.isalnum())


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from([*GOOD.splitlines(True), b":", b"mx: ", b"\n", b"\0"])).map(b"".join)))
def test_no_policy_is_too_odd(octets: bytes) -> None:
    try:
        assert read_policy(octets).max_age <= LONGEST
    except BadPolicy:
        pass
