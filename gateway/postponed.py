"""What is kept of a submission that waits, for its client (RFC 4865) or for a recall window, so that it can be judged again?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.dsn import NOTHING_ASKED, Requests
from gateway.message.canonical import read_address
from policy.identity import AccountId, Actor, Address
from policy.rights import Right
from policy.scope import Scope, Sending

_KEY = "release"
_BEGINNING = f'{{"{_KEY}": '


@dataclass(frozen=True, slots=True)
class Postponed:
    """The envelope, and who acts. `at`: microseconds since 1970, not before. What the session rested on (a password, a token) is not
    kept: it was good when the message was submitted; rights and statuses are what is asked for again, within the limits of the app
    password that it was. `filed`: the copy in Sent is there already."""

    at: int
    actor: Actor
    reverse_path: Address | None
    recipients: Sequence[Address]
    smtputf8: bool
    protocol: str
    source: str
    requests: Requests = NOTHING_ASKED
    filed: bool = False

    def spelled(self) -> str:
        """As the queue keeps it."""
        actor = self.actor
        return json.dumps(
            {
                _KEY: {
                    "at": self.at,
                    "account": actor.account,
                    "address": str(actor.address),
                    "name": actor.display_name,
                    "via": actor.via,
                    "scope": None if actor.scope is None else _limits(actor.scope),
                    "via_address": _text(actor.via_address),
                    "path": _text(self.reverse_path),
                    "recipients": [str(one) for one in self.recipients],
                    "smtputf8": self.smtputf8,
                    "protocol": self.protocol,
                    "source": self.source,
                    "mail": [*self.requests.mail],
                    "rcpt": [[*one] for one in self.requests.each],
                    "filed": self.filed,
                }
            }
        )


def is_postponed(parameters: str) -> bool:
    """Of a queue row: it is a submission that waits for its time, not mail on its way."""
    return parameters.startswith(_BEGINNING)


def read_postponed(parameters: str) -> Postponed:
    """The reverse of `spelled`. Raises KeyError, ValueError, BadAddress where the database was tampered with."""
    kept = json.loads(parameters)[_KEY]
    via = kept["via"]
    actor = Actor(
        AccountId(kept["account"]),
        read_address(kept["address"]),
        kept["name"],
        None if via is None else AccountId(via),
        _address(kept["via_address"]),
        scope=_scope(kept.get("scope")),
    )
    recipients = tuple(read_address(one) for one in kept["recipients"])
    requests = Requests(tuple(kept["mail"]), tuple(tuple(one) for one in kept["rcpt"]))
    return Postponed(
        kept["at"],
        actor,
        _address(kept["path"]),
        recipients,
        kept["smtputf8"],
        kept["protocol"],
        kept["source"],
        requests,
        kept.get("filed", False),
    )


def _limits(scope: Scope) -> dict[str, Any]:
    return {"name": scope.name, "principal": scope.principal, "rights": int(scope.rights), "sending": sorted(scope.sending)}


def _scope(kept: dict[str, Any] | None) -> Scope | None:
    """Raises KeyError, ValueError."""
    if kept is None:
        return None
    sending = frozenset(Sending(one) for one in kept["sending"])
    return Scope(0, kept["name"], principal=kept["principal"], rights=Right(kept["rights"]), sending=sending)


def _text(address: Address | None) -> str:
    return "" if address is None else str(address)


def _address(text: str) -> Address | None:
    return read_address(text) if text else None
