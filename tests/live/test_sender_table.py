"""Who may send as whom, through the submission door: delegation.md sections 3, 4 and 5, looked at where the mail arrives."""

from __future__ import annotations

import re
import smtplib
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from tests.live.post import DECISION, Clients, Letter, Postbox, Said, submit
from tests.live.server import PASSWORD, Server, compose

LEVELS = ("account", "group", "nested", "domain", "cos", "all")
KINDS = ("none", "as", "behalf", "both")
RIGHTS = {"none": (), "as": ("sendAs",), "behalf": ("sendOnBehalfOf",), "both": ("sendAs", "sendOnBehalfOf")}
GRANTEE = {
    "account": "usr dora@acme.test",
    "group": "grp office@acme.test",
    "nested": "grp company@acme.test",
    "domain": "dom acme.test",
    "cos": "cos staff",
    "all": "all",
}
DORA = "Dora Delegate <dora@acme.test>"
STATUSES = ("none", "read", "full", "maintenance", "closed", "pending", "lockout")
"""Accounts called status-...; the first three are locked, with that delegationWhenLocked."""


def owner(kind: str, level: str = "account") -> str:
    return f"{kind}-{level}@acme.test"


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def setting() -> list[str]:
    """dora is the delegate: in office, which is in company; her class of service is staff."""
    lines = [
        "createDomain acme.test",
        "createDomain other.test",
        "createCos staff",
        f"createAccount dora@acme.test '{PASSWORD}' displayName 'Dora Delegate'",
        "setAccountCos dora@acme.test staff",
        "addAccountAlias dora@acme.test dd@acme.test",
        f"createAccount rita@other.test '{PASSWORD}' displayName Rita",
        f"createAccount stan@other.test '{PASSWORD}' displayName Stan",
        "createDistributionList office@acme.test",
        "addDistributionListMember office@acme.test dora@acme.test",
        "createDistributionList company@acme.test",
        "addDistributionListMember company@acme.test office@acme.test",
    ]
    for kind in KINDS:
        for level in LEVELS:
            lines.append(f"createAccount {owner(kind, level)} '{PASSWORD}' displayName '{kind.capitalize()} {level.capitalize()}'")
            lines += [f"grantRight account {owner(kind, level)} {GRANTEE[level]} {right}" for right in RIGHTS[kind]]
    return lines


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("senders"))
    server.directory.mkdir(exist_ok=True)
    server.prov(*setting(), *EXTRAS)
    with server:
        yield server


@pytest.fixture(autouse=True)
def nothing_left(rita: Postbox) -> None:
    """Of the test before."""


EXTRAS = [
    # deny, inside a level and between levels
    *(f"createAccount deny{number}@acme.test '{PASSWORD}'" for number in range(1, 9)),
    "createDistributionList team@acme.test",
    "addDistributionListMember team@acme.test dora@acme.test",
    "grantRight account deny1@acme.test usr dora@acme.test -sendAs",
    "grantRight account deny1@acme.test grp office@acme.test sendAs",
    "grantRight account deny2@acme.test usr dora@acme.test sendAs",
    "grantRight account deny2@acme.test grp office@acme.test -sendAs",
    "grantRight account deny3@acme.test grp office@acme.test sendAs",
    "grantRight account deny3@acme.test grp team@acme.test -sendAs",
    "grantRight account deny4@acme.test grp company@acme.test sendAs",
    "grantRight account deny4@acme.test cos staff -sendAs",
    "grantRight account deny5@acme.test cos staff -sendAs",
    "grantRight account deny5@acme.test dom acme.test sendAs",
    "grantRight account deny6@acme.test dom acme.test -sendAs",
    "grantRight account deny6@acme.test all sendAs",
    "grantRight account deny7@acme.test all -sendAs",
    "grantRight account deny7@acme.test dom acme.test sendAs",
    "grantRight account deny8@acme.test usr dora@acme.test -sendAs",
    "grantRight account deny8@acme.test usr dora@acme.test sendOnBehalfOf",
    # times
    *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("expired", "early", "current")),
    f"grantRight account expired@acme.test usr dora@acme.test sendAs --from {moment(-7200)} --until {moment(-3600)}",
    f"grantRight account early@acme.test usr dora@acme.test sendAs --from {moment(3600)}",
    f"grantRight account current@acme.test usr dora@acme.test sendAs --from {moment(-3600)} --until {moment(3600)}",
    # aliases
    f"createAccount olga@acme.test '{PASSWORD}' displayName 'Olga Owner'",
    "addAccountAlias olga@acme.test boss@acme.test",
    "grantRight account olga@acme.test usr dora@acme.test sendAs",
    f"createAccount nina@acme.test '{PASSWORD}' displayName 'Nina Narrow'",
    "addAccountAlias nina@acme.test press@acme.test",
    "addAccountAlias nina@acme.test private@acme.test",
    "modifyAccount nina@acme.test delegatedSenderAddresses press@acme.test",
    "grantRight account nina@acme.test usr dora@acme.test sendAs",
    # tags: an address that exists is itself
    f"createAccount olga+real@acme.test '{PASSWORD}'",
    # lists as principals
    "createDistributionList sales@acme.test",
    "grantRight dl sales@acme.test usr dora@acme.test sendAs",
    "createDistributionList support@acme.test",
    "grantRight dl support@acme.test usr dora@acme.test sendOnBehalfOfDistList",
    "createDistributionList silent@acme.test",
    # foreign domains
    f"createAccount any@acme.test '{PASSWORD}' displayName Any",
    "modifyAccount any@acme.test allowAnyFrom TRUE",
    f"createAccount some@acme.test '{PASSWORD}' displayName Some",
    "modifyAccount some@acme.test allowFromAddresses 'some@elsewhere.test'",
    # the old way
    f"createAccount rewriter@acme.test '{PASSWORD}' displayName 'Rewritten Näme'",
    "modifyAccount rewriter@acme.test unauthorisedFrom rewrite",
    "grantRight account olga@acme.test usr rewriter@acme.test sendAs",
    # resending
    f"createAccount resender@acme.test '{PASSWORD}' displayName Resender",
    "modifyAccount resender@acme.test allowResend TRUE",
    "grantRight account olga@acme.test usr resender@acme.test sendAs",
    # statuses of the owner
    *(f"createAccount status-{name}@acme.test '{PASSWORD}'" for name in STATUSES),
    *(f"grantRight account status-{name}@acme.test usr dora@acme.test sendAs" for name in STATUSES),
    *(f"modifyAccount status-{name}@acme.test delegationWhenLocked {name} status locked" for name in ("none", "read", "full")),
    *(f"modifyAccount status-{name}@acme.test status {name}" for name in ("maintenance", "closed", "pending")),
    "modifyAccount status-lockout@acme.test lockoutMaxFailures 2",
    # nobody acts through somebody else
    f"createAccount chain@acme.test '{PASSWORD}'",
    "grantRight account chain@acme.test usr olga@acme.test sendAs",
    # for grants that change during a test
    *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("revoked", "granted", "ending", "member")),
    "grantRight account revoked@acme.test usr dora@acme.test sendAs",
    "createDistributionList passing@acme.test",
    "addDistributionListMember passing@acme.test dora@acme.test",
    "grantRight account member@acme.test grp passing@acme.test sendAs",
]


def names_nobody(letter: Letter, *traces: str) -> None:
    """5.8: no trace of the delegate, except what the client wrote in fields of its own."""
    for trace in (*traces, "dora", "dd@acme"):
        # A whole word: the hexadecimal Message-ID we make may end in the letters of an alias.
        assert not re.search(rf"(?<![0-9a-f]){re.escape(trace.lower())}", letter.octets.decode("utf-8", "replace").lower()), trace


# --- the table of 5.3


SENDERS = {
    "absent": None,
    "equal": "{f}",
    "own": "dora@acme.test",
    "alias": "Dee <dd@acme.test>",
    "foreign": "someone@elsewhere.test",
    "other local": "stan@other.test",
}
AS = "as"  # From f, no Sender
BEHALF = "behalf"  # From f, Sender: U
REFUSED = "550 5.7.1"
EXPECTED = {
    ("none", "absent"): REFUSED,
    ("none", "equal"): REFUSED,
    ("none", "own"): REFUSED,
    ("none", "alias"): REFUSED,
    ("none", "foreign"): REFUSED,
    ("none", "other local"): REFUSED,
    ("as", "absent"): AS,
    ("as", "equal"): AS,
    ("as", "own"): AS,
    ("as", "alias"): AS,
    ("as", "foreign"): AS,
    ("as", "other local"): AS,
    ("behalf", "absent"): BEHALF,
    ("behalf", "equal"): BEHALF,
    ("behalf", "own"): BEHALF,
    ("behalf", "alias"): BEHALF,
    ("behalf", "foreign"): BEHALF,
    ("behalf", "other local"): BEHALF,
    ("both", "absent"): AS,
    ("both", "equal"): AS,
    ("both", "own"): BEHALF,
    ("both", "alias"): BEHALF,
    ("both", "foreign"): BEHALF,
    ("both", "other local"): BEHALF,
}
SENDER_WRITTEN = {"own": "dora@acme.test", "alias": "Dee <dd@acme.test>"}  # as the client put it there; else ours


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("kind", "sender"), list(EXPECTED))
def test_the_table(clients: Clients, rita: Postbox, kind: str, sender: str, level: str) -> None:
    # A grant to "all" or "domain" would hold for everybody's mailbox; every owner has exactly one level.
    f = owner(kind, level)
    written = SENDERS[sender]
    fields = {} if written is None else {"Sender": written.format(f=f)}
    from_ = f"=?utf-8?q?The_=C3=B6wner?= <{f}>"
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(from_, "rita@other.test", **fields))
    expected = EXPECTED[kind, sender]
    if expected == REFUSED:
        assert said.enhanced == REFUSED
        assert said.at == "DATA"
        assert DECISION.search(said.text), said.text
        assert rita.new() == []
        return
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.every("From") == [from_]
    if expected == AS:
        assert letter.every("Sender") == []
        assert letter.one("Return-Path") == f"<{f}>"
        names_nobody(letter)
    else:
        assert letter.one("Sender") == SENDER_WRITTEN.get(sender, DORA)
        assert letter.one("Return-Path") == "<dora@acme.test>"


OWN_FROM = ("dora@acme.test", "DORA@acme.test", "dd@acme.test", "dora+news@acme.test", "dd+x+y@acme.test", "Anything <dora@ACME.test>")


@pytest.mark.parametrize("from_", OWN_FROM)
@pytest.mark.parametrize(
    ("sender", "kept"),
    [
        (None, None),
        ("dd+tag@acme.test", "dd+tag@acme.test"),
        ("someone@elsewhere.test", None),
        ("olga@acme.test", None),  # a right on her does not make her dora's
    ],
)
def test_own_addresses(clients: Clients, rita: Postbox, from_: str, sender: str | None, kept: str | None) -> None:
    fields = {} if sender is None else {"Sender": sender}
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(from_, "rita@other.test", **fields))
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.one("From") == from_
    assert letter.one("Sender") == kept


def test_a_sender_equal_to_an_own_from_is_left_out(clients: Clients, rita: Postbox) -> None:
    octets = compose("dora@acme.test", "rita@other.test", Sender="Dora <dora@ACME.test>")
    assert submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets).accepted
    assert rita.the_one().every("Sender") == []


# --- section 4: order of evaluation


@pytest.mark.parametrize(
    ("number", "allowed"),
    [
        (1, False),  # the individual's denial before the group's grant
        (2, True),  # the individual's grant before the group's denial
        (3, False),  # two groups: deny before allow
        (4, True),  # a nested group before the class of service
        (5, False),  # class of service before domain
        (6, False),  # domain before all
        (7, True),  # domain before all, the other way round
    ],
)
def test_denials(clients: Clients, rita: Postbox, number: int, allowed: bool) -> None:
    f = f"deny{number}@acme.test"
    said = submit(clients["dora@acme.test"], "", "rita@other.test", compose(f, "rita@other.test"))
    assert said.accepted if allowed else said.enhanced == REFUSED, said
    assert len(rita.new()) == int(allowed)


def test_a_denied_send_as_leaves_send_on_behalf(clients: Clients, rita: Postbox) -> None:
    assert submit(clients["dora@acme.test"], "", "rita@other.test", compose("deny8@acme.test", "rita@other.test")).accepted
    assert rita.the_one().one("Sender") == DORA


@pytest.mark.parametrize(("name", "allowed"), [("expired", False), ("early", False), ("current", True)])
def test_a_grant_counts_in_its_time_only(clients: Clients, name: str, allowed: bool) -> None:
    said = submit(clients["dora@acme.test"], "", "rita@other.test", compose(f"{name}@acme.test", "rita@other.test"))
    assert said.accepted if allowed else said.enhanced == REFUSED, said


def test_a_grant_ends_at_its_second_in_an_open_session(server: Server, clients: Clients) -> None:
    client = clients["dora@acme.test"]
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    server.prov(f"grantRight account ending@acme.test usr dora@acme.test sendAs --until {until:%Y-%m-%dT%H:%M:%SZ}")
    octets = compose("ending@acme.test", "rita@other.test")
    accepted = 0
    while True:
        began = datetime.now(UTC)
        said = submit(client, "", "rita@other.test", octets)
        ended = datetime.now(UTC)
        if said.accepted:
            accepted += 1
            assert began < until
        else:
            assert said.enhanced == REFUSED
            assert ended >= until
            break
        time.sleep(0.1)
    assert accepted, "the grant was to hold for some seconds"


def test_rights_are_not_transitive(clients: Clients) -> None:
    said = submit(clients["dora@acme.test"], "", "rita@other.test", compose("chain@acme.test", "rita@other.test"))
    assert said.enhanced == REFUSED


def test_a_right_revoked_between_mail_and_data_is_gone(server: Server, clients: Clients, rita: Postbox) -> None:
    client = clients["dora@acme.test"]
    assert client.mail("revoked@acme.test")[0] == 250
    assert client.rcpt("rita@other.test")[0] == 250
    server.prov("revokeRight account revoked@acme.test usr dora@acme.test sendAs")
    assert client.data(compose("revoked@acme.test", "rita@other.test"))[0] == 550
    assert rita.new() == []
    assert client.mail("revoked@acme.test")[0] == 553
    client.rset()


def test_a_right_granted_between_mail_and_data_counts(server: Server, clients: Clients, rita: Postbox) -> None:
    client = clients["dora@acme.test"]
    assert client.mail("dora@acme.test")[0] == 250
    assert client.rcpt("rita@other.test")[0] == 250
    server.prov("grantRight account granted@acme.test usr dora@acme.test sendAs")
    assert client.data(compose("granted@acme.test", "rita@other.test"))[0] == 250
    assert rita.the_one().one("From") == "granted@acme.test"


def test_who_leaves_the_group_loses_its_right_at_once(server: Server, clients: Clients) -> None:
    octets = compose("member@acme.test", "rita@other.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    server.prov("removeDistributionListMember passing@acme.test dora@acme.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED
    server.prov("addDistributionListMember passing@acme.test dora@acme.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted


# --- which addresses a right covers


@pytest.mark.parametrize(
    ("f", "allowed"),
    [
        ("boss@acme.test", True),  # an alias
        ("BOSS@Acme.Test", True),
        ("olga+anything@acme.test", True),  # a tag
        ("boss+a+b@acme.test", True),
        ("olga+real@acme.test", False),  # an account of its own
        ("press@acme.test", True),  # listed
        ("press+tag@acme.test", True),
        ("nina@acme.test", False),  # not listed
        ("private@acme.test", False),
        ("nobody@acme.test", False),
        ("stan@other.test", False),
    ],
)
def test_which_addresses_a_right_covers(clients: Clients, rita: Postbox, f: str, allowed: bool) -> None:
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(f, "rita@other.test"))
    if not allowed:
        assert said.enhanced == REFUSED
        return
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.one("From") == f
    local, _, domain = f.rpartition("@")
    returns = letter.one("Return-Path")
    assert returns is not None
    assert returns.lower() == f"<{local}@{domain}>".lower()


def test_a_list_as_principal(clients: Clients, rita: Postbox) -> None:
    client = clients["dora@acme.test"]
    assert submit(client, "dora@acme.test", "rita@other.test", compose("sales@acme.test", "rita@other.test")).accepted
    letter = rita.the_one()
    assert letter.every("Sender") == []
    assert letter.one("Return-Path") == "<sales-bounces@acme.test>"
    names_nobody(letter)
    assert submit(client, "sales@acme.test", "rita@other.test", compose("sales@acme.test", "rita@other.test")).accepted
    assert rita.the_one().one("Return-Path") == "<sales-bounces@acme.test>"
    assert submit(client, "dora@acme.test", "rita@other.test", compose("support@acme.test", "rita@other.test")).accepted
    letter = rita.the_one()
    assert letter.one("Sender") == DORA
    assert letter.one("Return-Path") == "<dora@acme.test>"
    assert submit(client, "", "rita@other.test", compose("silent@acme.test", "rita@other.test")).enhanced == REFUSED


# --- foreign domains


@pytest.mark.parametrize(
    ("user", "from_", "path", "expected"),
    [
        ("any", "whoever@elsewhere.test", "any@acme.test", "250"),
        ("any", "whoever@elsewhere.test", "whoever@elsewhere.test", "250"),
        ("any", "whoever@elsewhere.test", "another@somewhere.test", "250"),
        ("any", "olga@acme.test", "any@acme.test", "550 5.7.1"),  # never covers a local domain
        ("any", "nobody@acme.test", "any@acme.test", "550 5.7.1"),
        ("any", "stan@other.test", "any@acme.test", "550 5.7.1"),
        ("some", "some@elsewhere.test", "some@elsewhere.test", "250"),
        ("some", "some@elsewhere.test", "some@acme.test", "250"),
        ("some", "other@elsewhere.test", "some@acme.test", "550 5.7.1"),
        ("some", "some+tag@elsewhere.test", "some@acme.test", "550 5.7.1"),  # exact
        ("some", "some@acme.test", "other@elsewhere.test", "553 5.7.1"),
        ("dora", "dora@elsewhere.test", "dora@acme.test", "550 5.7.1"),
    ],
)
def test_foreign_addresses(clients: Clients, rita: Postbox, user: str, from_: str, path: str, expected: str) -> None:
    said = submit(clients[f"{user}@acme.test"], path, "rita@other.test", compose(from_, "rita@other.test"))
    if expected != "250":
        assert said.enhanced == expected
        return
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.one("From") == from_
    assert letter.every("Sender") == []
    assert letter.one("Return-Path") == f"<{path}>"


def test_an_allowed_address_that_has_become_local_is_no_longer_own(server: Server, clients: Clients) -> None:
    server.prov(
        f"createAccount late@acme.test '{PASSWORD}' allowFromAddresses late@becoming.test",
    )
    octets = compose("late@becoming.test", "rita@other.test")
    assert submit(clients["late@acme.test"], "", "rita@other.test", octets).accepted
    server.prov("createDomain becoming.test", f"createAccount late@becoming.test '{PASSWORD}'")
    assert submit(clients["late@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


# --- several From, no From


@pytest.mark.parametrize(
    ("from_", "sender"),
    [
        ("dora@acme.test, olga@acme.test", DORA),
        ("olga@acme.test, dora@acme.test", DORA),
        ("dora@acme.test, dd@acme.test", DORA),
        ("boss@acme.test, both-account@acme.test, sales@acme.test", DORA),
        ("dora@acme.test, stan@other.test", None),
        ("stan@other.test, dora@acme.test", None),
        ("olga@acme.test, none-account@acme.test", None),
        ("dora@acme.test, x@elsewhere.test", None),
    ],
)
def test_several_from_mailboxes(clients: Clients, rita: Postbox, from_: str, sender: str | None) -> None:
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(from_, "rita@other.test"))
    if sender is None:
        assert said.enhanced == REFUSED
        return
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.one("From") == from_
    assert letter.one("Sender") == sender


def test_several_from_mailboxes_keep_a_sender_that_is_own(clients: Clients, rita: Postbox) -> None:
    octets = compose("dora@acme.test, olga@acme.test", "rita@other.test", Sender="Dee <dd@acme.test>")
    assert submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", octets).accepted
    assert rita.the_one().one("Sender") == "Dee <dd@acme.test>"


@pytest.mark.parametrize(
    ("sender", "from_"),
    [
        (None, DORA),
        ("dd@acme.test", "Dora Delegate <dd@acme.test>"),
        ("dora+x@acme.test", "Dora Delegate <dora+x@acme.test>"),
        ("olga@acme.test", DORA),
        ("x@elsewhere.test", DORA),
    ],
)
def test_a_message_without_from(clients: Clients, rita: Postbox, sender: str | None, from_: str) -> None:
    fields = {} if sender is None else {"Sender": sender}
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(None, "rita@other.test", **fields))
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.one("From") == from_
    assert letter.every("Sender") == []


# --- MAIL FROM (5.6)


@pytest.mark.parametrize(
    ("path", "from_", "expected"),
    [
        # at once: what no From could justify
        ("stan@other.test", "dora@acme.test", "553 5.7.1 MAIL"),
        ("nobody@acme.test", "dora@acme.test", "553 5.7.1 MAIL"),
        ("none-account@acme.test", "dora@acme.test", "553 5.7.1 MAIL"),
        ("x@elsewhere.test", "dora@acme.test", "553 5.7.1 MAIL"),
        ("silent@acme.test", "dora@acme.test", "553 5.7.1 MAIL"),
        # at the end: neither own nor From's owner
        ("olga@acme.test", "dora@acme.test", "553 5.7.1 DATA"),
        ("olga@acme.test", "as-account@acme.test", "553 5.7.1 DATA"),
        ("sales@acme.test", "olga@acme.test", "553 5.7.1 DATA"),
        ("nina@acme.test", "dora@acme.test", "553 5.7.1 DATA"),
        # what is kept, what is replaced
        ("dora@acme.test", "dora@acme.test", "dora@acme.test"),
        ("dd+bounces@acme.test", "dora@acme.test", "dd+bounces@acme.test"),
        ("dora@acme.test", "olga@acme.test", "olga@acme.test"),
        ("dd+bounces@acme.test", "boss@acme.test", "boss@acme.test"),
        ("boss@acme.test", "olga@acme.test", "boss@acme.test"),
        ("nina@acme.test", "press@acme.test", "nina@acme.test"),  # an address of From's owner, though none to write as From
        ("olga+x@acme.test", "boss@acme.test", "olga+x@acme.test"),
        ("dora@acme.test", "behalf-account@acme.test", "dora@acme.test"),
        ("behalf-account@acme.test", "behalf-account@acme.test", "behalf-account@acme.test"),
        ("dora@acme.test", "dora@acme.test, olga@acme.test", "dora@acme.test"),
        ("olga@acme.test", "dora@acme.test, olga@acme.test", "olga@acme.test"),
        ("support@acme.test", "support@acme.test", "support-bounces@acme.test"),
        # the empty path is for notifications, and the From rules hold all the same
        ("", "dora@acme.test", ""),
        ("", "olga@acme.test", ""),
        ("", "none-account@acme.test", "550 5.7.1 DATA"),
    ],
)
def test_the_envelope_sender(clients: Clients, rita: Postbox, path: str, from_: str, expected: str) -> None:
    said = submit(clients["dora@acme.test"], path, "rita@other.test", compose(from_, "rita@other.test"))
    if expected[:3].isdigit():
        assert f"{said.enhanced} {said.at}" == expected
        assert DECISION.search(said.text), said.text
        assert rita.new() == []
    else:
        assert said.accepted, said
        assert rita.the_one().one("Return-Path") == f"<{expected}>"


# --- unauthorised_from = rewrite (5.9)


@pytest.mark.parametrize(
    ("path", "from_", "arrives", "returns"),
    [
        ("rewriter@acme.test", "stan@other.test", None, "rewriter@acme.test"),
        ("stan@other.test", "stan@other.test", None, "rewriter@acme.test"),
        ("x@elsewhere.test", "rewriter@acme.test", "rewriter@acme.test", "rewriter@acme.test"),
        ("rewriter@acme.test", "nobody@acme.test", None, "rewriter@acme.test"),
        ("rewriter@acme.test", "rewriter@acme.test, stan@other.test", None, "rewriter@acme.test"),
        ("rewriter@acme.test", "olga@acme.test", "olga@acme.test", "olga@acme.test"),
        ("x@elsewhere.test", "olga@acme.test", "olga@acme.test", "olga@acme.test"),
    ],
)
def test_rewriting_in_place_of_refusing(clients: Clients, rita: Postbox, path: str, from_: str, arrives: str | None, returns: str) -> None:
    said = submit(clients["rewriter@acme.test"], path, "rita@other.test", compose(from_, "rita@other.test", Sender="stan@other.test"))
    assert said.accepted, said
    letter = rita.the_one()
    # "Rewritten Näme" as one encoded word (RFC 2047)
    assert letter.one("From") == (arrives or "=?UTF-8?B?UmV3cml0dGVuIE7DpG1l?= <rewriter@acme.test>")
    assert letter.every("Sender") == []
    assert letter.one("Return-Path") == f"<{returns}>"


def test_rewriting_repairs_no_malformed_header(clients: Clients) -> None:
    said = submit(clients["rewriter@acme.test"], "", "rita@other.test", compose("a@x.test <stan@other.test>", "rita@other.test"))
    assert said.enhanced == "550 5.6.0"


# --- Resent blocks (5.5)


def resent(*lines: str, original: bytes) -> bytes:
    return "".join(line + "\r\n" for line in lines).encode() + original


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Resent-From: dora@acme.test"], []),
        (["Resent-From: stan@other.test"], REFUSED),
        (["Resent-From: none-account@acme.test", "Resent-Sender: dora@acme.test"], REFUSED),
        (["Resent-From: olga@acme.test"], []),  # send-as
        (["Resent-From: behalf-account@acme.test"], [DORA]),
        (["Resent-From: both-account@acme.test", "Resent-Sender: dd@acme.test"], ["dd@acme.test"]),
        (["Resent-From: both-account@acme.test", "Resent-Sender: x@elsewhere.test"], [DORA]),
        (["Resent-To: rita@other.test"], [DORA]),
        (["Resent-Bcc: stan@other.test"], [DORA]),
        (["Resent-From: dora@acme.test", "Resent-Sender: dora@acme.test"], []),
        (["Resent-From: dora@acme.test", "Resent-Sender: stan@other.test"], []),
        # only the newest block is judged
        (["Resent-From: dora@acme.test", "Received: x by y; z", "Resent-From: stan@other.test"], []),
        (["Resent-From: stan@other.test", "Received: x by y; z", "Resent-From: dora@acme.test"], REFUSED),
    ],
)
def test_resent_blocks_beside_an_own_from(clients: Clients, rita: Postbox, lines: list[str], expected: list[str] | str) -> None:
    octets = resent(*lines, original=compose("dora@acme.test", "rita@other.test"))
    said = submit(clients["dora@acme.test"], "", "rita@other.test", octets)
    if isinstance(expected, str):
        assert said.enhanced == expected
        return
    assert said.accepted, said
    letter = rita.the_one()
    assert letter.every("Resent-Sender") == expected
    assert letter.every("Resent-Bcc") == []
    assert letter.one("From") == "dora@acme.test"


def test_a_resent_block_never_excuses_the_from(clients: Clients) -> None:
    octets = resent("Resent-From: dora@acme.test", original=compose("stan@other.test", "rita@other.test"))
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).enhanced == REFUSED


ORIGINAL = compose(
    "Stan <stan@other.test>",
    "resender@acme.test",
    Sender="secretary@elsewhere.test",
    Date="Sun, 1 Nov 2026 10:00:00 +0000",
    Message_ID="<original.1@other.test>",
)


class TestResendingWhole:
    """allowResend: the original is in a folder where the actor may read."""

    @pytest.fixture(autouse=True)
    def original(self, server: Server) -> None:
        if not server.messages("resender@acme.test"):
            server.deliver("resender@acme.test", ORIGINAL)

    def resend(self, clients: Clients, octets: bytes, *lines: str, user: str = "resender@acme.test") -> Said:
        return submit(clients[user], "", "rita@other.test", resent(*(lines or (f"Resent-From: {user}",)), original=octets))

    def test_it_goes_out_with_its_sender(self, clients: Clients, rita: Postbox) -> None:
        assert self.resend(clients, ORIGINAL).accepted
        letter = rita.the_one()
        assert letter.one("From") == "Stan <stan@other.test>"
        assert letter.one("Sender") == "secretary@elsewhere.test"
        assert letter.every("Resent-Sender") == []
        assert letter.submitted.endswith(ORIGINAL)

    def test_resent_sender_is_written_where_resent_from_is_not_own(self, clients: Clients, rita: Postbox) -> None:
        assert self.resend(clients, ORIGINAL, "Resent-From: olga@acme.test").accepted
        letter = rita.the_one()
        assert letter.one("From") == "Stan <stan@other.test>"
        assert letter.one("Resent-From") == "olga@acme.test"
        assert letter.one("Resent-Sender") == "Resender <resender@acme.test>"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"Stan <stan@other.test>", b"Stan  <stan@other.test>"),
            (b"From: Stan <stan@other.test>", b"From: Olga <olga@acme.test>"),
            (b"secretary@elsewhere.test", b"secretary2@elsewhere.test"),
            (b"Sender: secretary@elsewhere.test\r\n", b""),
            (b"10:00:00", b"10:00:01"),
            (b"original.1", b"original.2"),
            (b"Message-ID: <original.1@other.test>\r\n", b""),
        ],
    )
    def test_any_difference_refuses(self, clients: Clients, before: bytes, after: bytes) -> None:
        assert before in ORIGINAL
        changed = ORIGINAL.replace(before, after)
        said = self.resend(clients, changed, "Resent-From: resender@acme.test")
        # olga may be sent as by the resender; then it is no resent original, but a message from olga
        assert said.accepted if b"olga" in changed else said.enhanced == REFUSED

    def test_the_body_may_differ(self, clients: Clients) -> None:
        assert self.resend(clients, ORIGINAL.replace(b"hello", b"good-bye")).accepted

    def test_a_foreign_resent_from_is_refused(self, clients: Clients) -> None:
        assert self.resend(clients, ORIGINAL, "Resent-From: stan@other.test").enhanced == REFUSED

    def test_who_has_not_the_original_is_refused(self, server: Server, clients: Clients) -> None:
        server.prov(f"createAccount bare@acme.test '{PASSWORD}' allowResend TRUE")
        assert self.resend(clients, ORIGINAL, user="bare@acme.test").enhanced == REFUSED
        server.prov("selectMailbox resender@acme.test modifyFolderGrant /INBOX account bare@acme.test r")
        assert self.resend(clients, ORIGINAL, user="bare@acme.test").accepted
        server.prov("selectMailbox resender@acme.test modifyFolderGrant /INBOX account bare@acme.test none")
        assert self.resend(clients, ORIGINAL, user="bare@acme.test").enhanced == REFUSED

    def test_without_the_setting_it_is_refused(self, server: Server, clients: Clients) -> None:
        server.deliver("dora@acme.test", ORIGINAL)
        assert self.resend(clients, ORIGINAL, user="dora@acme.test").enhanced == REFUSED


# --- what is added, removed, and left alone


def test_date_and_message_id_are_added(clients: Clients, rita: Postbox) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    assert submit(clients["dora@acme.test"], "", "rita@other.test", compose("boss@acme.test", "rita@other.test")).accepted
    letter = rita.the_one()
    date, identifier = letter.one("Date"), letter.one("Message-ID")
    assert date is not None
    assert before <= parsedate_to_datetime(date) <= datetime.now(UTC) + timedelta(seconds=2)
    assert identifier is not None
    assert re.fullmatch(r"<[A-Za-z0-9.]+@acme\.test>", identifier)


def test_the_message_id_is_made_under_the_domain_of_from(clients: Clients, rita: Postbox) -> None:
    assert submit(clients["any@acme.test"], "", "rita@other.test", compose("x@elsewhere.test", "rita@other.test")).accepted
    identifier = rita.the_one().one("Message-ID")
    assert identifier is not None
    assert identifier.endswith("@elsewhere.test>")


def test_date_and_message_id_of_the_client_stay(clients: Clients, rita: Postbox) -> None:
    octets = compose("dora@acme.test", "rita@other.test", Date="Thu,  1 Jan 1970 00:00 GMT", Message_ID="<odd id>")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().submitted == octets


ODD = (
    b"X-Odd:  \t two  blanks \r\nfrom: =?iso-8859-1?q?Ol=E4f?= (a \\) comment)\r\n <olga@acme.test>\r\nTO : rita@other.test\r\n".replace(
        b"TO :", b"TO:"
    )
    + b"Subject: =?utf-8?b?w6TDtsO8?=\r\n\tfolded\r\n"
    b"Date: Sun, 1 Nov 2026 10:00:00 +0100\r\n"
    b"Message-Id:<1@acme.test>\r\n"
    b"Received: from pc ([192.0.2.7]) by home.example; Sun, 1 Nov 2026 09:00:00 +0000\r\n"
    b"Authentication-Results: other.example; spf=pass\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n"
    b"\r\n"
    b"preamble \xff\xfe\r\n--b\r\nFrom: nobody@nowhere\r\nSender: not touched\r\n\r\n.dot\r\n..\r\n \r\n--b--\r\nepilogue without end"
)


def test_everything_else_stays_octet_for_octet(clients: Clients, rita: Postbox) -> None:
    assert submit(clients["dora@acme.test"], "", "rita@other.test", ODD).accepted
    assert rita.the_one().submitted == ODD + b"\r\n"  # what smtplib adds before the dot


def test_only_sender_is_added_on_behalf(clients: Clients, rita: Postbox) -> None:
    octets = ODD.replace(b"<olga@acme.test>", b"<behalf-account@acme.test>") + b"\r\n"
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    written = f"Sender: {DORA}\r\n".encode()
    submitted = rita.the_one().submitted
    assert submitted.count(written) == 1
    assert submitted.replace(written, b"") == octets


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("Bcc: stan@other.test", False),
        ("bcc:", False),
        ("Bcc: stan@other.test,\r\n rita@other.test", False),
        ("Resent-Bcc: stan@other.test", False),
        ("Return-Path: <dora@acme.test>", False),
        ("Authentication-Results: mx.acme.test; auth=pass", False),
        ("Authentication-Results: MX.Acme.Test 1; auth=pass", False),
        ("Authentication-Results: (c) mx.acme.test; auth=pass", False),
        ("Authentication-Results: mx.elsewhere.test; auth=pass", True),
        ("ARC-Authentication-Results: i=1; mx.acme.test; auth=pass", False),
        ("Received: from x by mx.acme.test; Sun, 1 Nov 2026 09:00:00 +0000", False),
        ("Received: from x by mx.elsewhere.test; Sun, 1 Nov 2026 09:00:00 +0000", True),
        ("X-Bcc: stan@other.test", True),
        ("Reply-To: whoever@elsewhere.test", True),
        ("List-Id: <x.y>", True),
        ("X-Originating-IP: 192.0.2.1", True),
        ("User-Agent: Something", True),
    ],
)
def test_fields_that_are_removed(clients: Clients, rita: Postbox, line: str, stays: bool) -> None:
    octets = f"{line}\r\n".encode() + compose("dora@acme.test", "rita@other.test", Date="x", Message_ID="<1@x>")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    submitted = rita.the_one().submitted
    if "Resent" in line:
        submitted = submitted.replace(f"Resent-Sender: {DORA}\r\n".encode(), b"")
    assert submitted == (octets if stays else compose("dora@acme.test", "rita@other.test", Date="x", Message_ID="<1@x>"))


def test_x_sender_names_nobody_in_a_send_as_message(clients: Clients, rita: Postbox) -> None:
    octets = compose("olga@acme.test", "rita@other.test", X_Sender="dora@acme.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    letter = rita.the_one()
    assert letter.every("X-Sender") == []
    names_nobody(letter)


@pytest.mark.parametrize(
    ("signed", "from_", "fields", "stays"),
    [
        ("from:to:subject:date:message-id", "olga@acme.test", {}, True),
        ("from:sender:to:subject", "olga@acme.test", {}, True),  # no Sender there, none written
        ("from:sender:to:subject", "olga@acme.test", {"Sender": "dora@acme.test"}, False),
        ("From : Sender", "behalf-account@acme.test", {}, False),
        ("from:to", "behalf-account@acme.test", {}, True),
        ("from:bcc", "dora@acme.test", {"Bcc": "stan@other.test"}, False),
    ],
)
def test_signatures(clients: Clients, rita: Postbox, signed: str, from_: str, fields: dict[str, str], stays: bool) -> None:
    signature = f"v=1; a=rsa-sha256; d=acme.test; s=x; h={signed}; bh=abc; b=def"
    octets = compose(from_, "rita@other.test", Date="x", Message_ID="<1@x>", DKIM_Signature=signature, **fields)
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted
    assert rita.the_one().every("DKIM-Signature") == ([signature] if stays else [])


def test_received_names_nobody(server: Server, clients: Clients, rita: Postbox) -> None:
    client = server.smtp()
    client.ehlo("workstation-of-dora.example")
    client.login("dora@acme.test", PASSWORD)
    assert submit(client, "", "rita@other.test", compose("olga@acme.test", "rita@other.test")).accepted
    client.quit()
    letter = rita.the_one()
    (received,) = letter.every("Received")
    assert received.startswith("by mx.acme.test with ESMTP")
    names_nobody(letter, "workstation", "127.0.0.1")


# --- the words of a refusal (5.11)


def words(said: Said, address: str) -> str:
    return DECISION.sub("[d]", said.text.replace(address, "F"))


def test_a_refusal_says_what_is_needed(clients: Clients) -> None:
    said = submit(clients["dora@acme.test"], "", "rita@other.test", compose("none-account@acme.test", "rita@other.test"))
    assert said.code == 550
    assert words(said, "none-account@acme.test") == "5.7.1 dora@acme.test may not send as F: no sendAs or sendOnBehalfOf grant [d]"


@pytest.mark.parametrize(
    "address", ["nobody@acme.test", "silent@acme.test", "stan@other.test", "nobody@other.test", "status-closed+x@acme.test"]
)
def test_unknown_local_addresses_get_the_same_words(clients: Clients, address: str) -> None:
    # stan's client asks: it holds no right on anybody
    known = submit(clients["stan@other.test"], "", "rita@other.test", compose("none-account@acme.test", "rita@other.test"))
    client = clients["stan@other.test"] if address != "stan@other.test" else clients["dora@acme.test"]
    asked = submit(client, "", "rita@other.test", compose(address, "rita@other.test"))
    assert asked.code == known.code
    expected = words(known, "none-account@acme.test").replace("stan@other.test may", "U may")
    assert words(asked, address).replace("stan@other.test may", "U may").replace("dora@acme.test may", "U may") == expected
    assert submit(client, address, "rita@other.test", b"").enhanced == "553 5.7.1"


def test_two_refusals_have_two_decisions(clients: Clients) -> None:
    octets = compose("none-account@acme.test", "rita@other.test")
    found = {DECISION.search(submit(clients["dora@acme.test"], "", "rita@other.test", octets).text) for _ in range(2)}
    assert len({one and one[0] for one in found}) == 2


# --- the status of the owner (section 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", "550 5.7.1"),
        ("read", "550 5.7.1"),
        ("full", "250"),
        ("maintenance", "450 4.2.1"),
        ("closed", "550 5.7.1"),
        ("pending", "550 5.7.1"),
    ],
)
def test_the_owners_status(clients: Clients, name: str, expected: str) -> None:
    said = submit(clients["dora@acme.test"], "dora@acme.test", "rita@other.test", compose(f"status-{name}@acme.test", "rita@other.test"))
    assert said.accepted if expected == "250" else said.enhanced == expected, said


@pytest.mark.parametrize("name", ["closed", "maintenance", "none"])
def test_who_has_no_right_learns_nothing_of_the_status(clients: Clients, name: str) -> None:
    address = f"status-{name}@acme.test"
    said = submit(clients["stan@other.test"], "", "rita@other.test", compose(address, "rita@other.test"))
    assert said.code == 550
    assert words(said, address) == "5.7.1 stan@other.test may not send as F: no sendAs or sendOnBehalfOf grant [d]"


def test_an_owner_in_lockout_is_still_sent_for(server: Server, clients: Clients) -> None:
    for password in ("wrong 1", "wrong 2", PASSWORD):
        client = server.smtp()
        client.ehlo()
        said = client.docmd("AUTH PLAIN", b64encode(f"\0status-lockout@acme.test\0{password}".encode()).decode())
        assert said[0] == 535, said
        client.close()
    octets = compose("status-lockout@acme.test", "rita@other.test")
    assert submit(clients["dora@acme.test"], "", "rita@other.test", octets).accepted


def test_a_delegate_whose_own_status_changes_is_logged_out(server: Server) -> None:
    server.prov(f"createAccount leaver@acme.test '{PASSWORD}'")
    client = server.smtp("leaver@acme.test")
    assert client.mail("leaver@acme.test")[0] == 250
    server.prov("modifyAccount leaver@acme.test status closed")
    end = time.monotonic() + 5
    while True:
        try:
            code, text = client.docmd("NOOP")
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            break
        if code == 421:
            assert text.startswith(b"4.3.2")
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    client.close()
