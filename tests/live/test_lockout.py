"""delegation.md section 8 on real sockets: who is locked out, from where, for how long, and what goes on meanwhile."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk, unnamed

REFUSED = "NO [AUTHENTICATIONFAILED] authentication failed"
REFUSED_SMTP = "535 5.7.8 authentication failed"
# Source networks are IPv4 /24s; all of these are loopback.
HERE, NEIGHBOUR, AWAY, FAR = "127.0.0.1", "127.0.0.77", "127.1.2.3", "127.9.9.9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("lockout")) as running:
        running.people("sender")
        running.prov("createCos guarded lockoutMaxFailures 3")
        yield running


@pytest.fixture
def account(server: Server, request: pytest.FixtureRequest) -> str:
    """An account that is locked out by three failures."""
    name = f"{request.node.name.removeprefix('test_').replace('_', '-')[:60]}@acme.test"
    server.prov(f"createAccount {name} '{PASSWORD}' cos guarded")
    return name


def login(server: Server, name: str, password: str = PASSWORD, source: str = HERE) -> str:
    """The tagged answer, without a decision id."""
    with Talk(server.ports["imap"], source=source) as session:
        return unnamed(session.do(f'LOGIN {name} "{password}"').tagged)


def fail(server: Server, name: str, *passwords: str, source: str = HERE) -> None:
    for password in passwords:
        assert login(server, name, password, source) == REFUSED


def let_in(server: Server, name: str, source: str = HERE) -> bool:
    answer = login(server, name, source=source)
    assert answer == REFUSED or answer.startswith("OK "), answer
    return answer.startswith("OK ")


def test_the_third_failure_locks_out(server: Server, account: str) -> None:
    fail(server, account, "a", "b")
    assert let_in(server, account)
    # A good login clears the failures of its own network: three more are needed.
    fail(server, account, "c", "d", "e")
    assert not let_in(server, account)


def test_one_history_for_every_protocol(server: Server, account: str) -> None:
    fail(server, account, "a")
    with Mail(server.ports["submission"]) as client:
        assert client.login(account, "b") == REFUSED_SMTP
        assert client.login(account, "c") == REFUSED_SMTP
    assert not let_in(server, account)
    with Mail(server.ports["submission"]) as client:
        assert client.login(account) == REFUSED_SMTP


def test_the_same_wrong_password_counts_once(server: Server, account: str) -> None:
    """An old phone does not lock its owner out."""
    fail(server, account, *["the old one"] * 12)
    with Mail(server.ports["submission"], source=AWAY) as client:
        assert client.login(account, "the old one") == REFUSED_SMTP
    assert let_in(server, account)
    fail(server, account, "the old one", "another", "the old one", "another")
    assert let_in(server, account, AWAY)


def test_a_good_login_clears_only_the_failures_of_its_own_network(server: Server, account: str) -> None:
    fail(server, account, "a", source=HERE)
    fail(server, account, "b", source=AWAY)
    assert let_in(server, account, HERE)
    # Without "a" these are two: the third comes after.
    fail(server, account, "c", source=AWAY)
    assert let_in(server, account, FAR)
    fail(server, account, "d", source=FAR)
    assert not let_in(server, account, AWAY)


def test_failures_leave_the_window_one_by_one(server: Server, account: str) -> None:
    server.prov(f"modifyAccount {account} lockoutFailureLifetime 3s")
    fail(server, account, "a")
    first = time.monotonic()
    sleep_until(first + 1.5)
    before_second = time.monotonic()
    fail(server, account, "b")
    sleep_until(first + 3.1)
    # The first has left the window, so this is the second in it.
    fail(server, account, "c")
    assert let_in(server, account, FAR)
    fail(server, account, "d")
    # The window slides: the second is still in it, and so there are three now.
    if time.monotonic() < before_second + 2.9:
        assert not let_in(server, account)


def sleep_until(moment: float) -> None:
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


@pytest.mark.parametrize("how", ["status active", "password", "unlock"])
def test_an_administrator_ends_it(server: Server, how: str) -> None:
    account = f"ended-by-{how.split()[0]}@acme.test"
    server.prov(f"createAccount {account} '{PASSWORD}' cos guarded")
    fail(server, account, "a", "b", "c")
    assert not let_in(server, account)
    match how:
        case "status active":
            server.prov(f"modifyAccount {account} status active")
        case "password":
            server.prov(f"setPassword {account} '{PASSWORD}'")
        case _:
            server.run("unlock", account)
    assert let_in(server, account)
    # Every failure is forgotten, not only the lockout.
    fail(server, account, "d", "e", source=AWAY)
    assert let_in(server, account, FAR)


def test_it_ends_by_itself(server: Server, account: str) -> None:
    server.prov(f"modifyAccount {account} lockoutDuration 2s lockoutFailureLifetime 2s")
    fail(server, account, "a", "b", "c")
    last = time.monotonic()
    assert not let_in(server, account)
    # What is tried meanwhile changes nothing, so it does not last longer for it.
    fail(server, account, "d", "e", "f")
    assert not let_in(server, account)
    end = last + 2
    while not let_in(server, account):
        assert time.monotonic() < end + 2
        time.sleep(0.05)
    assert time.monotonic() > end - 0.5


def test_with_a_duration_of_nothing_it_does_not_end_by_itself(server: Server, account: str) -> None:
    server.prov(f"modifyAccount {account} lockoutDuration 0 lockoutFailureLifetime 1s")
    fail(server, account, "a", "b", "c")
    sleep_until(time.monotonic() + 1.5)
    assert not let_in(server, account)
    server.prov(f"modifyAccount {account} status active")
    assert let_in(server, account)


def test_it_can_be_switched_off(server: Server, account: str) -> None:
    server.prov(f"modifyAccount {account} lockoutEnabled FALSE")
    fail(server, account, *"abcdefgh")
    assert let_in(server, account)


def test_a_known_source_is_let_in_during_a_lockout_that_others_caused(server: Server, account: str) -> None:
    assert let_in(server, account, HERE)
    known(server, account)
    fail(server, account, "a", "b", "c", source=AWAY)
    assert not let_in(server, account, AWAY)
    assert not let_in(server, account, FAR), "a network that was never seen is not spared"
    assert let_in(server, account, HERE)
    assert let_in(server, account, NEIGHBOUR), "the same /24"
    with Mail(server.ports["submission"]) as client:
        assert client.login(account).startswith("235")
    # It is spared no longer once it has a failure of its own.
    fail(server, account, "mistyped", source=HERE)
    assert not let_in(server, account, HERE)


def known(server: Server, account: str) -> None:
    """Waits until the good login is noted down: that happens behind its answer."""
    end = time.monotonic() + 10
    while "lastLogin: 2" not in server.prov(f"getAccount {account} lastLogin"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_known_source_that_caused_the_lockout_is_not_spared(server: Server, account: str) -> None:
    assert let_in(server, account, HERE)
    known(server, account)
    fail(server, account, "a", "b", source=AWAY)
    fail(server, account, "c", source=HERE)
    assert not let_in(server, account, HERE)


def test_sparing_can_be_switched_off(server: Server, account: str) -> None:
    server.prov(f"modifyAccount {account} lockoutSpareKnownSources FALSE")
    assert let_in(server, account, HERE)
    known(server, account)
    fail(server, account, "a", "b", "c", source=AWAY)
    assert not let_in(server, account, HERE)


def test_mail_goes_on_arriving_and_open_sessions_stay_open(server: Server, account: str) -> None:
    server.prov(f"selectMailbox {account} modifyFolderGrant /INBOX account sender@acme.test rwid")
    local = account.partition("@")[0]
    with Talk(server.ports["imap"], account) as session, Mail(server.ports["submission"]) as smtp:
        session.ok("SELECT INBOX")
        tag = session.idle()
        assert smtp.login(account).startswith("235")
        fail(server, account, "a", "b", "c", source=AWAY)
        fail(server, account, "d")
        assert not let_in(server, account)
        server.deliver(account, compose("a@elsewhere.test", account, "from outside"))
        session.until(b"* ", 10)
        session.done(tag)
        [sent] = smtp.send(account, ["sender@acme.test"], compose(account, "sender@acme.test", "from inside"))
        assert sent.startswith("250")
        with Talk(server.ports["imap"], "sender@acme.test") as delegate:
            delegate.ok(f'SELECT "Other Users/{local}/INBOX"')
            assert delegate.ok("UID SEARCH SUBJECT outside").lines[0] == session.ok("UID SEARCH SUBJECT outside").lines[0] != b"* SEARCH"
        with Mail(server.ports["mx"]) as client:
            assert client.send("a@elsewhere.test", [account], compose("a@elsewhere.test", account))[0].startswith("250")


def test_the_owner_is_told_by_mail_from_where_and_when(server: Server, account: str) -> None:
    with Talk(server.ports["imap"], account) as session:
        session.ok("SELECT INBOX")
        tag = session.idle()
        fail(server, account, "a", "b", source=AWAY)
        fail(server, account, "c", source=FAR)
        session.until(b"* 1 EXISTS", 10)
        session.done(tag)
        notice = session.ok("UID FETCH 1 (BODY[])").lines[0].decode()
        assert f"To: {account}" in notice or f"To: <{account}>" in notice
        assert notice.count("127.1.2.") == 2
        assert notice.count("127.9.9.") == 1
        assert time.strftime("%Y-%m-%d", time.gmtime()) in notice
        # One notice for one lockout, whatever is tried meanwhile.
        fail(server, account, "d", "e", "f", source=FAR)
        server.deliver(account, compose("a@elsewhere.test", account, "after it"))
        end = time.monotonic() + 10
        while session.ok("UID SEARCH SUBJECT after").lines[-1] != b"* SEARCH 2":
            assert time.monotonic() < end
        assert [line for line in session.ok("UID SEARCH ALL").lines if line.startswith(b"* SEARCH")] == [b"* SEARCH 1 2"]


def test_the_command_line_shows_until_when(server: Server, account: str) -> None:
    assert "status: active\n" in server.prov(f"getAccount {account} status")
    fail(server, account, "a", "b", "c")
    assert re.search(r"^status: lockout until (\S+ )?\d\d:\d\d$", server.prov(f"getAccount {account} status"), re.MULTILINE)


def test_it_outlasts_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Server(tmp_path_factory.mktemp("restart")) as server:
        server.people("lasting")
        server.prov("modifyAccount lasting@acme.test lockoutMaxFailures 3")
        fail(server, "lasting@acme.test", "a", "b")
        server.kill()
        server.start()
        # The repetition is known again too.
        fail(server, "lasting@acme.test", "a", "b")
        assert let_in(server, "lasting@acme.test", AWAY)
        fail(server, "lasting@acme.test", "c")
        server.kill()
        server.start()
        assert not let_in(server, "lasting@acme.test")


def test_nothing_tells_an_unknown_account_a_wrong_password_and_a_lockout_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Passwords that cost something to look at: so a login that does not look at one shows.
    with Server(tmp_path_factory.mktemp("alike"), {"password.memory": 64 << 20, "password.passes": 2}) as server:
        server.people("plain", "locked")
        server.prov("modifyAccount plain@acme.test lockoutMaxFailures 1000", "modifyAccount locked@acme.test lockoutMaxFailures 2")
        fail(server, "locked@acme.test", "a", "b", source=AWAY)
        tries = {
            "unknown account": ("nobody@acme.test", PASSWORD),
            "unknown domain": ("nobody@nowhere.test", PASSWORD),
            "no address": ("nobody", PASSWORD),
            "wrong password": ("plain@acme.test", "wrong {}"),
            "lockout, wrong password": ("locked@acme.test", "wrong {}"),
            "lockout, right password": ("locked@acme.test", PASSWORD),
        }
        took: dict[str, list[float]] = {what: [] for what in tries}
        answers = set()
        for number in range(5):
            for what, (name, password) in tries.items():
                with Talk(server.ports["imap"]) as session:
                    begun = time.perf_counter()
                    answers.add(unnamed(session.do(f'LOGIN {name} "{password.format(number)}"').tagged))
                    took[what].append(time.perf_counter() - begun)

        def smtp(which: tuple[str, str]) -> str:
            with Mail(server.ports["submission"]) as client:
                return client.login(*which)

        # At once, since each is answered late on purpose.
        with ThreadPoolExecutor(len(tries)) as threads:
            answers_smtp = set(threads.map(smtp, tries.values()))
    assert answers == {REFUSED}
    assert answers_smtp == {REFUSED_SMTP}
    # Coarsely: the fastest of each is the least disturbed.
    fastest = {what: min(times) for what, times in took.items()}
    usual = statistics.median(fastest.values())
    far = {what: f"{one * 1000:.1f} ms" for what, one in fastest.items()}
    assert all(usual * 0.65 < one < usual * 1.5 for one in fastest.values()), str(far)
