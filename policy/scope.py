"""What a session may do that rests on an app password: the account's rights, narrowed, and never more than they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from policy.reasons import Reason, Refuse
from policy.rights import ALL_RIGHTS, Right

Network = IPv4Network | IPv6Network


class Door(StrEnum):
    """Through which protocol an app password may be used."""

    IMAP = "imap"
    SMTP = "smtp"
    HTTP = "http"


class Sending(StrEnum):
    """In whose name, and how: `send` is one's own; the others are as granted (policy.grants.SendRight)."""

    SELF = "send"
    SEND_AS = "sendAs"
    SEND_ON_BEHALF_OF = "sendOnBehalfOf"
    LOGIN_AS = "loginAs"


USUAL_RIGHTS = ALL_RIGHTS & ~Right.ADMIN
"""Who finds an app password must not be able to let others in: no scope has `a`."""
USUAL_SENDING = frozenset({Sending.SELF, Sending.SEND_AS, Sending.SEND_ON_BEHALF_OF})


@dataclass(frozen=True, slots=True)
class Scope:
    """The limits of one app password; whatever they allow, the account has to have the right as well.

    `doors` and `networks` empty: all. `principal`: the one account or list that may be acted as or for (the own account is one too),
    None: any. `expires`: microseconds since 1970 UTC, excluded. `id` 0: the credential was good when it was used, and only its limits
    still matter (mail that waits for its time).
    """

    id: int
    name: str
    doors: frozenset[Door] = frozenset()
    networks: tuple[Network, ...] = ()
    principal: int | None = None
    rights: Right = USUAL_RIGHTS
    sending: frozenset[Sending] = USUAL_SENDING
    expires: int | None = None

    def limits(self) -> "Scope":
        """Without what only matters while the credential is being used."""
        return replace(self, id=0, expires=None)

    def covers(self, principal: int) -> bool:
        """May it be acted as or for this account or list at all?"""
        return self.principal is None or self.principal == principal

    def is_over(self, now: int) -> bool:
        """Has it expired?"""
        return self.expires is not None and self.expires <= now

    def rights_on(self, owner: int, held: Right, now: int) -> Right:
        """What is left of rights held on a folder of this owner."""
        return held & self.rights & ~Right.ADMIN if self.covers(owner) and not self.is_over(now) else Right.NONE

    def sends(self, how: Sending, principal: int, now: int) -> bool:
        """May mail go out so, in the name of this account or list?"""
        return how in self.sending and self.covers(principal) and not self.is_over(now)


def judge_credential(scope: Scope | None, door: str, address: str, now: int) -> Refuse | None:
    """May this app password be used at this door, from there, now? `address`: the peer's, empty for a Unix socket, which is in no
    network. Asked after the secret was found right, so the answer says what is in the way. None as scope: it is no app password.
    """
    if scope is None:
        return None
    if scope.is_over(now):
        return _not("has expired")
    if scope.doors and door not in scope.doors:
        return _not(f"is not for {door}")
    if scope.networks and not is_within(address, scope.networks):
        return _not("is not for this network")
    if door == Door.SMTP and not scope.sending and Right.ACTION not in scope.rights:
        return _not("does not allow sending")
    return None


def why_not_administer(scope: Scope | None) -> Refuse | None:
    """Nobody administers by an app password, whatever role the account has: for every door through which one could."""
    return None if scope is None else Refuse(Reason.ADMIN_NOT_PERMITTED, "an app password does not administer")


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """An IPv4 address that came mapped into IPv6 is the IPv4 address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip.version == network.version and ip in network for network in networks)


def _not(why: str) -> Refuse:
    return Refuse(Reason.CREDENTIAL_NOT_PERMITTED, f"this app password {why}")
