"""MTA-STS and DANE through a whole server: mail for those who ask for it goes to nobody else, across restarts too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.authority import made
from tests.live.far import Far, far
from tests.live.names import Names
from tests.live.policy_host import ENFORCE, PolicyHost, policy_host
from tests.live.server import Server, compose

ANNA = "anna@acme.test"
WITH_TLS = "250-far.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS"
ROOT = made("root", authority=True)
GOOD = made("mail.far.test", ROOT, names=["mail.far.test"])


@dataclass
class World:
    server: Server
    there: Far
    names: Names
    host: PolicyHost

    async def submit(self, *recipients: str) -> None:
        def work() -> None:
            client = self.server.smtp(ANNA)
            client.sendmail(ANNA, recipients, compose(ANNA, recipients[0], "hello"))
            client.quit()

        await asyncio.to_thread(work)

    async def rows(self, wanted: int, reply: str = "") -> list[dict[str, Any]]:
        """The queue, once so many wait in it and the last reply of each begins so."""
        for _ in range(200):
            rows: list[dict[str, Any]] = json.loads((await asyncio.to_thread(self.server.run, "queue", "list", "--json")).stdout)
            if len(rows) == wanted and all(row["lastReply"].startswith(reply) for row in rows):
                return rows
            await asyncio.sleep(0.1)
        raise AssertionError(rows)

    async def taken(self, count: int) -> None:
        for _ in range(200):
            if len(self.there.taken) >= count:
                break
            await asyncio.sleep(0.1)
        assert len(self.there.taken) == count
        await self.rows(0)


@asynccontextmanager
async def world(directory: Path, **settings: object) -> AsyncIterator[World]:
    root = ROOT.write(directory / "root.pem")
    policies = made("web", ROOT, names=["mta-sts.far.test"]).served(directory / "web.pem")
    zone = {"far.test": {"MX": ["10 mail.far.test."]}, "mail.far.test": {"A": ["127.0.0.2"]}, "mta-sts.far.test": {"A": ["127.0.0.1"]}}
    names = Names(zone)
    async with far(host="127.0.0.2", offers=WITH_TLS, tls=GOOD.served(directory / "good.pem")) as there:
        with policy_host(policies, ENFORCE.format("*.far.test")) as host:
            common = {
                "relay": "mx",
                "mx.resolvers": [f"127.0.0.1:{names.port}"],
                "mx.port": there.port,
                "mx.sts_port": host.port,
                "mx.authorities": str(root),
                "mx.refused_networks": [],
                "queue.retries": ["0.3s"],
            }
            server = Server(directory, common | settings)
            await asyncio.to_thread(server.people, "anna")
            await asyncio.to_thread(server.start)
            try:
                yield World(server, there, names, host)
            finally:
                await asyncio.to_thread(server.stop)
                names.close()


async def test_a_policy_is_obeyed_and_outlives_those_who_take_it_away(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.names.zone["_mta-sts.far.test"] = {"TXT": ['"v=STSv1; id=1;"']}
        await one.submit("x@far.test")
        await one.taken(1)
        assert one.host.asked == ["mta-sts.far.test/.well-known/mta-sts.txt"]
        await asyncio.to_thread(one.server.kill)
        # Somebody on the way: no record, no policy, and a server that cannot show that it is the right one.
        del one.names.zone["_mta-sts.far.test"]
        one.host.status = 404
        one.there.tls = made("mail.far.test", names=["mail.far.test"]).served(tmp_path / "bad.pem")
        await asyncio.to_thread(one.server.start)
        await one.submit("y@far.test")
        await one.rows(1, "4.7.5 the certificate of mail.far.test")
        one.there.offers = "250 far.test"
        await one.rows(1, "4.7.4 mail.far.test [127.0.0.2] does not offer STARTTLS")
        one.names.zone["far.test"] = {"MX": ["10 mail.evil.test."]}
        one.names.zone["mail.evil.test"] = {"A": ["127.0.0.2"]}
        await asyncio.to_thread(one.server.stop)  # it has the old answers in memory, for a minute
        await asyncio.to_thread(one.server.start)
        await one.rows(1, "4.7.5 mail.evil.test is not among the servers")
        assert len(one.there.taken) == 1
        one.names.zone["far.test"] = {"MX": ["10 mail.far.test."]}
        one.there.offers, one.there.tls = WITH_TLS, GOOD.served(tmp_path / "good.pem")
        await asyncio.to_thread(one.server.stop)
        await asyncio.to_thread(one.server.start)
        await one.taken(2)
        assert [command for command in one.there.commands if command.startswith("STARTTLS")]


async def test_switched_off_nobody_is_asked(tmp_path: Path) -> None:
    async with world(tmp_path, **{"mx.sts": False}) as one:
        one.names.zone["_mta-sts.far.test"] = {"TXT": ['"v=STSv1; id=1;"']}
        one.there.offers = "250 far.test"
        await one.submit("x@far.test")
        await one.taken(1)
        assert one.host.asked == []
        assert one.names.asked["_mta-sts.far.test TXT"] == 0


async def test_signed_records_decide_before_any_policy(tmp_path: Path) -> None:
    async with world(tmp_path, **{"mx.dane": True}) as one:
        record = f"_{one.there.port}._tcp.mail.far.test"
        one.names.zone["_mta-sts.far.test"] = {"TXT": ['"v=STSv1; id=1;"']}
        one.names.zone[record] = {"TLSA": [made("another").tlsa(3)]}
        one.names.signed = {"far.test", "mail.far.test", record}
        await one.submit("x@far.test")
        await one.rows(1, "4.7.5 the certificate of mail.far.test")  # although the policy would take it
        assert one.there.taken == []
        own = made("whatever", days=(-30, -1))
        one.there.tls = own.served(tmp_path / "own.pem")
        one.names.zone[record] = {"TLSA": [own.tlsa(3)]}
        await asyncio.to_thread(one.server.stop)
        await asyncio.to_thread(one.server.start)
        await one.taken(1)  # although the policy would not


async def test_what_cannot_work_is_said_at_the_start(tmp_path: Path) -> None:
    server = Server(tmp_path, {"relay": "mx", "mx.dane": True, "hostname": "mx.acme.test"})
    found = await asyncio.to_thread(lambda: server.run("check", check=False))
    assert "mx.dane: needs mx.resolvers" in found.stdout + found.stderr
