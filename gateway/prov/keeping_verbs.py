"""`procura verify`, `backup`, `deleted`, `restore-account`: looking after what is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.directory.backups import Run, There
from gateway.directory.deleted_accounts import RestoredAccount
from gateway.directory.reinstallation import Reinstalled
from gateway.directory.verification import Verified
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Told, Verb, unwatched


async def _verify(desk: Desk, arguments: Sequence[str], told: Told) -> Answer:
    read = options(arguments, flags=("--repair",))
    if read.rest:
        raise Usage("[--repair] [--progress]")
    return _verified(await desk.directory.verification.verify(told, repair="--repair" in read.flags))


def _verified(found: Verified) -> Answer:
    told = [f"{'WRONG' if one.grave else 'note'}: {one.where}: {one.what}" for one in found.findings]
    if found.found > len(found.findings):
        told.append(f"... and {found.found - len(found.findings)} more")
    there = f"{found.folders} folders, {found.messages} messages, {found.blobs} stored octets, {found.records} records of the audit"
    if found.repaired:
        told.append(f"{found.repaired} counts made anew; look again")
    told.append(f"{'OK' if found.is_whole else 'NOT WHOLE'}: {there}")
    data: dict[str, Any] = {
        "whole": found.is_whole,
        "findings": [{"where": one.where, "what": one.what, "grave": one.grave} for one in found.findings],
        "found": found.found,
        "repaired": found.repaired,
        "folders": found.folders,
        "messages": found.messages,
        "blobs": found.blobs,
        "records": found.records,
    }
    return Answer(lines(told), data, denied=not found.is_whole)


BACKUP: Final = "DIR [--keep N] [--progress] | list DIR | verify DIR [BACKUP ...] [--progress]"


async def _backup(desk: Desk, arguments: Sequence[str], told: Told) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "list" if len(rest) == 1:
            return _backups(await desk.directory.backups.there(Path(rest[0])))
        case "verify" if rest:
            said = await desk.directory.backups.faults(Path(rest[0]), rest[1:], told)
            text = lines([f"WRONG: {one}" for one in said] or ["OK: everything is there as it was written"])
            return Answer(text, {"whole": not said, "faults": list(said)}, denied=bool(said))
    read = options(arguments, valued=("--keep",))
    keep = read.values.get("--keep", "")
    if len(read.rest) != 1 or (keep and not (keep.isascii() and keep.isdigit() and int(keep[:9]) > 0)):
        raise Usage(BACKUP)
    made = await desk.directory.backups.make(Path(read.rest[0]), told, int(keep) if keep else None)
    told_lines = [f"{made.run.id}: {_amount(made.run)}"]
    told_lines += [f"WRONG: file {place} is not what the database says; procura verify names it" for place in made.run.missing]
    told_lines += [f"removed {name}" for name in made.removed]
    data = {**_run_data(made.run), "removed": list(made.removed)}
    return Answer(lines(told_lines), data, denied=bool(made.run.missing))


def _backups(there: There) -> Answer:
    told = [f"{run.id}  {moment(run.at)}  {_amount(run)}" for run in there.runs] or ["there is no backup"]
    told += [f"{name}: under way, or it was killed: not to be used" for name in there.unfinished]
    return Answer(lines(told), {"backups": [_run_data(run) for run in there.runs], "unfinished": list(there.unfinished)})


def _amount(run: Run) -> str:
    damaged = f", {len(run.missing)} files DAMAGED" if run.missing else ""
    return f"{run.octets} octets, {run.added} of them new, {run.messages} files of messages{damaged}"


def _run_data(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "at": stamp(run.at),
        "version": run.version,
        "octets": run.octets,
        "added": run.added,
        "files": run.messages,
        "missing": list(run.missing),
    }


def _from_here(arguments: Sequence[str], here: Path) -> Sequence[str]:
    """The directory of `backup`, spelled from the root on."""
    found: list[str] = []
    pending = True
    for number, one in enumerate(arguments):
        is_value = number > 0 and arguments[number - 1] == "--keep"
        is_word = number == 0 and one.lower() in ("list", "verify") and len(arguments) > 1
        if pending and not (one.startswith("-") or is_value or is_word):
            found.append(str(here / one))
            pending = False
        else:
            found.append(one)
    return found


def reinstalled(done: Reinstalled, data: Path) -> Answer:
    """What a restore says."""
    told = [f"{data} has the state of {moment(done.run.at)} ({done.run.id})"]
    told += [f"WRONG: file {place} was damaged when the backup was made; procura verify names its message" for place in done.run.missing]
    if done.renewed is not None:
        told.append(f"{done.renewed.folders} folders have a new UIDVALIDITY: mail clients fetch them again")
        if done.renewed.queued:
            told.append(
                f"{done.renewed.queued} messages in the queue are held, for they may have left since: procura queue list, release, drop"
            )
    held = None if done.renewed is None else done.renewed.queued
    return Answer(lines(told), {**_run_data(done.run), "data": str(data), "held": held})


RESTORE: Final = "NAME|ID [--to ADDRESS] [--from DIR [--at TIME]] [--rebind-grants] [--notify ADDRESS] [--progress]"


async def _restore_account(desk: Desk, arguments: Sequence[str], told: Told) -> Answer:
    read = options(arguments, flags=("--rebind-grants",), valued=("--to", "--from", "--at", "--notify"))
    source, at = read.values.get("--from"), read.values.get("--at")
    if len(read.rest) != 1 or (at is not None and source is None):
        raise Usage(RESTORE)
    to, notify = read.values.get("--to"), read.values.get("--notify")
    rebind = "--rebind-grants" in read.flags
    accounts = desk.directory.deleted
    if source is None:
        done = await accounts.restore(read.rest[0], to=to, rebind=rebind, notify=notify)
    else:
        when = None if at is None else read_moment(at, await desk.directory.now())
        done = await accounts.restore_from(read.rest[0], Path(source), told, at=when, to=to, rebind=rebind, notify=notify)
    return _restored(done, notify)


def _restored(done: RestoredAccount, notify: str | None) -> Answer:
    source = "as it was when it was deleted" if done.run is None else f"from {done.run.id}"
    told = [f"{done.address} (#{done.id}), {source}: {done.folders} folders, {done.messages} messages"]
    told += [f"{one.kind}: {one.what}" for one in done.bindings if not one.why]
    told += [f"NOT BOUND {one.kind}: {one.what}: {one.why}" for one in done.bindings if one.why]
    if notify is not None:
        told.append(f"told {done.notified}" if done.notified else f"{notify} could not be told: nobody takes mail for it")
    data = {
        "id": done.id,
        "address": str(done.address),
        "backup": None if done.run is None else done.run.id,
        "folders": done.folders,
        "messages": done.messages,
        "bound": [{"kind": str(one.kind), "what": one.what} for one in done.bindings if not one.why],
        "notBound": [{"kind": str(one.kind), "what": one.what, "why": one.why} for one in done.bindings if one.why],
        "notified": done.notified,
    }
    return Answer(lines(told), data)


async def _deleted(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("list",)
    match word.lower():
        case "list" if not rest:
            rows = [row async for row in desk.directory.deleted.all()]
            told: list[Sequence[object]] = [("Id", "Deleted", "Until", "Octets", "Address")]
            for row in rows:
                until = "going" if row.purging else moment(row.until)
                told.append((row.id, moment(row.deleted), until, row.used, str(row.address)))
            data = [
                {
                    "id": row.id,
                    "address": str(row.address),
                    "deleted": stamp(row.deleted),
                    "until": None if row.purging else stamp(row.until),
                    "used": row.used,
                }
                for row in rows
            ]
            return Answer(table((-6, 25, 25, -12, 0), told) if rows else "no deleted account is kept\n", data)
        case "purge":
            overdue = options(rest, flags=("--overdue",))
            if bool(overdue.rest) == bool(overdue.flags):
                raise Usage("list | purge NAME|ID ... | purge --overdue")
            count = await desk.directory.deleted.purge(overdue.rest)
            return Answer(f"{count} gone for good\n", {"purged": count})
        case _:
            raise Usage("list | purge NAME|ID ... | purge --overdue")


def _source_from_here(arguments: Sequence[str], here: Path) -> Sequence[str]:
    found: list[str] = []
    for number, one in enumerate(arguments):
        if one.startswith("--from="):
            found.append(f"--from={here / one.removeprefix('--from=')}")
        elif number and arguments[number - 1] == "--from":
            found.append(str(here / one))
        else:
            found.append(one)
    return found


VERBS: Final = (
    Verb(
        "restore-account",
        "",
        RESTORE,
        "a deleted account as it was, or (--from) any account as a backup has it, as a new one; what could not be bound is listed",
        1,
        None,
        unwatched(_restore_account),
        long=_restore_account,
        local=_source_from_here,
    ),
    Verb(
        "deleted",
        "",
        "[list | purge NAME|ID ... | purge --overdue]",
        "accounts that were deleted and can be restored; take them away for good",
        0,
        None,
        _deleted,
    ),
    Verb(
        "backup",
        "",
        BACKUP,
        "one more backup of everything while it runs (what is there already is not copied again); which there are, and are they whole",
        1,
        None,
        unwatched(_backup),
        long=_backup,
        local=_from_here,
    ),
    Verb(
        "verify",
        "",
        "[--repair] [--progress]",
        "is everything that is kept whole: database, counts, the octets of every message, the record of decisions; --repair: counts",
        0,
        None,
        unwatched(_verify),
        long=_verify,
    ),
)
