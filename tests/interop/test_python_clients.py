"""IMAPClient and imap_tools do a delegate's usual work in her own and in lent folders."""

from __future__ import annotations

import imaplib
import threading
from collections.abc import Iterator

import pytest

from tests.interop.office import FULL, READING, Office, letter, trusting
from tests.live.server import PASSWORD

imapclient = pytest.importorskip("imapclient", reason="IMAPClient is not installed")
imap_tools = pytest.importorskip("imap_tools", reason="imap_tools is not installed")


@pytest.fixture
def client(office: Office) -> Iterator[imapclient.IMAPClient]:
    with imapclient.IMAPClient("localhost", office.server.ports["imaps"], ssl_context=trusting(office), timeout=20) as client:
        client.login(office.delegate, PASSWORD)
        yield client


@pytest.fixture
def box(office: Office) -> Iterator[imap_tools.BaseMailBox]:
    mailbox = imap_tools.MailBoxStartTls("localhost", office.server.ports["imap"], timeout=20, ssl_context=trusting(office))
    with mailbox.login(office.delegate, PASSWORD, initial_folder=None) as box:
        yield box


def by_subject(client: imapclient.IMAPClient, subject: str) -> int:
    (uid,) = client.search(["SUBJECT", subject])
    return int(uid)


# --- IMAPClient


def test_imapclient_lists_own_and_lent_folders(office: Office, client: imapclient.IMAPClient) -> None:
    assert client.namespace() == ((("", "/"),), (("Other Users/", "/"),), None)
    listed = {name: set(attributes) for attributes, _, name in client.list_folders()}
    assert {"INBOX", "Kept", "Trash"} <= set(listed)
    assert {name for name, attributes in listed.items() if name.startswith(office.prefix + "/") and b"\\Noselect" not in attributes} == {
        office.shared(folder) for folder in ("INBOX", FULL, READING)
    }
    assert client.find_special_folder(b"\\Trash") == "Trash"
    assert {name for _, _, name in client.list_sub_folders()} >= {office.shared(FULL), office.shared(READING)}


@pytest.mark.parametrize("lent", [False, True])
def test_imapclient_works_in_a_folder(office: Office, client: imapclient.IMAPClient, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    assert client.select_folder(named)[b"EXISTS"] == 3
    first, second, third = (by_subject(client, f"Plan {number}") for number in (1, 2, 3))
    fetched = client.fetch([first], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "INTERNALDATE", "BODY.PEEK[]", "BODY.PEEK[1]"])[first]
    assert fetched[b"ENVELOPE"].subject == b"Plan 1"
    assert fetched[b"ENVELOPE"].from_[0].mailbox == b"someone"
    assert fetched[b"BODY[]"] == letter("Plan 1", user)
    assert fetched[b"BODY[1]"] == b"text of Plan 1\r\n"
    assert b"\\Seen" not in fetched[b"FLAGS"]
    assert set(client.add_flags([first], [imapclient.FLAGGED, "$Todo"])[first]) - {b"\\Recent"} == {b"\\Flagged", b"$Todo"}
    client.add_flags([second], [imapclient.SEEN])
    client.remove_flags([second], [imapclient.SEEN])
    assert client.sort("REVERSE SUBJECT") == [third, second, first]
    changed = client.folder_status(named, ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
    client.set_flags([third], [imapclient.ANSWERED])
    assert set(client.fetch("1:*", ["FLAGS"], [f"CHANGEDSINCE {changed}"])) == {third}
    client.append(named, letter("Filed", user), flags=[imapclient.SEEN])
    client.copy([first], "Kept" if lent else "INBOX")
    client.move([second], "INBOX")
    client.delete_messages([third])
    client.uid_expunge([third])
    client.close_folder()
    assert office.holds(user, folder) == {"Plan 1": {"\\Flagged", "$Todo"}, "Filed": {"\\Seen"}}
    assert office.holds(office.delegate, "Kept" if lent else "INBOX")["Plan 1"] == {"\\Flagged", "$Todo"}
    assert "Plan 2" in office.holds(office.delegate, "INBOX")


def test_imapclient_makes_renames_and_deletes_folders(office: Office, client: imapclient.IMAPClient) -> None:
    for named in ("Neu ä&b", office.shared(f"{FULL}/Neu ä&b")):
        client.create_folder(named)
        assert client.folder_exists(named)
        client.subscribe_folder(named)
        client.rename_folder(named, named.replace("Neu", "Alt"))
        assert not client.folder_exists(named)
        client.delete_folder(named.replace("Neu", "Alt"))
    client.create_folder(office.shared(f"{FULL}/Stays"))
    assert f"{FULL}/Stays" in office.folders(office.owner)
    assert not any("ä" in name or "&AOQ-" in name for user in (office.owner, office.delegate) for name in office.folders(user))


def test_imapclient_hears_of_mail_while_idle(office: Office, client: imapclient.IMAPClient) -> None:
    for named, recipient in (("INBOX", office.delegate), (office.shared("INBOX"), office.owner)):
        there = client.select_folder(named, readonly=True)[b"EXISTS"]
        client.idle()
        office.server.deliver(recipient, letter("While idle", recipient))
        assert (there + 1, b"EXISTS") in client.idle_check(timeout=10)
        client.idle_done()
        assert by_subject(client, "While idle")


def test_imapclient_may_only_read_where_only_reading_is_granted(office: Office, client: imapclient.IMAPClient) -> None:
    named = office.shared(READING)
    # Python's library takes [READ-ONLY] for an error unless that was asked for.
    with pytest.raises(imaplib.IMAP4.readonly):
        client.select_folder(named)
    assert b"READ-ONLY" in client.select_folder(named, readonly=True)
    uid = by_subject(client, "Minute 1")
    assert client.fetch([uid], ["BODY[]"])[uid][b"BODY[]"] == letter("Minute 1", office.owner)
    with pytest.raises(imapclient.exceptions.IMAPClientError):
        client.add_flags([uid], [imapclient.DELETED])
    for refused, arguments in (
        (client.expunge, ()),
        (client.move, ([uid], "Kept")),
        (client.append, (named, letter("Sneaked in", office.owner))),
        (client.delete_folder, (named,)),
    ):
        with pytest.raises(imapclient.exceptions.IMAPClientError):
            refused(*arguments)
    client.copy([uid], "Kept")
    assert set(office.holds(office.delegate, "Kept")) == {"Minute 1"}
    office.unchanged()


def test_imapclient_cannot_tell_a_hidden_folder_from_none(office: Office, client: imapclient.IMAPClient) -> None:
    def said(folder: str) -> list[str]:
        words = []
        for ask in (client.select_folder, client.folder_status, client.getacl, client.delete_folder, client.subscribe_folder):
            try:
                ask(office.shared(folder))
            except imapclient.exceptions.IMAPClientError as error:
                words.append(str(error).replace(folder, "X"))
            else:
                words.append("OK")
        return words

    assert said("Hidden") == said("Missin")
    office.unchanged()


# --- imap_tools


def test_imap_tools_lists_own_and_lent_folders(office: Office, box: imap_tools.BaseMailBox) -> None:
    listed = {folder.name for folder in box.folder.list()}
    assert {office.shared(folder) for folder in ("INBOX", FULL, READING)} <= listed
    assert {"INBOX", "Kept"} <= listed
    assert not any("Hidden" in name for name in listed)
    assert not box.folder.exists(office.shared("Hidden"))
    with pytest.raises(imap_tools.MailboxFolderSelectError):
        box.folder.set(office.shared("Hidden"))


@pytest.mark.parametrize("lent", [False, True])
def test_imap_tools_works_in_a_folder(office: Office, box: imap_tools.BaseMailBox, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    office.put(user, folder, "=?utf-8?b?5pel5pys?=")
    box.folder.set(named)
    assert box.folder.status(named)["MESSAGES"] == 4
    uids = {message.subject: message.uid for message in box.fetch(mark_seen=False, bulk=True)}
    assert set(uids) == {"Plan 1", "Plan 2", "Plan 3", "日本"}
    # Raw UTF-8 in a quoted string, the charset spelled without its hyphen, the key in parentheses.
    assert box.uids(imap_tools.AND(subject="日本"), charset="utf8") == [uids["日本"]]
    (message,) = box.fetch(imap_tools.AND(subject="Plan 1"))
    assert message.text.rstrip() == "text of Plan 1"
    assert message.obj["Message-ID"] == "<plan-1@elsewhere.test>"
    box.flag([uids["Plan 2"]], [imap_tools.MailMessageFlags.FLAGGED, "$Todo"], True)
    box.flag([uids["Plan 2"]], ["$Todo"], False)
    box.copy([uids["Plan 2"]], "INBOX")
    box.move([uids["Plan 3"]], "INBOX")
    box.delete([uids["日本"]])
    box.append(letter("Filed", user), named, flag_set=[imap_tools.MailMessageFlags.DRAFT])
    assert office.holds(user, folder) == {"Plan 1": {"\\Seen"}, "Plan 2": {"\\Flagged"}, "Filed": {"\\Draft"}}
    own = office.holds(office.delegate, "INBOX")
    assert own["Plan 2"] == {"\\Flagged"}
    assert own["Plan 3"] == set()


def test_imap_tools_waits_for_mail_of_the_owner(office: Office, box: imap_tools.BaseMailBox) -> None:
    box.folder.set(office.shared("INBOX"), readonly=True)
    late = threading.Timer(0.3, office.server.deliver, (office.owner, letter("Late", office.owner)))
    late.start()
    assert b"* 3 EXISTS" in box.idle.wait(timeout=10)
    late.join()
    assert [message.subject for message in box.fetch(mark_seen=False)] == ["Letter 1", "Letter 2", "Late"]


def test_imap_tools_leaves_no_trace_where_it_only_reads(office: Office, box: imap_tools.BaseMailBox) -> None:
    with pytest.raises(imaplib.IMAP4.readonly):
        box.folder.set(office.shared(READING))
    box.folder.set(office.shared(READING), readonly=True)
    assert [message.subject for message in box.fetch(mark_seen=True)] == ["Minute 1", "Minute 2"]
    uids = box.uids()
    with pytest.raises(imap_tools.ImapToolsError):
        box.move(uids, "Kept")
    with pytest.raises(imap_tools.ImapToolsError):
        box.delete(uids)
    office.unchanged()
