"""Which MIME parts a message consists of, and where each of them stands (RFC 2045, 2046).

The reading is lenient, never raises, recurses nowhere and takes time linear in the octets: delimiters are looked for
with `bytes.find`, each level only up to the next delimiter of the level outside it, and the octets looked at this way
are bounded by a multiple of the message's size.

Decisions where the RFCs leave room (Dovecot's answers, except the first):
a multipart in which no part begins (no boundary, no delimiter) is a text/plain leaf, so that its octets can be read;
a delimiter line need only begin with the boundary, the longest boundary wins, then the innermost;
the delimiter of an outer multipart ends the inner ones; MIME-Version is not asked for.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from gateway.message.lexis import TYPE_AND_SUBTYPE, Parameters, parameter, parameters, without_comments
from gateway.message.occurrences import occurrences
from gateway.message.remembered import remembered
from gateway.message.split import MAX_HEADER_FIELDS, MAX_HEADER_OCTETS, Field, Header, read_header, unfolded

# Dovecot's and James's numbers; no honest message comes near.
MAX_DEPTH: Final = 100
MAX_PARTS: Final = 10_000
# Honest mail nests three or four multiparts, each of which looks at its octets once.
_MAX_PASSES: Final = 20
_FREE_OCTETS: Final = 1024 * 1024

# RFC 6532 section 3.7: message/global is message/rfc822 whose header may be UTF-8.
_MESSAGES: Final = (b"rfc822", b"global")
_READ: Final = frozenset((
    b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id", b"content-description", b"content-md5",
    b"content-language", b"content-location",
))  # fmt: skip
_US_ASCII: Parameters = ((b"charset", b"us-ascii"),)
_TOKEN = re.compile(rb"[^ \t\r\n;,()]++")


class Part(NamedTuple):
    """One body part, or the message itself. All offsets are into the octets that were parsed. A named tuple, as a header and its fields
    are: each is made for every message that comes."""

    header: Header
    """`octets[header.start:header.body]` is the header with its empty line (BODY[n.MIME], BODY[HEADER])."""
    end: int
    """`octets[header.body:end]` is the body (BODY[n], BODY[TEXT]), before any decoding."""
    type: bytes
    """Lower case, as the subtype, the encoding and the parameters' names."""
    subtype: bytes
    parameters: Parameters
    """As written, RFC 2231 pieces apart; `lexis.parameter` joins them."""
    id: bytes | None
    description: bytes | None
    encoding: bytes
    md5: bytes | None
    disposition: bytes | None
    disposition_parameters: Parameters
    language: tuple[bytes, ...]
    location: bytes | None
    lines: int
    """Line feeds in the body; counted for text, message/rfc822 and message/global only."""
    children: "tuple[Part, ...]"
    """The parts of a multipart (never empty for one), or the one message inside message/rfc822 or message/global."""
    cut: bool
    """True where a limit made a leaf of what has parts."""

    @property
    def start(self) -> int:
        """Where the header begins."""
        return self.header.start

    @property
    def body(self) -> int:
        """Where the body begins."""
        return self.header.body

    @property
    def octets(self) -> int:
        """The size of the body, as BODYSTRUCTURE says it."""
        return self.end - self.header.body

    @property
    def is_multipart(self) -> bool:
        """Has it parts (at least one)?"""
        return self.type == b"multipart"

    @property
    def embedded(self) -> "Part | None":
        """The message inside a message/rfc822 or message/global part."""
        return self.children[0] if self.children and self.type == b"message" else None

    def parameter(self, name: bytes) -> bytes | None:
        """One parameter of Content-Type, RFC 2231 resolved."""
        return parameter(self.parameters, name)

    def walk(self) -> "Iterator[Part]":
        """This part and all parts below it, in the order of the octets."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))


@remembered
def _content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    plain = without_comments(value)
    found = TYPE_AND_SUBTYPE.match(plain)
    return None if found is None else (found[1].lower(), found[2].lower(), parameters(plain, found.end()))


@remembered
def _first_token(value: bytes) -> bytes | None:
    found = _TOKEN.search(without_comments(value))
    return None if found is None else found[0].lower()


class _Node:
    """A part whose end is not known yet."""

    __slots__ = (
        "children", "cut", "depth", "description", "disposition", "disposition_parameters", "encoding", "end", "header", "id",
        "language", "lines", "location", "md5", "parameters", "subtype", "type",
    )  # fmt: skip

    def __init__(self, octets: bytes, header: Header, depth: int, in_digest: bool) -> None:
        self.header = header
        self.depth = depth
        self.end = -1
        self.children: list[_Node] = []
        self.cut = False
        self.lines = 0
        self.id: bytes | None = None
        self.description: bytes | None = None
        self.encoding = b"7bit"
        self.md5: bytes | None = None
        self.disposition: bytes | None = None
        self.disposition_parameters: Parameters = ()
        self.language: tuple[bytes, ...] = ()
        self.location: bytes | None = None
        if in_digest:
            self.type, self.subtype = b"message", b"rfc822"
            self.parameters: Parameters = ()
        else:
            self.type, self.subtype = b"text", b"plain"
            self.parameters = _US_ASCII
        seen: set[bytes] = set()
        for field in header.fields:
            name = field.name
            if name in _READ and name not in seen:
                seen.add(name)
                self._take(name, octets, field)

    def _take(self, name: bytes, octets: bytes, field: Field) -> None:
        value = unfolded(octets, field)
        match name:
            case b"content-type":
                read = _content_type(value)
                if read is not None:
                    self.type, self.subtype, self.parameters = read
            case b"content-transfer-encoding":
                self.encoding = _first_token(value) or self.encoding
            case b"content-disposition":
                plain = without_comments(value)
                token = _TOKEN.search(plain)
                if token is not None:
                    self.disposition = token[0].lower()
                    self.disposition_parameters = parameters(plain, token.end())
            case b"content-id":
                self.id = value or None
            case b"content-description":
                self.description = value
            case b"content-md5":
                self.md5 = value or None
            case b"content-language":
                self.language = tuple(_TOKEN.findall(without_comments(value)))
            case b"content-location":
                self.location = value or None
            case _:
                pass

    def become_leaf(self, cut: bool) -> None:
        if self.type == b"message":
            self.type, self.subtype, self.parameters = b"application", b"octet-stream", ()
        else:
            self.type, self.subtype, self.parameters = b"text", b"plain", _US_ASCII
        self.cut = self.cut or cut

    def frozen(self, children: tuple[Part, ...]) -> Part:
        return Part(
            self.header, self.end, self.type, self.subtype, self.parameters, self.id, self.description, self.encoding, self.md5,
            self.disposition, self.disposition_parameters, self.language, self.location, self.lines, children, self.cut,
        )  # fmt: skip


class _Open:
    """A multipart whose close delimiter was not seen yet."""

    __slots__ = ("found", "index", "needle", "node", "searched")

    def __init__(self, node: _Node, boundary: bytes, index: int) -> None:
        self.node = node
        self.needle = b"\n--" + boundary
        self.index = index
        """How many unfinished nodes there were when this one had been opened."""
        self.found = -1
        self.searched = 0
        """No delimiter begins before this offset, but the one at `found`."""


class _Delimiters:
    """Finds the next delimiter line of any open multipart."""

    __slots__ = ("octets", "open", "spent")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.open: list[_Open] = []
        self.spent = 0

    def next(self, position: int) -> tuple[int, int]:
        """(offset of the line feed before the delimiter, index of its multipart), or (size, -1) when there is none."""
        octets = self.octets
        best, best_index, best_length = len(octets), -1, 0
        for index, multipart in enumerate(self.open):
            needle = multipart.needle
            if multipart.found < position:
                begin = max(position, multipart.searched)
                if begin <= best:
                    multipart.found = octets.find(needle, begin, best + len(needle))
                    multipart.searched = best + 1 if multipart.found < 0 else multipart.found
                    self.spent += multipart.searched - begin
            at = multipart.found
            if at >= position and (at < best or (at == best and len(needle) >= best_length)):
                best, best_index, best_length = at, index, len(needle)
        return best, best_index


def parse(
    octets: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_parts: int = MAX_PARTS,
    max_header_octets: int = MAX_HEADER_OCTETS,
    max_header_fields: int = MAX_HEADER_FIELDS,
) -> Part:
    """The message as a tree of parts; never raises. Beyond a limit the rest is a leaf with `cut` set."""
    size = len(octets)
    delimiters = _Delimiters(octets)
    open_multiparts = delimiters.open
    nodes: list[_Node] = []
    unfinished: list[_Node] = []
    start = 0
    parent: _Node | None = None
    while True:
        following, index = delimiters.next(start - 1) if open_multiparts else (size, -1)
        limit = size if index < 0 else following + 1
        while True:
            header = read_header(octets, start, limit, max_octets=max_header_octets, max_fields=max_header_fields)
            in_digest = parent is not None and parent.type == b"multipart" and parent.subtype == b"digest"
            node = _Node(octets, header, 0 if parent is None else parent.depth + 1, in_digest)
            nodes.append(node)
            unfinished.append(node)
            if parent is not None:
                parent.children.append(node)
            if node.type != b"message" or node.subtype not in _MESSAGES:
                break
            if node.depth >= max_depth or len(nodes) >= max_parts:
                node.become_leaf(cut=True)
                break
            start, parent = header.body, node
        if node.type == b"multipart":
            boundary = (parameter(node.parameters, b"boundary") or b"").rstrip(b" \t\r\n")
            if not boundary:
                node.become_leaf(cut=False)
            elif node.depth >= max_depth or delimiters.spent > _MAX_PASSES * size + _FREE_OCTETS:
                node.become_leaf(cut=True)
            else:
                open_multiparts.append(_Open(node, boundary, len(unfinished)))
        position = header.body - 1
        closed = True
        while closed:
            if open_multiparts:
                following, index = delimiters.next(position)
            if index < 0 or not open_multiparts:
                return _finish(octets, nodes, unfinished, size)
            multipart = open_multiparts[index]
            if len(nodes) >= max_parts:
                nodes[-1].cut = True
                return _finish(octets, nodes, unfinished, size)
            end = following - 1 if octets[following - 1 : following] == b"\r" else following
            # The innermost first: a header without its empty line reaches to the delimiter itself, and what is around it no less far.
            for ended in reversed(unfinished[multipart.index :]):
                end = ended.end = max(end, ended.header.body)
            del unfinished[multipart.index :]
            del open_multiparts[index + 1 :]
            after = following + len(multipart.needle)
            closed = octets.startswith(b"--", after)
            line_end = octets.find(b"\n", after)
            if closed:
                del open_multiparts[index]
                position = after if line_end < 0 else line_end
                index = -1
            else:
                start = size if line_end < 0 else line_end + 1
                parent = multipart.node


def _finish(octets: bytes, nodes: list[_Node], unfinished: list[_Node], size: int) -> Part:
    for node in unfinished:
        node.end = size
    for node in nodes:
        if node.type == b"multipart" and not node.children:
            node.become_leaf(cut=False)
    _count_lines(octets, nodes)
    frozen: dict[int, Part] = {}
    for node in reversed(nodes):
        frozen[id(node)] = node.frozen(tuple([frozen[id(child)] for child in node.children]))
    return frozen[id(nodes[0])]


def _count_lines(octets: bytes, nodes: list[_Node]) -> None:
    """Count line feeds once over all octets, however deeply messages are nested."""
    counted = [node for node in nodes if node.type == b"text" or (node.type == b"message" and node.subtype in _MESSAGES)]
    if len(counted) == 1:
        counted[0].lines = occurrences(octets, b"\n", counted[0].header.body, counted[0].end)
        return
    offsets = sorted({offset for node in counted for offset in (node.header.body, node.end)})
    total = 0
    before = dict.fromkeys(offsets[:1], 0)
    for low, high in pairwise(offsets):
        total += occurrences(octets, b"\n", low, high)
        before[high] = total
    for node in counted:
        node.lines = before[node.end] - before[node.header.body]
