"""Rules for passwords through the real command; one that is too old or has to be changed is refused at both doors, when it is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.server import PASSWORD, Server
from tests.live.talk import Mail, Talk

ANNA = "anna@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("rules")) as running:
        running.people("anna")
        yield running


def older(server: Server, days: int) -> None:
    """Every password was set so many days earlier."""
    with server.behind() as behind:
        behind.execute("UPDATE password_set SET at = at - ?", (days * 86_400_000_000,))


def test_an_administrator_obeys_or_says_so(server: Server) -> None:
    server.prov("modifyCos default passwordMinLength 12 passwordBlockCommonEnabled TRUE")
    refused = server.run("prov", "setPassword", ANNA, "Password1", check=False)
    assert refused.returncode == 1
    assert "passwordMinLength asks for 12 characters" in refused.stderr
    assert "passwordBlockCommonEnabled" in refused.stderr
    server.imap(ANNA).logout()
    server.prov(f"setPassword {ANNA} Password1 --force")
    server.imap(ANNA, "Password1").logout()
    server.prov(f"setPassword {ANNA} '{PASSWORD}'", "modifyCos default passwordMinLength '' passwordBlockCommonEnabled ''")


@pytest.mark.parametrize("how", ["must change", "too old"])
def test_right_but_to_be_changed(server: Server, how: str) -> None:
    app_password = server.run("app-password", "create", ANNA, how).stdout.splitlines()[0]
    if how == "must change":
        server.prov(f"setPassword {ANNA} '{PASSWORD}' --must-change")
    else:
        server.stop()
        older(server, days=91)
        server.start()
        server.prov(f"modifyAccount {ANNA} zimbraPasswordMaxAge 90")
    with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as mail:
        assert session.do(f'LOGIN {ANNA} "{PASSWORD}"').kind == "NO EXPIRED"
        assert mail.login(ANNA) == "525 5.7.13 password must be changed"
        assert session.do(f'LOGIN {ANNA} "wrong"').kind == "NO AUTHENTICATIONFAILED"
        by_app = session.do(f'LOGIN {ANNA} "{app_password}"').kind
        assert by_app == ("NO EXPIRED" if how == "must change" else "OK CAPABILITY"), "an app password has a date of its own"
    server.prov(f"setPassword {ANNA} '{PASSWORD} new'", f"setPassword {ANNA} '{PASSWORD}'")
    server.imap(ANNA).logout()
