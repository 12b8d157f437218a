"""FETCH: every item, over sockets, against a real store."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from gateway.arrival import arrived
from gateway.folders import Kept, OpenFolder
from gateway.imap.handlers.fetch import date_time
from store import messages
from store.appending import AppendMessages, NewInFolder
from store.expunging import Expunge
from store.model import Flag, MessageRow, Run
from tests.gateway.imap.handlers.house import PASSWORD, Client, House, message, snapshots_taken


async def test_every_item_of_rfc_3501(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("EXAMINE INBOX")
    said = await anna.do("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)")
    assert said.ok
    (one,) = said.untagged
    assert one.startswith(b'* 1 FETCH (UID 1 FLAGS (\\Recent) INTERNALDATE "')
    assert b'+0000" RFC822.SIZE %d ENVELOPE ("Mon, 1 Jan 2024' % len(message(1)) in one
    assert b' BODY ("text" "plain"' in one
    assert b' BODYSTRUCTURE ("text" "plain"' in one


@pytest.mark.parametrize(
    ("item", "label", "expected"),
    [
        ("BODY.PEEK[]", b"BODY[]", message(1)),
        ("BODY.PEEK[HEADER]", b"BODY[HEADER]", message(1).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
        ("BODY.PEEK[TEXT]", b"BODY[TEXT]", b"Hello 1\r\n"),
        ("BODY.PEEK[1]", b"BODY[1]", b"Hello 1\r\n"),
        ("BODY.PEEK[1]<1.3>", b"BODY[1]<1>", b"ell"),
        ("BODY.PEEK[]<0.4>", b"BODY[]<0>", b"From"),
        ("BODY.PEEK[]<100000.4>", b"BODY[]<100000>", b""),
        ("BODY.PEEK[HEADER.FIELDS (SUBJECT X-NONE)]", b"BODY[HEADER.FIELDS (SUBJECT X-NONE)]", b"Subject: Number 1\r\n\r\n"),
        ("RFC822.HEADER", b"RFC822.HEADER", message(1).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
        ("RFC822", b"RFC822", message(1)),
        ("RFC822.TEXT", b"RFC822.TEXT", b"Hello 1\r\n"),
    ],
)
async def test_sections(house: House, anna: Client, item: str, label: bytes, expected: bytes) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("EXAMINE INBOX")
    said = await anna.do(f"FETCH 1 {item}")
    assert said.untagged == [b"* 1 FETCH (%b {%d}\r\n%b)" % (label, len(expected), expected)]
    assert said.tagged.startswith(b"OK")


async def test_a_part_that_is_not_there_is_nil(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("EXAMINE INBOX")
    assert (await anna.do("FETCH 1 BODY.PEEK[2]")).untagged == [b"* 1 FETCH (BODY[2] NIL)"]


async def test_body_sets_seen_and_peek_does_not(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    await anna.do("FETCH 1 BODY.PEEK[]")
    assert (await anna.do("FETCH 1 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Recent))"]
    said = await anna.do("FETCH 1,3 BODY[TEXT]")
    assert said.untagged[2:] == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))", b"* 3 FETCH (FLAGS (\\Seen \\Recent))"]
    assert (await anna.do("SEARCH UNSEEN")).untagged == [b"* SEARCH 2"]


async def test_examine_leaves_no_trace(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("EXAMINE INBOX")
    assert len((await anna.do("FETCH 1 BODY[]")).untagged) == 1
    assert (await anna.do("FETCH 1 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Recent))"]


async def test_a_reader_reads_and_leaves_no_trace(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/", "bruno", "r")
    said = await bruno.do('SELECT "Other Users/anna/INBOX"')
    assert said.tagged.startswith(b"OK [READ-ONLY]")
    said = await bruno.do("UID FETCH 1 BODY[]")
    assert said.ok
    assert len(said.untagged) == 1
    assert (await bruno.do("FETCH 1 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Recent))"]


async def test_many_messages_are_told_in_order_and_whole(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 700)
    await anna.do("SELECT INBOX")
    said = await anna.do("UID FETCH 1:* (FLAGS)")
    assert said.untagged[0] == b"* 1 FETCH (UID 1 FLAGS (\\Recent))"
    assert said.untagged[-1] == b"* 700 FETCH (UID 700 FLAGS (\\Recent))"
    assert len(said.untagged) == 700
    said = await anna.do("FETCH 1:* (UID ENVELOPE)")
    assert [one.split(b" ", 4)[1] for one in said.untagged] == [b"%d" % number for number in range(1, 701)]
    assert all(b'Number %d"' % number in one for number, one in enumerate(said.untagged, 1))
    said = await anna.do("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert all(b"Subject: Number %d\r\n" % number in one for number, one in enumerate(said.untagged, 1))


async def test_star_when_nothing_is_newer_is_the_last_message(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    assert (await anna.do("UID FETCH 400:* (FLAGS)")).untagged == [b"* 2 FETCH (UID 2 FLAGS (\\Recent))"]
    assert (await anna.do("UID FETCH 400:500 (FLAGS)")).untagged == []


async def test_a_number_that_no_message_has_is_bad(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    assert (await anna.do("FETCH 3 FLAGS")).tagged.startswith(b"BAD")


async def test_a_message_expunged_elsewhere_keeps_its_number_until_it_may_be_told(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert (await other.do("EXPUNGE")).untagged == [b"* 2 EXPUNGE"]
    said = await anna.do("FETCH 1:3 (UID)")
    assert said.untagged == [b"* 1 FETCH (UID 1)", b"* 3 FETCH (UID 3)"]
    assert b"[EXPUNGEISSUED]" in said.tagged
    assert (await anna.do("NOOP")).untagged == [b"* 2 EXPUNGE"]
    assert (await anna.do("FETCH 2 (UID)")).untagged == [b"* 2 FETCH (UID 3)"]


async def test_a_large_message_in_pieces(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 1, body="x" * 300_000)
    await anna.do("SELECT INBOX")
    whole = message(1, "x" * 300_000)
    got = b""
    while True:
        said = await anna.do(f"UID FETCH 1 (BODY.PEEK[]<{len(got)}.65536>)")
        piece = said.untagged[0].partition(b"}\r\n")[2][:-1]
        got += piece
        if len(piece) < 65536:
            break
    assert got == whole
    said = await anna.do("UID FETCH 1 (BODY.PEEK[])")
    assert whole in said.untagged[0]


async def test_preview(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    made = arrived(message(3, "zw\u00f6lf"))
    await house.store.do(AppendMessages(await house.folder("anna"), (NewInFolder(made._replace(preview=None)),), 0))
    await anna.do("SELECT INBOX")
    for wanted in ("PREVIEW", "(PREVIEW)", "preview (lazy)", "(PREVIEW (LAZY))"):
        assert (await anna.do(f"FETCH 1 {wanted}")).untagged == [b'* 1 FETCH (PREVIEW "Hello 1")']
    said = await anna.do("FETCH 1:3 (UID PREVIEW (LAZY) RFC822.SIZE)")
    assert said.untagged[1].startswith(b'* 2 FETCH (UID 2 PREVIEW "Hello 2" RFC822.SIZE ')
    assert b"PREVIEW {8}\r\nzw\xc3\xb6lf 3 " in said.untagged[2]
    assert not (await anna.do("FETCH 1:3 FLAGS")).having("Seen")
    assert (await anna.do("FETCH 1 PREVIEW (EAGER)")).tagged.startswith(b"BAD")
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        found = await snapshot.ask(messages.previews, await house.folder("anna"), ((3, 3),))
    assert found == [(3, "zw\u00f6lf 3".encode())]
    await anna.do("COPY 3 Sent")
    await anna.do("EXAMINE Sent")
    assert b"zw\xc3\xb6lf 3" in (await anna.do("FETCH 1 PREVIEW")).all


@pytest.mark.parametrize("item", ["ENVELOPE", "BODYSTRUCTURE"])
async def test_what_is_expunged_while_a_fetch_runs_is_left_out(house: House, port: int, item: str) -> None:
    """There is no NIL in place of an envelope or a structure (RFC 3501 section 9)."""
    count, field = 2000, b"x" * 5000
    letter = arrived(b'Subject: %b\r\nContent-Type: text/plain; name="%b"\r\n\r\nhello\r\n' % (field, field))
    folder = await house.folder("anna")
    await house.store.do(AppendMessages(folder, (NewInFolder(letter, Flag.DELETED),) * count, 0))
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=1 << 16)
        client = Client(reader, writer)
        await client.line()
        assert (await client.do(f"LOGIN anna@acme.test {PASSWORD}")).ok
        await client.do("SELECT INBOX")
        writer.write(f"x FETCH 1:* ({item})\r\n".encode())
        # The answer is larger than all buffers: the server waits for this client in the midst of it.
        first = await client.line()
        await house.store.do(Expunge(folder, ((count, count),)))
        said = await client.until("x", 20)
        writer.close()
    assert first.startswith(b"* 1 FETCH")
    assert [int(one.split()[1]) for one in said.untagged if b" FETCH (" in one] == list(range(2, count))
    assert said.tagged.startswith(b"OK [EXPUNGEISSUED]")


async def test_a_part_of_the_messages(house: House, anna: Client) -> None:
    """RFC 9394 sections 3.3 and 3.4."""
    await house.put("anna", "/INBOX", 9)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 4:5 +FLAGS (\\Deleted)")
    await anna.do("EXPUNGE")

    async def uids(arguments: str) -> list[int]:
        said = await anna.do(f"UID FETCH {arguments}")
        assert said.ok, said
        return [int(line.partition(b"UID ")[2].split(b" ")[0].rstrip(b")")) for line in said.having("FETCH")]

    assert await uids("1:* (UID) (PARTIAL 1:3)") == [1, 2, 3]
    assert await uids("1:* (UID) (PARTIAL -1:-3)") == [7, 8, 9]
    assert await uids("1:* (UID) (PARTIAL -3:-1)") == [7, 8, 9]
    assert await uids("1:* (UID) (PARTIAL 3:4)") == [3, 6]
    assert await uids("7:*,1:2 (UID) (PARTIAL 2:4)") == [2, 7, 8]
    assert await uids("7:*,1:2,8:9 (UID) (PARTIAL -5:-4)") == [1, 2]
    assert await uids("1:* (UID RFC822.SIZE) (PARTIAL 7:4294967295)") == [9]
    assert await uids("1:* (UID) (PARTIAL 8:9)") == []
    assert await uids("4:5 (UID) (PARTIAL 1:9)") == []
    modseq = int((await anna.do("UID FETCH 1:* (MODSEQ) (PARTIAL -1:-1)")).having("MODSEQ (")[-1].partition(b"MODSEQ (")[2].split(b")")[0])
    await anna.do("UID STORE 2,8 +FLAGS (\\Flagged)")
    # First the part, then what changed of it, whatever stands first.
    for modifiers in (f"PARTIAL -1:-3 CHANGEDSINCE {modseq}", f"CHANGEDSINCE {modseq} PARTIAL -1:-3"):
        assert await uids(f"1:* (UID FLAGS) ({modifiers})") == [8]
    for bad in ("UID FETCH 1:* (UID) (PARTIAL 1:*)", "UID FETCH 1:* (UID) (PARTIAL)", "UID FETCH 1:* (UID) (PARTIAL (1:2))",
                "UID FETCH 1:* (UID) (PARTIAL 1:-1)", "UID FETCH 1:* (UID) (PARTIAL 0:2)", "FETCH 1:* (UID) (PARTIAL 1:2)"):  # fmt: skip
        assert (await anna.do(bad)).tagged.startswith(b"BAD"), bad
    # Only what is in the part is read.
    await anna.do("UID FETCH 1:* (BODY[]) (PARTIAL 1:1)")
    assert (await anna.do("UID SEARCH SEEN")).untagged == [b"* SEARCH 1"]


@pytest.mark.parametrize("length", [100, 8_000, 8_192, 8_193, 70_000, 200_000])
async def test_headers_of_any_length_are_told_whole(house: House, anna: Client, length: int) -> None:
    """Of large messages no more is read than the header needs, and never less."""
    head = b"Subject: a\r\nX-Long: " + b"x" * (length - 40) + b"\r\nTo: last@acme.test\r\n\r\n"
    for body in (b"", b"\r\n".join([b"y" * 70] * 3_000)):
        await anna.do("APPEND INBOX {}", head + body)
    await anna.do("SELECT INBOX")
    fields = b"To: last@acme.test\r\nSubject: a\r\n\r\n".splitlines(keepends=True)
    wanted = fields[1] + fields[0] + fields[2]
    said = await anna.do("FETCH 1:2 (BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (TO SUBJECT)] BODY.PEEK[HEADER.FIELDS.NOT (X-LONG)]<0.5>)")
    assert said.ok
    for line in said.untagged:
        assert b"BODY[HEADER] {%d}\r\n%b BODY[HEADER.FIELDS (TO SUBJECT)] {%d}\r\n%b BODY" % (len(head), head, len(wanted), wanted) in line
        assert line.endswith(b"<0> {5}\r\nSubje)")


async def test_who_reads_slowly_gets_nothing_more_once_access_has_ended(house: House, anna: Client, port: int) -> None:
    """delegation.md section 3: within a second. What the folder is like now needs no look at the store, but the right to read it."""
    count = 4096
    await house.put("anna", "/INBOX", count)
    await house.share("anna", "/INBOX", "bruno", "r")
    await anna.do("SELECT INBOX")
    # So many that neither the system's buffers nor ours hold all of it: some 4 MiB for every thousand messages.
    keywords = " ".join(f"k{number}".ljust(95, "x") for number in range(45))
    assert (await anna.do(f"STORE 1:* +FLAGS.SILENT ({keywords})", seconds=30)).ok
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    end.connect(("127.0.0.1", port))
    end.setblocking(False)
    bruno = Client(*await asyncio.open_connection(sock=end, limit=65_536))
    house.clients.append(bruno)
    await bruno.line()
    await bruno.do(f"LOGIN bruno@acme.test {PASSWORD}")
    assert (await bruno.do('SELECT "Other Users/anna/INBOX"')).ok
    bruno.send(b"slow UID FETCH 1:* (FLAGS)\r\n")
    await bruno.reader.readline()
    await house.unshare("anna", "/INBOX", "bruno")
    assert (await anna.do(f"STORE {count} FLAGS (\\Flagged)")).ok
    said = await bruno.until("slow", 30)
    assert said.tagged == b"NO [NONEXISTENT] no such folder"
    assert 0 < len(said.having("FETCH")) < count - 1
    assert not said.having("\\Flagged")
    assert await bruno.line() == b"* BYE access to this folder has ended"


FIELDS = "BODY.PEEK[HEADER.FIELDS (SUBJECT X-LONG)]"


async def test_headers_of_many_are_read_in_one_go(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless one of them is long, or too much is asked for; what is said is the same."""
    await house.put("anna", "/INBOX", 20)
    await anna.do("SELECT INBOX")
    reads: list[int] = []
    reading = OpenFolder.together

    async def counted(
        folder: OpenFolder, runs: Sequence[Run], kept: Sequence[Kept], *, rows: bool
    ) -> tuple[list[MessageRow], list[list[tuple[int, bytes]]]]:
        reads.append(1)
        return await reading(folder, runs, kept, rows=rows)

    monkeypatch.setattr(OpenFolder, "together", counted)
    said = await anna.do(f"FETCH 1:* (UID {FIELDS})")
    assert len(said.untagged) == 20
    for number, one in enumerate(said.untagged, 1):
        fields = b"Subject: Number %d\r\n\r\n" % number
        assert one == b"* %d FETCH (UID %d BODY[HEADER.FIELDS (SUBJECT X-LONG)] {%d}\r\n%b)" % (number, number, len(fields), fields)
    assert reads == []
    long = b"X-Long: " + b"x" * 900 + b"\r\n"
    await anna.do("APPEND INBOX {}", long * 10 + message(21))
    again = await anna.do(f"FETCH 1:* (UID {FIELDS})")
    lines = [one for one in again.untagged if b"HEADER.FIELDS" in one]
    assert lines[:20] == said.untagged
    assert lines[20].endswith(long * 10 + b"Subject: Number 21\r\n\r\n)")
    assert reads == [1]


async def test_headers_with_flags_and_dates(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    await anna.do("SELECT INBOX")
    await anna.do("STORE 2 +FLAGS (\\Flagged)")
    said = await anna.do(f"UID FETCH 1:* (FLAGS RFC822.SIZE {FIELDS} RFC822.HEADER BODY[HEADER.FIELDS.NOT (FROM)])")
    assert [one.split(b" BODY[")[0] for one in said.untagged[:3]] == [
        b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE %d" % len(message(1)),
        b"* 2 FETCH (UID 2 FLAGS (\\Flagged) RFC822.SIZE %d" % len(message(2)),
        b"* 3 FETCH (UID 3 FLAGS () RFC822.SIZE %d" % len(message(3)),
    ]
    header = message(1)[: message(1).index(b"\r\n\r\n") + 4]
    assert b" RFC822.HEADER {%d}\r\n%b BODY[HEADER.FIELDS.NOT (FROM)] {" % (len(header), header) in said.untagged[0]
    # Without PEEK it counts as read.
    assert len((await anna.do("SEARCH SEEN")).untagged[0].split()) == 2 + 3


@pytest.mark.parametrize(
    ("moment", "spelled"),
    [
        (0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (-1, b'"31-Dec-1969 23:59:59 +0000"'),
        (1_704_103_199_999_999, b'" 1-Jan-2024 09:59:59 +0000"'),
        (1_709_251_200_000_000, b'" 1-Mar-2024 00:00:00 +0000"'),
        (10**18, b'" 1-Jan-1970 00:00:00 +0000"'),
        (-(10**18), b'" 1-Jan-1970 00:00:00 +0000"'),
    ],
)
def test_dates(moment: int, spelled: bytes) -> None:
    assert date_time(moment) == spelled


async def test_what_is_asked_of_a_few_is_read_in_one_snapshot(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what happened before is not looked for where nothing did."""
    await house.put("anna", "/INBOX", 20)
    await anna.do("SELECT INBOX")
    await anna.do("NOOP")
    taken = snapshots_taken(monkeypatch)
    said = await anna.do("FETCH 1:20 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    assert len(said.untagged) == 20
    assert len(taken) == 1
