"""The demonstration behind `make run`: a gateway of its own, real clients, one delegated exchange, told line by line."""

import fcntl
import imaplib
import json
import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, default
from email.utils import make_msgid
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TextIO

from config.addresses import TcpAddress
from config.settings import Settings

DIRECTORY: Final = Path("var/demo")
DOMAIN: Final = "acme.test"
HOSTNAME: Final = "mail.acme.test"
DOORS: Final = ("submission", "submissions", "lmtp", "imap", "imaps")
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
REPLY_SECONDS: Final = 20.0
"""How long a client of ours waits for an answer; a slow machine is no ✗."""
ARRIVAL_SECONDS: Final = 15.0
LOCKOUT_SECONDS: Final = 4
KEPT: Final = ("certificate.pem", "certificate.key", "demonstration.lock", "procura.lock")
"""What one demonstration leaves to the next: a mail client that trusts the certificate goes on doing so."""

PEOPLE: Final = {
    "owner": "Olivia Owner",
    "delegate": "Dario Delegate",
    "reader": "Rita Reader",
    "stranger": "Stan Stranger",
    "partner": "Paula Partner",
}
STATUSES: Final = ("hasty", "locked", "closed", "pending", "maintenance")
"""More accounts, each called after what happens to it."""

SETUP: Final = (
    f"createDomain {DOMAIN}",
    *(f"createAccount {name}@{DOMAIN} {name}-demo displayName '{shown}'" for name, shown in PEOPLE.items()),
    *(f"createAccount {name}@{DOMAIN} {name}-demo" for name in STATUSES),
    f"modifyAccount hasty@{DOMAIN} lockoutMaxFailures 3 lockoutDuration {LOCKOUT_SECONDS}s",
)
GRANTS: Final = (
    f"selectMailbox owner@{DOMAIN} modifyFolderGrant / account delegate@{DOMAIN} rwixd",
    f"selectMailbox owner@{DOMAIN} modifyFolderGrant /INBOX account reader@{DOMAIN} r",
    f"grantRight account owner@{DOMAIN} usr delegate@{DOMAIN} sendAs",
    f"grantRight account owner@{DOMAIN} usr reader@{DOMAIN} sendOnBehalfOf",
)
INBOX_OF_OWNER: Final = "Other Users/owner/INBOX"


class DemonstrationFailed(Exception):
    """It could not even begin; the text says why."""


class Unexpected(Exception):
    """An answer that is not the one the rules ask for."""


Told = Callable[[], str]
"""Does one thing as a client and tells what came back; raises Unexpected, or what the client library raises."""


def main(*, once: bool = False, directory: Path = DIRECTORY, out: TextIO | None = None) -> int:
    """Plays the exchange and, unless `once`, goes on serving until Ctrl-C. The exit status: 0 when every line was ✓.

    Everything is in `directory`, which is made or, where an earlier demonstration made it, begun anew.
    """
    stage = Stage(out or sys.stdout)
    # A terminal's Ctrl-C reaches the server too; what is sent to this process alone must not leave the server behind.
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _prepared(directory) as gateway:
            stage.say(f"procura plays a delegated exchange: a gateway of its own, its data in {directory}, domain {DOMAIN}.")
            if gateway.moved:
                stage.say(f"(Not on the usual ports, which are taken: {', '.join(gateway.moved)}.)")
            started = time.monotonic()
            Exchange(stage, gateway).play()
            stage.verdict(time.monotonic() - started)
            if not once:
                _invite(stage, gateway)
                gateway.wait()
    except DemonstrationFailed as failure:
        stage.say(f"The demonstration cannot be given: {failure}")
        return 1
    except KeyboardInterrupt:
        stage.say("")
        # Interrupted before the end, it has shown nothing.
        return 130 if not stage.finished else int(stage.failures > 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return int(stage.failures > 0)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


# --- what is shown


class Stage:
    """Lines for a person: aligned, and in colour only on a terminal."""

    WHAT: Final = 46
    """Columns for what was done; what came back stands to the right of it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._width = max(min(shutil.get_terminal_size((120, 24)).columns, 140), self.WHAT + 34)
        self.failures = 0
        self.successes = 0
        self.finished = False

    def say(self, text: str) -> None:
        """One line as it is."""
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        """What comes next."""
        self.say("\n" + self._painted("1", text))

    def typed(self, command: str, output: str = "") -> None:
        """A command as the administrator types it, and what it printed."""
        self.say(self._painted("2", "  $ ") + command)
        for line in output.splitlines():
            self.say("    " + line)

    def shows(self, what: str, act: Told) -> None:
        """Does it, and says with ✓ what came back, or with ✗ what went wrong."""
        try:
            told = act()
        except (Unexpected, OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, subprocess.TimeoutExpired) as failure:
            self.failures += 1
            self._line(self._painted("31", "✗"), what, f"{type(failure).__name__}: {failure}")
        else:
            self.successes += 1
            self._line(self._painted("32", "✓"), what, told)

    def verdict(self, seconds: float) -> None:
        """How many lines were which."""
        self.finished = True
        count = f"{self.successes} ✓" if not self.failures else f"{self.successes} ✓, {self.failures} ✗"
        self.say("\n" + self._painted("31" if self.failures else "32", f"{count} in {seconds:.0f} s"))

    def _line(self, mark: str, what: str, told: str) -> None:
        pieces = [piece for part in told.split("\n") for piece in textwrap.wrap(part, self._width - self.WHAT - 6, break_on_hyphens=False)]
        first, *rest = pieces or [""]
        self.say(f"  {mark} {what:<{self.WHAT}}  {first}".rstrip())
        for piece in rest:
            self.say(" " * (self.WHAT + 6) + piece)

    def _painted(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text


# --- the gateway


@dataclass(slots=True)
class Gateway:
    """`procura serve` in a process of its own, and `procura prov` for its administrator."""

    directory: Path
    moved: tuple[str, ...] = ()
    """Usual addresses that were taken."""
    bound: dict[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def configuration(self) -> Path:
        """The settings file, for this server and for whoever administers it while it runs."""
        return self.directory / "procura.toml"

    @property
    def certificate(self) -> Path:
        """What a client has to trust."""
        return self.directory / "certificate.pem"

    def start(self) -> None:
        """Returns once everything listens. Raises DemonstrationFailed."""
        ready, log = self.directory / "ready.json", self.directory / "server.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "gateway", "serve", "--ready-file", str(ready)]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment()
            )
        end = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                raise DemonstrationFailed(f"the gateway did not start\n{_end(log.read_text(errors='replace'), 5)}")
            time.sleep(0.02)
        self.bound = {name: where[0] for name, where in json.loads(ready.read_text()).items() if where}

    def stop(self) -> None:
        """Drains and ends it."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                process.wait()

    def wait(self) -> None:
        """Until the server ends, which only a fault makes it do. Raises DemonstrationFailed, KeyboardInterrupt."""
        assert self._process is not None
        status = self._process.wait()
        raise DemonstrationFailed(f"the gateway ended by itself with status {status}; see {self.directory / 'server.log'}")

    def port(self, door: str) -> int:
        """Where it listens on the loopback address."""
        return int(self.bound[door].rpartition(":")[2])

    def prov(self, *lines: str) -> str:
        """`procura prov` with these commands, in one process; what it printed. Raises Unexpected."""
        return self.procura("prov", "-f", "-", lines=lines)

    def procura(self, *arguments: str, lines: Sequence[str] = ()) -> str:
        """The command line, with these lines on its standard input; what it printed. Raises Unexpected."""
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-m", "gateway", *arguments],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise Unexpected(f"status {done.returncode}: {_end(done.stderr or done.stdout, 1)}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        # The settings of whoever starts the demonstration are not meant for it.
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PROCURA_")}
        return {**kept, "PROCURA_CONFIG": str(self.configuration), "PYTHONUNBUFFERED": "1"}


def _end(text: str, lines: int) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def _prepared(directory: Path) -> Iterator[Gateway]:
    """A running gateway on an empty store; stopped at the end. Raises DemonstrationFailed."""
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker = directory / "demonstration.lock"
        if not marker.exists() and any(directory.iterdir()):
            raise DemonstrationFailed(f"{directory} is there already and was not made by a demonstration; nothing in it was touched")
        with marker.open("a") as ours:
            _lock(ours, f"another demonstration is running in {directory}")
            _clear(directory)
            gateway = Gateway(directory)
            gateway.moved = _configure(gateway.configuration, directory)
            try:
                gateway.start()
                yield gateway
            finally:
                gateway.stop()
    except OSError as fault:
        raise DemonstrationFailed(str(fault)) from fault


def _lock(file: TextIO, otherwise: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DemonstrationFailed(otherwise) from None


def _clear(directory: Path) -> None:
    """Away with what the last demonstration left; not under a server that somebody started on it by hand."""
    with (directory / "procura.lock").open("a") as theirs:
        _lock(theirs, f"a procura is running on {directory}")
        for entry in directory.iterdir():
            if entry.name in KEPT:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _configure(file: Path, directory: Path) -> tuple[str, ...]:
    """Writes the settings; the usual addresses that are taken, where the system chooses a port instead."""
    usual = Settings(data=directory).listen
    lines, taken = [], []
    for door in DOORS:
        chosen = []
        for address in getattr(usual, door):
            free = isinstance(address, TcpAddress) and _is_free(address)
            chosen.append(str(address) if free else "127.0.0.1:0")
            if not free:
                taken.append(str(address))
        lines.append(f"{door} = {json.dumps(chosen)}")
    head = [f"data = {json.dumps(str(directory))}", f'hostname = "{HOSTNAME}"', "[listen]"]
    file.write_text("# Written by procura demo.\n" + "\n".join([*head, *lines]) + "\n")
    return tuple(taken)


def _is_free(address: TcpAddress) -> bool:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address.host, address.port))
        except OSError:
            return False
    return True


# --- the clients


@dataclass(slots=True)
class Clients:
    """Python's own mail clients, which know nothing of the gateway but its addresses and its certificate."""

    gateway: Gateway
    trust: ssl.SSLContext

    @contextmanager
    def imap(self, name: str, password: str | None = None) -> Iterator[imaplib.IMAP4]:
        """Logged in, over STARTTLS with the certificate verified. Raises imaplib.IMAP4.error."""
        client = imaplib.IMAP4("127.0.0.1", self.gateway.port("imap"), timeout=REPLY_SECONDS)
        try:
            client.starttls(self.trust)
            client.login(address(name), f"{name}-demo" if password is None else password)
            yield client
        finally:
            _leave(client)

    @contextmanager
    def smtp(self, name: str) -> Iterator[smtplib.SMTP]:
        """Logged in for submission, over STARTTLS with the certificate verified. Raises smtplib.SMTPException."""
        with smtplib.SMTP("127.0.0.1", self.gateway.port("submission"), timeout=REPLY_SECONDS) as client:
            client.starttls(context=self.trust)
            client.login(address(name), f"{name}-demo")
            yield client

    def submit(self, name: str, message: EmailMessage) -> None:
        """As this person, whoever the message says it is from."""
        with self.smtp(name) as client:
            client.sendmail(address(name), [str(message["To"])], message.as_bytes(policy=SMTP))

    def hand_in(self, message: EmailMessage) -> None:
        """By LMTP, as the MTA in front would."""
        with smtplib.LMTP("127.0.0.1", self.gateway.port("lmtp"), timeout=REPLY_SECONDS) as client:
            client.sendmail("someone@elsewhere.test", [str(message["To"])], message.as_bytes(policy=SMTP))

    def holds(self, name: str, message: EmailMessage, folder: str = "INBOX") -> bytes | None:
        """The message with this Message-ID as it lies in somebody's own folder; None where it is not there."""
        with self.imap(name) as client:
            if client.select(f'"{folder}"', readonly=True)[0] != "OK":
                return None
            _, (found, *_) = client.uid("SEARCH", "HEADER", "Message-ID", f'"{message["Message-ID"]}"')
            return octets_of(client, found.split()[-1].decode()) if found else None

    def arrived(self, name: str, message: EmailMessage, folder: str = "INBOX") -> bytes:
        """As `holds`, waiting for it. Raises Unexpected."""
        end = time.monotonic() + ARRIVAL_SECONDS
        while (found := self.holds(name, message, folder)) is None:
            if time.monotonic() > end:
                raise Unexpected(f"it is not in the {folder} of {name} after {ARRIVAL_SECONDS:.0f} s")
            time.sleep(0.1)
        return found


def address(name: str) -> str:
    """Of somebody in the demonstration's domain."""
    return f"{name}@{DOMAIN}"


def compose(to: str, subject: str, *, from_: str | None = None, text: str = "Hello!\n") -> EmailMessage:
    """A message with its own Message-ID; without `from_` it comes from elsewhere."""
    message = EmailMessage(policy=default)
    message["From"] = "Someone <someone@elsewhere.test>" if from_ is None else f"{PEOPLE[from_]} <{address(from_)}>"
    message["To"] = address(to)
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="client.test")
    message.set_content(text)
    return message


def acceptance(attendee: str, organizer: str) -> EmailMessage:
    """The answer to an invitation, as calendar clients send it (RFC 6047)."""
    calendar = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//demonstration//EN\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
        "UID:meeting-1@client.test\r\nDTSTAMP:20260105T090000Z\r\nDTSTART:20260112T100000Z\r\nSUMMARY:Meeting\r\n"
        f"ORGANIZER:mailto:{address(organizer)}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{address(attendee)}\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    message = compose(organizer, "Accepted: Meeting", from_=attendee, text=calendar)
    message.set_content(calendar.encode(), "text", "calendar", cte="7bit", params={"method": "REPLY", "charset": "utf-8"})
    return message


def octets_of(client: imaplib.IMAP4, uid: str) -> bytes:
    """The whole message. Raises Unexpected."""
    _, data = client.uid("FETCH", uid, "(BODY.PEEK[])")
    for part in data:
        if isinstance(part, tuple) and isinstance(part[1], bytes):
            return part[1]
    raise Unexpected(f"FETCH {uid} gave no message")


def shown_from(message: bytes) -> str:
    """From and Sender as they arrived, one to a line."""
    header = BytesHeaderParser(policy=default).parsebytes(message)
    sender = header["Sender"]
    return f"From: {header['From']}\n" + ("no Sender" if sender is None else f"Sender: {sender}")


def _leave(client: imaplib.IMAP4) -> None:
    try:
        client.logout()
    except (OSError, EOFError, imaplib.IMAP4.error):
        pass  # it has ended already, which is what some lines are about


def enter(client: imaplib.IMAP4, folder: str) -> str:
    """SELECT, which imaplib itself gives up on where a folder is read-only. The answer; raises Unexpected with a refusal."""
    told = answered(client.xatom("SELECT", f'"{folder}"'))
    client.state = "SELECTED"
    client.is_readonly = True
    return told


def answered(answer: tuple[str, Sequence[object]]) -> str:
    """The text of a tagged OK. Raises Unexpected with that of a NO or BAD."""
    kind, data = answer
    if kind != "OK":
        raise Unexpected(f"{kind} {_text(data)}")
    return _text(data)


def refused(act: Callable[[], object], *expected: str) -> str:
    """The refusal, which has to begin with one of `expected`. Raises Unexpected where there is none, or another."""
    try:
        act()
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = next(iter(refusal.recipients.values()))
        told = f"{code} {_word(text)}"
    except smtplib.SMTPResponseException as refusal:
        told = f"{refusal.smtp_code} {_word(refusal.smtp_error)}"
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as refusal:
        told = f"NO {_text(refusal.args)}"
    except Unexpected as refusal:
        told = str(refusal)
    else:
        raise Unexpected("it was allowed")
    if not told.startswith(expected):
        raise Unexpected(f"{told} (expected {' or '.join(expected)})")
    return told.replace("\n", " ")


def _text(data: Sequence[object]) -> str:
    return _word(data[-1]) if data else ""


def _word(said: object) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


@dataclass(slots=True)
class Idling:
    """A client that has said IDLE and listens. imaplib learned that only with Python 3.14."""

    client: imaplib.IMAP4

    def begin(self) -> None:
        """Raises Unexpected."""
        self.client.send(b"idle1 IDLE\r\n")
        if not (line := self.client.readline()).startswith(b"+"):
            raise Unexpected(line.decode(errors="replace").strip())

    def hear(self, word: str) -> tuple[str, float]:
        """The next untagged line with this word in it, and when it came (time.monotonic). Raises Unexpected, OSError."""
        while line := self.client.readline():
            if line.startswith(b"* ") and word.encode() in line:
                return line.decode(errors="replace").strip(), time.monotonic()
        raise Unexpected(f"the connection ended without {word}")


# --- the exchange


class Exchange:
    """What is played: each line is one promise of the gateway, kept or not."""

    def __init__(self, stage: Stage, gateway: Gateway) -> None:
        self._stage = stage
        self._gateway = gateway
        self._clients = Clients(gateway, ssl.create_default_context(cafile=str(gateway.certificate)))

    def play(self) -> None:
        """All of it, in the order of a first day."""
        self._set_up()
        if self._stage.failures:
            return  # there is nobody to play with
        self._doors()
        self._sending()
        self._folders()
        self._statuses()
        self._lockout()
        self._taking_back()

    def _status(self, name: str, status: str) -> str:
        return self._gateway.prov(f"modifyAccount {address(name)} status {status}")

    # setting up

    def _set_up(self) -> None:
        stage = self._stage
        stage.title("The administrator makes accounts and gives rights")
        shown = [line for line in SETUP if line.split()[0] != "createAccount" or line.split()[1] == address("owner")]
        for line in shown:
            stage.typed(f"procura prov {line}")
        stage.shows(f"{len(PEOPLE) + len(STATUSES)} accounts", lambda: self._made(SETUP, f"{', '.join([*PEOPLE, *STATUSES])}"))
        for line in GRANTS:
            stage.typed(f"procura prov {line}")
        stage.shows("rights given", lambda: self._made(GRANTS, "delegate: rwixd and sendAs; reader: r and sendOnBehalfOf"))
        for name, asked, expected in (
            ("delegate", "may the delegate send as the owner?", "ALLOWED"),
            ("stranger", "and the stranger?", "DENIED"),
        ):
            question = f"checkRight account {address('owner')} {address(name)} sendAs"
            stage.typed(f"procura prov {question}")
            stage.shows(asked, partial(self._checked, question, expected))

    def _checked(self, question: str, expected: str) -> str:
        """The answer and what is missing, without the rest of the grant that decided."""
        answer, *via = self._gateway.prov(question).strip().splitlines()
        if answer != expected:
            raise Unexpected(answer)
        missing = [line.partition(":")[2].strip() for line in via if line.strip().startswith("missing")]
        return "\n".join([answer, *missing])

    def _made(self, lines: Sequence[str], told: str) -> str:
        self._gateway.prov(*lines)
        return told

    # doors

    def _doors(self) -> None:
        stage, gateway, trust = self._stage, self._gateway, self._clients.trust
        stage.title("The doors")

        def imap() -> str:
            with self._clients.imap("owner") as client:
                return f"{_tls(client.sock)}, certificate verified"

        def smtp() -> str:
            with self._clients.smtp("owner") as client:
                return f"{_tls(client.sock)}, certificate verified"

        def implicit() -> str:
            with imaplib.IMAP4_SSL("127.0.0.1", gateway.port("imaps"), ssl_context=trust, timeout=REPLY_SECONDS) as client:
                client.login(address("owner"), "owner-demo")
            with smtplib.SMTP_SSL("127.0.0.1", gateway.port("submissions"), context=trust, timeout=REPLY_SECONDS) as sender:
                sender.login(address("owner"), "owner-demo")
            return "logged in on both"

        def in_the_clear() -> str:
            client = imaplib.IMAP4("127.0.0.1", gateway.port("imap"), timeout=REPLY_SECONDS)
            try:
                return refused(lambda: client.login(address("owner"), "owner-demo"), "NO [PRIVACYREQUIRED]")
            finally:
                _leave(client)

        stage.shows("IMAP with STARTTLS", imap)
        stage.shows("submission with STARTTLS", smtp)
        stage.shows("both over implicit TLS", implicit)
        stage.shows("a password without TLS is refused", in_the_clear)

    # sending

    def _sending(self) -> None:
        stage, clients = self._stage, self._clients
        stage.title("Sending in somebody else's name: what the partner receives")

        as_owner = compose("partner", "The offer", from_="owner")
        on_behalf = compose("partner", "The invoice", from_="owner")

        def send_as() -> str:
            clients.submit("delegate", as_owner)
            return _exactly(clients.arrived("partner", as_owner), f"From: {PEOPLE['owner']} <{address('owner')}>\nno Sender")

        def traceless() -> str:
            octets = clients.arrived("partner", as_owner).lower()
            if b"delegate" in octets or b"dario" in octets:
                raise Unexpected("the delegate is named in it")
            return "neither in a header nor in Received"

        def filed() -> str:
            clients.arrived("owner", as_owner, "Sent")
            with clients.imap("owner") as client:
                client.select("Sent", readonly=True)
                if not _text(client.search(None, "SEEN", "HEADER", "Message-ID", f'"{as_owner["Message-ID"]}"')[1]):
                    raise Unexpected("it lacks \\Seen")
            if clients.holds("delegate", as_owner, "Sent") is not None:
                raise Unexpected("it is in the delegate's Sent")
            return "with \\Seen; the delegate's Sent has none"

        def behalf() -> str:
            clients.submit("reader", on_behalf)
            return _exactly(
                clients.arrived("partner", on_behalf),
                f"From: {PEOPLE['owner']} <{address('owner')}>\nSender: {PEOPLE['reader']} <{address('reader')}>",
            )

        stage.shows("delegate sends as the owner (sendAs)", send_as)
        stage.shows("nothing in it names the delegate", traceless)
        stage.shows("the copy is filed in the owner's Sent", filed)
        stage.shows("reader sends on behalf of the owner", behalf)
        stage.shows(
            "stranger tries the same",
            lambda: refused(lambda: clients.submit("stranger", compose("partner", "The trick", from_="owner")), "550 5.7.1"),
        )

    # folders

    def _folders(self) -> None:
        stage, clients = self._stage, self._clients
        stage.title("Somebody else's folders: every letter of rwixd, allowed and refused")

        def handed_in() -> str:
            for subject in ("First letter", "Second letter"):
                clients.hand_in(compose("owner", subject))
            return "250, 250"

        def opened() -> str:
            with clients.imap("reader") as client:
                told = enter(client, INBOX_OF_OWNER)
                header = BytesHeaderParser(policy=default).parsebytes(octets_of(client, "1"))
                return f"{told}: {header['Subject']!s}"

        def hidden() -> str:
            with clients.imap("stranger") as client:
                return refused(lambda: enter(client, INBOX_OF_OWNER), "NO [NONEXISTENT]")

        def listed() -> str:
            with clients.imap("reader") as client:
                found = [line.decode() for line in client.list()[1] if isinstance(line, bytes) and b"Other Users" in line]
            names = [line.rpartition(' "/" ')[2].strip('"') for line in found]
            if INBOX_OF_OWNER not in names or any(name.endswith("/Sent") for name in names):
                raise Unexpected(", ".join(names))
            return ", ".join(names)

        def flagged(name: str) -> str:
            with clients.imap(name) as client:
                enter(client, INBOX_OF_OWNER)
                answered(client.uid("STORE", "1", "+FLAGS", "(\\Flagged)"))
                found = _text(client.uid("FETCH", "1", "(FLAGS)")[1])
                if "\\Flagged" not in found:
                    raise Unexpected(found)
                return "\\Flagged is set"

        def inserted(name: str) -> str:
            with clients.imap(name) as client:
                draft = compose("partner", "A note", from_="owner").as_bytes(policy=SMTP)
                # imaplib wants a date as str; without one the server takes now.
                return answered(client.append(f'"{INBOX_OF_OWNER}"', "", "", draft))

        def deleted(name: str) -> str:
            with clients.imap(name) as client:
                enter(client, INBOX_OF_OWNER)
                answered(client.uid("STORE", "2", "+FLAGS", "(\\Deleted)"))
                answered(client.uid("EXPUNGE", "2"))
                if _text(client.uid("SEARCH", "UID", "2")[1]):
                    raise Unexpected("message 2 is still there")
                return "marked \\Deleted and expunged"

        def accepted(name: str) -> str:
            answer = acceptance("owner", "partner")
            clients.submit(name, answer)
            arrived = clients.arrived("partner", answer)
            return "the partner has it, " + shown_from(arrived).partition("\n")[0]

        stage.shows("two letters for the owner arrive by LMTP", handed_in)
        stage.shows("reader finds what was shared, and no more", listed)
        stage.shows("r  reader opens the owner's INBOX", opened)
        stage.shows("   stranger does not even see it", hidden)
        stage.shows("w  delegate flags a letter", lambda: flagged("delegate"))
        stage.shows("   reader may not", lambda: refused(lambda: flagged("reader"), "NO [NOPERM]"))
        stage.shows("i  delegate puts a note there", lambda: inserted("delegate"))
        stage.shows("   reader may not", lambda: refused(lambda: inserted("reader"), "NO [NOPERM]"))
        stage.shows("x  delegate accepts an invitation for them", lambda: accepted("delegate"))
        stage.shows("   reader may not, sendOnBehalfOf or not", lambda: refused(lambda: accepted("reader"), "550 5.7.1"))
        stage.shows("d  reader may not delete", lambda: refused(lambda: deleted("reader"), "NO [NOPERM]"))
        stage.shows("   delegate may", lambda: deleted("delegate"))

    # statuses

    def _statuses(self) -> None:
        stage, gateway, clients = self._stage, self._gateway, self._clients
        stage.title("What an account's status does to login and mail")
        changes = [f"modifyAccount {address(name)} status {name}" for name in ("locked", "closed", "pending", "maintenance")]
        for line in changes:
            stage.typed(f"procura prov {line}")
        stage.shows("statuses set", lambda: self._made(changes, "locked, closed, pending, maintenance"))

        to_locked, held = compose("locked", "For the locked one"), compose("maintenance", "Wait for me", from_="partner")

        def login(name: str) -> None:
            with clients.imap(name):
                pass

        def locked_still_gets_mail() -> str:
            clients.hand_in(to_locked)
            self._status("locked", "active")
            clients.arrived("locked", to_locked)
            return "250 while locked; read once it is active again"

        def waits() -> str:
            clients.submit("partner", held)
            queued = gateway.procura("queue")
            if not any("held" in line and address("maintenance") in line for line in queued.splitlines()):
                raise Unexpected(f"procura queue: {queued.strip()}")
            return "250; procura queue shows it as held"

        def released() -> str:
            self._status("maintenance", "active")
            freed = time.monotonic()
            clients.arrived("maintenance", held)
            return f"in its INBOX {_after(time.monotonic() - freed, 'the command had ended')}"

        stage.shows("locked       no login, and why", lambda: refused(lambda: login("locked"), "NO [CONTACTADMIN]"))
        stage.shows("             but it still gets mail", locked_still_gets_mail)
        stage.shows("closed       refuses mail", lambda: refused(lambda: clients.hand_in(compose("closed", "Anybody?")), "550 5.2.1"))
        stage.shows("             no login", lambda: refused(lambda: login("closed"), "NO [CONTACTADMIN]"))
        stage.shows("pending      refuses mail", lambda: refused(lambda: clients.hand_in(compose("pending", "Welcome")), "550 5.2.1"))
        stage.shows("             no login yet", lambda: refused(lambda: login("pending"), "NO [CONTACTADMIN]"))
        stage.shows("maintenance  no login for now", lambda: refused(lambda: login("maintenance"), "NO [UNAVAILABLE]"))
        stage.shows(
            "             another MTA is asked to wait",
            lambda: refused(lambda: clients.hand_in(compose("maintenance", "Later")), "450 4.2.1"),
        )
        stage.shows("             a colleague's mail waits here", waits)
        stage.typed(f"procura prov modifyAccount {address('maintenance')} status active")
        stage.shows("             and arrives afterwards", released)

    # lockout

    def _lockout(self) -> None:
        stage, clients = self._stage, self._clients
        stage.title(f"Guessing a password: lockoutMaxFailures 3, lockoutDuration {LOCKOUT_SECONDS}s")
        meanwhile = compose("hasty", "While you were out")
        last_failure = time.monotonic()

        def login(password: str) -> None:
            with clients.imap("hasty", password):
                pass

        def guess() -> str:
            nonlocal last_failure
            told = ""
            for password in ("summer", "Summer", "Summer1"):
                told = refused(partial(login, password), "NO [AUTHENTICATIONFAILED]")
                last_failure = time.monotonic()
            return told

        def repeated() -> str:
            for _ in range(4):
                refused(lambda: login("summer"), "NO [AUTHENTICATIONFAILED]")
            login("hasty-demo")
            return "an old phone locks nobody out"

        def delivered() -> str:
            clients.hand_in(meanwhile)
            return "250"

        def ends() -> str:
            while True:
                try:
                    login("hasty-demo")
                except imaplib.IMAP4.abort:
                    raise
                except imaplib.IMAP4.error:
                    if time.monotonic() - last_failure > LOCKOUT_SECONDS + ARRIVAL_SECONDS:
                        raise
                    time.sleep(0.2)
                else:
                    break
            lasted = time.monotonic() - last_failure
            clients.arrived("hasty", meanwhile)
            if lasted < LOCKOUT_SECONDS - 1:
                raise Unexpected(f"it ended after {lasted:.1f} s")
            return f"logged in {lasted:.1f} s after the last failure; the mail is there"

        stage.shows("the same wrong one four times counts once", repeated)
        stage.shows("three different wrong ones", guess)
        stage.shows("now the right one gets the same words", lambda: refused(lambda: login("hasty-demo"), "NO [AUTHENTICATIONFAILED]"))
        stage.shows("mail is delivered all the same", delivered)
        stage.shows("it ends by itself", ends)

    # taking back

    def _taking_back(self) -> None:
        stage, gateway, clients = self._stage, self._gateway, self._clients
        stage.title("Taking back a right, while the reader's mail client listens (IDLE)")
        revoke = f"selectMailbox {address('owner')} modifyFolderGrant /INBOX account {address('reader')} none"
        try:
            with clients.imap("reader") as client, ThreadPoolExecutor(1) as pool:
                enter(client, INBOX_OF_OWNER)
                idling = Idling(client)
                idling.begin()

                def pushed() -> str:
                    heard = pool.submit(idling.hear, "EXISTS")
                    clients.hand_in(compose("owner", "News"))
                    accepted = time.monotonic()
                    line, when = heard.result(REPLY_SECONDS)
                    return f"{line}, {_after(when - accepted, 'the 250')}"

                def ended() -> str:
                    heard = pool.submit(idling.hear, "BYE")
                    gateway.prov(revoke)
                    done = time.monotonic()
                    line, when = heard.result(REPLY_SECONDS)
                    if when - done > 1.0:
                        raise Unexpected(f"{line}, only {when - done:.1f} s after")
                    return f"{line}\n{_after(when - done, 'the command had ended')}"

                stage.shows("new mail is told at once", pushed)
                stage.typed(f"procura prov {revoke}")
                stage.shows("the open session ends", ended)
        except (OSError, EOFError, Unexpected, imaplib.IMAP4.error) as failure:
            reason = failure
            stage.shows("the reader listens", lambda: _raise(reason))

        def gone() -> str:
            with clients.imap("reader") as client:
                return refused(lambda: enter(client, INBOX_OF_OWNER), "NO [NONEXISTENT]")

        stage.shows("and the folder is not there any more", gone)
        stage.typed(f"procura prov {GRANTS[1]}")
        stage.shows("given again, for you to try", lambda: self._made(GRANTS[1:2], "reader: r"))


def _raise(failure: Exception) -> NoReturn:
    raise failure


def _exactly(message: bytes, expected: str) -> str:
    if (shown := shown_from(message)) != expected:
        raise Unexpected(shown)
    return shown


def _tls(connection: object) -> str:
    version = connection.version() if isinstance(connection, ssl.SSLSocket) else None
    if version is None:
        raise Unexpected("the connection is not encrypted")
    return version


def _after(seconds: float, event: str) -> str:
    return f"{seconds * 1000:.0f} ms after {event}" if seconds > 0 else f"before {event}"


# --- afterwards


def _invite(stage: Stage, gateway: Gateway) -> None:
    """How a person goes on from here with a mail client of their own."""
    bound = gateway.bound
    imap, imaps, submission, submissions = (bound[door] for door in ("imap", "imaps", "submission", "submissions"))
    directory = _relative(gateway.directory)
    stage.title("Your turn: the gateway goes on serving until Ctrl-C")
    for name, value in (
        ("IMAP", f"{imap} STARTTLS, {imaps} TLS"),
        ("Submission", f"{submission} STARTTLS, {submissions} TLS"),
        ("LMTP", bound["lmtp"]),
        ("Certificate", f"{directory / 'certificate.pem'} (self-signed)"),
        ("Log", str(directory / "server.log")),
        ("Administer", f"PROCURA_CONFIG={directory / 'procura.toml'} {_command()} prov getAllAccounts"),
    ):
        stage.say(f"  {name:<12} {value}")
    stage.say("")
    stage.say(f"  {'account':<20} {'password':<15} can")
    for name, can in (
        ("owner", "own the mailbox"),
        ("delegate", "read and change all of the owner's folders, send as the owner"),
        ("reader", "read the owner's INBOX, send on behalf of the owner"),
        ("stranger", "do nothing of that"),
        ("partner", "receive"),
    ):
        stage.say(f"  {address(name):<20} {name + '-demo':<15} {can}")
    host, _, port = imap.rpartition(":")
    trust = directory / "certificate.pem"
    stage.say("")
    stage.say("  In a mail client: account delegate@acme.test at these addresses (STARTTLS, normal password), trust the certificate,")
    stage.say("  subscribe to Other Users/owner/INBOX, and write with From: owner@acme.test. README.md has recipes. From a shell:")
    stage.say(f"    curl --cacert {trust} --ssl-reqd -u {address('delegate')}:delegate-demo \\")
    stage.say(f"         'imap://{host}:{port}/Other%20Users/owner/INBOX;MAILINDEX=1'")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _command() -> str:
    beside = Path(sys.executable).with_name("procura")
    return str(_relative(beside)) if beside.exists() else "procura"
