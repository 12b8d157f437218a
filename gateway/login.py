"""Who is this? Credentials become an actor, or are refused; what a session rests on is confirmed while it is open."""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from gateway import apppasswords
from gateway.apppasswords import AppPassword
from gateway.decisions import new_decision
from gateway.grant_use import stood_on
from gateway.issuer import Issuer
from gateway.loginhistory import LoginHistory
from gateway.message.canonical import read_address_octets
from gateway.passwords import Passwords
from gateway.refusal import Refused, until
from gateway.sasl.bearer import Hints
from gateway.sasl.exchange import BearerToken, Claim, Credentials, ScramProof
from gateway.sasl.scram import is_proved
from gateway.sending import may_log_in_as
from gateway.sessions import Confirmed
from gateway.sources import FailingSources, network_of
from gateway.tallies import OwnTally, Tally
from gateway.tokens import Bearer, Untrusted
from gateway.trace import spell_trace
from policy.decision import Decision, step
from policy.grants import SendRight, earliest
from policy.identity import AccountId, Actor, Address, BadAddress
from policy.login import Admit, Failure, FailureHistory, is_locked_out, judge_login
from policy.passwords import is_over_age
from policy.reasons import Defer, Reason, Refuse
from policy.scope import judge_credential
from policy.status import login_after_password
from store import accounts, app_passwords, lists, passwords, totp
from store import login as login_store
from store.audit import AuditEntry, RecordAudit
from store.deeds import Audited
from store.errors import Busy, NotFound
from store.login import LoginFacts
from store.model import AccountRow, AppPasswordRow, ScramKeys
from store.port import Deed, Snapshot, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

REMEMBER_EVERY = 3600.0
"""Seconds: last login and known source are noted down at most this often for one account and network (architecture.md section 9)."""
MOST_NOTED = 50_000
FAILURE_PAUSE = 0.05
"""Seconds between looking at a password and saying that it was wrong. Something is written to disk meanwhile, whether there is a
failure to record or not; the pause covers what is left between the two."""
KEYS_PAUSE = 0.01
"""Seconds from being asked for SCRAM's salt to telling it: more than looking for the account takes, whether there is one or not."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whence it came. `address`: an IP address, empty for a Unix socket; `protocol`: smtp, imap, lmtp or mx.
    `end_point`: the hash of our certificate to which SCRAM can be bound (RFC 5929 section 4), None where there is none.
    """

    address: str
    protocol: str
    tls: bool
    end_point: bytes | None = None


class TokenRefused(Refused):
    """A token was not taken. `status`: an error code of RFC 6750 section 3.1, for the client."""

    INVALID: Final = "invalid_token"

    def __init__(self, status: str, because: str) -> None:
        super().__init__(Refuse(Reason.BAD_CREDENTIALS, because=because))
        self.status = status


@dataclass(frozen=True, slots=True)
class _Found:
    """What one snapshot says of an account. `over_age`: of its own password; `app_password`: the one that may have been typed."""

    row: AccountRow
    facts: LoginFacts
    over_age: bool
    now: int
    app_password: AppPasswordRow | None = None


@dataclass(frozen=True, slots=True)
class _Looked:
    """What came of looking at a claim. `counts`: a wrong one is a failure of the account's, not only of the source's; `waited`: others had
    their turn meanwhile; `digest`: of the wrong password, None where it is not known; `until`: as in Actor; `why_not`: for the log;
    `app_password`: the one it is."""

    right: bool
    counts: bool = True
    waited: bool = False
    digest: int | None = None
    until: int | None = None
    why_not: str = "wrong password"
    app_password: AppPasswordRow | None = None

    @property
    def own_password(self) -> bool:
        """It was the account's own password, however that was shown."""
        return self.app_password is None and self.counts


class Login:
    """`issuer`: whose tokens are taken, None: nobody's; `tokens_end_sessions`: a session lasts no longer than its token.
    `guesses`: by account, in all processes, those that were found wrong and are not on record yet.
    `lockout_began`: queues that are told of an account that has just been locked out, so that it can get its notice by mail.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        sources: FailingSources,
        issuer: Issuer | None = None,
        *,
        tokens_end_sessions: bool = True,
        history: LoginHistory | None = None,
        guesses: Tally | None = None,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._sources = sources
        self._app_password_key = passwords.app_password_key
        self._issuer = issuer
        self._tokens_end_sessions = tokens_end_sessions
        self._history = history
        self._making_keys: set[AccountId] = set()
        self._noted: OrderedDict[tuple[AccountId, str], float] = OrderedDict()
        self._guesses = guesses or OwnTally()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lockout_began: list[asyncio.Queue[LockoutBegan]] = []

    @property
    def hints(self) -> Hints:
        """For clients whose token was not taken."""
        return Hints() if self._issuer is None else Hints(self._issuer.scope, self._issuer.configuration_url)

    async def authenticate(self, claim: Claim, peer: Peer) -> Actor:
        """Raises Refused: BAD_CREDENTIALS (wrong password, unknown account, lockout: the same words, the same time),
        CREDENTIAL_NOT_PERMITTED (an app password beyond its limits), APP_PASSWORD_NEEDED, ACCOUNT_STATUS, ACCOUNT_MAINTENANCE,
        PASSWORD_EXPIRED, TOO_MANY_FAILURES, AUTHORIZATION_REFUSED, BUSY. A token that is not taken: TokenRefused."""
        await self._let_in(peer)
        source = network_of(peer.address)
        began = asyncio.get_running_loop().time()
        bearer = await self._bearer(claim, peer, began)
        typed = apppasswords.read(claim.password) if isinstance(claim, Credentials) else None
        found = await self._look_up(bearer.name if bearer is not None else _authcid(claim), typed)
        row = None if found is None else found.row
        # During a lockout nothing may tell right from wrong, nor may the time that a remembered password saves.
        locked_out = found is not None and is_locked_out(found.facts.history, found.row.values, source, found.now)
        looked = await self._look_at(claim, found, bearer, recall=not locked_out)
        # Looking at a password takes as long as it takes for any; looking at another claim takes no time that is not waited for.
        answer_at = (asyncio.get_running_loop().time() if isinstance(claim, Credentials) else began) + FAILURE_PAUSE
        if found is None or row is None:
            # What was typed may be a password in the wrong field: it is not logged.
            self._failed(peer, "", "unknown account")
            await self._done(login_store.PretendFailure())
            await until(answer_at)
            raise Refused(Refuse(Reason.BAD_CREDENTIALS, asked=_authcid(claim), because="unknown account"))
        right = looked.right
        with self._counted(row.id, failing=not right and looked.counts):
            row, verdict = await self._judged(found, looked, peer)
            if isinstance(verdict, Refuse | Defer):
                bad = verdict.reason is Reason.BAD_CREDENTIALS
                self._failed(peer, str(row.address), "refused" if right else looked.why_not, counts=bad)
                self._remember(row.id, peer, claim, _outcome(verdict, looked, locked_out=locked_out), looked)
                if not right and looked.counts:
                    await self._record_failure(row, Failure(found.now, source, looked.digest), peer)
                elif bad:
                    await self._done(login_store.PretendFailure())
                if bad:
                    await until(answer_at)
                outcome = _outcome(verdict, looked, locked_out=locked_out)
                raise Refused(replace(verdict, principal=row.id, asked=_authcid(claim), because=outcome))
        self._note(row.id, source)
        if isinstance(claim, Credentials) and looked.app_password is None and self._passwords.wants_scram_keys(found.facts.keys):
            self._make_scram_keys(row, claim.password)
        actor = _actor(row, looked.until, looked.app_password, by_token=bearer is not None)
        if claim.authzid:
            try:
                actor = await self._acting_as(actor, row, claim.authzid, peer)
            except Refused as refused:
                self._remember(row.id, peer, claim, str(refused.verdict.reason), looked)
                raise
        self._remember(row.id, peer, claim, "" if actor.via is None else f"as {actor.address}", looked, admitted=True)
        fields = {"account": str(actor.address), "protocol": peer.protocol, "source": peer.address, "mechanism": claim.mechanism}
        log.info("login", extra={"fields": {**fields, "outcome": f"admitted; {actor.credential}" if actor.scope else "admitted"}})
        return actor

    async def vouched_for(self, name: str, peer: Peer) -> Actor:
        """A neighbour has seen to the password; may this account be logged in now, from there? Raises Refused as `authenticate`,
        BAD_CREDENTIALS for an account that there is not and for a lockout. Nothing is counted: nothing was guessed here.
        """
        async with self._store.snapshot() as snapshot:
            row = await self._by_name(snapshot, name)
            history = FailureHistory() if row is None else await snapshot.ask(login_store.history, row.id)
            now = snapshot.now
        if row is None:
            raise Refused(Refuse(Reason.BAD_CREDENTIALS, asked=name, because="unknown account"))
        verdict = judge_login(row.status, True, row.must_change_password, history, row.values, network_of(peer.address), now)
        if isinstance(verdict, Refuse | Defer):
            because = "locked out" if _is_bad(verdict) else f"account is {row.status}"
            raise Refused(replace(verdict, principal=row.id, asked=name, because=because))
        return _actor(row, None)

    async def scram_keys(self, authcid: str, peer: Peer) -> ScramKeys:
        """What the server's first message of SCRAM says of an account. Where there is none to be told of, keys are made up: the same
        whenever they are asked for, after the same time. Raises Refused: TOO_MANY_FAILURES.

        Two names of one account have one salt, which the client needs; who guesses both learns that somebody has them.
        """
        await self._let_in(peer)
        answer_at = asyncio.get_running_loop().time() + KEYS_PAUSE
        found = await self._look_up(authcid)
        nobodys = self._passwords.scram_keys_of_nobody(_one_spelling(authcid))
        await until(answer_at)
        return (None if found is None else found.facts.keys) or nobodys

    async def distrust(self, peer: Peer, why: str) -> Refused:
        """An exchange was not bound to its channel: it counts for the source as a failure does, and tells nothing of any account."""
        await self._let_in(peer)
        answer_at = asyncio.get_running_loop().time() + FAILURE_PAUSE
        self._failed(peer, "", why)
        await self._done(login_store.PretendFailure())
        await until(answer_at)
        return Refused(Refuse(Reason.BAD_CREDENTIALS, because=why))

    async def confirm(self, actors: Collection[Actor]) -> Mapping[Actor, Confirmed]:
        """May the sessions of these actors stay open? Lockout ends none (delegation.md section 3). Raises StoreError."""
        async with self._store.snapshot() as snapshot:
            return {actor: await self._confirm(snapshot, actor) for actor in actors}

    async def _confirm(self, snapshot: Snapshot, actor: Actor) -> Confirmed:
        person = await snapshot.ask(accounts.by_id, actor.person)
        if person is None:
            return Confirmed(Refuse(Reason.SESSION_ENDED, "the account no longer exists"))
        refusal = login_after_password(person.status)
        if refusal is not None:
            return Confirmed(_ended(refusal, person))
        over = await self._credential_over(snapshot, actor, person)
        if over:
            return Confirmed(Refuse(Reason.SESSION_ENDED, over))
        if actor.until is not None and actor.until <= snapshot.now:
            return Confirmed(Refuse(Reason.SESSION_ENDED, "the token has expired"))
        if person.address != (actor.address if actor.via is None else actor.via_address):
            # Whose folders are named how rests on the address; the old one may be somebody else's by now.
            return Confirmed(_RENAMED)
        expires = None if actor.scope is None else actor.scope.expires
        if actor.via is None:
            return Confirmed(None, earliest((actor.until, expires)))
        owner = await snapshot.ask(accounts.by_id, actor.account)
        if owner is None:
            return Confirmed(Refuse(Reason.SESSION_ENDED, "the account no longer exists"))
        if owner.address != actor.address:
            return Confirmed(_RENAMED)
        refusal = login_after_password(owner.status)
        if refusal is not None:
            return Confirmed(_ended(refusal, owner))
        decision = await self._may_log_in_as(snapshot, person.id, owner.id, actor)
        if not decision.allowed:
            return Confirmed(Refuse(Reason.SESSION_ENDED, "the right to log in as this account has ended"))
        return Confirmed(None, earliest((decision.valid_until, actor.until, expires)))

    @staticmethod
    async def _credential_over(snapshot: Snapshot, actor: Actor, person: AccountRow) -> str:
        """Why what the session rests on is good for nothing any more; empty: it is good. An app password outlives the account's own."""
        if actor.scope is None:
            by_token = actor.proof.startswith(_BY_TOKEN)
            if _proof(person) != actor.proof.removeprefix(_BY_TOKEN):
                return "the password was changed"
            if by_token:
                return ""
            if person.values.totp_required:
                return _REQUIRED
            needs_more = await snapshot.ask(totp.is_required, person.id)
            return "this account has a second factor now: mail clients need an app password" if needs_more else ""
        if actor.scope.is_over(snapshot.now):
            return "the app password has expired"
        return "" if await snapshot.ask(app_passwords.is_there, person.id, actor.scope.id) else "the app password was revoked"

    async def idle(self) -> None:
        """Until what was noted unawaited is written; for closing and for tests."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _let_in(self, peer: Peer) -> None:
        """A source with many failures waits, then gets nothing looked at. Raises Refused."""
        clock = asyncio.get_running_loop().time()
        if self._sources.refused(peer.address, clock):
            raise Refused(Refuse(Reason.TOO_MANY_FAILURES, because="too many failed logins from this network"))
        delay = self._sources.delay(peer.address, clock)
        if delay:
            await asyncio.sleep(delay)

    async def _bearer(self, claim: Claim, peer: Peer, began: float) -> Bearer | None:
        """Whose token it is, None where it is no token that was shown. A wrong one counts for the source alone: it names nobody
        (delegation.md section 8). Raises Refused."""
        if not isinstance(claim, BearerToken):
            return None
        try:
            if self._issuer is None:
                raise Untrusted("no issuer is known")
            return await self._issuer.bearer(claim.token)
        except Untrusted as untrusted:
            self._failed(peer, "", f"token: {untrusted.message}")
            await self._done(login_store.PretendFailure())
            await until(began + FAILURE_PAUSE)
            raise TokenRefused(untrusted.status, f"token: {untrusted.message}") from None

    async def _look_at(self, claim: Claim, found: _Found | None, bearer: Bearer | None, *, recall: bool) -> _Looked:
        """Is it true? Raises Refused (BUSY)."""
        row, keys_there = (None, None) if found is None else (found.row, found.facts.keys)
        match claim:
            case Credentials(password=password):
                kept = None if found is None else found.app_password
                typed = apppasswords.read(password)
                if kept is not None and typed is not None and typed.is_right(kept.verifier, self._app_password_key):
                    if not recall:  # as long as a wrong one takes
                        await self._passwords.verify("", password)
                    return _Looked(True, waited=not recall, app_password=kept)
                verifier = "" if row is None else row.verifier
                if recall and self._passwords.recalls(verifier, password):
                    return _RECALLED
                right = await self._passwords.verify(verifier, password, recall=recall)
                return _Looked(right, waited=True, digest=None if row is None else self._passwords.digest(row.id, password))
            case ScramProof(keys=keys):
                # Who got made-up keys could not be right: that is no guess, and an account that has none yet is not locked out by it.
                known = keys_there is not None and keys_there == keys
                why_not = "wrong password" if keys_there is not None else "no keys for SCRAM yet: a login by PLAIN makes them"
                return _Looked(is_proved(claim) and known, counts=known, why_not=why_not)
            case BearerToken():
                return _Looked(True, counts=False, until=None if bearer is None or not self._tokens_end_sessions else bearer.until)

    async def _look_up(self, name: str, typed: AppPassword | None = None) -> _Found | None:
        """The account by its primary address or an alias; never by a tagged address or a list. `typed`: what may be an app password;
        it is looked for whether there is the account or not."""
        async with self._store.snapshot() as snapshot:
            row = await self._by_name(snapshot, name)
            kept = None if typed is None else await snapshot.ask(app_passwords.by_selector, typed.selector)
            if row is None:
                return None
            return await self._found(snapshot, row, kept if kept is not None and kept.account == row.id else None)

    @staticmethod
    async def _found(snapshot: Snapshot, row: AccountRow, kept: AppPasswordRow | None) -> _Found:
        facts = await snapshot.ask(login_store.facts, row.id)
        aging = bool(row.values.password_max_age)
        over_age = aging and is_over_age(await snapshot.ask(passwords.set_at, row.id), row.values, snapshot.now)
        return _Found(row, facts, over_age, snapshot.now, kept)

    async def _look_again(self, before: _Found) -> _Found | None:
        """At the same account, and the same app password."""
        async with self._store.snapshot() as snapshot:
            row, kept = await snapshot.ask(accounts.by_id, before.row.id), before.app_password
            if row is None:
                return None
            there = kept is not None and await snapshot.ask(app_passwords.is_there, row.id, kept.scope.id)
            return await self._found(snapshot, row, kept if there else None)

    async def _judged(self, before: _Found, looked: _Looked, peer: Peer) -> tuple[AccountRow, Admit | Refuse | Defer]:
        """The verdict on what is known now: while the password was looked at, others may have been tried. Where nothing was waited for,
        nobody had a turn since the snapshot in which the account was found: that one is as good as another.

        Where failures are on record or on their way to it, it is judged once more in the transaction that comes after theirs:
        however many guesses are made at once, a right one among them is no better off than if they had come one after the other.
        An app password forgets no failures: who found one does not get to guess the account's own for as long as he likes.
        """
        source, kept = network_of(peer.address), looked.app_password
        found = await self._look_again(before) if looked.waited else before
        if found is None:
            return before.row, Refuse(Reason.BAD_CREDENTIALS)
        fresh, history, now = found.row, found.facts.history, found.now
        required = fresh.values.totp_required
        # Only the account's own password grows old, or asks for a second factor: an app password has its date, a token its issuer.
        needs_more = looked.own_password and (required or found.facts.needs_more)
        must_change = fresh.must_change_password or (looked.own_password and found.over_age)
        right = looked.right and (found.app_password is not None if kept is not None else fresh.verifier == before.row.verifier)
        verdict = judge_login(fresh.status, right, must_change, history, fresh.values, source, now)
        suspect = history.failures or history.locked_until is not None or self._guesses.of(str(fresh.id))
        if right and suspect and not _is_bad(verdict):
            forget = isinstance(verdict, Admit) and verdict.clear_source and kept is None
            try:
                if not await self._done(login_store.AdmitUnlessLocked(fresh.id, source, fresh.verifier, forget)):
                    verdict = Refuse(Reason.BAD_CREDENTIALS)
            except NotFound:
                verdict = Refuse(Reason.BAD_CREDENTIALS)
        if isinstance(verdict, Admit) and needs_more:
            # Told only to who knows the password; a mail client has no way to ask for a code.
            return fresh, Refuse(Reason.APP_PASSWORD_NEEDED, _REQUIRED if required else "")
        if isinstance(verdict, Admit) and kept is not None:
            beyond = judge_credential(kept.scope, peer.protocol, peer.address, now)
            return fresh, verdict if beyond is None else beyond
        return fresh, verdict

    @contextmanager
    def _counted(self, account: AccountId, *, failing: bool) -> Iterator[None]:
        """A wrong password counts from the moment in which it was found out, not only when it is on record."""
        if not failing:
            yield
            return
        self._guesses.add(str(account))
        try:
            yield
        finally:
            self._guesses.take(str(account))

    async def _by_name(self, snapshot: Snapshot, name: str) -> AccountRow | None:
        try:
            address = read_address_octets(name.encode("utf-8", "surrogateescape"))
        except BadAddress:
            return None
        return await snapshot.ask(accounts.named, address)

    def _failed(self, peer: Peer, account: str, why: str, *, counts: bool = True) -> None:
        if counts:
            self._sources.failed(peer.address, asyncio.get_running_loop().time())
        log.warning("login", extra={"fields": {"account": account, "protocol": peer.protocol, "source": peer.address, "outcome": why}})

    def _remember(self, account: AccountId, peer: Peer, claim: Claim, outcome: str, looked: _Looked, *, admitted: bool = False) -> None:
        """For the account's history; nothing is waited for. A name that nobody has leaves nothing."""
        if self._history is not None:
            words = outcome or "admitted"
            used = "" if looked.app_password is None else looked.app_password.scope.name
            self._history.note(account, peer.address, peer.protocol, claim.mechanism, admitted=admitted, outcome=words, app_password=used)

    async def _record_failure(self, row: AccountRow, failure: Failure, peer: Peer) -> None:
        try:
            recorded = await self._done(login_store.RecordFailure(row.id, failure))
        except NotFound:
            await self._done(login_store.PretendFailure())
            return
        if recorded.began:
            began = LockoutBegan(row.id, row.address, recorded.history, peer.protocol)
            for queue in self.lockout_began:
                queue.put_nowait(began)

    async def _done(self, deed: Deed[T]) -> T:
        """What cannot be written down cannot be allowed, nor told apart from it. Raises Refused (BUSY), NotFound."""
        try:
            return await self._store.do(deed)
        except Busy:
            raise Refused(Defer(Reason.BUSY)) from None

    def _note(self, account: AccountId, source: str) -> None:
        """Unawaited: a good login writes nothing on its path."""
        key = (account, source)
        clock = time.monotonic()
        before = self._noted.get(key)
        if before is not None and clock - before < REMEMBER_EVERY:
            return
        self._noted[key] = clock
        self._noted.move_to_end(key)
        while len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        self._later(self._write_note(account, source))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_note(self, account: AccountId, source: str) -> None:
        try:
            await self._store.do(login_store.RememberSource(account, source), bulk=True)
        except Busy:
            self._noted.pop((account, source), None)

    def _make_scram_keys(self, row: AccountRow, password: bytes) -> None:
        """Unawaited: an account whose password is older than SCRAM, or than the number of iterations, gets keys of it now."""
        if row.id not in self._making_keys:
            self._making_keys.add(row.id)
            self._later(self._write_scram_keys(row, password))

    async def _write_scram_keys(self, row: AccountRow, password: bytes) -> None:
        try:
            keys = await self._passwords.scram_keys(password)
            if keys is not None:
                await self._store.do(login_store.KeepScramKeys(row.id, row.verifier, keys), bulk=True)
        except (Refused, Busy):
            pass  # the next login tries again
        finally:
            self._making_keys.discard(row.id)

    async def _acting_as(self, actor: Actor, row: AccountRow, authzid: str, peer: Peer) -> Actor:
        """delegation.md section 10. The same words whether the account is missing, may not log in, or the right is."""
        async with self._store.snapshot() as snapshot:
            owner = await self._by_name(snapshot, authzid)
            if owner is not None and owner.id == row.id:
                return actor
            decision = await self._may_log_in_as(snapshot, row.id, _NOBODY if owner is None else owner.id, actor)
            barred = None if owner is None else login_after_password(owner.status)
            if owner is not None and barred is not None and decision.allowed:
                words = f"granted, but the status of the account, {owner.status}, lets nobody log in"
                decision = Decision(barred, (*(replace(one, decided=False) for one in decision.trace), step(words, decided=True)))
            allowed = owner is not None and decision.allowed
        number = new_decision()
        entry = AuditEntry(
            decision=number,
            event="login as",
            allowed=allowed,
            actor=row.id,
            actor_address=str(row.address),
            principal=None if owner is None else owner.id,
            principal_address="" if owner is None else str(owner.address),
            right=SendRight.LOGIN_AS if decision.deciding is None else decision.deciding.right or SendRight.LOGIN_AS,
            because=actor.on_record(decision.because),
            protocol=peer.protocol,
            source=peer.address,
            trace=spell_trace(decision),
        )
        record = RecordAudit((entry,))
        await self._done(Audited(record, (), stood_on(decision, owner.id)) if owner is not None and allowed else record)
        if owner is None or not allowed:
            raise Refused(Refuse(Reason.AUTHORIZATION_REFUSED, decision=number))
        return Actor(owner.id, owner.address, owner.display_name, row.id, row.address, actor.proof, actor.until, actor.scope)

    async def _may_log_in_as(self, snapshot: Snapshot, person: AccountId, owner: AccountId, actor: Actor) -> Decision:
        standing = await snapshot.ask(lists.standing, person, actor)
        if standing is None:
            return Decision(Refuse(Reason.AUTHORIZATION_REFUSED))
        return await snapshot.ask(may_log_in_as, standing, owner)


@dataclass(frozen=True, slots=True)
class LockoutBegan:
    """An account was locked out just now: it is to get a notice with the sources and times."""

    account: AccountId
    address: Address
    history: FailureHistory
    protocol: str


_RECALLED: Final = _Looked(True)
_BY_TOKEN: Final = "token "  # noqa: S105 — a word, no password
"""Before the proof of a session that rests on a token: its issuer has seen to a second factor."""
_NOBODY = AccountId(0)
"""Nobody's id, on whom nobody holds anything: an account that there is not is asked about like any other."""


_REQUIRED: Final = "a second factor is required of this account: mail clients need an app password"
_RENAMED = Refuse(Reason.SESSION_ENDED, "the account was renamed")


def _authcid(claim: Claim) -> str:
    return "" if isinstance(claim, BearerToken) else claim.authcid


def _outcome(verdict: Refuse | Defer, looked: _Looked, *, locked_out: bool) -> str:
    """What the history says of a login that was refused. During a lockout it does not say either whether the password was right."""
    if _is_bad(verdict):
        return "locked out" if locked_out or looked.right else looked.why_not
    if verdict.reason is Reason.CREDENTIAL_NOT_PERMITTED:
        return verdict.detail
    return f"account is {verdict.detail}" if verdict.reason is Reason.ACCOUNT_STATUS and verdict.detail else str(verdict.reason)


def _is_bad(verdict: Admit | Refuse | Defer) -> bool:
    return isinstance(verdict, Refuse) and verdict.reason is Reason.BAD_CREDENTIALS


def _actor(row: AccountRow, until: int | None, app_password: AppPasswordRow | None = None, *, by_token: bool = False) -> Actor:
    if app_password is not None:
        return Actor(row.id, row.address, row.display_name, until=until, scope=app_password.scope)
    return Actor(row.id, row.address, row.display_name, proof=(_BY_TOKEN if by_token else "") + _proof(row), until=until)


def _one_spelling(name: str) -> str:
    """However an address is written, it is one: made-up keys must not tell two spellings apart either."""
    try:
        return str(read_address_octets(name.encode("utf-8", "surrogateescape")).folded())
    except BadAddress:
        return name


def _proof(row: AccountRow) -> str:
    return hashlib.blake2b(row.verifier.encode(), digest_size=12).hexdigest()


def _ended(refusal: Refuse | Defer, row: AccountRow) -> Refuse | Defer:
    if isinstance(refusal, Defer):
        return Defer(Reason.ACCOUNT_MAINTENANCE, f"account is {row.status}")
    return Refuse(Reason.SESSION_ENDED, f"account is {row.status}")
