"""The command `totp`: enroll, confirm, codes, status, disable."""

from collections.abc import Sequence
from typing import Final

from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.verb import Desk, Verb


async def _totp(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, account, *rest = arguments
    factors = desk.directory.second_factors
    match word.lower():
        case "enroll" | "enrol" if not rest:
            made = await factors.enrol(account)
            told = [made.uri, "It is shown this once; it counts from: procura totp confirm ACCOUNT CODE"]
            return Answer(lines(told), {"uri": made.uri, "secret": made.secret})
        case "confirm" if len(rest) == 1:
            return _codes(await factors.confirm(account, rest[0]))
        case "codes" if not rest:
            return _codes(await factors.new_codes(account))
        case "disable" if not rest:
            await factors.disable(account)
            return Answer("", {"disabled": True})
        case "status" if not rest:
            confirmed, left = await factors.status(account)
            state = "none" if confirmed is None else "confirmed" if confirmed else "to be confirmed"
            return Answer(f"{state}; {left} one-time codes left\n", {"state": state, "codesLeft": left})
        case _:
            raise Usage("enroll ACCOUNT, confirm ACCOUNT CODE, codes ACCOUNT, status ACCOUNT or disable ACCOUNT")


def _codes(fresh: Sequence[str]) -> Answer:
    return Answer(lines([*fresh, "Each is good once; they are shown this once."]), {"codes": [*fresh]})


VERB: Final = Verb(
    "totp",
    "",
    "enroll ACCOUNT | confirm ACCOUNT CODE | codes ACCOUNT | status ACCOUNT | disable ACCOUNT",
    "a second factor (authenticator app) for pages and API; its mail clients then need app passwords",
    2,
    3,
    _totp,
)
