"""Where does mail that waits come from, as far as its signatures depend on it? Kept with the row, in its parameters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.message.arc import Validation


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a message when it arrived: `results` as Authentication-Results spells them, and its ARC chain."""

    results: Sequence[str]
    chain: Validation


@dataclass(frozen=True, slots=True)
class Seal:
    """It came from outside and goes out again changed: by a list in `domain`."""

    domain: str
    findings: Findings


@dataclass(frozen=True, slots=True)
class Origin:
    """`ours`: this server wrote it. Of mail that somebody submitted the row itself knows the sender."""

    ours: bool = False
    seal: Seal | None = None


UNKNOWN = Origin()


def marked(parameters: str, origin: Origin) -> str:
    """The parameters of a row (store.queue.OntoQueue) with its origin."""
    if origin == UNKNOWN:
        return parameters
    said = json.loads(parameters)
    if origin.ours:
        said["ours"] = True
    if origin.seal is not None:
        findings = origin.seal.findings
        said["seal"] = {"domain": origin.seal.domain, "results": [*findings.results], "chain": str(findings.chain)}
    return json.dumps(said)


def origin_of(parameters: str) -> Origin:
    """The reverse. What cannot be read is nothing: without its marks a message goes out unsigned."""
    if parameters == "{}":
        return UNKNOWN
    said = json.loads(parameters)
    seal = None
    match said.get("seal"):
        case {"domain": str(domain), "results": list(results), "chain": str(chain)} if chain in [*Validation]:
            seal = Seal(domain, Findings(tuple(str(one) for one in results), Validation(chain)))
    return Origin(said.get("ours") is True, seal)
