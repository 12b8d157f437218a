"""Mozilla's remote control: scripts run inside a Thunderbird without a window."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

START_SECONDS = 60.0
# No window, no first steps, nothing looked for on the net; marionette.port 0: the profile says which.
PREFERENCES: dict[str, object] = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "marionette.port": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Thunderbird:
    """One process with a profile of its own; `run` is what a person clicks, as a script."""

    def __init__(self, home: Path, prelude: str) -> None:
        self._profile = home / "profile"
        self._log = home / "thunderbird.log"
        self._prelude = prelude
        self._read = b""
        self._number = 0
        self._profile.mkdir()
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
        (self._profile / "prefs.js").write_text("".join(lines))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MOZ_CRASHREPORTER_DISABLE": "1"}
        options = ("--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(self._profile))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["thunderbird", *options], cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._socket = self._connect()
            self._receive()
            self._do("WebDriver:NewSession", capabilities={})
            self._do("Marionette:SetContext", value="chrome")
            self._do("WebDriver:SetTimeouts", script=60_000)
        except BaseException:
            self._end()
            raise

    def _connect(self) -> socket.socket:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                port = int((self._profile / "MarionetteActivePort").read_text())
                return socket.create_connection(("127.0.0.1", port), timeout=70)
            except (OSError, ValueError):
                assert time.monotonic() < end, self._log.read_text()[-4000:]
                assert self._process.poll() is None, self._log.read_text()[-4000:]
                time.sleep(0.1)

    def __enter__(self) -> Thunderbird:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self) -> Any:
        while b":" not in self._read:
            self._more()
        size, _, self._read = self._read.partition(b":")
        while len(self._read) < int(size):
            self._more()
        said, self._read = self._read[: int(size)], self._read[int(size) :]
        return json.loads(said)

    def _more(self) -> None:
        octets = self._socket.recv(65_536)
        assert octets, "Thunderbird went away"
        self._read += octets

    def _do(self, name: str, **arguments: object) -> Any:
        self._number += 1
        asked = json.dumps([0, self._number, name, arguments]).encode()
        self._socket.sendall(b"%d:%b" % (len(asked), asked))
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def run(self, script: str, *arguments: object) -> Any:
        """The value that the body of an asynchronous function returns; AssertionError with what it threw."""
        whole = (
            f"const done = arguments[arguments.length - 1]; const asked = [...arguments].slice(0, -1);\n{self._prelude}\n"
            f"(async () => {{ {script} }})().then(value => done({{value}}), error => done({{error: `${{error}} ${{error?.stack}}`}}));"
        )
        answer = self._do("WebDriver:ExecuteAsyncScript", script=whole, args=list(arguments))["value"]
        assert "error" not in answer, answer["error"]
        return answer.get("value")
