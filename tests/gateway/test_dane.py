"""Which certificate do TLSA records stand for? With real certificates, and with octets that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dane import DANE_EE, DANE_TA, Tlsa, anchors, can_see_chains, covers, is_end_entity, is_named, usable
from tests.live.authority import Made, made

ROOT = made("root", authority=True)
MIDDLE = made("middle", ROOT, authority=True)
SERVER = made("mail.far.test", MIDDLE, names=["mail.far.test"])
OTHER = made("other", names=["mail.far.test"])


def record(text: str) -> Tlsa:
    usage, selector, matching, data = text.split()
    return Tlsa(int(usage), int(selector), int(matching), bytes.fromhex(data))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_selector_and_matching_type(selector: int, matching: int) -> None:
    one = record(SERVER.tlsa(DANE_EE, selector, matching))
    assert usable([one]) == (one,)
    assert is_end_entity([one], SERVER.der)
    assert not is_end_entity([one], OTHER.der)
    above = record(MIDDLE.tlsa(DANE_TA, selector, matching))
    assert anchors([above], [SERVER.der, MIDDLE.der, ROOT.der]) == [MIDDLE.der]
    assert not is_end_entity([above], MIDDLE.der)


def test_an_authority_that_is_whole_in_the_record_need_not_be_sent() -> None:
    assert anchors([record(ROOT.tlsa(DANE_TA, 0, 0))], [SERVER.der]) == [ROOT.der]
    assert anchors([record(ROOT.tlsa(DANE_TA, 0, 1))], [SERVER.der]) == []
    assert anchors([Tlsa(DANE_TA, 0, 0, b"no certificate")], [SERVER.der]) == []


def test_the_servers_own_certificate_is_no_authority() -> None:
    assert anchors([record(SERVER.tlsa(DANE_TA))], [SERVER.der, MIDDLE.der]) == []


@pytest.mark.parametrize(
    ("one", "taken"),
    [
        (record(SERVER.tlsa(0)), False),
        (record(SERVER.tlsa(1)), False),
        (record(SERVER.tlsa(3)), True),
        (Tlsa(3, 1, 1, b"x" * 31), False),
        (Tlsa(3, 1, 2, b"x" * 32), False),
        (Tlsa(3, 1, 3, b"x" * 32), False),
        (Tlsa(3, 2, 1, b"x" * 32), False),
        (Tlsa(3, 0, 0, b""), False),
        (Tlsa(4, 1, 1, b"x" * 32), False),
        (Tlsa(255, 1, 1, b"x" * 32), False),
    ],
)
def test_what_nothing_can_be_told_by(one: Tlsa, taken: bool) -> None:
    assert bool(usable([one])) is taken


def test_authorities_count_only_where_chains_can_be_seen() -> None:
    one = record(ROOT.tlsa(DANE_TA))
    assert usable([one], chains=True) == (one,)
    assert usable([one], chains=False) == ()
    assert can_see_chains(), "every Python that we run on shows them, in one way or the other"


def test_of_two_digests_the_stronger_decides() -> None:
    weak, strong = record(SERVER.tlsa(3, 1, 1)), record(OTHER.tlsa(3, 1, 2))
    assert usable([weak, strong]) == (strong,)
    other_kind = record(SERVER.tlsa(3, 0, 1))
    assert usable([weak, strong, other_kind, strong]) == (other_kind, strong) == usable([strong, other_kind])


def test_nobody_has_us_look_at_thousands() -> None:
    assert len(usable([Tlsa(3, 1, 1, number.to_bytes(32, "big")) for number in range(1500)])) <= 50


@pytest.mark.parametrize(
    ("pattern", "name", "yes"),
    [
        ("mail.far.test", "mail.far.test", True),
        ("Mail.FAR.test", "mail.far.test.", True),
        ("*.far.test", "mail.far.test", True),
        ("*.far.test", "far.test", False),
        ("*.far.test", "a.mail.far.test", False),
        ("*.far.test", ".far.test", False),
        ("*", "mail", False),
        ("*.", "mail.", False),
        ("*.test", "far.test", False),
        ("m*.far.test", "mail.far.test", False),
        ("mail.*.test", "mail.far.test", False),
        ("", "", False),
        ("*.*.test", "a.*.test", True),
    ],
)
def test_names_and_patterns(pattern: str, name: str, yes: bool) -> None:
    assert covers(pattern, name) is yes


def test_whose_certificate_it_is() -> None:
    alternative = {"subjectAltName": (("DNS", "a.test"), ("IP Address", "192.0.2.1")), "subject": ((("commonName", "b.test"),),)}
    assert is_named(alternative, ["x.test", "a.test"])
    assert not is_named(alternative, ["b.test"]), "the common name does not count beside DNS names"
    assert is_named({"subject": ((("commonName", "b.test"),),)}, ["b.test"])
    assert not is_named({}, ["b.test"])
    assert not is_named(alternative, [])


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=80), st.binary(max_size=200))
def test_no_octets_are_too_odd(usage: int, selector: int, matching: int, data: bytes, certificate: bytes) -> None:
    one = Tlsa(usage, selector, matching, data)
    for found in usable([one]):
        assert is_end_entity([found], certificate) in (True, False)
        assert isinstance(anchors([found], [certificate, certificate]), list)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_is_too_odd(pattern: str, name: str) -> None:
    assert covers(pattern, name) in (True, False)


def test_made_certificates_are_what_they_say() -> None:
    assert isinstance(SERVER, Made)
    SERVER.certificate.verify_directly_issued_by(MIDDLE.certificate)
