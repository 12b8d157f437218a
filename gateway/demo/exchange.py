"""What is played: each line is one promise of the gateway, kept or not."""

import imaplib
import smtplib
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesHeaderParser
from email.policy import SMTP, default
from functools import partial
from typing import Final, NoReturn

from gateway.demo.clients import (
    ARRIVAL_SECONDS,
    REPLY_SECONDS,
    Clients,
    Idling,
    acceptance,
    answered,
    compose,
    enter,
    leave,
    octets_of,
    refused,
    shown_from,
    text_of,
)
from gateway.demo.people import GRANTS, LOCKOUT_SECONDS, PEOPLE, SETUP, STATUSES, address
from gateway.demo.server import Gateway
from gateway.demo.stage import Stage, Unexpected

INBOX_OF_OWNER: Final = "Other Users/owner/INBOX"


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
                leave(client)

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
                if not text_of(client.search(None, "SEEN", "HEADER", "Message-ID", f'"{as_owner["Message-ID"]}"')[1]):
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
                found = text_of(client.uid("FETCH", "1", "(FLAGS)")[1])
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
                if text_of(client.uid("SEARCH", "UID", "2")[1]):
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
