"""What a class of service can set: the values, their defaults, and the names administrators know them by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from policy.rates import UNLIMITED, Rate, read_rate

LONGEST_WINDOW: Final = 7 * 86400
"""Seconds: a recall window is for second thoughts, not for calendars (FUTURERELEASE is)."""


class WhenLocked(StrEnum):
    """What delegates may still do while the owner is `locked`."""

    NONE = "none"
    READ = "read"
    FULL = "full"


class DelegatedSent(StrEnum):
    """Whose Sent gets the copy of a delegated message (delegation.md section 6)."""

    OWNER = "owner"
    SENDER = "sender"
    BOTH = "both"
    NONE = "none"


class DelegatedTrash(StrEnum):
    """Where a message goes that a delegate moves from a shared folder to the own Trash (delegation.md section 2)."""

    ACTOR = "actor"
    OWNER = "owner"


class UnauthorisedFrom(StrEnum):
    """What becomes of a From that the actor may not use: a refusal, or (Carbonio's way) From: the actor."""

    REFUSE = "refuse"
    REWRITE = "rewrite"


class DelegationDigest(StrEnum):
    """How often an owner is told by mail what others did in the own mailbox."""

    WEEKLY = "weekly"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ServiceValues:
    """The resolved values of one account: its own, else its class of service's, else these defaults.

    Durations in seconds, sizes in octets; 0 means unlimited for `quota`, "does not end by itself" for `lockout_duration` and "nobody is
    warned" for `quota_warn_percent`. `quota_warn_message`: the text of the warning, "" the usual one. Ages of passwords
    in days, 0: any.
    `undo_window`: seconds that mail which others send in this account's name waits, 0: none. `send_rate` and `send_recipient_rate`
    limit the account as an actor, `delegated_send_rate` and `delegated_send_recipient_rate` each actor in this account's name.
    `totp_required`: the own password is not enough, whether there is a second factor yet or not. `grant_warn_before`: how long before
    something that the account granted ends by itself it is announced, 0 never.
    """

    lockout_enabled: bool = True
    lockout_max_failures: int = 10
    lockout_failure_lifetime: int = 3600
    lockout_duration: int = 3600
    lockout_spare_known_sources: bool = True
    delegation_when_locked: WhenLocked = WhenLocked.NONE
    delegated_sent: DelegatedSent = DelegatedSent.OWNER
    delegated_trash: DelegatedTrash = DelegatedTrash.ACTOR
    unauthorised_from: UnauthorisedFrom = UnauthorisedFrom.REFUSE
    allow_resend: bool = False
    allow_any_from: bool = False
    allow_from_addresses: tuple[str, ...] = ()
    delegated_sender_addresses: tuple[str, ...] = ()
    quota: int = 0
    quota_warn_percent: int = 90
    quota_warn_interval: int = 86400
    quota_warn_message: str = ""
    delegation_digest: DelegationDigest = DelegationDigest.WEEKLY
    password_min_length: int = 6
    password_min_upper_case_chars: int = 0
    password_min_lower_case_chars: int = 0
    password_min_numeric_chars: int = 0
    password_min_punctuation_chars: int = 0
    password_min_digits_or_puncs: int = 0
    password_max_age: int = 0
    password_min_age: int = 0
    password_enforce_history: int = 0
    password_block_common_enabled: bool = False
    undo_window: int = 0
    send_rate: Rate = UNLIMITED
    send_recipient_rate: Rate = UNLIMITED
    delegated_send_rate: Rate = UNLIMITED
    delegated_send_recipient_rate: Rate = UNLIMITED
    grant_warn_before: int = 7 * 86400
    totp_required: bool = False


DEFAULTS = ServiceValues()


def _boolean(text: str) -> bool:
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise ValueError("TRUE or FALSE")


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise ValueError("a number of 0 or more")


def _small(text: str) -> int:
    """Of characters, days or passwords."""
    if text.isascii() and text.isdigit() and len(text) <= 5:
        return int(text)
    raise ValueError("a number from 0 to 99999")


def _percent(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100:
        return int(text)
    raise ValueError("a number from 0 to 100")


_UNITS: Mapping[str, int] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})


def _duration(text: str) -> int:
    """Seconds from `90`, `30s`, `15m`, `1h`, `7d` (Carbonio's spelling)."""
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in _UNITS else (text, "s")
    try:
        return _count(number) * _UNITS[unit]
    except ValueError:
        raise ValueError("a duration: 90, 30s, 15m, 1h or 7d") from None


def window(text: str) -> int:
    """Seconds for which mail can be recalled. Raises ValueError."""
    found = _duration(text.strip())
    if found > LONGEST_WINDOW:
        raise ValueError("a duration of at most 7d")
    return found


_SIZES: Mapping[str, int] = MappingProxyType({"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40})


def _size(text: str) -> int:
    number, unit = (text[:-1], _SIZES[text[-1].lower()]) if text[-1:].lower() in _SIZES else (text, 1)
    try:
        return _count(number) * unit
    except ValueError:
        raise ValueError("a size in octets: 1048576, 512k, 100m or 2g") from None


def _choice(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(text: str) -> StrEnum:
        try:
            return kind(text.strip().lower())
        except ValueError:
            raise ValueError("one of " + ", ".join(kind)) from None

    return parse


def _words(text: str) -> str:
    if len(text) > 4096:
        raise ValueError("a text of at most 4096 characters")
    return text


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.replace(",", " ").split() if part)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One settable value: the field it sets, its plain name, Carbonio's names for it, and how its text is read."""

    field: str
    name: str
    synonyms: tuple[str, ...]
    parse: Callable[[str], Any]

    def spell(self, value: Any) -> str:
        """The value as administrators write it; `parse` reads it back."""
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        return ", ".join(value) if isinstance(value, tuple) else str(value)


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("lockout_enabled", "lockoutEnabled", ("zimbraPasswordLockoutEnabled",), _boolean),
    Attribute("lockout_max_failures", "lockoutMaxFailures", ("zimbraPasswordLockoutMaxFailures",), _count),
    Attribute("lockout_failure_lifetime", "lockoutFailureLifetime", ("zimbraPasswordLockoutFailureLifetime",), _duration),
    Attribute("lockout_duration", "lockoutDuration", ("zimbraPasswordLockoutDuration",), _duration),
    Attribute("lockout_spare_known_sources", "lockoutSpareKnownSources", (), _boolean),
    Attribute("delegation_when_locked", "delegationWhenLocked", (), _choice(WhenLocked)),
    Attribute("delegated_sent", "delegatedSent", ("zimbraPrefDelegatedSendSaveTarget",), _choice(DelegatedSent)),
    Attribute("delegated_trash", "delegatedTrash", (), _choice(DelegatedTrash)),
    Attribute("unauthorised_from", "unauthorisedFrom", (), _choice(UnauthorisedFrom)),
    Attribute("allow_resend", "allowResend", (), _boolean),
    Attribute("allow_any_from", "allowAnyFrom", ("zimbraAllowAnyFromAddress",), _boolean),
    Attribute("allow_from_addresses", "allowFromAddresses", ("zimbraAllowFromAddress",), _addresses),
    Attribute("delegated_sender_addresses", "delegatedSenderAddresses", ("zimbraPrefAllowAddressForDelegatedSender",), _addresses),
    Attribute("quota", "quota", ("zimbraMailQuota",), _size),
    Attribute("quota_warn_percent", "quotaWarnPercent", ("zimbraQuotaWarnPercent",), _percent),
    Attribute("quota_warn_interval", "quotaWarnInterval", ("zimbraQuotaWarnInterval",), _duration),
    Attribute("quota_warn_message", "quotaWarnMessage", ("zimbraQuotaWarnMessage",), _words),
    Attribute("delegation_digest", "delegationDigest", (), _choice(DelegationDigest)),
    Attribute("password_min_length", "passwordMinLength", ("zimbraPasswordMinLength",), _small),
    Attribute("password_min_upper_case_chars", "passwordMinUpperCaseChars", ("zimbraPasswordMinUpperCaseChars",), _small),
    Attribute("password_min_lower_case_chars", "passwordMinLowerCaseChars", ("zimbraPasswordMinLowerCaseChars",), _small),
    Attribute("password_min_numeric_chars", "passwordMinNumericChars", ("zimbraPasswordMinNumericChars",), _small),
    Attribute("password_min_punctuation_chars", "passwordMinPunctuationChars", ("zimbraPasswordMinPunctuationChars",), _small),
    Attribute("password_min_digits_or_puncs", "passwordMinDigitsOrPuncs", ("zimbraPasswordMinDigitsOrPuncs",), _small),
    Attribute("password_max_age", "passwordMaxAge", ("zimbraPasswordMaxAge",), _small),
    Attribute("password_min_age", "passwordMinAge", ("zimbraPasswordMinAge",), _small),
    Attribute("password_enforce_history", "passwordEnforceHistory", ("zimbraPasswordEnforceHistory",), _small),
    Attribute("password_block_common_enabled", "passwordBlockCommonEnabled", ("zimbraPasswordBlockCommonEnabled",), _boolean),
    Attribute("undo_window", "undoWindow", (), window),
    Attribute("send_rate", "sendRate", (), read_rate),
    Attribute("send_recipient_rate", "sendRecipientRate", (), read_rate),
    Attribute("delegated_send_rate", "delegatedSendRate", (), read_rate),
    Attribute("delegated_send_recipient_rate", "delegatedSendRecipientRate", (), read_rate),
    Attribute("totp_required", "totpRequired", ("zimbraFeatureTwoFactorAuthRequired",), _boolean),
    Attribute("grant_warn_before", "grantWarnBefore", (), _duration),
)

BY_NAME: Mapping[str, Attribute] = MappingProxyType(
    {known.lower(): attribute for attribute in ATTRIBUTES for known in (attribute.name, attribute.field, *attribute.synonyms)}
)


def resolve(*layers: Mapping[str, str]) -> ServiceValues:
    """The values in force: the first layer (the account's own) wins over the next (its class of service), then the defaults.

    A layer maps field names to text as `Attribute.spell` writes it. A text that no longer reads is as if it were not there:
    what was stored was checked when it was written.
    """
    found: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        for layer in layers:
            text = layer.get(attribute.field)
            if text is None or text == "":
                continue
            try:
                found[attribute.field] = attribute.parse(text)
            except ValueError:
                continue
            break
    return replace(DEFAULTS, **found)


assert {attribute.field for attribute in ATTRIBUTES} == {one.name for one in fields(ServiceValues)}
