"""How the server starts, is told things by signals, and ends (interface.md sections 2 and 7; robustness.md section 5, F16)."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.live import ledger as books
from tests.live.forked import finished
from tests.live.hostile import Raw, imap, smtp
from tests.live.ledger import Ledger, Load
from tests.live.server import Server, compose, trusting
from tests.live.talk import Talk
from tests.live.verified import verified

USER = "user@acme.test"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the people in it, to be copied: making them takes longer than most tests here."""
    made = Server(tmp_path_factory.mktemp("furnished"))
    made.people("user", "sink")
    made.prov("modifyAccount user@acme.test delegatedSent none")
    return made.data


def copied(furnished: Path, directory: Path, settings: dict[str, object] | None = None) -> Server:
    made = Server(directory, settings)
    shutil.copytree(furnished, made.data, ignore=lambda place, names: [name for name in names if (Path(place) / name).is_socket()])
    return made


@pytest.fixture
def server(tmp_path: Path, furnished: Path) -> Iterator[Server]:
    with copied(furnished, tmp_path) as made:
        yield made


# --- the end


def test_sigterm_under_load_loses_nothing_and_ends_in_time(server: Server) -> None:
    ledger = Ledger()
    with Talk(server.ports["imap"], USER) as talk:
        talk.ok("CREATE Appended")
    inbox = ("sink@acme.test INBOX",)
    load = Load(
        [
            *(lambda: books.submitting(server, ledger, USER, ("sink@acme.test",), inbox) for _ in range(4)),
            lambda: books.handing_in(server, ledger, "sink@acme.test"),
            lambda: books.appending(server, ledger, USER, "Appended"),
        ]
    )
    with imap(server, USER) as idling, smtp(server, "mx") as waiting:
        idling.send(b"i IDLE\r\n")
        assert idling.line().startswith(b"+ ")
        load.begin()
        time.sleep(0.3)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 12, "who is idle or has a short command running is not waited for"
        load.end()
        assert idling.rest().startswith(b"* BYE ")
        assert waiting.rest().startswith(b"421 4.3.2 ")
    assert load.actions > 20
    log = server.log.read_text()
    assert "Traceback" not in log, log[-6000:]
    server.start()
    assert books.check(server, ledger) >= ledger.acknowledged
    verified(server)
    # What was not acknowledged was refused with a word or not answered; nobody was told a lie.
    assert all(books.is_gone(fault) or "421" in str(fault) or "BYE" in str(fault) for fault in load.faults), load.faults


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once(server: Server, number: signal.Signals) -> None:
    assert server.process is not None
    began = time.monotonic()
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 5
    for port in server.ports.values():
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 2)


def test_a_second_signal_while_it_drains_harms_nothing(server: Server) -> None:
    assert server.process is not None
    with smtp(server, "mx"):
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(30) == 0


def test_who_neither_reads_nor_leaves_does_not_keep_the_server(tmp_path: Path, furnished: Path) -> None:
    server = copied(furnished, tmp_path, {"limits.stop_timeout": "5s"})
    with server:
        with imap(server, USER) as raw:
            octets = b"Subject: big\r\n\r\n" + (b"x" * 98 + b"\r\n") * 100_000
            raw.send(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
            assert b"a OK" in raw.until(b"a")
        stuck = imap(server, USER, receive_buffer=4096)
        assert stuck.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        stuck.send(b"f FETCH 1 BODY[]\r\n" * 3)
        half = smtp(server, "mx")
        half.say(b"MAIL FROM:<x@elsewhere.test>")
        half.say(b"RCPT TO:<user@acme.test>")
        half.say(b"DATA")
        half.send(b"From: <x@elsewhere.test>\r\n\r\nhalf a message")
        shaking = Raw(server.ports["submissions"])
        unread = smtp(server, "lmtp", receive_buffer=4096)
        unread.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                unread.socket.sendall(b"MAIL FROM:<a@elsewhere.test>\r\n" + b"RCPT TO:<user@acme.test>\r\n" * 1_000 + b"RSET\r\n")
        began = time.monotonic()
        assert server.stop() == 0
        # All doors wait for their stragglers at the same time, not one after the other.
        assert time.monotonic() - began < 11
        for raw in (stuck, half, shaking, unread):
            raw.socket.close()


# --- SIGHUP


def make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = directory / "tls.pem", directory / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


def shown(port: int) -> str:
    """The common name of the certificate that a new handshake shows."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw, trusting().wrap_socket(raw) as secured:
        octets = secured.getpeercert(binary_form=True)
    assert octets is not None
    (name,) = x509.load_der_x509_certificate(octets).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def test_sighup_shows_the_new_certificate_to_new_handshakes_and_disturbs_nobody(tmp_path: Path, furnished: Path) -> None:
    certificate, key = make_certificate(tmp_path, "old.acme.test")
    server = copied(furnished, tmp_path, {"tls.certificate": str(certificate), "tls.key": str(key)})
    with server:
        assert server.process is not None
        doors = [server.ports[name] for name in ("imaps", "submissions")]
        assert [shown(port) for port in doors] == ["old.acme.test"] * 2
        with imap(server, USER, door="imaps") as before, imap(server, USER) as plain:
            make_certificate(tmp_path, "new.acme.test")
            assert shown(doors[0]) == "old.acme.test", "nobody asked for it yet"
            server.process.send_signal(signal.SIGHUP)
            until_shown(doors, "new.acme.test")
            assert before.do(b"a", b"NOOP").startswith(b"a OK")
            assert plain.do(b"a", b"NOOP").startswith(b"a OK")
            # STARTTLS shows it too.
            with smtp(server, "submission") as raw:
                assert raw.say(b"STARTTLS").startswith("220")
                raw.start_tls()
                assert isinstance(raw.socket, ssl.SSLSocket)
                octets = raw.socket.getpeercert(binary_form=True)
                assert octets is not None
                assert b"new.acme.test" in octets
            # A broken one is not taken; the server says so and goes on.
            key.write_text("no key")
            server.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 10
            while "stays as it was" not in server.log.read_text():
                assert time.monotonic() < end
                time.sleep(0.05)
            assert shown(doors[0]) == "new.acme.test"
            assert before.do(b"b", b"NOOP").startswith(b"b OK")


def until_shown(ports: list[int], name: str) -> None:
    end = time.monotonic() + 10
    while any(shown(port) != name for port in ports):
        assert time.monotonic() < end
        time.sleep(0.05)


# --- the beginning


def test_the_ready_file_is_whole_whenever_it_is_there_and_names_what_listens(tmp_path: Path) -> None:
    server = Server(tmp_path, {"listen.lmtp": ["127.0.0.1:0", f"unix:{tmp_path}/lmtp.sock"], "listen.mx": []})
    seen: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        path = tmp_path / "ready.json"
        while not stop.is_set():
            try:
                seen.append(path.read_text())
            except FileNotFoundError:
                pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with server:
            bound = json.loads((tmp_path / "ready.json").read_text())
            # Whoever sees it may connect, at once.
            for name in ("submission", "submissions", "lmtp", "imap", "imaps"):
                socket.create_connection(("127.0.0.1", int(bound[name][0].rpartition(":")[2])), 5).close()
    finally:
        stop.set()
        watcher.join()
    assert bound["mx"] == []
    assert bound["lmtp"][1] == f"unix:{tmp_path}/lmtp.sock"
    assert all(json.loads(one) == bound for one in seen)
    ports = [where[0].rpartition(":")[2] for where in bound.values() if where]
    assert "0" not in ports
    assert len(set(ports)) == len(ports)
    assert not (tmp_path / "ready.json.new").exists()


def test_lmtp_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    server = Server(tmp_path, {"listen.lmtp": [f"unix:{path}"]})
    for _ in range(2):
        server.start()
        assert path.stat().st_mode & 0o007 == 0
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(path))
            assert raw.recv(1000).startswith(b"220 ")
        # The socket of a server that was killed is no obstacle to the next.
        server.kill()
    server.start()
    assert server.stop() == 0
    assert not path.exists()


def start_in_vain(server: Server, *arguments: str, **environment: str) -> str:
    """What a start says that does not succeed."""
    root = Path(__file__).parents[2]
    whole = {**server.environment, "PYTHONPATH": str(root), **environment}
    done = finished([*server.command, "serve", *arguments], env=whole, seconds=60, cwd=server.directory)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_a_second_server_on_the_same_data_is_refused_and_the_first_goes_on(server: Server) -> None:
    assert server.process is not None
    said = start_in_vain(server)
    assert str(server.process.pid) in said
    assert str(server.data) in said
    assert len(said.splitlines()) == 1, said
    server.deliver(USER, compose("x@elsewhere.test", USER))
    assert len(server.messages(USER)) == 1


def test_an_address_that_is_taken_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(tmp_path, {"listen.imap": [f"127.0.0.1:{port}"]})
        said = start_in_vain(server)
        assert str(port) in said, said
        assert "in use" in said, said


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("--limits.bad_comands", "3"), {}, "limits.bad_comands"),
        ((), {"PROCURA_LIMITS__BAD_COMANDS": "3"}, "bad_comands"),
        ((), {"PROCURA_NO_SUCH_THING": "3"}, "no_such_thing"),
        ((), {"PROCURA_LIMITS__BAD_COMMANDS": "many"}, "limits.bad_commands"),
        ((), {"PROCURA_LIMITS__BAD_COMMANDS": "-1"}, "limits.bad_commands"),
        ((), {"PROCURA_LISTEN__IMAP": '["nowhere:99999"]'}, "listen.imap"),
        ((), {"PROCURA_LISTEN__IMAP": '["127.0.0.1:1143", "127.0.0.1:1143"]'}, "listen.imap"),
        ((), {"PROCURA_TLS__CERTIFICATE": "/nowhere.pem"}, "tls."),
        ((), {"PROCURA_RELAY": "http://x"}, "relay"),
        ((), {"PROCURA_STORE": "postgresql://x/y"}, "store"),
        ((), {"PROCURA_HOSTNAME": "a b"}, "hostname"),
        ((), {"PROCURA_LISTEN__IMAP": '["unix:/tmp/imap.sock"]'}, "listen.imap"),
        ((), {"PROCURA_DATA": "/dev/null/nowhere"}, "data"),
        ((), {"PROCURA_LIMITS__LOGIN_TIMEOUT": "soon"}, "limits.login_timeout"),
        ((), {"PROCURA_WORKERS": "99"}, "workers"),
        (("--config", "/nowhere.toml"), {}, "/nowhere.toml"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_setting_that_cannot_be_stops_the_start_with_its_name(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    server = Server(tmp_path)
    said = start_in_vain(server, *arguments, **environment)
    assert words in said.lower(), said
    assert len(said) < 1_000
    if arguments[:1] != ("--limits.bad_comands",):
        whole = {**server.environment, "PYTHONPATH": str(Path(__file__).parents[2]), **environment}
        done = finished([*server.command, "check", *arguments], env=whole, seconds=60, cwd=tmp_path)
        assert done.returncode == 1
        assert words in (done.stdout + done.stderr).lower()


def test_a_data_directory_that_cannot_be_made_stops_the_start_with_the_settings_name(tmp_path: Path) -> None:
    """Root may write everywhere, as far as access(2) says."""
    said = start_in_vain(Server(tmp_path), PROCURA_DATA="/proc/nowhere")
    assert said.startswith("ERROR: data: /proc/nowhere"), said


def test_an_unknown_setting_in_the_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text('hostname = "mx.acme.test"\n[limits]\nbad_comands = 3\n')
    said = start_in_vain(Server(tmp_path))
    assert "limits.bad_comands" in said, said


def test_check_is_content_with_what_a_server_runs_with(server: Server) -> None:
    done = server.run("check")
    assert "ERROR" not in done.stdout.upper().replace("0 ERRORS", "")


def test_data_is_for_its_owner_alone(server: Server) -> None:
    with Talk(server.ports["imap"], USER) as talk:
        talk.ok("APPEND INBOX", b"Subject: x\r\n\r\n" + b"y" * 300_000)
    assert server.data.stat().st_mode & 0o077 == 0
    for path in server.data.rglob("*"):
        if path.suffix == ".key" or path.is_socket():
            assert os.stat(path).st_mode & 0o077 == 0, path
