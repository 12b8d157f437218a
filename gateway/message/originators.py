"""Who a submitted message says it is from: the one strict reading of From, Sender and the Resent fields.

The grammar is small on purpose (robustness.md 2.4 a to d): whatever two programs could read differently is refused,
nothing is decoded, and an address is taken octet for octet as every reader shows it. Reply-To is free (it claims no
author) but may occur only once. Canonical forms and NFC are the policy's business.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.message.lexis import comment_end
from gateway.message.split import Field, Header, MalformedHeader, Offence

ONLY_ONCE: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id")
MAX_COMMENT_DEPTH: Final = 20
# Every mailbox is judged on its own, each against the directory.
MAX_MAILBOXES: Final = 100


@dataclass(frozen=True, slots=True)
class RawMailbox:
    """One mailbox as its octets show it; nothing decoded, nothing mapped to a canonical form."""

    display: bytes
    """What stands before `<`, unfolded, with its quotation marks, comments and encoded words; may be empty."""
    local: str
    domain: str


@dataclass(frozen=True, slots=True)
class ResentBlock:
    """Consecutive Resent- fields of one resending (RFC 5322 3.6.6)."""

    fields: tuple[Field, ...]
    from_: tuple[RawMailbox, ...] = ()
    """Of the newest block; older blocks are left alone and not read."""
    sender: RawMailbox | None = None


@dataclass(frozen=True, slots=True)
class Originators:
    """Everything in a header that claims an author."""

    header: Header
    from_: tuple[RawMailbox, ...]
    """Empty when there is no From field."""
    sender: RawMailbox | None
    resent: tuple[ResentBlock, ...]
    """Newest (topmost) first."""


_NON_ASCII = rb"\x80-\xff"
_ATEXT = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_TOKEN = re.compile(
    rb"([ \t]++)"
    rb"|(\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\")"
    rb"|([." + _ATEXT + _NON_ASCII + rb"]++)"
    rb"|(.)",
    re.DOTALL,
)
_ANGLE = re.compile(rb"<[ \t]*+([." + _ATEXT + _NON_ASCII + rb"]++)@([." + _ATEXT + _NON_ASCII + rb"]++)[ \t]*+>")
_SECOND_ADDRESS = re.compile(rb"[ \t]*+[<@]")
_DOMAIN = re.compile(rb"[." + _ATEXT + _NON_ASCII + rb"]++")
_DOT_ATOM = re.compile(rb"[" + _ATEXT + _NON_ASCII + rb"]++(?>(?:\.[" + _ATEXT + _NON_ASCII + rb"]++)*)")
_LABELS = re.compile(
    rb"[A-Za-z0-9" + _NON_ASCII + rb"](?:[A-Za-z0-9\-" + _NON_ASCII + rb"]*[A-Za-z0-9" + _NON_ASCII + rb"])?"
    rb"(?:\.[A-Za-z0-9" + _NON_ASCII + rb"](?:[A-Za-z0-9\-" + _NON_ASCII + rb"]*[A-Za-z0-9" + _NON_ASCII + rb"])?)*"
)
_ALLOWED_OCTETS: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
# RFC 5321 4.5.3.1 says 64 and 255; bounce and relay addresses of honest services have longer local parts.
_MAX_LOCAL: Final = 256
_MAX_DOMAIN: Final = 255
# Joiners that IDNA 2008 permits in some labels (RFC 5892 appendix A); whether here is the policy's business.
_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")
# Characters that readers draw as nothing: an address that holds one shows as another address.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0]")


def originators(octets: bytes, header: Header, *, smtputf8: bool = False) -> Originators:
    """Read who a submitted message claims to be from (delegation.md 5.1).

    `header` is what `split.read_submitted_header` made of the same octets. Non-ASCII addresses need `smtputf8`;
    non-ASCII display names need only be UTF-8. Raises MalformedHeader for everything that is not exactly the
    mailboxes it shows.
    """
    seen: dict[bytes, Field] = {}
    for field in header.fields:
        if field.name in ONLY_ONCE and seen.setdefault(field.name, field) is not field:
            raise MalformedHeader(field.name, Offence.DUPLICATE)
    from_: tuple[RawMailbox, ...] = ()
    sender: RawMailbox | None = None
    if b"from" in seen:
        from_ = mailboxes(octets, seen[b"from"], smtputf8=smtputf8)
    if b"sender" in seen:
        sender = _one_mailbox(octets, seen[b"sender"], smtputf8)
    return Originators(header, from_, sender, _resent(octets, header, smtputf8))


def _resent(octets: bytes, header: Header, smtputf8: bool) -> tuple[ResentBlock, ...]:
    """A block ends with the first other field, or where one of its names comes again."""
    blocks: list[list[Field]] = []
    names: set[bytes] = set()
    within = False
    for field in header.fields:
        if not field.name.startswith(b"resent-"):
            within = False
            continue
        if not within or field.name in names:
            blocks.append([])
            names = set()
        within = True
        names.add(field.name)
        blocks[-1].append(field)
    if not blocks:
        return ()
    from_: tuple[RawMailbox, ...] = ()
    sender: RawMailbox | None = None
    for field in blocks[0]:
        if field.name == b"resent-from":
            from_ = mailboxes(octets, field, smtputf8=smtputf8)
        elif field.name == b"resent-sender":
            sender = _one_mailbox(octets, field, smtputf8)
    newest = ResentBlock(tuple(blocks[0]), from_, sender)
    return (newest, *[ResentBlock(tuple(block)) for block in blocks[1:]])


def _one_mailbox(octets: bytes, field: Field, smtputf8: bool) -> RawMailbox:
    found = mailboxes(octets, field, smtputf8=smtputf8)
    if len(found) != 1:
        raise MalformedHeader(field.name, Offence.NOT_ONE)
    return found[0]


def mailboxes(octets: bytes, field: Field, *, smtputf8: bool = False) -> tuple[RawMailbox, ...]:
    """The mailboxes of one field by the strict grammar; at least one, at most MAX_MAILBOXES. Raises MalformedHeader."""
    value = octets[field.value : field.end].replace(b"\r\n", b"").strip(b" \t")
    try:
        return _mailbox_list(value, smtputf8)
    except _OffenceFound as found:
        raise MalformedHeader(field.name, found.offence) from None


class _OffenceFound(Exception):
    def __init__(self, offence: Offence) -> None:
        self.offence = offence
        super().__init__(offence.value)


def _mailbox_list(value: bytes, smtputf8: bool) -> tuple[RawMailbox, ...]:
    _check_characters(value)
    found: list[RawMailbox] = []
    position = 0
    while True:
        mailbox, position = _mailbox(value, position, smtputf8)
        if mailbox is None:
            last = position > len(value)
            raise _OffenceFound(Offence.EMPTY if last and not found else Offence.EMPTY_ELEMENT)
        found.append(mailbox)
        if len(found) > MAX_MAILBOXES:
            raise _OffenceFound(Offence.TOO_MANY_ADDRESSES)
        if position > len(value):
            return tuple(found)


def _check_characters(value: bytes) -> None:
    # Refused in every field of a submitted header already; here again, so that this reading stands on its own.
    if value.translate(None, _ALLOWED_OCTETS):
        raise _OffenceFound(Offence.CONTROL)
    if value.isascii():
        return
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise _OffenceFound(Offence.INVALID_UTF8) from None
    for character in text:
        if "\x80" <= character <= "\x9f" or character in "\u2028\u2029":
            raise _OffenceFound(Offence.LINE_SEPARATOR)


def _mailbox(value: bytes, position: int, smtputf8: bool) -> tuple[RawMailbox | None, int]:
    """One mailbox from `position` to its comma; the second value is after the comma, or beyond the end for the last."""
    words = 0
    first = last = -1
    # Where an atom ended that may turn out to be the local part of an address without angle brackets.
    atom_start = atom_end = -1
    address: tuple[str, str] | None = None
    display = b""
    while position < len(value):
        match = _TOKEN.match(value, position)
        if match is None:  # pragma: no cover  the last alternative takes any octet
            raise _OffenceFound(Offence.SPECIAL)
        start, position = position, match.end()
        kind = match.lastindex
        if kind == 1:
            continue
        if kind in (2, 3):
            if address is not None:
                raise _OffenceFound(Offence.TEXT_AFTER_ADDRESS)
            words += 1
            first = start if first < 0 else first
            last = position
            atom_start, atom_end = (start, position) if kind == 3 else (-1, -1)
            continue
        match match[4]:
            case b"(":
                position = _after_comment(value, start)
                atom_end = -1
            case b",":
                if address is None and words:
                    raise _OffenceFound(Offence.NO_ADDRESS)
                return (None if address is None else RawMailbox(display, *address)), position
            case b"<":
                if address is not None:
                    raise _OffenceFound(Offence.TEXT_AFTER_ADDRESS)
                address, position = _angle_address(value, start, smtputf8)
                display = value[first:last] if words else b""
            case b"@":
                if address is not None or words != 1 or atom_end != start:
                    raise _OffenceFound(_offence_of_at(value, start, address is not None, words))
                domain = _DOMAIN.match(value, position)
                if domain is None:
                    raise _OffenceFound(Offence.DOMAIN_LITERAL if value[position : position + 1] == b"[" else Offence.BAD_DOMAIN)
                address = _address(value[atom_start:atom_end], domain[0], smtputf8)
                position = domain.end()
                _expect_end_of_bare_address(value, position)
            case b":" | b";":
                raise _OffenceFound(Offence.GROUP)
            case b'"':
                raise _OffenceFound(Offence.UNBALANCED_QUOTE)
            case b")":
                raise _OffenceFound(Offence.UNBALANCED_COMMENT)
            case b">":
                raise _OffenceFound(Offence.BAD_ANGLE if address is None else Offence.TEXT_AFTER_ADDRESS)
            case _:
                raise _OffenceFound(Offence.SPECIAL)
    if address is None and words:
        raise _OffenceFound(Offence.NO_ADDRESS)
    return (None if address is None else RawMailbox(display, *address)), len(value) + 1


def _after_comment(value: bytes, start: int) -> int:
    end = comment_end(value, start, MAX_COMMENT_DEPTH)
    if end < 0:
        raise _OffenceFound(Offence.UNBALANCED_COMMENT if end == -1 else Offence.DEEP_COMMENT)
    return end


def _expect_end_of_bare_address(value: bytes, position: int) -> None:
    """`a@b<c@d>` and `a@b@c`: two addresses of which programs choose differently."""
    if _SECOND_ADDRESS.match(value, position) is not None:
        raise _OffenceFound(Offence.TWO_ADDRESSES)


def _offence_of_at(value: bytes, start: int, has_address: bool, words: int) -> Offence:
    if not has_address and words == 1 and value[start - 1 : start] == b'"':
        return Offence.QUOTED_LOCAL_PART
    return Offence.TWO_ADDRESSES if has_address or words > 1 else Offence.BAD_LOCAL_PART


def _angle_address(value: bytes, start: int, smtputf8: bool) -> tuple[tuple[str, str], int]:
    match = _ANGLE.match(value, start)
    if match is None:
        raise _OffenceFound(_offence_of_angle(value[start + 1 :].lstrip(b" \t")))
    return _address(match[1], match[2], smtputf8), match.end()


def _offence_of_angle(content: bytes) -> Offence:
    content = content.partition(b">")[0]
    if content.startswith(b"@"):
        return Offence.ROUTE
    if content.startswith(b'"'):
        return Offence.QUOTED_LOCAL_PART
    if b"@[" in content:
        return Offence.DOMAIN_LITERAL
    return Offence.TWO_ADDRESSES if content.count(b"@") > 1 else Offence.BAD_ANGLE


def _address(local: bytes, domain: bytes, smtputf8: bool) -> tuple[str, str]:
    if b"=?" in local:
        raise _OffenceFound(Offence.ENCODED_WORD)
    if len(local) > _MAX_LOCAL or _DOT_ATOM.fullmatch(local) is None:
        raise _OffenceFound(Offence.BAD_LOCAL_PART)
    if len(domain) > _MAX_DOMAIN or _LABELS.fullmatch(domain) is None:
        raise _OffenceFound(Offence.BAD_DOMAIN)
    local_text, domain_text = local.decode("utf-8"), domain.decode("utf-8")
    if not (local.isascii() and domain.isascii()):
        if not smtputf8:
            raise _OffenceFound(Offence.NEEDS_SMTPUTF8)
        # Not printable are controls, format characters (bidirectional marks, zero-width ones), blanks but U+0020, and
        # code points that are not assigned.
        if not local_text.isprintable() or _INVISIBLE.search(local_text):
            raise _OffenceFound(Offence.BAD_LOCAL_PART)
        if not domain_text.translate(_JOINERS).isprintable() or _INVISIBLE.search(domain_text):
            raise _OffenceFound(Offence.BAD_DOMAIN)
    return local_text, domain_text
