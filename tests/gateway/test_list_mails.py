import pytest

from gateway.list_mails import MOST_ATTACHED, Letter, ListMails, mailto
from gateway.message.automatic import is_never_answered
from gateway.message.split import read_header
from gateway.message.structure import parse
from policy.identity import Address

TEAM = Address("team", "acme.test")
TO = Address("anna", "acme.test")
MAILS = ListMails(TEAM, "mx.acme.test", "unique", 0)
EVIL = "x\r\nBcc: everybody@acme.test\r\n\r\nhello\x00\x1b[2J\u2028"

LETTERS = {
    "confirm": MAILS.confirm(TO, "k" * 16, joining=True),
    "joined": MAILS.joined(TO, may_leave=True),
    "joined for good": MAILS.joined(TO, may_leave=False),
    "left": MAILS.left(TO),
    "member already": MAILS.unchanged(TO, joining=True),
    "no member": MAILS.unchanged(TO, joining=False),
    "not by mail": MAILS.not_by_mail(TO, joining=True),
    "owners asked": MAILS.owners_asked(TO, joining=False),
    "refused": MAILS.refused(TO, EVIL, joining=True),
    "gone": MAILS.gone(TO),
    "help": MAILS.help(TO, joins=True, leaves=False),
    "asks owner": MAILS.asks_owner(TO, TO, TO, joining=True),
    "asks again": MAILS.asks_again(TO, TO),
    "post held": MAILS.post_held(TO, TO, EVIL, EVIL, b"Subject: x\r\n\r\nx\r\n", 0),
    "post waits": MAILS.post_waits(TO, EVIL),
    "post refused": MAILS.post_refused(TO, EVIL, EVIL),
    "post too late": MAILS.post_too_late(TO, EVIL),
    "suspended": MAILS.suspended(TO, TO, EVIL),
}


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS.keys())
def test_every_letter_is_one_that_no_machine_answers(letter: Letter) -> None:
    header = read_header(letter.octets)
    names = [field.name for field in header.fields]
    assert is_never_answered(letter.octets, header)
    assert letter.to == TO
    assert len(names) == len(set(names))
    assert b"bcc" not in names
    assert not any(line.startswith(b"Bcc:") for line in letter.octets.splitlines())
    assert b"\x00" not in letter.octets
    assert b"\x1b" not in letter.octets
    assert letter.octets.count(b"\r\n") == letter.octets.count(b"\n")
    assert max(map(len, letter.octets.splitlines())) < 998


def test_message_ids_differ() -> None:
    one, other = (read_header(MAILS.left(TO).octets).first(b"message-id") for _ in range(2))
    assert one is not None
    assert other is not None
    assert MAILS.left(TO).octets != MAILS.left(TO).octets


def test_a_small_post_is_attached_and_of_a_large_one_the_header() -> None:
    small, large = b"Subject: x\r\n\r\nsmall\r\n", b"Subject: x\r\n\r\n" + b"y" * MOST_ATTACHED
    parts = parse(MAILS.post_held(TO, TO, "a@b", "x", small, 0).octets).children
    assert [(part.type, part.subtype) for part in parts] == [(b"text", b"plain"), (b"message", b"rfc822")]
    letter = MAILS.post_held(TO, TO, "a@b", "x", large, 0)
    parts = parse(letter.octets).children
    assert [(part.type, part.subtype) for part in parts] == [(b"text", b"plain"), (b"text", b"rfc822-headers")]
    assert len(letter.octets) < 3000


def test_addresses_in_links_are_escaped() -> None:
    assert mailto(Address("a?b&ä", "acme.test"), "help") == b"<mailto:a%3Fb%26%C3%A4@acme.test?subject=help>"
    assert mailto(TEAM) == b"<mailto:team@acme.test>"
