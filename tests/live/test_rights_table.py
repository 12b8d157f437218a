"""Every right against every IMAP operation on real sockets; whom a grant reaches, from where it is inherited, when it counts."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.live.server import Server
from tests.live.talk import Answer, Talk

GRID = Path(__file__).parents[1] / "rights" / "grid.txt"
OWNER, ACTOR, THIRD, FOURTH = "owner@acme.test", "actor@acme.test", "third@acme.test", "fourth@acme.test"
MESSAGE = b"From: a@elsewhere.test\r\nTo: owner@acme.test\r\nSubject: one\r\n\r\nhello\r\n"
WORDS = re.compile(r"NO \[NOPERM\] (you need .*) on this folder; ask owner@acme\.test \[d-[0-9a-f]+\]\Z")


@dataclass(frozen=True)
class Column:
    """One set of rights and what the grid says of it, row by row. `spelling`: rights (SETACL) or letters (modifyFolderGrant)."""

    number: int
    spelling: str
    held: str
    cells: dict[str, str]

    @property
    def folder(self) -> str:
        return f"g{self.number:02}"

    def __str__(self) -> str:
        return f"{self.spelling}-{self.held}"


def columns() -> list[Column]:
    found: list[Column] = []
    section: list[Column] = []
    for line in GRID.read_text().splitlines():
        name, *cells = re.split(r"\s{2,}", line.strip())
        if not name or name.startswith("#"):
            continue
        if name in ("rights", "letters"):
            section = [Column(len(found) + at, name, held, {}) for at, held in enumerate(cells)]
            found += section
            continue
        assert len(cells) == len(section), line
        for column, cell in zip(section, cells, strict=True):
            assert cell in {"+", "-", "."}, line
            assert name not in column.cells, line
            column.cells[name] = cell
    return found


COLUMNS = columns()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("rights")) as running:
        running.people("owner", "actor", "third", "fourth")
        yield running


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Talk]:
    with Talk(server.ports["imap"], OWNER) as session:
        yield session


@pytest.fixture(scope="module")
def actor(server: Server) -> Iterator[Talk]:
    with Talk(server.ports["imap"], ACTOR) as session:
        yield session


def at_once(session: Talk, *commands: str | tuple[str, bytes]) -> None:
    """All of them in one go; each has to succeed."""
    tags = [(session.start(*((one,) if isinstance(one, str) else one)), one) for one in commands]
    for tag, command in tags:
        answer = session.finish(tag)
        assert answer.kind.startswith("OK"), f"{command}: {answer.tagged}"


# The messages of F, by place: what each is there for and which flags it starts with.
PLACES = {
    "look": "",
    "body": "",
    "+seen": "",
    "-seen": "\\Seen",
    "+deleted": "",
    "-deleted": "\\Deleted",
    "+flagged": "",
    "+keyword": "",
    "mixed": "",
    "all away": "\\Seen \\Deleted \\Flagged Work",
    "copy": "",
    "move": "",
    "replace": "",
    "binary": "",
}
UID = {what: number for number, what in enumerate(PLACES, 1)}


@pytest.fixture(scope="module")
def prepared(server: Server, owner: Talk, actor: Talk) -> None:
    # Copied from one folder: a transaction instead of one per message.
    at_once(
        owner,
        "CREATE stock",
        *((f"APPEND stock ({flags})", MESSAGE) for flags in (*PLACES.values(), "\\Deleted", "\\Deleted", "")),
        "SELECT stock",
    )
    last = len(PLACES)
    for column in COLUMNS:
        top = column.folder
        at_once(
            owner,
            *(f"CREATE {top}{below}" for below in ("", "/expunge", "/close", "/from", "/gone")),
            f"UID COPY 1:{last} {top}",
            f"UID COPY {last + 1}:{last + 3} {top}/expunge",
            f"UID COPY {last + 1} {top}/close",
            f"SETACL {top} {THIRD} l",
        )
    at_once(owner, *(f'SETACL {one.folder} {ACTOR} "{one.held.replace("none", "")}"' for one in COLUMNS if one.spelling == "rights"))
    grants = [
        f"selectMailbox {OWNER} modifyFolderGrant /{one.folder} account {ACTOR} {one.held}{' --block' if one.held == 'none' else ''}"
        for one in COLUMNS
        if one.spelling == "letters"
    ]
    server.prov(*grants)
    at_once(actor, "CREATE Mine", ("APPEND Mine (\\Seen \\Deleted \\Flagged Work)", MESSAGE))


class Play:
    """One column of the grid, played by the actor; the owner looks what came of it."""

    def __init__(self, column: Column, owner: Talk, actor: Talk) -> None:
        self.folder = column.folder
        self.owner = owner
        self.actor = actor
        self.found: dict[str, str] = {}
        self.refusals: list[str] = []

    def name(self, below: str = "", folder: str = "") -> str:
        return f'"Other Users/owner/{folder or self.folder}{below}"'

    def answer(self, command: str, literal: bytes | None = None, below: str = "") -> tuple[str, Answer]:
        """The symbol of the grid for this command, in which `{}` stands for F's name."""
        answer = self.actor.do(command.format(self.name(below)), literal)
        if answer.kind.startswith("OK"):
            return "+", answer
        if answer.kind == "NO NOPERM":
            self.refusals.append(answer.tagged)
            return "-", answer
        absent = self.actor.do(command.format(self.name(below, "n" + self.folder[1:])), literal)
        return "." if absent == answer else answer.tagged, answer

    def ask(self, row: str, command: str, literal: bytes | None = None, below: str = "") -> Answer:
        self.found[row], answer = self.answer(command, literal, below)
        return answer

    def effect(self, row: str, happened: bool, asked: str) -> None:
        """An effect of what was asked in another row: `.` where the folder is not there."""
        self.found[row] = "+" if happened else "." if self.found[asked] == "." else "-"

    def flags(self) -> dict[str, set[str]]:
        return self.owner.flags(self.folder)

    def everything(self) -> dict[str, str]:
        self.names()
        self.reading()
        self.storing()
        self.arriving()
        self.catenating()
        self.leaving()
        self.expunging()
        self.administering()
        self.folders()
        return self.found

    def names(self) -> None:
        for verb in ("LIST", "LSUB"):
            lines = self.actor.ok(f'{verb} "" "Other Users/owner/{self.folder}"').about(verb)
            there = any(b"Noselect" not in line for line in lines)
            self.found[f"{verb} shows it"] = "+" if there else "."
            everything = self.actor.ok(f'{verb} "" "*"').about(verb)
            assert any(line.endswith(self.name().encode()) for line in everything) is there
        self.ask("SUBSCRIBE", "SUBSCRIBE {}")
        self.ask("MYRIGHTS", "MYRIGHTS {}")
        self.ask("STATUS", "STATUS {} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE MAILBOXID)")
        self.looked_through("ESEARCH in it", "mailboxes")
        self.looked_through("ESEARCH below it", "subtree")
        self.ask("GETQUOTAROOT", "GETQUOTAROOT {}")
        self.ask("GETMETADATA", "GETMETADATA {} (/shared/colour /private/colour)")
        self.ask("SETMETADATA", f'SETMETADATA {{}} (/shared/colour "{self.folder}" /private/colour "mine")')
        told = self.owner.ok(f"GETMETADATA {self.folder} (/shared/colour /private/colour)").lines[0]
        assert (self.folder.encode() + b'" /private/colour NIL)' in told) is (self.found["SETMETADATA"] == "+")

    def looked_through(self, row: str, source: str) -> None:
        """A search in several mailboxes, of which this is one: found there, or nothing is said of it (RFC 7377 section 2.2)."""
        command = f"ESEARCH IN ({source} {{}}) RETURN (COUNT) SUBJECT one"
        answer = self.actor.ok(command.format(self.name()))
        found = [line for line in answer.about("ESEARCH") if b" MAILBOX %b UIDVALIDITY " % self.name().encode() in line]
        absent = self.actor.ok(command.format(self.name(folder="n" + self.folder[1:])))
        assert not absent.about("ESEARCH")
        assert not found or found[0].endswith(b" UID COUNT %d" % len(PLACES))
        self.found[row] = "+" if found else "." if answer == absent else answer.tagged

    def reading(self) -> None:
        self.ask("EXAMINE", "EXAMINE {}")
        answer = self.ask("SELECT", "SELECT {}")
        self.effect("SELECT is READ-WRITE", answer.kind == "OK READ-WRITE", "SELECT")
        permanent = (answer.code("PERMANENTFLAGS") or "").split()
        self.effect("PERMANENTFLAGS \\Seen", "\\Seen" in permanent, "SELECT")
        self.effect("PERMANENTFLAGS \\Deleted", "\\Deleted" in permanent, "SELECT")
        self.effect("PERMANENTFLAGS \\Flagged \\*", {"\\Flagged", "\\Answered", "\\Draft", "Work", "\\*"} <= set(permanent), "SELECT")
        # Exactly these: one class of flags is there as a whole or not at all.
        assert ("\\Flagged" in permanent) == ("\\*" in permanent)
        if self.found["SELECT"] != "+":
            self.closed("FETCH FLAGS", "FETCH BODY.PEEK[]", "FETCH BODY[]", "FETCH BODY[] sets \\Seen", "SEARCH", "SORT", "THREAD")
            self.closed("FETCH BINARY[1]", "FETCH BINARY[1] sets \\Seen")
            return
        self.inside("FETCH FLAGS", f"UID FETCH {UID['look']} (FLAGS)")
        peeked = self.inside("FETCH BODY.PEEK[]", f"UID FETCH {UID['look']} (BODY.PEEK[])")
        assert MESSAGE in peeked.lines[0]
        read = self.inside("FETCH BODY[]", f"UID FETCH {UID['body']} (BODY[])")
        assert MESSAGE in read.lines[0]
        assert b"BINARY[1] {" in self.inside("FETCH BINARY[1]", f"UID FETCH {UID['binary']} (BINARY[1])").lines[0]
        flags = self.flags()
        assert flags["1"] == set(), "PEEK leaves no trace"
        self.effect("FETCH BODY[] sets \\Seen", "\\Seen" in flags[str(UID["body"])], "SELECT")
        self.effect("FETCH BINARY[1] sets \\Seen", "\\Seen" in flags[str(UID["binary"])], "SELECT")
        assert self.inside("SEARCH", "UID SEARCH SUBJECT one").lines[0].startswith(b"* SEARCH 1 2 3")
        assert self.inside("SORT", "UID SORT (ARRIVAL) UTF-8 SUBJECT one").lines[0].startswith(b"* SORT 1 2 3")
        assert self.inside("THREAD", "UID THREAD ORDEREDSUBJECT UTF-8 SUBJECT one").lines[0].startswith(b"* THREAD (1 (2)(3)")

    def closed(self, *rows: str) -> None:
        """What needs the folder selected ends with SELECT."""
        for row in rows:
            self.found[row] = self.found["SELECT"]

    def inside(self, row: str, command: str) -> Answer:
        """A command on the selected folder."""
        answer = self.actor.do(command)
        if answer.kind == "NO NOPERM":
            self.refusals.append(answer.tagged)
        self.found[row] = {"OK": "+", "NO NOPERM": "-"}.get(answer.kind.split(" [")[0], answer.tagged)
        if answer.kind.startswith("OK"):
            self.found[row] = "+"
        return answer

    def storing(self) -> None:
        steps = {
            "STORE + \\Seen": ("+seen", "+FLAGS (\\Seen)"),
            "STORE - \\Seen": ("-seen", "-FLAGS (\\Seen)"),
            "STORE + \\Deleted": ("+deleted", "+FLAGS (\\Deleted)"),
            "STORE - \\Deleted": ("-deleted", "-FLAGS (\\Deleted)"),
            "STORE + \\Flagged": ("+flagged", "+FLAGS (\\Flagged)"),
            "STORE + keyword": ("+keyword", "+FLAGS (Work)"),
            "STORE + mixed": ("mixed", "+FLAGS (\\Seen \\Deleted \\Flagged Work)"),
            "STORE all away": ("all away", "FLAGS ()"),
        }
        if self.found["SELECT"] != "+":
            classes = ("\\Seen", "\\Deleted", "\\Flagged")
            self.closed(*steps, *(f"mixed sets {one}" for one in classes), *(f"all away: {one}" for one in classes))
            return
        before = self.flags()
        told: dict[str, Answer] = {row: self.inside(row, f"UID STORE {UID[what]} {change}") for row, (what, change) in steps.items()}
        after = self.flags()
        changed = {what: before[str(uid)] ^ after[str(uid)] for what, uid in UID.items()}
        expected = {"+seen": "\\Seen", "-seen": "\\Seen", "+deleted": "\\Deleted", "-deleted": "\\Deleted"}
        expected |= {"+flagged": "\\Flagged", "+keyword": "Work"}
        for row, (what, _) in steps.items():
            if what in expected:
                assert changed[what] == ({expected[what]} if self.found[row] == "+" else set()), row
        for one in ("\\Seen", "\\Deleted", "\\Flagged"):
            self.effect(f"mixed sets {one}", one in changed["mixed"], "SELECT")
            self.effect(f"all away: {one}", one in changed["all away"], "SELECT")
        # Keywords go with \Flagged; and the client is told what its STORE left, not what it asked for.
        for what, row in (("mixed", "STORE + mixed"), ("all away", "STORE all away")):
            assert ("Work" in changed[what]) == ("\\Flagged" in changed[what])
            if self.found[row] == "+":
                said = re.search(rb"FLAGS \(([^)]*)\)", told[row].lines[0])
                assert said is not None
                assert set(said[1].decode().split()) - {"\\Recent"} == after[str(UID[what])]

    def arriving(self) -> None:
        self.actor.do("UNSELECT")
        self.came("APPEND", "APPEND keeps", self.answer("APPEND {} (\\Seen \\Deleted \\Flagged Work)", MESSAGE)[0])
        self.actor.ok("SELECT Mine")
        self.came("COPY into it", "COPY keeps", self.answer("UID COPY 1 {}")[0])
        self.actor.ok("APPEND Mine", MESSAGE)
        last = self.actor.ok("UID SEARCH ALL").lines[0].split()[-1].decode()
        self.came("MOVE into it", None, self.answer(f"UID MOVE {last} {{}}")[0])
        if self.found["MOVE into it"] != "+":
            assert last in self.mine(), "what could not be moved is still there"
        self.actor.ok("UNSELECT")

    def mine(self) -> list[str]:
        return [one.decode() for one in self.actor.ok("UID SEARCH ALL").lines[0].split()]

    def came(self, row: str, keeps: str | None, symbol: str) -> None:
        self.found[row] = symbol
        flags = self.flags()
        there = len(flags) > len(PLACES) + self.arrived
        assert there is (symbol == "+"), row
        self.arrived += there
        last = flags[max(flags, key=int)] if there else set()
        if keeps is not None:
            for one in ("\\Seen", "\\Deleted", "\\Flagged"):
                self.effect(f"{keeps} {one}", one in last, row)

    arrived = 0

    def catenating(self) -> None:
        """CATENATE needs no folder selected; a folder that is not there and one that hides itself are told apart by their names alone."""
        self.actor.ok("CREATE Joined")

        def joined(folder: str) -> Answer:
            return self.actor.do(f'APPEND Joined CATENATE (URL "/Other%20Users/owner/{folder}/;UID=1")')

        answer = joined(self.folder)
        absent = "n" + self.folder[1:]
        if answer.kind.startswith("OK"):
            self.found["CATENATE of it"] = "+"
        elif "you need 'r'" in answer.tagged:
            self.refusals.append("NO [NOPERM]" + answer.tagged.partition("]")[2])
            self.found["CATENATE of it"] = "-"
        else:
            same = joined(absent).tagged == answer.tagged.replace(f"/{self.folder}/", f"/{absent}/")
            self.found["CATENATE of it"] = "." if same else answer.tagged
        assert len(self.actor.flags("Joined")) == (self.found["CATENATE of it"] == "+")
        self.actor.ok("UNSELECT")
        self.actor.ok("DELETE Joined")

    def leaving(self) -> None:
        if self.found["SELECT"] != "+":
            self.closed("COPY out of it", "MOVE out of it", "REPLACE in it")
            return
        self.actor.ok("CREATE Kept")
        self.actor.ok(f"SELECT {self.name()}")
        self.inside("COPY out of it", f"UID COPY {UID['copy']} Kept")
        self.inside("MOVE out of it", f"UID MOVE {UID['move']} Kept")
        moved = self.found["MOVE out of it"] == "+"
        assert (str(UID["move"]) not in self.flags()) is moved
        self.found["REPLACE in it"], _ = self.answer(f"UID REPLACE {UID['replace']} {{}}", MESSAGE)
        assert (str(UID["replace"]) not in self.flags()) is (self.found["REPLACE in it"] == "+")
        self.actor.ok("UNSELECT")
        assert len(self.actor.flags("Kept")) == 1 + moved
        self.actor.ok("UNSELECT")
        self.actor.ok("DELETE Kept")

    def expunging(self) -> None:
        if self.found["SELECT"] != "+":
            self.closed("UID EXPUNGE", "EXPUNGE", "CLOSE expunges")
            return
        self.actor.ok(f"SELECT {self.name('/expunge')}")
        self.inside("UID EXPUNGE", "UID EXPUNGE 1")
        left = set(self.owner.flags(f"{self.folder}/expunge"))
        assert left == ({"2", "3"} if self.found["UID EXPUNGE"] == "+" else {"1", "2", "3"})
        self.inside("EXPUNGE", "EXPUNGE")
        left = set(self.owner.flags(f"{self.folder}/expunge"))
        assert left == ({"3"} if self.found["EXPUNGE"] == "+" else {"1", "2", "3"})
        self.actor.ok(f"SELECT {self.name('/close')}")
        self.actor.ok("CLOSE")
        self.effect("CLOSE expunges", not self.owner.flags(f"{self.folder}/close"), "SELECT")

    def administering(self) -> None:
        self.ask("GETACL", "GETACL {}")
        self.ask("LISTRIGHTS", f"LISTRIGHTS {{}} {THIRD}")
        self.ask("SETACL", f"SETACL {{}} {FOURTH} l")
        self.ask("DELETEACL", f"DELETEACL {{}} {THIRD}")
        entries = self.owner.ok(f"GETACL {self.folder}").lines[0].decode()
        assert (FOURTH in entries) is (self.found["SETACL"] == "+")
        assert (THIRD in entries) is (self.found["DELETEACL"] != "+")

    def folders(self) -> None:
        self.ask("CREATE below it", "CREATE {}", below="/new")
        symbol, _ = self.rename()
        self.found["RENAME below it"] = symbol
        self.ask("DELETE", "DELETE {}", below="/gone")
        there = {line.decode().rpartition("/")[2].rstrip('"') for line in self.owner.ok(f'LIST "" "{self.folder}/*"').about("LIST")}
        assert ("new" in there) is (self.found["CREATE below it"] == "+")
        assert ("to" in there, "from" in there) == ((True, False) if symbol == "+" else (False, True))
        assert ("gone" in there) is (self.found["DELETE"] != "+")

    def rename(self) -> tuple[str, Answer]:
        answer = self.actor.do(f"RENAME {self.name('/from')} {self.name('/to')}")
        if answer.kind.startswith("OK"):
            return "+", answer
        if answer.kind == "NO NOPERM":
            self.refusals.append(answer.tagged)
            return "-", answer
        nowhere = "n" + self.folder[1:]
        absent = self.actor.do(f"RENAME {self.name('/from', nowhere)} {self.name('/to', nowhere)}")
        return "." if absent == answer else answer.tagged, answer


@pytest.mark.usefixtures("prepared")
def test_notify_tells_of_whom_status_may_be_asked(server: Server) -> None:
    """RFC 5465 sections 3.1 and 5: the figures where there is `r`, \\NoAccess where there is only `l`, and not a word of what is hidden."""
    with Talk(server.ports["imap"], ACTOR) as session:
        names = " ".join(f'"Other Users/owner/{column.folder}"' for column in COLUMNS)
        told = session.ok(f"NOTIFY SET STATUS (mailboxes ({names}) (MessageNew MessageExpunge FlagChange))").lines
    for column in COLUMNS:
        about = [line.split()[1] for line in told if f'"Other Users/owner/{column.folder}"'.encode() in line]
        assert about == {"+": [b"STATUS"], "-": [b"LIST"], ".": []}[column.cells["STATUS"]], column
    assert all(b"\\NoAccess" in line for line in told if line.startswith(b"* LIST"))


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_a_right_allows_exactly_what_the_grid_says(column: Column, owner: Talk, actor: Talk) -> None:
    play = Play(column, owner, actor)
    found = play.everything()
    assert set(found) == set(column.cells)
    wrong = {row: f"{cell} expected, {found[row]}" for row, cell in column.cells.items() if found[row] != cell}
    assert not wrong
    # A refusal names the right that was missing and whom to ask.
    assert all(WORDS.match(one) for one in play.refusals), play.refusals


# --- the letters as IMAP shows them

SHOWN = {
    "r": "lr",
    "rw": "lrsw",
    "ri": "lrikc",
    "rx": "lr",
    "rd": "lrxted",
    "ra": "lra",
    "rwi": "lrswikc",
    "rid": "lrikxtecd",
    "rwd": "lrswxted",
    "rwid": "lrswikxtecd",
    "rwixd": "lrswikxtecd",
    "rwixda": "lrswikxteacd",
}


@pytest.mark.usefixtures("prepared")
def test_letters_are_shown_as_rights_of_rfc_4314(actor: Talk) -> None:
    shown = {}
    for column in COLUMNS:
        if column.spelling == "letters" and column.held in SHOWN:
            line = actor.ok(f'MYRIGHTS "Other Users/owner/{column.folder}"').lines[0].decode()
            assert line.startswith(f'* MYRIGHTS "Other Users/owner/{column.folder}" ')
            shown[column.held] = line.split()[-1]
    assert shown == SHOWN


# --- through whom


WHO_SEES = {
    #                   Account Group  Nested Domain Class  All
    "one@acme.test": "   +      .      .      .      .      +",
    "member@acme.test": ".      +      .      .      .      +",
    "nested@acme.test": ".      .      +      .      .      +",
    "guest@beta.test": " .      .      .      +      .      +",
    "clerk@acme.test": " .      .      .      .      +      +",
    "lone@acme.test": "  .      .      .      .      .      +",
}


@pytest.fixture(scope="module")
def reached(people: Server) -> Server:
    box = "selectMailbox boss@acme.test"
    people.prov(
        "createDistributionList staff@acme.test",
        "createDistributionList inner@acme.test",
        "createDistributionList outer@acme.test",
        "addDistributionListMember staff@acme.test member@acme.test",
        "addDistributionListMember inner@acme.test nested@acme.test",
        "addDistributionListMember outer@acme.test inner@acme.test",
        # A cycle is harmless.
        "addDistributionListMember inner@acme.test outer@acme.test",
        "createCos clerks",
        "setAccountCos clerk@acme.test clerks",
        *(f"{box} createFolder /{name}" for name in ("Account", "Group", "Nested", "Domain", "Class", "All")),
        f"{box} modifyFolderGrant /Account account one@acme.test r",
        f"{box} modifyFolderGrant /Group group staff@acme.test r",
        f"{box} modifyFolderGrant /Nested group outer@acme.test r",
        f"{box} modifyFolderGrant /Domain domain beta.test r",
        f"{box} modifyFolderGrant /Class cos clerks r",
        f"{box} modifyFolderGrant /All all r",
    )
    return people


@pytest.fixture(scope="module")
def people(server: Server) -> Server:
    server.people("boss", "one", "lone", "member", "nested", "clerk", create=False)
    server.people("guest", domain="beta.test")
    return server


def listed(session: Talk, pattern: str = "*", verb: str = "LIST") -> dict[str, set[str]]:
    """Names → attributes."""
    found = {}
    for line in session.ok(f'{verb} "" "{pattern}"').about(verb):
        match = re.match(r'\* \w+ \(([^)]*)\) "/" "([^"]*)"', line.decode())
        assert match is not None, line
        found[match[2]] = set(match[1].split())
    return found


@pytest.mark.parametrize("who", WHO_SEES)
def test_a_grant_reaches_whom_it_names(reached: Server, who: str) -> None:
    prefix = "Other Users/boss@acme.test" if who.endswith("@beta.test") else "Other Users/boss"
    seen = []
    with Talk(reached.ports["imap"], who) as session:
        names = listed(session)
        for folder in ("Account", "Group", "Nested", "Domain", "Class", "All"):
            answer = session.do(f'EXAMINE "{prefix}/{folder}"')
            seen.append({"OK READ-ONLY": "+", "NO NONEXISTENT": "."}[answer.kind])
            assert (f"{prefix}/{folder}" in names) is (seen[-1] == "+")
    assert seen == WHO_SEES[who].split()


def test_a_search_in_several_mailboxes_finds_what_grants_reach(reached: Server) -> None:
    names = ("Account", "Group", "Nested", "Domain", "Class", "All")
    with Talk(reached.ports["imap"], "boss@acme.test") as boss:
        for name in names:
            boss.ok(f"APPEND {name}", MESSAGE)
    for who, seen in WHO_SEES.items():
        node = "Other Users/boss@acme.test" if who.endswith("@beta.test") else "Other Users/boss"
        expected = [f"{node}/{name}" for name, cell in zip(names, seen.split(), strict=True) if cell == "+"]
        with Talk(reached.ports["imap"], who) as session:
            named = " ".join(f'"{node}/{name}"' for name in names)
            for sources in (f"mailboxes ({named})", f'subtree "{node}"', f'subtree-one "{node}"', 'subtree "Other Users"'):
                lines = session.ok(f"ESEARCH IN ({sources}) RETURN (COUNT) SUBJECT one").about("ESEARCH")
                found = [re.search(rb'MAILBOX "([^"]*)"', line)[1].decode() for line in lines]  # type: ignore[index]
                assert sorted(name for name in found if name.startswith(node + "/")) == sorted(expected), (who, sources)
            # Nobody else's are one's own.
            assert not session.ok("ESEARCH IN (personal) SUBJECT one").about("ESEARCH")


def test_the_owner_by_local_part_and_by_address(reached: Server) -> None:
    with Talk(reached.ports["imap"], "one@acme.test") as session:
        for name in ("boss", "boss@acme.test", "BOSS", "Boss@ACME.test"):
            session.ok(f'EXAMINE "Other Users/{name}/Account"')
        assert [name for name in listed(session) if name.endswith("/Account")] == ["Other Users/boss/Account"]
    with Talk(reached.ports["imap"], "guest@beta.test") as session:
        session.ok('EXAMINE "Other Users/boss@acme.test/All"')
        # Without its domain it is somebody of the actor's own.
        assert session.do('EXAMINE "Other Users/boss/All"').kind == "NO NONEXISTENT"


def test_nodes_above_folders_are_no_folders(reached: Server) -> None:
    with Talk(reached.ports["imap"], "one@acme.test") as session:
        names = listed(session)
        for node in ("Other Users", "Other Users/boss"):
            assert "\\Noselect" in names[node] or "\\NonExistent" in names[node]
            assert session.do(f'SELECT "{node}"').kind == "NO NONEXISTENT"
        assert "\\Noselect" not in names["Other Users/boss/Account"]
        assert listed(session, "%").keys() >= {"INBOX", "Other Users"}
        assert "Other Users/boss/Account" not in listed(session, "%")
        assert set(listed(session, "Other Users/boss/%")) == {"Other Users/boss/Account", "Other Users/boss/All"}


# --- from where


def rights(session: Talk, folder: str, owner: str = "boss") -> str:
    """What MYRIGHTS shows, `.` where there is no such folder."""
    answer = session.do(f'MYRIGHTS "Other Users/{owner}/{folder}"')
    if answer.kind == "NO NONEXISTENT":
        return "."
    assert answer.kind == "OK", answer.tagged
    return answer.lines[0].decode().split()[-1]


def test_inheritance_goes_from_the_root_down_and_the_nearest_entry_counts(people: Server) -> None:
    people.prov(
        "createAccount top@acme.test 'correct horse 7'",
        "createDistributionList readers@acme.test",
        "addDistributionListMember readers@acme.test one@acme.test",
        *(
            f"selectMailbox top@acme.test {command}"
            for command in (
                "createFolder /Work/Deep/Deeper",
                "createFolder /Private/Below",
                "createFolder /Apart/Below",
                "createFolder /Both",
                "modifyFolderGrant / account one@acme.test r",
                "modifyFolderGrant /Work/Deep account one@acme.test rwi",
                "modifyFolderGrant /Private account one@acme.test none --block",
                "modifyFolderGrant /Apart group readers@acme.test rw",
                "modifyFolder /Apart inherit FALSE",
                "modifyFolderGrant /Both group readers@acme.test i",
            )
        ),
    )
    with Talk(people.ports["imap"], "one@acme.test") as session, Talk(people.ports["imap"], "top@acme.test") as owner:
        expected = {
            "INBOX": "lr",
            "Work": "lr",
            "Work/Deep": "lrswikc",
            "Work/Deep/Deeper": "lrswikc",
            "Private": ".",
            "Private/Below": ".",
            "Apart": "lrsw",
            "Apart/Below": "lrsw",
            # r and i in two entries: the union adds nothing, k was in neither.
            "Both": "lri",
        }
        assert {name: rights(session, name, "top") for name in expected} == expected
        seen = {name.removeprefix("Other Users/top/") for name in listed(session, "Other Users/top/*")}
        assert {name for name, held in expected.items() if held != "."} <= seen
        assert not seen & {"Private", "Private/Below"}
        # A change on the root is seen at once where there is no own entry.
        people.prov("selectMailbox top@acme.test modifyFolderGrant / account one@acme.test rw")
        assert rights(session, "Work", "top") == "lrsw"
        assert rights(session, "Work/Deep", "top") == "lrswikc"
        # The explicit empty entry is kept and shown; taken away, what is inherited counts again.
        assert owner.ok("GETACL Private").lines[0].decode().endswith(f'{"one@acme.test"} ""')
        people.prov("selectMailbox top@acme.test modifyFolderGrant /Private account one@acme.test none")
        assert rights(session, "Private/Below", "top") == "lrsw"
        # Moving a folder changes what it inherits.
        owner.ok("RENAME Work/Deep/Deeper Private/Deeper")
        assert rights(session, "Private/Deeper", "top") == "lrsw"
        assert rights(session, "Work/Deep/Deeper", "top") == "."
        people.prov("selectMailbox top@acme.test modifyFolderGrant / account one@acme.test none")
        assert [rights(session, name, "top") for name in ("INBOX", "Work", "Private", "Work/Deep")] == [".", ".", ".", "lrswikc"]


def test_an_empty_entry_takes_the_folder_from_that_grantee_only(people: Server) -> None:
    people.prov(
        "createAccount split@acme.test 'correct horse 7'",
        "selectMailbox split@acme.test createFolder /Desk/Drawer",
        "selectMailbox split@acme.test modifyFolderGrant /Desk account one@acme.test rw",
        "selectMailbox split@acme.test modifyFolderGrant /Desk domain acme.test r",
        "selectMailbox split@acme.test modifyFolderGrant /Desk/Drawer account one@acme.test none --block",
    )
    with Talk(people.ports["imap"], "one@acme.test") as session:
        # As somebody of the domain it is still there: there are no negative rights.
        assert rights(session, "Desk", "split") == "lrsw"
        assert rights(session, "Desk/Drawer", "split") == "lr"


def test_a_visible_folder_below_invisible_parents(people: Server) -> None:
    people.prov(
        "createAccount deep@acme.test 'correct horse 7'",
        "selectMailbox deep@acme.test createFolder /Secret/Hidden/Shown",
        "selectMailbox deep@acme.test createFolder /Secret/Other",
        "selectMailbox deep@acme.test modifyFolderGrant /Secret/Hidden/Shown account one@acme.test r",
    )
    with Talk(people.ports["imap"], "one@acme.test") as session:
        names = listed(session, "Other Users/deep*")
        assert set(names) == {f"Other Users/deep{below}" for below in ("", "/Secret", "/Secret/Hidden", "/Secret/Hidden/Shown")}
        for parent in ("", "/Secret", "/Secret/Hidden"):
            assert names["Other Users/deep" + parent] & {"\\NonExistent", "\\Noselect"}
        assert not names["Other Users/deep/Secret/Hidden/Shown"] & {"\\NonExistent", "\\Noselect"}
        assert [rights(session, name, "deep") for name in ("Secret", "Secret/Hidden", "Secret/Other")] == [".", ".", "."]
        session.ok('SELECT "Other Users/deep/Secret/Hidden/Shown"')


def test_a_hidden_folder_answers_every_command_as_one_that_is_not_there(people: Server) -> None:
    """The same octets for a hidden folder, a missing one, one of a mailbox that shows nothing, and one of nobody."""
    people.prov(
        "createAccount shut@acme.test 'correct horse 7'",
        "createAccount bare@acme.test 'correct horse 7'",
        "selectMailbox shut@acme.test createFolder /Hidden/Below",
        "selectMailbox shut@acme.test createFolder /Seen",
        "selectMailbox shut@acme.test modifyFolderGrant /Seen account one@acme.test r",
        "selectMailbox bare@acme.test createFolder /Hidden/Below",
    )
    commands: list[tuple[str, bytes | None]] = [
        (f"{verb} {{}}", None)
        for verb in ("SELECT", "EXAMINE", "SUBSCRIBE", "UNSUBSCRIBE", "DELETE", "MYRIGHTS", "GETACL", 'LIST ""', 'LSUB ""')
    ]
    commands += [
        ("STATUS {} (MESSAGES UNSEEN)", None),
        ("NOTIFY SET STATUS (mailboxes {} (MessageNew MessageExpunge MailboxName))", None),
        ("NOTIFY SET STATUS (subtree {} (MessageNew MessageExpunge SubscriptionChange MailboxMetadataChange))", None),
        ("RENAME {} {}x", None),
        ("RENAME Own {}", None),
        ("CREATE {}/New", None),
        ("CREATE {}", None),
        ("SETACL {} one@acme.test lr", None),
        ("SETACL {} one@acme.test +lr", None),
        ("DELETEACL {} one@acme.test", None),
        ("LISTRIGHTS {} one@acme.test", None),
        ("APPEND {}", MESSAGE),
        ("UID COPY 1 {}", None),
        ("UID MOVE 1 {}", None),
        ("ESEARCH IN (mailboxes {}) ALL", None),
        ("ESEARCH IN (mailboxes (Else {}) subtree-one {}) RETURN (MIN COUNT) ALL", None),
        ("ESEARCH IN (subtree {}) RETURN (PARTIAL 1:10) TEXT hello", None),
    ]
    # As long as each other and only once a word, so that the name can be masked in what is echoed.
    places = ("shut/Hidden", "shut/Absent", "bare/Hidden", "bare/Absent", "noby/Hidden")
    others = [f"Other Users/{name}{below}" for name in places for below in ("", "/Below")]
    with Talk(people.ports["imap"], "one@acme.test") as session:
        session.ok("CREATE Own")
        session.ok("APPEND Own", MESSAGE)
        for command, literal in commands:
            answers = {}
            for name in others:
                session.ok("SELECT Own")
                answer = session.do(command.replace("{}x", '"N"').replace("{}/New", f'"{name}/New"').replace("{}", f'"{name}"'), literal)
                answers[name] = (answer.tagged, tuple(line.replace(name.encode(), b"N") for line in answer.lines if b"EXISTS" not in line))
            assert len(set(answers.values())) == 1, (command, answers)
        session.ok("SELECT Own")
        assert session.ok("UID SEARCH ALL").lines[0] == b"* SEARCH 1", "nothing was moved to nowhere"


@pytest.mark.parametrize(("owner", "command"), [("slow", "STATUS {} (MESSAGES)"), ("late", "ESEARCH IN (mailboxes {}) TEXT hello")])
def test_a_hidden_folder_takes_as_long_as_one_that_is_not_there(people: Server, owner: str, command: str) -> None:
    """Coarsely, each in turn so that whatever disturbs this machine disturbs them alike; an owner that there is not is no faster."""
    people.prov(f"createAccount {owner}@acme.test 'correct horse 7'", f"selectMailbox {owner}@acme.test createFolder /Hidden")
    with Talk(people.ports["imap"], f"{owner}@acme.test") as session:
        # What is in it takes its time to whom it may be shown.
        at_once(session, *(("APPEND Hidden", MESSAGE + b"x\r\n" * 5_000) for _ in range(20)))
    took: dict[str, list[float]] = {f"{owner}/Hidden": [], f"{owner}/Absent": [], "noby/Absent": []}
    with Talk(people.ports["imap"], "one@acme.test") as session:
        for _ in range(200):
            for name, times in took.items():
                begun = time.perf_counter()
                session.do(command.format(f'"Other Users/{name}"'))
                times.append(time.perf_counter() - begun)
    medians = {name: statistics.median(times) for name, times in took.items()}
    assert max(medians.values()) < min(medians.values()) * 1.4, medians


# --- granting over IMAP


def test_a_holder_of_a_passes_on_only_what_it_holds(people: Server) -> None:
    people.prov(
        "createAccount lord@acme.test 'correct horse 7'",
        "selectMailbox lord@acme.test createFolder /Desk",
        "selectMailbox lord@acme.test modifyFolderGrant /Desk account one@acme.test ra",
        "selectMailbox lord@acme.test modifyFolderGrant /Desk account member@acme.test rw",
    )
    desk = '"Other Users/lord/Desk"'
    with Talk(people.ports["imap"], "one@acme.test") as session, Talk(people.ports["imap"], "lord@acme.test") as owner:

        def entry(who: str) -> str | None:
            found = re.search(rf' {re.escape(who)} ("[^"]*"|\S+)', owner.ok("GETACL Desk").lines[0].decode())
            return None if found is None else found[1].strip('"')

        session.ok(f"SETACL {desk} nested@acme.test lr")
        assert entry("nested@acme.test") == "lr"
        # Giving: w is not held.
        refused = session.do(f"SETACL {desk} lone@acme.test lrw")
        assert refused.kind.startswith("NO ")
        assert "'w' (write)" in refused.text
        assert entry("lone@acme.test") is None
        # Taking: s and w of another are not held either; r is.
        for command in (f"SETACL {desk} member@acme.test lr", f"SETACL {desk} member@acme.test -w", f"DELETEACL {desk} member@acme.test"):
            refused = session.do(command)
            assert refused.kind.startswith("NO "), command
            assert "'w' (write)" in refused.text
        assert entry("member@acme.test") == "lrsw"
        session.ok(f"SETACL {desk} member@acme.test -r")
        assert entry("member@acme.test") == "lsw"
        # LISTRIGHTS says so: s and w cannot be moved, l r a can, each alone.
        assert session.ok(f"LISTRIGHTS {desk} member@acme.test").lines == (f"* LISTRIGHTS {desk} member@acme.test sw l r a".encode(),)
        assert session.ok(f"LISTRIGHTS {desk} lone@acme.test").lines == (f'* LISTRIGHTS {desk} lone@acme.test "" l r a'.encode(),)
        # The owner needs nothing and can be given nothing.
        assert session.do(f"SETACL {desk} lord@acme.test lr").kind.startswith("NO ")
        assert owner.ok("LISTRIGHTS Desk lord@acme.test").lines == (b'* LISTRIGHTS "Desk" lord@acme.test lrswikxteacd',)
        # And a holder of `a` may give it away.
        session.ok(f"SETACL {desk} one@acme.test -a")
        assert session.do(f"GETACL {desk}").kind == "NO NOPERM"


def test_setacl_in_all_its_forms(people: Server) -> None:
    people.prov("createAccount form@acme.test 'correct horse 7'")
    with Talk(people.ports["imap"], "form@acme.test") as owner, Talk(people.ports["imap"], "one@acme.test") as one:
        owner.ok("CREATE F")
        owner.ok("CREATE F/Sub")

        def after(change: str) -> str:
            owner.ok(f"SETACL F one@acme.test {change}")
            return rights(one, "F", "form")

        assert after("lr") == "lr"
        assert after("+s") == "lrs"
        assert after("+wi") == "lrswi"
        # RFC 2086's letters: c means k, d means x t e.
        assert after("+c") == "lrswikc"
        assert after("+d") == "lrswikxtecd"
        assert after("-c") == "lrswixted"
        # d is shown as long as any of x t e is held.
        assert after("-xt") == "lrswied"
        assert after("-d") == "lrswi"
        assert after("lrlr") == "lr"
        assert after('""') == "."
        assert owner.ok("GETACL F").lines[0].decode().endswith('one@acme.test ""')
        # What counts now is inherited; + writes the result on this folder.
        assert after("lr") == "lr"
        owner.ok("SETACL F/Sub one@acme.test +s")
        assert after("lri") == "lri"
        assert rights(one, "F/Sub", "form") == "lrs"
        owner.ok("DELETEACL F/Sub one@acme.test")
        assert rights(one, "F/Sub", "form") == "lri"
        before = owner.ok("GETACL F").lines
        assert owner.do("SETACL F one@acme.test lrp").kind == "NO CANNOT"
        assert owner.do("SETACL F one@acme.test lrq").kind == "BAD"
        assert owner.do("SETACL F one@acme.test lR").kind == "BAD"
        assert owner.do("SETACL F -one@acme.test r").kind.startswith("NO")
        assert owner.do("SETACL F nobody@acme.test r").kind.startswith("NO")
        assert owner.do("SETACL F group:nobody@acme.test r").kind.startswith("NO")
        assert owner.do("SETACL F cos:nothing r").kind.startswith("NO")
        assert owner.do("SETACL F domain:nowhere.test r").kind.startswith("NO")
        assert owner.ok("GETACL F").lines == before


def test_every_identifier_is_set_shown_and_removed(reached: Server) -> None:
    reached.prov("createAccount names@acme.test 'correct horse 7'")
    identifiers = ["one@acme.test", "group:staff@acme.test", "domain:beta.test", "cos:clerks", "anyone"]
    with Talk(reached.ports["imap"], "names@acme.test") as owner:
        owner.ok("CREATE F")
        owner.ok("CREATE F/Sub")
        for at, identifier in enumerate(identifiers):
            owner.ok(f"SETACL F {identifier} {'lr' + 'swikx'[at]}")
        shown = owner.ok("GETACL F/Sub").lines[0].decode()
        prefix, _, entries = shown.partition('"F/Sub" ')
        words = entries.split()
        # The owner and every entry that counts, inherited ones included.
        assert prefix == "* ACL "
        assert dict(zip(words[::2], words[1::2], strict=True)) == {
            "names@acme.test": "lrswikxteacd",
            "one@acme.test": "lrs",
            "group:staff@acme.test": "lrw",
            "domain:beta.test": "lri",
            "cos:clerks": "lrkc",
            "anyone": "lrxd",
        }
        for who, held in {"one": "lrsxd", "member": "lrwxd", "clerk": "lrkxcd", "lone": "lrxd"}.items():
            with Talk(reached.ports["imap"], f"{who}@acme.test") as session:
                assert rights(session, "F", "names") == held
        for identifier in identifiers:
            owner.ok(f"DELETEACL F {identifier}")
        assert owner.ok("GETACL F").lines[0].decode() == '* ACL "F" names@acme.test lrswikxteacd'
        with Talk(reached.ports["imap"], "one@acme.test") as session:
            assert rights(session, "F", "names") == "."


# --- from when to when


def test_a_grant_counts_from_the_second_it_begins_to_the_second_it_ends(people: Server) -> None:
    begun = time.monotonic()
    people.prov(
        "createAccount clock@acme.test 'correct horse 7'",
        *(f"selectMailbox clock@acme.test createFolder /{name}" for name in ("Ends", "Begins", "Falls")),
    )
    # A whole second so far away that the commands below are through by then, as fast as this machine is.
    moment = int(time.time() + 3 + 3 * (time.monotonic() - begun))
    spelled = datetime.fromtimestamp(moment, UTC).isoformat()
    people.prov(
        *(
            f"selectMailbox clock@acme.test {command}"
            for command in (
                f"modifyFolderGrant /Ends account one@acme.test r --until {spelled}",
                f"modifyFolderGrant /Begins account one@acme.test r --from {spelled}",
                "modifyFolderGrant / account lone@acme.test r",
                f"modifyFolderGrant /Falls account lone@acme.test rwi --until {spelled}",
            )
        ),
    )
    port = people.ports["imap"]
    with (
        Talk(port, "one@acme.test") as idling,
        Talk(port, "one@acme.test") as one,
        Talk(port, "lone@acme.test") as lone,
        Talk(port, "clock@acme.test") as owner,
    ):
        idling.ok('SELECT "Other Users/clock/Ends"')
        idling.idle()
        assert lone.ok('SELECT "Other Users/clock/Falls"').kind == "OK READ-WRITE"
        lone.idle()
        assert rights(one, "Ends", "clock") == "lr"
        assert rights(one, "Begins", "clock") == "."
        assert "Other Users/clock/Begins" not in listed(one)
        assert " one@acme.test " in owner.ok("GETACL Ends").lines[0].decode()
        assert " one@acme.test " not in owner.ok("GETACL Begins").lines[0].decode()
        assert time.time() < moment, "the machine was too slow for this test"
        bye = idling.farewell(moment - time.time() + 3)
        ended = time.time()
        assert bye == b"* BYE access to this folder has ended"
        assert moment <= ended < moment + 1
        assert rights(one, "Ends", "clock") == "."
        assert rights(one, "Begins", "clock") == "lr"
        assert "Other Users/clock/Begins" in listed(one)
        # Outside its time an entry does not exist: the walk goes on upward.
        assert lone.until(b"* OK [READ-ONLY]", 1)
        assert rights_after_idle(lone) == "lr"
        assert " one@acme.test " not in owner.ok("GETACL Ends").lines[0].decode()
        assert " one@acme.test " in owner.ok("GETACL Begins").lines[0].decode()


def rights_after_idle(session: Talk) -> str:
    session.send(b"DONE\r\n")
    while not session.line().startswith(b"a"):
        pass
    return rights(session, "Falls", "clock")
