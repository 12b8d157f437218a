"""CREATE, DELETE, RENAME and their rights."""

import pytest

from tests.gateway.imap.handlers.house import Client, House


async def test_parents_are_made_and_stay_as_names(house: House, anna: Client) -> None:
    assert (await anna.do("CREATE A/B/C/")).ok
    assert (await anna.do("CREATE A/B")).tagged.startswith(b"NO [ALREADYEXISTS]")
    assert (await anna.do("CREATE inbox")).tagged.startswith(b"NO [ALREADYEXISTS]")
    assert (await anna.do("DELETE A/B")).ok
    assert b'* LIST (\\Noselect \\HasChildren) "/" "A/B"' in (await anna.do('LIST "" "A*"')).untagged
    assert (await anna.do("SELECT A/B")).tagged.startswith(b"NO [NONEXISTENT]")
    assert (await anna.do("DELETE A/B")).tagged.startswith(b"NO [CANNOT]")
    assert (await anna.do("DELETE A/B/C")).ok
    assert (await anna.do("CREATE A/B")).ok


@pytest.mark.parametrize("command", ["DELETE INBOX", "DELETE Nope", "RENAME Nope X", "RENAME Sent Sent/x", "RENAME Sent INBOX",
"CREATE ../x", "CREATE a//b",
                                     'CREATE "Other Users"', 'CREATE "Other Users/anna"', 'CREATE "Other Users/nobody/x"',
                                     'DELETE "Other Users/bruno"'])  # fmt: skip
async def test_what_cannot_be(anna: Client, command: str) -> None:
    assert (await anna.do(command)).tagged.startswith((b"NO", b"BAD"))
    assert (await anna.do("SELECT INBOX")).ok


async def test_rename_takes_what_is_below_along(house: House, anna: Client) -> None:
    await house.make("anna", "/A/B")
    assert (await anna.do("RENAME A X/Y")).ok
    found = b"".join((await anna.do('LIST "" "*"')).untagged)
    assert b'"X/Y/B"' in found
    assert b'"A"' not in found


async def test_renaming_inbox_leaves_an_empty_one(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    assert (await anna.do("RENAME INBOX Old")).ok
    assert b"MESSAGES 2" in (await anna.do("STATUS Old (MESSAGES)")).all
    assert b"MESSAGES 0" in (await anna.do("STATUS INBOX (MESSAGES)")).all


async def test_deleting_the_selected_folder_oneself(house: House, anna: Client) -> None:
    await house.make("anna", "/A")
    await anna.do("SELECT A")
    assert (await anna.do("DELETE A")).ok
    assert (await anna.do("NOOP")).ok
    assert (await anna.do("FETCH 1 FLAGS")).tagged.startswith(b"BAD")


@pytest.mark.parametrize(
    ("rights", "command", "said"),
    [
        ("lrk", 'CREATE "Other Users/anna/Posta/Neu"', b"OK"),
        ("lrwidea".replace("d", "xt"), 'CREATE "Other Users/anna/Posta/Neu"', b"NO [NOPERM] you need 'k' (create folders)"),
        ("lrk", 'CREATE "Other Users/anna/Neu"', b"NO [NONEXISTENT] no such folder"),
        ("lrx", 'DELETE "Other Users/anna/Posta/Alt"', b"OK"),
        ("lrswikte", 'DELETE "Other Users/anna/Posta/Alt"', b"NO [NOPERM] you need 'x' (delete the folder)"),
        ("lrxk", 'RENAME "Other Users/anna/Posta/Alt" "Other Users/anna/Posta/Neu"', b"OK"),
        ("lrx", 'RENAME "Other Users/anna/Posta/Alt" "Other Users/anna/Posta/Neu"', b"NO [NOPERM] you need 'k' (create folders)"),
        ("lrk", 'RENAME "Other Users/anna/Posta/Alt" "Other Users/anna/Posta/Neu"', b"NO [NOPERM] you need 'x' (delete the folder)"),
        ("lrxk", 'RENAME "Other Users/anna/Posta/Alt" Neu', b"NO [CANNOT]"),
        ("k", 'CREATE "Other Users/anna/Posta/Neu"', b"NO [NONEXISTENT] no such folder"),
        ("", 'DELETE "Other Users/anna/Posta/Alt"', b"NO [NONEXISTENT] no such folder"),
        ("", 'RENAME "Other Users/anna/Posta/Alt" "Other Users/anna/Posta/Neu"', b"NO [NONEXISTENT] no such folder"),
    ],
)
async def test_the_rights_of_delegates(house: House, bruno: Client, rights: str, command: str, said: bytes) -> None:
    await house.make("anna", "/Posta/Alt")
    await house.share("anna", "/Posta", "bruno", rights, rfc=True)
    assert (await bruno.do(command)).tagged.startswith(said)


async def test_special_folders_are_the_owners_own(house: House, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "rwixda")
    for command in (
        'DELETE "Other Users/anna/Sent"',
        'RENAME "Other Users/anna/Sent" "Other Users/anna/X"',
        'DELETE "Other Users/anna/INBOX"',
    ):
        assert (await bruno.do(command)).tagged.startswith(b"NO [CANNOT]"), command


async def test_a_parameter_that_is_not_there_is_bad(anna: Client) -> None:
    assert (await anna.do("CREATE X (FOR (\\Drafts))")).tagged.startswith(b"BAD")


async def test_a_name_that_may_not_be_seen_is_no_folder_again_by_who_may_not_see_it(house: House, anna: Client, bruno: Client) -> None:
    await house.make("anna", "/Work/Own/Below")
    await house.share("anna", "/Work", "bruno", "rwid")
    await house.share("anna", "/Work/Own", "bruno", "")
    said = (await bruno.do('CREATE "Other Users/anna/Work/Own"')).tagged
    assert said == b"NO [CANNOT] a folder of this name cannot be made"
    assert (await anna.do("DELETE Work/Own")).ok
    assert (await bruno.do('CREATE "Other Users/anna/Work/Own"')).tagged == said
    assert (await anna.do('LIST "" Work/Own')).untagged == [b'* LIST (\\Noselect \\HasChildren) "/" "Work/Own"']
    assert (await anna.do("CREATE Work/Own")).ok
