"""How often the server of the database is asked for what people do most, counted on the wire: what it costs where the network takes a
millisecond. The table in store/README.md is this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.live.counting import Counting
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk
from tests.store.behind import waited

TIMES = 4

# With what nobody waits for: the end of a snapshot, and the beginning of the next one.
AT_MOST = {
    "LOGIN": 20,
    "SELECT": 15,
    "FETCH flags": 4,
    "FETCH body": 12,
    "STORE": 5,
    "APPEND": 20,
    "submission": 21,
    "LMTP": 17,
}


@pytest.fixture(scope="module")
def counting(shared_url_of_module: str) -> Iterator[Counting]:
    wire = Counting(shared_url_of_module)
    waited(wire.__aenter__())
    yield wire
    waited(wire.__aexit__())


@pytest.fixture(scope="module")
def server(counting: Counting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("counted"), {"store": counting.url, "workers": 1}) as running:
        running.people("anna", "bruno")
        yield running


def fewest(counting: Counting, operation: Callable[[int], object]) -> list[str]:
    """What is asked when it has been done before and nothing else is done meanwhile."""
    found: list[list[str]] = []
    for number in range(TIMES + 1):
        counting.forget()
        operation(number)
        time.sleep(0.05)  # what nobody waits for
        found.append(counting.asked)
    return min(found[1:], key=len)


def test_what_is_asked_for_does_not_grow(server: Server, counting: Counting) -> None:
    found: dict[str, list[str]] = {}
    with server.lmtp() as lmtp:

        def deliver(number: int) -> None:
            lmtp.sendmail("far@elsewhere.test", ["anna@acme.test"], compose("far@elsewhere.test", "anna@acme.test", subject=f"{number}"))

        found["LMTP"] = fewest(counting, deliver)
    with server.smtp("anna@acme.test") as smtp:

        def submit(number: int) -> None:
            smtp.sendmail("anna@acme.test", ["bruno@acme.test"], compose("anna@acme.test", "bruno@acme.test", subject=f"{number}"))

        found["submission"] = fewest(counting, submit)

    def log_in(_: int) -> None:
        with Talk(server.ports["imap"]) as another:
            another.ok(f'LOGIN anna@acme.test "{PASSWORD}"')

    found["LOGIN"] = fewest(counting, log_in)
    with Talk(server.ports["imap"], "anna@acme.test") as talk:
        found["SELECT"] = fewest(counting, lambda _: talk.ok("SELECT INBOX"))
        found["FETCH flags"] = fewest(counting, lambda _: talk.ok("FETCH 1 (UID FLAGS)"))
        found["FETCH body"] = fewest(counting, lambda _: talk.ok("FETCH 1 (BODY.PEEK[])"))
        found["STORE"] = fewest(counting, lambda number: talk.ok(f"STORE 1 {'+-'[number % 2]}FLAGS (\\Flagged)"))
        found["APPEND"] = fewest(counting, lambda number: talk.ok("APPEND Drafts", b"a: %d\r\n\r\nb\r\n" % number))
    counts = {name: len(asked) for name, asked in found.items()}
    grown = {name: asked for name, asked in found.items() if len(asked) > AT_MOST[name]}
    assert not grown, f"{counts}\n" + "\n".join(f"{name}\n  " + "\n  ".join(asked) for name, asked in grown.items())
