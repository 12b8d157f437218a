"""One text for one document: what is written reads back as the same, what is no document is told with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.document import BadDocument, Document, brought_up, changed, changes, check, read, read_format, read_rights, write
from policy.rights import ALL_RIGHTS, Right, parse_letters, spell_letters

BASE = """\
format = 2

[account."anna@acme.test"]
status = "active"

[account."bert@acme.test"]
cos = "staff"
delegatedAdministrator = true
status = "active"

[cos."default"]

[cos."staff"]
delegationWhenLocked = "full"

[domain."acme.test"]
aggregateQuota = "1000"
aggregateQuotaPolicy = "BLOCKSEND"
aggregateQuotaWarnEmailRecipient = ["a@far.test", "b@far.test"]
aggregateQuotaWarnPercent = "0"
cosMaxAccounts = ["default:5", "staff:0"]
delimiter = "+"
initialised = true
maxAccounts = "10"
maxQuota = "2147483648"
status = "active"

[list."active@acme.test"]
filter = "(status=active)"

[list."inner@acme.test"]
members = ["bert@acme.test"]

[list."outer@acme.test"]
members = ["ext@far.test", "inner@acme.test"]
owners = ["anna@acme.test"]
postingRestricted = true

[[entry]]
of = "anna@acme.test"
path = "/INBOX"
to = "group outer@acme.test"
rights = "rw[k]"
from = "2026-11-01T00:00:00Z"
note = "said \\"so\\""
review = "2027-01-01T00:00:00Z"
share = "3"

[[folder]]
of = "anna@acme.test"
path = "/Post"
noInherit = true

[[freeze]]
of = "outer@acme.test"
side = "principal"
note = "broken into"

[[role]]
account = "bert@acme.test"
role = "help-desk"
domain = "acme.test"
until = "2027-01-31T12:00:00Z"

[[send]]
on = "anna@acme.test"
to = "account bert@acme.test"
right = "sendAs"
deny = true
until = "2027-01-31T12:00:00.000001Z"
undoWindow = "60"
"""


def body(text: str) -> str:
    return text.partition("format")[2]


def test_the_text_reads_back_as_it_was() -> None:
    assert body(write(read(BASE))) == body(BASE)
    assert check(read(BASE), read(BASE), BASE) == ()


def _name() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


TIMES = st.sampled_from(["", "2026-11-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"])
FACTS = st.one_of(
    st.tuples(st.tuples(st.just("account"), _name()), st.just("")),
    st.tuples(st.tuples(st.just("send"), _name(), st.builds("account {}".format, _name()), st.just("sendAs")), _name()).map(
        lambda one: (one[0], ("true", "", "", "", one[1], "2026-11-01T00:00:00Z", "7"))
    ),
    st.tuples(
        st.tuples(st.just("entry"), _name(), _name(), st.just("all")),
        st.tuples(
            st.integers(1, int(ALL_RIGHTS)).map(lambda one: spell_letters(Right(one))).filter(lambda one: "none" not in one),
            TIMES,
            st.just(""),
            _name(),
            TIMES,
            st.sampled_from(["", "12"]),
        ),
    ),
    st.tuples(
        st.tuples(st.just("list"), _name(), st.just("members")),
        st.lists(_name(), min_size=1, unique=True).map(lambda one: tuple(sorted(one))),
    ),
)


@given(st.lists(FACTS, max_size=8))
def test_whatever_is_in_it_it_reads_back(facts: list[tuple[tuple[str, ...], str | tuple[str, ...]]]) -> None:
    document: dict[tuple[str, ...], str | tuple[str, ...]] = dict(facts)
    document |= {key[:2]: "" for key in list(document) if key[0] == "list"}
    text = write(document)
    assert read(text) == document
    assert write(read(text)) == text


@given(st.integers(0, int(ALL_RIGHTS)))
def test_every_set_of_rights_reads_back(number: int) -> None:
    # ACTION and the RFC's `x` are both there: one by letter, the other in brackets.
    assert read_rights(spell_letters(Right(number))) == Right(number)


@given(st.text(max_size=300))
def test_anything_else_is_refused_in_its_own_words(text: str) -> None:
    with pytest.raises(BadDocument):
        read(text)


@given(st.data())
def test_a_damaged_document_is_a_document_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BASE) - 1))
    damaged = BASE[:at] + data.draw(st.text(max_size=3)) + BASE[at + data.draw(st.integers(0, 3)) :]
    try:
        found = read(damaged)
        check(read(BASE), found, damaged)
    except BadDocument as error:
        assert str(error)


WRONG = [
    (
        'status = "active"\n\n[account."bert',
        'status = "activ"\n\n[account."bert',
        'line 3, account "anna@acme.test", status',
        "must be one of active",
    ),
    ('cos = "staff"', 'cos = "stuff"', 'line 6, account "bert@acme.test"', "no cos stuff"),
    ('cos = "staff"', 'colour = "red"', 'line 6, account "bert@acme.test"', "unknown key colour"),
    ('delegationWhenLocked = "full"', 'delegationWhenLocked = "half"', 'cos "staff", delegationWhenLocked', "one of none, read, full"),
    ("[[folder]]", "[[fold]]", "line 49, fold number 1", "unknown key"),
    ("format = 2", "format = 3", "format", "must be 2"),
    ("format = 2", "format = true", "format", "must be 2"),
    ("format = 2", "", "format", "must be 2"),
    ('to = "account bert@acme.test"', 'to = "account carl@acme.test"', "send", "no account carl@acme.test"),
    ('to = "account bert@acme.test"', 'to = "bert@acme.test"', "send number 1, to", "no grantee"),
    ('to = "account bert@acme.test"', 'to = "account anna@acme.test"', "send", "needs no grant on itself"),
    ('right = "sendAs"', 'right = "sendAll"', "send number 1, right", "sendAll"),
    ('right = "sendAs"', 'right = "sendToDistList"', "send", "not granted on this kind"),
    ('rights = "rw[k]"', 'rights = "rq"', "entry number 1, rights", "unknown right 'q'"),
    ('rights = "rw[k]"', 'rights = "none"', "entry number 1", "carries no time"),
    ('rights = "rw[k]"\n', "", "entry number 1, rights", "is missing"),
    ('from = "2026-11-01T00:00:00Z"', 'from = "soon"', "entry number 1, from", "soon"),
    ('from = "2026-11-01T00:00:00Z"', 'from = "2026-11-01T00:00:00"', "entry number 1, from", "no zone"),
    (
        'until = "2027-01-31T12:00:00.000001Z"',
        'from = "2027-01-31T12:00:00Z"\nuntil = "2027-01-31T12:00:00Z"',
        "send number 1",
        "end before it starts",
    ),
    (
        'members = ["bert@acme.test"]',
        'members = ["bert@acme.test", "outer@acme.test"]',
        'list "inner@acme.test", members',
        "contain itself",
    ),
    ('members = ["bert@acme.test"]', 'members = ["bert@acme.test", "bert@acme.test"]', 'list "inner@acme.test", members', "twice"),
    ('members = ["bert@acme.test"]', 'members = ["nobody@acme.test"]', 'list "inner@acme.test"', "no account or list nobody@acme.test"),
    ('owners = ["anna@acme.test"]', 'owners = ["carl@acme.test"]', 'list "outer@acme.test"', "no account carl@acme.test"),
    ('delimiter = "+"', 'delimiter = "-"', 'domain "acme.test", delimiter', "its own command"),
    (
        '[account."bert@acme.test"]\ncos = "staff"\ndelegatedAdministrator = true\nstatus = "active"\n',
        "",
        'account "bert@acme.test"',
        "left out",
    ),
    ('[cos."default"]', '[cos."default"]\n\n[cos."new"]', 'line 13, cos "new"', "no such object"),
    ("noInherit = true", "noInherit = false", "folder number 1", "must be true"),
    ("deny = true", 'deny = "yes"', "send number 1, deny", "true or false"),
    ("deny = true", "deny = true\nand = 1", "send number 1", "unknown key and"),
    ("initialised = true", "initialised = false", 'line 16, domain "acme.test", initialised', "must be true, or be left out"),
    ('"default:5", "staff:0"', '"default:5", "default:0"', 'domain "acme.test", cosMaxAccounts', "names a class of service twice"),
    ('"default:5", "staff:0"', '"default"', 'domain "acme.test", cosMaxAccounts', "must be CLASS:NUMBER"),
    (
        'aggregateQuotaPolicy = "BLOCKSEND"',
        'aggregateQuotaPolicy = "BLOCK"',
        'domain "acme.test", aggregateQuotaPolicy',
        "ALLOWSEND",
    ),
    ('maxQuota = "2147483648"', "maxQuota = 3", 'domain "acme.test", maxQuota', "must be a text"),
    ('maxAccounts = "10"', 'maxAccounts = "0"', 'domain "acme.test", maxAccounts', "a number from 1 on"),
    ('filter = "(status=active)"', 'filter = "(status=active"', 'line 28, list "active@acme.test", filter', "is missing"),
    ('filter = "(status=active)"', 'filter = "(shoe=9)"', 'list "active@acme.test", filter', "no attribute to filter by"),
    ('filter = "(status=active)"\n', "", 'line 28, list "active@acme.test", filter', "stays one"),
    ('members = ["bert@acme.test"]', 'filter = "(status=active)"', 'list "inner@acme.test"', "stays one"),
    ('"(status=active)"', '"(status=active)"\nmembers = ["bert@acme.test"]', 'list "active@acme.test"', "names no members"),
    ('"(status=active)"', '"(status=active)"\nsubscriptionPolicy = "accept"', 'list "active@acme.test"', "nobody joins"),
    ("postingRestricted = true", 'postingRestricted = "TRUE"', 'list "outer@acme.test", postingRestricted', "must be true"),
    ("postingRestricted = true", 'moderation = "some"', 'list "outer@acme.test", moderation', "must be one of none"),
    ('review = "2027-01-01T00:00:00Z"', 'review = "2027-01-01"', "line 39, entry number 1, review", "no zone"),
    ('share = "3"', 'share = "three"', "entry number 1, share", "a number from 1 on"),
    ('share = "3"', "share = 3", "entry number 1, share", "must be a text"),
    ('side = "principal"', 'side = "both"', "line 54, freeze number 1, side", "one of principal, actor"),
    ('side = "principal"', 'side = "actor"', "line 54, freeze number 1 (outer@acme.test, actor)", "no account outer@acme.test"),
    ('of = "outer@acme.test"\n', "", "freeze number 1, of", "is missing"),
    ('role = "help-desk"', 'role = "helper"', "role number 1, role", "helper"),
    ('role = "help-desk"', 'role = "global"', "line 59, role number 1, role", "administrator = true"),
    ('domain = "acme.test"\n', 'domain = "far.test"\n', "line 59, role number 1 (bert@acme.test, help-desk)", "no domain far.test"),
    ('account = "bert@acme.test"', 'account = "carl@acme.test"', "line 59, role number 1", "no account carl@acme.test"),
]


@pytest.mark.parametrize(("old", "new", "place", "words"), WRONG)
def test_what_cannot_be_is_told_with_its_place(old: str, new: str, place: str, words: str) -> None:
    assert old in BASE
    text = BASE.replace(old, new, 1)
    with pytest.raises(BadDocument) as refused:
        check(read(BASE), read(text), text)
    assert place in refused.value.place
    assert words in refused.value.words


OLD = """\
format = 1

[account."anna@acme.test"]
status = "active"

[account."bert@acme.test"]
cos = "staff"
status = "active"

[cos."default"]

[cos."staff"]
delegationWhenLocked = "full"

[domain."acme.test"]
delimiter = "+"
status = "active"

[list."active@acme.test"]
members = ["anna@acme.test", "bert@acme.test"]

[list."inner@acme.test"]
members = ["bert@acme.test"]

[list."outer@acme.test"]
members = ["ext@far.test", "inner@acme.test"]
owners = ["anna@acme.test"]

[[entry]]
of = "anna@acme.test"
path = "/INBOX"
to = "group outer@acme.test"
rights = "rw[k]"
from = "2026-11-01T00:00:00Z"
note = "said \\"so\\""

[[folder]]
of = "anna@acme.test"
path = "/Post"
noInherit = true

[[send]]
on = "anna@acme.test"
to = "account bert@acme.test"
right = "sendAs"
deny = true
until = "2027-01-31T12:00:00.000001Z"
undoWindow = "60"
"""
"""As the version before wrote it."""


def old(text: str, now: Document) -> Document:
    said, written = read_format(text)
    return brought_up(now, said, written)


def test_a_document_of_an_older_version_says_nothing_of_what_it_did_not_know() -> None:
    now = read(BASE)
    assert old(OLD, now) == now
    lessened = old(OLD.replace('"rw[k]"', '"r"'), now)
    (made,) = check(now, lessened)
    assert made.after == ("r", "2026-11-01T00:00:00Z", "", 'said "so"', "2027-01-01T00:00:00Z", ""), "its review, but no share's any more"
    blocked = old(OLD.replace('"rw[k]"', '"none"').replace('from = "2026-11-01T00:00:00Z"\n', ""), now)
    assert check(now, blocked)[0].after == ("none", "", "", 'said "so"', "", "")


def test_the_same_grant_twice_is_a_conflict() -> None:
    again = BASE + '\n[[send]]\non = "anna@acme.test"\nto = "account bert@acme.test"\nright = "sendAs"\n'
    with pytest.raises(BadDocument, match="line 73, send number 2: says the same grant again"):
        read(again)


def test_a_circle_that_is_there_already_may_stay() -> None:
    circle = read(BASE.replace('members = ["bert@acme.test"]', 'members = ["bert@acme.test", "outer@acme.test"]'))
    assert check(circle, circle) == ()


def test_changes_there_and_back() -> None:
    before: Document = read(BASE)
    after = read(BASE.replace('"rw[k]"', '"r"').replace("deny = true\n", "").replace('cos = "staff"\n', ""))
    made = changes(before, after)
    assert [one.key for one in made] == [
        ("account", "bert@acme.test", "cos"),
        ("entry", "anna@acme.test", "/INBOX", "group outer@acme.test"),
        ("send", "anna@acme.test", "account bert@acme.test", "sendAs"),
    ]
    assert changed(before, made) == after
    assert parse_letters("r") == read_rights("r")
