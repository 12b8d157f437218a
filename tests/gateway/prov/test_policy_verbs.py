"""`procura policy`: what it prints, as text and as data, what it refuses, and with whose role it may be used."""

from __future__ import annotations

import json

from gateway.prov.run import Request
from tests.gateway.administration import Office


async def asked(office: Office, *arguments: str, text: str | None = None, as_json: bool = False, acting: str = "") -> tuple[int, str, str]:
    request = Request("policy", arguments, as_json, batch=text is not None, acting=acting)
    told = await office.ask(request, None if text is None else text.splitlines())
    return told.status, told.out, told.err


async def setting(office: Office) -> str:
    await office.done(
        "createDomain policy.test",
        "createAccount one@policy.test ''",
        "createAccount two@policy.test ''",
        "grantRight account one@policy.test usr two@policy.test sendAs",
    )
    return (await asked(office, "export"))[1]


async def test_words_and_data(office: Office) -> None:
    text = await setting(office)
    after = text.replace('right = "sendAs"', 'right = "sendOnBehalfOf"')
    status, out, _ = await asked(office, "plan", text=after)
    assert status == 0
    assert "two@policy.test gains sendOnBehalfOf on one@policy.test\n" in out
    assert "two@policy.test loses sendAs on one@policy.test\n" in out
    status, out, _ = await asked(office, "plan", text=after, as_json=True)
    data = json.loads(out)
    assert {"actor": "two@policy.test", "gains": False, "what": "sendAs", "target": "one@policy.test", "folder": ""} in data["effects"]
    assert data["complete"]
    assert json.loads((await asked(office, "export", as_json=True))[1]) == {"policy": text}
    status, _, err = await asked(office, "apply", "--state", "0" * 16, text=after)
    assert status == 1
    assert "plan it again" in err
    assert (await asked(office, "apply", "--state", data["state"], text=after))[0] == 0
    assert (await asked(office, "export"))[1] == after
    assert (await asked(office, "rollback"))[0] == 0
    assert (await asked(office, "export"))[1] == text


async def test_written_wrongly(office: Office) -> None:
    for arguments in (["plan"], ["apply"], ["export", "more"], ["rollback", "more"], ["nothing"], []):
        assert (await asked(office, *arguments))[0] == 2, arguments


async def test_with_whose_role(office: Office) -> None:
    text = await setting(office)
    await office.done("modifyAccount one@policy.test isGlobalAdministrator TRUE")
    status, out, _ = await asked(office, "export", acting="one@policy.test")
    assert status == 0
    assert "one@policy.test" in out
    after = out.replace('right = "sendAs"', 'right = "loginAs"')
    assert (await asked(office, "apply", text=after, acting="one@policy.test"))[0] == 0
    newest = (await office.directory.trail.newest(1))[0].entry
    assert (newest.actor_address, newest.event) == ("one@policy.test", "policy changed")
    for arguments, given in ((["export"], None), (["plan"], text), (["apply"], text), (["rollback"], None)):
        status, out, err = await asked(office, *arguments, text=given, acting="two@policy.test")
        assert status == 1, arguments
        assert out == ""
        assert err.startswith("ERROR: service.PERM_DENIED")
