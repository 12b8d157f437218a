"""LIST, LSUB, NAMESPACE: which folders are there for this actor?"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.folders import ATTRIBUTES, Extra, Footing, Listing
from gateway.folders import Listed as ListedFolder
from gateway.imap.grammar.connection import NamespaceQuery
from gateway.imap.grammar.listing import List, Lsub
from gateway.imap.handlers.metadata import MetadataOf
from gateway.imap.handlers.status import extra, speller
from gateway.imap.listed import Saying
from gateway.imap.names import INBOX, SEPARATOR, Namespace, Pattern, fold_owner, normalized
from gateway.imap.responses import Extended, Listed, Namespaces, OwnRights, childinfo, oldname, status_of
from gateway.imap.session import Output, Session
from policy.identity import Address
from policy.rights import Right, spell_rfc
from store.model import FolderRow

_AT_ONCE: Final = 100
"""Folders whose figures are said before something else may be done."""


@dataclass(slots=True)
class Name:
    """A name that may be listed. `folder` None: a node above folders, or a name that was subscribed to."""

    folder: ListedFolder | None = None
    subscribed: bool = False
    is_gone: bool = False
    has_children: bool = False
    hidden: bool = False
    below: frozenset[bytes] = frozenset()
    speaks_for_others: bool = False

    @property
    def use(self) -> bytes | None:
        """The attribute of RFC 6154."""
        return None if self.folder is None or self.folder.row.special_use is None else ATTRIBUTES.get(self.folder.row.special_use)


class _Asked:
    """One pattern of the client's. Who writes the owner's full address gets the names back as he wrote them (clients.md 11)."""

    __slots__ = ("_canonical", "_written", "is_elsewhere", "pattern")

    def __init__(self, reference: str, pattern: str, names: Namespace) -> None:
        whole = normalized(reference + pattern)
        self._canonical = self._written = ""
        self.is_elsewhere = whole.startswith(names.prefix)
        if self.is_elsewhere:
            shown, _, _ = whole.removeprefix(names.prefix).partition(SEPARATOR)
            if "@" in shown and "*" not in shown and "%" not in shown:
                canonical = names.owner_node(fold_owner(shown))
                if canonical != names.prefix + shown:
                    self._written, self._canonical = names.prefix + shown, canonical
                    whole = canonical + whole[len(self._written) :]
        self.pattern = Pattern("", whole)

    def matches(self, name: str) -> bool:
        return self.pattern.matches(name)

    def spell(self, name: str) -> str:
        if self._canonical and (name == self._canonical or name.startswith(self._canonical + SEPARATOR)):
            return self._written + name[len(self._canonical) :]
        return name

    def wants(self, node: str) -> bool:
        """Could it match the node or anything below it?"""
        return self.pattern.matches(node) or self.pattern.reaches(node)


async def list_folders(session: Session, command: List, emit: Output) -> None:
    """RFC 3501 section 6.3.8, RFC 5258, RFC 5819, RFC 6154; what may not be seen is left out (delegation.md section 2)."""
    if command.patterns == ("",) and not command.extended:
        emit.say(Listed((b"\\Noselect",), ""))
        return
    asked = [_Asked(command.reference, pattern, session.names) for pattern in command.patterns if command.reference + pattern]
    figures = command.returns(b"STATUS")
    asked_figures = figures.value if figures is not None and isinstance(figures.value, tuple) else ()
    if b"HIGHESTMODSEQ" in asked_figures:
        session.use_modseqs(emit)
    metadata = command.returns(b"METADATA")
    wanted = metadata.value if metadata is not None and isinstance(metadata.value, tuple) else ()
    entries = [entry.decode("ascii") for entry in wanted if isinstance(entry, bytes)]
    items = tuple(item for item in asked_figures if isinstance(item, bytes))
    question = (session.acting.actor, command, emit.utf8)
    if not entries and await _say_again(session, question, items, emit):
        return
    names, footing = await _names(session, asked, figures=figures is not None, extra=extra(items), metadata=entries)
    saying = Saying()
    spell_figures = speller(items, session.services)
    only_subscribed = command.selects(b"SUBSCRIBED")
    only_special = command.selects(b"SPECIAL-USE")
    recursive = command.selects(b"RECURSIVEMATCH")
    tells_subscribed = only_subscribed or command.returns(b"SUBSCRIBED") is not None
    if recursive:
        _pass_up(names, asked, only_subscribed, only_special)
    returns_rights = command.returns(b"MYRIGHTS") is not None
    for name in _ordered(names):
        one = names[name]
        for pattern in asked:
            if pattern.matches(name):
                spelled = pattern.spell(name)
                break
        else:
            continue
        fits = (one.subscribed or not only_subscribed) and (one.use is not None or not only_special)
        fits = fits and (only_subscribed or not one.is_gone)
        if not fits and not one.speaks_for_others:
            continue
        extended = (childinfo(sorted(one.below)),) if recursive and one.below else ()
        shown = attributes(one, tells_subscribed=tells_subscribed)
        if figures is not None and one.folder is not None and Right.READ not in one.folder.held and b"\\Noselect" not in shown:
            # RFC 5819 section 2: no STATUS for what may be seen and not be read, and then it is said that it cannot be selected. What
            # cannot be told for now, the owner being in maintenance, is left out in silence: no client is to drop its copies.
            shown = (b"\\Noselect", *shown)
        emit(saying.say(Listed(shown, spelled, extended).spell(utf8=emit.utf8)))
        if returns_rights and one.folder is not None:
            # RFC 8440; a name that is no folder has no rights.
            emit(saying.say(OwnRights(spelled, spell_rfc(one.folder.held)).spell(utf8=emit.utf8)))
        if one.folder is not None and one.folder.figures is not None:
            if session.watch is not None:
                session.watch.asked(one.folder.row.id)
            emit(saying.say(status_of(spelled, emit.utf8)))
            saying.figures(one.folder.row.id)
            emit(spell_figures(one.folder.figures))
        if one.folder is not None and one.folder.metadata:
            emit.say(MetadataOf(spelled, one.folder.metadata))
        await emit.breathe()
    if footing is not None:
        session.services.states.listed.keep(question, saying.said(footing))


async def _say_again(session: Session, question: Hashable, items: Sequence[bytes], emit: Output) -> bool:
    """The answer to the same question of the same actor, if what it rests on stands, with the figures as they are now. False: it has to be
    made anew."""
    services = session.services
    said = services.states.listed.last(question)
    if said is None:
        return False
    if not said.folders:
        if not await services.folders.stands(said.footing):
            return False
        emit(said.pieces[0])
        await emit.breathe()
        return True
    found = await services.folders.figures_again(session.acting, said.footing, said.folders, extra(items))
    if found is None:
        return False
    spell_figures = speller(items, services)
    if session.watch is not None:
        for folder in said.folders:
            session.watch.asked(folder)
    for at in range(0, len(found), _AT_ONCE):
        some = found[at : at + _AT_ONCE]
        emit(b"".join([piece + spell_figures(figures) for piece, figures in zip(said.pieces[at : at + _AT_ONCE], some, strict=False)]))
        await emit.breathe()
    emit(said.pieces[-1])
    await emit.breathe()
    return True


async def listed(session: Session, mailbox: str, row: FolderRow, *, owner: Address | None = None, old: str | None = None) -> Listed:
    """The LIST response for one folder that a command was about, with the attributes that LIST gives it (RFC 9051 section 6.3.2).

    `mailbox`: as the client wrote it; where that is not how it is listed, or with `old`, OLDNAME says so (section 6.3.9.7). `owner`:
    whose it is, where that is known.
    """
    listing = await session.services.folders.listing(
        session.acting,
        None if session.place(mailbox).owner is None else lambda one: owner is None or one == owner,
        own=session.place(mailbox).owner is None,
        top=row.path,
    )
    below = row.path + SEPARATOR
    one = Name()
    for folder in listing.folders:
        if folder.row.id == row.id:
            one.folder = folder
        elif folder.owner == row.owner and folder.row.path.startswith(below):
            one.has_children = True
    name = session.names.canonical(mailbox)
    return Listed(attributes(one, tells_subscribed=False) if one.folder else (), name, renamed(old or mailbox, name))


def renamed(old: str, name: str) -> tuple[Extended, ...]:
    """OLDNAME, where the client called the folder otherwise."""
    return () if old == name else (oldname(old),)


async def lsub(session: Session, command: Lsub, emit: Output) -> None:
    """RFC 3501 section 6.3.9. With `%`, the parent of a subscribed name that does not match itself is shown \\Noselect."""
    if not command.pattern:
        emit.say(Listed((b"\\Noselect",), "", lsub=True))
        return
    question = (session.acting.actor, command, emit.utf8)
    if await _say_again(session, question, (), emit):
        return
    asked = _Asked(command.reference, command.pattern, session.names)
    names, footing = await _names(session, [asked], figures=False)
    said: dict[str, bool] = {}
    for name in _ordered(names):
        if not names[name].subscribed:
            continue
        if asked.matches(name):
            said[name] = True
            continue
        for parent in parents(name):
            if asked.matches(parent):
                said.setdefault(parent, False)
                break
    saying = Saying()
    for name in sorted(said, key=_order):
        shown = () if said[name] else (b"\\Noselect",)
        emit(saying.say(Listed(shown, asked.spell(name), lsub=True).spell(utf8=emit.utf8)))
        await emit.breathe()
    if footing is not None:
        session.services.states.listed.keep(question, saying.said(footing))


async def namespace(session: Session, command: NamespaceQuery, emit: Output) -> None:
    """RFC 2342."""
    emit.say(Namespaces((("", SEPARATOR),), ((session.names.prefix, SEPARATOR),)))


async def _names(
    session: Session, asked: Iterable[_Asked], *, figures: bool, extra: Extra = Extra.NONE, metadata: Sequence[str] = ()
) -> tuple[dict[str, Name], Footing | None]:
    """Every name that could be listed, with the nodes above them; what that rests on, None where nothing tells when it changes."""
    names = session.names
    patterns = list(asked)
    others = any(pattern.wants(names.node) for pattern in patterns)

    def wanted(owner: Address) -> bool:
        node = names.owner_node(str(owner))
        # The node above owners is listed only where somebody shares something: then any owner will do.
        return any(pattern.wants(node) or pattern.matches(names.node) for pattern in patterns)

    own = not all(pattern.is_elsewhere for pattern in patterns)
    service = session.services.folders
    asked_of = wanted if others else None
    if metadata:
        listing = await service.listing(session.acting, asked_of, own=own, figures=figures, extra=extra, metadata=metadata)
        return named(session, listing), None
    listing, footing = await service.founded(session.acting, asked_of, own=own, figures=figures, extra=extra)
    return named(session, listing), footing


def named(session: Session, listing: Listing) -> dict[str, Name]:
    """What was listed by its mailbox names, with the nodes above them."""
    names = session.names
    found: dict[str, Name] = {}
    for folder in listing.folders:
        name = session.name_of(folder.owner_address, folder.row.path)
        found[name] = Name(folder, folder.subscribed)
    for gone in listing.vanished:
        found.setdefault(gone.path[1:], Name(subscribed=True, is_gone=True))
    for name in list(found):
        if found[name].is_gone:
            continue
        for parent in parents(name):
            above = found.get(parent)
            if above is None:
                above = found[parent] = Name(hidden=not _is_node(parent, names))
            if above.is_gone:
                above.is_gone = False
                above.hidden = True
            if above.has_children:
                break
            above.has_children = True
    return found


def _is_node(name: str, names: Namespace) -> bool:
    """Is it the node of other people's folders, or one owner's?"""
    return name == names.node or (name.startswith(names.prefix) and SEPARATOR not in name.removeprefix(names.prefix))


def parents(name: str) -> Iterable[str]:
    """The names above, the nearest first."""
    at = name.rfind(SEPARATOR)
    while at > 0:
        name = name[:at]
        yield name
        at = name.rfind(SEPARATOR)


def _order(name: str) -> str:
    # INBOX first, and what is below a name directly behind it: no name has a NUL.
    return "" if name == INBOX else name.replace(SEPARATOR, "\0")


def _ordered(names: dict[str, Name]) -> list[str]:
    return sorted(names, key=_order)


def _pass_up(names: dict[str, Name], asked: Sequence[_Asked], only_subscribed: bool, only_special: bool) -> None:
    """RECURSIVEMATCH: every name above one that is selected knows so (RFC 5258 section 3.5), and stands in for it where that one is
    not listed itself because no pattern matches it (section 5, example 9: `foo2` does, `baz2` does not)."""
    for name, one in list(names.items()):
        options = set()
        if only_subscribed and one.subscribed:
            options.add(b"SUBSCRIBED")
        if only_special and one.use is not None:
            options.add(b"SPECIAL-USE")
        if options:
            is_listed = any(pattern.matches(name) for pattern in asked)
            for parent in parents(name):
                above = names.setdefault(parent, Name(hidden=True, is_gone=one.is_gone))
                above.below |= options
                above.speaks_for_others |= not is_listed


def attributes(one: Name, *, tells_subscribed: bool) -> tuple[bytes, ...]:
    """As LIST shows them."""
    found: list[bytes] = []
    if one.is_gone:
        found.append(b"\\NonExistent")
    elif one.folder is None:
        found.extend((b"\\NonExistent", b"\\Noselect") if one.hidden else (b"\\Noselect",))
    elif one.folder.row.noselect:
        found.append(b"\\Noselect")
    found.append(b"\\HasChildren" if one.has_children else b"\\HasNoChildren")
    if tells_subscribed and one.subscribed:
        found.append(b"\\Subscribed")
    if one.use is not None:
        found.append(one.use)
    return tuple(found)
