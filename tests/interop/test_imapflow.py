"""imapflow, the library of many Node programs, in own and in lent folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.interop.office import FULL, READING, Office, letter, run
from tests.live.server import PASSWORD

SCRIPT = Path(__file__).with_name("imapflow") / "usual.mjs"


@pytest.mark.skipif(
    shutil.which("node") is None or not (SCRIPT.parent / "node_modules/imapflow").is_dir(), reason="imapflow is not installed"
)
@pytest.mark.parametrize("lent", [False, True])
def test_imapflow_does_its_usual_work(office: Office, tmp_path: Path, lent: bool) -> None:
    user, folder = (office.owner, FULL) if lent else (office.delegate, "Kept")
    named = office.shared(folder) if lent else folder
    if not lent:
        office.put(user, folder, "Plan 1", "Plan 2", "Plan 3")
    asked = {
        "host": "localhost",
        "port": office.server.ports["imap"],
        "ca": str(office.certificate),
        "user": office.delegate,
        "password": PASSWORD,
        "folder": named,
        "other": "INBOX",
        "reading": office.shared(READING),
        "hidden": [office.shared("Hidden"), office.shared("Missing")],
        "letter": letter("Filed", user).decode(),
        "late": letter("Late", user).decode(),
    }
    done = run(tmp_path, "node", str(SCRIPT), json.dumps(asked))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    folders = said.pop("folders")
    assert folders["INBOX"] == 3
    assert {name for name in folders if name.startswith(office.prefix + "/")} == {office.shared(one) for one in ("INBOX", FULL, READING)}
    assert folders[office.shared(FULL)] == 3
    hidden, missing = said.pop("hidden")
    assert hidden == missing
    assert "done" not in str(hidden)
    reader = said.pop("reader")
    assert reader.pop("readOnly") is True
    assert not any(answer.startswith("done") for answer in reader.values()), reader
    assert said == {
        "login": "refused",
        "uses": {"\\Inbox": "INBOX"} | {f"\\{use}": use for use in ("Archive", "Drafts", "Junk", "Sent", "Trash")},
        "readOnly": False,
        "subjects": ["Plan 1", "Plan 2", "Plan 3"],
        "text": "text of Plan 1\r\n",
        "changed": [True],
        "found": 1,
        "appended": True,
        "copied": 1,
        "moved": 1,
        "deleted": True,
        "heard": 1,
        "created": [True, False],
        "removed": "Alt ä",
        "quota": True,
    }
    assert office.holds(user, folder) == {"Plan 1": {"\\Flagged", "$Todo"}, "Filed": {"\\Seen"}, "Late": set()}
    own = office.holds(office.delegate, "INBOX")
    assert own["Plan 1"] == {"\\Flagged", "$Todo"}
    assert "Plan 2" in own
    office.unchanged()
