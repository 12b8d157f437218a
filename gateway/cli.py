"""The command `procura`: what was typed is parsed, called, and what came of it is printed."""

import argparse
import asyncio
import contextlib
import logging
import logging.config
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import IO, Final, NoReturn

from config.check import Finding, Severity, check
from config.describe import describe, masked, values
from config.example import example
from config.logs import configuration, leave_out_places
from config.settings import Settings, names
from config.sources import Loaded, SettingsError, load
from gateway.completion import SCRIPTS, SHELLS, behind, candidates, from_server
from gateway.control import Broken, NobodyThere, ask
from gateway.exported import LINE as LONGEST
from gateway.exported import prove
from gateway.prov import verbs
from gateway.prov.answer import Answer, Usage
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options, words
from gateway.prov.audit_verbs import told_proof
from gateway.prov.commands import COMMANDS
from gateway.prov.run import Advanced, Ended, Event, Progress, Request, Said, run
from gateway.readiness import Readiness
from gateway.seals import BadSeal, read_head, read_key
from store.errors import InUse, StoreError

FAILED: Final = 1
MISUSED: Final = 2
PATIENCE: Final = 15.0
"""Seconds to wait for another command line that has the store, or for a server that is just starting."""
MOST_TEXT: Final = 128 * 1024
"""Octets of a file that is sent as one argument: escaped, it has to fit into a line of the control socket."""
FEED: Final = 64
"""Lines of a batch that are read before somebody takes them."""

_AS: Final = "--as"
_HEAD: Final = (
    "Any setting may be given as an option: --data DIR, --listen.imap 127.0.0.1:0, --config FILE; procura settings lists them. "
    "--as ADMINISTRATOR: with the rights of that account's admin role instead of the operator's."
)


@dataclass(slots=True)
class _Typed:
    """A command line taken apart: settings, who acts ("": the operator of the machine), the command's own options, and the rest."""

    settings: dict[str, object] = field(default_factory=dict)
    acting: str = ""
    rest: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 failed or denied, 2 written wrongly."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return _main(sys.argv[1:] if arguments is None else list(arguments))
    except SettingsError as error:
        for problem in error.problems:
            print(f"ERROR: {problem}", file=sys.stderr)
        return FAILED
    except Usage as error:
        print(error.text, file=sys.stderr)
        return MISUSED
    except (StoreError, Broken) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has had enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"ERROR: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def _main(arguments: Sequence[str]) -> int:
    typed = _settings_of(arguments)
    command, *rest = typed.rest or [""]
    if command == "prov":
        return _prov(typed, rest)
    if command in COMMANDS:
        return _command(typed, command, rest)
    if command == "complete":
        return _complete(rest)
    if typed.acting:
        raise Usage(f"procura: --as is for prov and {', '.join(COMMANDS)}")
    parsed = _parser().parse_args(typed.rest)
    match parsed.command:
        case "serve":
            return _serve(typed, parsed.ready_file)
        case "demo":
            return _demo(parsed.once)
        case "check":
            return _check(typed)
        case "settings":
            return _settings(typed, as_json=parsed.json)
        case "migrate":
            return _migrate(typed)
        case "migrate-store":
            return _migrate_store(typed, parsed.source, parsed.target, as_json=parsed.json)
        case "renew-uidvalidity":
            return _renew(typed, as_json=parsed.json)
        case "restore":
            return _restore(typed, parsed.directory, parsed.at, moved=parsed.moved, as_json=parsed.json)
        case "example":
            sys.stdout.write(example())
            return 0
        case "completion":
            sys.stdout.write(SCRIPTS[parsed.shell])
            return 0
        case _:
            _parser().print_help(sys.stderr)
            return MISUSED


# --- what was typed


def _settings_of(arguments: Sequence[str]) -> _Typed:
    """Takes the settings out. What follows the verb of `prov` is the verb's: a password may look like anything."""
    typed = _Typed()
    waiting = list(arguments)
    positional = 0
    while waiting:
        one = waiting.pop(0)
        name, equals, value = one.partition("=")
        setting = _AS if name == _AS else _setting(name)
        if setting is None:
            typed.rest.append(one)
            if not one.startswith("-"):
                positional += 1
            elif one in ("-f", "--file", "--ready-file", "--with") and waiting:
                typed.rest.append(waiting.pop(0))
            if positional == 2 and typed.rest and "prov" in typed.rest[:1]:
                break
            continue
        if not equals:
            if not waiting:
                raise Usage(f"procura: {name} needs a value")
            value = waiting.pop(0)
        if setting == _AS:
            if not value:  # who acts must never turn out to be the operator because a variable was empty
                raise Usage("procura: --as needs an administrator")
            typed.acting = value
        else:
            typed.settings[setting] = value
    typed.rest += waiting
    return typed


def _setting(option: str) -> str | None:
    """The dotted name of the setting that this option sets."""
    if not option.startswith("--"):
        return None
    name = option[2:].replace("-", "_")
    return name if name == "config" or name in names() else None


def _load(typed: _Typed) -> Loaded:
    return load(typed.settings, os.environ, Path.cwd())


class _Parser(argparse.ArgumentParser):
    """Settings are options of every command, so what is no option may be a misspelt setting."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{self.format_usage()}{self.prog}: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="procura", description="A mail gateway that enforces who may act for whom.", epilog=_HEAD, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"procura {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, purpose: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=purpose, description=purpose, epilog=_HEAD, allow_abbrev=False)

    serve = add("serve", "run the gateway in the foreground; SIGTERM ends it, SIGHUP reloads the certificate")
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help="write the bound addresses there, as JSON, once everything listens")
    demo = add("demo", "play a delegated exchange with real clients in a scratch directory, then keep serving it")
    demo.add_argument("--once", action="store_true", help="end after the exchange, with 0 if all of it went well")
    add("check", "name every contradiction in the settings")
    settings = add("settings", "the settings in force, and where each comes from")
    settings.add_argument("--json", action="store_true", help="as a JSON object")
    add("migrate", "bring the store's schema up to date (serve does it too)")
    moving = add("migrate-store", "move everything from one store into another, empty one (while no server runs on either)")
    moving.add_argument(
        "source", metavar="SOURCE", help="sqlite:///PATH, postgresql://USER@HOST/DATABASE, or `store`: what that setting says"
    )
    moving.add_argument("target", metavar="TARGET", help="as SOURCE; then set `store` to it")
    moving.add_argument("--json", action="store_true", help="as a JSON object")
    moving.add_argument("--progress", action="store_true", help="show how far it is")
    renew = add(
        "renew-uidvalidity",
        "the database was brought back to an earlier moment by other tools (while no server runs): renew numbers, hold the queue",
    )
    renew.add_argument("--json", action="store_true", help="as a JSON object")
    restore = add("restore", "a whole installation from a backup, into a directory of data that is empty (while no server runs there)")
    restore.add_argument("directory", type=Path, metavar="DIR", help="where procura backup put it")
    restore.add_argument("--at", metavar="TIME", help="the backup of this time or before; else the newest")
    restore.add_argument("--moved", action="store_true", help="nothing has happened since the backup: UIDVALIDITY stays, the queue goes on")
    restore.add_argument("--json", action="store_true", help="as a JSON object")
    restore.add_argument("--progress", action="store_true", help="show how far it is")
    add("example", "a settings file that documents every setting")
    completion = add("completion", "a script with which a shell completes verbs, options, attributes and names")
    completion.add_argument("shell", choices=SHELLS, help='bash: eval "$(procura completion bash)"')
    add("prov", "administer: domains, accounts, lists, grants, folders (procura prov --help)")
    for verb in COMMANDS.values():
        add(verb.name, verb.purpose)
    return parser


def version() -> str:
    """Of the installed package."""
    try:
        return metadata.version("procura")
    except metadata.PackageNotFoundError:
        return "(not installed)"


# --- commands


def _serve(typed: _Typed, ready_file: Path | None) -> int:
    loaded = _load(typed)
    findings = check(loaded.settings)
    errors = [one for one in findings if one.severity is Severity.ERROR]
    if errors:
        for one in errors:
            print(f"ERROR: {one.setting}: {one.message}", file=sys.stderr)
        return FAILED
    logging.config.dictConfig(configuration(loaded.settings.log))
    leave_out_places()
    log = logging.getLogger("procura")
    for one in findings:
        log.warning("setting", extra={"fields": {"reason": f"{one.setting}: {one.message}"}})
    readiness = Readiness(ready_file, os.environ.get("NOTIFY_SOCKET"))
    if loaded.settings.workers > 1:
        from gateway.supervisor import supervise

        supervise(loaded.settings, readiness)
        return 0
    import uvloop

    from gateway.app import serve

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(loaded.settings, readiness))
    return 0


def _demo(once: bool) -> int:
    from gateway.demo import play

    return play.main(once=once)


def _check(typed: _Typed) -> int:
    settings = _load(typed).settings
    findings = check(settings)
    if not any(one.severity is Severity.ERROR for one in findings):
        findings += _store(settings)
    for one in findings:
        print(one)
    if not findings:
        print("the settings agree with each other and with this machine")
    return FAILED if any(one.severity is Severity.ERROR for one in findings) else 0


def _store(settings: Settings) -> list[Finding]:
    """Can it be used, and does the clock agree with it?"""
    from gateway.app import why_doubtful, why_unusable

    why = asyncio.run(why_unusable(settings.store_url))
    if why is not None:
        return [Finding("store", Severity.ERROR, why)]
    why = asyncio.run(why_doubtful(settings.store_url, settings.data))
    return [] if why is None else [Finding("store", Severity.WARNING, why)]


def _settings(typed: _Typed, *, as_json: bool) -> int:
    loaded = _load(typed)
    if as_json:
        import json

        shown = values(loaded.settings.model_copy(update={"store": loaded.settings.store_url}))
        print(json.dumps({name: {"value": value, "origin": loaded.origins[name]} for name, value in shown.items()}, ensure_ascii=False))
    else:
        sys.stdout.write(describe(loaded))
    return 0


def _migrate(typed: _Typed) -> int:
    settings = _load(typed).settings

    async def migrate() -> None:
        from gateway.app import opened

        async with opened(settings):
            pass

    asyncio.run(migrate())
    print(f"the schema of {masked(settings.store_url)} is up to date")
    return 0


def _migrate_store(typed: _Typed, source: str, target: str, *, as_json: bool) -> int:
    from gateway.directory.relocation import move, words

    settings = _load(typed).settings
    bar = _Bar(None) if sys.stderr.isatty() or "--progress" in typed.rest else None

    def told(what: str, done: int, total: int) -> None:
        if bar is not None:
            bar.advance(what, done, total)

    try:
        named = {"store": settings.store_url}  # what the setting says, which may have a password that no command line should
        done = asyncio.run(move(named.get(source, source), named.get(target, target), settings.data, told))
    finally:
        if bar is not None:
            bar.wipe()
    if as_json:
        import json

        print(json.dumps({table: {"rows": one.rows, "sha256": one.hash} for table, one in done.tables.items()}))
    else:
        print("\n".join(words(done)))
    return 0


def _renew(typed: _Typed, *, as_json: bool) -> int:
    from gateway.directory.faults import Fault
    from gateway.directory.recovery import renew, words

    settings = _load(typed).settings
    try:
        done = asyncio.run(renew(settings.store_url, settings.data))
    except Fault as fault:
        print(f"ERROR: {fault}", file=sys.stderr)
        return FAILED
    if as_json:
        import json

        print(json.dumps({"folders": done.folders, "held": done.queued}))
    else:
        print("\n".join(words(done)))
    return 0


def _restore(typed: _Typed, directory: Path, at: str | None, *, moved: bool, as_json: bool) -> int:
    from gateway.directory.faults import Fault
    from gateway.directory.reinstallation import reinstall
    from gateway.prov.keeping_verbs import reinstalled

    settings = _load(typed).settings
    bar = _Bar(None) if sys.stderr.isatty() or "--progress" in typed.rest else None

    def told(what: str, done: int, total: int) -> None:
        if bar is not None:
            bar.advance(what, done, total)

    try:
        moment = None if at is None else read_moment(at, time.time_ns() // 1000)
        done = asyncio.run(reinstall(directory.absolute(), settings.data, settings.store_url, told, at=moment, moved=moved))
    except Fault as fault:
        print(f"ERROR: {fault}", file=sys.stderr)
        return FAILED
    finally:
        if bar is not None:
            bar.wipe()
    sys.stdout.write(reinstalled(done, settings.data).spelled(as_json))
    return 0


def _complete(rest: Sequence[str]) -> int:
    """Asked by the scripts of `completion`: the characters at which the shell parts words, and the line up to the cursor. Never complains:
    it would stand in the middle of what somebody types."""
    with contextlib.suppress(Exception):
        breaks, line = rest
        _, *typed = [*words(line), *([""] if line[-1:].isspace() else [])]
        before = _settings_of(typed[:-1])
        found = candidates(typed, from_server(_load(before).settings.data, before.acting))
        sys.stdout.write("".join(f"{one}\n" for one in behind(typed[-1], breaks, found)))
    return 0


def _prov(typed: _Typed, rest: Sequence[str]) -> int:
    waiting = list(rest)
    flags: set[str] = set()
    file: str | None = None
    while waiting and waiting[0].startswith("-"):
        option, equals, value = waiting.pop(0).partition("=")
        match option:
            case "--json" | "--keep-going" | "--progress":
                flags.add(option)
            case "-l" | "--ldap":
                pass  # Carbonio's way around its mail store; here there is only one
            case "-f" | "--file":
                if not equals and not waiting:
                    raise Usage("procura prov: -f needs a file, or - for standard input")
                file = value if equals else waiting.pop(0)
            case "-h" | "--help":
                print(verbs.usage(verbs.find(waiting[0])) if waiting else verbs.overview(), end="")
                return 0
            case _:
                raise Usage(f"procura prov: there is no option {option} (--json, --keep-going, --progress, -f FILE)")
    if file is None and (waiting[:1] == ["help"] or not waiting):
        print(verbs.overview(), end="", file=sys.stdout if waiting else sys.stderr)
        return 0 if waiting else MISUSED
    if file is not None and waiting:
        raise Usage("procura prov: either -f FILE or a verb")
    if file is None and waiting[1:] in (["--help"], ["-h"]):
        print(verbs.usage(verbs.find(waiting[0])), end="")
        return 0
    request = Request(
        "prov", tuple(waiting), "--json" in flags, file is not None, "--keep-going" in flags, "--progress" in flags, typed.acting
    )
    return _ask(_load(typed).settings, request, file)


def _command(typed: _Typed, command: str, rest: Sequence[str]) -> int:
    verb = COMMANDS[command]
    if "-h" in rest or "--help" in rest:
        told = [f"{'usage:' if number == 0 else '      '} procura {verb.name} [--json] {form}" for number, form in enumerate(verb.forms)]
        print("\n".join(one.rstrip() for one in told), f"    {verb.purpose}", sep="\n")
        return 0
    flags = {"--json"} if verb.long is None else {"--json", "--progress"}
    plain = tuple(one for one in rest if one not in flags)
    if command == "audit" and plain[:1] == ("verify",) and any(one.partition("=")[0] == "--file" for one in plain):
        # A file is proved by whoever has it: neither settings nor a server are needed, and nothing of theirs is believed.
        answer = _prove(plain[1:])
        sys.stdout.write(answer.spelled("--json" in rest))
        return FAILED if answer.denied else 0
    arguments = plain if verb.local is None else verb.local(plain, Path.cwd())
    typed_words = list(_with_files(arguments, verb.files))
    # The file is read here, by who typed its name: the server may run elsewhere in the file system, or as somebody else.
    file = typed_words.pop(1) if command == "policy" and typed_words[:1] in (["plan"], ["apply"]) and len(typed_words) > 1 else None
    request = Request(
        command,
        tuple(typed_words),
        "--json" in rest,
        batch=file is not None,
        progress="--progress" in rest,
        acting=typed.acting,
    )
    settings = _load(typed).settings
    if rest[:1] and rest[0] in verb.shows and not {"--yes", "--dry-run", "--json"} & {*rest} and sys.stdin.isatty():
        shown = _ask(settings, replace(request, arguments=(*request.arguments, "--dry-run")), None)
        if shown != 0:
            return shown
        if not _agreed():
            print("nothing was changed", file=sys.stderr)
            return FAILED
    return _ask(settings, request, file)


def _agreed() -> bool:
    try:
        return input("do it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _with_files(arguments: Sequence[str], files: Collection[str]) -> Iterator[str]:
    """The text of a file in the place of its name; `-` is standard input. Raises Usage, OSError."""
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        name, equals, value = one.partition("=")
        yield one if name not in files else name
        if name not in files:
            continue
        if not equals and not waiting:
            raise Usage(f"{name} needs a file, or - for standard input")
        value = value if equals else waiting.pop(0)
        with contextlib.ExitStack() as open_files:
            source = sys.stdin.buffer if value == "-" else open_files.enter_context(Path(value).open("rb"))
            octets = source.read(MOST_TEXT + 1)
        if len(octets) > MOST_TEXT:
            raise Usage(f"{value} is larger than {MOST_TEXT} octets")
        yield octets.decode("utf-8", "surrogateescape")


def _prove(arguments: Sequence[str]) -> Answer:
    """Raises Usage, OSError."""
    read = options(arguments, valued=("--file", "--key"))
    try:
        keys = [read_key(one) for one in read.values["--key"].split(",")] if "--key" in read.values else None
        kept = [read_head(one) for one in read.rest]
    except BadSeal as bad:
        raise Usage(str(bad)) from None
    with contextlib.ExitStack() as open_files:
        name = read.values["--file"]
        source = sys.stdin.buffer if name == "-" else open_files.enter_context(Path(name).open("rb"))
        return told_proof(prove(iter(lambda: source.readline(LONGEST), b""), keys, kept))


# --- asking a running server, or doing it here


def _ask(settings: Settings, request: Request, file: str | None) -> int:
    with contextlib.ExitStack() as open_files:
        source: IO[bytes] | None = None
        if file is not None:
            source = sys.stdin.buffer if file == "-" else open_files.enter_context(Path(file).open("rb"))
        bar = _Bar(None if source is None else _count(source)) if request.progress or _watches(request) else None
        return asyncio.run(_told(settings, request, source, bar))


async def _told(settings: Settings, request: Request, source: IO[bytes] | None, bar: "_Bar | None") -> int:
    feed = None if source is None else _Feed(source)
    status = FAILED
    async with contextlib.aclosing(_events(settings, request, feed)) as events:
        async for event in events:
            match event:
                case Said(text, error):
                    if bar is not None:
                        bar.wipe()
                    stream = sys.stderr if error else sys.stdout
                    stream.write(text)
                    if bar is not None or source is None or error:
                        stream.flush()
                case Progress(lines):
                    if bar is not None:
                        bar.show(lines)
                case Advanced(what, done, total):
                    if bar is not None:
                        bar.advance(what, done, total)
                case Ended(found):
                    status = found
    if bar is not None:
        bar.wipe()
    sys.stdout.flush()
    return status


async def _events(settings: Settings, request: Request, feed: "_Feed | None") -> AsyncGenerator[Event, None]:
    """By the server that runs on this data, else by ourselves; whoever has the store just now is waited for."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            async with contextlib.aclosing(ask(settings.data, request, None if feed is None else feed.lines())) as events:
                async for event in events:
                    yield event
            return
        except NobodyThere:
            pass
        from gateway.app import opened

        async with contextlib.AsyncExitStack() as stack:
            try:
                app = await stack.enter_async_context(opened(settings))
            except InUse:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)
                continue
            lines = None if feed is None else feed.lines()
            async with contextlib.aclosing(run(app.desk, request, lines)) as events:
                async for event in events:
                    yield event
            return


def _watches(request: Request) -> bool:
    """Does somebody see how far a long command is?"""
    verb = COMMANDS.get(request.command)
    return verb is not None and verb.long is not None and sys.stderr.isatty()


class _Feed:
    """Lines of a file or of standard input, read by a thread that nobody has to wait for."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._room = threading.Semaphore(FEED)
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._started = False

    async def lines(self) -> AsyncIterator[str]:
        if not self._started:
            self._started = True
            threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True).start()
        while (line := await self._waiting.get()) is not None:
            self._room.release()
            yield line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            try:
                for octets in self._source:
                    self._room.acquire()
                    loop.call_soon_threadsafe(self._waiting.put_nowait, octets.decode("utf-8", "surrogateescape").rstrip("\r\n"))
            finally:
                loop.call_soon_threadsafe(self._waiting.put_nowait, None)


def _count(source: IO[bytes]) -> int | None:
    """Lines of a file that can be read twice."""
    if not source.seekable():
        return None
    start = source.tell()
    count = sum(1 for _ in source)
    source.seek(start)
    return count


class _Bar:
    """How far a batch is, on standard error."""

    WIDTH: Final = 40

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._shown = 0
        self._at = 0.0

    def show(self, lines: int) -> None:
        now = time.monotonic()
        if now - self._at < 0.1 and lines != self._total:
            return
        self._at = now
        if self._total:
            done = min(self.WIDTH, self.WIDTH * lines // self._total)
            text = f"[{'#' * done}{'.' * (self.WIDTH - done)}] {lines}/{self._total}"
        else:
            text = f"{lines} lines"
        self._shown = max(self._shown, len(text))
        print(f"\r{text}", end="", file=sys.stderr, flush=True)

    def advance(self, what: str, done: int, total: int) -> None:
        """Of one long command: which part of it, and how much of that."""
        if total:
            filled = min(self.WIDTH, self.WIDTH * done // total)
            text = f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {what} {min(100, 100 * done // total)}%"
        else:
            text = f"{what} {done}"
        blank = " " * max(0, self._shown - len(text))
        self._shown = len(text)
        print(f"\r{text}{blank}", end="", file=sys.stderr, flush=True)

    def wipe(self) -> None:
        if self._shown:
            print(f"\r{' ' * self._shown}\r", end="", file=sys.stderr, flush=True)
            self._shown = 0
