"""What does a policy request say, and how is an action spelled? (Postfix's SMTPD_POLICY_README: name=value lines, an empty line ends)"""

from dataclasses import dataclass
from typing import Final

REQUEST: Final = 65_536
"""Octets of a request: thirty attributes, the longest of them an address or the name in a client's certificate."""

DUNNO: Final = "DUNNO"
"""Nothing to say against it: the neighbour's next restriction decides."""


class BadRequest(ValueError):
    """What stands there is no request, or a longer one than Postfix makes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What we look at of a request. Texts are as the neighbour has them (addresses without brackets and quotes); empty: not known.

    `instance`: the same for all requests about one message; `size`: octets, 0: not known; `secured`: the client came by TLS.
    """

    state: str
    sender: str = ""
    recipient: str = ""
    login: str = ""
    mechanism: str = ""
    client: str = ""
    instance: str = ""
    queue_id: str = ""
    size: int = 0
    secured: bool = False


def take(octets: bytes | bytearray, looked_at: int = 0) -> tuple[Request, int] | None:
    """The first request and how many octets it took; None: more are needed (`looked_at`: so many are known to hold no end).

    Raises BadRequest.
    """
    end = octets.find(b"\n\n", max(0, looked_at - 1))
    if end < 0:
        if len(octets) > REQUEST:
            raise BadRequest("too long")
        return None
    if end > REQUEST:
        raise BadRequest("too long")
    return _read(octets[:end].decode("utf-8", "surrogateescape")), end + 2


def _read(text: str) -> Request:
    said: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise BadRequest("a line without name and =")
        if name in said:
            raise BadRequest("an attribute that is there twice")
        said[name] = value
    if said.get("request") != "smtpd_access_policy":
        raise BadRequest("not a request for access policy")
    size = said.get("size", "")
    return Request(
        state=said.get("protocol_state", ""),
        sender=said.get("sender", ""),
        recipient=said.get("recipient", ""),
        login=said.get("sasl_username", ""),
        mechanism=said.get("sasl_method", ""),
        client=said.get("client_address", ""),
        instance=said.get("instance", ""),
        queue_id=said.get("queue_id", ""),
        size=int(size) if size.isascii() and size.isdigit() and len(size) <= 18 else 0,
        secured=bool(said.get("encryption_protocol")),
    )


def spell(action: str) -> bytes:
    """An action of access(5) as a whole answer. `action`: one line of printable ASCII."""
    return f"action={action}\n\n".encode("ascii", "replace")
