"""procura dkim, as an operator types it; with a DNS in a live test (tests/live/test_dkim.py)."""

import json
import re
from typing import Any

import pytest

from gateway.resolver import Silent
from tests.gateway.administration import Office


class Zone:
    """What the DNS says."""

    def __init__(self) -> None:
        self.texts: dict[str, list[bytes]] = {}
        self.broken = False

    async def of(self, name: str) -> list[bytes]:
        if self.broken:
            raise Silent("no answer at all")
        return self.texts.get(name, [])


@pytest.fixture
async def zone(office: Office) -> Zone:
    await office.done("cd acme.test", "cd other.test", "createAliasDomain alias.test acme.test")
    zone = Zone()
    office.directory.signing_keys._texts = zone  # type: ignore[assignment]
    return zone


async def made(office: Office, line: str) -> list[dict[str, Any]]:
    told = await office.command(f"dkim create {line}", as_json=True)
    assert told.status == 0, told.err
    keys: list[dict[str, Any]] = json.loads(told.out)
    return keys


async def test_what_is_made(office: Office, zone: Zone) -> None:
    (key,) = await made(office, "acme.test")
    assert (key["selector"], key["algorithm"], key["bits"], key["state"], key["type"]) == ("20270115-rsa", "rsa", 2048, "new", "TXT")
    assert key["value"].startswith("v=DKIM1; k=rsa; p=MIIB")
    assert [one["selector"] for one in await made(office, "acme.test --bits 1024")] == ["20270115-rsa-2"]
    both = await made(office, "alias.test --algorithm both --selector Mail --activate --bits 1024")
    assert [(one["selector"], one["state"], one["bits"]) for one in both] == [("mail-rsa", "signs", 1024), ("mail-ed25519", "signs", 256)]
    (key,) = await made(office, "other.test --algorithm ed25519 --selector a.b")
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", key["value"])
    listed = (await office.command("dkim list")).out
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["acme.test", "20270115-rsa"],
        ["acme.test", "20270115-rsa-2"],
        ["alias.test", "mail-rsa"],
        ["alias.test", "mail-ed25519"],
        ["other.test", "a.b"],
    ]
    shown = (await office.command("dkim show alias.test mail-ed25519")).out.splitlines()
    assert shown[0].startswith("; ed25519, 256 bits, signs since ")
    assert re.fullmatch(r'mail-ed25519\._domainkey\.alias\.test\. IN TXT "v=DKIM1; k=ed25519; p=[^"]+"', shown[1])
    everything = listed + str(both) + (await office.command("audit list")).out
    assert "MIICd" not in everything
    assert "PRIVATE" not in everything


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("dkim", 2, "usage: dkim create"),
        ("dkim make acme.test", 2, "create DOMAIN"),
        ("dkim create", 2, "create DOMAIN"),
        ("dkim create acme.test other.test", 2, "create DOMAIN"),
        ("dkim create acme.test --bits many", 2, "create DOMAIN"),
        ("dkim create acme.test --bytes 3", 2, "there is no option --bytes"),
        ("dkim create acme.test --algorithm dsa", 1, "dsa is none of rsa, ed25519, both"),
        ("dkim create acme.test --bits 512", 1, "an RSA key has 1024 to 4096 bits"),
        ("dkim create acme.test --selector a_b", 1, "no selector: a_b"),
        ("dkim create acme.test --selector ''", 1, "no selector: "),
        ("dkim create acme.test --selector -a", 1, "no selector: -a"),
        (f"dkim create acme.test --selector {'.'.join(['a' * 60] * 4)}", 1, "no selector"),
        ("dkim create nowhere.test", 1, "no such domain: nowhere.test (--foreign, if it is meant)"),
        ("dkim create 'not a domain'", 1, "must be a valid domain name"),
        ("dkim create acme.test --selector there", 1, "acme.test has a key with this selector: there"),
        ("dkim list nowhere.test", 1, "nowhere.test has no keys"),
        ("dkim show", 2, "create DOMAIN"),
        ("dkim show other.test", 1, "other.test has no keys"),
        ("dkim check", 2, "create DOMAIN"),
        ("dkim activate acme.test gone", 1, "acme.test has no key gone"),
        ("dkim activate acme.test", 1, "there._domainkey.acme.test: not published; publish it first, or say --unchecked"),
        ("dkim activate", 2, "create DOMAIN"),
        ("dkim retire acme.test", 2, "create DOMAIN"),
        ("dkim retire acme.test there", 1, "does not sign"),
        ("dkim remove acme.test", 2, "create DOMAIN"),
        ("dkim remove acme.test gone there", 1, "acme.test has no key gone"),
    ],
)
async def test_mistakes_are_named_and_change_nothing(office: Office, zone: Zone, line: str, status: int, words: str) -> None:
    await made(office, "acme.test --selector there --algorithm ed25519")
    before = (await office.command("dkim list")).out
    told = await office.command(line)
    assert (told.status, words in told.err) == (status, True), told.err
    assert (await office.command("dkim list")).out == before


async def test_no_keys_are_no_mistake(office: Office, zone: Zone) -> None:
    assert (await office.command("dkim list")).out == "there are no keys: nothing is signed\n"
    assert json.loads((await office.command("dkim list", as_json=True)).out) == []


async def test_a_foreign_domain_if_it_is_meant(office: Office, zone: Zone) -> None:
    (key,) = await made(office, "mail.elsewhere.test --foreign --algorithm ed25519")
    assert key["domain"] == "mail.elsewhere.test"


async def test_what_the_dns_says(office: Office, zone: Zone) -> None:
    (key,) = await made(office, "acme.test --selector s --algorithm ed25519")
    name, right = key["name"], key["value"].encode()
    (other,) = await made(office, "acme.test --selector t --algorithm ed25519")
    await office.command("dkim activate acme.test t --unchecked")
    await office.command("dkim retire acme.test t")
    cases: list[tuple[list[bytes], str]] = [
        ([], "not published"),
        ([right], "published"),
        ([right.replace(b"; ", b";")], "published"),
        ([b"v=DKIM1; k=ed25519; t=y; p=" + right.partition(b"p=")[2]], "published (t=y: receivers take it for a test)"),
        ([other["value"].encode()], "another record (its key is another one)"),
        ([b"v=spf1 -all"], "another record"),
        ([b"v=DKIM1; k=ed25519; p="], "another record (the key was revoked)"),
        ([right, right], "several records (receivers may take either)"),
    ]
    for texts, said in cases:
        zone.texts = {name: texts}
        told = await office.command("dkim check acme.test")
        assert told.out.startswith(f"s._domainkey.acme.test: {said}"), told.out
        assert told.status == (0 if said.startswith("published") else 1)
    zone.broken = True
    told = await office.command("dkim check acme.test")
    assert (told.status, "no answer" in told.out) == (1, True)


async def test_rotation(office: Office, zone: Zone) -> None:
    first = await made(office, "acme.test --algorithm both --selector one --bits 1024")
    zone.texts = {key["name"]: [key["value"].encode()] for key in first}
    assert (await office.command("dkim activate acme.test")).status == 0
    second = await made(office, "acme.test --algorithm both --selector two --bits 1024")
    told = await office.command("dkim activate acme.test one-rsa two-rsa")
    assert (told.status, "of each algorithm one key can sign" in told.err) == (1, True)
    assert (await office.command("dkim activate acme.test")).status == 1
    zone.texts |= {key["name"]: [key["value"].encode()] for key in second}
    told = await office.command("dkim check acme.test")
    assert (told.status, told.out.splitlines()[-1]) == (0, "procura dkim activate acme.test: of each algorithm the newest would sign")
    assert (await office.command("dkim activate acme.test")).status == 0
    states = {one["selector"]: one["state"] for one in json.loads((await office.command("dkim list acme.test", as_json=True)).out)}
    assert states == {"one-rsa": "retired", "one-ed25519": "retired", "two-rsa": "signs", "two-ed25519": "signs"}
    assert "one" not in (await office.command("dkim show acme.test")).out
    assert (await office.command("dkim activate acme.test")).err.count("has no key that waits") == 1
    assert (await office.command("dkim remove acme.test two-rsa")).status == 1
    assert (await office.command("dkim remove acme.test one-rsa one-ed25519")).status == 0
    assert (await office.command("dkim retire acme.test two-rsa two-ed25519")).status == 0
    assert (await office.command("dkim check acme.test")).out == "every key is retired: nothing is signed\n"
