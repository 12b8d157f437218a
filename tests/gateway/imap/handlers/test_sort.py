"""SORT and THREAD over sockets."""

import random

import pytest

from gateway.arrival import arrived
from gateway.folders import Place
from gateway.imap.grammar.sort import SORT_KEYS, SortKey
from gateway.imap.handlers.sort import KEYS, ordered
from gateway.message.text import SORT_VERSION
from gateway.refusal import Refused
from store import messages
from store.appending import AppendMessages, NewInFolder
from store.model import NewMessage, SortRow
from tests.gateway.imap.handlers.house import Client, House


def letter(number: int, *, date: str = "", **fields: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if date:
        lines.append(f"Date: {date}")
    return ("\r\n".join([*lines, f"Message-ID: <{number}@acme.test>"]) + "\r\n\r\n" + "x" * number + "\r\n").encode()


LETTERS = [
    letter(1, date="Mon, 1 Jan 2024 10:00:00 +0100", From="Zoe <anna@acme.test>", To="x_y@a.test", Subject="[list] beta"),
    letter(
        2, date="Mon, 1 Jan 2024 10:00:00 +0000", From="bruno@acme.test", To="xay@a.test", Subject="Re: Alpha", References="<1@acme.test>"
    ),
    letter(3, From="=?utf-8?q?=C3=84mil?= <clara@acme.test>", Cc="anna@acme.test", Subject="alpha", In_Reply_To="<2@acme.test>"),
    letter(4, date="Sun, 31 Dec 2023 23:00:00 +0000", From="Anna <zoe@acme.test>", To="Bo <z@a.test>", Subject="Fwd: gamma (fwd)"),
]


async def store_all(house: House, octets: list[bytes] = LETTERS, *, made: bool = True) -> None:
    items = [arrived(one) for one in octets]
    if not made:
        items = [NewMessage(one.octets, one.envelope, one.structure, one.body, one.rendering, one.from_, one.to, one.cc, one.subject,
                            one.message_id, one.sent, one.sent_day) for one in items]  # fmt: skip
    received = 1_704_100_000_000_000
    new = tuple(NewInFolder(one, received=received + number * 1_000_000) for number, one in enumerate(items))
    await house.store.do(AppendMessages(await house.folder("anna"), new, 0))


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ("ARRIVAL", "1 2 3 4"),
        ("REVERSE ARRIVAL", "4 3 2 1"),
        ("DATE", "4 1 3 2"),  # 3 has no Date: its internal date is 2024-01-01 09:06:42
        ("SIZE", " ".join(str(number) for number in sorted(range(1, 5), key=lambda number: len(LETTERS[number - 1])))),
        ("SUBJECT", "2 3 1 4"),  # alpha twice, in the folder's order
        ("SUBJECT REVERSE ARRIVAL", "3 2 1 4"),
        ("FROM", "1 2 3 4"),
        ("DISPLAYFROM", "4 3 2 1"),  # ANNA, A + dots, BRUNO@, ZOE
        ("TO", "3 2 1 4"),  # nothing, XAY, X_Y (RFC 5051: _ is behind Z), Z
        ("DISPLAYTO", "3 4 2 1"),
        ("CC", "1 2 4 3"),
        ("REVERSE CC ARRIVAL", "3 1 2 4"),
    ],
)
@pytest.mark.parametrize("made", [True, False], ids=["made at delivery", "made when asked for"])
async def test_every_criterion(house: House, anna: Client, criteria: str, order: str, made: bool) -> None:
    await store_all(house, made=made)
    await anna.do("EXAMINE INBOX")
    assert (await anna.do(f"SORT ({criteria}) UTF-8 ALL")).untagged == [f"* SORT {order}".encode()]
    assert (await anna.do(f"UID SORT ({criteria}) UTF-8 ALL")).untagged == [f"* SORT {order}".encode()]


async def test_a_group_is_sorted_by_its_name(house: House, anna: Client) -> None:
    """RFC 5256 section 3 and RFC 5957 section 3 speak of the first address structure of ENVELOPE: that of a group is its name."""
    await store_all(house, [letter(1, Cc="beta@a.test", To="beta@a.test"), letter(2, Cc="Gamma: alpha@a.test;", To="alpha:;"),
                            letter(3, Cc="alpha: zeta@a.test, yota@a.test;", To="=?utf-8?q?Gamma?=: a@a.test;")])  # fmt: skip
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("SORT (CC) UTF-8 ALL")).untagged == [b"* SORT 3 1 2"]
    assert (await anna.do("SORT (DISPLAYTO) UTF-8 ALL")).untagged == [b"* SORT 2 1 3"]


async def test_what_was_made_late_is_kept(house: House, anna: Client) -> None:
    await store_all(house, made=False)
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("SORT (SUBJECT) UTF-8 ALL")).untagged == [b"* SORT 2 3 1 4"]
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        rows = await snapshot.work(messages.sorting, await house.folder("anna"), ((1, 4),))
    assert [(row.version, row.subject) for row in rows] == [
        (SORT_VERSION, "BETA"),
        (SORT_VERSION, "ALPHA"),
        (SORT_VERSION, "ALPHA"),
        (SORT_VERSION, "GAMMA"),
    ]
    assert rows[1].ancestors == "<1@acme.test>"


async def test_only_what_matches(house: House, anna: Client) -> None:
    await store_all(house)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 2 +FLAGS (\\Deleted)")
    await anna.do("EXPUNGE")
    assert (await anna.do("SORT (REVERSE ARRIVAL) UTF-8 SUBJECT alpha")).untagged == [b"* SORT 2"]
    assert (await anna.do("UID SORT (REVERSE ARRIVAL) US-ASCII NOT 1")).untagged == [b"* SORT 4 3"]
    assert (await anna.do("SORT (DATE) UTF-8 TEXT nowhere")).untagged == [b"* SORT"]
    assert (await anna.do("THREAD REFERENCES UTF-8 TEXT nowhere")).untagged == [b"* THREAD"]
    assert (await anna.do("SORT (DATE) KOI-99 ALL")).tagged.startswith(b"NO [BADCHARSET (")
    assert (await anna.do("SORT (COLOUR) UTF-8 ALL")).tagged.startswith(b"BAD")


async def test_return_options(house: House, anna: Client) -> None:
    await store_all(house)
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("UID SORT RETURN (MIN MAX ALL COUNT) (SUBJECT) UTF-8 ALL")).untagged == [
        b'* ESEARCH (TAG "t3") UID MIN 2 MAX 4 ALL 2:3,1,4 COUNT 4'
    ]
    assert (await anna.do("SORT RETURN () (REVERSE ARRIVAL) UTF-8 ALL")).untagged == [b'* ESEARCH (TAG "t4") ALL 4,3,2,1']
    assert (await anna.do("SORT RETURN (MIN COUNT) (SUBJECT) UTF-8 TEXT nowhere")).untagged == [b'* ESEARCH (TAG "t5") COUNT 0']


async def test_parts_of_what_is_sorted(house: House, anna: Client) -> None:
    """RFC 5267 section 4.4: by their places in the order."""
    await store_all(house)
    await anna.do("EXAMINE INBOX")
    for options, data in (
        ("PARTIAL 1:2", "PARTIAL (1:2 2:3)"),
        ("PARTIAL 2:3 COUNT", "COUNT 4 PARTIAL (2:3 3,1)"),
        ("PARTIAL -1:-2", "PARTIAL (-1:-2 1,4)"),
        ("PARTIAL 5:9", "PARTIAL (5:9 NIL)"),
    ):
        (line,) = (await anna.do(f"UID SORT RETURN ({options}) (SUBJECT) UTF-8 ALL")).untagged
        assert line.endswith(b") UID " + data.encode()), line
    assert (await anna.do("SORT RETURN (PARTIAL 1:2 ALL) (SUBJECT) UTF-8 ALL")).tagged.startswith(b"BAD")


@pytest.mark.parametrize("made", [True, False], ids=["made at delivery", "made when asked for"])
async def test_threads(house: House, anna: Client, made: bool) -> None:
    await store_all(house, [*LETTERS, letter(5, Subject="beta"), letter(6, Subject="re: gamma")], made=made)
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("THREAD REFERENCES UTF-8 ALL")).untagged == [b"* THREAD ((4)(6))((1 2 3)(5))"]
    assert (await anna.do("UID THREAD REFERENCES UTF-8 NOT 1")).untagged == [b"* THREAD ((4)(6))(5)(2 3)"]
    assert (await anna.do("THREAD ORDEREDSUBJECT UTF-8 ALL")).untagged == [b"* THREAD (4 6)(1 5)(3 2)"]


async def test_no_expunge_while_numbers_are_named(house: House, anna: Client) -> None:
    await store_all(house)
    other = await house.client(int(anna.writer.get_extra_info("peername")[1]), "anna")
    await anna.do("SELECT INBOX")
    await other.do("SELECT INBOX")
    await other.do("STORE 1 +FLAGS (\\Deleted)")
    await other.do("EXPUNGE")
    said = await anna.do("SORT (ARRIVAL) UTF-8 ALL")
    assert said.having("SORT") == [b"* SORT 2 3 4"]
    assert not said.having("EXPUNGE")
    said = await anna.do("UID THREAD REFERENCES UTF-8 ALL")
    assert said.having("EXPUNGE") == [b"* 1 EXPUNGE"]


async def test_copies_and_moves_take_it_along(house: House, anna: Client) -> None:
    await store_all(house)
    await house.make("anna", "/Posta")
    await anna.do("SELECT INBOX")
    await anna.do("COPY 2:3 Posta")
    await anna.do("MOVE 1 Posta")
    await anna.do("EXAMINE Posta")
    assert (await anna.do("SORT (SUBJECT) UTF-8 ALL")).untagged == [b"* SORT 1 2 3"]
    async with house.store.snapshot() as snapshot:
        rows = await snapshot.work(messages.sorting, await house.folder("anna", "/Posta"), ((1, 9),))
    assert [row.version for row in rows] == [SORT_VERSION] * 3


async def test_a_right_that_is_lost_meanwhile(house: House) -> None:
    await store_all(house, made=False)
    await house.share("anna", "/INBOX", "bruno", "r")
    folder = await house.folders.open(house.visit("bruno"), Place("anna@acme.test", "/INBOX"))
    assert [row.uid for row in await folder.sorting([1, 3])] == [1, 3]
    await house.unshare("anna", "/INBOX", "bruno")
    with pytest.raises(Refused):
        await folder.sorting([1, 3])


async def test_many_are_sorted_beside_the_loop(house: House, anna: Client) -> None:
    items = tuple(NewInFolder(arrived(letter(number, Subject=f"{number:04}"))) for number in range(2500, 0, -1))
    await house.store.do(AppendMessages(await house.folder("anna"), items, 0))
    await anna.do("EXAMINE INBOX")
    (said,) = (await anna.do("SORT (SUBJECT) UTF-8 ALL")).untagged
    assert said == b"* SORT " + b" ".join(b"%d" % number for number in range(2500, 0, -1))
    (said,) = (await anna.do("THREAD ORDEREDSUBJECT UTF-8 ALL")).untagged
    assert said.count(b"(") == 2500


def test_every_criterion_of_the_grammar_has_its_key() -> None:
    assert set(KEYS) == SORT_KEYS


def test_equal_ones_stay_in_the_folders_order() -> None:
    rng = random.Random(5)
    rows = [
        SortRow(uid, rng.randrange(3), rng.randrange(3), rng.randrange(3), 1, "", "", "", "", "", rng.choice("AB"), 0, "", "")
        for uid in range(1, 200)
    ]
    for reverse in (False, True):
        got = list(rows)
        ordered(got, (SortKey(b"SUBJECT"), SortKey(b"SIZE", reverse)))
        assert got == sorted(rows, key=lambda row: (row.subject, -row.size if reverse else row.size, row.uid))


async def test_sorting_by_modseq_names_the_highest(house: House, port: int) -> None:
    """RFC 7162 section 3.1.6, and RFC 4731 section 3.2 with RETURN."""
    await house.put("anna", "/INBOX", 2)
    anna = await house.client(port, "anna")
    await anna.do("SELECT INBOX (CONDSTORE)")
    changed = (await anna.do("STORE 2 +FLAGS (\\Flagged)")).untagged[-1]
    modseq = changed.partition(b"MODSEQ (")[2].partition(b")")[0]
    assert modseq.isdigit()
    assert (await anna.do(f"SORT (ARRIVAL) UTF-8 MODSEQ {modseq.decode()}")).untagged == [b"* SORT 2 (MODSEQ %b)" % modseq]
    extended = (await anna.do(f"SORT RETURN (ALL) (ARRIVAL) UTF-8 MODSEQ {modseq.decode()}")).untagged[0]
    assert extended.endswith(b"ALL 2 MODSEQ %b" % modseq)
    assert (await anna.do(f"SORT (ARRIVAL) UTF-8 MODSEQ {int(modseq) + 1}")).untagged == [b"* SORT"]
    # RFC 4731 section 3.2: of what is returned, not of all that is found.
    both = await anna.do("FETCH 1:* (MODSEQ)")
    of = [int(line.partition(b"MODSEQ (")[2].partition(b")")[0]) for line in both.untagged]
    assert of[1] == max(of) != of[0]
    for options, expected in (("MIN", of[0]), ("MAX", of[-1]), ("PARTIAL 1:1", of[0]), ("MIN COUNT", max(of))):
        told = (await anna.do(f"SORT RETURN ({options}) (ARRIVAL) UTF-8 MODSEQ 1")).untagged[0]
        assert told.endswith(b" MODSEQ %d" % expected), options
