"""A sample of the vectors through the doors of a running server: submission, LMTP, MX, IMAP, the policy service, and the real command."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.live.post import Clients, Letter, Postbox, Said, submit
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk
from tests.live.test_invitations import answer, calendar
from tests.vectors import stage
from tests.vectors.cast import joined
from tests.vectors.generate import Vector
from tests.vectors.stage import Data


def _can_be_set(state: Data, _: Data, __: Data) -> bool:
    """An address that the account has lost is narrowed to in the pure vectors only: nobody can write that."""
    return "gone@" not in json.dumps(state)


SEND_RIGHTS = stage.sample(10_000, "send_rights", 120)
SUBMISSIONS = stage.sample(20_000, "submission", 80, _can_be_set)
ENVELOPES = stage.sample(30_000, "envelopes", 40)
INVITATIONS = stage.sample(40_000, "invitations", 40)
POSTINGS = stage.sample(50_000, "postings", 40)
STATUSES = stage.sample(60_000, "statuses", 25)


def _over_imap(state: Data, request: Data, verdict: Data) -> bool:
    """What IMAP and the command line can say: letters, no `no-inherit`, folders that are listed, one operation a command."""
    text = json.dumps(state)
    if "no_inherit" in text or "[" in re.sub(r'"entries": \[', "", text) or request["path"] in ("/", "/Calendar"):
        return False
    if request["actor"].startswith("owner") or request["operation"] not in COMMANDS | set(MARKS):
        return False
    return request["operation"] not in MARKS or "r" in verdict["rights"] or verdict["says"] == "NONEXISTENT"


COMMANDS = {"see", "read", "insert", "create", "rename", "delete", "administer", "quota", "get metadata", "set metadata"}
MARKS = {
    "mark seen": "STORE 1 +FLAGS (\\Seen)",
    "mark deleted": "STORE 1 -FLAGS (\\Deleted)",
    "mark": "STORE 1 +FLAGS (\\Flagged)",
    "expunge": "EXPUNGE",
}
FOLDERS = stage.sample(70_000, "folders", 90, _over_imap)


def of(vectors: list[tuple[int, Vector]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("number", "vector"), vectors, ids=[str(number % 10_000) for number, _ in vectors])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("vectors"),
        {"listen.policy": ["127.0.0.1:0"], "policy_networks": ["127.0.0.0/8"], "lmtp_networks": ["127.0.0.0/8"]},
    )
    server.directory.mkdir(exist_ok=True)
    plain = [*SEND_RIGHTS, *SUBMISSIONS, *ENVELOPES, *INVITATIONS, *POSTINGS]
    lines = [
        *stage.cast(),
        *stage.set_up(plain),
        *stage.set_up(FOLDERS, folders=True),
        *stage.set_up(STATUSES),
        *_doors(),
        *stage.statuses(plain),
        *stage.overlays(),
    ]
    server.prov(*lines)
    with server:
        for number, (_, request, verdict) in FOLDERS:
            if request["operation"] in MARKS and "r" in verdict["rights"]:
                with Talk(server.ports["imap"], f"o{number}@acme.test") as talk:
                    assert talk.do(f'APPEND "{request["path"][1:]}" (\\Deleted)', b"Subject: x\r\n\r\nx\r\n").kind.startswith("OK")
        # Whoever is to be locked out is, by one wrong password.
        for _, (state, request, _) in STATUSES:
            if next(iter(state["accounts"].values())).get("lockout"):
                with Talk(server.ports["imap"]) as talk:
                    talk.do(f'LOGIN {request["account"]} "wrong"')
        server.prov(*stage.statuses(FOLDERS), *stage.statuses(STATUSES))
        yield server


def _doors() -> list[str]:
    """What dora would be allowed on those whose status is asked about."""
    lines = []
    for _, (state, request, _) in STATUSES:
        who = request["account"]
        lines.append(f"selectMailbox {who} modifyFolderGrant /INBOX account dora@acme.test rwid")
        lines.append(f"grantRight account {who} usr dora@acme.test sendAs")
        lines += [f"modifyAccount {who} lockoutMaxFailures 1"] if state["accounts"][who].get("lockout") else []
    return lines


@pytest.fixture(scope="module")
def clients(server: Server) -> Iterator[Clients]:
    clients = Clients(server)
    yield clients
    clients.close()


@pytest.fixture(scope="module")
def inbox(server: Server) -> Iterator[Postbox]:
    box = Postbox(server, "emil@acme.test")
    yield box
    box.close()


@pytest.fixture
def emil(inbox: Postbox) -> Postbox:
    """To whom everything is sent."""
    inbox.new()
    return inbox


# --- checkRight and can


def test_check_right(server: Server) -> None:
    lines = [
        f"checkRight {'account' if request['principal'][0] == 'o' else 'dl'} {request['principal']} {request['actor']} {request['right']}"
        for _, (_, request, _) in SEND_RIGHTS
    ]
    told = re.findall(r"^(ALLOWED|DENIED)$", server.prov(*lines), re.MULTILINE)
    assert len(told) == len(SEND_RIGHTS)
    wrong = [
        (number, request, said)
        for (number, (_, request, verdict)), said in zip(SEND_RIGHTS, told, strict=True)
        if (said == "ALLOWED") != verdict["allowed"]
    ]
    assert not wrong


def test_can(server: Server) -> None:
    mail = [one for one in SEND_RIGHTS if one[1][1]["right"] == "sendAs" and one[1][1]["principal"][0] == "o"][::12][:4]
    assert {vector[2]["allowed"] for _, vector in mail} == {True, False}
    for number, (_, request, verdict) in mail:
        done = server.run("can", request["actor"], "send-as", request["principal"], check=False)
        assert (done.returncode == 0) == verdict["allowed"], (number, done.stdout, done.stderr)


# --- submission


def _outcome(said: Said) -> Data:
    return {"reply": "250" if said.code == 250 else said.enhanced, "at": said.at}


def _header(letter: Letter) -> Data:
    path = letter.one("Return-Path")
    return {"from": letter.one("From"), "sender": letter.one("Sender"), "path": path[1:-1] or None if path else None}


@of(SUBMISSIONS)
def test_submission(clients: Clients, emil: Postbox, number: int, vector: Vector) -> None:
    _, request, verdict = vector
    resent = request.get("resent")
    fields = {"Sender": request["sender"]} if "sender" in request else {}
    if resent:
        fields |= {"Resent-From": resent["from"][0], **({"Resent-Sender": resent["sender"]} if "sender" in resent else {})}
    from_ = ", ".join(request["from"]) if "from" in request else None
    octets = compose(from_, "emil@acme.test", str(number), **{name.replace("-", "_"): value for name, value in fields.items()})
    said = submit(clients[request["actor"]], request.get("path", ""), "emil@acme.test", octets)
    assert _outcome(said) == {"reply": verdict["reply"], "at": verdict["at"]}, said
    if verdict["reply"] != "250":
        assert emil.new() == []
        return
    letter = emil.the_one()
    expected = {"from": verdict["from"] or from_, "sender": verdict["sender"], "path": verdict["path"]}
    assert _lower_domains(_header(letter)) == _lower_domains(expected)
    if resent:
        assert letter.one("Resent-Sender") == verdict["resent_sender"]


def _lower_domains(header: Data) -> Data:
    """The envelope sender of a local owner arrives folded or as it was written; delegation.md compares it folded."""
    return {**header, "path": header["path"] and header["path"].lower()}


# --- a neighbour's envelope


@of(ENVELOPES)
def test_policy_service(server: Server, number: int, vector: Vector) -> None:
    _, request, verdict = vector
    asked = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "protocol_name": "ESMTP",
        "client_address": "192.0.2.1",
        "sasl_username": request["actor"],
        "sender": request["path"],
        "recipient": "emil@acme.test",
        "instance": str(number),
    }
    with server.socket("policy") as raw:
        raw.sendall("".join(f"{name}={value}\n" for name, value in asked.items()).encode() + b"\n")
        said = _told(raw)
    assert said == "DUNNO" if verdict["reply"] == "250" else said.startswith(verdict["reply"]), said


def _told(raw: socket.socket) -> str:
    octets = b""
    while not octets.endswith(b"\n\n"):
        more = raw.recv(4096)
        assert more, octets
        octets += more
    return octets.decode().strip().removeprefix("action=")


# --- folders over IMAP

CODES = {"OK": "OK", "NOPERM": "NO NOPERM", "NONEXISTENT": "NO NONEXISTENT", "UNAVAILABLE": "NO UNAVAILABLE", "PROTECTED": "NO CANNOT"}


@of(FOLDERS)
def test_folders(server: Server, number: int, vector: Vector) -> None:
    _, request, verdict = vector
    same_domain = request["actor"].endswith("@acme.test")
    shared = f"Other Users/o{number}{'' if same_domain else '@acme.test'}{request['path']}"
    commands = {
        "see": f'MYRIGHTS "{shared}"',
        "read": f'STATUS "{shared}" (MESSAGES)',
        "insert": f'APPEND "{shared}"',
        "create": f'CREATE "{shared}/New"',
        "rename": f'RENAME "{shared}" "{shared}2"',
        "delete": f'DELETE "{shared}"',
        "administer": f'GETACL "{shared}"',
        "quota": f'GETQUOTAROOT "{shared}"',
        "get metadata": f'GETMETADATA "{shared}" /shared/comment',
        "set metadata": f'SETMETADATA "{shared}" (/shared/comment "x")',
    }
    operation, says = request["operation"], CODES[verdict["says"]]
    with Talk(server.ports["imap"], request["actor"]) as talk:
        held = talk.do(f'MYRIGHTS "{shared}"')
        letters = {letter for letter in verdict["rights"] if letter != "X"}
        if "l" in letters:
            assert held.kind == "OK", held.tagged
            assert set(held.lines[0].decode().rsplit(" ", 1)[1]) - set("cd") == letters
        else:
            assert held.kind == "NO NONEXISTENT", held.tagged
        if operation in MARKS:
            opened = talk.do(f'SELECT "{shared}"')
            if verdict["says"] in ("NONEXISTENT", "UNAVAILABLE"):
                assert opened.kind == says, opened.tagged
                return
            assert opened.kind.startswith("OK"), opened.tagged
            # Where nothing at all may be changed the folder is opened for reading, and that is what is said.
            got = talk.do(MARKS[operation]).kind
            assert got == says or (says == "NO NOPERM" and not set("swite") & letters and got.startswith("NO")), got
            return
        if operation == "rename" and verdict["says"] == "OK":
            return  # the new parent's `k` is another question
        literal = b"Subject: x\r\n\r\nx\r\n" if operation == "insert" else None
        said = talk.do(commands[operation], literal)
        if operation == "insert" and says == "NO NONEXISTENT":
            says = "NO TRYCREATE"  # what a folder that is not there is answered with (RFC 3501 section 6.3.11)
        assert said.kind.startswith("OK") if says == "OK" else said.kind == says, said.tagged


# --- statuses at every door


@of(STATUSES)
def test_statuses(server: Server, clients: Clients, number: int, vector: Vector) -> None:
    _, request, verdict = vector
    who = request["account"]
    with Talk(server.ports["imap"]) as talk:
        assert talk.do(f'LOGIN {who} "{PASSWORD}"').tagged.startswith(verdict["login"]["imap"])
    with Mail(server.ports["submission"]) as mail:
        assert mail.login(who).startswith(verdict["login"]["smtp"])
    for door in ("lmtp", "mx"):
        with Mail(server.ports[door], "LHLO mx.test" if door == "lmtp" else "EHLO mx.test") as mail:
            assert mail.say("MAIL FROM:<a@elsewhere.test>").startswith("250")
            assert mail.say(f"RCPT TO:<{who}>").startswith(verdict["lmtp" if door == "lmtp" else "smtp"].removesuffix(" held"))
    client = clients["dora@acme.test"]
    assert client.mail("dora@acme.test")[0] == 250
    code, text = client.rcpt(who)
    client.rset()
    assert f"{code} {text.decode()}".startswith(verdict["smtp"].removesuffix(" held"))
    with Talk(server.ports["imap"], "dora@acme.test") as talk:
        name = f"Other Users/{who if not who.endswith('@acme.test') else who.split('@')[0]}/INBOX"
        read, written = (talk.do(command).kind for command in (f'STATUS "{name}" (MESSAGES)', f'CREATE "{name}/New"'))
        written = written.removesuffix(" MAILBOXID")
    expected = {
        "by grant": ("OK", "OK"),
        "read only": ("OK", "NO NOPERM"),
        "unavailable": ("NO UNAVAILABLE", "NO UNAVAILABLE"),
        "hidden": ("NO NONEXISTENT", "NO NONEXISTENT"),
    }
    assert (read, written) == expected[verdict["delegates"]]
    said = submit(client, "", "emil@acme.test", compose(who, "emil@acme.test", str(number)))
    assert said.enhanced.startswith(verdict["sending"] or "250"), said


# --- invitations


@of(INVITATIONS)
def test_invitations(clients: Clients, emil: Postbox, number: int, vector: Vector) -> None:
    _, request, verdict = vector
    text = calendar(request["attendee"], request.get("sent_by"), request["method"])
    from_ = ", ".join(request["from"]) if "from" in request else None
    fields = (f"Sender: {request['sender']}",) if "sender" in request else ()
    octets = answer(from_ or "nobody", text, method=request["method"], fields=fields)
    if from_ is None:
        octets = octets.replace(b"From: nobody\r\n", b"", 1)
    if request["signed"]:
        octets = _signed(octets)
    said = submit(clients[request["actor"]], "", "emil@acme.test", octets)
    assert _outcome(said) == {"reply": verdict["reply"], "at": verdict["at"]}, said
    if verdict["reply"] != "250":
        assert emil.new() == []
        return
    letter = emil.the_one()
    assert (letter.one("From"), letter.one("Sender")) == (verdict["from"] or from_, verdict["sender"])
    named = re.search(rb"SENT-BY=\"?mailto:([^\";:]+)", letter.octets.replace(b"\r\n ", b""))
    expected = request.get("sent_by") or ("dora@acme.test" if verdict["add"] else None)
    if verdict["add"] and verdict["sender"]:
        found = re.search(r"<([^>]*)>", verdict["sender"])
        expected = found[1] if found else verdict["sender"]
    assert (named[1].decode() if named else None) == expected


def _signed(octets: bytes) -> bytes:
    """The whole body inside multipart/signed."""
    head, _, body = octets.partition(b"\r\n\r\n")
    kind = re.search(rb"Content-Type: multipart[^\r]*", head)
    assert kind is not None
    outer = b'Content-Type: multipart/signed; boundary=sig; protocol="application/pkcs7-signature"; micalg=sha-256'
    signature = b"--sig\r\nContent-Type: application/pkcs7-signature\r\n\r\nAA==\r\n--sig--\r\n"
    return head.replace(kind[0], outer, 1) + b"\r\n\r\n--sig\r\n" + kind[0] + b"\r\n\r\n" + body + b"\r\n" + signature


# --- lists


@of(POSTINGS)
def test_postings(server: Server, clients: Clients, number: int, vector: Vector) -> None:
    state, request, verdict = vector
    subject = f"posted {number}"
    sender = request.get("path") or request["actor"]
    octets = compose(sender, request["list"], subject)
    if request["door"] == "submission":
        said = submit(clients[request["actor"]], sender, request["list"], octets)
        reply = "250" if said.code == 250 else said.enhanced
    else:
        with Mail(server.ports[request["door"]], "LHLO mx.test" if request["door"] == "lmtp" else "EHLO mx.test") as mail:
            reply = mail.send(sender, [request["list"]], octets)[0][:9]
            reply = "250" if reply.startswith("250") else reply
    assert reply == verdict["reply"]
    copies = []
    status = joined(state)["accounts"][f"o{number}@acme.test"].get("status", "active")
    for name in ("emil@acme.test", f"x{number}@acme.test", f"o{number}@acme.test"):
        if name[0] == "o" and status != "active":
            continue
        client = server.imap(name)
        client.select("INBOX", readonly=True)
        kind, found = client.search(None, "SUBJECT", f'"{subject}"')
        assert kind == "OK"
        copies += [name] * len(found[0].split())
        client.logout()
    expected = [one for one in verdict["copies"] if one[0] != "o" or status == "active"]
    assert sorted(copies) == expected
