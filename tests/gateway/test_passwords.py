"""Making and checking verifiers: bounded, remembered, and as slow for nobody as for somebody."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.passwords import PasswordCost, Passwords
from gateway.refusal import Refused
from gateway.sasl.scram import keys_of
from policy.reasons import Defer, Reason

CHEAP = PasswordCost(memory=8, time=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP, b"key")
    yield made
    made.close()


class Counted(Passwords):
    """How often a hash was computed."""

    computed = 0

    def _check(self, verifier: str, password: bytes) -> bool:
        self.computed += 1
        return super()._check(verifier, password)


async def test_right_and_wrong(passwords: Passwords) -> None:
    verifier = (await passwords.verifiers("größer als 7")).argon2
    assert verifier.startswith("$argon2id$")
    assert "größer" not in verifier
    assert await passwords.verify(verifier, "größer als 7".encode())
    assert not await passwords.verify(verifier, b"other")
    assert not await passwords.verify(verifier, b"")
    assert not await passwords.verify(verifier, b"\xff\xfe")


@pytest.mark.parametrize("verifier", ["nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y", "{SSHA}abc", "$argon2id$", "$2b$12$abc"])
async def test_a_verifier_that_is_none_is_never_right(passwords: Passwords, verifier: str) -> None:
    assert not await passwords.verify(verifier, b"x")


async def test_an_account_without_password_costs_the_same_and_is_never_right() -> None:
    counted = Counted(CHEAP, b"key")
    assert not await counted.verify("", b"")
    assert not await counted.verify("", b"x")
    assert counted.computed == 2
    counted.close()


async def test_a_right_password_is_known_again_and_a_wrong_one_is_not() -> None:
    counted = Counted(CHEAP, b"key")
    verifier = (await counted.verifiers("right")).argon2
    for _ in range(3):
        assert await counted.verify(verifier, b"right")
    assert counted.computed == 1
    for _ in range(3):
        assert not await counted.verify(verifier, b"wrong")
    assert counted.computed == 4
    other = (await counted.verifiers("right")).argon2
    assert await counted.verify(other, b"right")
    assert counted.computed == 5, "another verifier is another password, even if it is the same"
    counted.close()


async def test_what_is_remembered_ends_and_is_bounded() -> None:
    counted = Counted(PasswordCost(memory=8, time=1, remembered=2, remember_seconds=3600), b"key")
    verifiers = [(await counted.verifiers("right")).argon2 for _ in range(3)]
    for verifier in verifiers:
        assert await counted.verify(verifier, b"right")
    assert await counted.verify(verifiers[0], b"right")
    assert counted.computed == 4
    counted.close()
    forgetful = Counted(PasswordCost(memory=8, time=1, remember_seconds=0), b"key")
    verifier = (await forgetful.verifiers("right")).argon2
    assert await forgetful.verify(verifier, b"right")
    assert await forgetful.verify(verifier, b"right")
    assert forgetful.computed == 2
    forgetful.close()


async def test_too_many_at_once_are_told_later() -> None:
    narrow = Passwords(PasswordCost(memory=1024, time=1, threads=1, waiting=2), b"key")
    verifier = (await narrow.verifiers("right")).argon2
    found = await asyncio.gather(*(narrow.verify(verifier, b"wrong") for _ in range(8)), return_exceptions=True)
    assert found.count(False) == 3
    refused = [one.verdict for one in found if isinstance(one, Refused)]
    assert refused == [Defer(Reason.BUSY, "too many logins at once")] * 5
    assert await narrow.verify(verifier, b"right"), "places are given back"
    narrow.close()


async def test_a_client_that_leaves_gives_its_place_back() -> None:
    narrow = Passwords(PasswordCost(memory=1024, time=1, threads=1, waiting=0), b"key")
    verifier = (await narrow.verifiers("right")).argon2
    for _ in range(3):
        task = asyncio.ensure_future(narrow.verify(verifier, b"wrong"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while True:
            try:
                assert await narrow.verify(verifier, b"other") is False
                break
            except Refused:
                await asyncio.sleep(0.005)
    narrow.close()


async def test_scram_keys_are_made_of_the_password_beside_the_verifier(passwords: Passwords) -> None:
    assert (await passwords.verifiers("right")).scram is None, "nobody asked for them"
    assert await passwords.scram_keys(b"right") is None
    assert not passwords.wants_scram_keys(None)
    asked = Passwords(PasswordCost(memory=8, time=1, scram_iterations=4096), b"key")
    stored = await asked.verifiers("right")
    assert stored.scram is not None
    assert stored.scram == keys_of("right", stored.scram.salt, 4096)
    assert len(stored.scram.salt) == 16
    other = await asked.scram_keys(b"right")
    assert other is not None
    assert other.salt != stored.scram.salt
    assert not asked.wants_scram_keys(other)
    assert asked.wants_scram_keys(None)
    assert asked.wants_scram_keys(keys_of("right", b"salt", 5000))
    for word in ("\x07", "a\U0001f600"):
        assert (await asked.verifiers(word)).scram is None, "the password stays good for other mechanisms"
    assert await asked.scram_keys(b"\xff") is None
    asked.close()


async def test_scram_keys_wait_in_the_same_queue() -> None:
    narrow = Passwords(PasswordCost(memory=1024, time=1, threads=1, waiting=0, scram_iterations=4096), b"key")
    found = await asyncio.gather(*(narrow.scram_keys(b"right") for _ in range(4)), return_exceptions=True)
    assert [isinstance(one, Refused) for one in found] == [False, True, True, True]
    narrow.close()


def test_made_up_keys_are_under_a_key_of_the_server() -> None:
    one, other = (Passwords(PasswordCost(memory=8, time=1, scram_iterations=5000), key) for key in (b"key", b"other"))
    assert one.scram_keys_of_nobody("a@b.c") == one.scram_keys_of_nobody("a@b.c")
    assert one.scram_keys_of_nobody("a@b.c").salt != other.scram_keys_of_nobody("a@b.c").salt
    assert one.scram_keys_of_nobody("\udcff").iterations == 5000
    one.close()
    other.close()


def test_a_digest_knows_the_same_password_of_the_same_account_again(passwords: Passwords) -> None:
    assert passwords.digest(1, b"x") == passwords.digest(1, b"x")
    assert 0 <= passwords.digest(1, b"x") < 1 << 16
    other = Passwords(CHEAP, b"other")
    # 16 bits may collide; all of these cannot
    for one, two in ((passwords.digest, other.digest), (passwords.digest, lambda account, word: passwords.digest(account + 1, word))):
        assert [one(1, bytes([octet])) for octet in range(8)] != [two(1, bytes([octet])) for octet in range(8)]
    other.close()
