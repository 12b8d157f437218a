"""An account with a second factor: mail clients need an app password, and are told so only by who knows the password."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyotp

from tests.live.server import PASSWORD, Server
from tests.live.talk import Mail, Talk, unnamed

ANNA = "anna@acme.test"


def test_mail_clients_need_an_app_password(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.people("anna")
        secret = json.loads(server.run("totp", "enroll", ANNA, "--json").stdout)["secret"]
        with Talk(server.ports["imap"], ANNA) as before, Mail(server.ports["submission"]) as sending:
            assert sending.login(ANNA).startswith("235")
            server.run("totp", "confirm", ANNA, pyotp.TOTP(secret).at(int(time.time())))
            assert before.farewell(1.0) == b"* BYE this account has a second factor now: mail clients need an app password"
            assert sending.reply(1.0).startswith("421 4.3.2")
        word = server.run("app-password", "create", ANNA, "phone").stdout.splitlines()[0]
        with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as mail:
            assert session.do(f'LOGIN {ANNA} "wrong"').kind == "NO AUTHENTICATIONFAILED"
            answer = session.do(f'LOGIN {ANNA} "{PASSWORD}"')
            assert (answer.kind, unnamed(answer.text)) == (
                "NO ALERT",
                "this account has a second factor: mail clients need an app password",
            )
            assert mail.login(ANNA) == "534 5.7.9 this account has a second factor: mail clients need an app password"
            assert mail.login(ANNA, word).startswith("235")
            session.ok(f'LOGIN {ANNA} "{word}"')
            server.run("totp", "disable", ANNA)
            session.ok("NOOP")
        server.imap(ANNA).logout()


def test_a_class_of_service_may_require_a_second_factor_before_there_is_one(tmp_path: Path) -> None:
    words = "a second factor is required of this account: mail clients need an app password"
    with Server(tmp_path) as server:
        server.people("anna")
        with Talk(server.ports["imap"], ANNA) as before:
            server.prov("createCos staff zimbraFeatureTwoFactorAuthRequired TRUE", f"setAccountCos {ANNA} staff")
            assert before.farewell(5.0) == f"* BYE {words}".encode()
        word = server.run("app-password", "create", ANNA, "phone").stdout.splitlines()[0]
        with Talk(server.ports["imap"]) as session, Mail(server.ports["submission"]) as mail:
            assert session.do(f'LOGIN {ANNA} "wrong"').kind == "NO AUTHENTICATIONFAILED"
            answer = session.do(f'LOGIN {ANNA} "{PASSWORD}"')
            assert (answer.kind, unnamed(answer.text)) == ("NO ALERT", words)
            assert mail.login(ANNA) == f"534 5.7.9 {words}"
            session.ok(f'LOGIN {ANNA} "{word}"')
            server.prov("modifyCos staff totpRequired FALSE")
            session.ok("NOOP")
        server.imap(ANNA).logout()


def test_the_first_password_is_set_with_a_code_by_the_command(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.prov("createDomain acme.test", f"createAccount {ANNA} ''")
        code = json.loads(server.run("password", "code", ANNA, "--json").stdout)["code"]
        wrong = server.run("password", "set", ANNA, "aaaa-bbbb-cccc", "--password", "-", stdin=f"{PASSWORD}\n", check=False)
        assert (wrong.returncode, wrong.stderr) == (1, f"ERROR: account.AUTH_FAILED (authentication failed for {ANNA})\n")
        server.run("password", "set", ANNA, code, "--password", "-", stdin=f"{PASSWORD}\n")
        server.imap(ANNA).logout()
        assert server.run("password", "set", ANNA, code, "--password", "-", stdin="x\n", check=False).returncode == 1
