"""Who and what there is: addresses in their canonical form, and the ids of accounts, lists, domains and classes of service."""

import unicodedata
from dataclasses import dataclass, field
from typing import NewType

from policy.scope import Scope

AccountId = NewType("AccountId", int)
ListId = NewType("ListId", int)  # accounts and lists share one number space: an id names one object, whatever its kind
DomainId = NewType("DomainId", int)
CosId = NewType("CosId", int)
FolderId = NewType("FolderId", int)

_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class BadAddress(ValueError):
    """The text is no address in canonical form; the message says why, in words for the person who wrote it."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An address in canonical form: the domain as lower-case A-label, the local part NFC and stable under NFKC.

    The local part keeps its case (a foreign domain may mean it); `folded()` is the form in which addresses of
    local domains are stored and compared (delegation.md section 1).
    """

    local: str
    domain: str

    def __post_init__(self) -> None:
        if not self.local or not self.domain:
            raise BadAddress("an address needs a local part and a domain")
        if not self.local.isascii() and any(unicodedata.normalize(form, self.local) != self.local for form in ("NFC", "NFKC")):
            raise BadAddress("the local part is not in Unicode form NFC, or changes under NFKC")
        if not self.domain.isascii() or self.domain != self.domain.lower():
            raise BadAddress("the domain is not a lower-case A-label")

    def folded(self) -> "Address":
        """The local part with A to Z as a to z and nothing else: the form in which local addresses are compared."""
        local = self.local.translate(_FOLD)
        return self if local == self.local else Address(local, self.domain)

    def without_tag(self, delimiter: str) -> "Address | None":
        """The address cut at the first recipient delimiter, or None where there is nothing to cut."""
        if not delimiter:
            return None
        cut = self.local.find(delimiter)
        return Address(self.local[:cut], self.domain) if cut > 0 else None

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Actor:
    """The authenticated account of a session. With `loginAs` the session is the owner's, and `via` is who really acts.

    `proof` is a digest of the verifier that the password was checked against: when the account has another one, the session ends.
    `until`: microseconds since 1970 UTC, when the token expires that the session rests on; None: it rests on none.
    `scope`: the limits of the app password that it rests on; None: it rests on another credential.
    """

    account: AccountId
    address: Address
    display_name: str = ""
    via: AccountId | None = None
    via_address: Address | None = None
    proof: str = field(default="", repr=False)
    until: int | None = None
    scope: Scope | None = None

    def __hash__(self) -> int:
        """That of the account tells nearly all of them apart; what is remembered is looked for by it at each command."""
        return hash(self.account)

    @property
    def person(self) -> AccountId:
        """Who answers for it in the audit: the one who typed the password."""
        return self.account if self.via is None else self.via

    @property
    def credential(self) -> str:
        """The app password as records name it, empty for any other credential."""
        return "" if self.scope is None else f"app password {self.scope.name}"

    def on_record(self, because: str) -> str:
        """Why something was allowed or refused, with the app password by which it was done."""
        return f"{because}; by {self.credential}" if self.scope is not None else because
