"""Which address do these octets mean? One canonical form at every door (delegation.md section 1)."""

import re
import unicodedata
from typing import Final, Literal

import idna

from policy.identity import Address, BadAddress

LOCAL_OCTETS: Final = 255
"""RFC 5321 section 4.5.3.1.1 says 64; return addresses that carry a recipient (VERP) are longer, and refusing them loses bounces."""
DOMAIN_OCTETS: Final = 253
"""RFC 1035 section 2.3.4, written with dots and without the root's."""

_ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_DOMAIN: Final = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?>(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*)"
_PLAIN: Final = re.compile(rf"([{_ATEXT}]++(?>(?:\.[{_ATEXT}]++)*))@({_DOMAIN})")
_PLAIN_DOMAIN: Final = re.compile(_DOMAIN)
_LOCAL: Final = re.compile(rf"[\x80-\U0010ffff{_ATEXT}]++(?>(?:\.[\x80-\U0010ffff{_ATEXT}]++)*)")
_QUOTED: Final = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*+)"@(.*)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_FORMS: Final[tuple[Literal["NFC", "NFKC"], ...]] = ("NFC", "NFKC")
_JOINERS: Final = "\u200c\u200d"  # spelling needs them in Persian and in the scripts of India


class UnstableAddress(BadAddress):
    """The local part is not in Unicode form NFC, or changes under NFKC: two spellings would look the same."""


class UnservedAddress(BadAddress):
    """Well formed as RFC 5321 has it, and of a kind that is not served here."""


def read_address(text: str) -> Address:
    """An address from `local@domain` (RFC 5321 section 4.1.2 Mailbox, RFC 6531 section 3.3), without angle brackets.

    A quoted local part is taken where the quotes are needless, and means what stands in them. Not taken: a local part that needs
    its quotes, address literals (`[192.0.2.1]`), source routes. Raises BadAddress, with the reason, for everything else, UnstableAddress
    and UnservedAddress among them.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        local, domain = plain.groups()
        if len(local) <= LOCAL_OCTETS and len(domain) <= DOMAIN_OCTETS:
            domain = domain.lower()
            return Address(local, domain if "xn--" not in domain else read_domain(domain))
    return _unusual(text)


def read_address_octets(octets: bytes) -> Address:
    """The same from UTF-8. Raises BadAddress."""
    try:
        return read_address(octets.decode())
    except UnicodeDecodeError:
        raise BadAddress("the address is not UTF-8") from None


def read_domain(text: str) -> str:
    """The lower-case A-label form of a domain name (IDNA 2008 after UTS 46 mapping). Raises BadAddress."""
    if len(text) > DOMAIN_OCTETS:
        raise BadAddress("the domain is too long")
    if _PLAIN_DOMAIN.fullmatch(text) is not None:
        lower = text.lower()
        if "xn--" not in lower:
            return lower
    if text.startswith("["):
        raise UnservedAddress("an address literal in place of a domain is not taken")
    try:
        mapped = idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
    except UnicodeError:
        raise BadAddress("the domain is no domain name") from None
    if len(mapped) > DOMAIN_OCTETS or _PLAIN_DOMAIN.fullmatch(mapped) is None:
        raise BadAddress("the domain is no domain name")
    return mapped


def _unusual(text: str) -> Address:
    if len(text) > LOCAL_OCTETS + DOMAIN_OCTETS + 3:
        raise BadAddress("the address is too long")
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise BadAddress("the quoted local part does not end, or holds a control character")
        local, domain = _ESCAPED.sub(r"\1", quoted[1]), quoted[2]
    else:
        local, at, domain = text.rpartition("@")
        if not at:
            raise BadAddress("an address needs an @")
    if not local:
        raise BadAddress("the local part is empty")
    if _LOCAL.fullmatch(local) is None:
        raise (UnservedAddress if text.startswith('"') else BadAddress)(
            "the local part holds a character that needs quoting, or a misplaced dot"
        )
    if not local.isascii() and any(
        unicodedata.category(character) in _INVISIBLE and character not in _JOINERS for character in local if character > "\x7f"
    ):
        raise BadAddress("the local part holds a character that cannot be seen")
    if len(local.encode()) > LOCAL_OCTETS:
        raise BadAddress("the local part is too long")
    if any(unicodedata.normalize(form, local) != local for form in _FORMS):
        raise UnstableAddress("the local part is not in Unicode form NFC, or changes under NFKC")
    return Address(local, read_domain(domain))
