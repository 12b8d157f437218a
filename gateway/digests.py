"""Tells owners once a week by mail what others did in their mailboxes, and which grants came and went."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.delivery import Delivery
from policy.cos import DelegationDigest
from policy.identity import AccountId
from policy.rights import spell_letters
from store import accounts, audit, digest, grants
from store.audit import AuditEntry, AuditRow, Filter
from store.deeds import Several
from store.digest import BeginDigests, Mark, MarkDigest
from store.errors import StoreError
from store.model import AccountRow
from store.port import Snapshot, Store, Tx
from store.queue import AcceptMessage

log = logging.getLogger(__name__)

WEEK: Final = 7 * 86400 * 1_000_000
"""Microseconds."""
RECORDS: Final = 20_000
"""Looked at for one owner; what is beyond is counted as more."""
NAMED: Final = 12
"""Folders, changes, ended grants that are told one by one for each."""
SUBJECT: Final = "What others did in your mailbox"
_DONE: Final = {
    "send-as": "sent as you",
    "on-behalf": "sent on your behalf",
    "answer invitation": "answered invitations",
    "login as": "logged in as you",
}
_CHANGES: Final = frozenset(
    {"grant changed", "grant removed", "break-glass opened", "break-glass closed", "password changed", "folder changed"}
)


@dataclass(frozen=True, slots=True)
class Week:
    """What there is to tell one owner. `more`: there were more records than were looked at; `ended`: grants, in words."""

    rows: Sequence[AuditRow]
    more: bool
    ended: Sequence[str]


class Digests:
    """`round` is called once an hour. Mail and mark are one deed: none is sent twice, whenever the process is killed."""

    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery

    async def round(self) -> None:
        """Everybody whose week is over. Raises StoreError where not even that can be asked."""
        await self._store.do(BeginDigests(), bulk=True)
        after = 0
        while True:
            async with self._store.snapshot() as snapshot:
                marks = await snapshot.work(digest.due, snapshot.now - WEEK, after)
            for mark in marks:
                await self._tell(mark)
            if not marks:
                return
            after = marks[-1].account

    async def _tell(self, mark: Mark) -> None:
        try:
            async with self._store.snapshot() as snapshot:
                head = await snapshot.ask(audit.head)
                row = await snapshot.ask(accounts.by_id, mark.account)
                done = MarkDigest(mark, head.number)
                mail = None
                if row is not None and row.values.delegation_digest is DelegationDigest.WEEKLY:
                    mail = await self._mail(snapshot, row, mark)
            if mail is None:
                await self._store.do(done, bulk=True)
                return
            await self._store.do(Several((mail, done)), bulk=True)
        except StoreError as fault:
            log.warning("digest", extra={"fields": {"account": mark.account, "outcome": "not written", "reason": repr(fault)}})
            return
        except Exception:
            log.exception("digest failed", extra={"fields": {"account": mark.account}})
            return
        log.info("digest", extra={"fields": {"account": mark.account, "outcome": "delivered"}})

    async def _mail(self, snapshot: Snapshot, row: AccountRow, mark: Mark) -> AcceptMessage | None:
        week = await snapshot.work(week_of, row.id, mark)
        text = worded(row, week, mark.sent, snapshot.now)
        return None if text is None else await self._delivery.notice(snapshot, row.address, SUBJECT, text)


def week_of(tx: Tx, owner: AccountId, mark: Mark) -> Week:
    """What is on record since the mark, and the grants whose time was over since then. Ask by `work`."""
    rows = audit.about(tx, Filter(owner=owner, after=mark.number, limit=RECORDS + 1))
    entries = [(path, entry) for path, level in grants.mailbox_levels(tx, owner).items() for entry in level.entries]
    over = [f"{spell_letters(one.rights)} on {path}, {_ended(one.expires)}" for path, one in entries if _is_over(one.expires, mark, tx.now)]
    given = grants.send_grants_on(tx, owner)
    over += [f"{'-' if one.deny else ''}{one.right}, {_ended(one.expires)}" for one in given if _is_over(one.expires, mark, tx.now)]
    return Week(rows[:RECORDS], len(rows) > RECORDS, over)


def _is_over(expires: int | None, mark: Mark, now: int) -> bool:
    return expires is not None and mark.sent < expires <= now


def _ended(expires: int | None) -> str:
    return f"until {_spelled(expires or 0)}"


def worded(row: AccountRow, week: Week, since: int, now: int) -> str | None:
    """The text of the mail; None where nothing happened. What the owner did alone is not told."""
    by_actor: dict[str, list[AuditEntry]] = defaultdict(list)
    changes: list[str] = []
    for one in sorted(week.rows, key=lambda found: found.number):
        entry = one.entry
        actor = entry.person_address or entry.actor_address or "-"
        if entry.event in _CHANGES:
            changes.append(f"{_spelled(one.at)}  {entry.event} by {actor}: {entry.right} {entry.detail}".rstrip())
        elif entry.person is not None or entry.actor not in (row.id, None):
            by_actor[actor].append(entry)
    if not by_actor and not changes and not week.ended:
        return None
    lines = [f"From {_spelled(since)} to {_spelled(now)}, in the mailbox {row.address}:", ""]
    for actor in sorted(by_actor):
        lines += [actor, *(f"  {said}" for said in _doings(by_actor[actor])), ""]
    lines += _listed("Who may do what was changed:", changes)
    lines += _listed("Grants that came to their end:", week.ended)
    if week.more:
        lines += [f"There was more than these {RECORDS} records.", ""]
    lines.append("Your administration has the whole record. It can also end these mails (delegationDigest none).")
    # Addresses and folders are what others named them: nothing of that is a line of its own.
    return "\n".join("".join(letter if letter.isprintable() else " " for letter in line) for line in lines)


def _doings(entries: Iterable[AuditEntry]) -> Iterable[str]:
    done: Counter[str] = Counter()
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    refused: Counter[str] = Counter()
    for entry in entries:
        if not entry.allowed:
            refused[f"{entry.event} {entry.right}".strip()] += 1
        elif entry.event == "folder access":
            folders[entry.right][entry.detail] += 1
        else:
            done[_DONE.get(entry.event, entry.event)] += 1
    for said, count in sorted(done.items()):
        yield f"{said}: {count}"
    for right, paths in sorted(folders.items()):
        named = ", ".join(sorted(paths)[:NAMED])
        yield f"folders, {right}: {named}{f' and {len(paths) - NAMED} more' if len(paths) > NAMED else ''}"
    for said, count in sorted(refused.items()):
        yield f"was refused: {said}: {count}"


def _listed(title: str, said: Sequence[str]) -> list[str]:
    if not said:
        return []
    more = [f"  and {len(said) - NAMED} more"] if len(said) > NAMED else []
    return [title, *(f"  {one}" for one in said[:NAMED]), *more, ""]


def _spelled(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
