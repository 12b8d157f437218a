"""What can be known of the container without an engine: paths exist, the installation is the Makefile's, nobody is root."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.check import Severity, check
from config.sources import load

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = re.sub(r"\\\n\s*", "", (ROOT / "docker" / "Containerfile").read_text())
INSTRUCTIONS = [line.split(maxsplit=1) for line in CONTAINERFILE.splitlines() if line and not line.startswith("#")]


def values(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def environment() -> dict[str, str]:
    return dict(re.findall(r"([A-Z_]+)=(\S+)", " ".join(values("ENV"))))


def pip_installs(text: str) -> list[str]:
    """The arguments of every `pip install`, except whether the project is installed editable."""
    found = re.findall(r"-m pip (.*?\binstall\b.*?)(?:&&|;|$)", text, re.MULTILINE)
    return [re.sub(r"--editable ", "", " ".join(arguments.split())) for arguments in found if "uninstall" not in arguments]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_container_installs_as_make_setup_does() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert len(pip_installs(told)) == 2
    assert pip_installs(CONTAINERFILE) == pip_installs(told)


def test_what_is_copied_exists() -> None:
    copied = [source for rest in values("COPY") if not rest.startswith("--from=") for source in rest.split()[:-1]]
    assert {"config/", "gateway/", "policy/", "store/"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_what_is_copied_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [source.strip("/").split("/")[0] for rest in values("COPY") if not rest.startswith("--from=") for source in rest.split()[:-1]]
    assert not set(ignored) & set(copied)


def test_it_serves_as_a_user_without_privileges() -> None:
    assert values("USER") == ["procura"]
    assert json.loads(values("ENTRYPOINT")[0]) == ["procura"]
    assert json.loads(values("CMD")[0]) == ["serve"]
    order = [instruction for instruction, _ in INSTRUCTIONS]
    assert order.index("USER") < order.index("ENTRYPOINT")


def test_its_settings_are_settings_without_contradiction(tmp_path: Path) -> None:
    environ = {name: value for name, value in environment().items() if name.startswith("PROCURA_")}
    assert environ["PROCURA_DATA"] in values("VOLUME")
    loaded = load({"data": str(tmp_path / "data"), "hostname": "mail.example.org"}, environ, tmp_path)
    assert [finding for finding in check(loaded.settings) if finding.severity is Severity.ERROR] == []
    ports = {str(address.port) for addresses in dict(loaded.settings.listen).values() for address in addresses if not address.loopback}
    assert ports == set(values("EXPOSE")[0].split())


def test_the_compose_file_publishes_ports_that_are_exposed() -> None:
    compose = (ROOT / "docker" / "compose.yaml").read_text()
    published = re.findall(r'"[0-9]+:([0-9]+)"', compose)
    assert published
    assert set(published) <= set(values("EXPOSE")[0].split())
    assert re.search(r"dockerfile: (\S+)", compose)[1] == "docker/Containerfile"  # type: ignore[index]
    assert "data:" + environment()["PROCURA_DATA"] in compose


def test_the_compose_file_for_postgresql_names_the_database_that_it_makes(tmp_path: Path) -> None:
    more = (ROOT / "docker" / "compose.postgresql.yaml").read_text()
    url = re.sub(r"\$\{DATABASE_PASSWORD:[^}]*\}", "secret1", re.search(r"PROCURA_STORE: (\S+.*)", more)[1])  # type: ignore[index]
    made = dict(re.findall(r"(POSTGRES_[A-Z_]+): (\S+)", more))
    parts = urlsplit(url)
    assert (parts.username, parts.path) == (made["POSTGRES_USER"], "/" + made["POSTGRES_DB"])
    assert f"\n  {parts.hostname}:\n    image: postgres:" in more
    loaded = load({"data": str(tmp_path / "data"), "hostname": "mail.example.org", "store": url}, {}, tmp_path)
    assert [finding for finding in check(loaded.settings) if finding.severity is Severity.ERROR] == []
    assert "--encoding=UTF8" in more, "what the store asks of a server"
    # What it adds to is in the other file.
    assert "\n  procura:\n" in (ROOT / "docker" / "compose.yaml").read_text()


def test_the_health_check_asks_ports_that_are_open() -> None:
    command = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[1].endswith("/healthcheck.py")
    assert {argument.rpartition(":")[2] for argument in command[2:]} <= set(values("EXPOSE")[0].split())


def greeted(protocol: str, greeting: bytes) -> int:
    """Exit status of the health check against a listener that sends this greeting and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"{protocol}=127.0.0.1:{server.getsockname()[1]}"
        status = subprocess.run([sys.executable, ROOT / "docker" / "healthcheck.py", address], capture_output=True, timeout=20).returncode
        thread.join()
    return status


@pytest.mark.parametrize(
    ("protocol", "greeting", "status"),
    [
        ("smtp", b"220 mail.example.org ESMTP\r\n", 0),
        ("imap", b"* OK ready\r\n", 0),
        ("smtp", b"421 4.3.2 later\r\n", 1),
        ("imap", b"* BYE later\r\n", 1),
        ("imap", b"", 1),
    ],
)
def test_the_health_check_reads_the_greeting(protocol: str, greeting: bytes, status: int) -> None:
    assert greeted(protocol, greeting) == status


def test_the_health_check_fails_when_nothing_listens_and_when_asked_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for argument, status in ((f"imap=127.0.0.1:{port}", 1), ("pop3=127.0.0.1:110", 2), ("imap", 2)):
        done = subprocess.run([sys.executable, ROOT / "docker" / "healthcheck.py", argument], capture_output=True, timeout=20)
        assert done.returncode == status
