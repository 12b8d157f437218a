"""The clock of a running server is set by a day and by a year, on and back (libfaketime): nobody is thrown out, nothing bounces, nothing
waits for a year, numbers go on."""

from __future__ import annotations

import email.utils
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live.next_hop import NextHop, next_hop
from tests.live.server import Server, compose
from tests.live.talk import Mail, Talk

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
DAY = 86400
JUMPS = (*((DAY, -DAY) if "PROCURA_SOAK" in os.environ else ()), 365 * DAY, -365 * DAY)
"""One after the other: each way, and in the end where it was. By a day in `make soak` only; tests/gateway/test_clock.py has all."""
OWNER, GUEST, VICTIM, SENDER = "owner@acme.test", "guest@acme.test", "victim@acme.test", "sender@acme.test"


class Shifted(Server):
    """A server whose clock the test sets; nobody sets its monotonic one."""

    ahead = 0

    @property
    def environment(self) -> dict[str, str]:
        set_by = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.directory / "clock"), "FAKETIME_NO_CACHE": "1"}
        return {**super().environment, **set_by, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def set(self, by: int) -> None:
        self.ahead += by
        draft = self.directory / "clock.new"
        draft.write_text(f"{self.ahead:+d}\n")
        draft.rename(self.directory / "clock")


@dataclass
class World:
    server: Shifted
    hop: NextHop
    uids: list[int] = field(default_factory=list)
    validities: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if LIBRARY is None:
        pytest.skip("needs libfaketime (faketime)")
    with next_hop() as hop:
        directory = tmp_path_factory.mktemp("clock")
        relay = {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["3s"], "queue.hold": "1h"}
        server = Shifted(directory, {**relay, "limits.failed_logins_per_source": 1000})
        server.set(0)
        server.people("owner", "guest", "victim", "sender")
        server.prov("modifyCos default lockoutMaxFailures 3 lockoutDuration 4s lockoutFailureLifetime 1h")
        with server:
            with Talk(server.ports["imap"], OWNER) as talk:
                talk.ok("CREATE Shared")
                talk.ok(f"SETACL Shared {GUEST} lrs")
            yield World(server, hop)
        assert "Traceback" not in server.log.read_text(), server.log.read_text()[-4000:]


@pytest.mark.timeout(180)
def test_the_clock_is_set_while_everything_is_under_way(world: World) -> None:
    for by in JUMPS:
        set_by(world, by)
    server = world.server
    assert world.uids == sorted(set(world.uids)), "no UID twice, and each above the last"
    assert world.validities == sorted(set(world.validities)), "no UIDVALIDITY twice"
    done = server.run("verify", check=False)
    assert done.returncode == 0, done.stdout
    done = server.run("audit", "verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in server.log.read_text().splitlines() if "dated anew" in line]
    assert len(told) == len(JUMPS), told


def set_by(world: World, by: int) -> None:
    server, hop = world.server, world.hop
    with Talk(server.ports["imap"], OWNER) as owner, Talk(server.ports["imap"], GUEST) as guest, Mail(server.ports["submission"]) as mail:
        assert mail.login(SENDER).startswith("235")
        owner.ok("SELECT INBOX")
        idling = owner.idle()
        guest.ok('SELECT "Other Users/owner/Shared"')
        for wrong in range(3):
            with Talk(server.ports["imap"]) as stranger:
                stranger.do(f'LOGIN {VICTIM} "wrong {wrong} {by}"')
        assert not admitted(server), "locked out"
        tries = sum(said.startswith("RCPT") for _, said in hop.seen)
        taken = len(hop.taken)
        hop.answers["RCPT far@elsewhere.test"] = ["451 4.2.0 later"]
        letter = compose(SENDER, "far@elsewhere.test", f"set by {by}")
        assert mail.send(SENDER, ["far@elsewhere.test"], letter)[0].startswith("250")
        hop.wait_for("RCPT", tries + 1)
        assert mail.say("MAIL FROM:<> HOLDFOR=3").startswith("250")
        assert mail.say(f"RCPT TO:<{GUEST}>").startswith("250")
        assert mail.say("DATA").startswith("354")
        assert mail.say(compose(SENDER, GUEST, f"held over {by}").decode() + ".").startswith("250")

        server.set(by)

        # Whoever is there stays, and is told.
        server.deliver(OWNER, compose("stranger@elsewhere.test", OWNER, f"set by {by}"))
        owner.until(b"* ", 10)
        assert owner.done(idling).kind == "OK"
        assert guest.ok("NOOP").kind == "OK"
        assert mail.say("NOOP").startswith("250")
        # It is dated by the clock, and numbered by what came before.
        (line,) = owner.ok("FETCH * (UID INTERNALDATE)").about("FETCH")
        found = re.search(rb'UID (\d+) INTERNALDATE "([^"]+)"|INTERNALDATE "([^"]+)" UID (\d+)', line)
        assert found is not None, line
        world.uids.append(int(found[1] or found[4]))
        moment = email.utils.parsedate_to_datetime((found[2] or found[3]).decode().replace("-", " ")).timestamp()
        assert abs(moment - (time.time() + server.ahead)) < 60
        world.validities.append(validity(owner))
        # What waits has not bounced, and does not wait for a year; nor is it tried all the time.
        hop.wait(taken + 1, seconds=30)
        assert sum(said.startswith("RCPT") for _, said in hop.seen) == tries + 2
        assert any(f"held over {by}\r\n".encode() in one for one in server.wait_for(GUEST, count=len(world.uids)))
    end = time.monotonic() + 30
    while not admitted(server):
        assert time.monotonic() < end, "the lockout does not end"
        time.sleep(0.5)
    assert server.messages(SENDER) == [], "no report"


def validity(talk: Talk) -> int:
    """Of a folder that is made again each time."""
    talk.ok("CREATE Again")
    said = talk.ok("EXAMINE Again").code("UIDVALIDITY")
    assert said is not None
    talk.ok("SELECT INBOX")
    talk.ok("DELETE Again")
    return int(said)


def admitted(server: Server) -> bool:
    from tests.live.server import PASSWORD

    with Talk(server.ports["imap"]) as talk:
        return talk.do(f'LOGIN {VICTIM} "{PASSWORD}"').kind.startswith("OK")
