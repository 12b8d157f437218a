"""Where a connection comes from: its source network, and how many logins have failed from there over all accounts."""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import lru_cache

IPV4_PREFIX, IPV6_PREFIX = 24, 48
MOST = 50_000
"""Sources whose failures are remembered: some 40 MiB, where a botnet has so many."""


@lru_cache(maxsize=4096)  # a login asks four times
def network_of(address: str) -> str:
    """The source network (IPv4 /24, IPv6 /48) in which failures and known sources are counted (delegation.md section 8).

    Anything that is no IP address (a Unix socket) is the network "local".
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    prefix = IPV4_PREFIX if ip.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((ip, prefix), strict=False))


class FailingSources:
    """Failed logins per source over all accounts: past `limit` within `window` seconds a source is refused unheard.

    Kept in memory and bounded: it protects this machine's processors, and a restart forgives. `told` hears of each failure, so that
    other processes can be told: a machine has one monotonic clock.
    """

    def __init__(
        self,
        limit: int,
        window: float,
        exempt: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network],
        most: int = MOST,
        told: Callable[[str, float], None] | None = None,
    ) -> None:
        self._limit = limit
        self._window = window
        self._exempt = exempt
        self._most = most
        self._told = told
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, address: str, now: float) -> None:
        """`now`: seconds of a monotonic clock."""
        source = network_of(address)
        self.heard(source, now)
        if self._told is not None:
            self._told(source, now)

    def on_record(self) -> list[tuple[str, float]]:
        """Every failure that may still count, for a process that begins now."""
        return [(source, time) for source, times in self._failures.items() for time in times]

    def heard(self, source: str, now: float) -> None:
        """A failure in another process. `source`: its network."""
        times = self._failures.pop(source, None) or deque(maxlen=self._limit)
        times.append(now)
        self._failures[source] = times
        while len(self._failures) > self._most:
            self._failures.popitem(last=False)

    def refused(self, address: str, now: float) -> bool:
        """Has there been too much from this source's network?"""
        times = self._failures.get(network_of(address))
        if times is None or len(times) < self._limit or times[0] <= now - self._window:
            return False
        return not self._is_exempt(address)

    def delay(self, address: str, now: float) -> float:
        """Seconds to wait before this source's next password is looked at: none for the first few, then growing to 3."""
        times = self._failures.get(network_of(address))
        if times is None or self._is_exempt(address):
            return 0.0
        recent = sum(1 for time in times if time > now - self._window)
        return min(3.0, 0.1 * max(0, recent - 5))

    def _is_exempt(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return True
        return any(ip in network for network in self._exempt if network.version == ip.version)
