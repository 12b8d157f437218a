"""To whom something is granted: an account, a group, a domain, a class of service, or everybody."""

from dataclasses import dataclass
from enum import StrEnum


class GranteeKind(StrEnum):
    """Values as the command line spells them for folders; send rights say usr, grp, dom, cos, all."""

    ACCOUNT = "account"
    GROUP = "group"
    DOMAIN = "domain"
    COS = "cos"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Grantee:
    """`id` is the account's, list's, domain's or class of service's; 0 for ALL."""

    kind: GranteeKind
    id: int = 0

    def __str__(self) -> str:
        """The grantee where nobody has looked its name up; the account's number is the one in the directory."""
        return "everybody" if self.kind is GranteeKind.ALL else f"{self.kind} #{self.id}"
