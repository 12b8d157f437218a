import pytest

from store import dkim
from store.dkim import ActivateKey, KeepKey, KeyRow, RemoveKey, RetireKey
from store.errors import Conflict, NotFound
from store.port import Store
from tests.store.conftest import START, Clock

DAY = 86400


async def active(store: Store, domain: str = "acme.test") -> list[str]:
    async with store.snapshot() as snapshot:
        return [key.selector for key in await snapshot.ask(dkim.active, domain)]


async def keep(store: Store, selector: str, algorithm: str = "rsa", domain: str = "acme.test") -> None:
    await store.do(KeepKey(domain, selector, algorithm, b"private " + selector.encode(), b"public"))


async def test_a_key_is_kept_and_does_not_sign_yet(store: Store) -> None:
    await keep(store, "one")
    async with store.snapshot() as snapshot:
        (row,) = await snapshot.ask(dkim.of_domain, "acme.test")
        assert await snapshot.ask(dkim.of_domain, "other.test") == []
    assert row == KeyRow(row.id, "acme.test", "one", "rsa", b"private one", b"public", START, None, None)
    assert not row.is_active
    assert "private one" not in repr(row)
    assert await active(store) == []
    with pytest.raises(Conflict):
        await keep(store, "one", "ed25519")


async def test_one_key_of_each_algorithm_signs(store: Store, clock: Clock) -> None:
    for selector, algorithm in (("one", "rsa"), ("two", "rsa"), ("three", "ed25519")):
        await keep(store, selector, algorithm)
    await keep(store, "one", domain="other.test")
    await store.do(ActivateKey("acme.test", "one"))
    await store.do(ActivateKey("acme.test", "three"))
    await store.do(ActivateKey("other.test", "one"))
    assert await active(store) == ["one", "three"]
    clock.turn(DAY)
    await store.do(ActivateKey("acme.test", "two"))
    assert await active(store) == ["two", "three"]
    async with store.snapshot() as snapshot:
        rows = {row.selector: row for row in await snapshot.ask(dkim.of_domain, "acme.test")}
        assert [(row.domain, row.selector) for row in await snapshot.work(dkim.all_of_them)][-1] == ("other.test", "one")
    assert (rows["one"].activated, rows["one"].retired, rows["two"].activated) == (START, clock.at, clock.at)
    await store.do(ActivateKey("acme.test", "one"))
    assert await active(store) == ["one", "three"], "back to the old one"
    clock.turn(DAY)
    await store.do(ActivateKey("acme.test", "one"))
    assert await active(store, "other.test") == ["one"]


async def test_a_key_that_signs_is_not_removed(store: Store) -> None:
    await keep(store, "one")
    with pytest.raises(Conflict):
        await store.do(RetireKey("acme.test", "one"))
    await store.do(ActivateKey("acme.test", "one"))
    with pytest.raises(Conflict):
        await store.do(RemoveKey("acme.test", "one"))
    await store.do(RetireKey("acme.test", "one"))
    assert await active(store) == []
    await store.do(RemoveKey("acme.test", "one"))
    for deed in (ActivateKey("acme.test", "one"), RetireKey("acme.test", "one"), RemoveKey("acme.test", "one")):
        with pytest.raises(NotFound):
            await store.do(deed)
