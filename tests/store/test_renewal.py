"""A database of the past gives no number twice."""

from policy.identity import Address
from store.accounts import CreateAccount
from store.domains import CreateDomain
from store.folders import CreateFolder
from store.renewal import OBJECTS, OTHERS, Renew, Renewed
from tests.store.letters import Bench


def numbers(bench: Bench) -> tuple[int, int, int]:
    """Of the next account, folder and domain."""
    name = f"next{bench.now}"
    bench.now += 1
    account = bench.do(CreateAccount(Address(name, "acme.test")))
    return account, bench.do(CreateFolder(account, "/more")).id, bench.do(CreateDomain(f"{name}.test"))


def test_every_folder_is_another_to_clients_and_numbers_are_skipped(bench: Bench) -> None:
    before = dict(bench.raw.execute("SELECT id, uidvalidity FROM folder").fetchall())
    account, folder, domain = numbers(bench)
    count = len(bench.raw.execute("SELECT id FROM folder").fetchall())
    assert bench.do(Renew()) == Renewed(count, 0)
    after = dict(bench.raw.execute("SELECT id, uidvalidity FROM folder").fetchall())
    assert all(after[number] > uidvalidity for number, uidvalidity in before.items())
    then = numbers(bench)
    assert then[0] > account + OBJECTS
    assert then[1] > folder + OTHERS
    assert then[2] > domain + OTHERS
