"""The command `password`: a code for the first access, and setting one's own password with it."""

from collections.abc import Sequence
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.prov.answer import Answer, Usage, lines, moment, stamp
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb

HERE: Final = "local"
"""Where a command line comes from."""


async def _password(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    read = options(rest, valued=("--until", "--password"))
    match word.lower(), read.rest:
        case "code", (account,) if "--password" not in read.values:
            now = await desk.directory.now()
            until = read_moment(read.values["--until"], now) if "--until" in read.values else None
            made = await desk.directory.first_access.issue(account, until)
            hint = f"It is shown this once, and good once until {moment(made.expires)}: procura password set {account} CODE --password -"
            return Answer(lines([made.code, hint]), {"code": made.code, "expires": stamp(made.expires)})
        case "status", (account,) if not read.values:
            until = await desk.directory.first_access.pending(account)
            return Answer("no code\n" if until is None else f"a code, until {moment(until)}\n", {"expires": stamp(until)})
        case "set", (account, code) if "--until" not in read.values and "--password" in read.values:
            password = read.values["--password"].removesuffix("\n").removesuffix("\r")
            if "\n" in password:
                raise Fault(Code.INVALID_PASSWORD, "it is one line")
            await desk.directory.first_access.use(account, code, password, HERE)
            return Answer("the password is set\n", {"set": True})
        case _:
            raise Usage("code ACCOUNT [--until T], status ACCOUNT or set ACCOUNT CODE --password FILE|-")


VERB: Final = Verb(
    "password",
    "",
    "code ACCOUNT [--until T] | status ACCOUNT | set ACCOUNT CODE --password FILE|-",
    "a one-time code with which a person sets the first password, told by an administrator; and setting it (-: from standard input)",
    2,
    None,
    _password,
    files=("--password",),
)
