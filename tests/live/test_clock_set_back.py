"""The clock is two hours behind what the last server had seen: what ended in those two hours has ended, and everything goes on; until an
operator says that the clock is right."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.next_hop import NextHop, next_hop
from tests.live.server import Server, compose
from tests.live.talk import Mail, Talk

OWNER, GUEST = "owner@acme.test", "guest@acme.test"
BY = 7_200


@pytest.fixture(scope="module")
def hop() -> Iterator[NextHop]:
    with next_hop() as hop:
        yield hop


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "workers"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hop: NextHop) -> Iterator[Server]:
    settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["1s"], "workers": request.param}
    made = Server(tmp_path_factory.mktemp("behind"), settings)
    made.people("owner", "guest")
    made.prov(f"selectMailbox {OWNER} modifyFolderGrant /INBOX account {GUEST} r --until +90m")
    with made:
        assert reads(made)
        app = json.loads(made.run("app-password", "create", OWNER, "phone", "--until", "+90m", "--json").stdout)["password"]
        assert admits(made, app)
        made.stop()
        seen_later(made.data / "procura.db")
        made.start()
        made.app_password = app  # type: ignore[attr-defined]
        yield made


def seen_later(database: Path) -> None:
    """As if it had served for two hours, and then the clock was set back. What it said in a first quarter of an hour is not known."""
    connection = sqlite3.connect(database)
    with connection:
        assert connection.execute("SELECT seen FROM clock").fetchall() == []
        connection.execute("INSERT INTO clock VALUES (1, ?, 0)", (int((time.time() + BY) * 1e6),))
    connection.close()


def reads(server: Server) -> bool:
    with Talk(server.ports["imap"], GUEST) as talk:
        return talk.do('EXAMINE "Other Users/owner/INBOX"').kind.startswith("OK")


def admits(server: Server, password: str) -> bool:
    with Talk(server.ports["imap"]) as talk:
        return talk.do(f'LOGIN {OWNER} "{password}"').kind.startswith("OK")


def test_what_has_ended_stays_ended_until_the_clock_is_accepted(server: Server, hop: NextHop) -> None:
    password = server.app_password  # type: ignore[attr-defined]
    assert not reads(server), "a grant that had ended"
    assert not admits(server, password), "an app password that had ended"
    assert "behind the time that was known here" in server.log.read_text()
    assert abs(json.loads(server.run("clock", "--json").stdout)["behind"] - BY) < 60
    said = server.run("check")
    assert re.search(r"warning: store: the clock of this machine is (71|72)\d\d s behind", said.stdout), said.stdout
    assert "procura clock accept" in said.stdout
    # Mail comes and goes, and waits no longer than it would have.
    server.deliver(GUEST, compose("stranger@elsewhere.test", GUEST, "meanwhile"))
    taken = len(hop.taken)
    hop.answers["RCPT far@elsewhere.test"] = ["451 4.2.0 later"]
    with Mail(server.ports["submission"]) as mail:
        assert mail.login(OWNER).startswith("235")
        assert mail.send(OWNER, ["far@elsewhere.test"], compose(OWNER, "far@elsewhere.test", "tried twice"))[0].startswith("250")
    hop.wait(taken + 1, seconds=60)
    # Sessions that are open learn it too.
    with Talk(server.ports["imap"], GUEST) as open_before:
        server.run("clock", "accept")
        assert open_before.do('EXAMINE "Other Users/owner/INBOX"').kind.startswith("OK"), "by this clock it has not ended"
    assert all(reads(server) and admits(server, password) for _ in range(4)), "in every process"
    assert json.loads(server.run("clock", "--json").stdout)["behind"] == 0
    assert "clock" not in server.run("check").stdout
    assert server.run("audit", "verify", check=False).returncode == 0
    done = server.run("verify", check=False)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in server.log.read_text()
