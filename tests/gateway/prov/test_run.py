"""One verb or a batch: order, the first error, exit statuses, what runs ahead and what does not."""

import asyncio
from collections.abc import AsyncIterator

from gateway.prov.run import AHEAD, LINE, Request, run
from tests.gateway.administration import Office


def batch(**others: bool) -> Request:
    return Request("prov", batch=True, **others)


async def test_a_batch_is_done_in_its_order(office: Office) -> None:
    lines = ["# people", "", "cd acme.test", *(f"ca u{n}@acme.test secret{n}" for n in range(2 * AHEAD)), "gaa"]
    told = await office.ask(batch(), lines)
    assert (told.status, told.err) == (0, "")
    assert told.out.splitlines()[-2 * AHEAD :] == [f"u{n}@acme.test" for n in range(2 * AHEAD)]


async def test_it_stops_at_the_first_error_and_names_the_line(office: Office) -> None:
    told = await office.ask(batch(), ["cd acme.test", "# note", "ca a@acme.test sixsix", "ca a@acme.test sixsix", "ca b@acme.test sixsix"])
    assert told.status == 1
    assert told.err == "ERROR: account.ACCOUNT_EXISTS (email address already exists: a@acme.test) [line 4]\n"
    assert (await office.prov("gaa")).out == "a@acme.test\n"


async def test_with_keep_going_every_line_is_tried(office: Office) -> None:
    lines = ["cd acme.test", "ca a@nowhere.test sixsix", "ca a@acme.test sixsix", "frob", "ca 'b", "ca b@acme.test sixsix"]
    told = await office.ask(batch(keep_going=True), lines)
    assert told.status == 2
    assert [line.rsplit("[", 1)[1] for line in told.err.splitlines()] == ["line 2]", "line 4]", "line 5]"]
    assert (await office.prov("gaa")).out == "a@acme.test\nb@acme.test\n"


async def test_progress_tells_the_lines_that_are_done(office: Office) -> None:
    told = await office.ask(batch(progress=True), ["cd acme.test", "", "gad"])
    assert told.progress == (1, 3)


async def test_json_of_a_batch_is_one_line_each(office: Office) -> None:
    told = await office.ask(Request("prov", as_json=True, batch=True), ["cd acme.test", "md acme.test note x", "gad"])
    assert told.out.splitlines()[1:] == ["null", '["acme.test"]']


async def test_a_line_takes_effect_before_the_next_one_has_come(office: Office) -> None:
    seen: list[str] = []

    async def lines() -> AsyncIterator[str]:
        yield "cd acme.test"
        for _ in range(200):
            await asyncio.sleep(0.01)
            if (await office.prov("gad")).out:
                seen.append("there")
                break
        yield "gad"

    async for _ in run(office.desk, batch(), lines()):
        pass
    assert seen == ["there"]


async def test_a_reader_that_fails_fails_the_batch(office: Office) -> None:
    async def lines() -> AsyncIterator[str]:
        yield "cd acme.test"
        raise OSError("the file went away")

    try:
        async for _ in run(office.desk, batch(), lines()):
            pass
    except OSError as error:
        assert str(error) == "the file went away"
    else:
        raise AssertionError("nobody was told")
    assert (await office.prov("gad")).out == "acme.test\n"


async def test_nothing_is_left_hashing_when_a_batch_ends_early(office: Office) -> None:
    before = asyncio.all_tasks()
    told = await office.ask(batch(), ["frob", *(f"ca u{n}@acme.test secret" for n in range(AHEAD))])
    assert told.status == 2
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - before == set()
    assert office.desk._ahead == {}


async def test_each_account_has_a_verifier_of_its_own_password(office: Office) -> None:
    await office.ask(
        batch(),
        ["cd acme.test", "ca a@acme.test samesame", "ca b@acme.test samesame", "ca c@acme.test otherother", "sp c@acme.test newnew"],
    )
    found = {one.row.address.local: one.row.verifier async for one in office.directory.accounts.all()}
    assert len(set(found.values())) == 3
    assert await office.passwords.verify(found["a"], b"samesame")
    assert await office.passwords.verify(found["b"], b"samesame")
    assert await office.passwords.verify(found["c"], b"newnew")


async def test_what_cannot_be_kept_is_refused_before_anything_is_done(office: Office) -> None:
    told = await office.ask(Request("prov", ("cc", "a\udcff")))
    assert (told.status, told.err) == (
        1,
        "ERROR: service.INVALID_REQUEST (invalid request: what was written is not UTF-8, or holds a NUL)\n",
    )
    told = await office.ask(batch(), ["cc " + "x" * LINE])
    assert told.status == 1
    assert "at most" in told.err
    assert (await office.prov("gac")).out == "default\n"
    told = await office.ask(Request("prov", ("cc", "staff", "note", "x" * 2000)))
    assert told.status == 0


async def test_a_password_longer_than_any_is_refused(office: Office) -> None:
    await office.done("cd acme.test")
    told = await office.prov("ca a@acme.test " + "x" * 1025)
    assert (told.status, told.err.split(" (")[0]) == (1, "ERROR: service.INVALID_REQUEST")
    told = await office.ask(batch(), ["ca a@acme.test " + "x" * 1025])
    assert (told.status, told.err.split(" (")[0]) == (1, "ERROR: service.INVALID_REQUEST")


async def test_no_password_gets_into_the_record(office: Office) -> None:
    await office.done("cd acme.test", "ca a@acme.test hush-hush", "sp a@acme.test hush-again")
    assert "hush" not in (await office.command("audit list", as_json=True)).out
