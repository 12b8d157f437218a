"""Attributes by their plain names and Carbonio's, and what is wrong with a value told by its name."""

import pytest

from gateway.directory.faults import Fault
from gateway.prov.attributes import account_changes, cos_changes, domain_changes, list_changes
from policy.status import AccountStatus, DomainStatus


def test_plain_names_and_synonyms_in_any_case_mean_the_same() -> None:
    plain = [("status", "locked"), ("quota", "5m"), ("delegatedSent", "both"), ("lockoutDuration", "15m")]
    carbonio = [
        ("zimbraAccountStatus", "LOCKED"),
        ("ZIMBRAMAILQUOTA", "5m"),
        ("zimbraPrefDelegatedSendSaveTarget", "both"),
        ("zimbraPasswordLockoutDuration", "15m"),
    ]
    assert account_changes(plain) == account_changes(carbonio)
    assert account_changes(plain).status is AccountStatus.LOCKED
    assert account_changes(plain).values == {"quota": "5m", "delegated_sent": "both", "lockout_duration": "15m"}


def test_an_empty_value_restores() -> None:
    changes = account_changes([("quota", ""), ("cos", ""), ("zimbraAllowFromAddress", "")])
    assert changes.values == {"quota": "", "allow_from_addresses": ""}
    assert changes.cos == ""


def test_a_list_is_written_at_once_or_item_by_item() -> None:
    at_once = account_changes([("allowFromAddresses", "a@x.test b@x.test")])
    by_item = account_changes([("zimbraAllowFromAddress", "a@x.test"), ("zimbraAllowFromAddress", "b@x.test")])
    assert at_once == by_item
    assert at_once.values == {"allow_from_addresses": "a@x.test, b@x.test"}


def test_plus_and_minus_start_from_what_there_is() -> None:
    now = {"allow_from_addresses": "a@x.test, b@x.test"}
    assert account_changes([("+allowFromAddresses", "c@x.test")], now).values == {"allow_from_addresses": "a@x.test, b@x.test, c@x.test"}
    assert account_changes([("-allowFromAddresses", "A@x.test")], now).values == {"allow_from_addresses": "b@x.test"}
    both = account_changes([("+allowFromAddresses", "c@x.test"), ("-allowFromAddresses", "a@x.test")], now)
    assert both.values == {"allow_from_addresses": "b@x.test, c@x.test"}
    assert list_changes([("+owner", "b@x.test")], ["a@x.test"]).owners == ["a@x.test", "b@x.test"]
    assert list_changes([("owner", "")], ["a@x.test"]).owners == []


def test_what_a_domain_a_cos_and_a_list_have() -> None:
    domain = domain_changes([("zimbraDomainStatus", "suspended"), ("maxAccounts", "5"), ("delimiter", "-"), ("note", "n")])
    assert (domain.status, domain.max_accounts, domain.delimiter, domain.note) == (DomainStatus.SUSPENDED, 5, "-", "n")
    assert cos_changes([("lockoutMaxFailures", "3"), ("note", "n")]) == ({"lockout_max_failures": "3"}, "n")
    assert list_changes([("subscriptionPolicy", "APPROVAL")]).attributes == {"subscriptionPolicy": "approval"}


@pytest.mark.parametrize(
    ("read", "name", "value", "said"),
    [
        (account_changes, "frobnicate", "1", "account.INVALID_ATTR_NAME (invalid attr name: frobnicate)"),
        (account_changes, "+quota", "1", "account.INVALID_ATTR_NAME"),
        (account_changes, "maxAccounts", "1", "account.INVALID_ATTR_NAME"),
        (account_changes, "status", "lockout", "account.INVALID_ATTR_VALUE (invalid attr value: status - lockout (must be one of active,"),
        (account_changes, "mustChangePassword", "maybe", "account.INVALID_ATTR_VALUE"),
        (account_changes, "displayName", "a\nb", "account.INVALID_ATTR_VALUE"),
        (account_changes, "displayName", "x" * 5000, "account.INVALID_ATTR_VALUE"),
        (domain_changes, "status", "pending", "account.INVALID_ATTR_VALUE"),
        (domain_changes, "maxAccounts", "-1", "account.INVALID_ATTR_VALUE"),
        (domain_changes, "quota", "1", "account.INVALID_ATTR_NAME"),
        (list_changes, "subscriptionPolicy", "sometimes", "account.INVALID_ATTR_VALUE"),
        (list_changes, "quota", "1", "account.INVALID_ATTR_NAME"),
        (cos_changes, "status", "locked", "account.INVALID_ATTR_NAME"),
    ],
)
def test_what_cannot_be_is_named(read: object, name: str, value: str, said: str) -> None:
    assert callable(read)
    with pytest.raises(Fault) as refused:
        read([(name, value)])
    assert str(refused.value).startswith(said)
