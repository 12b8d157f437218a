"""How does a service say no? It raises `Refused` with the verdict; the protocol's own table has the words."""

from policy.reasons import Verdict


class Refused(Exception):
    """Expected, and final for what was asked. `verdict` says why, and whether it is worth trying again (`Defer`)."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict
