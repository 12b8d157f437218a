"""RFC 8508 over sockets: both or neither, with whose rights."""

import pytest

from store import accounts
from tests.gateway.imap.handlers.house import Client, House, message

DRAFTS = '"Other Users/anna/Drafts"'
INBOX = '"Other Users/anna/INBOX"'


async def test_within_one_folder(house: House, anna: Client) -> None:
    await house.put("anna", "/Drafts", 3)
    await anna.do("SELECT Drafts")
    said = await anna.do("REPLACE 2 Drafts (\\Draft $X) {}", message(9))
    assert said.untagged[0].startswith(b"* OK [APPENDUID ")
    assert said.untagged[0].split(b"]")[0].endswith(b" 4")
    assert b"* 2 EXPUNGE" in said.untagged
    assert b"* 3 EXISTS" in said.untagged
    assert said.tagged == b"OK REPLACE completed"
    (one,) = (await anna.do("UID FETCH 4 (FLAGS BODY.PEEK[])")).untagged
    assert b"\\Draft $X" in one
    assert message(9) in one
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 1 3 4"]


async def test_into_another_folder(house: House, anna: Client) -> None:
    await house.put("anna", "/Drafts", 2)
    await anna.do("SELECT Drafts")
    said = await anna.do("UID REPLACE 1 Sent (\\Seen) {}", message(9))
    assert said.untagged[0].startswith(b"* OK [APPENDUID ")
    assert said.untagged[1:] == [b"* 1 EXPUNGE"]
    assert (await anna.do("STATUS Sent (MESSAGES)")).untagged == [b'* STATUS "Sent" (MESSAGES 1)']
    assert (await anna.do("REPLACE * Sent {}", message(8))).ok
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("UID REPLACE 7 Drafts {}", b"NO [NONEXISTENT]"),
        ("REPLACE 7 Drafts {}", b"BAD"),
        ("REPLACE 1 Nope {}", b"NO [TRYCREATE]"),
        ("REPLACE 1 Drafts ~{} ~{}", b"BAD"),
    ],
)
async def test_what_does_not_work_changes_nothing(house: House, anna: Client, command: str, said: bytes) -> None:
    await house.put("anna", "/Drafts", 2)
    await anna.do("SELECT Drafts")
    assert (await anna.do(command, message(9))).tagged.startswith(said)
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 1 2"]
    await anna.do("EXAMINE Drafts")
    assert not (await anna.do("REPLACE 1 Drafts {}", message(9))).ok
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 1 2"]


async def test_the_quota_counts_what_stays(house: House, anna: Client) -> None:
    await house.put("anna", "/Drafts", 2)
    await anna.do("SELECT Drafts")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"quota": str(2 * len(message(1)) + 10)}))
    assert (await anna.do("REPLACE 1 Drafts {}", message(3))).ok
    assert (await anna.do("REPLACE 1 Drafts {}", message(4, "x" * 1000))).tagged.startswith(b"NO [OVERQUOTA]")
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 2 3"]


@pytest.mark.parametrize(
    ("folder", "rights", "done"),
    [
        ("Drafts", "lrw", True),
        ("Drafts", "lri", False),
        ("Drafts", "lrite", True),
        ("INBOX", "lrw", False),
        ("INBOX", "lrwit", False),
        ("INBOX", "lrite", True),
    ],
)
async def test_a_delegate_within_one_folder(house: House, bruno: Client, folder: str, rights: str, done: bool) -> None:
    await house.put("anna", f"/{folder}", 2)
    await house.share("anna", f"/{folder}", "bruno", rights, rfc=True)
    await bruno.do(f'SELECT "Other Users/anna/{folder}"')
    said = await bruno.do(f'REPLACE 1 "Other Users/anna/{folder}" {{}}', message(9))
    assert said.ok is done
    assert done or said.tagged.startswith(b"NO [NOPERM] you need ")
    assert (await bruno.do("UID SEARCH ALL")).untagged == [b"* SEARCH 2 3" if done else b"* SEARCH 1 2"]


@pytest.mark.parametrize(
    ("source", "target", "done"), [("lrte", "li", True), ("lrt", "li", False), ("lrw", "li", False), ("lrte", "lr", False)]
)
async def test_a_delegate_between_folders(house: House, bruno: Client, source: str, target: str, done: bool) -> None:
    await house.put("anna", "/Drafts", 2)
    await house.share("anna", "/Drafts", "bruno", source, rfc=True)
    await house.share("anna", "/INBOX", "bruno", target, rfc=True)
    await bruno.do(f"SELECT {DRAFTS}")
    assert (await bruno.do(f"REPLACE 1 {INBOX} {{}}", message(9))).ok is done
    assert (await bruno.do("UID SEARCH ALL")).untagged == [b"* SEARCH 2" if done else b"* SEARCH 1 2"]


async def test_a_hidden_target_is_missing(house: House, bruno: Client) -> None:
    await house.put("bruno", "/Drafts", 1)
    await bruno.do("SELECT Drafts")
    for name in ("anna/INBOX", "nobody/INBOX"):
        assert (await bruno.do(f'REPLACE 1 "Other Users/{name}" {{}}', message(9))).all == b"NO [TRYCREATE] no such folder"


async def test_one_that_went_meanwhile(house: House, anna: Client) -> None:
    await house.put("anna", "/Drafts", 2)
    await anna.do("SELECT Drafts")
    other = await house.client(int(anna.writer.get_extra_info("peername")[1]), "anna")
    await other.do("SELECT Drafts")
    await other.do("STORE 1 +FLAGS (\\Deleted)")
    await other.do("EXPUNGE")
    said = await anna.do("UID REPLACE 1 Drafts {}", message(9))
    assert said.tagged == b"NO [NONEXISTENT] the message is gone, nothing was appended"
    assert (await anna.do("UID SEARCH ALL")).having("SEARCH") == [b"* SEARCH 2"]


async def test_with_qresync_and_ids(house: House, port: int, anna: Client) -> None:
    """RFC 8508 sections 4.5 and 4.6: VANISHED and the mod-sequence of the change; the new octets have an id of their own."""
    await house.put("anna", "/Drafts", 1)
    other = await house.client(port, "anna")
    for client in (anna, other):
        await client.do("ENABLE QRESYNC")
        await client.do("SELECT Drafts")
    (before,) = (await anna.do("FETCH 1 EMAILID")).untagged
    said = await anna.do("UID REPLACE 1 Drafts {}", message(9))
    assert b"* VANISHED 1" in said.untagged
    assert said.tagged.startswith(b"OK [HIGHESTMODSEQ ")
    assert b"* VANISHED 1" in (await other.do("NOOP")).untagged
    (after,) = (await anna.do("FETCH 1 EMAILID")).untagged
    assert before.partition(b"EMAILID")[2] != after.partition(b"EMAILID")[2]
