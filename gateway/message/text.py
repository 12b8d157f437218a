"""What a message says in characters: decoded header values and bodies, for search and sort; never raises."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator
from datetime import datetime
from encodings.aliases import aliases
from typing import Final, NamedTuple
from unicodedata import normalize

from gateway.message.addresses import GroupStart, Mailbox, addresses
from gateway.message.dates import parse_date
from gateway.message.lexis import Parameters, percent_decoded
from gateway.message.remembered import remembered
from gateway.message.split import Header, Values, unfolded, values_of
from gateway.message.structure import Part

# What search and sort look at of one header field; more is never shown to anybody.
MAX_HEADER_TEXT: Final = 64 * 1024
# What one search looks at of one message's text.
MAX_BODY_TEXT: Final = 16 * 1024 * 1024
# RFC 5256 base subjects are compared, not shown.
_MAX_SUBJECT: Final = 4096

# The codecs are a closed set: looking up an unknown name would cost a search on disk, and Python remembers each miss.
_CODECS_WITHOUT_ALIAS: Final = (
    "cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "cp1125", "cp65001", "hp_roman8", "iso2022_jp_3", "koi8_r", "koi8_t",
    "koi8_u", "kz1048", "mac_arabic", "mac_croatian", "mac_cyrillic", "mac_farsi", "mac_greek", "mac_iceland", "mac_latin2",
    "mac_roman", "mac_romanian", "mac_turkish", "palmos", "ptcp154", "tis_620", "utf_8_sig", "iso8859_1", "iso8859_11",
)  # fmt: skip
# No character sets (they decode octets to octets), not linear, or of this machine.
_NOT_CHARSETS: Final = frozenset((
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "idna", "punycode",
    "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "cp65001", "charmap", "unicode_internal", "string_escape",
))  # fmt: skip
# Names seen in mail for which Python has another codec, or one that reads a superset.
_SUPERSETS: Final = {
    "gb2312": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030", "ks_c_5601": "cp949", "ks_c_5601_1987": "cp949", "euc_kr": "cp949",
    "x_sjis": "cp932", "shift_jis": "cp932", "x_euc_jp": "euc_jp", "windows_874": "cp874", "tis_620": "cp874", "iso8859_11": "cp874",
    "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8", "iso_8859_6_i": "iso8859_6", "iso_8859_6_e": "iso8859_6",
    "unicode_1_1_utf_7": "utf_7", "x_mac_roman": "mac_roman", "macroman": "mac_roman", "big5": "cp950", "iso_8859_1": "cp1252",
    "latin_1": "cp1252", "iso8859_1": "cp1252", "utf_8": "utf_8", "utf8": "utf_8", "unicode": "utf_16",
}  # fmt: skip
_UNKNOWN: Final = ""


def _codec_table() -> dict[str, str]:
    table = {name: name for name in (*aliases.values(), *_CODECS_WITHOUT_ALIAS) if name not in _NOT_CHARSETS}
    table.update({alias: name for alias, name in aliases.items() if name not in _NOT_CHARSETS})
    table.update({alias: _SUPERSETS[name] for alias, name in table.items() if name in _SUPERSETS})
    table.update(_SUPERSETS)
    # What calls itself ASCII and is not, is looked at as UTF-8 and then as Windows-1252.
    table.update({alias: _UNKNOWN for alias, name in table.items() if name == "ascii"})
    return table


_CODECS: Final = _codec_table()
_NOT_NAME = re.compile(r"[^a-z0-9]+")


def charset_codec(charset: bytes | str) -> str | None:
    """Python's codec for a (MIME) charset; None where it is unknown or says ASCII."""
    name = charset.decode("ascii", "replace") if isinstance(charset, bytes) else charset
    return _CODECS.get(_NOT_NAME.sub("_", name[:40].strip().lower()), _UNKNOWN) or None


def decode_octets(octets: bytes, charset: bytes | str | None) -> str:
    """The octets as text of that (MIME) charset; unknown charsets as UTF-8, else Windows-1252. What is ill becomes U+FFFD."""
    if octets.isascii() and (charset is None or charset in (b"utf-8", b"us-ascii", "utf-8", "us-ascii")):
        return octets.decode("ascii")
    codec = charset_codec(charset) if charset is not None else None
    if codec is not None:
        try:
            return octets.decode(codec, "replace")
        except (LookupError, ValueError):  # a build of Python without this codec, or a codec without "replace"
            pass
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


_PIECE = re.compile(rb"([^*]+)(?:\*([0-9]{1,3}))?(\*?)")


def joined_parameters(given: Parameters) -> Parameters:
    """The parameters with their RFC 2231 pieces joined: `foo*0`, `foo*1` as `foo`; `foo*`, or pieces of which one is encoded, as
    `foo*` in UTF-8 (RFC 9051 section 7.5.2). Each where its first piece stood; what fits nothing stays as it is.
    """
    if not any(b"*" in name for name, _ in given):
        return given
    whole: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    places: list[tuple[bytes, bytes | None]] = []
    for name, value in given:
        found = _PIECE.fullmatch(name)
        if found is None or not (found[2] or found[3]):
            places.append((name, value))
            continue
        pieces = whole.get(found[1])
        if pieces is None:
            pieces = whole[found[1]] = {}
            places.append((found[1], None))
        pieces.setdefault(int(found[2] or b"0"), (bool(found[3]), value))
    return tuple(_joined(name, whole[name]) if value is None else (name, value) for name, value in places)


def _joined(name: bytes, pieces: dict[int, tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    charset: bytes | None = None
    octets: list[bytes] = []
    is_encoded = False
    for number in range(len(pieces)):
        if number not in pieces:
            break
        extended, value = pieces[number]
        if extended:
            is_encoded = True
            if number == 0 and value.count(b"'") >= 2:
                charset, _, value = value.split(b"'", 2)
            value = percent_decoded(value)
        octets.append(value)
    text = b"".join(octets)
    return (name + b"*", decode_octets(text, charset or None).encode("utf-8", "replace")) if is_encoded else (name, text)


_ENCODED_WORD = re.compile(rb"=\?([^?\s\x00-\x1f]{1,64}+)\?([bBqQ])\?([^?\r\n]*+)\?=")
_UNDERSCORE_TO_BLANK: Final = bytes.maketrans(b"_", b" ")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_header(value: bytes, limit: int = MAX_HEADER_TEXT) -> str:
    """An (unfolded) header value with its encoded words decoded (RFC 2047); of a longer value the first `limit` octets."""
    value = value[:limit]
    if value.find(b"=?") < 0:  # `in` takes twice as long, for octets
        return decode_octets(value, None)
    # Words of one charset are joined before decoding: many programs cut characters in two.
    pieces: list[tuple[bytes | None, list[bytes]]] = []
    position = 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[position : match.start()]
        after_word = position > 0 and bool(pieces) and pieces[-1][0] is not None
        if between and not (after_word and not between.strip(b" \t\r\n")):
            pieces.append((None, [between]))
        position = match.end()
        charset = match[1].partition(b"*")[0].lower()
        text = _base64(match[3]) if match[2] in b"bB" else a2b_qp(match[3].translate(_UNDERSCORE_TO_BLANK))
        if pieces and pieces[-1][0] == charset:
            pieces[-1][1].append(text)
        else:
            pieces.append((charset, [text]))
    if position < len(value):
        pieces.append((None, [value[position:]]))
    return "".join([decode_octets(b"".join(octets), charset) for charset, octets in pieces])


def _base64(text: bytes) -> bytes:
    """Lenient base64: what is not of the alphabet is skipped, what is left over at the end is dropped."""
    try:
        return a2b_base64(text)
    except Base64Error:
        letters = _NOT_BASE64.sub(b"", text)
        whole = letters[: len(letters) - (len(letters) % 4 == 1)]
        return a2b_base64(whole + b"=" * (-len(whole) % 4))


def transfer_decoded(octets: bytes, encoding: bytes) -> bytes:
    """A body with its Content-Transfer-Encoding undone; unknown encodings leave it as it is."""
    match encoding:
        case b"base64":
            return _base64(octets)
        case b"quoted-printable":
            return a2b_qp(octets)
        case _:
            return octets


def fold(text: str) -> str:
    """The form in which texts are compared, so that case does not count; the same for what is searched and what is in store."""
    return text.casefold()


def part_text(octets: bytes, part: Part, limit: int = MAX_BODY_TEXT) -> str:
    """The text of one leaf, decoded; of a longer one the first `limit` octets."""
    raw = octets[part.body : min(part.end, part.body + limit)]
    return decode_octets(transfer_decoded(raw, part.encoding), part.parameter(b"charset"))


def header_text(octets: bytes, header: Header, limit: int = MAX_HEADER_TEXT) -> str:
    """All fields of a header, decoded, one a line."""
    lines: list[str] = []
    left = limit
    for field in header.fields:
        if left <= 0:
            break
        value = unfolded(octets, field)
        lines.append(f"{field.name.decode('ascii')}: {decode_header(value, left)}\n")
        left -= len(field.name) + len(value) + 3
    return "".join(lines)


def body_texts(octets: bytes, root: Part, limit: int = MAX_BODY_TEXT) -> Iterator[str]:
    """What SEARCH BODY looks at: the decoded text of every text part and the headers of every part and embedded message.

    The message's own header is not in it. At most `limit` octets of text altogether.
    """
    left = limit
    for part in root.walk():
        if left <= 0:
            return
        if part is not root and part.header.fields:
            text = header_text(octets, part.header, left)
            left -= len(text)
            yield text
        if part.type == b"text" and left > 0:
            yield part_text(octets, part, left)
            left -= part.octets


def message_texts(octets: bytes, root: Part, limit: int = MAX_BODY_TEXT) -> Iterator[str]:
    """What SEARCH TEXT looks at: the message's header, then `body_texts`."""
    yield header_text(octets, root.header, MAX_HEADER_TEXT)
    yield from body_texts(octets, root, limit)


class BaseSubject(NamedTuple):
    """RFC 5256 2.1."""

    text: str
    """Not case-folded."""
    is_reply: bool
    """The subject said that it answers or forwards something (RFC 5256 3, REFERENCES, step 5)."""


_BLANK_RUN = re.compile(r"[ \t\r\n]+")
# Without one of these there is neither a mark nor a blob.
_MARKED = re.compile(r"[:\[)]").search
_BLOBS = re.compile(r"(?>(?:\[[^\[\]]*+\][ \t]*+)+)")
_REFWD = re.compile(r"(?:re|fwd?)[ \t]*+(?:\[[^\[\]]*+\][ \t]*+)?:", re.IGNORECASE)


def base_subject(subject: str) -> BaseSubject:
    """The subject without reply and forward marks (RFC 5256 2.1), decoded already. Linear; at most 4,096 characters."""
    text = subject[:_MAX_SUBJECT]
    if "  " in text or not text.isprintable():
        text = _BLANK_RUN.sub(" ", text)
    if _MARKED(text) is None:
        return BaseSubject(text.strip(" "), is_reply=False)
    start, end = 0, len(text)
    is_reply = False
    while True:
        # Step 2: trailing "(fwd)" and blanks.
        while end > start:
            if text[end - 1] == " ":
                end -= 1
            elif text[max(start, end - 5) : end].lower() == "(fwd)":
                end -= 5
                is_reply = True
            else:
                break
        # Steps 3 to 5: leaders, and blobs as long as something is left. A run of blobs is looked at once.
        while True:
            while start < end and text[start] == " ":
                start += 1
            blobs = _BLOBS.match(text, start, end)
            after = start if blobs is None else blobs.end()
            leader = _REFWD.match(text, after, end)
            if leader is not None:
                start = leader.end()
                is_reply = True
                continue
            if blobs is not None:
                if after < end:
                    start = after
                    continue
                last = text.rfind("[", start, end)
                start = max(start, last)
            break
        # Step 6: "[fwd: ...]" around all of it.
        if text[start : start + 5].lower() == "[fwd:" and end > start and text[end - 1] == "]":
            start, end = start + 5, end - 1
            is_reply = True
            continue
        return BaseSubject(text[start:end], is_reply)


class Columns(NamedTuple):
    """What is kept beside a message for search and sort. Texts are folded (`fold`); those of absent fields are empty."""

    from_: str
    """The whole field decoded, as SEARCH FROM looks at it; also `to`, `cc` and `subject`. Addresses that are written with
    comments or quotes are there a second time as ENVELOPE shows them."""
    to: str
    cc: str
    subject: str
    sent: datetime | None
    """Date, aware; None where there is none that can be read (then SORT DATE takes the internal date)."""
    message_id: bytes | None
    """With its angle brackets, without blanks."""


# With these an address may be written otherwise than ENVELOPE shows it.
_WRITTEN_OTHERWISE = re.compile(rb"[(\\]|[ \t\"]@|@[ \t]|[ \t]\.|\.[ \t]").search
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,998}+>")

SORT_VERSION: Final = 2
"""Of `sort_keys`: what an older one made is made again."""
_MAX_ANCESTORS: Final = 100
_MAX_ANCESTRY: Final = 8192
_MAX_SORT_KEY: Final = 1024


class SortKeys(NamedTuple):
    """What SORT and THREAD compare of one message (RFC 5256, RFC 5957), texts collated. `ancestors`: Message-IDs, the oldest first."""

    from_: str
    to: str
    cc: str
    shown_from: str
    shown_to: str
    subject: str
    is_reply: bool
    ancestors: tuple[str, ...]


def collated(text: str) -> str:
    """The form in which texts are ordered: i;unicode-casemap (RFC 5051), title case and decomposed. At most 1,024 characters."""
    text = text[:_MAX_SORT_KEY]
    if text.isascii():
        return text.upper()
    return normalize("NFKD", "".join([title if len(title := one.title()) == 1 else one for one in text]))


def sort_keys(octets: bytes, header: Header) -> SortKeys:
    """The keys of one message; never raises."""
    return keys_of(values_of(octets, header, SORTED_FIELDS))


def keys_of(values: Values) -> SortKeys:
    """The same of a message of which SORTED_FIELDS are read already."""
    base = base_subject(decode_header(_first(values, b"subject")))
    from_, shown_from = _first_address(_first(values, b"from"))
    to, shown_to = _first_address(_first(values, b"to"))
    ancestors = _identifiers(_first(values, b"references"), _MAX_ANCESTORS)
    return SortKeys(
        from_=from_,
        to=to,
        cc=_first_address(_first(values, b"cc"))[0],
        shown_from=shown_from,
        shown_to=shown_to,
        subject=collated(base.text),
        is_reply=base.is_reply,
        # RFC 5256 section 3: the first identifier of In-Reply-To where there are no references.
        ancestors=ancestors or _identifiers(_first(values, b"in-reply-to")[:_MAX_ANCESTRY], 0)[:1],
    )


def _first(values: Values, name: bytes) -> bytes:
    there = values.get(name)
    return b"" if there is None else there[0]


SORTED_FIELDS: Final = frozenset((b"from", b"to", b"cc", b"subject", b"references", b"in-reply-to"))


@remembered
def _first_address(value: bytes) -> tuple[str, str]:
    """The local part of the first address; its display name, or where it has none, local part and domain (RFC 5957 section 3).

    As in ENVELOPE, what begins a group is an address without a domain, whose local part is the group's name."""
    for entry in addresses(value, limit=2):
        if isinstance(entry, GroupStart):
            name = collated(decode_header(entry.name).strip())
            return name, name
        if isinstance(entry, Mailbox):
            local = decode_octets(entry.local or b"", None)
            shown = decode_header(entry.display or b"").strip()
            if not shown:
                shown = f"{local}@{decode_octets(entry.domain, None)}" if entry.domain else local
            return collated(local), collated(shown)
    return "", ""


def _identifiers(value: bytes, count: int) -> tuple[str, ...]:
    """The last `count` identifiers (0: all) within the last 8 KiB, without quotes, which make no difference (RFC 5256 section 3)."""
    if not value:
        return ()
    found = _MESSAGE_ID.findall(value[-_MAX_ANCESTRY:])
    return tuple([one.replace(b'"', b"").decode("utf-8", "replace") for one in found[-count:]])


SEARCHED_FIELDS: Final = frozenset((b"from", b"to", b"cc", b"subject", b"date", b"message-id"))


def columns(octets: bytes, header: Header) -> Columns:
    """The columns of one message; never raises."""
    return columns_of(values_of(octets, header, SEARCHED_FIELDS))


def columns_of(values: Values) -> Columns:
    """The same of a message of which SEARCHED_FIELDS are read already."""
    identifier = _MESSAGE_ID.search(_first(values, b"message-id"))
    return Columns(
        from_=_address_text(b", ".join(values.get(b"from", ()))),
        to=_address_text(b", ".join(values.get(b"to", ()))),
        cc=_address_text(b", ".join(values.get(b"cc", ()))),
        subject=fold(decode_header(_first(values, b"subject"))),
        sent=parse_date(values[b"date"][0]) if b"date" in values else None,
        message_id=identifier[0] if identifier is not None else None,
    )


@remembered
def _address_text(value: bytes) -> str:
    """The whole field, and behind it the addresses that ENVELOPE shows otherwise than they are written (RFC 3501 section 6.4.4: FROM
    and its kin search the envelope)."""
    if not value:
        return ""
    text = fold(decode_header(value))
    if _WRITTEN_OTHERWISE(value) is None:
        return text
    shown = {
        fold(f"{decode_octets(entry.local, None)}@{decode_octets(entry.domain, None)}"): None
        for entry in addresses(value[:MAX_HEADER_TEXT])
        if isinstance(entry, Mailbox) and entry.local is not None and entry.domain is not None
    }
    return "\n".join((text, *(one for one in shown if one not in text)))[: 2 * MAX_HEADER_TEXT]
