"""Is this the password? Argon2id in a bounded pool of threads; as slow for an unknown account as for a known one."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.refusal import Refused
from gateway.sasl import scram
from gateway.sasl.prepare import Unprepared
from policy.reasons import Defer, Reason
from store.model import ScramKeys, Verifiers


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """Argon2id parameters (RFC 9106): `memory` in KiB, `time` in passes, `lanes`; `threads`: hashes computed at once;
    `waiting`: how many more may wait before a login is told "later"; `remembered`: passwords recently found right that are
    known again without hashing; `remember_seconds`: for how long; `scram_iterations`: of PBKDF2 for SCRAM (RFC 7677), 0: no SCRAM."""

    memory: int = 19456
    time: int = 2
    lanes: int = 1
    threads: int = 2
    waiting: int = 256
    remembered: int = 10_000
    remember_seconds: int = 3600
    scram_iterations: int = 0


class Passwords:
    """Makes and checks verifiers. Clear passwords are never kept: what is remembered is a keyed hash (BLAKE2b), the key this process' own.

    Without that memory a mail client that opens ten connections would cost ten full hashes, and the account's own
    traffic would be a flood. The memory holds right passwords only, names the verifier they belong to, and so
    dies with it when the password is changed.
    """

    def __init__(self, cost: PasswordCost, digest_key: bytes) -> None:
        self._hasher = PasswordHasher(time_cost=cost.time, memory_cost=cost.memory, parallelism=cost.lanes)
        self._cost = cost
        self._pool = ThreadPoolExecutor(cost.threads, thread_name_prefix="argon2")
        self._places = cost.threads + cost.waiting
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._memory_key = secrets.token_bytes(32)
        self._digest_key = digest_key
        self._remembered: OrderedDict[bytes, float] = OrderedDict()

    async def verifiers(self, password: str) -> Verifiers:
        """What is to be stored in place of the password."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.verifiers_now, password)

    def verifiers_now(self, password: str) -> Verifiers:
        """The same, in the caller's thread."""
        return Verifiers(self._hasher.hash(password), self._scram_keys(password.encode()))

    async def scram_keys(self, password: bytes) -> ScramKeys | None:
        """What SCRAM needs to know of it; None where no SCRAM client could send it, or nobody asks. Raises Refused (BUSY)."""
        self._enter()
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._scram_keys, password)
        work.add_done_callback(self._give_back)
        return await asyncio.shield(work)

    def wants_scram_keys(self, keys: ScramKeys | None) -> bool:
        """Are other ones to be made, there being none, or the setting being another now?"""
        wanted = self._cost.scram_iterations
        return bool(wanted) and (keys is None or keys.iterations != wanted)

    def scram_keys_of_nobody(self, name: str) -> ScramKeys:
        """For a name under which nobody can log in by SCRAM: the same each time, as those of an account are (RFC 5802 section 9)."""
        return scram.keys_of_nobody(self._digest_key, name.encode("utf-8", "surrogateescape"), self._cost.scram_iterations)

    def recalls(self, verifier: str, password: bytes) -> bool:
        """Was it found right a while ago, and is the verifier the same? Takes no time worth hiding: the memory holds right ones only."""
        mark = self._mark(verifier, password)
        until = self._remembered.get(mark)
        if until is None or not verifier:
            return False
        if asyncio.get_running_loop().time() < until:
            return True
        del self._remembered[mark]
        return False

    async def verify(self, verifier: str, password: bytes, *, recall: bool = True) -> bool:
        """Raises Refused(Defer BUSY) when too many logins are waiting. An empty verifier costs the same and is never right.

        `recall` False: the memory is not asked, so that a right password takes as long as a wrong one.
        """
        loop = asyncio.get_running_loop()
        if recall and self.recalls(verifier, password):
            return True
        self._enter()
        work = loop.run_in_executor(self._pool, self._check, verifier or self._nobody, password)
        work.add_done_callback(self._give_back)
        right = await asyncio.shield(work) and bool(verifier)
        if right:
            self._remembered[self._mark(verifier, password)] = loop.time() + self._cost.remember_seconds
            while len(self._remembered) > self._cost.remembered:
                self._remembered.popitem(last=False)
        return right

    def digest(self, account: int, password: bytes) -> int:
        """16 bits of a keyed hash: enough to know a repeated wrong password again, too little to find it (delegation.md 8)."""
        found = hashlib.blake2b(account.to_bytes(8, "big") + password, digest_size=2, key=self._digest_key).digest()
        return int.from_bytes(found, "big")

    @property
    def app_password_key(self) -> bytes:
        """Of the verifiers of app passwords (gateway.apppasswords)."""
        return self.subkey("app passwords")

    @property
    def totp_key(self) -> bytes:
        """Under which the secrets of second factors are sealed (gateway.totp)."""
        return self.subkey("second factors")

    def subkey(self, purpose: str) -> bytes:
        """A key of its own for one purpose, the same after a restart: made of the installation's secret, and telling nothing of it."""
        return hashlib.blake2b(purpose.encode(), key=self._digest_key[:64], digest_size=32).digest()

    def close(self) -> None:
        """Nobody waits any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _mark(self, verifier: str, password: bytes) -> bytes:
        return hashlib.blake2b(verifier.encode() + b"\0" + password, key=self._memory_key, digest_size=32).digest()

    def _enter(self) -> None:
        if self._places <= 0:
            raise Refused(Defer(Reason.BUSY, "too many logins at once"))
        self._places -= 1

    def _give_back(self, _: object) -> None:
        self._places += 1

    def _scram_keys(self, password: bytes) -> ScramKeys | None:
        if not self._cost.scram_iterations:
            return None
        try:
            return scram.keys_of(password.decode(), secrets.token_bytes(scram.SALT_OCTETS), self._cost.scram_iterations)
        except (UnicodeDecodeError, Unprepared):
            return None

    def _check(self, verifier: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(verifier, password)
        except (VerificationError, InvalidHashError):
            return False
