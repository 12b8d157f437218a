"""Thunderbird itself, without a window: a delegate reads, marks, files and deletes in her own and in lent folders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.marionette import Thunderbird
from tests.interop.office import FULL, READING, Office, furnish, installed, letter
from tests.live.server import PASSWORD, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), installed("thunderbird", "--version")]

# What the scripts below have in common: folders by path, and promises for what tells its end to a listener.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = () => MailServices.accounts.defaultAccount.incomingServer;
const path = folder => decodeURIComponent(folder.URI).split("/").slice(3).join("/");
const folder = name => server().rootFolder.descendants.find(one => path(one) === name);
const copy = start => new Promise(resolve => start({
  QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; }, onStopCopy(status) { resolve(status); },
}));
const until = async (condition, seconds = 30) => {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not in time: ${condition}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
};
const opened = async (name, count) => {
  const one = folder(name);
  one.updateFolder(null);
  await until(() => one.getTotalMessages(false) >= count && [...one.messages].length >= count);
  return one;
};
const header = (one, subject) => [...one.messages].find(message => message.mime2DecodedSubject === subject);
const text = async (one, message) => {
  const uri = one.getUriForMsg(message);
  return await new Promise((resolve, reject) => {
    let read = "";
    MailServices.messageServiceFromURI(uri).streamMessage(uri, {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onStopRequest(_, status) { Components.isSuccessCode(status) ? resolve(read) : reject(new Error(String(status))); },
      onDataAvailable(_, stream, __, count) {
        const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
        input.init(stream);
        read += input.readBytes(count);
      },
    }, null, null, false, "", false);
  });
};
"""

ACCOUNT = """
const [host, port, user, password, pem] = asked;
const certificate = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
  .constructX509FromBase64(pem.replace(/-----[^-]*-----|\\s/g, ""));
Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
  .rememberValidityOverride(host, port, {}, certificate, false);
const account = MailServices.accounts.createAccount();
const incoming = MailServices.accounts.createIncomingServer(user, host, "imap");
incoming.port = port;
incoming.socketType = Ci.nsMsgSocketType.alwaysSTARTTLS;
incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
incoming.password = password;
const identity = MailServices.accounts.createIdentity();
identity.email = user;
account.incomingServer = incoming;
account.addIdentity(identity);
MailServices.accounts.defaultAccount = account;
incoming.performExpand(null);
await until(() => folder("Trash") && incoming.rootFolder.descendants.some(one => path(one).endsWith("Projects")));
"""

LISTED = """
return Object.fromEntries(server().rootFolder.descendants.map(one => [path(one), one.canFileMessages]));
"""

WORK = """
const [name, octets] = asked;
const one = await opened(name, 3);
const said = { subjects: [...one.messages].map(message => message.mime2DecodedSubject).sort() };
said.text = (await text(one, header(one, "Plan 1"))).replaceAll("\\r\\n", "\\n");
one.markMessagesFlagged([header(one, "Plan 1")], true);
one.markMessagesRead([header(one, "Plan 1")], true);
one.addKeywordsToMessages([header(one, "Plan 1")], "$label1");
const inbox = await opened("INBOX", 3);
said.copied = await copy(listener =>
  MailServices.copy.copyMessages(one, [header(one, "Plan 1")], inbox, false, listener, null, false));
said.moved = await copy(listener =>
  MailServices.copy.copyMessages(one, [header(one, "Plan 2")], inbox, true, listener, null, false));
one.deleteMessages([header(one, "Plan 3")], null, true, false, null, false);
const file = await IOUtils.createUniqueFile(PathUtils.tempDir, "letter.eml");
await IOUtils.writeUTF8(file, octets);
const local = await IOUtils.getFile(file);
said.filed = await copy(listener => MailServices.copy.copyFileMessage(local, one, null, false, 0, "", listener, null));
await IOUtils.remove(file);
await until(() => header(one, "Filed"));
return said;
"""

COMPACT = """
const [name] = asked;
server().rootFolder.descendants.find(one => path(one) === name).compact(null, null);
"""


@pytest.fixture(scope="module")
def office(building: Server) -> Office:
    office = furnish(building, "tb")
    office.put(office.delegate, "Kept", "Plan 1", "Plan 2", "Plan 3")
    # An own folder that nobody subscribed to is not shown.
    with office.session(office.delegate) as delegate:
        delegate.subscribe("Kept")
    return office


@pytest.fixture(scope="module")
def thunderbird(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thunderbird]:
    with Thunderbird(tmp_path_factory.mktemp("thunderbird"), PRELUDE) as thunderbird:
        thunderbird.run(ACCOUNT, "localhost", office.server.ports["imap"], office.delegate, PASSWORD, office.certificate.read_text())
        yield thunderbird


def test_it_shows_own_and_lent_folders_and_no_hidden_one(office: Office, thunderbird: Thunderbird) -> None:
    # What may be filed into is what MYRIGHTS says.
    listed = thunderbird.run(f"for (const name of {[office.shared(FULL), office.shared(READING)]!r}) await opened(name, 2); {LISTED}")
    assert {name: listed[name] for name in listed if name.startswith(office.prefix + "/")} == {
        office.shared("INBOX"): False,
        office.shared(FULL): True,
        office.shared(READING): False,
    }
    assert {"INBOX", "Sent", "Drafts", "Trash"} <= set(listed)
    assert thunderbird.run("return server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.SentMail)?.name") == "Sent"


@pytest.mark.parametrize("lent", [False, True])
def test_it_works_in_a_folder(office: Office, thunderbird: Thunderbird, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    said = thunderbird.run(WORK, named, letter("Filed", user).decode())
    text = said.pop("text")
    assert text.endswith("\n\ntext of Plan 1\n")
    assert "\nSubject: Plan 1\n" in text
    assert said == {"subjects": ["Plan 1", "Plan 2", "Plan 3"], "copied": 0, "moved": 0, "filed": 0}
    # Thunderbird says by itself when it gets there that it is to go; what compacts before leaves it.
    office.until(user, folder, lambda held: "Plan 2" not in held and "\\Deleted" in held.get("Plan 3", {"\\Deleted"}))
    thunderbird.run(COMPACT, named)
    held = office.until(user, folder, lambda held: set(held) == {"Plan 1", "Filed"} and "$label1" in held["Plan 1"])
    assert held["Plan 1"] == {"\\Seen", "\\Flagged", "$label1"}
    own = office.holds(office.delegate, "INBOX")
    assert {"Plan 1", "Plan 2"} <= set(own)


def test_it_shows_mail_of_the_owner_as_it_comes(office: Office, thunderbird: Thunderbird) -> None:
    named = office.shared("INBOX")
    assert thunderbird.run("return (await opened(asked[0], 2)).getTotalMessages(false);", named) == 2
    office.server.deliver(office.owner, letter("While idle", office.owner))
    # Nothing asks for it: the server says so while Thunderbird idles.
    thunderbird.run("const one = folder(asked[0]); await until(() => header(one, 'While idle'));", named)


def test_it_changes_nothing_where_it_may_only_read(office: Office, thunderbird: Thunderbird) -> None:
    said = thunderbird.run(
        """
        const one = await opened(asked[0], 2);
        const message = header(one, "Minute 1");
        const read = await text(one, message);
        one.markMessagesFlagged([message], true);
        one.markMessagesRead([message], true);
        const filed = await copy(listener =>
          MailServices.copy.copyMessages(folder("INBOX"), [header(folder("INBOX"), "Own 1")], one, false, listener, null, false));
        return { read: read.includes("text of Minute 1"), refused: !Components.isSuccessCode(filed), can: one.canDeleteMessages };
        """,
        office.shared(READING),
    )
    assert said == {"read": True, "refused": True, "can": False}
    office.unchanged()
