"""Who plays: the accounts of the demonstration, and what the administrator gives them."""

from typing import Final

DOMAIN: Final = "acme.test"

LOCKOUT_SECONDS: Final = 4

PEOPLE: Final = {
    "owner": "Olivia Owner",
    "delegate": "Dario Delegate",
    "reader": "Rita Reader",
    "stranger": "Stan Stranger",
    "partner": "Paula Partner",
}
STATUSES: Final = ("hasty", "locked", "closed", "pending", "maintenance")
"""More accounts, each called after what happens to it."""

SETUP: Final = (
    f"createDomain {DOMAIN}",
    *(f"createAccount {name}@{DOMAIN} {name}-demo displayName '{shown}'" for name, shown in PEOPLE.items()),
    *(f"createAccount {name}@{DOMAIN} {name}-demo" for name in STATUSES),
    f"modifyAccount hasty@{DOMAIN} lockoutMaxFailures 3 lockoutDuration {LOCKOUT_SECONDS}s",
)
GRANTS: Final = (
    f"selectMailbox owner@{DOMAIN} modifyFolderGrant / account delegate@{DOMAIN} rwixd",
    f"selectMailbox owner@{DOMAIN} modifyFolderGrant /INBOX account reader@{DOMAIN} r",
    f"grantRight account owner@{DOMAIN} usr delegate@{DOMAIN} sendAs",
    f"grantRight account owner@{DOMAIN} usr reader@{DOMAIN} sendOnBehalfOf",
)


def address(name: str) -> str:
    """Of somebody in the demonstration's domain."""
    return f"{name}@{DOMAIN}"
