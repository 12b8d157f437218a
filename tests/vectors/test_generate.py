"""The committed vectors are what the model says today, they are many, and the model shares no code with the product."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.vectors import cast, generate, model


@pytest.mark.parametrize("name", generate.FILES)
def test_the_committed_file_is_what_is_generated(name: str) -> None:
    committed = (generate.PLACE / f"{name}.json").read_text(encoding="utf-8")
    assert committed == generate.text(name), "python -m tests.vectors.generate, and look at the difference"


def test_nothing_else_is_committed() -> None:
    assert {path.stem for path in generate.PLACE.glob("*.json")} == set(generate.FILES)
    assert sum(path.stat().st_size for path in generate.PLACE.glob("*.json")) < 2_000_000


@pytest.mark.parametrize("module", [model, cast, generate])
def test_the_model_shares_no_code_with_the_product(module: object) -> None:
    source = (generate.PLACE / f"{str(module.__name__).rpartition('.')[2]}.py").read_text()  # type: ignore[attr-defined]
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & {"policy", "gateway", "store", "config"}


ENOUGH = {"send_rights": 1400, "submission": 1500, "envelopes": 350, "folders": 1500, "statuses": 300, "invitations": 600, "postings": 500}


@pytest.mark.parametrize("name", generate.FILES)
def test_every_answer_is_among_the_vectors(name: str) -> None:
    vectors = generate.load(name)
    assert len(vectors) >= ENOUGH[name]
    kinds = Counter(
        str(verdict.get("reply", verdict.get("says", verdict.get("allowed", verdict.get("status"))))) for _, _, verdict in vectors
    )
    assert len(kinds) >= 2
    assert min(kinds.values()) >= 4, kinds
