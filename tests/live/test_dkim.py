"""Signatures on mail that leaves, through a whole server: what arrives at the next hop is judged by others, with the records that
`procura dkim` prints."""

from __future__ import annotations

import base64
import json
import re
import secrets
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.live.judges import dkimpy, dkimpy_chain, has_perl_judge, perl, published, texts
from tests.live.names import Names
from tests.live.next_hop import NextHop, Taken, next_hop
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail

ANNA, BRUNO, LIST = "anna@acme.test", "bruno@acme.test", "team@lists.test"
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000")


class Signed:
    """A server, keys whose records are in the DNS, and a next hop. `sent` gives what it was handed since the test began."""

    def __init__(self, server: Server, hop: NextHop, names: Names) -> None:
        self.server = server
        self.hop = hop
        self.names = names
        self.records: dict[str, str] = {}
        self.before = 0

    def key(self, domain: str, *more: str) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = json.loads(self.server.run("dkim", "create", domain, *more, "--json").stdout)
        self.records |= texts(made)
        self.names.zone |= published(texts(made))
        return made

    def sent(self, count: int = 1) -> Taken:
        return self.hop.wait(self.before + count)[self.before + count - 1]

    def submit(self, user: str, octets: bytes, *recipients: str, path: str | None = None, options: tuple[str, ...] = ()) -> None:
        with self.server.smtp(user) as client:
            client.sendmail(path or user, recipients or ["x@far.test"], octets, options)

    def holds(self, octets: bytes) -> list[bool]:
        """By everybody who is there; Debian's Mail::DKIM knows RSA."""
        said = dkimpy(octets, self.records)
        if has_perl_judge():
            lines = perl(octets, self.names.port)
            rsa = [one for one, line in zip(said, lines, strict=True) if line.startswith("rsa")]
            assert [line.endswith(" pass") for line in lines if line.startswith("rsa")] == rsa, lines
        return said


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    names = Names({})
    with next_hop(extensions=EXTENSIONS) as hop:
        settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["0.3s"], "mx.resolvers": [f"127.0.0.1:{names.port}"]}
        server = Server(tmp_path_factory.mktemp("signed"), settings)
        server.people("anna", "bruno")
        lists = [f"{name}@lists.test" for name in ("team", "second", "third", "fourth")]
        server.prov(
            "createDomain lists.test",
            *(f"createDistributionList {one}" for one in lists),
            *(f"addDistributionListMember {one} out@far.test" for one in lists),
            "createDomain bare.test",
            f"createAccount anna@bare.test '{PASSWORD}'",
            f"grantRight account {BRUNO} usr {ANNA} sendAs",
        )
        try:
            with server:
                signed = Signed(server, hop, names)
                signed.key("acme.test", "--algorithm", "both", "--activate")
                signed.key("lists.test", "--algorithm", "both", "--activate")
                yield signed
        finally:
            names.close()


@pytest.fixture
def signed(house: Signed) -> Signed:
    house.before = len(house.hop.taken)
    house.names.broken.clear()
    return house


def fields(octets: bytes, name: str) -> list[str]:
    head = octets.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = re.findall(rb"(?im)^" + name.encode() + rb":((?:[^\r\n]*\r\n(?=[ \t]))*[^\r\n]*)", head)
    return [re.sub(r"\r\n[ \t]+", " ", one.decode()).strip() for one in found]


def tags(signature: str) -> dict[str, str]:
    return {name.strip(): re.sub(r"\s", "", value) for name, _, value in (one.partition("=") for one in signature.split(";"))}


# --- who signs, and what


def test_without_a_key_nothing_is_signed_and_nothing_is_wrong(signed: Signed) -> None:
    signed.submit("anna@bare.test", compose("anna@bare.test", "x@far.test"))
    assert b"DKIM-Signature" not in signed.sent().octets


def test_both_algorithms_sign_and_hold(signed: Signed) -> None:
    signed.submit(ANNA, compose(ANNA, "x@far.test", text="two  blanks \t\r\n.a dot\r\n\r\n\r\n", Cc="y@far.test"))
    octets = signed.sent().octets
    assert signed.holds(octets) == [True, True]
    said = [tags(one) for one in fields(octets, "DKIM-Signature")]
    assert [one["a"] for one in said] == ["rsa-sha256", "ed25519-sha256"]
    for one in said:
        assert (one["d"], one["c"]) == ("acme.test", "relaxed/relaxed")
        assert not {"i", "l", "x"} & one.keys()
        assert abs(int(one["t"]) - time.time()) < 600
        names = one["h"].split(":")
        for name, times in (("from", 2), ("sender", 1), ("reply-to", 1), ("subject", 2), ("date", 2), ("message-id", 2), ("cc", 2)):
            assert names.count(name) == times, name


def test_perl_is_among_the_judges(signed: Signed) -> None:
    """Wherever it is installed every test here asks it too."""
    if not has_perl_judge():
        pytest.skip("libmail-dkim-perl is not installed")
    signed.submit(ANNA, compose(ANNA, "x@far.test"))
    octets = signed.sent().octets
    assert perl(octets, signed.names.port)[0] == "rsa-sha256 acme.test pass"
    assert perl(octets.replace(b"hello", b"hallo"), signed.names.port)[0] == "rsa-sha256 acme.test fail"


ADDED = (
    *("From: eve@evil.test", "Sender: eve@evil.test", "Reply-To: eve@evil.test", "Subject: else", "Cc: z@z.test", "MIME-Version: 1.0"),
    *("Content-Type: text/html", "Content-Transfer-Encoding: base64", "Date: x", "References: <a@b>"),
)


def test_nothing_can_be_added_or_changed(signed: Signed) -> None:
    signed.submit(ANNA, compose(ANNA, "x@far.test"))
    octets = signed.sent().octets
    head, _, body = octets.partition(b"\r\n\r\n")
    for line in (added.encode() for added in ADDED):
        for changed in (line + b"\r\n" + octets, head + b"\r\n" + line + b"\r\n\r\n" + body):
            assert dkimpy(changed, signed.records) == [False, False], line
    for was, becomes in ((b"From: anna@", b"From: eve@"), (b"Subject: test", b"Subject: pest"), (b"hello", b"hallo")):
        assert was in octets
        assert dkimpy(octets.replace(was, becomes), signed.records) == [False, False]
    assert dkimpy(octets + b"more\r\n", signed.records) == [False, False]
    carried = b"Received: from somewhere\r\nX-Spam: no\r\n" + octets + b"\r\n\r\n"
    assert dkimpy(carried, signed.records) == [True, True], "what servers do holds"


def test_whose_name_it_goes_out_in_decides(signed: Signed) -> None:
    """The domain of the final From, be it an alias domain or the server's own; domains above it only if that is set."""
    server = signed.server
    server.prov(
        "createDomain other.test", "createAliasDomain alias.test other.test", "createAccount otto@other.test 'correct horse 7'",
        f"grantRight account otto@other.test usr {ANNA} sendAs", f"grantRight account {ANNA} usr {BRUNO} sendOnBehalfOf",
    )  # fmt: skip
    for domain in ("other.test", "alias.test"):
        signed.key(domain, "--activate")
    expected = [
        (ANNA, compose("Otto <otto@other.test>", "x@far.test", Sender=ANNA), ["other.test"]),
        (ANNA, compose("Otto <otto@alias.test>", "x@far.test"), ["alias.test"]),
        (BRUNO, compose(ANNA, "x@far.test"), ["acme.test"] * 2),
        (ANNA, compose(None, "x@far.test"), ["acme.test"] * 2),
    ]
    for number, (user, octets, domains) in enumerate(expected, 1):
        signed.submit(user, octets)
        taken = signed.sent(number)
        assert [tags(one)["d"] for one in fields(taken.octets, "DKIM-Signature")] == domains
        assert signed.holds(taken.octets) == [True] * len(domains)
    assert b"anna" not in signed.sent(1).octets.lower(), "no trace of who sent it"
    assert fields(signed.sent(3).octets, "Sender") == ["Bruno <bruno@acme.test>"]


def test_a_domain_above_signs_only_where_it_is_set(tmp_path: Path) -> None:
    with next_hop(extensions=EXTENSIONS) as hop:
        settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "dkim.parents": True, "dkim.expires": "7d"}
        server = Server(tmp_path, settings)
        server.people("anna", domain="host.acme.test")
        server.run("dkim", "create", "acme.test", "--foreign", "--activate")
        for count, set_ in ((1, True), (2, False)):
            server.settings["dkim.parents"] = set_
            with server, server.smtp("anna@host.acme.test") as client:
                client.sendmail("anna@host.acme.test", ["x@far.test"], compose("anna@host.acme.test", "x@far.test"))
                hop.wait(count)
        above, none = (fields(one.octets, "DKIM-Signature") for one in hop.taken)
        assert none == []
        said = tags(above[0])
        assert (said["d"], int(said["x"]) - int(said["t"])) == ("acme.test", 7 * 86400)


def test_a_clients_own_signature_stays_unless_it_names_what_was_changed_or_somebody_else(signed: Signed) -> None:
    kept = "v=1; a=rsa-sha256; d=acme.test; s=old; h=from:subject; bh=abc; b=def"
    cases = [
        (compose(ANNA, "x@far.test", DKIM_Signature=kept, Date="x", Message_ID="<1@x>"), True),
        (compose(ANNA, "x@far.test", DKIM_Signature=kept.replace("subject", "message-id"), Date="x"), False),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept + f"; i={ANNA}"), False),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept + "; i=anna=40acme.test@acme.test"), False),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept + f"; i={BRUNO}"), True),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept + "; i=@acme.test"), True),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept, Sender=ANNA), True),
        (compose(BRUNO, "x@far.test", DKIM_Signature=kept.replace("subject", "sender"), Sender=ANNA), False),
    ]
    for number, (octets, stays) in enumerate(cases, 1):
        signed.submit(ANNA, octets)
        found = fields(signed.sent(number).octets, "DKIM-Signature")
        assert len(found) == 2 + stays, (number, found)
        assert dkimpy(signed.sent(number).octets, signed.records)[:2] == [True, True]


def test_reports_that_this_server_writes_are_signed(signed: Signed) -> None:
    """From: postmaster@ its own name."""
    signed.key("mx.acme.test", "--activate")
    signed.server.prov(f"modifyAccount {ANNA} allowAnyFrom TRUE")
    signed.hop.answers = {"RCPT gone@far.test": ["550 5.1.1 no"]}
    signed.submit(ANNA, compose("anna@abroad.test", "gone@far.test"), "gone@far.test", path="anna@abroad.test")
    report = signed.sent(2)  # behind the transaction that had no recipient left
    assert (report.sender, report.recipients) == ("", ["anna@abroad.test"])
    assert signed.holds(report.octets) == [True]
    assert tags(fields(report.octets, "DKIM-Signature")[0])["d"] == "mx.acme.test"


def test_what_comes_from_outside_is_never_signed_with_the_key_of_its_from(signed: Signed) -> None:
    """Somebody writes to a list in our name: that is not us."""
    post(signed.server, compose(ANNA, LIST))
    assert b"DKIM-Signature" not in signed.sent().octets
    assert b"ARC-Seal" in signed.sent().octets
    signed.submit(ANNA, compose(ANNA, LIST), LIST)
    posted = signed.sent(2).octets
    assert signed.holds(posted) == [True, True]
    assert fields(posted, "List-Id") == ["<team.lists.test>"]
    assert b"ARC-Seal" not in posted, "who wrote it logged in here"


def test_tried_again_and_by_several_roads_it_holds(tmp_path: Path) -> None:
    with next_hop(host="127.0.0.2", extensions=EXTENSIONS) as one, next_hop(host="127.0.0.3", port=one.port, extensions=EXTENSIONS) as two:
        names = Names({"two.test": {"MX": ["10 two.test."], "A": ["127.0.0.2"]}, "other.test": {"A": ["127.0.0.3"]}})
        resolvers = {"mx.resolvers": [f"127.0.0.1:{names.port}"], "mx.port": one.port, "mx.refused_networks": []}
        server = Server(tmp_path, {"relay": "mx", "queue.retries": ["0.2s"], **resolvers})
        server.people("anna")
        records = texts(json.loads(server.run("dkim", "create", "acme.test", "--algorithm", "both", "--activate", "--json").stdout))
        one.answers = {"END": ["451 4.3.0 later", "451 4.3.0 later"]}
        with server, server.smtp(ANNA) as client:
            octets = compose(ANNA, "x@two.test", text="x" * 200_000)
            client.sendmail(ANNA, ["x@two.test", "y@other.test"], octets)
            sent = [one.wait()[0].octets, two.wait()[0].octets]
        names.close()
        assert [dkimpy(octets, records) for octets in sent] == [[True, True]] * 2
        assert sent[0] == sent[1], "it is signed once"


def test_letters_of_all_kinds(signed: Signed) -> None:
    """8bit, UTF-8 in the header (SMTPUTF8), a domain with such letters: d= is an A-label, which RFC 8616 section 5 lets stand."""
    server = signed.server
    server.prov("createDomain bücher.test", "createAccount jörg@bücher.test 'correct horse 7'")
    signed.key("bücher.test", "--algorithm", "both", "--activate")
    octets = compose("Jörg <jörg@bücher.test>", "x@far.test", "Grüße", "größer\r\n")
    login = base64.b64encode("\0jörg@bücher.test\0correct horse 7".encode()).decode()
    with server.smtp() as client:
        client.ehlo()
        assert client.docmd("AUTH", f"PLAIN {login}")[0] == 235
        client.sendmail("jörg@bücher.test", ["x@far.test"], octets, ["SMTPUTF8", "BODY=8BITMIME"])
    taken = signed.sent()
    assert "SMTPUTF8" in taken.options
    assert tags(fields(taken.octets, "DKIM-Signature")[0])["d"] == "xn--bcher-kva.test"
    assert signed.holds(taken.octets) == [True, True]


# --- keys


DOMAIN, KEN = "keys.test", "ken@keys.test"


def test_a_key_is_made_published_checked_activated_rotated_and_removed(signed: Signed) -> None:
    server = signed.server
    server.prov("createDomain keys.test", f"createAccount {KEN} '{PASSWORD}'")
    made = server.run("dkim", "create", DOMAIN, "--selector", "One").stdout
    assert made.startswith("; Publish this")
    assert "PRIVATE" not in made
    one = json.loads(server.run("dkim", "show", DOMAIN, "--json").stdout)
    strings = re.findall(r'"([^"]*)"', made)
    assert "".join(strings) == one[0]["value"]
    assert max(map(len, strings)) == 255
    assert one[0]["name"] == "one._domainkey.keys.test"
    told = server.run("dkim", "check", DOMAIN, check=False)
    assert (told.returncode, told.stdout) == (1, "one._domainkey.keys.test: not published; new\n")
    refused = server.run("dkim", "activate", DOMAIN, check=False)
    assert (refused.returncode, "not published" in refused.stderr) == (1, True)
    signed.submit(KEN, compose(KEN, "x@far.test"))
    assert b"DKIM-Signature" not in signed.sent().octets, "a new key does not sign yet"
    signed.names.zone |= published({**texts(one)})
    assert "procura dkim activate keys.test: it would sign" in server.run("dkim", "check", DOMAIN).stdout
    server.run("dkim", "activate", DOMAIN)
    assert "signs" in server.run("dkim", "list").stdout
    signed.key(DOMAIN, "--selector", "two")
    signed.submit(KEN, compose(KEN, "x@far.test"))
    assert tags(fields(signed.sent(2).octets, "DKIM-Signature")[0])["s"] == "one"
    assert server.run("dkim", "remove", DOMAIN, "one", check=False).returncode == 1
    server.run("dkim", "activate", DOMAIN)
    signed.submit(KEN, compose(KEN, "x@far.test"))
    assert tags(fields(signed.sent(3).octets, "DKIM-Signature")[0])["s"] == "two"
    signed.records |= texts(one)
    assert [dkimpy(signed.sent(number).octets, signed.records) for number in (1, 2, 3)] == [[], [True], [True]]
    assert "removed" in server.run("dkim", "remove", DOMAIN, "one").stdout
    server.run("dkim", "retire", DOMAIN, "two")
    signed.submit(KEN, compose(KEN, "x@far.test"))
    assert b"DKIM-Signature" not in signed.sent(4).octets
    record = server.run("audit", "list").stdout
    assert all(f"signing key {what}" in record for what in ("created", "activated", "retired", "removed"))
    everything = server.log.read_text() + record + server.run("dkim", "list", "--json").stdout
    assert "MIIE" not in everything, "what begins so is a private key"


# --- ARC


def post(server: Server, octets: bytes, door: str = "mx", to: str = LIST) -> None:
    if door == "lmtp":
        server.deliver(to, octets, "rita@origin.test")
        return
    with smtplib.SMTP("127.0.0.1", server.ports[door], timeout=20) as client:
        client.sendmail("rita@origin.test", [to], octets)


def chain_of(signed: Signed, octets: bytes) -> bytes | None:
    said = dkimpy_chain(octets, signed.records)
    if has_perl_judge():
        (line,) = perl(octets, signed.names.port, "arc")
        assert line == ("fail" if said is None else said.decode())
    return said


def from_origin(signed: Signed, octets: bytes) -> bytes:
    """Signed by origin.test, with dkimpy, and a selector that nobody has asked for yet."""
    selector = secrets.token_hex(4)
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    text = {f"{selector}._domainkey.origin.test": f"v=DKIM1; k=ed25519; p={public}"}
    signed.names.zone |= published(text)
    signed.records |= text
    private = base64.b64encode(key.private_bytes_raw())
    return bytes(dkim.sign(octets, selector.encode(), b"origin.test", private, signature_algorithm=b"ed25519-sha256")) + octets


@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_what_a_list_sends_on_is_sealed(signed: Signed, door: str) -> None:
    octets = from_origin(signed, compose("rita@origin.test", LIST, Precedence="bulk"))
    post(signed.server, octets, door)
    sent = signed.sent().octets
    assert chain_of(signed, sent) == b"pass"
    (results,) = fields(sent, "ARC-Authentication-Results")
    assert results.startswith("i=1; mx.acme.test; dkim=pass header.d=origin.test header.s=")
    assert results.endswith("; arc=none")
    (seal,) = fields(sent, "ARC-Seal")
    assert (tags(seal)["cv"], tags(seal)["d"], tags(seal)["a"]) == ("none", "lists.test", "rsa-sha256")
    post(signed.server, octets.replace(b"hello", b"hallo"), door)
    again = signed.sent(2).octets
    assert "dkim=fail" in fields(again, "ARC-Authentication-Results")[0]
    assert chain_of(signed, again) == b"pass"


@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_so_is_what_its_owners_let_through(signed: Signed, door: str) -> None:
    """What can be known of it is found out when it goes on."""
    signed.server.prov(f"modifyDistributionList {LIST} moderation all")
    try:
        post(signed.server, from_origin(signed, compose("rita@origin.test", LIST)), door)
        (row,) = json.loads(signed.server.run("list", "held", "--json").stdout)
        signed.server.run("list", "approve", row["key"])
        sent = signed.sent().octets
    finally:
        signed.server.prov(f"modifyDistributionList {LIST} moderation none")
    assert chain_of(signed, sent) == b"pass"
    assert "dkim=pass header.d=origin.test" in fields(sent, "ARC-Authentication-Results")[0]
    assert tags(fields(sent, "ARC-Seal")[0])["d"] == "lists.test"


def test_a_chain_goes_on_and_a_broken_one_is_sealed_as_broken_once(signed: Signed) -> None:
    post(signed.server, from_origin(signed, compose("rita@origin.test", LIST)))
    once = signed.sent().octets
    post(signed.server, once, to="second@lists.test")
    twice = signed.sent(2).octets
    assert [tags(one)["cv"] for one in fields(twice, "ARC-Seal")] == ["pass", "none"]
    assert chain_of(signed, twice) == b"pass"
    post(signed.server, twice.replace(b"hello", b"hallo"), to="third@lists.test")
    broken = signed.sent(3).octets
    assert [tags(one)["cv"] for one in fields(broken, "ARC-Seal")] == ["fail", "pass", "none"]
    assert "arc=fail" in fields(broken, "ARC-Authentication-Results")[0]
    assert chain_of(signed, broken) is None
    post(signed.server, broken, to="fourth@lists.test")
    assert len(fields(signed.sent(4).octets, "ARC-Seal")) == 3, "nothing is added to a chain that has ended"


def test_nobody_makes_up_what_this_house_has_found_out(tmp_path: Path) -> None:
    """RFC 8601 section 5: results in our name, or in that of a server in front of us, come from there or not at all."""
    server = Server(tmp_path, {"arc.trusted_authserv_ids": ["front.acme.test"]})
    server.people("anna", "mallory")
    claims = {
        "ours": "mx.acme.test; dkim=pass header.d=bank.test; dmarc=pass",
        "ours, spelled otherwise": '(x) "MX.acme.test" 1; dmarc=pass',
        "in front of us": "front.acme.test; dmarc=pass",
        "somebody else's": "evil.test; spf=pass",
    }
    made_up = "".join(f"Authentication-Results: {one}\r\n" for one in claims.values()).encode()
    chain = b"ARC-Authentication-Results: i=1; mx.acme.test; spf=pass\r\n"
    with server:
        for number, (door, stays) in enumerate((("lmtp", 4), ("mx", 1), ("submission", 1)), 1):
            sender = "mallory@acme.test" if door == "submission" else "rita@origin.test"
            octets = made_up + chain + compose(sender, "anna@acme.test", door)
            if door == "submission":
                with Mail(server.ports[door]) as mail:
                    assert mail.login(sender).startswith("235")
                    assert mail.send(sender, ["anna@acme.test"], octets)[0].startswith("250")
            else:
                post(server, octets, door, to="anna@acme.test")
            arrived = server.wait_for("anna@acme.test", count=number)[-1]
            found = fields(arrived, "Authentication-Results")
            assert len(found) == stays, (door, found)
            assert found[-1] == claims["somebody else's"]
            assert len(fields(arrived, "ARC-Authentication-Results")) == (door != "submission")


def test_results_of_a_neighbour_are_believed_where_they_are_trusted(tmp_path: Path) -> None:
    with next_hop(extensions=EXTENSIONS) as hop:
        settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "arc.trusted_authserv_ids": ["front.acme.test"], "arc.domain": "acme.test"}
        server = Server(tmp_path, settings)
        server.people("anna")
        server.prov("createDomain lists.test", f"createDistributionList {LIST}", f"addDistributionListMember {LIST} out@far.test")
        server.run("dkim", "create", "acme.test", "--activate")
        said = "front.acme.test; spf=pass smtp.mailfrom=origin.test; dmarc=pass (p=reject; x) header.from=origin.test; dkim=fail; arc=pass"
        octets = b"Authentication-Results: evil.test; spf=pass\r\nAuthentication-Results: " + said.encode() + b"\r\n"
        octets += compose("rita@origin.test", LIST)
        with server:
            for number, door in enumerate(("lmtp", "mx"), 1):
                post(server, octets, door)
                hop.wait(number)
            trusted, stranger = (fields(one.octets, "ARC-Authentication-Results")[0] for one in hop.wait(2))
        believed = "i=1; mx.acme.test; spf=pass smtp.mailfrom=origin.test; dmarc=pass header.from=origin.test; dkim=fail; arc=none"
        assert trusted == believed
        assert stranger == "i=1; mx.acme.test; dkim=none; arc=none"
        assert tags(fields(hop.taken[0].octets, "ARC-Seal")[0])["d"] == "acme.test"


def test_a_dns_that_does_not_answer_costs_the_seal_or_says_so_and_not_the_mail(signed: Signed) -> None:
    octets = from_origin(signed, compose("rita@origin.test", LIST))
    signed.names.broken |= {name for name in signed.records if "origin.test" in name}
    post(signed.server, octets)
    assert "dkim=temperror" in fields(signed.sent().octets, "ARC-Authentication-Results")[0]
    sealed = signed.sent().octets
    signed.names.broken |= {name for name in signed.records if "lists.test" in name}
    post(signed.server, sealed, to="second@lists.test")
    assert len(fields(signed.sent(2).octets, "ARC-Seal")) in (1, 2), "the answer may be remembered"
