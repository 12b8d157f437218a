import pytest

from policy.domain_limits import LIMIT_NAMES, LIMITS, changed, cos_limit, spelled
from policy.quota import AggregatePolicy, DomainLimits


def test_what_is_spelled_is_read_again() -> None:
    limits = DomainLimits(1 << 20, 1 << 30, AggregatePolicy.BLOCK_SEND, 70, ("a@x.test", "b@y.test"))
    texts = {name: " ".join(values) for name, values in spelled(limits).items()}
    assert texts.keys() == {one.name for one in LIMITS}
    assert changed(DomainLimits(), texts) == limits
    assert changed(limits, dict.fromkeys(texts, "")) == DomainLimits()


def test_carbonios_names_are_known() -> None:
    for name in (
        "zimbraMailDomainQuota",
        "zimbraDomainAggregateQuota",
        "zimbraDomainAggregateQuotaPolicy",
        "zimbraDomainAggregateQuotaWarnPercent",
        "zimbraDomainAggregateQuotaWarnEmailRecipient",
    ):
        assert name.lower() in LIMIT_NAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("maxQuota", "much"),
        ("maxQuota", "-1"),
        ("aggregateQuota", "1.5g"),
        ("aggregateQuotaPolicy", "BLOCK"),
        ("aggregateQuotaWarnPercent", "101"),
        ("aggregateQuotaWarnEmailRecipient", "nobody"),
        ("aggregateQuotaWarnEmailRecipient", " ".join(f"a{number}@x.test" for number in range(11))),
    ],
)
def test_what_cannot_be_is_named(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} - "):
        changed(DomainLimits(), {name: text})


@pytest.mark.parametrize(
    ("text", "read"), [("staff:5", ("staff", 5)), ("a:b:0", ("a:b", 0)), ("staff:", None), (":5", None), ("staff:x", None)]
)
def test_numbers_of_a_class(text: str, read: tuple[str, int] | None) -> None:
    if read is not None:
        assert cos_limit(text) == read
        return
    with pytest.raises(ValueError, match="CLASS:NUMBER"):
        cos_limit(text)
