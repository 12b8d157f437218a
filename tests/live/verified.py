"""After a fault: does the store agree with itself, as `procura verify` sees it?"""

from __future__ import annotations

import json
import os

from tests.live.server import Server

SOAK = os.environ.get("PROCURA_SOAK", "") == "1"
"""Long versions of the fault experiments: `make soak`."""


def verified(server: Server) -> None:
    """Of a server that runs, or of the data of one that has ended. Raises AssertionError with what was found."""
    done = server.run("verify", "--json", check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["whole"], found["findings"]
