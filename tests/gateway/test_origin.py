"""What a row knows of where its message came from."""

import json

import pytest

from gateway.dsn import of_row
from gateway.message.arc import Validation
from gateway.origin import UNKNOWN, Findings, Origin, Seal, marked, origin_of

SEAL = Seal("lists.test", Findings(("dkim=none", "arc=none"), Validation.NONE))


@pytest.mark.parametrize("origin", [UNKNOWN, Origin(ours=True), Origin(seal=SEAL), Origin(ours=True, seal=SEAL)])
def test_it_reads_back_and_leaves_the_rest(origin: Origin) -> None:
    assert origin_of(marked("{}", origin)) == origin
    asked = json.dumps({"mail": ["RET=HDRS"], "rcpt": ["NOTIFY=NEVER"]})
    both = marked(asked, origin)
    assert origin_of(both) == origin
    assert of_row(both) == of_row(asked)


@pytest.mark.parametrize("said", ['{"ours": 1}', '{"seal": 1}', '{"seal": {"domain": "x", "results": [], "chain": "best"}}'])
def test_what_cannot_be_read_is_nothing(said: str) -> None:
    assert origin_of(said) == UNKNOWN
