"""Which messages belong to one conversation? THREAD's two ways to tell (RFC 5256 section 3), pure and without recursion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

_NOBODY: Final = -1


class Letter(NamedTuple):
    """One message. `sent` orders; `subject` is its base subject, collated; Message-IDs without quotes, "" for none."""

    number: int
    sent: int
    subject: str
    is_reply: bool
    message_id: str
    ancestors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """Nodes by their place: `numbers[node]` of a message, 0 for one that is only referred to; such a node is never below another."""

    numbers: Sequence[int]
    roots: Sequence[int]
    children: Sequence[Sequence[int]]


def by_subject(letters: Sequence[Letter]) -> Forest:
    """ORDEREDSUBJECT: the first message of a subject, and all others below it. `letters` in the folder's order."""
    order = sorted(range(len(letters)), key=lambda node: letters[node].sent)
    groups: dict[str, list[int]] = {}
    for node in order:
        groups.setdefault(letters[node].subject, []).append(node)
    children: list[Sequence[int]] = [()] * len(letters)
    # Groups came in the order of their first messages.
    for first, *others in groups.values():
        children[first] = others
    return Forest([letter.number for letter in letters], [group[0] for group in groups.values()], children)


def by_references(letters: Sequence[Letter]) -> Forest:
    """REFERENCES. `letters` in the folder's order. All but linear in the number of references."""
    parents = _linked(letters)
    children, roots = _pruned(parents, len(letters))
    roots = _gathered(letters, children, roots)
    sent = [letter.sent for letter in letters]
    for below in children:
        if len(below) > 1:
            below.sort(key=lambda node: (sent[node], node))
    real = len(letters)
    roots.sort(key=lambda node: (sent[node], node) if node < real else (sent[children[node][0]], children[node][0]))
    return Forest([letter.number for letter in letters] + [0] * (len(children) - real), roots, children)


def _linked(letters: Sequence[Letter]) -> list[int]:
    """Step 1: every node's parent. Nodes beyond the messages stand for identifiers that no message here has."""
    nodes: dict[str, int] = {}
    for node, letter in enumerate(letters):
        # Of two messages with one identifier the first has it.
        if letter.message_id and letter.message_id not in nodes:
            nodes[letter.message_id] = node
    real = len(letters)
    parents = [_NOBODY] * real
    tops = list(range(real))
    done = bytearray(real)

    def top(node: int) -> int:
        while tops[node] != node:
            tops[node] = tops[tops[node]]
            node = tops[node]
        return node

    def link(node: int, parent: int) -> None:
        # Only a node without a parent is linked, and it is the top of its tree: there is a loop exactly if it is the parent's top too.
        if top(parent) != node:
            parents[node] = tops[node] = parent

    for node, letter in enumerate(letters):
        before = _NOBODY
        for identifier in letter.ancestors:
            referred = nodes.get(identifier, _NOBODY)
            if referred == _NOBODY:
                referred = nodes[identifier] = len(parents)
                parents.append(_NOBODY)
                tops.append(referred)
            # What others say of a message that has yet to speak for itself would be undone then (step 1.B).
            if before != _NOBODY and parents[referred] == _NOBODY and (referred >= real or done[referred]):
                link(referred, before)
            before = referred
        if before != _NOBODY:
            link(node, before)
        done[node] = True
    return parents


def _pruned(parents: Sequence[int], real: int) -> tuple[list[list[int]], list[int]]:
    """Steps 2 and 3: children and roots, where nodes that are no messages are left only as roots with several children."""
    children: list[list[int]] = [[] for _ in parents]
    order: list[int] = []
    for node, parent in enumerate(parents):
        if parent == _NOBODY:
            order.append(node)
        else:
            children[parent].append(node)
    count = len(order)
    for node in order:
        order.extend(children[node])
    for node in reversed(order):
        below = children[node]
        if any(child >= real for child in below):
            children[node] = _raised(below, children, real)
    roots: list[int] = []
    for node in order[:count]:
        if node < real or len(children[node]) > 1:
            roots.append(node)
        else:
            roots.extend(children[node])
    return children, roots


def _raised(below: Sequence[int], children: list[list[int]], real: int) -> list[int]:
    """The nodes, each that is no message replaced by its children; the shorter list always goes into the longer one."""
    found: list[int] = []
    for child in below:
        piece = [child] if child < real else children[child]
        if child >= real:
            children[child] = []
        if len(piece) > len(found):
            found, piece = piece, found
        found.extend(piece)
    return found


def _gathered(letters: Sequence[Letter], children: list[list[int]], roots: Sequence[int]) -> list[int]:
    """Steps 4 and 5: threads with one base subject become one. Returns the roots, in no order."""
    real = len(letters)

    def first(node: int) -> int:
        return node if node < real else min(children[node], key=lambda child: (letters[child].sent, child))

    ordered = sorted(((letters[first(root)].sent, first(root)), root) for root in roots)
    spoken_for = {root: letters[first_of] for (_, first_of), root in ordered}
    table: dict[str, int] = {}
    for _, root in ordered:
        subject = spoken_for[root].subject
        if not subject:
            continue
        there = table.get(subject)
        if there is None or (there < real and (root >= real or (letters[there].is_reply and not letters[root].is_reply))):
            table[subject] = root
    gone: set[int] = set()
    made: list[int] = []
    for _, root in ordered:
        subject = spoken_for[root].subject
        there = table.get(subject, root) if subject else root
        if there == root:
            continue
        gone.add(root)
        if there >= real:
            children[there].extend(children[root] if root >= real else (root,))
        elif letters[root].is_reply and not letters[there].is_reply:
            children[there].append(root)
        else:
            gone.add(there)
            table[subject] = len(children)
            made.append(len(children))
            children.append([there, root])
    return [root for _, root in ordered if root not in gone] + made


def spell(forest: Forest) -> bytes:
    """`1*thread-list`, `thread-list = "(" (thread-members / thread-nested) ")"`, `thread-members = nz-number *(SP nz-number) [SP
    thread-nested]`, `thread-nested = 2*thread-list` (RFC 5256 section 5); nothing where there are no messages."""
    pieces: list[bytes] = []
    todo = list(reversed(forest.roots))
    while todo:
        node = todo.pop()
        if node == _NOBODY:
            pieces.append(b")")
            continue
        pieces.append(b"(")
        while True:
            number, below = forest.numbers[node], forest.children[node]
            if number:
                pieces.append(b"%d" % number)
            if not below:
                pieces.append(b")")
                break
            if number:
                pieces.append(b" ")
            if len(below) > 1:
                todo.append(_NOBODY)
                todo.extend(reversed(below))
                break
            node = below[0]
    return b"".join(pieces)
