"""Reads a message once, when it arrives: everything that FETCH, SEARCH and SORT will ask of it later."""

from datetime import UTC, datetime
from typing import Final

from gateway.message.envelope import ENVELOPE_FIELDS, render_part
from gateway.message.layout import pack
from gateway.message.preview import preview
from gateway.message.split import Header, values_of
from gateway.message.structure import parse
from gateway.message.text import SEARCHED_FIELDS, SORT_VERSION, SORTED_FIELDS, SortKeys, columns_of, keys_of, sort_keys
from store.model import NewMessage, Sorting

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_READ: Final = ENVELOPE_FIELDS | SEARCHED_FIELDS | SORTED_FIELDS


def arrived(octets: bytes) -> NewMessage:
    """Never raises: whatever the octets are, they are stored as they are and shown as well as can be. Linear in their number."""
    root = parse(octets)
    values = values_of(octets, root.header, _READ)
    rendered = render_part(octets, root, values)
    found = columns_of(values)
    sent = None
    sent_day = None
    if found.sent is not None:
        sent = int((found.sent - _EPOCH).total_seconds() * 1_000_000)
        sent_day = found.sent.date().toordinal() - _EPOCH_DAY
    return NewMessage(
        octets=octets,
        envelope=rendered.envelope,
        structure=rendered.bodystructure,
        body=rendered.body,
        rendering=rendered.version,
        from_=found.from_,
        to=found.to,
        cc=found.cc,
        subject=found.subject,
        message_id=""
        if found.message_id is None
        else found.message_id.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode(),
        sent=sent,
        sent_day=sent_day,
        sorting=_sorting(keys_of(values)),
        preview=preview(octets, root).encode("utf-8", "replace"),
        layout=pack(root),
    )


def sorting_of(octets: bytes, header: Header) -> Sorting:
    """What SORT and THREAD compare of a message. Never raises."""
    return _sorting(sort_keys(octets, header))


def _sorting(found: SortKeys) -> Sorting:
    return Sorting(SORT_VERSION, *found[:-1], " ".join(found.ancestors))
