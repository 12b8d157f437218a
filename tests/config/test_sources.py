"""The order of the sources, where a value came from, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.sources import Loaded, SettingsError, load


def problems(overrides: dict[str, object], environ: dict[str, str], cwd: Path) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(overrides, environ, cwd)
    return {problem.setting: str(problem) for problem in caught.value.problems}


def layered(cwd: Path, *layers: str) -> Loaded:
    """Each layer named sets queue.concurrency to its own number."""
    secrets = cwd / "secrets"
    secrets.mkdir(exist_ok=True)
    if "secret" in layers:
        (secrets / "queue__concurrency").write_text("3\n")
    if "file" in layers:
        (cwd / "procura.toml").write_text("[queue]\nconcurrency = 4\n")
    overrides = {"queue.concurrency": 1} if "command line" in layers else {}
    environ = {"PROCURA_QUEUE__CONCURRENCY": "2"} if "environment" in layers else {}
    return load({**overrides, "secrets_dir": "secrets"}, environ, cwd)


ORDER = ("command line", "environment", "secret", "file")


@pytest.mark.parametrize("first", range(4))
def test_the_first_source_in_the_order_counts(first: int, tmp_path: Path) -> None:
    loaded = layered(tmp_path, *ORDER[first:])
    assert loaded.settings.queue.concurrency == first + 1
    assert loaded.origins["queue.concurrency"].startswith(ORDER[first])


def test_without_a_source_the_default_counts(tmp_path: Path) -> None:
    loaded = load({}, {}, tmp_path)
    assert loaded.settings.queue.concurrency == 50
    assert set(loaded.origins.values()) == {"default"}


def test_sources_are_joined_name_by_name(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text('[listen]\nimap = ["127.0.0.1:1"]\nmx = ["127.0.0.1:2"]\n')
    loaded = load({}, {"PROCURA_LISTEN__IMAP": "[]"}, tmp_path)
    assert loaded.settings.listen.imap == ()
    assert str(loaded.settings.listen.mx[0]) == "127.0.0.1:2"
    assert loaded.origins["listen.imap"] == "environment PROCURA_LISTEN__IMAP"
    assert loaded.origins["listen.mx"] == f"file {tmp_path / 'procura.toml'}"


def test_the_benchmarks_environment_is_read(tmp_path: Path) -> None:
    environ = {
        "PROCURA_DATA": str(tmp_path / "data"),
        "PROCURA_AUTH__PLAINTEXT": "true",
        "PROCURA_WORKERS": "1",
        "PROCURA_HOSTNAME": "bench.test",
        "PROCURA_LISTEN__SUBMISSION": '["127.0.0.1:0"]',
        "PROCURA_LISTEN__ADMIN": "[]",
        "PROCURA_LISTEN__IMAPS": "[]",
        "HOME": "/nowhere",
    }
    settings = load({}, environ, tmp_path).settings
    assert settings.auth.plaintext
    assert settings.listen.imaps == ()
    assert [str(address) for address in settings.listen.submission] == ["127.0.0.1:0"]


@pytest.mark.parametrize(("overrides", "environ"), [({"config": "other.toml"}, {}), ({}, {"PROCURA_CONFIG": "other.toml"})])
def test_the_file_can_be_named(overrides: dict[str, object], environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text("workers = 8\n")
    (tmp_path / "other.toml").write_text("workers = 9\n")
    assert load(overrides, environ, tmp_path).settings.workers == 9


def test_a_named_file_that_is_missing_is_told(tmp_path: Path) -> None:
    assert "there is no file" in problems({"config": "other.toml"}, {}, tmp_path)["config"]


@pytest.mark.parametrize("octets", [b"workers = ", b"workers = 1\nworkers = 2", b"\xff", b"a=" + b"[" * 5_000])
def test_a_file_that_is_no_toml_is_told(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_bytes(octets)
    assert "procura.toml is not" in problems({}, {}, tmp_path)["config"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").mkdir()
    assert "cannot read" in problems({}, {}, tmp_path)["config"]


def test_the_secrets_directory_can_be_named_anywhere(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "relay").write_text("smtp://anna:hush@smarthost\n")
    (tmp_path / "s" / "of_another_program").write_text("x")
    (tmp_path / "procura.toml").write_text('secrets_dir = "s"\n')
    for overrides, environ in (({"secrets_dir": "s"}, {}), ({}, {"PROCURA_SECRETS_DIR": "s"}), ({}, {})):
        relay = load(overrides, environ, tmp_path).settings.relay
        assert relay is not None
        assert relay.password is not None
        assert relay.password.get_secret_value() == "hush"


@pytest.mark.parametrize(("octets", "told"), [(b"\xff", "not UTF-8"), (b"x" * 70_000, "longer than")])
def test_a_secret_that_cannot_be_used_is_told_without_it(octets: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "relay").write_bytes(octets)
    assert told in problems({"secrets_dir": "."}, {}, tmp_path)["relay"]


def test_a_missing_secrets_directory_is_told(tmp_path: Path) -> None:
    assert "cannot read" in problems({"secrets_dir": "nowhere"}, {}, tmp_path)["secrets_dir"]


@pytest.mark.parametrize(
    ("variable", "setting", "told"),
    [
        ("PROCURA_RELY", "rely", "there is no such setting; did you mean relay?"),
        ("PROCURA_LISTEN__POP3", "listen.pop3", "there is no such setting"),
        ("PROCURA_LISTEN", "listen", "is a group of settings; set listen.<name>"),
        ("PROCURA_A__B__C", "a.b.c", "there is no such setting"),
        ("PROCURA_LISTEN__IMAP__X", "listen.imap.x", "there is no such setting"),
        ("procura_rely", "rely", "there is no such setting"),
        ("PROCURA_", "", "there is no such setting"),
    ],
)
def test_an_unknown_variable_is_told_by_name(variable: str, setting: str, told: str, tmp_path: Path) -> None:
    message = problems({}, {variable: "x"}, tmp_path)[setting]
    assert told in message
    assert f"environment {variable}" in message


def test_an_unknown_name_in_the_file_or_on_the_command_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text("nonsense = 1\n[limits]\nrecipient = 5\n[tls.key]\nx = 1\n")
    told = problems({"listen.imapz": "x"}, {}, tmp_path)
    assert told.keys() == {"nonsense", "limits.recipient", "tls.key", "listen.imapz"}
    assert "did you mean limits.recipients?" in told["limits.recipient"]
    assert "must be a path" in told["tls.key"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("workers", "many", "must be a whole number"),
        ("workers", "0", "must be at least 1"),
        ("auth.plaintext", "perhaps", "must be true or false"),
        ("log.level", "loud", "must be one of 'debug', 'info', 'warning' or 'error'"),
        ("listen.imap", '["127.0.0.1"]', "'127.0.0.1' needs a port"),
        ("listen.imap", '["127.0.0.1:1"', "is no list"),
        ("lmtp_networks", "10.0.0.1/8", "has host bits set"),
        ("limits.message_size", "50 MB", "must be a size"),
        ("limits.smtp_line", "100", "must be at least 512"),
        ("queue.lifetime", "soon", "must be a duration"),
        ("queue.lifetime", "0", "must be more than 0"),
        ("queue.retries", "[]", "must not be empty"),
        ("queue.retries", "1m,soon", "must be a duration"),
        ("relay", "http://smarthost", "must begin with smtp:// or smtps://"),
        ("password.lanes", "65", "must be at most 64"),
    ],
)
def test_a_value_that_cannot_be_is_told_in_words(name: str, value: str, told: str, tmp_path: Path) -> None:
    variable = "PROCURA_" + name.upper().replace(".", "__")
    message = problems({}, {variable: value}, tmp_path)[name]
    assert told in message
    assert message.endswith(f"(from environment {variable})")
    assert "pydantic" not in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text("nonsense = 1\nworkers = 'x'\n")
    told = problems({"log.level": "loud"}, {"PROCURA_LISTEN__IMAP": "x", "PROCURA_RELY": "y"}, tmp_path)
    assert told.keys() == {"nonsense", "workers", "log.level", "listen.imap", "rely"}


def test_paths_hold_wherever_the_process_goes(tmp_path: Path) -> None:
    settings = load({"tls.certificate": "c.pem", "tls.key": "/k.pem", "secrets_dir": "."}, {}, tmp_path).settings
    assert settings.data == tmp_path / "var"
    assert settings.tls.certificate == tmp_path / "c.pem"
    assert settings.tls.key == Path("/k.pem")
    assert settings.secrets_dir == tmp_path
    assert settings.store_url == f"sqlite:///{tmp_path}/var/procura.db"


@given(st.dictionaries(st.text(alphabet="ABLISTENREYW_ü ", max_size=12).map("PROCURA_{}".format), st.text(max_size=8), max_size=4))
def test_any_environment_is_settings_or_the_one_error(environ: dict[str, str]) -> None:
    try:
        load({}, environ, Path("/nonexistent"))
    except SettingsError as fault:
        assert fault.problems
