"""neomutt and aerc on a terminal: a delegate reads, flags, files and deletes in her own and in lent folders."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.interop.office import FULL, READING, Office, Terminal, installed, letter, surroundings
from tests.live.server import PASSWORD

neomutt = installed("neomutt", "-v")
aerc = installed("aerc", "-v")


# --- neomutt


def mutts(office: Office, home: Path, folder: str, *extra: str) -> list[str]:
    (home / "neomuttrc").write_text(
        f"""
set ssl_force_tls = yes
set certificate_file = "{office.certificate}"
set imap_user = "{office.delegate}"
set imap_pass = "{PASSWORD}"
set folder = "imap://localhost:{office.server.ports["imap"]}/"
set spoolfile = "+{folder}"
set smtp_url = "smtp://{office.delegate}@localhost:{office.server.ports["submission"]}/"
set smtp_pass = "{PASSWORD}"
set smtp_authenticators = "plain"
set from = "{office.delegate}"
set use_from = yes
set wait_key = no
set mark_old = no
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set sort = date-received
set sidebar_visible = no
unset record
"""
        + "\n".join(extra)
    )
    return ["neomutt", "-F", str(home / "neomuttrc")]


def on_terminal(office: Office, home: Path, command: list[str]) -> Terminal:
    return Terminal(home, command, surroundings(home, SSL_CERT_FILE=str(office.certificate)))


def pushed(*keys: str) -> tuple[str, str]:
    return "-e", 'push "' + "".join(keys) + '"'


@neomutt
@pytest.mark.parametrize("lent", [False, True])
def test_neomutt_works_in_a_folder(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    keys = pushed(
        "<limit>~s Plan.1<enter><flag-message><display-message><exit>",
        "<limit>~s Plan.2<enter><delete-message>",
        "<limit>~s Plan.3<enter><copy-message><kill-line>+INBOX<enter>",
        "<limit>all<enter><quit>",
    )
    with on_terminal(office, tmp_path, [*mutts(office, tmp_path, named), *keys]) as terminal:
        terminal.wait(lambda: terminal.has_ended)
    assert office.holds(user, folder) == {"Plan 1": {"\\Seen", "\\Flagged"}, "Plan 3": set()}
    assert "Plan 3" in office.holds(office.delegate, "INBOX")


@neomutt
def test_neomutt_files_what_it_sends_and_copies_own_letters(office: Office, tmp_path: Path) -> None:
    lent = office.shared(FULL)
    more = ("set editor = true", "set abort_unmodified = no", f'set record = "+{lent}"', f'save-hook . "+{lent}"')
    keys = pushed("<limit>~s Own.1<enter><copy-message><enter>", f"<mail>{office.delegate}<enter>Filed<enter><send-message><quit>")
    with on_terminal(office, tmp_path, [*mutts(office, tmp_path, "INBOX", *more), *keys]) as terminal:
        terminal.wait(lambda: terminal.has_ended)
    held = office.holds(office.owner, FULL)
    assert (held.get("Filed"), held.get("Own 1")) == ({"\\Seen"}, set())
    office.until(office.delegate, "INBOX", lambda held: "Filed" in held)


@neomutt
def test_neomutt_shows_subscribed_folders_of_others(office: Office, tmp_path: Path) -> None:
    command = mutts(office, tmp_path, "INBOX", "set imap_check_subscribed = yes", "set imap_list_subscribed = yes")
    with on_terminal(office, tmp_path, [*command, *pushed("<change-folder>?<toggle-mailboxes>")]) as terminal:
        for folder in ("INBOX", FULL, READING):
            terminal.wait(office.shared(folder))
        assert "Hidden" not in terminal.text


@neomutt
def test_neomutt_changes_nothing_where_it_may_only_read(office: Office, tmp_path: Path) -> None:
    keys = pushed(
        "<limit>~s Minute.1<enter><pipe-message>cat >letter.tmp && mv letter.tmp letter.txt<enter>",
        "<copy-message><kill-line>+Kept<enter><delete-message>",
    )
    command = [*mutts(office, tmp_path, office.shared(READING)), *keys]
    with on_terminal(office, tmp_path, command) as terminal:
        terminal.wait((tmp_path / "letter.txt").exists)
        terminal.wait(lambda: terminal.has_ended or bool(office.holds(office.delegate, "Kept")))
    assert "Subject: Minute 1" in (tmp_path / "letter.txt").read_text()
    assert "Minute 1" in office.holds(office.delegate, "Kept")
    office.unchanged()


@neomutt
def test_neomutt_cannot_tell_a_hidden_folder_from_none(office: Office, tmp_path: Path) -> None:
    shown = {}
    for folder in ("Hidden", "Missin"):
        home = tmp_path / folder
        home.mkdir()
        with on_terminal(office, home, mutts(office, home, office.shared(folder))) as terminal:
            terminal.wait("no such folder")
            shown[folder] = re.findall(r"[^\r\n]*no such folder", terminal.text)[0].replace(folder, "X").strip()
    assert shown["Hidden"] == shown["Missin"]


# --- aerc


def aercs(office: Office, home: Path) -> list[str]:
    settings = home / ".config/aerc"
    settings.mkdir(parents=True)
    login = f"{quote(office.delegate)}:{quote(PASSWORD)}"
    (settings / "accounts.conf").write_text(
        f"[a]\nsource = imaps://{login}@localhost:{office.server.ports['imaps']}\nfrom = D <{office.delegate}>\n"
        "default = INBOX\ncache-headers = false\n"
    )
    (settings / "accounts.conf").chmod(0o600)
    (settings / "aerc.conf").write_text("[ui]\nsidebar-width=60\nindex-columns=flags:4,subject<*\n[filters]\ntext/plain=cat\n")
    return ["aerc"]


def order(office: Office, terminal: Terminal, command: str) -> None:
    terminal.type(f":{command}\r")
    terminal.settle(office.server)


@aerc
@pytest.mark.parametrize("lent", [False, True])
def test_aerc_works_in_a_folder(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    with on_terminal(office, tmp_path, aercs(office, tmp_path)) as terminal:
        terminal.wait("Own 3")
        order(office, terminal, f"cf '{named}'")
        terminal.wait("Plan 1")
        for subject, command, done in (
            ("Plan 1", "flag", lambda: "\\Flagged" in office.holds(user, folder).get("Plan 1", ())),
            ("Plan 2", "copy INBOX", lambda: "Plan 2" in office.holds(office.delegate, "INBOX")),
            ("Plan 2", "delete", lambda: "Plan 2" not in office.holds(user, folder)),
            ("Plan 3", "move INBOX", lambda: "Plan 3" not in office.holds(user, folder)),
        ):
            order(office, terminal, f"filter {subject}")
            order(office, terminal, "select 0")
            order(office, terminal, command)
            terminal.wait(done)
            order(office, terminal, "clear")
        order(office, terminal, "select 0")
        order(office, terminal, "view")
        terminal.wait("text of Plan 1")
        terminal.wait(lambda: office.holds(user, folder) == {"Plan 1": {"\\Seen", "\\Flagged"}})
    assert {"Plan 2", "Plan 3"} <= set(office.holds(office.delegate, "INBOX"))


@aerc
def test_aerc_shows_what_is_shared_and_hears_of_new_mail(office: Office, tmp_path: Path) -> None:
    with on_terminal(office, tmp_path, aercs(office, tmp_path)) as terminal:
        terminal.wait("Own 3")
        for folder in (FULL, READING):
            terminal.wait(office.shared(folder))
        assert "Hidden" not in terminal.text
        order(office, terminal, f"cf '{office.shared('INBOX')}'")
        terminal.wait("Letter 2")
        office.server.deliver(office.owner, letter("While idle", office.owner))
        terminal.wait("While idle")


@aerc
def test_aerc_changes_nothing_where_it_may_only_read(office: Office, tmp_path: Path) -> None:
    with on_terminal(office, tmp_path, aercs(office, tmp_path)) as terminal:
        terminal.wait("Own 3")
        order(office, terminal, f"cf '{office.shared(READING)}'")
        terminal.wait("Minute 1")
        order(office, terminal, "select 0")
        order(office, terminal, "flag")
        terminal.wait("you need 'w'")
        order(office, terminal, "delete")
        terminal.wait("you need 't'")
        order(office, terminal, "view")
        terminal.wait("text of Minute")
    office.unchanged()
