"""What a class of service can set, and how its values are inherited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cos import (
    ATTRIBUTES,
    BY_NAME,
    DEFAULTS,
    DelegatedSent,
    DelegatedTrash,
    ServiceValues,
    UnauthorisedFrom,
    WhenLocked,
    resolve,
)
from policy.rates import Rate


def test_the_defaults_are_those_of_the_rules() -> None:
    assert (
        resolve()
        == DEFAULTS
        == ServiceValues(
            lockout_enabled=True,
            lockout_max_failures=10,
            lockout_failure_lifetime=3600,
            lockout_duration=3600,
            lockout_spare_known_sources=True,
            delegation_when_locked=WhenLocked.NONE,
            delegated_sent=DelegatedSent.OWNER,
            delegated_trash=DelegatedTrash.ACTOR,
            unauthorised_from=UnauthorisedFrom.REFUSE,
            allow_resend=False,
            allow_any_from=False,
            allow_from_addresses=(),
            delegated_sender_addresses=(),
            quota=0,
            quota_warn_percent=90,
            quota_warn_interval=86400,
            quota_warn_message="",
            password_min_length=6,
            password_min_upper_case_chars=0,
            password_min_lower_case_chars=0,
            password_min_numeric_chars=0,
            password_min_punctuation_chars=0,
            password_min_digits_or_puncs=0,
            password_max_age=0,
            password_min_age=0,
            password_enforce_history=0,
            password_block_common_enabled=False,
            undo_window=0,
            send_rate=Rate(),
            send_recipient_rate=Rate(),
            delegated_send_rate=Rate(),
            delegated_send_recipient_rate=Rate(),
            grant_warn_before=604800,
        )
    )


READ = [
    ("zimbraPasswordMinLength", "12", 12),
    ("passwordMaxAge", "90", 90),
    ("zimbraPasswordEnforceHistory", "5", 5),
    ("zimbraPasswordBlockCommonEnabled", "TRUE", True),
    ("lockoutEnabled", "false", False),
    ("lockoutMaxFailures", "3", 3),
    ("lockoutDuration", "15m", 900),
    ("lockoutDuration", "0", 0),
    ("lockoutDuration", "90", 90),
    ("lockoutFailureLifetime", "7d", 604800),
    ("zimbraPasswordLockoutDuration", "1h", 3600),
    ("delegationWhenLocked", "READ", WhenLocked.READ),
    ("zimbraPrefDelegatedSendSaveTarget", "both", DelegatedSent.BOTH),
    ("unauthorisedFrom", "rewrite", UnauthorisedFrom.REWRITE),
    ("zimbraMailQuota", "100m", 104857600),
    ("quota", "2G", 2147483648),
    ("zimbraQuotaWarnPercent", "75", 75),
    ("quotaWarnPercent", "0", 0),
    ("zimbraQuotaWarnInterval", "7d", 604800),
    ("zimbraQuotaWarnMessage", "Soon full: ${QUOTA_MB}", "Soon full: ${QUOTA_MB}"),
    ("allowFromAddresses", "a@far.test, b@far.test", ("a@far.test", "b@far.test")),
    ("ZIMBRAALLOWANYFROMADDRESS", "TRUE", True),
    ("undoWindow", "30s", 30),
    ("undoWindow", "7d", 604800),
    ("sendRate", "200/1h", Rate(200, 3600)),
    ("sendRecipientRate", "0", Rate()),
    ("delegatedSendRate", "5/m", Rate(5, 60)),
    ("delegatedSendRecipientRate", "10 / 90", Rate(10, 90)),
]


@pytest.mark.parametrize(("name", "text", "value"), READ)
def test_values_are_read_under_all_their_names(name: str, text: str, value: object) -> None:
    assert BY_NAME[name.lower()].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lockoutEnabled", "maybe"),
        ("lockoutMaxFailures", "-1"),
        ("lockoutMaxFailures", "²"),
        ("lockoutDuration", "h"),
        ("quotaWarnPercent", "101"),
        ("quotaWarnPercent", "-1"),
        ("quotaWarnPercent", "90%"),
        ("quotaWarnMessage", "x" * 4097),
        ("quota", "1x"),
        ("delegatedSent", "me"),
        ("quota", "9" * 19),
        ("undoWindow", "8d"),
        ("sendRate", "many"),
    ],
)
def test_what_cannot_be_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError):
        BY_NAME[name.lower()].parse(text)


def test_the_accounts_own_value_wins_and_an_empty_one_restores_the_inherited() -> None:
    cos = {"quota": "100", "lockout_max_failures": "5"}
    assert resolve({"quota": "7"}, cos).quota == 7
    assert resolve({"quota": "7"}, cos).lockout_max_failures == 5
    assert resolve({"quota": ""}, cos).quota == 100
    assert resolve({"quota": "rubbish"}, cos).quota == 100


def test_no_name_means_two_values() -> None:
    names = [name.lower() for one in ATTRIBUTES for name in {one.name, one.field, *one.synonyms}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda one: one.name)
def test_what_is_spelled_reads_back(attribute: object) -> None:
    assert attribute.parse(attribute.spell(getattr(DEFAULTS, attribute.field))) == getattr(DEFAULTS, attribute.field)  # type: ignore[attr-defined]


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    for attribute in ATTRIBUTES:
        try:
            value = attribute.parse(text)
        except ValueError:
            continue
        assert attribute.parse(attribute.spell(value)) == value
