"""ESEARCH: what matches in several mailboxes, selected or not (RFC 7377)?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.folders import Listed, OpenFolder, Place
from gateway.imap.grammar.esearch import Esearch, Source
from gateway.imap.grammar.search import Search
from gateway.imap.handlers.contexts import following, refuse
from gateway.imap.handlers.search import asks_modseq, criterion, highest, matching, needs_numbers, require_uids, returned, search
from gateway.imap.names import INBOX, SEPARATOR, BadName, FolderName, NoFolder
from gateway.imap.responses import LIMIT, FoundExtended, messagelimit
from gateway.imap.session import Answer, Bad, No, Output, Selected, Session
from gateway.imap.view import FolderState, View
from gateway.refusal import Refused
from policy.identity import Address, FolderId
from policy.reasons import Reason
from policy.rights import Right

MOST: Final = 1_000
"""Mailboxes searched by one command (RFC 7377 section 2.4)."""
# Said of the search itself, not of a mailbox that went away or was closed to the actor meanwhile.
_OURS: Final = frozenset({Reason.LIMIT, Reason.BUSY})


@dataclass(frozen=True, slots=True)
class _Target:
    """A mailbox to search, as the answer is to name it."""

    name: str
    where: Place | FolderId


async def esearch(session: Session, command: Esearch, emit: Output) -> Answer:
    """RFC 7377 section 2. Mailboxes that may not be seen or read are passed over like those that there are not (section 2.2)."""
    wanted = command.search
    require_uids(session, wanted.key)
    selected = session.selected
    if selected is None and command.selected:
        raise Bad("select a mailbox first, or say in which ones to search")
    if not command.only_selected and wanted.returns(b"SAVE"):
        raise Bad("SAVE is for the selected mailbox only")
    updates = wanted.returns(b"UPDATE")
    if updates:
        if selected is None:
            raise Bad("select a mailbox first: only that one can be followed")
        following(session, emit.tag)
    if selected is not None and command.only_selected:
        return await search(session, wanted, emit, named=_own_name(session, selected))
    if asks_modseq(wanted.key):
        session.use_modseqs(emit)
    limit = session.services.message_limit
    targets = await _targets(session, command.sources, emit)
    searched: set[int] = set()
    passed_over = False
    answer = Answer()
    looked_at = 0
    # How far it has come is told in mailboxes (RFC 9585).
    emit.goal = len(targets)
    for number, target in enumerate(targets):
        emit.done = number
        await emit.breathe()
        folder = await session.services.folders.find(session.acting, target.where)
        passed_over = passed_over or folder is None
        if folder is None or folder.row.id in searched:
            continue
        searched.add(folder.row.id)
        is_selected = selected is not None and folder.row.id == selected.folder.row.id
        looked_at += min(folder.row.exists, limit) if is_selected else folder.row.exists
        if looked_at > limit:
            # RFC 9738 section 3.1: the UID to go on from is that of one mailbox; among several there is none.
            raise No(f"that is more than {limit} messages, ask for fewer mailboxes", messagelimit(limit))
        if is_selected:
            answer = await search(session, wanted, emit, named=target.name)
        else:
            await _elsewhere(session, target.name, folder, wanted, emit)
    if passed_over:
        await session.have_looked()
    if updates and emit.tag is not None and selected is not None and selected.folder.row.id not in searched:
        refuse(emit.tag, "only the selected mailbox can be followed", emit)
    return answer


async def _elsewhere(session: Session, name: str, folder: OpenFolder, wanted: Search, emit: Output) -> None:
    """One that is not selected: by what it is now, each message number a place in it."""
    try:
        if needs_numbers(wanted.key):
            state = await session.services.states.current(folder)
            looked_at = Selected(folder, View(state, claims=False, tells_recent=not session.is_rev2), examined=True)
            found: Sequence[int] = [uid for _, uid in await matching(looked_at, wanted.key, emit)]
        else:
            looked_at = Selected(folder, View(FolderState(), claims=False), examined=True)
            found = await folder.search(criterion(wanted.key, looked_at.view, folder.now()))
    except Refused as refused:
        if refused.verdict.reason in _OURS:
            raise
        return
    if not found:
        return
    data, counted = returned(found, wanted.returning or ())
    if asks_modseq(wanted.key) and counted:
        data = (*data, (b"MODSEQ", b"%d" % highest(looked_at, counted, by_uid=True)))
    emit.say(FoundExtended(emit.tag, True, data, (name, folder.row.uidvalidity)))


async def _targets(session: Session, sources: Sequence[Source], emit: Output) -> list[_Target]:
    """In the client's order. Raises No where there are too many."""
    subtrees = {name: _canonical(session, name) for source in sources if source.kind.startswith(b"SUBTREE") for name in source.mailboxes}
    kinds = {source.kind for source in sources}
    listed = await _listed(session, [name for name in subtrees.values() if name is not None], kinds)
    found: dict[Place | FolderId, str] = {}
    for source in dict.fromkeys(sources):
        match source.kind:
            case b"SELECTED":
                assert session.selected is not None
                found.setdefault(session.selected.folder.row.id, _own_name(session, session.selected))
            case b"INBOXES":
                found.setdefault(Place(None, f"/{INBOX}"), INBOX)
            case b"PERSONAL":
                for name, one in listed:
                    if one.owner == session.acting.actor.account:
                        found.setdefault(one.row.id, name)
            case b"SUBSCRIBED":
                for name, one in listed:
                    if one.subscribed:
                        found.setdefault(one.row.id, name)
            case b"MAILBOXES":
                for name in source.mailboxes:
                    place = _place(session, name)
                    if place is not None:
                        found.setdefault(place, name)
            case _:
                for written in dict.fromkeys(source.mailboxes):
                    for name, one in _below(written, subtrees[written], listed, one_level=source.kind == b"SUBTREE-ONE"):
                        found.setdefault(one.row.id, name)
                    await emit.breathe()
        if len(found) > MOST:
            raise No(f"that is more than {MOST} mailboxes", LIMIT)
    return [_Target(name, where) for where, name in found.items()]


def _below(written: str, top: str | None, listed: Sequence[tuple[str, Listed]], *, one_level: bool) -> Iterator[tuple[str, Listed]]:
    """The mailbox of that name and what is below it, named as the client wrote its beginning."""
    if top is None:
        return
    for name, one in listed:
        if name == top or name.startswith(top + SEPARATOR):
            below = name.removeprefix(top)
            if not (one_level and SEPARATOR in below[1:]):
                yield written + below, one


async def _listed(session: Session, tops: Sequence[str], kinds: set[bytes]) -> list[tuple[str, Listed]]:
    """What may be seen and read, as LIST names it, as far as it is asked for."""
    names = session.names
    others = [top for top in tops if top == names.node or top.startswith(names.prefix)]
    subscribed = b"SUBSCRIBED" in kinds
    if not tops and not kinds & {b"PERSONAL", b"SUBSCRIBED"}:
        return []

    def wanted(owner: Address) -> bool:
        node = names.owner_node(str(owner))
        return subscribed or any(top in (names.node, node) or top.startswith(node + SEPARATOR) for top in others)

    own = subscribed or b"PERSONAL" in kinds or len(others) < len(tops)
    listing = await session.services.folders.listing(session.acting, wanted if others or subscribed else None, own=own)
    return [
        (session.name_of(one.owner_address, one.row.path), one)
        for one in listing.folders
        if Right.READ in one.held and not one.row.noselect
    ]


def _place(session: Session, mailbox: str) -> Place | None:
    """None: no mailbox can have this name."""
    try:
        return session.place(mailbox)
    except No:
        return None


def _canonical(session: Session, mailbox: str) -> str | None:
    """The name as LIST shows it, or of the node of other people's mailboxes. None: none can have it."""
    names = session.names
    try:
        found = names.parse(mailbox)
    except NoFolder:
        return names.node
    except BadName:
        return None
    owner = None if found.owner == str(session.acting.actor.address) else found.owner
    return names.spell(FolderName(owner, found.path)) or None


def _own_name(session: Session, selected: Selected) -> str:
    return session.name_of(selected.folder.owner, selected.folder.row.path)
