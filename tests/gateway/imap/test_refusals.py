"""Every reason has a response code and words; hidden and missing folders have the same."""

import pytest

from gateway.imap.refusals import WORDS, farewell, refusal
from policy.reasons import Defer, Reason, Refuse

# RFC 3501 section 7.1, RFC 5530 section 3, RFC 6154 section 3, RFC 9208 section 4.3
CODES = {
    b"UNAVAILABLE", b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"EXPIRED", b"PRIVACYREQUIRED", b"CONTACTADMIN", b"NOPERM", b"INUSE",
    b"EXPUNGEISSUED", b"CORRUPTION", b"SERVERBUG", b"CLIENTBUG", b"CANNOT", b"LIMIT", b"OVERQUOTA", b"ALREADYEXISTS", b"NONEXISTENT",
    b"TRYCREATE", b"USEATTR", b"ALERT",
}  # fmt: skip


def test_every_reason_has_words_and_no_words_are_left_over() -> None:
    assert set(WORDS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_spelled_with_a_known_code_in_one_line_of_ascii(reason: Reason) -> None:
    for verdict in (Refuse(reason), Refuse(reason, "any thing", "d-7f3a"), Defer(reason, "evil\r\n* BYE \x00ü")):
        for found in (refusal(verdict), refusal(verdict, target=True), farewell(verdict)):
            assert found.code is None or found.code in CODES
            assert found.text.isascii()
            assert found.text.isprintable()
            assert not found.text.startswith("[")


@pytest.mark.parametrize(
    ("verdict", "code", "text"),
    [
        (
            Refuse(Reason.RIGHT_MISSING, "you need 'i' (insert) on this folder; ask owner@acme.test", "d-7f3a"),
            b"NOPERM",
            "you need 'i' (insert) on this folder; ask owner@acme.test [d-7f3a]",
        ),
        (Refuse(Reason.BAD_CREDENTIALS), b"AUTHENTICATIONFAILED", "authentication failed"),
        (Refuse(Reason.ACCOUNT_STATUS, "locked"), b"CONTACTADMIN", "account is locked"),
        (Defer(Reason.ACCOUNT_MAINTENANCE), b"UNAVAILABLE", "account is in maintenance, try again later"),
        (Refuse(Reason.PASSWORD_EXPIRED, "https://x.test/"), b"EXPIRED", "password must be changed at https://x.test/"),
        (Defer(Reason.BUSY), b"UNAVAILABLE", "not now, try again later"),
        (Defer(Reason.DISK_FULL), b"LIMIT", "there is no room for it now, try again later"),
    ],
)
def test_the_words(verdict: Refuse | Defer, code: bytes, text: str) -> None:
    found = refusal(verdict)
    assert (found.code, found.text) == (code, text)


def test_a_hidden_folder_is_refused_in_the_words_for_a_missing_one() -> None:
    missing, hidden = Refuse(Reason.FOLDER_UNKNOWN), Refuse(Reason.FOLDER_UNKNOWN, "anna's", "d-7f3a")
    assert refusal(missing) == refusal(hidden)
    assert refusal(missing, target=True) == refusal(hidden, target=True)
    assert refusal(missing, target=True).code == b"TRYCREATE"


def test_the_farewells() -> None:
    assert farewell(Refuse(Reason.RIGHT_MISSING)).text == "access to this folder has ended"
    assert farewell(Refuse(Reason.FOLDER_UNKNOWN)).text == "access to this folder has ended"
    assert farewell(Defer(Reason.ACCOUNT_MAINTENANCE)).code == b"UNAVAILABLE"
    assert farewell(Refuse(Reason.SESSION_ENDED, "password changed")).text == "password changed"
    assert farewell(Refuse(Reason.ACCOUNT_STATUS, "locked")).text == "account is locked"
