from policy.identity import AccountId, FolderId
from policy.status import AccountStatus
from store import contention
from store.accounts import SetAccountStatus
from store.appending import AppendMessages
from store.copying import MoveMessages
from store.deeds import FUNCTIONS, Audited, Several
from store.folders import DeleteFolder
from store.grants import SetFolderEntry
from store.list_requests import CloseRequest
from store.model import QueueId
from store.owners import Owners
from store.port import DIRECTORY
from store.queue import AcceptMessage, HandedOn, IntoMailbox
from tests.store.letters import letter


def mail(owner: AccountId, number: int) -> AcceptMessage:
    return AcceptMessage(f"key-{number}", (IntoMailbox(owner, letter(number), 0),))


def test_every_deed_claims_what_it_changes_or_everything() -> None:
    assert set(contention._CLAIMS) <= set(FUNCTIONS)
    anna, bruno = AccountId(5), AccountId(6)
    append = AppendMessages(FolderId(9), (), 0, actor=bruno)
    assert contention.claim(append) == contention.Claim(accounts=frozenset({6}), folders=frozenset({9}))
    assert contention.claim(Audited(append, ())) == contention.claim(append)
    assert contention.claim(Several((append, mail(anna, 1)))) == contention.Claim(accounts=frozenset({5, 6}), folders=frozenset({9}))
    assert contention.claim(Several((append, SetAccountStatus(anna, AccountStatus.LOCKED)))) == contention.ALONE
    assert contention.claim(HandedOn((QueueId(3),), "x", mail(anna, 2))) == contention.Claim(accounts=frozenset({5}), rows=frozenset({3}))
    assert contention.lane(contention.ALONE, 5) == 0
    assert {contention.lane(contention.Claim(accounts=frozenset({number})), 5) for number in range(8)} == {1, 2, 3, 4}


def test_what_a_message_brings_about_besides_and_what_changes_rights_runs_alone() -> None:
    assert contention.claim(AcceptMessage("k", steps=(CloseRequest("key"),))) == contention.ALONE
    for kind in (SetFolderEntry, DeleteFolder, SetAccountStatus):
        assert kind not in contention._CLAIMS
    assert DIRECTORY == 0  # no account has this number: no lock of an account is that of the directory


def test_a_move_claims_both_folders_and_whoever_has_seen_it() -> None:
    move = MoveMessages(FolderId(3), FolderId(4), ((1, 2),), 0, seen_from=AccountId(8))
    assert contention.claim(move) == contention.Claim(accounts=frozenset({8}), folders=frozenset({3, 4}))


def test_a_folder_whose_owner_is_known_is_claimed_by_its_owner() -> None:
    owners = Owners()
    owners.remember(5, 7)
    owners.remember(6, 7)
    claimed = contention.Claim(accounts=frozenset((3,)), folders=frozenset((5, 6, 8)), rows=frozenset((9,)))
    assert claimed.known(owners) == contention.Claim(accounts=frozenset((3, 7)), folders=frozenset((8,)), rows=frozenset((9,)))
    assert claimed.known(Owners()) is claimed
