"""How responses look on the wire."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap import responses as say
from gateway.imap.framing import Allowance, Frame, Framer
from gateway.imap.responses import Condition, Status


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (Status(Condition.OK, "done", tag=b"a1"), b"a1 OK done"),
        (Status(Condition.NO, "no such mailbox", say.NONEXISTENT, b"a1"), b"a1 NO [NONEXISTENT] no such mailbox"),
        (Status(Condition.BYE, "see you"), b"* BYE see you"),
        (Status(Condition.OK, "ready", say.capability_code([b"IMAP4rev1", b"IDLE"])), b"* OK [CAPABILITY IMAP4rev1 IDLE] ready"),
        (Status(Condition.OK, "x", say.permanentflags([b"\\Seen", b"\\*"])), b"* OK [PERMANENTFLAGS (\\Seen \\*)] x"),
        (Status(Condition.OK, "x", say.uidnext(7)), b"* OK [UIDNEXT 7] x"),
        (Status(Condition.OK, "x", say.uidvalidity(7)), b"* OK [UIDVALIDITY 7] x"),
        (Status(Condition.OK, "x", say.unseen(7)), b"* OK [UNSEEN 7] x"),
        (Status(Condition.OK, "x", say.highestmodseq(7)), b"* OK [HIGHESTMODSEQ 7] x"),
        (Status(Condition.OK, "x", say.appenduid(9, [4, 5, 6]), b"a"), b"a OK [APPENDUID 9 4:6] x"),
        (Status(Condition.OK, "x", say.copyuid(9, [1, 3, 4], [7, 8, 9]), b"a"), b"a OK [COPYUID 9 1,3:4 7:9] x"),
        (Status(Condition.NO, "x", say.badcharset([b"US-ASCII", b"UTF-8"]), b"a"), b"a NO [BADCHARSET (US-ASCII UTF-8)] x"),
        (Status(Condition.OK, "[x\r\n* BYE\0é", tag=b"a"), b"a OK x?* BYE??"),
        (Status(Condition.OK, "", tag=b"a"), b"a OK -"),
        (say.Continuation(), b"+ "),
        (say.Continuation(b"idling"), b"+ idling"),
        (say.Capabilities((b"IMAP4rev1", b"IDLE")), b"* CAPABILITY IMAP4rev1 IDLE"),
        (say.Enabled(()), b"* ENABLED"),
        (say.Enabled((b"CONDSTORE",)), b"* ENABLED CONDSTORE"),
        (say.Listed((b"\\HasNoChildren",), "ä"), b'* LIST (\\HasNoChildren) "/" "&AOQ-"'),
        (say.Listed((), "x", lsub=True), b'* LSUB () "/" "x"'),
        (say.Listed((b"\\Noselect",), "", separator="/"), b'* LIST (\\Noselect) "/" ""'),
        (
            say.Listed((), "x", (say.childinfo([b"SUBSCRIBED"]), say.Extended(b'"OTHER"', b"(1)"))),
            b'* LIST () "/" "x" ("CHILDINFO" ("SUBSCRIBED") "OTHER" (1))',
        ),
        (say.StatusOf("a b", ((b"MESSAGES", 3), (b"MAILBOXID", b"(F1)"))), b'* STATUS "a b" (MESSAGES 3 MAILBOXID (F1))'),
        (say.StatusOf("x", ()), b'* STATUS "x" ()'),
        (say.Found(()), b"* SEARCH"),
        (say.Found((2, 5)), b"* SEARCH 2 5"),
        (say.Found((2, 5), modseq=9), b"* SEARCH 2 5 (MODSEQ 9)"),
        (say.Found((), modseq=9), b"* SEARCH"),
        (
            say.FoundExtended(b"a1", True, say.search_data([2, 3, 9], [b"MIN", b"MAX", b"ALL", b"COUNT"])),
            b'* ESEARCH (TAG "a1") UID MIN 2 MAX 9 ALL 2:3,9 COUNT 3',
        ),
        (
            say.FoundExtended(b"a1", True, say.search_data([2], [b"MIN"]), ("Büro", 7)),
            b'* ESEARCH (TAG "a1" MAILBOX "B&APw-ro" UIDVALIDITY 7) UID MIN 2',
        ),
        (say.FoundExtended(b"a1", False, say.search_data([], [b"MIN", b"ALL", b"COUNT"])), b'* ESEARCH (TAG "a1") COUNT 0'),
        (say.FoundExtended(b"a1", False, say.search_data([], [b"ALL"])), b'* ESEARCH (TAG "a1")'),
        (say.Flags((b"\\Seen", b"x")), b"* FLAGS (\\Seen x)"),
        (say.Exists(3), b"* 3 EXISTS"),
        (say.Recent(0), b"* 0 RECENT"),
        (say.Expunged((2,)), b"* 2 EXPUNGE"),
        (say.Vanished(((1, 3), (7, 7))), b"* VANISHED 1:3,7"),
        (say.Vanished(((9, 9),), earlier=True), b"* VANISHED (EARLIER) 9"),
        (Status(Condition.OK, "x", say.modified([2, 3, 7]), b"a"), b"a OK [MODIFIED 2:3,7] x"),
        (Status(Condition.NO, "x", say.noupdate(b'B"01')), b'* NO [NOUPDATE "B\\"01"] x'),
        (say.FetchData(1, (b"UID 4", b"BODY[] {4}\r\na\r\nb")), b"* 1 FETCH (UID 4 BODY[] {4}\r\na\r\nb)"),
        (say.Namespaces((("", "/"),), (("Other Users/", "/"),)), b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL'),
        (say.Identification(()), b"* ID NIL"),
        (say.Identification((("name", "procura"), ("x", None))), b'* ID ("name" "procura" "x" NIL)'),
        (say.Acl("x", (("anna@acme.test", "lrs"), ("anyone", ""))), b'* ACL "x" anna@acme.test lrs anyone ""'),
        (say.RightsList("x", "anyone", "", ("l", "xte")), b'* LISTRIGHTS "x" anyone "" l xte'),
        (say.OwnRights("x", "lr"), b'* MYRIGHTS "x" lr'),
    ],
)
def test_responses_are_spelled(response: say.Response, octets: bytes) -> None:
    assert response.spell() == octets + b"\r\n"


def test_with_utf8_enabled_names_are_utf8() -> None:
    assert say.Listed((), 'ä"').spell(utf8=True) == b'* LIST () "/" "\xc3\xa4\\""\r\n'


@pytest.mark.parametrize(
    ("octets", "spelled"),
    [
        (b"abc", b"abc"),
        (b"", b'""'),
        (b"NIL", b'"NIL"'),
        (b"nil", b'"nil"'),
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"\xc3\xa4", b"{2}\r\n\xc3\xa4"),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0", b"{2}\r\na?"),
        (b"x y" * 400, b"{1200}\r\n" + b"x y" * 400),
    ],
)
def test_strings_are_atoms_quoted_or_literals(octets: bytes, spelled: bytes) -> None:
    assert say.spell_astring(octets) == spelled
    assert say.spell_nstring(None) == b"NIL"


@given(st.text(max_size=50), st.sampled_from(list(Condition)))
def test_no_text_breaks_out_of_its_line(text: str, condition: Condition) -> None:
    spelled = Status(condition, text, tag=b"a").spell()
    assert re.fullmatch(rb"a [A-Z]+ [^\x00-\x1f\x7f-\xff\[][^\x00-\x1f\x7f-\xff]*\r\n", spelled)


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20), st.booleans())
def test_whatever_is_in_names_responses_stay_whole(mailbox: str, identifier: str, utf8: bool) -> None:
    framer = Framer(10000, lambda parts: Allowance(10000, 20000))
    for response in (say.Listed((), mailbox), say.Acl(mailbox, ((identifier, "l"),)), say.StatusOf(mailbox, ((b"UNSEEN", 1),))):
        framer.feed(response.spell(utf8=utf8))
        while not isinstance(found := framer.next_frame(), Frame):
            pass
        assert found.parts[0].startswith(b"* ")
        assert framer.pending == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_sets_keep_their_order(numbers: list[int]) -> None:
    spread: list[int] = []
    for member in say.spell_set(numbers).split(b","):
        low, _, high = member.partition(b":")
        spread.extend(range(int(low), int(high or low) + 1))
    assert spread == numbers


def test_many_vanished_are_lines_that_every_client_takes() -> None:
    runs = [(uid, uid + 1) for uid in range(4_000_000_001, 4_000_003_001, 3)]
    found = say.vanished(runs, earlier=True)
    assert [run for one in found for run in one.runs] == runs
    assert all(len(one.spell()) <= 8192 for one in found)
    assert say.vanished([]) == []
