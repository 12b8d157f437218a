"""Two servers on one PostgreSQL, by the real command and through sockets."""

from __future__ import annotations

import contextlib
import imaplib
import json
import shutil
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, missing
from tests.live.server import PASSWORD, Server, compose
from tests.live.verified import verified

SECONDS = 30.0
CHEAP = {"policy_max_staleness": "3s"}


class House:
    """Servers on a database of their own."""

    def __init__(self, directory: Path, cluster: Cluster, url: str) -> None:
        self.cluster = cluster
        self.url = url
        self.one = Server(directory / "one", {"store": url, **CHEAP})
        self.other = Server(directory / "other", {"store": url, **CHEAP})

    def introduce(self) -> None:
        """What a new server needs of those that are there."""
        introduce(self.one, self.other)


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """One that a test may stop."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def house(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    own.create("served")
    made = House(tmp_path_factory.mktemp("house"), own, own.url("served"))
    with made.one:
        made.introduce()
        with made.other:
            made.one.people("anna", "bruno", "clara")
            yield made


def introduce(there: Server, new: Server) -> None:
    new.data.mkdir(mode=0o700, parents=True)
    shutil.copy(there.data / "secret.key", new.data)


def until(true: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def ended(client: imaplib.IMAP4) -> bool:
    try:
        client.noop()
    except (imaplib.IMAP4.abort, OSError):
        return True
    return False


def test_check_asks_the_server(own: Cluster, tmp_path: Path) -> None:
    tmp_path.joinpath("x").mkdir()
    own.create("checked")
    assert "for tests" in Server(tmp_path / "x", {"store": own.url("checked")}).run("check").stdout
    for url, why in (
        (own.url("nowhere"), "nowhere"),
        (own.dsn("checked"), "fsync is off"),
        ("postgresql://nobody@127.0.0.1:1/nothing", "cannot be reached"),
    ):
        done = Server(tmp_path / "x", {"store": url}).run("check", check=False)
        assert (done.returncode, why in done.stdout) == (1, True), done.stdout
    assert own.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "checked") == "0"  # nothing was changed


def test_a_server_without_the_key_of_the_others_does_not_start(house: House, tmp_path: Path) -> None:
    stranger = Server(tmp_path / "stranger", {"store": house.url})
    with pytest.raises(AssertionError, match="copy it from another server"):
        stranger.start()
    (stranger.data / "secret.key").write_bytes(b"x" * 32)
    with pytest.raises(AssertionError, match="not the one of the other servers"):
        stranger.start()


def test_what_is_sent_on_one_is_heard_and_read_on_the_other(house: House) -> None:
    with house.other.imap("bruno@acme.test") as reader:
        reader.select("INBOX")
        reader.send(b"i1 IDLE\r\n")
        assert reader.readline().startswith(b"+")
        large = compose("anna@acme.test", "bruno@acme.test", "large", "x" * 60 + "\r\n" + ("y" * 70 + "\r\n") * 5_000)
        with house.one.smtp("anna@acme.test") as sender:
            sender.sendmail("anna@acme.test", ["bruno@acme.test"], compose("anna@acme.test", "bruno@acme.test", "small"))
            sender.sendmail("anna@acme.test", ["bruno@acme.test"], large)
        seen = b""
        while b"* 2 EXISTS" not in seen:
            seen += reader.readline()
        reader.send(b"DONE\r\n")
        while not reader.readline().startswith(b"i1 OK"):
            pass
        small, big = (part[1] for part in reader.fetch("1:2", "(BODY.PEEK[])")[1] if isinstance(part, tuple))
        assert b"Subject: small" in small
        assert big.count(b"y" * 70) == 5_000
        reader.store("1", "+FLAGS", "\\Flagged")
    # Nodes share no disk: all of it lies in the database.
    assert not (house.one.data / "messages").exists()
    with house.one.imap("bruno@acme.test") as reader:
        reader.select("INBOX")
        assert b"\\Flagged" in reader.fetch("1", "(FLAGS)")[1][0]


def test_a_right_that_was_taken_away_on_one_is_gone_on_the_other_when_the_command_returns(house: House) -> None:
    house.one.prov("selectMailbox anna@acme.test mfg /Inbox account clara@acme.test r")
    reader = house.other.imap("clara@acme.test")
    assert reader.select('"Other Users/anna/INBOX"', readonly=True)[0] == "OK"
    house.one.prov("selectMailbox anna@acme.test mfg /Inbox account clara@acme.test none")
    with contextlib.suppress(imaplib.IMAP4.abort):  # the session in the folder has ended
        assert reader.status('"Other Users/anna/INBOX"', "(MESSAGES)")[0] == "NO"
    reader.shutdown()


def test_a_submission_by_who_may_no_longer_is_refused_on_the_other(house: House) -> None:
    house.one.prov("grantRight account anna@acme.test usr clara@acme.test sendAs")
    mail = compose("anna@acme.test", "bruno@acme.test", "as anna")
    with house.other.smtp("clara@acme.test") as sender:
        sender.sendmail("anna@acme.test", ["bruno@acme.test"], mail)
        house.one.prov("revokeRight account anna@acme.test usr clara@acme.test sendAs")
        with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)):
            sender.sendmail("anna@acme.test", ["bruno@acme.test"], mail)


def test_sessions_of_all_nodes_are_listed_and_ended_from_any(house: House) -> None:
    here, there = house.one.imap("anna@acme.test"), house.other.imap("bruno@acme.test")
    listed = json.loads(house.one.run("sessions", "list", "--json").stdout)
    numbers = {row["account"]: row["number"] for row in listed}
    assert set(numbers) == {"anna@acme.test", "bruno@acme.test"}
    house.one.run("sessions", "end", str(numbers["bruno@acme.test"]))
    until(lambda: ended(there), "it is ended on the other node")
    house.other.run("sessions", "end", "--account", "anna@acme.test")
    until(lambda: ended(here), "and from there")


@pytest.mark.slow
def test_an_account_has_no_more_sessions_on_two_nodes_than_on_one(own: Cluster, tmp_path: Path) -> None:
    url = own.url("limited")
    own.create("limited")
    few = {"store": url, "limits.connections_per_account": 3, "limits.exempt_networks": []}
    with ExitStack() as stack:
        one, other = Server(tmp_path / "one", few), Server(tmp_path / "other", few)
        stack.enter_context(one)
        introduce(one, other)
        stack.enter_context(other)
        one.people("anna")
        clients = [one.imap("anna@acme.test") for _ in range(2)]

        def refused() -> bool:
            client = other.imap()
            try:
                client.login("anna@acme.test", PASSWORD)
            except imaplib.IMAP4.error:
                client.shutdown()
                return True
            clients.append(client)
            return False

        until(refused, "the other one counts those of the first")
        # At most one more than the limit before it had heard of them.
        assert len(clients) <= 5
        for client in clients:
            client.logout()


def test_wrong_passwords_count_wherever_they_are_tried(house: House) -> None:
    house.one.prov(f"createAccount guessed@acme.test '{PASSWORD}'")
    for number in range(10):
        server = (house.one, house.other)[number % 2]
        client = server.imap()
        with pytest.raises(imaplib.IMAP4.error):
            client.login("guessed@acme.test", f"wrong {number}")
        client.shutdown()
    for server in (house.one, house.other):
        client = server.imap()
        with pytest.raises(imaplib.IMAP4.error):
            client.login("guessed@acme.test", PASSWORD)
        client.shutdown()


@pytest.mark.slow
def test_one_that_is_killed_leaves_the_other_at_work(house: House) -> None:
    house.one.deliver("clara@acme.test", compose("x@elsewhere.test", "clara@acme.test", "before"))
    house.one.kill()
    try:
        # A change of rights waits for its lease, and then for nobody.
        house.other.prov("grantRight account anna@acme.test usr bruno@acme.test sendAs")
        house.other.deliver("clara@acme.test", compose("x@elsewhere.test", "clara@acme.test", "after"))
        assert len(house.other.wait_for("clara@acme.test", count=2)) == 2
    finally:
        house.one.start()
    assert len(house.one.messages("clara@acme.test")) == 2
    verified(house.one)


@pytest.mark.slow
def test_a_database_that_is_restarted_defers_mail_and_ends_no_session_for_good(house: House) -> None:
    with house.one.imap("bruno@acme.test") as reader:
        reader.select("INBOX")
        house.cluster.stop()
        refusals: list[str] = []
        with contextlib.suppress(imaplib.IMAP4.abort, OSError):
            kind, said = reader.append("INBOX", None, None, compose("a@b.test", "c@d.test"))
            refusals.append(f"{kind} {said}")
            assert kind == "NO"
            assert b"UNAVAILABLE" in said[0] or b"INUSE" in said[0], said
        with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, OSError)) as caught:
            house.one.deliver("bruno@acme.test", compose("x@elsewhere.test", "bruno@acme.test", "during"))
        error = caught.value
        codes = [code for code, _ in error.recipients.values()] if isinstance(error, smtplib.SMTPRecipientsRefused) else []
        codes += [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []
        assert codes, error
        assert all(400 <= code < 500 for code in codes)
        house.cluster.start()

    def again() -> bool:
        try:
            house.other.deliver("bruno@acme.test", compose("x@elsewhere.test", "bruno@acme.test", "afterwards"))
        except (smtplib.SMTPException, OSError):
            return False
        return True

    until(again, "mail is taken again")

    def there() -> bool:
        try:
            return any(b"Subject: afterwards" in one for one in house.one.messages("bruno@acme.test"))
        except (imaplib.IMAP4.error, OSError):
            return False

    until(there, "and can be read on the other one")
    assert house.one.process is not None
    assert house.one.process.poll() is None
    assert "Traceback" not in house.one.log.read_text()
    verified(house.other)
