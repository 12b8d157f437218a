"""fetchmail, offlineimap, mbsync and curl: what takes mail away, keeps copies of folders, or works from a script."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.office import FULL, READING, Office, installed, letter, run
from tests.live.server import PASSWORD

fetchmail = installed("fetchmail", "--version")
offlineimap = installed("offlineimap", "--version")
mbsync = installed("mbsync", "--version")
curl = installed("curl", "--version")


def subjects(directory: Path) -> dict[str, Path]:
    """What lies in a maildir, by subject."""
    found = {}
    for path in sorted([*(directory / "cur").iterdir(), *(directory / "new").iterdir()]):
        subject = re.search(r"^Subject: (.*?)\r?$", path.read_text(), re.MULTILINE)
        assert subject
        found[subject[1]] = path
    return found


def flags(path: Path) -> str:
    return path.name.rpartition(",")[2] if ":2," in path.name else ""


def marked(path: Path, letters: str) -> None:
    """The message gets these flags, as a mail reader gives them to it."""
    path.rename(path.parent.parent / "cur" / f"{path.name.partition(':')[0]}:2,{letters}")


# --- fetchmail


def fetches(office: Office, home: Path, folder: str, *options: str, tls: str = "sslproto tls1.2+") -> subprocess.CompletedProcess[str]:
    door = "imaps" if "ssl " in f"{tls} " and "sslproto" not in tls else "imap"
    settings = home / "fetchmailrc"
    settings.write_text(
        f'poll localhost protocol imap port {office.server.ports[door]} user "{office.delegate}" password "{PASSWORD}"\n'
        f'  folder "{folder}" {tls} sslcertck sslcertfile "{office.certificate}"\n'
        f'  mda "cat >>{home}/spool" {" ".join(options)}\n'
    )
    settings.chmod(0o600)
    return run(home, "fetchmail", "--nosyslog", "--fetchmailrc", str(settings), "--pidfile", str(home / "pid"), USER="delegate")


@fetchmail
@pytest.mark.parametrize("tls", ["sslproto tls1.2+", "ssl"])
def test_fetchmail_takes_new_mail_away(office: Office, tmp_path: Path, tls: str) -> None:
    done = fetches(office, tmp_path, "INBOX", "nokeep", tls=tls)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^Subject: (.*)$", (tmp_path / "spool").read_text(), re.MULTILINE) == ["Own 1", "Own 2", "Own 3"]
    assert office.holds(office.delegate, "INBOX") == {}
    # 1: there was nothing.
    assert fetches(office, tmp_path, "INBOX", "nokeep", tls=tls).returncode == 1


@fetchmail
def test_fetchmail_takes_from_a_lent_folder_and_marks_what_it_leaves(office: Office, tmp_path: Path) -> None:
    done = fetches(office, tmp_path, office.shared(FULL), "keep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert office.holds(office.owner, FULL) == {f"Plan {number}": {"\\Seen"} for number in (1, 2, 3)}
    assert fetches(office, tmp_path, office.shared(FULL), "nokeep", "fetchall").returncode == 0
    assert office.holds(office.owner, FULL) == {}
    assert (tmp_path / "spool").read_text().count("\nSubject: Plan 2\n") == 2


@fetchmail
def test_fetchmail_takes_copies_where_it_may_mark_them_read_and_no_more(office: Office, tmp_path: Path) -> None:
    with office.session(office.owner) as owner:
        owner.setacl(READING, office.delegate, "lrs")
    assert fetches(office, tmp_path, office.shared(READING), "keep").returncode == 0
    assert (tmp_path / "spool").read_text().count("\nSubject: Minute") == 2
    assert fetches(office, tmp_path, office.shared(READING), "nokeep", "fetchall").returncode not in (0, 1)
    assert office.holds(office.owner, READING) == {"Minute 1": {"\\Seen"}, "Minute 2": {"\\Seen"}}


@fetchmail
def test_fetchmail_stops_where_it_may_not_even_mark_what_it_read(office: Office, tmp_path: Path) -> None:
    done = fetches(office, tmp_path, office.shared(READING), "keep")
    assert done.returncode not in (0, 1)
    assert "\nSubject: Minute 1\n" in (tmp_path / "spool").read_text()
    office.unchanged()


@fetchmail
def test_fetchmail_finds_no_hidden_folder(office: Office, tmp_path: Path) -> None:
    hidden = fetches(office, tmp_path, office.shared("Hidden"), "keep")
    missing = fetches(office, tmp_path, office.shared("Missing"), "keep")
    assert hidden.returncode not in (0, 1)
    assert (hidden.returncode, hidden.stderr.replace("Hidden", "Missing")) == (missing.returncode, missing.stderr)
    assert not (tmp_path / "spool").exists()


# --- offlineimap


def offline(office: Office, home: Path, *folders: str, extra: str = "") -> subprocess.CompletedProcess[str]:
    # In the clear: its library reads and writes one TLS connection in two threads at once, and hangs in that now and then.
    (home / "settings").write_text(
        f"""
[general]
accounts = a
metadata = {home}/state
[Account a]
localrepository = here
remoterepository = there
maxage = 0
[Repository here]
type = Maildir
localfolders = {home}/mail
sep = /
[Repository there]
type = IMAP
remotehost = localhost
remoteport = {office.server.ports["imap"]}
ssl = no
starttls = no
remoteuser = {office.delegate}
remotepass = {PASSWORD}
folderfilter = lambda name: name in {list(folders)!r}
{extra}
""".replace("maxage = 0\n", "")
    )
    return run(home, "offlineimap", "-o", "-c", str(home / "settings"), "-u", "basic", seconds=100)


@offlineimap
def test_offlineimap_sees_what_is_shared_and_nothing_else(office: Office, tmp_path: Path) -> None:
    offline(office, tmp_path, "INBOX")
    done = run(tmp_path, "offlineimap", "--info", "-c", str(tmp_path / "settings"), seconds=100)
    said = done.stdout + done.stderr
    for folder in ("INBOX", FULL, READING):
        assert office.shared(folder) in said
    assert "Hidden" not in said


@offlineimap
@pytest.mark.parametrize("lent", [False, True])
def test_offlineimap_goes_both_ways(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    done = offline(office, tmp_path, named)
    assert done.returncode == 0, done.stdout + done.stderr
    there = subjects(tmp_path / "mail" / named)
    assert set(there) == {"Plan 1", "Plan 2", "Plan 3"}
    marked(there["Plan 1"], "FS")
    there["Plan 2"].unlink()
    (tmp_path / "mail" / named / "cur/9.filed.here:2,R").write_bytes(letter("Filed", user).replace(b"\r\n", b"\n"))
    done = offline(office, tmp_path, named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert office.holds(user, folder) == {"Plan 1": {"\\Seen", "\\Flagged"}, "Plan 3": set(), "Filed": {"\\Answered"}}
    # What happened at the server comes back, and nothing comes twice.
    office.put(user, folder, "Plan 4")
    assert offline(office, tmp_path, named).returncode == 0
    assert set(subjects(tmp_path / "mail" / named)) == {"Plan 1", "Plan 3", "Plan 4", "Filed"}
    assert set(office.holds(user, folder)) == {"Plan 1", "Plan 3", "Plan 4", "Filed"}


@offlineimap
def test_offlineimap_keeps_a_copy_of_what_it_may_only_read(office: Office, tmp_path: Path) -> None:
    named = office.shared(READING)
    done = offline(office, tmp_path, named, extra="readonly = True")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(subjects(tmp_path / "mail" / named)) == {"Minute 1", "Minute 2"}
    marked(subjects(tmp_path / "mail" / named)["Minute 1"], "FST")
    offline(office, tmp_path, named)
    office.unchanged()


# --- mbsync


def synchronised(office: Office, home: Path, extra: str = "", patterns: str = "* !Hidden") -> subprocess.CompletedProcess[str]:
    (home / "mail").mkdir(exist_ok=True)
    (home / "mbsyncrc").write_text(
        f"""
IMAPAccount procura
Host localhost
Port {office.server.ports["imaps"]}
User {office.delegate}
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {office.certificate}

IMAPStore remote
Account procura

MaildirStore local
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns {patterns}
Create Both
Remove None
Expunge Both
SyncState *
{extra}
"""
    )
    done = run(home, "mbsync", "-c", str(home / "mbsyncrc"), "all", seconds=100)
    # mbsync waits for a maildir that was changed in this very second.
    time.sleep(1.05)
    return done


@mbsync
def test_mbsync_copies_every_folder_own_and_lent(office: Office, tmp_path: Path) -> None:
    done = synchronised(office, tmp_path, patterns="*")
    mail = tmp_path / "mail"
    found = {str(path.parent.relative_to(mail)) for path in mail.rglob("cur")}
    assert {"INBOX", "Kept", *(office.shared(folder) for folder in ("INBOX", FULL, READING))} <= found, done.stderr
    assert not any("Hidden" in path for path in found)
    assert set(subjects(mail / "INBOX")) == {"Own 1", "Own 2", "Own 3"}
    assert set(subjects(mail / office.shared(FULL))) == {"Plan 1", "Plan 2", "Plan 3"}
    assert set(subjects(mail / office.shared(READING))) == {"Minute 1", "Minute 2"}
    office.unchanged()


@mbsync
@pytest.mark.parametrize("lent", [False, True])
def test_mbsync_goes_both_ways(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    pattern = f'"{named}"'
    done = synchronised(office, tmp_path, patterns=pattern)
    assert done.returncode == 0, done.stderr
    maildir = tmp_path / "mail" / named
    there = subjects(maildir)
    assert set(there) == {"Plan 1", "Plan 2", "Plan 3"}
    marked(there["Plan 1"], "FS")
    there["Plan 2"].unlink()
    (maildir / "new/9.filed.here").write_bytes(letter("Filed", user).replace(b"\r\n", b"\n"))
    done = synchronised(office, tmp_path, patterns=pattern)
    assert done.returncode == 0, done.stderr
    held = office.holds(user, folder)
    assert held == {"Plan 1": {"\\Seen", "\\Flagged"}, "Plan 3": set(), "Filed": set()}
    office.put(user, folder, "Plan 4")
    assert synchronised(office, tmp_path, patterns=pattern).returncode == 0
    assert set(subjects(maildir)) == {"Plan 1", "Plan 3", "Plan 4", "Filed"}


@mbsync
def test_mbsync_makes_a_folder_where_it_may(office: Office, tmp_path: Path) -> None:
    named = office.shared(f"{FULL}/New one")
    for part in ("cur", "new", "tmp"):
        (tmp_path / "mail" / named / part).mkdir(parents=True)
    (tmp_path / "mail" / named / "cur/1.filed.here:2,S").write_bytes(letter("Filed", office.owner).replace(b"\r\n", b"\n"))
    done = synchronised(office, tmp_path, patterns=f'"{named}"')
    assert done.returncode == 0, done.stderr
    assert office.holds(office.owner, f"{FULL}/New one") == {"Filed": {"\\Seen"}}


# --- curl


def curls(office: Office, home: Path, path: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    url = f"imap://localhost:{office.server.ports['imap']}/{path.replace(' ', '%20')}"
    login = ("--user", f"{office.delegate}:{PASSWORD}")
    return run(home, "curl", "-sS", "--ssl-reqd", "--cacert", str(office.certificate), *login, url, *arguments, stdin=stdin)


@curl
@pytest.mark.parametrize("lent", [False, True])
def test_curl_works_in_a_folder(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    assert curls(office, tmp_path, named, "--request", "SEARCH SUBJECT Plan").stdout == "* SEARCH 1 2 3\r\n"
    assert curls(office, tmp_path, f"{named}?SUBJECT%20%22Plan%202%22").stdout == "* SEARCH 2\r\n"
    assert curls(office, tmp_path, f"{named};UID=2").stdout == letter("Plan 2", user).decode()
    assert curls(office, tmp_path, f"{named};MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)").stdout == "Subject: Plan 1\r\n\r\n"
    done = curls(office, tmp_path, named, "--request", "STORE 3 +FLAGS (\\Deleted)")
    assert done.returncode == 0, done.stderr
    assert "\\Deleted" in done.stdout
    assert curls(office, tmp_path, named, "--request", "EXPUNGE").stdout == "* 3 EXPUNGE\r\n"
    assert curls(office, tmp_path, named, "--request", "UID COPY 1 INBOX").returncode == 0
    filed = tmp_path / "filed.eml"
    filed.write_bytes(letter("Filed", user))
    done = curls(office, tmp_path, named, "--upload-file", str(filed))
    assert done.returncode == 0, done.stderr
    assert office.holds(user, folder) == {"Plan 1": {"\\Seen"}, "Plan 2": {"\\Seen"}, "Filed": {"\\Seen"}}
    assert "Plan 1" in office.holds(office.delegate, "INBOX")
    assert "MESSAGES 3" in curls(office, tmp_path, "", "--request", f'STATUS "{named}" (MESSAGES)').stdout


@curl
def test_curl_is_refused_what_a_reader_may_not(office: Office, tmp_path: Path) -> None:
    named = office.shared(READING)
    assert curls(office, tmp_path, f"{named};UID=1").stdout == letter("Minute 1", office.owner).decode()
    refused = [
        curls(office, tmp_path, named, "--request", "STORE 1 +FLAGS (\\Deleted)"),
        curls(office, tmp_path, named, "--request", "UID MOVE 1 INBOX"),
        curls(office, tmp_path, "", "--request", f'DELETE "{named}"'),
    ]
    filed = tmp_path / "filed.eml"
    filed.write_bytes(letter("Sneaked in", office.owner))
    refused.append(curls(office, tmp_path, named, "--upload-file", str(filed)))
    assert [done.returncode != 0 for done in refused] == [True] * 4
    office.unchanged()


@curl
def test_curl_cannot_tell_a_hidden_folder_from_none(office: Office, tmp_path: Path) -> None:
    answers = []
    for folder in ("Hidden", "Missin"):
        asked = ("SELECT", "STATUS", "GETACL", "MYRIGHTS", "DELETE")
        said = [
            curls(office, tmp_path, "", "-v", "--request", f'{verb} "{office.shared(folder)}"' + " (MESSAGES)" * (verb == "STATUS"))
            for verb in asked
        ]
        lines = [re.findall(r"^< A\d+ (.*)$", done.stderr, re.MULTILINE)[-2:] for done in said]
        answers.append([line.replace(folder, "X") for found in lines for line in found])
    assert answers[0] == answers[1]
    assert any(line.startswith("NO") for line in answers[0])
    office.unchanged()
