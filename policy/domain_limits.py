"""What a domain can set about room: the names administrators know, and how their texts are read."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from policy.cos import BY_NAME as SERVICE_VALUES
from policy.cos import Attribute
from policy.quota import NO_LIMITS, AggregatePolicy, DomainLimits

MOST_RECIPIENTS: Final = 10

_size, _percent = SERVICE_VALUES["quota"].parse, SERVICE_VALUES["quotawarnpercent"].parse


def _policy(text: str) -> AggregatePolicy:
    try:
        return AggregatePolicy(text.strip().lower())
    except ValueError:
        raise ValueError("one of " + ", ".join(one.upper() for one in AggregatePolicy)) from None


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if len(found) > MOST_RECIPIENTS or not all(0 < one.find("@") < len(one) - 1 for one in found):
        raise ValueError(f"at most {MOST_RECIPIENTS} addresses")
    return found


LIMITS: Final[tuple[Attribute, ...]] = (
    Attribute("max_quota", "maxQuota", ("zimbraMailDomainQuota",), _size),
    Attribute("aggregate_quota", "aggregateQuota", ("zimbraDomainAggregateQuota",), _size),
    Attribute("policy", "aggregateQuotaPolicy", ("zimbraDomainAggregateQuotaPolicy",), _policy),
    Attribute("warn_percent", "aggregateQuotaWarnPercent", ("zimbraDomainAggregateQuotaWarnPercent",), _percent),
    Attribute("warn_recipients", "aggregateQuotaWarnEmailRecipient", ("zimbraDomainAggregateQuotaWarnEmailRecipient",), _addresses),
)

LIMIT_NAMES: Final[Mapping[str, Attribute]] = MappingProxyType(
    {known.lower(): one for one in LIMITS for known in (one.name, *one.synonyms)}
)

COS_MAX_ACCOUNTS: Final = "cosMaxAccounts"
"""zimbraDomainCOSMaxAccounts: `CLASS:NUMBER`, how many accounts may have the class of service."""


def changed(limits: DomainLimits, texts: Mapping[str, str]) -> DomainLimits:
    """`texts` by plain name; an empty one restores the default. Raises ValueError that begins with the name."""
    found: dict[str, Any] = {}
    for name, text in texts.items():
        row = LIMIT_NAMES[name.lower()]
        try:
            found[row.field] = row.parse(text) if text.strip() else getattr(DomainLimits(), row.field)
        except ValueError as error:
            raise ValueError(f"{row.name} - {text} (must be {error})") from None
    return replace(limits, **found)


def spelled(limits: DomainLimits) -> Mapping[str, tuple[str, ...]]:
    """By plain name, each value as it is written."""
    return {
        "maxQuota": (str(limits.max_quota),),
        "aggregateQuota": (str(limits.aggregate_quota),),
        "aggregateQuotaPolicy": (limits.policy.upper(),),
        "aggregateQuotaWarnPercent": (str(limits.warn_percent),),
        "aggregateQuotaWarnEmailRecipient": limits.warn_recipients,
    }


def said(limits: DomainLimits) -> dict[str, str | tuple[str, ...]]:
    """By plain name what differs from the default, addresses in order: as documents keep it."""
    usual = spelled(NO_LIMITS)
    found = {name: tuple(sorted(texts)) for name, texts in spelled(limits).items() if texts != usual[name]}
    return {name: texts if name in SEVERAL else texts[0] for name, texts in found.items()}


def meant(texts: Mapping[str, str | tuple[str, ...]]) -> DomainLimits:
    """What `said` said; defaults for the rest. Raises ValueError."""
    return changed(NO_LIMITS, {name: text if isinstance(text, str) else " ".join(text) for name, text in texts.items()})


SEVERAL: Final = frozenset({"aggregateQuotaWarnEmailRecipient"})
"""Those with several values."""


def cos_limit(text: str) -> tuple[str, int]:
    """`CLASS:NUMBER` taken apart. Raises ValueError."""
    name, _, number = text.rpartition(":")
    if not name or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise ValueError(f"{COS_MAX_ACCOUNTS} - {text} (must be CLASS:NUMBER)")
    return name, int(number)
