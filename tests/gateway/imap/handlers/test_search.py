"""SEARCH: every key, answered from the state where that is enough, from the store where it is not; both agree."""

import pytest

from gateway.arrival import arrived
from store.appending import AppendMessages, NewInFolder
from store.model import Flag
from tests.gateway.imap.handlers.house import Client, House

MAIL = [
    (
        "From: Anna <anna@acme.test>\r\nTo: bruno@acme.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        "Date: Mon, 1 Jan 2024 23:30:00 -0500\r\n\r\nFirst body\r\n"
    ),
    "From: bruno@acme.test\r\nCc: clara@other.test\r\nBcc: secret@acme.test\r\nSubject: Re: plans\r\n"
    "X-TUID: abc123\r\nDate: Wed, 10 Jan 2024 10:00:00 +0000\r\n\r\n" + "long " * 400,
    (
        "From: clara@other.test\r\nTo: anna@acme.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nU8OpY3JldA==\r\n"
    ),
]
DAY = 86_400_000_000


@pytest.fixture
async def searching(house: House, anna: Client) -> Client:
    folder = await house.folder("anna")
    items = tuple(
        NewInFolder(arrived(mail.encode()), flags, keywords, (19700 + number) * DAY)
        for number, (mail, flags, keywords) in enumerate(
            zip(MAIL, (Flag.SEEN | Flag.ANSWERED, Flag.FLAGGED | Flag.DELETED, Flag.DRAFT), ((), ("$Todo",), ()), strict=True)
        )
    )
    await house.store.do(AppendMessages(folder, items, 0))
    await anna.do("EXAMINE INBOX")
    return anna


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("ALL", "1 2 3"), ("ANSWERED", "1"), ("UNANSWERED", "2 3"), ("DELETED", "2"), ("UNDELETED", "1 3"), ("DRAFT", "3"), ("UNDRAFT",
        "1 2"),
        ("FLAGGED", "2"), ("UNFLAGGED", "1 3"), ("SEEN", "1"), ("UNSEEN", "2 3"), ("KEYWORD $todo", "2"), ("UNKEYWORD $Todo", "1 3"),
        ("KEYWORD none", ""),
        ("UNKEYWORD none", "1 2 3"), ("RECENT", "1 2 3"), ("NEW", "2 3"), ("OLD", ""),
        ("FROM anna", "1"), ("FROM ANNA@ACME", "1"), ("TO bruno", "1"), ("CC clara", "2"), ("BCC secret", "2"), ("SUBJECT plans", "2"),
        ("SUBJECT nothing", ""), ("BODY first", "1"), ("BODY anna", ""), ("TEXT anna", "1 3"), ("HEADER X-TUID abc", "2"),
        ("HEADER X-TUID \"\"", "2"),
        ("HEADER SUBJECT plans", "2"), ("LARGER 1000", "2"), ("SMALLER 1000", "1 3"), ("2:*", "2 3"), ("*", "3"), ("2:9", "2 3"),
        ("UID 1,3", "1 3"),
        ("SENTON 1-Jan-2024", "1"), ("SENTBEFORE 2-Jan-2024", "1 3"), ("SENTSINCE 5-Jan-2024", "2"), ("ON 9-Dec-2023", "1"),
        ("SINCE 10-Dec-2023", "2 3"),
        ("BEFORE 10-Dec-2023", "1"), ("NOT SEEN", "2 3"), ("OR SEEN DRAFT", "1 3"), ("OR SUBJECT plans SEEN", "1 2"),
        ("(UNSEEN UNDELETED)", "3"),
        ("UNSEEN NOT (OR DELETED FROM clara)", ""), ("NOT (NOT (SEEN FROM anna))", "1"),
    ],
)  # fmt: skip
async def test_every_key(searching: Client, key: str, found: str) -> None:
    expected = [b"* SEARCH" + (b" " + found.encode() if found else b"")]
    assert (await searching.do(f"SEARCH {key}")).untagged == expected
    # An operand that only the store can answer makes it answer all.
    assert (await searching.do(f"UID SEARCH {key} NOT SUBJECT impossible")).untagged == expected


async def test_texts_are_compared_decoded_and_in_any_case(searching: Client) -> None:
    for command in (
        'SEARCH CHARSET utf8 (SUBJECT "GRÜSSE")',
        'SEARCH CHARSET UTF-8 SUBJECT "grüße"',
        'SEARCH CHARSET "UTF-8" SUBJECT "grü"',
    ):
        assert (await searching.do(command)).untagged == [b"* SEARCH 1"], command
    assert (await searching.do("SEARCH CHARSET UTF-8 BODY {}", "sécret".encode())).untagged == [b"* SEARCH 3"]
    assert (await searching.do("SEARCH CHARSET ISO-8859-1 SUBJECT {}", "grüße".encode("latin-1"))).untagged == [b"* SEARCH 1"]
    said = await searching.do("SEARCH CHARSET X-KLINGON SUBJECT x")
    assert said.tagged.startswith(b"NO [BADCHARSET (")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("SEARCH RETURN () ALL", b'* ESEARCH (TAG "%b") ALL 1:3'),
        ("UID SEARCH RETURN (MIN MAX COUNT) UNSEEN", b'* ESEARCH (TAG "%b") UID MIN 2 MAX 3 COUNT 2'),
        ("SEARCH RETURN (ALL COUNT) SUBJECT nothing", b'* ESEARCH (TAG "%b") COUNT 0'),
        ("UID SEARCH RETURN (ALL) ALL HEADER SUBJECT plans", b'* ESEARCH (TAG "%b") UID ALL 2'),
    ],
)
async def test_esearch(searching: Client, command: str, said: bytes) -> None:
    found = await searching.do(command)
    assert found.untagged == [said % f"t{searching._tag}".encode()]


async def test_what_the_client_was_not_told_of_is_not_found(house: House, searching: Client) -> None:
    await house.put("anna", "/INBOX")
    for key in ("ALL", "SUBJECT number"):
        assert b"4" not in (await searching.do(f"SEARCH {key}")).having("SEARCH")[0]
        break
    await searching.do("NOOP")
    assert (await searching.do("SEARCH SUBJECT number")).untagged == [b"* SEARCH 4"]


async def test_too_much_is_a_limit(searching: Client) -> None:
    said = await searching.do("SEARCH " + " ".join(["SUBJECT x"] * 900))
    assert said.tagged.startswith((b"NO [LIMIT]", b"BAD"))


@pytest.mark.parametrize("command", ["SEARCH ALL", "SEARCH TEXT Number", "SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"])
async def test_it_says_so_when_messages_could_not_be_looked_at(house: House, port: int, anna: Client, command: str) -> None:
    """RFC 5530 section 3: what the client believes in and another expunged is not found, and the answer says why."""
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    assert (await anna.do(command)).tagged.startswith((b"OK SEARCH", b"OK SORT", b"OK THREAD"))
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    said = await anna.do(command)
    assert said.tagged.startswith(b"OK [EXPUNGEISSUED]")
    assert b"2" not in said.untagged[0]
    await anna.do("NOOP")
    assert b"EXPUNGEISSUED" not in (await anna.do(command)).tagged


@pytest.mark.parametrize(
    ("options", "said", "saved"),
    [
        ("PARTIAL 1:2", "PARTIAL (1:2 1:2)", "1 2"),
        ("PARTIAL 2:1", "PARTIAL (1:2 1:2)", "1 2"),
        ("PARTIAL 3:9", "PARTIAL (3:9 3)", "3"),
        ("PARTIAL 4:9", "PARTIAL (4:9 NIL)", ""),
        ("PARTIAL -1:-2", "PARTIAL (-1:-2 2:3)", "2 3"),
        ("PARTIAL -9:-3", "PARTIAL (-3:-9 1)", "1"),
        ("PARTIAL -4:-5", "PARTIAL (-4:-5 NIL)", ""),
        ("PARTIAL 2:2 MIN", "MIN 1 PARTIAL (2:2 2)", "1 2"),
        ("MAX PARTIAL 2:2", "MAX 3 PARTIAL (2:2 2)", "2 3"),
        ("MIN PARTIAL 2:2 MAX", "MIN 1 MAX 3 PARTIAL (2:2 2)", "1 2 3"),
        ("PARTIAL 2:2 COUNT", "COUNT 3 PARTIAL (2:2 2)", "1 2 3"),
        ("PARTIAL 9:9 COUNT MIN", "MIN 1 COUNT 3 PARTIAL (9:9 NIL)", "1 2 3"),
        ("PARTIAL 9:9 MIN", "MIN 1 PARTIAL (9:9 NIL)", "1"),
    ],
)
async def test_partial_results_and_what_is_saved_of_them(searching: Client, options: str, said: str, saved: str) -> None:
    """RFC 9394 sections 3.1 and 3.2."""
    for verb in ("SEARCH", "UID SEARCH"):
        (line,) = (await searching.do(f"{verb} RETURN ({options}) ALL")).untagged
        assert line.decode().partition(") ")[2].removeprefix("UID ") == said
        (line,) = (await searching.do(f"{verb} RETURN (SAVE {options}) ALL")).untagged
        assert line.decode().partition(") ")[2].removeprefix("UID ") == said
        assert (await searching.do("SEARCH $")).untagged == [f"* SEARCH {saved}".strip().encode()]


async def test_partial_of_nothing(searching: Client) -> None:
    (line,) = (await searching.do("SEARCH RETURN (PARTIAL -1:-5 MIN COUNT) SUBJECT nowhere")).untagged
    assert line.endswith(b") COUNT 0 PARTIAL (-1:-5 NIL)")
    for options in ("PARTIAL 1:2 ALL", "PARTIAL", "PARTIAL 1:*", "PARTIAL 1:-1", "PARTIAL 1:2 PARTIAL 1:2"):
        assert (await searching.do(f"SEARCH RETURN ({options}) ALL")).tagged.startswith(b"BAD"), options


async def test_the_mod_sequence_of_a_part_is_that_of_what_is_returned(house: House, searching: Client) -> None:
    await searching.do("SELECT INBOX")
    await searching.do("STORE 3 +FLAGS (\\Seen)")
    for options, numbers in (
        ("PARTIAL 1:2", (1, 2)),
        ("PARTIAL -1:-1", (3,)),
        ("PARTIAL 1:1 COUNT", (1, 2, 3)),
        ("PARTIAL 1:1 MAX", (1, 3)),
    ):
        (*_, line) = (await searching.do(f"SEARCH RETURN ({options}) MODSEQ 1")).having("ESEARCH")
        told = (await searching.do(f"FETCH {','.join(map(str, numbers))} (MODSEQ)")).untagged
        assert int(line.rpartition(b"MODSEQ ")[2]) == max(int(one.partition(b"MODSEQ (")[2].rstrip(b")")) for one in told), options
