"""The table of limits is true: its values are the code's, every bound of the code that has a name of one is in it, and each has a test."""

from __future__ import annotations

import dataclasses
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from config.limits import FIXED, SETTINGS, page
from config.settings import names
from tests.conformance.table import exists

ROOT = Path(__file__).parents[2]
COVERED: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "covered.toml").read_text())

# Bounds on what is said, kept for speed, or answered by an administrator; and those of a row that says them all. None of them is a
# limit that somebody else meets.
ELSEWHERE = {
    "gateway/imap/grammar/search.py:MAX_ATTRIBUTES": "as notify's, of the same list",
    "gateway/imap/names.py:MAX_NORMALIZED": "a name longer than MAX_NAME_OCTETS in any form",
    "gateway/message/bounce.py:MOST_OCTETS": "of a report that came back, looked at for addresses",
    "gateway/message/bounce.py:MOST_RECIPIENTS": "of a report that came back",
    "gateway/message/calendar.py:MAX_ANSWER_OCTETS": "an answer that is larger is refused: tests/gateway/message/test_calendar.py",
    "gateway/message/calendar.py:MAX_CALENDARS": "a message with more is refused: tests/gateway/message/test_calendar.py",
    "gateway/message/dkim.py:MOST_NAMES": "of a signature that is judged",
    "gateway/message/dkim.py:MOST_TAGS": "of a signature that is judged",
    "gateway/message/itip.py:MAX_OCTETS_THAT_MATTER": "of a calendar that is judged",
    "gateway/message/kept.py:MAX_KEPT": "text that is kept to search faster",
    "gateway/message/preview.py:MAX_CHARACTERS": "what is said",
    "gateway/message/results.py:MOST": "fields of another server that go into a seal",
}

_FOR_SPEED = "what is remembered for speed: what was forgotten is asked again"
_TOLD = "how much of something is told or kept"
_OPERATORS = "what somebody types who administers; refused in words, see the tests of its file"
_OURS = "how we work, whoever asks"
ELSEWHERE |= {
    place: why
    for why, places in {
        _FOR_SPEED: (
            "gateway/imap/contexts.py:MAX_RUNS gateway/imap/handlers/whole.py:MOST gateway/imap/listed.py:LARGEST "
            "gateway/imap/told.py:LARGEST gateway/imap/view.py:LONGEST_QUESTION "
            "gateway/known_recipients.py:MOST gateway/own_senders.py:MOST gateway/relay.py:MOST_IDLE gateway/relay.py:MOST_STUMBLING "
            "store/owners.py:MOST gateway/imap/handlers/contexts.py:MOST_RESULTS"
        ),
        _TOLD: (
            "gateway/completion.py:MOST gateway/directory/grant_lists.py:MOST gateway/directory/grant_lists.py:MOST_LOOKED_AT "
            "gateway/directory/open_sessions.py:MOST_LOGINS gateway/directory/verification.py:MOST gateway/prov/commands.py:MOST_LISTED "
            "gateway/imap/responses.py:MAX_QUOTED gateway/imap/responses.py:MAX_TEXT gateway/imap/responses.py:MAX_RUNS "
            "gateway/list_mails.py:MOST_ATTACHED gateway/reports.py:MOST_HEADER gateway/list_commands.py:MOST_REASON policy/plan.py:MOST "
            "policy/plan.py:MOST_TOLD policy/domain_limits.py:MOST_RECIPIENTS store/list_bounces.py:MOST_REASON store/queue.py:MAX_REPLY "
            "gateway/login.py:MOST_NOTED gateway/loginhistory.py:MOST gateway/sources.py:MOST "
            "gateway/message/results.py:LONGEST store/changes.py:MOST_RUNS"
        ),
        _OPERATORS: (
            "gateway/directory/app_passwords.py:LONGEST_NAME gateway/directory/app_passwords.py:MOST_NETWORKS "
            "gateway/directory/breakglass.py:MOST_REASON gateway/directory/first_access.py:LONGEST "
            "gateway/directory/password_rules.py:LONGEST_HISTORY gateway/directory/policy_data.py:MOST_CHANGES "
            "gateway/directory/shares.py:MOST_MEMBERS gateway/directory/shares.py:MOST_FOLDERS gateway/directory/signing_keys.py:MOST_KEYS "
            "gateway/cli.py:MOST_TEXT policy/breakglass.py:LONGEST policy/cos.py:LONGEST_WINDOW policy/document.py:LARGEST "
            "policy/people.py:LONGEST policy/people.py:LONGEST_NAME policy/rates.py:LONGEST policy/rates.py:MOST"
        ),
        _OURS: (
            "gateway/authenticating.py:MOST_DIGESTS gateway/changes.py:LONGEST gateway/folders/judging.py:LONGEST_PAUSE "
            "gateway/outgoing.py:LONGEST_INITIAL gateway/outgoing.py:MOST_CHALLENGES gateway/policies.py:MOST_ADDRESSES "
            "gateway/relay.py:MOST_MESSAGES gateway/sasl/initiator.py:MOST_ITERATIONS gateway/sessions.py:LONGEST_WAIT "
            "gateway/signing.py:MOST_DOMAINS gateway/sts.py:LONGEST gateway/supervisor.py:LONGEST_PAUSE store/channel.py:LARGEST "
            "store/foreseen.py:MOST store/migrate.py:LONGEST store/postgres.py:MOST_DEEDS store/queue.py:MOST_DESTINATIONS "
            "store/sqlite.py:MOST_IN_PLACE"
        ),
    }.items()
    for place in places.split()
}


def test_the_settings_that_bound_something_are_all_there() -> None:
    settings = names()
    assert [name for name in SETTINGS if name not in settings] == []
    assert [name for name in settings if name.startswith("limits.") and name not in SETTINGS] == []


def test_each_limit_has_a_name_of_its_own_and_tests_and_nothing_else_has() -> None:
    rows = [*SETTINGS, *(one.name for one in FIXED)]
    assert len(rows) == len(set(rows))
    assert [name for name in rows if not COVERED.get(name)] == [], "limits without a test"
    assert [name for name in COVERED if name not in rows] == [], "tests of no limit"


@pytest.mark.parametrize("name", COVERED)
def test_its_tests_exist(name: str) -> None:
    assert [place for place in COVERED[name] if not exists(place)] == []


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_the_value_is_the_codes(row: object) -> None:
    assert dataclasses.is_dataclass(row)
    file, _, name = row.where.partition(":")  # type: ignore[attr-defined]
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    holder, _, last = name.rpartition(".")
    if holder:
        defaults = {field.name: field.default for field in dataclasses.fields(getattr(module, holder))}
        assert row.value == defaults[last]  # type: ignore[attr-defined]
    else:
        assert row.value == getattr(module, name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_kept_where_it_is_said_to_be(name: str) -> None:
    assert exists(SETTINGS[name][0])


def test_no_bound_of_the_code_is_missing() -> None:
    said = {one.where for one in FIXED} | ELSEWHERE.keys()
    missing = []
    for room in ("gateway", "policy", "store"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for found in re.finditer(r"^((?:MAX|MOST|LARGEST|LONGEST)\w*)(?:: Final)? =", path.read_text(), re.MULTILINE):
                where = f"{path.relative_to(ROOT)}:{found[1]}"
                if where not in said:
                    missing.append(where)
    assert missing == [], "a row in config/limits.py with its tests, or a reason in ELSEWHERE"


def test_what_is_said_to_be_elsewhere_exists() -> None:
    for where in ELSEWHERE:
        file, _, name = where.partition(":")
        assert hasattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name), where


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "config" / "LIMITS.md").read_text() == "\n".join(page()) + "\n", "python -m config.limits > config/LIMITS.md"
