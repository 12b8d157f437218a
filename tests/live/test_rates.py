"""Limits of what is sent in time, by many connections at once and over a kill -9."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.live.post import DECISION, Said, submit
from tests.live.server import Server, compose

CLIENTS, MAY = 64, 10


def test_of_64_at_once_exactly_so_many_pass_as_may_and_a_kill_forgets_nothing(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.people("anna", "dora", "bob")
        server.prov(
            "grantRight account anna@acme.test usr dora@acme.test sendAs",
            f"modifyAccount dora@acme.test sendRate {MAY}/1h",
            "modifyAccount anna@acme.test delegatedSendRate 3/1h delegatedSendRecipientRate 100/1d",
        )
        clients = [server.smtp("dora@acme.test") for _ in range(CLIENTS)]
        start = threading.Barrier(CLIENTS)

        def one(number: int) -> Said:
            client = clients[number]
            assert client.mail("dora@acme.test")[0] == 250
            assert client.rcpt("bob@acme.test")[0] == 250
            start.wait()
            # Half of them in the name of anna, who lets no more than 3 go.
            from_ = "anna@acme.test" if number % 2 else "dora@acme.test"
            code, text = client.data(compose(from_, "bob@acme.test", str(number)))
            return Said(code, text.decode(), from_)

        with ThreadPoolExecutor(CLIENTS) as pool:
            said = [*pool.map(one, range(CLIENTS))]
        for client in clients:
            client.close()
        passed = [one for one in said if one.code == 250]
        assert len(passed) == MAY
        assert len([one for one in passed if one.at == "anna@acme.test"]) <= 3
        refused = [one for one in said if one.code != 250]
        assert {one.enhanced for one in refused} == {"450 4.7.1"}
        assert all(DECISION.search(one.text) and "again from 2" in one.text for one in refused), refused[:3]
        assert len(server.wait_for("bob@acme.test", count=MAY)) == MAY
        server.kill()
        server.start()
        with server.smtp("dora@acme.test") as client:
            again = submit(client, "dora@acme.test", "bob@acme.test", compose("dora@acme.test", "bob@acme.test"))
        assert (again.enhanced, again.at) == ("450 4.7.1", "MAIL")
        assert "you may send 10 messages within 1h" in again.text
        decision = again.text[again.text.rindex("[") + 1 : -1]
        assert "you may send 10 messages" in server.run("audit", "list", "--decision", decision).stdout
        told = server.run("can", "dora@acme.test", "send-as", "anna@acme.test", check=False)
        assert (told.returncode, "you may send 10 messages" in told.stdout) == (1, True)
        server.prov("modifyAccount dora@acme.test sendRate ''")
        with server.smtp("dora@acme.test") as client:
            assert submit(client, "dora@acme.test", "bob@acme.test", compose("dora@acme.test", "bob@acme.test")).accepted


def test_recipients_beyond_the_limit_are_refused_one_by_one(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.people("anna", *(f"r{number}" for number in range(5)))
        server.prov("modifyAccount anna@acme.test sendRecipientRate 3/1h")
        with server.smtp("anna@acme.test") as client:
            assert client.mail("anna@acme.test")[0] == 250
            replies = [client.rcpt(f"r{number}@acme.test") for number in range(5)]
            assert [code for code, _ in replies] == [250, 250, 250, 452, 452]
            assert all(text.startswith(b"4.7.1 you may send to 3 recipients within 1h") for _, text in replies[3:])
            assert client.data(compose("anna@acme.test", "r0@acme.test"))[0] == 250
            assert client.mail("anna@acme.test")[0] == 452
        assert [len(server.messages(f"r{number}@acme.test")) for number in range(5)] == [1, 1, 1, 0, 0]
