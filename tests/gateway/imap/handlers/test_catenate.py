"""CATENATE (RFC 4469) with APPEND and REPLACE."""

import pytest

from gateway.arrival import arrived
from gateway.imap.listener import Limits
from policy.status import AccountStatus
from store import accounts, audit
from store.queue import AcceptMessage, Filing
from tests.gateway.imap.handlers.house import Client, House, Said, message

MIXED = (
    b"Subject: two parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
)
GONE = b"there is no such message, or no such part of it"
HIDDEN = "/Other%20Users/anna/INBOX/;UID=1"


async def catenate(client: Client, parts: str, *literals: bytes, to: str = "Drafts", options: str = "") -> Said:
    return await client.do(f"APPEND {to} {options}CATENATE ({parts})", *literals)


async def last(client: Client, folder: str = "Drafts") -> bytes:
    """The newest message of a folder, whole."""
    await client.do(f"EXAMINE {folder}")
    one = (await client.do("FETCH * BODY.PEEK[]")).untagged[0]
    return one.partition(b"}\r\n")[2][:-1]


@pytest.fixture
async def drafting(anna: Client) -> Client:
    assert (await anna.do("APPEND Drafts {}", MIXED)).ok
    return anna


async def test_it_is_announced(anna: Client) -> None:
    assert b" CATENATE" in (await anna.do("CAPABILITY")).untagged[0]


@pytest.mark.parametrize(
    ("parts", "literals", "octets"),
    [
        ("TEXT {} TEXT {}", (b"A: b\r\n", b"\r\nc"), b"A: b\r\n\r\nc"),
        ('URL "/Drafts/;UID=1"', (), MIXED),
        ('text {} url "/Drafts/;uid=1/;section=1"', (b"A: b\r\n\r\n",), b"A: b\r\n\r\nHello"),
        ("URL /Drafts/;UID=1/;SECTION=HEADER TEXT {}", (b"x",), MIXED[: MIXED.index(b"--b")] + b"x"),
        ('URL "/Drafts/;UID=1/;SECTION=1.MIME" URL "/Drafts/;UID=1/;SECTION=1"', (), b"Content-Type: text/plain\r\n\r\nHello"),
        ('URL "/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)"', (), b"Subject: two parts\r\n\r\n"),
        ('URL "/Drafts/;UID=1/;SECTION=2"', (), b"AAEC"),
        ('URL "/Drafts/;UID=1/;SECTION=2/;PARTIAL=1.2"', (), b"AE"),
        ('URL "/Drafts/;UID=1/;SECTION=2/;PARTIAL=2"', (), b"EC"),
        ('URL "/Drafts/;UID=1/;PARTIAL=100000.1" TEXT {}', (b"x",), b"x"),
        ("URL {} TEXT {}", (b"/drafts/;UID=1", b"x"), None),
        ("URL {} TEXT {}", (b"/Drafts/;UID=1/;SECTION=1", b"x"), b"Hellox"),
    ],
)
async def test_parts(drafting: Client, parts: str, literals: tuple[bytes, ...], octets: bytes | None) -> None:
    said = await catenate(drafting, parts, *literals)
    if octets is None:
        assert said.tagged == b"NO [BADURL /drafts/;UID=1] " + GONE
        return
    assert said.tagged.startswith(b"OK [APPENDUID "), said
    assert await last(drafting) == octets


async def test_flags_date_and_what_is_selected(drafting: Client) -> None:
    await drafting.do("SELECT Drafts")
    said = await catenate(
        drafting, 'URL "/Drafts/;UID=1" TEXT {}', b"x", to="INBOX", options='(\\Seen \\Draft $Todo) "17-Jul-1996 02:44:25 -0700" '
    )
    assert said.ok
    # RFC 4469 section 3: no \Seen for what was read, and the selected folder stays.
    assert said.untagged == []
    assert b"\\Seen" not in (await drafting.do("FETCH 1 FLAGS")).untagged[0]
    await drafting.do("SELECT INBOX")
    (one,) = (await drafting.do("FETCH 1 (FLAGS INTERNALDATE)")).untagged
    assert b'FLAGS (\\Seen \\Draft $Todo \\Recent) INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in one


async def test_uidvalidity(drafting: Client) -> None:
    selected = await drafting.do("SELECT Drafts")
    (line,) = selected.having("[UIDVALIDITY ")
    validity = int(line.split(b"UIDVALIDITY ")[1].split(b"]")[0])
    assert (await catenate(drafting, f'URL "/Drafts;UIDVALIDITY={validity}/;UID=1/;SECTION=1"')).ok
    url = f"/Drafts;UIDVALIDITY={validity + 1}/;UID=1/;SECTION=1"
    assert (await catenate(drafting, f'URL "{url}"')).tagged == b"NO [BADURL %b] %b" % (url.encode(), GONE)


@pytest.mark.parametrize(
    "url",
    [
        "/Drafts/;UID=2",
        "/Nope/;UID=1",
        "/Drafts/;UID=1/;SECTION=3",
        "/Drafts/;UID=1/;SECTION=1.HEADER",
        "/Other%20Users/anna/INBOX/;UID=1",
        "/Other%20Users/;UID=1",
        "/Other%20Users/nobody/INBOX/;UID=1",
        "/a%00b/;UID=1",
        "/../Drafts/;UID=1",
    ],
)
async def test_what_is_not_there(drafting: Client, url: str) -> None:
    said = await catenate(drafting, f'TEXT {{}} URL "/Drafts/;UID=1" URL "{url}"', b"x")
    assert said.tagged == b"NO [BADURL %b] %b" % (url.encode(), GONE)
    assert (await drafting.do("STATUS Drafts (MESSAGES)")).untagged == [b'* STATUS "Drafts" (MESSAGES 1)']


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("imap://acme.test/Drafts/;UID=1", b"imap://acme.test/Drafts/;UID=1"),
        (";UID=1", b";UID=1"),
        ("", b'""'),
        ("/Drafts/;UID=1/;SECTION=1]", b"/Drafts/;UID=1/;SECTION=1%5D"),
        ("/Drafts/;UID=1/;URLAUTH=x", b"/Drafts/;UID=1/;URLAUTH=x"),
        ("a b\u00e4", b"a%20b%C3%A4"),
    ],
)
async def test_what_is_no_url(drafting: Client, url: str, code: bytes) -> None:
    await drafting.do("SELECT Drafts")
    said = await catenate(drafting, "URL {}", url.encode())
    assert said.tagged.startswith(b"NO [BADURL " + code + b"] expected the URL of a message of this server")


@pytest.mark.parametrize(
    ("arguments", "literals"),
    [
        ("CATENATE", ()),
        ("CATENATE ()", ()),
        ('CATENATE "x"', ()),
        ("CATENATE {}", (b"x",)),
        ('CATENATE (TEXT "x")', ()),
        ("CATENATE (TEXT ~{})", (b"x",)),
        ("CATENATE (TEXT {})", (b"\0",)),
        ("CATENATE (URL)", ()),
        ("CATENATE (URL a TEXT)", ()),
        ("CATENATE (URL a  URL b)", ()),
        ("CATENATE (URL a", ()),
        ("CATENATE (HTML a)", ()),
        ("CATENATE (URL a) x", ()),
    ],
)
async def test_what_is_no_command(anna: Client, arguments: str, literals: tuple[bytes, ...]) -> None:
    assert (await anna.do(f"APPEND Drafts {arguments}", *literals)).tagged.startswith(b"BAD ")


async def test_the_target_is_judged_as_ever(house: House, drafting: Client, bruno: Client) -> None:
    said = await catenate(drafting, 'URL "/Drafts/;UID=1"', to="Nope")
    assert said.tagged == b"NO [TRYCREATE] no such folder"
    await house.share("anna", "/INBOX", "bruno", "r")
    said = await catenate(bruno, "TEXT {}", b"x", to='"Other Users/anna/INBOX"')
    assert said.tagged.startswith(b"NO [NOPERM] you need 'i' (insert)")


async def test_reading_the_source_needs_its_right(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    hidden = await catenate(bruno, f'URL "{HIDDEN}"')
    missing = await catenate(bruno, 'URL "/Other%20Users/anna/Nope/;UID=1"')
    assert hidden.tagged.replace(b"INBOX", b"Nope") == missing.tagged
    assert missing.tagged.endswith(GONE)
    await house.share("anna", "/INBOX", "bruno", "l", rfc=True)
    said = await catenate(bruno, f'URL "{HIDDEN}"')
    assert said.tagged.startswith(b"NO [BADURL %b] you need 'r' (read) on this folder; ask anna@acme.test [d-" % HIDDEN.encode())
    await house.share("anna", "/INBOX", "bruno", "lr", rfc=True)
    assert (await catenate(bruno, f'URL "{HIDDEN}"')).ok
    assert await last(bruno) == message(1)
    await house.unshare("anna", "/INBOX", "bruno")
    assert (await catenate(bruno, f'URL "{HIDDEN}"')).tagged == hidden.tagged


async def test_reading_is_on_record_and_leaves_no_other_trace(house: House, bruno: Client, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", "rw")
    for _ in range(2):
        assert (await catenate(bruno, f'URL "{HIDDEN}"')).ok
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        entries = [row.entry for row in await snapshot.ask(audit.of_actor, house.ids["bruno"])]
    assert [(entry.right, entry.principal, entry.detail) for entry in entries] == [("read", house.ids["anna"], "/INBOX")]
    await anna.do("EXAMINE INBOX")
    assert b"\\Seen" not in (await anna.do("FETCH 1 FLAGS")).untagged[0]


async def test_an_owner_in_maintenance(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert (await catenate(bruno, f'URL "{HIDDEN}"')).tagged.startswith(b"NO [UNAVAILABLE] ")


async def test_quota_is_the_owners(house: House, bruno: Client) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", "ri")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": str(len(message()) + 10)}))
    said = await catenate(bruno, f'URL "{HIDDEN}"', to='"Other Users/anna/INBOX"')
    assert said.tagged.startswith(b"NO [OVERQUOTA] ")
    assert (await catenate(bruno, f'URL "{HIDDEN}"')).ok


async def test_a_part_in_utf8(drafting: Client) -> None:
    """RFC 6855 section 4: such a part is a literal8, and may have a NUL as well."""
    parts = 'UTF8 (~{}) URL "/Drafts/;UID=1/;SECTION=1"'
    head = "Subject: sch\u00f6n\r\n\r\n\0".encode()
    assert (await catenate(drafting, parts, head)).tagged.startswith(b"NO the header of the message has UTF-8 in it")
    assert (await drafting.do("ENABLE UTF8=ACCEPT")).ok
    assert (await catenate(drafting, parts, head)).ok
    await drafting.do("EXAMINE Drafts")
    (one,) = (await drafting.do("FETCH 2 (BODY.PEEK[HEADER.FIELDS (Subject)] BINARY.PEEK[1])")).untagged
    assert "Subject: sch\u00f6n\r\n".encode() in one
    assert b"BINARY[1] ~{6}\r\n\0Hello" in one


async def test_several_messages(drafting: Client) -> None:
    url = 'CATENATE (URL "/Drafts/;UID=1/;SECTION=1")'
    said = await drafting.do(f"APPEND Drafts {url} (\\Flagged) {url} {{}} ~{{}}", b"third", b"fourth")
    assert said.tagged.split(b"]")[0].endswith(b" 2:5")
    await drafting.do("EXAMINE Drafts")
    said = await drafting.do("FETCH 2:5 BODY.PEEK[]")
    assert [one.partition(b"}\r\n")[2] for one in said.untagged] == [b"Hello)", b"Hello)", b"third)", b"fourth)"]
    said = await drafting.do(f'APPEND Drafts {url} {{}} CATENATE (URL "/Drafts/;UID=9")', b"x")
    assert said.tagged == b"NO [BADURL /Drafts/;UID=9] " + GONE
    said = await drafting.do(f'APPEND Drafts {url} CATENATE (URL "/Drafts/;UID=1/;PARTIAL=99999.1")')
    assert said.tagged.startswith(b"NO nothing was appended")
    assert (await drafting.do("STATUS Drafts (MESSAGES)")).untagged == [b'* STATUS "Drafts" (MESSAGES 5)']


async def test_replace(drafting: Client) -> None:
    await drafting.do("SELECT Drafts")
    said = await drafting.do('UID REPLACE 1 Drafts CATENATE (TEXT {} URL "/Drafts/;UID=1/;SECTION=1")', b"Subject: new\r\n\r\n")
    assert said.ok, said
    assert await last(drafting) == b"Subject: new\r\n\r\nHello"
    assert (await drafting.do("STATUS Drafts (MESSAGES)")).untagged == [b'* STATUS "Drafts" (MESSAGES 1)']


async def test_in_place_of_the_filed_copy(house: House, anna: Client) -> None:
    await house.store.do(AcceptMessage("key", filing=(Filing(arrived(message(1)), house.ids["anna"], sender=True),)))
    said = await catenate(anna, 'URL "/Sent/;UID=1/;SECTION=HEADER" TEXT {}', b"with Bcc", to="Sent")
    assert said.ok
    assert (await anna.do("STATUS Sent (MESSAGES UIDNEXT)")).untagged == [b'* STATUS "Sent" (MESSAGES 1 UIDNEXT 3)']
    assert (await last(anna, "Sent")).endswith(b"with Bcc")


async def test_sizes(house: House) -> None:
    port = await house.listen(Limits(message_size=3000))
    anna = await house.client(port, "anna")
    assert (await anna.do("APPEND Drafts {}", message(1, "x" * 1500))).ok
    two = 'URL "/Drafts/;UID=1" URL "/Drafts/;UID=1"'
    assert (await catenate(anna, two)).tagged.startswith(b"NO [TOOBIG] ")
    assert (await catenate(anna, 'URL "/Drafts/;UID=1" TEXT {}', b"x" * 1500)).tagged.startswith(b"NO [TOOBIG] ")
    one = 'CATENATE (URL "/Drafts/;UID=1")'
    assert (await anna.do(f"APPEND Drafts {one} {one}")).tagged.startswith(b"NO [TOOBIG] ")
    assert (await catenate(anna, 'URL "/Drafts/;UID=1" TEXT {}', b"x" * 500)).ok
    assert (await anna.do("STATUS Drafts (MESSAGES)")).untagged == [b'* STATUS "Drafts" (MESSAGES 2)']


async def test_a_command_reads_only_so_much(house: House, port: int) -> None:
    """Of large messages what is asked for; of a few fields the whole header has to be read."""
    anna = await house.client(port, "anna")
    assert (await anna.do("APPEND Drafts {}", b"X: " + b"x" * 200_000 + b"\r\nSubject: s\r\n\r\n" + b"x" * 200_000)).ok
    small = await house.client(await house.listen(Limits(message_size=300_000)), "anna")
    fields = 'URL "/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)"'
    assert (await catenate(small, " ".join([fields] * 7))).tagged.startswith(b"NO [LIMIT] ")
    assert (await catenate(small, " ".join([fields] * 6))).ok
    assert await last(small) == b"Subject: s\r\n\r\n" * 6
    whole = 'URL "/Drafts/;UID=1/;SECTION=TEXT/;PARTIAL=1"'
    assert (await catenate(small, f"{whole} {whole}")).tagged.startswith(b"NO [TOOBIG] ")
    pieces = " ".join(['URL "/Drafts/;UID=1/;PARTIAL=0.1"'] * 900)
    assert (await catenate(small, pieces)).ok
    assert await last(small) == b"X" * 900


async def test_a_missing_folder_comes_before_a_missing_part(drafting: Client) -> None:
    """RFC 3501 section 6.3.11: [TRYCREATE] whatever else is wrong."""
    said = await drafting.do('APPEND Nowhere CATENATE (URL "/Drafts/;UID=77")')
    assert said.tagged == b"NO [TRYCREATE] no such folder"
