"""The look at every server's log and files finds what it is to find; whether it does find something, `Server.stop` says."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest

from tests.live.discretion import betrayed, legible
from tests.live.server import PASSWORD, Server


@pytest.mark.parametrize("name", ["a", "an", "ann", "anna@acme.test", ""])
@pytest.mark.parametrize("behind", ["", "x", "\n"])
def test_a_password_is_found_in_every_spelling(name: str, behind: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(["harmless", f"LOGIN {name} {PASSWORD}{behind}".strip(), "harmless"]))
    assert len(betrayed(log, PASSWORD)) == 1
    log.write_bytes(b"harmless\nAUTH PLAIN " + base64.b64encode(f"\0{name}\0{PASSWORD}{behind}".encode()) + b"\nharmless")
    assert [line[:10] for line in betrayed(log, PASSWORD)] == ["AUTH PLAIN"]
    log.write_bytes(b"harmless\nAUTH PLAIN " + base64.b64encode(b"\0anna\0another word 8") + b"\ncorrect horse\n")
    assert betrayed(log, PASSWORD) == []


def test_a_file_for_others_is_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "key").touch(mode=0o600)
    assert legible(data) == []
    (data / "key").chmod(0o640)
    (data / "open").mkdir(mode=0o701)
    os.chmod(data / "open", 0o701)
    assert legible(data) == ["data/key -rw-r-----", "data/open drwx-----x"]


class Talkative(Server):
    """Writes on its log what it should not."""

    @property
    def command(self) -> list[str]:
        return [
            sys.executable,
            "-c",
            f"import runpy, sys; print({PASSWORD!r}, file=sys.stderr); runpy.run_module('gateway', run_name='__main__')",
        ]


def test_a_server_that_tells_is_caught_when_it_stops(tmp_path: Path) -> None:
    server = Talkative(tmp_path)
    server.start()
    with pytest.raises(AssertionError, match="on its log"):
        server.stop()
