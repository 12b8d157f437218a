"""`procura demo`: the exchange is played from a clean directory, and what was built goes on serving until Ctrl-C."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TextIO

from gateway.demo.exchange import Exchange
from gateway.demo.people import DOMAIN, address
from gateway.demo.server import DemonstrationFailed, Gateway, prepared
from gateway.demo.stage import Stage

DIRECTORY: Final = Path("var/demo")


def main(*, once: bool = False, directory: Path = DIRECTORY, out: TextIO | None = None) -> int:
    """Plays the exchange and, unless `once`, goes on serving until Ctrl-C. The exit status: 0 when every line was ✓.

    Everything is in `directory`, which is made or, where an earlier demonstration made it, begun anew.
    """
    stage = Stage(out or sys.stdout)
    # A terminal's Ctrl-C reaches the server too; what is sent to this process alone must not leave the server behind.
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with prepared(directory) as gateway:
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
