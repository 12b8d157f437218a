"""NOTIFY."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.fetch import ATTRIBUTES, BodySection, Section, SectionText
from gateway.imap.grammar.notify import MAX_EVENTS, MAX_GROUPS, EventGroup, Notify, notify
from gateway.imap.grammar.strings import MAX_MAILBOXES
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

MESSAGES = frozenset({b"MESSAGENEW", b"MESSAGEEXPUNGE"})
HEADER = BodySection(b"BODY[HEADER.FIELDS (FROM)]", Section((), SectionText.HEADER_FIELDS, (b"FROM",)), True, None)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b" NONE", Notify()),
        (b" none", Notify()),
        (b" SET (selected (MessageNew MessageExpunge))", Notify((EventGroup(b"SELECTED", (), MESSAGES),))),
        (b" set status (personal NONE)", Notify((EventGroup(b"PERSONAL", (), frozenset()),), status=True)),
        (
            b" SET (Selected-Delayed (MESSAGENEW (UID FLAGS BODY.PEEK[HEADER.FIELDS (From)]) messageexpunge FlagChange))",
            Notify((EventGroup(b"SELECTED-DELAYED", (), MESSAGES | {b"FLAGCHANGE"}, (ATTRIBUTES[b"UID"], ATTRIBUTES[b"FLAGS"], HEADER)),)),
        ),
        (
            b' SET (inboxes (MailboxName)) (subscribed (SubscriptionChange)) (subtree "Other Users" (MailboxName))',
            Notify(
                (
                    EventGroup(b"INBOXES", (), frozenset({b"MAILBOXNAME"})),
                    EventGroup(b"SUBSCRIBED", (), frozenset({b"SUBSCRIPTIONCHANGE"})),
                    EventGroup(b"SUBTREE", ("Other Users",), frozenset({b"MAILBOXNAME"})),
                )
            ),
        ),
        (
            b' SET (mailboxes (inbox "a b" {3}\r\nc d) (ServerMetadataChange MailboxMetadataChange))',
            Notify((EventGroup(b"MAILBOXES", ("INBOX", "a b", "c d"), frozenset({b"SERVERMETADATACHANGE", b"MAILBOXMETADATACHANGE"})),)),
        ),
        (b' SET (subtree "" NONE)', Notify((EventGroup(b"SUBTREE", ("",), frozenset()),))),
        # What is not known is for the command to refuse with BADEVENT.
        (b" SET (personal (Something))", Notify((EventGroup(b"PERSONAL", (), frozenset({b"SOMETHING"})),))),
        (b" SET (selected (Something))", Notify((EventGroup(b"SELECTED", (), frozenset({b"SOMETHING"})),))),
        (
            b" SET (personal (AnnotationChange MessageNew MessageExpunge))",
            Notify((EventGroup(b"PERSONAL", (), MESSAGES | {b"ANNOTATIONCHANGE"}),)),
        ),
    ],
)
def test_is_read(arguments: bytes, value: Notify) -> None:
    assert read(notify, arguments) == value


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" ",
        b" SET",
        b" SET ",
        b" SET STATUS",
        b" SET STATUS ",
        b" NONE (personal NONE)",
        b" SOME (personal NONE)",
        b" SET ()",
        b" SET (personal)",
        b" SET (personal ())",
        b" SET (personal MailboxName)",
        b" SET (everywhere (MailboxName))",
        b" SET (mailboxes (MailboxName))",
        b" SET (mailboxes () (MailboxName))",
        b" SET (subtree a)",
        b" SET (personal (MailboxName) )",
        b" SET (personal (MailboxName))(personal NONE)",
        b" SET (personal (MailboxName)) ",
        b" SET (selected (MessageNew))",
        b" SET (selected (MessageExpunge))",
        b" SET (personal (FlagChange))",
        b" SET (personal (AnnotationChange))",
        b" SET (personal (FlagChange MessageNew))",
        b" SET (selected (MailboxName))",
        b" SET (selected (MessageNew MessageExpunge SubscriptionChange))",
        b" SET (selected-delayed (ServerMetadataChange))",
        b" SET (selected NONE) (selected-delayed NONE)",
        b" SET (selected NONE) (selected NONE)",
        b" SET (personal (MessageNew (UID) MessageExpunge))",
        b" SET (selected (MessageNew () MessageExpunge))",
        b" SET (selected (MessageNew (NOTHING) MessageExpunge))",
        b" SET (selected (MessageNew (UID)MessageExpunge))",
        b" SET (selected (MessageExpunge (UID) MessageNew))",
        b" SET" + b" (personal NONE)" * (MAX_GROUPS + 1),
        b" SET (personal (" + b" ".join(b"e%d" % at for at in range(MAX_EVENTS + 1)) + b"))",
        b" SET (mailboxes (" + b"a " * MAX_MAILBOXES + b"a) NONE)",
        b" SET (mailboxes (" + b"a " * (MAX_MAILBOXES // 2) + b"a) NONE) (subtree (" + b"a " * (MAX_MAILBOXES // 2) + b"a) NONE)",
    ],
)
def test_is_refused(arguments: bytes) -> None:
    refused(notify, arguments)


def test_as_much_as_is_allowed() -> None:
    assert len(read(notify, b" SET" + b" (personal NONE)" * MAX_GROUPS).groups) == MAX_GROUPS
    assert len(read(notify, b" SET (mailboxes (" + b"a " * (MAX_MAILBOXES - 1) + b"a) NONE)").groups[0].names) == MAX_MAILBOXES


@given(frames)
def test_never_crashes(found: Frame) -> None:
    never_crashes(notify, found)
    never_crashes(notify, Frame((b" SET (" + found.parts[0], *found.parts[1:])))
