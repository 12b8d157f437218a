"""How does the directory say that something cannot be done? By Carbonio's codes, with what it is about."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Code(StrEnum):
    """Zimbra's names where it has one; scripts compare them."""

    NO_SUCH_ACCOUNT = "account.NO_SUCH_ACCOUNT"
    ACCOUNT_EXISTS = "account.ACCOUNT_EXISTS"
    NO_SUCH_DOMAIN = "account.NO_SUCH_DOMAIN"
    DOMAIN_EXISTS = "account.DOMAIN_EXISTS"
    DOMAIN_NOT_EMPTY = "account.DOMAIN_NOT_EMPTY"
    TOO_MANY_ACCOUNTS = "account.TOO_MANY_ACCOUNTS"
    NO_SUCH_COS = "account.NO_SUCH_COS"
    COS_EXISTS = "account.COS_EXISTS"
    COS_IN_USE = "account.COS_IN_USE"
    NO_SUCH_ALIAS = "account.NO_SUCH_ALIAS"
    NO_SUCH_DISTRIBUTION_LIST = "account.NO_SUCH_DISTRIBUTION_LIST"
    DISTRIBUTION_LIST_EXISTS = "account.DISTRIBUTION_LIST_EXISTS"
    NO_SUCH_MEMBER = "account.NO_SUCH_MEMBER"
    NO_SUCH_GRANT = "account.NO_SUCH_GRANT"
    INVALID_PASSWORD = "account.INVALID_PASSWORD"  # noqa: S105 — a name, no password
    PASSWORD_RECENTLY_USED = "account.PASSWORD_RECENTLY_USED"  # noqa: S105 — likewise
    PASSWORD_CHANGE_TOO_SOON = "account.PASSWORD_CHANGE_TOO_SOON"  # noqa: S105 — likewise
    AUTH_FAILED = "account.AUTH_FAILED"
    TWO_FACTOR_AUTH_FAILED = "account.TWO_FACTOR_AUTH_FAILED"
    NO_SUCH_SECOND_FACTOR = "account.NO_SUCH_SECOND_FACTOR"
    SECOND_FACTOR_EXISTS = "account.SECOND_FACTOR_EXISTS"
    NO_SUCH_APP_PASSWORD = "account.NO_SUCH_APP_PASSWORD"  # noqa: S105 — a name, no password
    APP_PASSWORD_EXISTS = "account.APP_PASSWORD_EXISTS"  # noqa: S105 — likewise
    NO_SUCH_SESSION = "account.NO_SUCH_SESSION"
    INVALID_ATTR_NAME = "account.INVALID_ATTR_NAME"
    INVALID_ATTR_VALUE = "account.INVALID_ATTR_VALUE"
    NO_SUCH_SHARE = "account.NO_SUCH_SHARE"
    NO_SUCH_FOLDER = "mail.NO_SUCH_FOLDER"
    FOLDER_EXISTS = "mail.ALREADY_EXISTS"
    IMMUTABLE_FOLDER = "mail.IMMUTABLE_OBJECT"
    INVALID_NAME = "mail.INVALID_NAME"
    INVALID_REQUEST = "service.INVALID_REQUEST"
    PERM_DENIED = "service.PERM_DENIED"
    TEMPORARILY_UNAVAILABLE = "service.TEMPORARILY_UNAVAILABLE"


_TEXTS: Final[Mapping[Code, str]] = MappingProxyType(
    {
        Code.NO_SUCH_ACCOUNT: "no such account: {}",
        Code.ACCOUNT_EXISTS: "email address already exists: {}",
        Code.NO_SUCH_DOMAIN: "no such domain: {}",
        Code.DOMAIN_EXISTS: "domain already exists: {}",
        Code.DOMAIN_NOT_EMPTY: "domain not empty: {}",
        Code.TOO_MANY_ACCOUNTS: "domain has too many accounts: {}",
        Code.NO_SUCH_COS: "no such cos: {}",
        Code.COS_EXISTS: "cos already exists: {}",
        Code.COS_IN_USE: "cos is in use by accounts or domains: {}",
        Code.NO_SUCH_ALIAS: "no such alias: {}",
        Code.NO_SUCH_DISTRIBUTION_LIST: "no such distribution list: {}",
        Code.DISTRIBUTION_LIST_EXISTS: "email address already exists: {}",
        Code.NO_SUCH_MEMBER: "no such member: {}",
        Code.NO_SUCH_GRANT: "no such grant: {}",
        Code.INVALID_PASSWORD: "invalid password: {}",
        Code.PASSWORD_RECENTLY_USED: "password was recently used: {}",
        Code.PASSWORD_CHANGE_TOO_SOON: "password cannot be changed yet: {}",
        Code.AUTH_FAILED: "authentication failed for {}",
        Code.TWO_FACTOR_AUTH_FAILED: "second factor refused: {}",
        Code.NO_SUCH_SECOND_FACTOR: "no second factor: {}",
        Code.SECOND_FACTOR_EXISTS: "there is a second factor already: {}",
        Code.NO_SUCH_APP_PASSWORD: "no such app password: {}",
        Code.APP_PASSWORD_EXISTS: "app password already exists: {}",
        Code.NO_SUCH_SESSION: "no such session: {}",
        Code.INVALID_ATTR_NAME: "invalid attr name: {}",
        Code.INVALID_ATTR_VALUE: "invalid attr value: {}",
        Code.NO_SUCH_SHARE: "no such share: {}",
        Code.NO_SUCH_FOLDER: "no such folder path: {}",
        Code.FOLDER_EXISTS: "object with that name already exists: {}",
        Code.IMMUTABLE_FOLDER: "cannot modify immutable object: {}",
        Code.INVALID_NAME: "invalid name: {}",
        Code.INVALID_REQUEST: "invalid request: {}",
        Code.PERM_DENIED: "permission denied: {}",
        Code.TEMPORARILY_UNAVAILABLE: "service temporarily unavailable: {}",
    }
)
assert _TEXTS.keys() == set(Code)


class Fault(Exception):
    """Expected, and final for what was asked; nothing was changed. `str` is what follows `ERROR: ` on the command line."""

    def __init__(self, code: Code, about: object) -> None:
        self.code = code
        self.about = str(about)
        self.message = _TEXTS[code].format(about)
        super().__init__(f"{code} ({self.message})")
