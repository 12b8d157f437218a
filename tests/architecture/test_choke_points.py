"""Each question of policy is asked in one place, so that nothing can be done without asking it."""

from __future__ import annotations

import ast
from collections.abc import Set
from functools import cache

import pytest

from tests.architecture.tree import ROOT, modules

# Architecture, section 6.
SOLE_CALLER = {
    "judge_admin": "gateway/directory/authority.py",
    "judge_login": "gateway/login.py",
    "judge_credential": "gateway/login.py",
    "judge_reverse_path": "gateway/submission.py",
    "judge_originators": "gateway/submission.py",
    "judge_envelope": "gateway/submission.py",
    "judge_invitation": "gateway/submission.py",
    "judge_recipient": "gateway/delivery.py",
    "judge_moderation": "gateway/routing.py",
    "judge_folder": "gateway/folders/standpoint.py",
    "permitted_flags": "gateway/folders/standpoint.py",
    "judge_grant_change": "gateway/folders/standpoint.py",
    "judge_send_right": "gateway/sending.py",
    "judge_break_glass": "gateway/sending.py",
}


@cache
def used_names(source: str) -> Set[str]:
    """Every name that is called, passed on or imported; an alias hides nothing, since the import names the original."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name.rpartition(".")[2])
    return found


def defined_judgements() -> set[str]:
    found: set[str] = set()
    for path in modules("policy"):
        tree = ast.parse((ROOT / path).read_text())
        found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith(("judge_", "permitted_"))}
    return found


def callers(name: str) -> set[str]:
    return {str(path) for path in modules("gateway") if name in used_names((ROOT / path).read_text())}


def test_an_alias_hides_no_caller() -> None:
    assert "judge_login" in used_names("from policy.login import judge_login as ask")
    assert "judge_login" in used_names("import policy.login as p\nx = p.judge_login")
    assert "judge_login" not in used_names("# judge_login\n'judge_login'")


def test_every_judgement_of_policy_has_a_row() -> None:
    assert defined_judgements() == SOLE_CALLER.keys()


@pytest.mark.parametrize(("judgement", "caller"), sorted(SOLE_CALLER.items()))
def test_a_judgement_is_asked_in_one_file(judgement: str, caller: str) -> None:
    assert callers(judgement) == {caller}
