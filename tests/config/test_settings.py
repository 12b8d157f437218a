"""Every setting has a type, a default that fits it and a sentence; none can be changed or misspelled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import Group, Limits, Listen, Settings, names

# interface.md, section 2: name and default. Settings of doors that do not exist yet are absent.
PROMISED = {
    "data": "var",
    "store": "sqlite:///{data}/procura.db",
    "listen.submission": ["127.0.0.1:1587"],
    "listen.submissions": ["127.0.0.1:1465"],
    "listen.lmtp": ["127.0.0.1:1024"],
    "lmtp_networks": ["127.0.0.0/8", "::1/128"],
    "listen.mx": [],
    "listen.imap": ["127.0.0.1:1143"],
    "listen.imaps": ["127.0.0.1:1993"],
    "tls.certificate": None,
    "tls.key": None,
    "auth.plaintext": False,
    "relay": None,
    "workers": 1,
    "limits.exempt_networks": ["127.0.0.0/8", "::1/128"],
    "imap.shared_prefix": "Other Users/",
    "bare_newline": "refuse",
    "closed_reply": "5.2.1",
    "quota_full": "defer",
    "limits.failed_logins_per_source": 50,
    "limits.failed_logins_window": "10m",
}


@pytest.mark.parametrize(("name", "default"), PROMISED.items())
def test_the_default_is_the_promised_one(name: str, default: object) -> None:
    value: object = Settings().model_dump(mode="json")
    for part in name.split("."):
        assert isinstance(value, dict)
        value = value[part]
    assert value == default


@pytest.mark.parametrize("name", names())
def test_a_setting_has_a_sentence(name: str) -> None:
    sentence = names()[name].description
    assert sentence
    assert sentence.endswith(".")
    assert len(sentence.split()) >= 4


@pytest.mark.parametrize("name", names())
def test_a_setting_has_no_bound_twice(name: str) -> None:
    # Of two bounds of one kind pydantic keeps one, silently.
    kinds = Counter(type(bound).__name__ for bound in names()[name].metadata)
    assert not {kind for kind, times in kinds.items() if times > 1 and kind in {"Ge", "Gt", "Le", "Lt", "MinLen"}}


def test_a_setting_that_does_not_exist_is_refused() -> None:
    for build in (lambda: Settings(nonsense=1), lambda: Settings(listen={"pop3": []}), lambda: Limits(nonsense=1)):  # type: ignore[call-arg, arg-type]
        with pytest.raises(ValidationError):
            build()


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.workers = 2
    with pytest.raises(ValidationError):
        settings.limits.recipients = 2


def test_settings_built_by_hand_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCURA_WORKERS", "7")
    assert Settings().workers == 1


def test_the_store_is_in_the_data_directory() -> None:
    assert Settings(data=Path("/var/lib/procura")).store_url == "sqlite:////var/lib/procura/procura.db"


def test_groups_are_frozen_and_closed() -> None:
    for group in Group.__subclasses__():
        assert group.model_config["frozen"]
        assert group.model_config["extra"] == "forbid"


def test_lists_are_read_as_json_or_as_words() -> None:
    one = Listen(imap='["127.0.0.1:1", "unix:/x"]')  # type: ignore[arg-type]
    other = Listen(imap="127.0.0.1:1, unix:/x")  # type: ignore[arg-type]
    assert one == other
    assert Listen(imap="").imap == ()  # type: ignore[arg-type]
