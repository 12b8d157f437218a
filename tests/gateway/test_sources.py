"""Where a connection comes from, and when its network has failed too often."""

from ipaddress import ip_network

import pytest

from gateway.sources import FailingSources, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.255", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "local"),
        ("unix", "local"),
        ("192.0.2.300", "local"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.fixture
def sources() -> FailingSources:
    return FailingSources(5, 600.0, [ip_network("127.0.0.0/8"), ip_network("::1/128")], most=10)


def fail(sources: FailingSources, address: str, *times: float) -> None:
    for time in times:
        sources.failed(address, time)


def test_the_limit_of_a_network_is_reached_by_all_its_addresses(sources: FailingSources) -> None:
    fail(sources, "192.0.2.1", 0, 1, 2, 3)
    assert not sources.refused("192.0.2.1", 4)
    fail(sources, "192.0.2.99", 4)
    assert sources.refused("192.0.2.200", 5)
    assert not sources.refused("192.0.3.1", 5)


def test_it_ends_when_the_oldest_of_them_leaves_the_window(sources: FailingSources) -> None:
    fail(sources, "192.0.2.1", 0, 1, 2, 3, 4)
    assert sources.refused("192.0.2.1", 599.9)
    assert not sources.refused("192.0.2.1", 600)


def test_failures_spread_over_more_than_the_window_refuse_nobody(sources: FailingSources) -> None:
    fail(sources, "192.0.2.1", *range(0, 2000, 200))
    assert not sources.refused("192.0.2.1", 2000)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "", "unix"])
def test_exempt_sources_are_never_refused_nor_delayed(sources: FailingSources, address: str) -> None:
    fail(sources, address, *range(100))
    assert not sources.refused(address, 100)
    assert sources.delay(address, 100) == 0


def test_the_delay_grows_and_ends(sources: FailingSources) -> None:
    many = FailingSources(1000, 600.0, [])
    assert many.delay("192.0.2.1", 0) == 0
    fail(many, "192.0.2.1", *([0.0] * 5))
    assert many.delay("192.0.2.1", 1) == 0
    fail(many, "192.0.2.1", 1.0)
    assert 0 < many.delay("192.0.2.1", 1) < 1
    fail(many, "192.0.2.1", *([2.0] * 500))
    assert many.delay("192.0.2.1", 3) == 3.0
    assert many.delay("192.0.2.1", 700) == 0


def test_what_is_remembered_is_bounded(sources: FailingSources) -> None:
    fail(sources, "192.0.2.1", 0, 0, 0, 0, 0)
    for number in range(10):
        fail(sources, f"198.51.{number}.1", 1)
    assert not sources.refused("192.0.2.1", 2), "the oldest was forgotten for the others' sake"
