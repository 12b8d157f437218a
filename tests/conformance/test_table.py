"""Is what we say about RFCs true? Every row names code and tests that exist, every announced name has a row, the README says the same."""

from __future__ import annotations

import ssl
import tomllib

import pytest

from gateway.imap.capabilities import REGISTRY
from tests.conformance.table import ABSENT, HERE, PROTOCOLS, README, Row, exists, faults, placed, rows
from tests.live.server import Server

ALL = [row for protocol in PROTOCOLS for row in rows(protocol)]


@pytest.mark.parametrize("row", ALL, ids=lambda row: f"{row.protocol}-{row.rfc}-{row.section}-{row.name}")
def test_a_row_names_code_and_tests_that_exist(row: Row) -> None:
    assert faults(row) == []


def test_no_section_has_two_rows() -> None:
    keys = [(row.protocol, row.name, row.rfc, row.section) for row in ALL]
    assert len(keys) == len(set(keys))


FOUND = tomllib.loads((HERE / "sections.toml").read_text())
EACH = {str(rfc) for rfc in FOUND["each"]}
SECTIONS = {(protocol, rfc): names.split() for protocol in PROTOCOLS for rfc, names in FOUND.get(protocol, {}).items()}


@pytest.mark.parametrize(("protocol", "rfc"), SECTIONS)
def test_every_section_that_asks_something_has_a_row(protocol: str, rfc: str) -> None:
    told = {section for row in rows(protocol) if str(row.rfc) == rfc for section in row.section.split()}
    missing = [
        section
        for section in SECTIONS[protocol, rfc]
        if section not in told and (rfc in EACH or not any(section.startswith(f"{above}.") for above in told))
    ]
    assert not missing


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_every_rfc_with_a_row_has_its_sections(protocol: str) -> None:
    assert {str(row.rfc) for row in rows(protocol) if row.status not in ABSENT} <= set(FOUND[protocol])


def test_what_imap_announces_is_what_the_rows_say() -> None:
    said = {row.name for row in rows("imap") if row.name and row.status != "no"}
    assert {row.name.decode() for row in REGISTRY.capabilities} == said


def test_what_smtp_announces_is_what_the_rows_say(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = {row.name for row in rows("smtp") if row.name and row.status not in ABSENT}
    with Server(tmp_path_factory.mktemp("smtp"), {"auth.plaintext": False}) as server, server.smtp() as client:
        client.ehlo()
        in_the_clear = {name.upper() for name in client.esmtp_features}
        assert "AUTH" not in in_the_clear
        context = ssl.create_default_context(cafile=str(server.data / "certificate.pem"))
        client.starttls(context=context)
        client.ehlo()
        assert in_the_clear | {name.upper() for name in client.esmtp_features} == said


def test_what_is_not_there_is_not_announced() -> None:
    missing = {(row.protocol, row.name) for row in ALL if row.status == "no" and row.name}
    assert missing.isdisjoint({(row.protocol, row.name) for row in ALL if row.status not in ABSENT})


def test_the_readme_has_the_table() -> None:
    text = README.read_text()
    assert placed(text) == text, "python -m tests.conformance.table writes it"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"status": "maybe"}, "status is 'maybe'"),
        ({"code": ()}, "names no code or no test"),
        ({"tests": ()}, "names no code or no test"),
        ({"status": "partial"}, "does not say why"),
        ({"status": "n/a"}, "does not say why"),
        ({"status": "n/a", "note": "it is so"}, "is said not to be there, but names code or tests"),
        ({"status": "no", "note": "later"}, "is said not to be there, but names code or tests"),
        ({"code": ("gateway/nothing.py",)}, "gateway/nothing.py does not exist"),
        ({"code": ("tests/conformance/table.py",)}, "tests/conformance/table.py is no code"),
        ({"tests": ("gateway/app.py",)}, "gateway/app.py is no test"),
        ({"tests": ("tests/conformance/test_table.py:test_nothing",)}, "tests/conformance/test_table.py:test_nothing does not exist"),
    ],
)
def test_a_row_that_is_not_true_is_noticed(changes: dict[str, object], complaint: str) -> None:
    values: dict[str, object] = {
        "protocol": "imap",
        "rfc": 3501,
        "section": "1",
        "about": "this",
        "status": "yes",
        "code": ("gateway/app.py:App",),
        "tests": ("tests/conformance/test_table.py:test_no_section_has_two_rows",),
    }
    assert faults(Row(**values)) == []  # type: ignore[arg-type]
    assert complaint in faults(Row(**{**values, **changes}))  # type: ignore[arg-type]


def test_a_key_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        rows("imap", '[[row]]\nrfc = 1\nsection = "1"\nabout = "x"\nstatus = "no"\ncolour = "red"\n')


def test_a_name_is_looked_for_in_its_file() -> None:
    assert exists("gateway/app.py:App")
    assert not exists("gateway/app.py:Ap")
