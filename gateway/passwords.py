"""Is this the password? Argon2id in a bounded pool of threads; as slow for an unknown account as for a known one."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.refusal import Refused
from policy.reasons import Defer, Reason


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """Argon2id parameters (RFC 9106): `memory` in KiB, `time` in passes, `lanes`; `threads`: hashes computed at once;
    `waiting`: how many more may wait before a login is told "later"; `remembered`: passwords recently found right that are
    known again without hashing; `remember_seconds`: for how long."""

    memory: int = 19456
    time: int = 2
    lanes: int = 1
    threads: int = 2
    waiting: int = 256
    remembered: int = 10_000
    remember_seconds: int = 3600


class Passwords:
    """Makes and checks verifiers. Clear passwords are never kept: what is remembered is an HMAC under a key of this process.

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

    async def verifier(self, password: str) -> str:
        """The argon2 encoded form to be stored."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, password)

    def verifier_now(self, password: str) -> str:
        """The same, in the caller's thread: for the command line."""
        return self._hasher.hash(password)

    async def verify(self, verifier: str, password: bytes, *, recall: bool = True) -> bool:
        """Raises Refused(Defer BUSY) when too many logins are waiting. An empty verifier costs the same and is never right.

        `recall` False: the memory is not asked, so that a right password takes as long as a wrong one.
        """
        loop = asyncio.get_running_loop()
        mark = hmac.digest(self._memory_key, verifier.encode() + b"\0" + password, "sha256")
        until = self._remembered.get(mark)
        if recall and until is not None and verifier:
            if loop.time() < until:
                return True
            del self._remembered[mark]
        if self._places <= 0:
            raise Refused(Defer(Reason.BUSY, "too many logins at once"))
        self._places -= 1
        work = loop.run_in_executor(self._pool, self._check, verifier or self._nobody, password)
        work.add_done_callback(self._give_back)
        right = await asyncio.shield(work) and bool(verifier)
        if right:
            self._remembered[mark] = loop.time() + self._cost.remember_seconds
            while len(self._remembered) > self._cost.remembered:
                self._remembered.popitem(last=False)
        return right

    def digest(self, account: int, password: bytes) -> int:
        """16 bits of a keyed hash: enough to know a repeated wrong password again, too little to find it (delegation.md 8)."""
        found = hashlib.blake2b(account.to_bytes(8, "big") + password, digest_size=2, key=self._digest_key).digest()
        return int.from_bytes(found, "big")

    def close(self) -> None:
        """Nobody waits any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _give_back(self, _: object) -> None:
        self._places += 1

    def _check(self, verifier: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(verifier, password)
        except (VerificationError, InvalidHashError):
            return False
