"""What is known of a person beside the account, and which user names are proposed from given name, initials and surname."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

PERSONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "givenName": ("gn",),
        "initials": (),
        "sn": ("surname",),
        "cn": ("commonName",),
        "title": (),
        "department": ("departmentNumber",),
        "company": (),
        "office": ("physicalDeliveryOfficeName",),
        "employeeNumber": (),
        "telephoneNumber": ("phone",),
        "homePhone": (),
        "mobile": ("mobileTelephoneNumber",),
        "facsimileTelephoneNumber": ("fax",),
        "pager": (),
        "street": ("streetAddress",),
        "l": ("localityName", "city"),
        "st": ("stateOrProvinceName",),
        "postalCode": (),
        "co": ("friendlyCountryName", "country"),
    }
)
"""Attributes of RFC 4519, RFC 4524 and inetOrgPerson (RFC 2798) as Carbonio has them, with other names under which each is known."""

PERSONAL_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name.lower(): plain for plain, others in PERSONAL.items() for name in (plain, *others)}
)
"""Every name in lower case, and the plain one."""

LONGEST: Final = 256
"""Characters of a value."""

LONGEST_NAME: Final = 64
"""Octets of a local part: RFC 5321 4.5.3.1.1."""

_LETTERS: Final = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th",
        "ħ": "h", "ı": "i", "ŋ": "n", "ĸ": "k", "ŧ": "t",
        "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m", "ν": "n",
        "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "й": "i", "к": "k", "л": "l", "м": "m",
        "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
        "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia", "ё": "e", "і": "i", "ї": "i", "є": "ie", "ґ": "g",
        "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz", "ў": "u",
    }
)  # fmt: skip
_OTHERS: Final = re.compile(r"[^a-z0-9]+")


def latin(text: str) -> str:
    """In a to z and 0 to 9, words parted by hyphens: letters with a spelling of their own by it (ä ae, ß ss, ø oe, Greek and Cyrillic by
    sound), others without their marks; apostrophes go, what has no such letters is left out."""
    lowered = unicodedata.normalize("NFC", text).lower().translate(_LETTERS)
    bare = "".join(one for one in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(one)).translate(_LETTERS)
    return _OTHERS.sub("-", re.sub("['\u2019\u02bc`.]", "", bare)).strip("-")


def proposals(given_name: str = "", initials: str = "", surname: str = "") -> tuple[str, ...]:
    """Local parts in the order in which they are proposed: g.surname, given.surname, with the initials between, surname, given name.

    Empty where no letter of the names can be written in ASCII.
    """
    given, middle, last = latin(given_name), latin(initials).replace("-", ""), latin(surname)
    found: list[str] = []
    if given and last:
        found += [f"{given[0]}.{last}", f"{given}.{last}"]
        if middle:
            # Initials may repeat the given name's first letter: A. B. for Ada B.
            between = middle[1:] if len(middle) > 1 and middle[0] == given[0] else middle
            found += [f"{given[0]}.{between}.{last}", f"{given}.{between}.{last}"]
        found += [f"{given[0]}{last}", f"{last}.{given}"]
    elif middle and last:
        found += [f"{middle}.{last}"]
    found += [one for one in (last, given, middle) if one]
    return tuple(dict.fromkeys(cut for one in found if (cut := one[:LONGEST_NAME].rstrip(".-"))))


def numbered(given_name: str, initials: str, surname: str, most: int = 999) -> Iterator[str]:
    """The proposals, then the first of them with 2, 3, ... behind it."""
    first = proposals(given_name, initials, surname)
    yield from first
    for number in range(2, most + 1):
        for one in first[:1]:
            yield f"{one[: LONGEST_NAME - len(str(number))].rstrip('.-')}{number}"


FILTERABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        **PERSONAL_NAMES,
        **{
            name.lower(): plain
            for plain, others in {
                "displayName": (),
                "mail": ("zimbraMailDeliveryAddress", "zimbraMailAlias"),
                "uid": (),
                "domain": ("zimbraDomainName",),
                "status": ("zimbraAccountStatus",),
                "cos": (),
                "isGlobalAdministrator": ("zimbraIsAdminAccount",),
                "note": ("zimbraNotes", "description"),
                "objectClass": (),
            }.items()
            for name in (plain, *others)
        },
    }
)
"""What filters may ask of an account, in lower case, and the plain name. `mail`: every address; `status`: the account's own, not its
domain's; `cos`: the name of its class of service, inherited or not; `objectClass`: only so that filters of an LDAP directory read."""

OBJECT_CLASSES: Final = ("zimbraaccount", "inetorgperson", "organizationalperson", "person", "top")


def checked(values: Mapping[str, str]) -> dict[str, str]:
    """By plain name, spaces at the ends cut off. Raises ValueError that names the attribute."""
    found = {}
    for name, text in values.items():
        if name not in PERSONAL:
            raise ValueError(f"{name} is no personal attribute")
        value = text.strip()
        if len(value) > LONGEST or any(unicodedata.category(one) in ("Cc", "Cs") for one in value):
            raise ValueError(f"{name} is text of at most {LONGEST} characters without control characters")
        found[name] = unicodedata.normalize("NFC", value)
    return found
