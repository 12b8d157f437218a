"""App passwords, for administrators: made, shown once, listed, revoked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Final

from gateway import apppasswords
from gateway.apppasswords import AppPassword
from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.identity import AccountId, ListId
from policy.rights import BadRights, Right, parse_letters, spell_letters
from policy.roles import Operation
from policy.scope import USUAL_RIGHTS, USUAL_SENDING, Door, Network, Scope, Sending
from store import addresses, app_passwords
from store.addresses import ObjectKind
from store.app_passwords import CreateAppPassword, RevokeAllAppPasswords, RevokeAppPassword
from store.errors import Conflict, NotFound
from store.model import AppPasswordRow
from store.port import Snapshot, Store

LONGEST_NAME: Final = 64
MOST_NETWORKS: Final = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """An app password as somebody wants it, in texts. None: as usual. `rights`: letters of folder rights and `send`, `sendAs`,
    `sendOnBehalfOf`, `loginAs`; `expires`: microseconds since 1970 UTC."""

    name: str
    protocols: Sequence[str] = ()
    networks: Sequence[str] = ()
    principal: str | None = None
    rights: Sequence[str] | None = None
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class AppPasswordView:
    """One with names for ids. `principal`: the only one it may be used for, None: any."""

    row: AppPasswordRow
    principal: str | None
    over: bool


class AppPasswords:
    """Every method raises Fault, and nothing else that is expected. `key`: of the verifiers (Passwords.subkey)."""

    def __init__(self, store: Store, records: Records, key: bytes) -> None:
        self._store = store
        self._records = records
        self._key = key

    async def create(self, account: str, wish: Wish) -> AppPassword:
        """Makes one; it is told here and never again."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, account)
            matter = Matter(Operation.MANAGE_APP_PASSWORDS, accounts=(row.id,))
            await self._records.allow(snapshot, matter, str(row.address))
            scope = await _scope(snapshot, wish, snapshot.now)
            matter = await _within(snapshot, matter, scope.principal)
        app_password = apppasswords.made()
        deed = CreateAppPassword(row.id, scope, app_password.selector, app_password.verifier(self._key))
        taken = Fault(Code.APP_PASSWORD_EXISTS, scope.name)
        gone = Fault(Code.NO_SUCH_ACCOUNT, f"{account}, or {wish.principal}" if wish.principal else account)
        await self._records.do(
            deed,
            "app password created",
            str(row.address),
            matter=matter,
            principal=row.id,
            detail=f"{scope.name}: {'; '.join(f'{name} {text}' for name, text in described(scope, wish.principal))}",
            words={Conflict: taken, NotFound: gone},
        )
        return app_password

    async def listed(self, account: str) -> Sequence[AppPasswordView]:
        """In the order in which they were made, expired ones too."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, account)
            await self._records.allow(snapshot, Matter(Operation.MANAGE_APP_PASSWORDS, accounts=(row.id,)), str(row.address))
            return [
                AppPasswordView(one, await _name(snapshot, one.scope.principal), one.scope.is_over(snapshot.now))
                for one in await snapshot.ask(app_passwords.of_account, row.id)
            ]

    async def revoke(self, account: str, name: str) -> None:
        """Sessions that rest on it end."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, account)
        words = {NotFound: Fault(Code.NO_SUCH_APP_PASSWORD, name)}
        deed = RevokeAppPassword(row.id, name)
        matter = Matter(Operation.MANAGE_APP_PASSWORDS, accounts=(row.id,))
        await self._records.do(deed, "app password revoked", str(row.address), matter=matter, principal=row.id, detail=name, words=words)

    async def revoke_all(self, account: str) -> int:
        """Returns how many there were."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, account)
        words = {NotFound: Fault(Code.NO_SUCH_ACCOUNT, account)}
        deed = RevokeAllAppPasswords(row.id)
        matter = Matter(Operation.MANAGE_APP_PASSWORDS, accounts=(row.id,))
        return await self._records.do(
            deed, "app password revoked", str(row.address), matter=matter, principal=row.id, detail="all", words=words
        )


def described(scope: Scope, principal: str | None) -> list[tuple[str, str]]:
    """The limits in words, those that there are."""
    found = [("protocols", " ".join(sorted(scope.doors)))] if scope.doors else []
    found += [("networks", " ".join(map(str, scope.networks)))] if scope.networks else []
    found += [("principal", principal)] if principal is not None else []
    return [*found, ("rights", " ".join([spell_letters(scope.rights), *sorted(scope.sending)]))]


async def _within(snapshot: Snapshot, matter: Matter, principal: int | None) -> Matter:
    """What the password is for has to be within reach, too."""
    found = None if principal is None else await snapshot.ask(addresses.primary, principal)
    if found is None:
        return matter
    if found.kind is ObjectKind.LIST:
        return replace(matter, lists=(ListId(found.id),))
    return replace(matter, accounts=tuple(dict.fromkeys((*matter.accounts, AccountId(found.id)))))


async def _name(snapshot: Snapshot, principal: int | None) -> str | None:
    if principal is None:
        return None
    found = await snapshot.ask(addresses.primary, principal)
    return f"#{principal}" if found is None else names.shown(found.address)


async def _scope(snapshot: Snapshot, wish: Wish, now: int) -> Scope:
    """Raises Fault, which names what cannot be."""
    name = wish.name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Fault(Code.INVALID_REQUEST, f"the name of an app password has 1 to {LONGEST_NAME} printable characters")
    if wish.expires is not None and wish.expires <= now:
        raise Fault(Code.INVALID_REQUEST, "it would have expired already")
    principal = None
    if wish.principal is not None:
        found = await names.resolved(snapshot, wish.principal)
        if found is None:
            raise Fault(Code.NO_SUCH_ACCOUNT, wish.principal)
        principal = found.id
    rights, sending = _rights(wish.rights)
    return Scope(0, name, _doors(wish.protocols), _networks(wish.networks), principal, rights, sending, wish.expires)


def _doors(words: Sequence[str]) -> frozenset[Door]:
    try:
        return frozenset(Door(word.lower()) for word in words)
    except ValueError:
        raise Fault(Code.INVALID_REQUEST, f"no protocol among {' '.join(words)}: " + ", ".join(Door)) from None


def _networks(words: Sequence[str]) -> tuple[Network, ...]:
    if len(words) > MOST_NETWORKS:
        raise Fault(Code.INVALID_REQUEST, f"at most {MOST_NETWORKS} networks")
    found = []
    for word in words:
        try:
            found.append(ip_network(word, strict=False))
        except ValueError:
            raise Fault(Code.INVALID_REQUEST, f"no network: {word} (write 192.0.2.0/24, 2001:db8::/48 or one address)") from None
    return tuple(dict.fromkeys(found))


def _rights(words: Sequence[str] | None) -> tuple[Right, frozenset[Sending]]:
    if words is None:
        return USUAL_RIGHTS, USUAL_SENDING
    by_word = {one.lower(): one for one in Sending}
    rights, sending = Right.NONE, set()
    for word in words:
        if word.lower() in by_word:
            sending.add(by_word[word.lower()])
            continue
        try:
            rights |= parse_letters(word)
        except BadRights as error:
            raise Fault(Code.INVALID_REQUEST, f"no right {word} ({error}; or " + ", ".join(Sending) + ")") from None
    if Right.ADMIN in rights:
        raise Fault(Code.INVALID_REQUEST, "an app password never has 'a': who finds it must not be able to let others in")
    if not rights and not sending:
        raise Fault(Code.INVALID_REQUEST, "an app password without any right is good for nothing")
    return rights, frozenset(sending)
