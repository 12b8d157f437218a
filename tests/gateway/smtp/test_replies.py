"""Codes and words: complete, one line of printable ASCII each, and telling strangers nothing that the rules keep from them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.smtp
from gateway.smtp.replies import LINE_OCTETS, WORDS, farewell, one_line, printable, reply, spell, told_as
from policy.reasons import Defer, Reason, Refuse

LINE = re.compile(r"([245][0-9]{2})([ -])([245]\.[0-9]{1,3}\.[0-9]{1,3}) ([\x20-\x7e]*)")


def test_there_are_words_for_every_reason() -> None:
    assert set(WORDS) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_deferral_is_temporary_and_the_two_codes_agree(reason: Reason) -> None:
    later = reply(Defer(reason))
    # BAD_CREDENTIALS is never told apart from anything, not even by a verdict of another type.
    assert later.startswith("4") or reason is Reason.BAD_CREDENTIALS
    for said in (later, reply(Refuse(reason))):
        code, _, enhanced, text = LINE.fullmatch(said).groups()  # type: ignore[union-attr]
        assert code[0] == enhanced[0]
        assert text


# delegation.md sections 1, 3, 5, 9 and 10, by hand.
@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Refuse(Reason.BAD_CREDENTIALS), "535 5.7.8 "),
        (Refuse(Reason.ACCOUNT_STATUS, "locked"), "525 5.7.13 account is locked"),
        (Refuse(Reason.ACCOUNT_MAINTENANCE), "454 4.7.0 "),
        (Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance"), "454 4.7.0 "),
        (Refuse(Reason.PASSWORD_EXPIRED, "https://x.test/"), "525 5.7.13 password must be changed at https://x.test/"),
        (Refuse(Reason.AUTHORIZATION_REFUSED), "535 5.7.8 "),
        (Refuse(Reason.SENDER_NOT_PERMITTED, "a may not send as b: no sendAs or sendOnBehalfOf grant", "d-7f3a"),
         "550 5.7.1 a may not send as b: no sendAs or sendOnBehalfOf grant [d-7f3a]"),
        (Refuse(Reason.REVERSE_PATH_NOT_PERMITTED), "553 5.7.1 "),
        (Refuse(Reason.MALFORMED_MESSAGE, "two From fields"), "550 5.6.0 the message is malformed: two From fields"),
        (Refuse(Reason.PRINCIPAL_STATUS, "locked"), "550 5.7.1 "),
        (Defer(Reason.PRINCIPAL_MAINTENANCE), "450 4.2.1 "),
        (Refuse(Reason.RECIPIENT_CLOSED, "closed"), "550 5.2.1 "),
        (Refuse(Reason.RECIPIENT_UNKNOWN), "550 5.1.1 "),
        (Defer(Reason.RECIPIENT_MAINTENANCE), "450 4.2.1 "),
        (Defer(Reason.RECIPIENT_OVER_QUOTA), "452 4.2.2 "),
        (Refuse(Reason.RECIPIENT_OVER_QUOTA), "552 5.2.2 "),
        (Refuse(Reason.POSTING_NOT_PERMITTED), "550 5.7.1 "),
        (Refuse(Reason.RELAY_NOT_PERMITTED), "550 5.7.1 "),
        (Refuse(Reason.INVITATION_NOT_PERMITTED), "550 5.7.1 "),
        (Refuse(Reason.MALFORMED_CALENDAR), "550 5.6.0 "),
        (Defer(Reason.BUSY), "451 4.3.2 "),
        (Defer(Reason.DISK_FULL), "452 4.3.1 "),
    ],
)  # fmt: skip
def test_the_codes_of_the_rules(verdict: Refuse | Defer, expected: str) -> None:
    assert reply(verdict).startswith(expected)


def test_wrong_password_unknown_account_and_lockout_are_one_reply() -> None:
    verdicts = [
        Refuse(Reason.BAD_CREDENTIALS),
        Refuse(Reason.BAD_CREDENTIALS, "locked out until 14:05"),
        Refuse(Reason.BAD_CREDENTIALS, because="unknown account", asked="anna", principal=7),
    ]
    assert len({reply(one) for one in verdicts}) == 1


def test_a_closed_account_can_look_like_none() -> None:
    closed, unknown = Refuse(Reason.RECIPIENT_CLOSED, "pending", "d-1"), Refuse(Reason.RECIPIENT_UNKNOWN, decision="d-1")
    assert reply(closed, "5.1.1") == reply(unknown)
    assert told_as(closed, "5.1.1") is told_as(unknown) is Reason.RECIPIENT_UNKNOWN
    assert told_as(closed) is Reason.RECIPIENT_CLOSED


def test_a_session_ends_with_421_and_the_reason() -> None:
    assert farewell(Refuse(Reason.ACCOUNT_STATUS, "closed")) == "421 4.3.2 account is closed"
    assert (
        farewell(Refuse(Reason.SESSION_ENDED, "the password was changed")) == "421 4.3.2 this session has ended: the password was changed"
    )
    assert farewell(Defer(Reason.ACCOUNT_MAINTENANCE)).startswith("421 4.3.2 ")


def test_a_detail_cannot_make_a_line_of_its_own() -> None:
    said = reply(Refuse(Reason.MALFORMED_MESSAGE, "From\r\n250 2.0.0 ok\x1b[2J\0é\u2028"))
    assert said == "550 5.6.0 the message is malformed: From??250 2.0.0 ok?[2J?\\x{e9}?"


def test_a_detail_with_braces_stays_as_it_is() -> None:
    assert reply(Refuse(Reason.SENDER_NOT_PERMITTED, "{} {0} %s")) == "550 5.7.1 {} {0} %s"


def test_a_long_text_becomes_several_lines() -> None:
    said = spell("550 5.7.1", "word " * 250)
    lines = said.split("\r\n")
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines)
    assert [line[3] for line in lines] == ["-", "-", " "]


@given(st.text(max_size=3_000), st.sampled_from(list(Reason)), st.sampled_from([Refuse, Defer]))
def test_whatever_the_detail_the_reply_is_one_reply(detail: str, reason: Reason, kind: type[Refuse] | type[Defer]) -> None:
    for said in (reply(kind(reason, detail, "d-1")), farewell(kind(reason, detail))):
        lines = said.split("\r\n")
        for index, line in enumerate(lines):
            assert len(line) <= LINE_OCTETS
            assert LINE.fullmatch(line)
            assert line[3] == (" " if index == len(lines) - 1 else "-")
        assert len({line[:3] for line in lines}) == 1


def test_other_letters_stay_readable() -> None:
    assert printable("bücher") == "b\\x{fc}cher"


REGISTERED = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
"""IANA's registry (RFC 5248): subject → its largest detail; there are no gaps."""
# Basic codes that come with an enhanced one which the registry ties to them.
TIED = {
    "5.5.6": {"500"},
    "5.6.7": {"550", "553"},
    "5.7.8": {"535"},
    "5.7.11": {"538"},
    "5.7.13": {"525"},
    "4.5.3": {"452"},
    "5.1.3": {"501", "553"},
    "5.3.4": {"552"},
}


def said_codes() -> set[tuple[str, str]]:
    """Every basic and enhanced code that stands in what SMTP is spoken with."""
    spelled = {(words.final, words.later) for words in WORDS.values()}
    texts = [path.read_text() for path in (Path(gateway.smtp.__file__)).parent.glob("*.py")]
    found = {tuple(one.split(" ", 1)) for pair in spelled for one in pair}
    for text in texts:
        found |= set(re.findall(r"\b([2345][0-9]{2}) ([245]\.[0-9]{1,3}\.[0-9]{1,3})\b", text))
    return {(basic, enhanced) for basic, enhanced in found}


def test_every_code_is_in_the_registry() -> None:
    codes = said_codes()
    assert len(codes) > 40
    for basic, enhanced in codes:
        kind, subject, detail = (int(one) for one in enhanced.split("."))
        assert basic[0] == str(kind)
        assert detail <= REGISTERED[subject], enhanced
        assert basic in TIED.get(enhanced, {basic}), (basic, enhanced)


@given(st.text(), st.sampled_from(Reason), st.sampled_from([Refuse, Defer]))
def test_what_a_neighbour_says_for_us_is_one_line_of_the_same_words(detail: str, reason: Reason, kind: type[Refuse] | type[Defer]) -> None:
    line = one_line(kind(reason, detail, "d-1"))
    assert line.isascii()
    assert line.isprintable()
    assert line[:9] == reply(kind(reason, detail, "d-1")).replace("-", " ", 1)[:9]
