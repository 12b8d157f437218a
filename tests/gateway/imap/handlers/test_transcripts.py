"""The dialogues of tests/transcripts/imap, played through real sockets.

Who speaks is logged in already, but for `stranger` and `strangers`.
`given` knows: `anna shares Posta with bruno: rwid` (or `lrs (RFC)`), `anna takes
Posta from bruno`, `anna has Posta`, `Posta of anna holds 3 messages`, `anna is locked`, `anna sets delegated_trash to owner`,
`SCRAM and tokens are taken`.
"""

import asyncio
import re
from pathlib import Path

import pytest

from policy.status import AccountStatus
from store import accounts
from tests.gateway.imap.handlers.house import PASSWORD, House
from tests.transcripts.dialogue import Play

ROOT = Path(__file__).parents[3] / "transcripts" / "imap"
FILES = sorted(ROOT.rglob("*.txt"))


def path(name: str) -> str:
    return "/" if name == "everything" else f"/{name}"


async def stage(house: House, text: str) -> None:
    match re.split(r"[ :]+", text):
        case ["SCRAM", "and", "tokens", "are", "taken"]:
            await house.take_scram_and_tokens()
        case [owner, "shares", name, "with", to, rights]:
            await house.share(owner, path(name), to, rights)
        case [owner, "shares", name, "with", to, rights, "(RFC)"]:
            await house.share(owner, path(name), to, rights, rfc=True)
        case [owner, "takes", name, "from", to]:
            await house.unshare(owner, path(name), to)
        case [owner, "has", name]:
            await house.make(owner, path(name))
        case [name, "of", owner, "holds", count, "messages" | "message"]:
            await house.put(owner, path(name), int(count))
        case [name, "is", status]:
            await house.status(name, AccountStatus(status))
        case [name, "sets", setting, "to", value]:
            await house.store.do(accounts.ModifyAccount(house.ids[name], values={setting: value}))
        case _:
            raise AssertionError(f"what is {text!r}?")


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
async def test_dialogue(house: House, port: int, file: Path) -> None:
    async def connect(name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if not name.startswith("stranger"):
            await reader.readline()
            # The answer to NOOP stands where the play looks for a greeting.
            writer.write(f"login LOGIN {name}@acme.test {PASSWORD}\r\n".encode())
            assert (await reader.readline()).startswith(b"login OK")
            writer.write(b"greeting NOOP\r\n")
        return reader, writer

    await Play(connect, lambda text: stage(house, text)).play(file)
