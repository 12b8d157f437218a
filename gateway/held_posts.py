"""What is kept of a post that waits for a list's owners, so that it can be judged again when one lets it through?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.message.canonical import read_address
from policy.identity import AccountId, Address, ListId

_KEY = "post"
_BEGINNING = f'{{"{_KEY}": '


@dataclass(frozen=True, slots=True)
class HeldPost:
    """`entered`: the list it was sent to, through which `list` got it, without what was `left_out` there. `account`: who posted, known
    by a login; else `known_as`, where the neighbour is trusted. `tell`: who hears what becomes of it, None: nobody."""

    list: ListId
    entered: ListId
    left_out: Sequence[ListId]
    account: AccountId | None
    known_as: Address | None
    tell: Address | None

    def spelled(self) -> str:
        """As the queue keeps it."""
        return json.dumps(
            {
                _KEY: {
                    "list": self.list,
                    "entered": self.entered,
                    "left_out": [*self.left_out],
                    "account": self.account,
                    "known_as": _text(self.known_as),
                    "tell": _text(self.tell),
                }
            }
        )


def is_held_post(parameters: str) -> bool:
    """Of a queue row: it waits for the owners of a list, and is no mail on its way."""
    return parameters.startswith(_BEGINNING)


def read_held_post(parameters: str) -> HeldPost:
    """The reverse of `spelled`. Raises KeyError, ValueError, BadAddress where the database was tampered with."""
    kept = json.loads(parameters)[_KEY]
    account = kept["account"]
    return HeldPost(
        ListId(kept["list"]),
        ListId(kept["entered"]),
        tuple(ListId(one) for one in kept["left_out"]),
        None if account is None else AccountId(account),
        _address(kept["known_as"]),
        _address(kept["tell"]),
    )


def _text(address: Address | None) -> str:
    return "" if address is None else str(address)


def _address(text: str) -> Address | None:
    return read_address(text) if text else None
