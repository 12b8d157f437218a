"""What does a delivery report say: is it over, and why? (RFC 3464, RFC 6533)"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.message.split import read_header, unfolded
from gateway.message.structure import Part, parse
from gateway.message.text import transfer_decoded

_STATUS_TYPES: Final = frozenset({b"delivery-status", b"global-delivery-status"})
MOST_OCTETS: Final = 64 * 1024
"""Of a report's machine-readable part; one recipient takes some 300."""
MOST_RECIPIENTS: Final = 100
_CODE: Final = re.compile(rb"[ \t]*+([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


@dataclass(frozen=True, slots=True)
class Report:
    """`failed`: of some recipient it says that it is given up. `status` (an enhanced status code) and `reason` are that recipient's."""

    failed: bool
    status: str = ""
    reason: str = ""


def read_report(octets: bytes) -> Report | None:
    """None: it is no delivery report. Never raises."""
    root = parse(octets)
    found = next((part for part in _outer(root) if part.type == b"message" and part.subtype in _STATUS_TYPES), None)
    if found is None:
        return None
    status = transfer_decoded(octets[found.body : min(found.end, found.body + MOST_OCTETS)], found.encoding)
    position = read_header(status).body  # about the message; one block for each recipient follows
    for _ in range(MOST_RECIPIENTS):
        if position >= len(status):
            break
        block = read_header(status, position)
        fields = {field.name: unfolded(status, field).strip() for field in reversed(block.fields)}
        code = _CODE.match(fields.get(b"status", b""))
        if fields.get(b"action", b"").lower() == b"failed" and (code is None or code[1][:1] != b"2"):
            said = fields.get(b"diagnostic-code", b"") or fields.get(b"status", b"")
            return Report(True, "5.0.0" if code is None else code[1].decode("ascii"), _printable(said))
        position = max(block.body, position + 1)
    return Report(False)


def _outer(root: Part) -> tuple[Part, ...]:
    """The parts of the report itself: what came back is a message within it, and may hold a report of its own."""
    return root.children if root.is_multipart else (root,)


def _printable(octets: bytes) -> str:
    text = octets[:900].decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text)
