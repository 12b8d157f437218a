"""Settings become a running whole: the only file that names concrete classes and puts them together."""

import asyncio
import hashlib
import logging
import resource
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from config.addresses import ListenAddress, MailExchangers, TcpAddress
from config.settings import Settings
from gateway.authenticating import Authenticating
from gateway.binding import Binding, Sockets
from gateway.carrier import Wheel
from gateway.certificate import Certificate, self_signed
from gateway.changes import Changes
from gateway.clock import Clock
from gateway.control import Control
from gateway.delivery import Delivery, DeliveryRules
from gateway.digests import Digests
from gateway.directory.open_sessions import Here, Live, OpenSessions
from gateway.directory.premises import Premises
from gateway.directory.service import Directory
from gateway.domain_warnings import DomainWarnings
from gateway.exchangers import ExchangerRules, Exchangers
from gateway.explain import Explain
from gateway.folders import Folders
from gateway.garbage import look_seldom
from gateway.grant_warnings import GrantWarnings
from gateway.housekeeping import Housekeeping
from gateway.imap.listener import ImapListener, TlsMode
from gateway.imap.listener import Limits as ImapLimits
from gateway.indexing import Indexing
from gateway.intake import Intake
from gateway.issuer import Issuer, IssuerRules
from gateway.list_addresses import Tags
from gateway.list_chores import ListChores
from gateway.list_robot import ListRobot, RobotRules
from gateway.login import Login
from gateway.loginhistory import LoginHistory
from gateway.mechanisms import mechanisms
from gateway.memory import bounded, give_back_what_is_large
from gateway.message.kept import KEPT_VERSION
from gateway.moderation import Moderation
from gateway.neighbour.access import Access
from gateway.neighbour.listener import NAME as POLICY
from gateway.neighbour.listener import NeighbourListener
from gateway.neighbour.logins import Logins
from gateway.neighbour.maps import Maps
from gateway.node_sessions import NodeSessions, numbers
from gateway.node_sessions import elsewhere as on_other_nodes
from gateway.notices import Notices
from gateway.objects import furnished
from gateway.passwords import PasswordCost, Passwords
from gateway.peers import Tls
from gateway.policies import Policies, PolicyRules
from gateway.prov.supposing import scratch_of, sweep
from gateway.prov.verb import Desk
from gateway.queue import Queue, QueueRules
from gateway.queue_room import QueueRoom
from gateway.quota_warning import QuotaWarnings
from gateway.readiness import Readiness
from gateway.recalls import Recalls
from gateway.refusals import Refusals
from gateway.relay import NextHop, Relay
from gateway.releases import Releases
from gateway.resolver import Resolver
from gateway.seals import Seals
from gateway.sessions import Sessions
from gateway.signing import Signing, SigningRules
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import InboundHooks, LmtpHooks, SubmissionHooks
from gateway.smtp.listener import ConnectionLimits, Listener, Neighbours
from gateway.smtp.lmtp import HardenedLMTP
from gateway.smtp.terms import House, Limits, Terms
from gateway.sources import FailingSources
from gateway.submission import Submission, SubmissionRules
from gateway.tallies import Tallies
from gateway.textrecords import TextRecords
from gateway.timekeeping import Timekeeping
from gateway.tokens import TokenRules
from policy.lists import BounceRules
from store.blobs import ALL_IN_ROWS, IN_ROW, Files
from store.connect import clock_behind, connect, inspected_server, is_shared
from store.durable import keep, make_directory
from store.errors import Busy, Unusable
from store.floor import Floor
from store.fulltext import FullText
from store.nodes import Nodes
from store.port import Store
from store.postgres import PostgresStore

log = logging.getLogger(__name__)

SWITCH_INTERVAL: Final = 0.0005
"""Seconds: the writer's thread asks for the interpreter between statements, and would wait Python's default 5 ms for it each time."""

IMAP: Final = "imap"
SUBMISSION: Final = "submission"

Bound = dict[str, list[str]]
"""Listener's name → the addresses it listens on, as the ready file has them."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What one process has to do with the others that serve with it; nothing, where there is none. `tallies`: what they count together.

    `live`: the sessions of them all; `failed`: tells them of a failed login (source, monotonic time); `written`: has what they noted of
    logins and refusals written; `indexed`: tells them that the index can be asked, or cannot; `damaged`: tells who writes it what a search
    has found.
    """

    tallies: Tallies = field(default_factory=Tallies)
    live: Live | None = None
    failed: Callable[[str, float], None] | None = None
    written: Callable[[], Awaitable[object]] | None = None
    indexed: Callable[[bool], None] | None = None
    damaged: Callable[[], None] | None = None


class App:
    """Everything that there is in one process, without listeners. Built by `opened`, which also closes it."""

    def __init__(self, settings: Settings, store: Store, files: Files, elsewhere: Elsewhere) -> None:
        limits = settings.limits
        tallies = elsewhere.tallies
        self.tallies = tallies
        self.settings = settings
        self.store = store
        self.files = files
        cost = PasswordCost(
            memory=settings.password.memory // 1024,
            time=settings.password.passes,
            lanes=settings.password.lanes,
            threads=settings.password.threads,
            waiting=settings.password.waiting,
            scram_iterations=settings.password.scram_iterations,
        )
        self.passwords = Passwords(cost, _digest_key(settings.data))
        self.sources = FailingSources(
            limits.failed_logins_per_source, limits.failed_logins_window, limits.exempt_networks, told=elsewhere.failed
        )
        clock = store.floor.now
        self.issuer = _issuer(settings, store.floor)
        self.history = LoginHistory(store, wall_clock=clock, others=elsewhere.written)
        self.refusals = Refusals(store, wall_clock=clock, others=elsewhere.written)
        self.login = Login(
            store,
            self.passwords,
            self.sources,
            self.issuer,
            tokens_end_sessions=settings.oauth.end_sessions,
            history=self.history,
            guesses=tallies.guesses,
        )
        self.mechanisms = mechanisms(scram=settings.password.scram_iterations > 0, bearer=self.issuer is not None)
        nodes = store.nodes if isinstance(store, PostgresStore) else None
        self.sessions = Sessions(
            self.login.confirm,
            limits.connections_per_account,
            self._is_exempt,
            wall_clock=clock,
            tally=tallies.sessions,
            number=tallies.number if nodes is None else numbers(nodes),
            elsewhere=(lambda _: 0) if nodes is None else on_other_nodes(nodes),
        )
        self.node_sessions = None if nodes is None else NodeSessions(self.sessions, nodes, limits.connections_per_account, settings.workers)
        self.index = FullText(settings.data / "search.db", KEPT_VERSION, elsewhere.damaged)
        resolvers = [(one.host, one.port) for one in settings.mx.resolvers]
        dkim, arc = settings.dkim, settings.arc
        self.signing = Signing(store, SigningRules(settings.hostname, int(dkim.expires), dkim.parents, arc.domain.lower()))
        authenticating = Authenticating(TextRecords(resolvers), arc.trusted_authserv_ids) if arc.seal else None
        self.delivery = Delivery(
            store,
            files,
            DeliveryRules(
                hostname=settings.hostname,
                relays=settings.relay is not None,
                hops=limits.hops,
                quota_rejects=settings.quota_full == "reject",
                lifetime=int(settings.queue.lifetime * 1_000_000),
                trusted=tuple(arc.trusted_authserv_ids),
            ),
            self.signing,
            authenticating,
            _robot(settings),
            QueueRoom(limits.queue),
        )
        self.recalls = Recalls(store, files, self.delivery)
        self.folders = Folders(store, files, self.index, self.recalls)
        self.submission = Submission(store, self.delivery, self.folders, SubmissionRules(limits.header_size, limits.header_fields))
        resolver = Resolver([(one.host, one.port) for one in settings.mx.resolvers], validates=settings.mx.dane)
        self.policies = _policies(settings, resolver, store.floor)
        steps = Clock(store)
        self.queue = Queue(
            store,
            files,
            self.delivery,
            _relay(settings, resolver, self.policies),
            QueueRules(settings.queue.retries, settings.queue.delay, settings.queue.concurrency, settings.queue.destination_concurrency),
            Releases(store, self.submission, self.delivery),
            self.signing,
            Moderation(store, self.delivery),
            clock=steps,
        )
        self.list_chores = ListChores(store, self.delivery)
        self.notices = Notices(store, self.delivery, self.login)
        self.quota_warnings = QuotaWarnings(store, self.delivery)
        self.grant_warnings = GrantWarnings(store, self.delivery)
        self.indexing = Indexing(store, files, self.index, elsewhere.indexed)
        names = {name.lower() for name in (settings.hostname, arc.domain) if name}
        premises = Premises(
            settings.data,
            files,
            self.index.faults,
            keep_deleted=int(settings.account.keep_deleted * 1_000_000),
            delivery=self.delivery,
        )
        self.directory = Directory(
            store,
            self.folders,
            self.passwords.verifiers,
            self.delivery,
            premises,
            TextRecords(resolvers, cached=False),
            names,
            self.recalls,
            Seals(settings.data),
            app_password_key=self.passwords.app_password_key,
            totp_key=self.passwords.totp_key,
            verify=self.passwords.verify,
            steps=steps,
        )
        self.housekeeping = Housekeeping(
            store,
            files,
            self.directory.trail.sealed,
            Digests(store, self.delivery).round,
            DomainWarnings(store, self.delivery).round,
            self.refusals.forget,
            clock=steps,
        )
        self.timekeeping = Timekeeping(store)
        self.explain = Explain(store)
        live = self.node_sessions or elsewhere.live or Here(self.sessions)
        sessions = OpenSessions(store, self.directory.records, live, self.history)
        self.desk = Desk(self.directory, self.explain, sessions, scratch_of(settings.store_url, settings.data, clock), self.refusals)

    def _is_exempt(self, address: str) -> bool:
        if not address:
            return True
        ip = ip_address(address.partition("%")[0])
        return any(ip.version == network.version and ip in network for network in self.settings.limits.exempt_networks)


@asynccontextmanager
async def opened(settings: Settings, elsewhere: Elsewhere | None = None, store: Store | None = None) -> AsyncIterator[App]:
    """The store taken and migrated, unless it is given, and the services built on it. Raises store.errors.InUse, store.errors.Unusable,
    OSError."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        make_directory(settings.data)
    except OSError as error:
        raise Unusable(f"data: {settings.data} cannot be made: {error.strerror}") from None
    if store is None:
        store = await connect(settings.store_url, settings.data, staleness=settings.policy_max_staleness)
    try:
        if isinstance(store, PostgresStore):
            await _agree(store.nodes, settings.data)
        shared = is_shared(settings.store_url)
        in_row = IN_ROW if not shared else settings.objects.above if settings.objects.url else ALL_IN_ROWS
        files = await furnished(settings.objects, Files(settings.data / "messages", in_row, on_disk=not shared), store)
        app = App(settings, store, files, elsewhere or Elsewhere())
        try:
            yield app
        finally:
            await app.login.idle()
            await app.history.close()
            await app.refusals.close()
            await app.sessions.idle()
            await app.folders.close()
            app.passwords.close()
            app.index.close()
            if app.issuer is not None:
                app.issuer.close()
            if app.policies is not None:
                app.policies.close()
    finally:
        await store.close()


async def why_unusable(url: str) -> str | None:
    """Why the server that a store is on cannot be used, for an operator; None: it can, or there is none. Changes nothing."""
    try:
        if is_shared(url):
            await inspected_server(url)
    except Unusable as fault:
        return str(fault)
    return None


async def why_doubtful(url: str, data: Path) -> str | None:
    """What is wrong with the clock by what the store knows, and what to do, for an operator; None: nothing. Changes nothing."""
    try:
        behind = await clock_behind(url, data)
    except Unusable as fault:
        return f"what time was known there cannot be told: {fault}"
    if not behind:
        return None
    whose = "of the database" if is_shared(url) else "of this machine"
    return (
        f"the clock {whose} is {behind // 1_000_000} s behind the time that was known here: it was set back, or was ahead before. What has"
        " ended stays ended, and time goes on from there. Set the clock right; if it is right now: procura clock accept"
    )


def _digest_key(data: Path) -> bytes:
    """The key under which wrong passwords are known again, made at the first start; readable by the owner only."""
    path = data / "secret.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        keep(path, key)
        return key


async def _agree(nodes: Nodes, data: Path) -> None:
    """All that share a database must have one key: what is sealed or made with it on one is to be known on the others. Raises Unusable."""
    path = data / "secret.key"
    try:
        there = await nodes.fingerprint(path.name)
        if there is not None and not path.exists():
            raise Unusable(f"{path} is missing: copy it from another server that uses this database")
        own = hashlib.sha256(b"procura " + _digest_key(data)).digest()
        if await nodes.fingerprint(path.name, own) != own:
            raise Unusable(f"{path} is not the one of the other servers that use this database: copy it from one of them")
    except Busy as fault:
        raise Unusable(f"the store: {fault}") from fault


def _robot(settings: Settings) -> ListRobot:
    lists = settings.lists
    rules = RobotRules(
        settings.hostname,
        int(lists.confirmation * 1_000_000),
        int(lists.decision * 1_000_000),
        lists.answers,
        BounceRules(lists.bounce_limit, int(lists.bounce_forget * 1_000_000)),
    )
    return ListRobot(rules, Tags(_digest_key(settings.data)))


def _issuer(settings: Settings, floor: Floor) -> Issuer | None:
    oauth = settings.oauth
    if oauth.issuer is None:
        return None
    tokens = TokenRules(oauth.issuer, oauth.audience, oauth.claim, oauth.algorithms, oauth.scope, oauth.leeway)
    return Issuer(
        tokens, IssuerRules(oauth.jwks_url or "", oauth.lifetime, oauth.refresh, oauth.outage), now=floor.now, machine=floor.machine
    )


def _policies(settings: Settings, resolver: Resolver, floor: Floor) -> Policies | None:
    mx = settings.mx
    if not mx.sts or not isinstance(settings.relay, MailExchangers):
        return None
    rules = PolicyRules(settings.data / "sts", mx.refused_networks, mx.authorities, mx.sts_port)
    return Policies(resolver, rules, now=lambda: floor.now() / 1_000_000)


def _relay(settings: Settings, resolver: Resolver, policies: Policies | None) -> Relay | None:
    relay = settings.relay
    if relay is None:
        return None
    if isinstance(relay, MailExchangers):
        mx = settings.mx
        tls = Tls.REQUIRED if mx.tls == "required" else Tls.IF_OFFERED
        rules = ExchangerRules(settings.hostname, mx.refused_networks, tls, mx.dane, mx.port)
        exchangers = Exchangers(resolver, rules, policies)
        return Relay(exchangers, settings.hostname, settings.queue.reply_timeout, authorities=mx.authorities)
    password = None if relay.password is None else relay.password.get_secret_value()
    tls_needed = not relay.loopback or settings.relay_authorities is not None
    hop = NextHop(relay.host, relay.port, relay.implicit_tls, tls_needed, relay.username, password, settings.relay_token, relay.others)
    return Relay(hop, settings.hostname, settings.queue.reply_timeout, authorities=settings.relay_authorities)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[App, Bound, Callable[[], None]]]:
    """The application with its listeners and tasks. Gives the app, where it listens, and what reads the certificate again.

    Raises what `opened` raises, and OSError where an address cannot be had.
    """
    async with opened(settings) as app, AsyncExitStack() as doors:
        certificate = certificate_of(settings)
        bound: Bound = {}
        await doors.enter_async_context(mail_doors(app, certificate, bound))
        async with working(app, doors):
            yield app, bound, certificate.reload


@asynccontextmanager
async def working(app: App, doors: AsyncExitStack) -> AsyncIterator[None]:
    """Whatever there is once, however many processes serve: the control socket and the tasks that see to queue, mails and order. At the
    end the queue begins nothing more, then `doors` close, and the others stop."""
    sweep(app.settings.data)
    await doors.enter_async_context(_control_door(app))
    watched = (app.queue.told, app.indexing.told, app.quota_warnings.told, app.list_chores.told, app.grant_warnings.told)
    watching = [app.store.watch(told) for told in watched]
    async with asyncio.TaskGroup() as group:
        runs = [app.queue.run(), app.notices.run(), app.quota_warnings.run(), app.housekeeping.run(), app.indexing.run()]
        runs += [app.list_chores.run(), app.grant_warnings.run(), app.timekeeping.run()]
        if app.policies is not None:
            runs.append(app.policies.run())
        tasks = [group.create_task(work) for work in runs]
        try:
            yield
        finally:
            queue, *others = tasks
            queue.cancel()  # what it is handing on comes to its end while the doors close
            await doors.aclose()
            for task in others:
                task.cancel()
            if app.store.leads:
                await app.timekeeping.last()
            for unwatch in watching:
                unwatch()


async def serve(settings: Settings, readiness: Readiness) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP reads the certificate again. Raises as `serving`."""
    raise_descriptors()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with serving(settings) as (_, bound, reload):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, read_again, reload)
        readiness.serving(bound)
        look_seldom()
        log.info("serving", extra={"fields": {"outcome": ", ".join(f"{name} {' '.join(where)}" for name, where in bound.items() if where)}})
        await stop.wait()
        readiness.stopping()
        log.info("stopping", extra={"fields": {}})


def read_again(reload: Callable[[], None]) -> None:
    """The certificate; what is wrong with it is on the log."""
    try:
        reload()
    except (OSError, ssl.SSLError) as fault:
        log.error("tls", extra={"fields": {"outcome": "the certificate stays as it was", "reason": str(fault)}})
    else:
        log.info("tls", extra={"fields": {"outcome": "certificate read again"}})


def raise_descriptors() -> None:
    """As many descriptors as the system lets us have: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def certificate_of(settings: Settings) -> Certificate:
    """The one that is set, or one that is made at the first start. Raises OSError, ssl.SSLError."""
    if settings.tls.certificate is not None and settings.tls.key is not None:
        files = settings.tls.certificate, settings.tls.key
    else:
        files = self_signed(settings.data, settings.hostname)
    return Certificate(*files, binds=settings.auth.channel_binding)


def bind(settings: Settings) -> Binding:
    """The sockets of all mail listeners, for processes that inherit them. Raises OSError."""
    listen = settings.listen
    binding = Binding()
    try:
        for name, addresses in (
            ("submission", listen.submission),
            ("submissions", listen.submissions),
            ("mx", listen.mx),
            ("lmtp", listen.lmtp),
            ("imap", listen.imap),
            ("imaps", listen.imaps),
            (POLICY, listen.policy),
        ):
            binding.bind(name, addresses)
    except BaseException:
        binding.close()
        raise
    return binding


@asynccontextmanager
async def mail_doors(app: App, certificate: Certificate, bound: Bound, sockets: Sockets | None = None) -> AsyncIterator[None]:
    """All mail listeners, on `sockets` where they are bound already. They close side by side, so that peers who neither read nor leave
    cost limits.stop_timeout once."""
    limits = app.settings.limits
    connections = ConnectionLimits(
        limits.connections,
        limits.connections_per_source,
        limits.exempt_networks,
        app.tallies.connections,
        limits.connections_reserved,
        _kinds_of_doors(app.settings),
    )
    give_back_what_is_large()
    arriving = bounded(limits.arriving, limits.message_size, app.settings.workers)
    if arriving < limits.arriving:
        log.warning("memory", extra={"fields": {"outcome": f"limits.arriving is {arriving >> 20} MiB here", "reason": "there is no more"}})
    intake = Intake(arriving, app.tallies.arriving)
    entered: list[AbstractAsyncContextManager[None]] = []
    unwatch = app.store.watch(app.sessions.told)
    try:
        for door in (
            _smtp_doors(app, certificate, bound, connections, intake, sockets),
            _imap_doors(app, certificate, bound, connections, intake, sockets),
            _neighbour_door(app, bound, connections, sockets),
        ):
            await door.__aenter__()
            entered.append(door)
        yield
    finally:
        await asyncio.gather(*(door.__aexit__(None, None, None) for door in entered))
        unwatch()


def _kinds_of_doors(settings: Settings) -> Sequence[str]:
    listen = settings.listen
    kinds = {
        IMAP: (*listen.imap, *listen.imaps),
        SUBMISSION: (*listen.submission, *listen.submissions),
        "mx": listen.mx,
        "lmtp": listen.lmtp,
        POLICY: listen.policy,
    }
    return [kind for kind, addresses in kinds.items() if addresses]


@asynccontextmanager
async def _smtp_doors(
    app: App, certificate: Certificate, bound: Bound, connections: ConnectionLimits, intake: Intake, sockets: Sockets | None
) -> AsyncIterator[None]:
    settings = app.settings
    limits = settings.limits
    wheel = Wheel(asyncio.get_running_loop())
    clients = connections.door(SUBMISSION)
    ours = Limits(
        line=limits.smtp_line,
        auth_line=limits.smtp_auth_line,
        message_size=limits.message_size,
        recipients=limits.recipients,
        bad_commands=limits.bad_commands,
        bad_commands_before_login=limits.bad_commands_before_login,
        failed_logins=limits.failed_logins,
        login_timeout=limits.login_timeout,
        command_timeout=limits.smtp_timeout,
        data_timeout=limits.data_timeout,
        session_timeout=limits.session_timeout,
        output_timeout=limits.output_timeout,
        tls_timeout=limits.tls_timeout,
    )

    def terms(name: str, *, login: bool, implicit: bool = False, tls: bool = True) -> Terms:
        return Terms(
            name,
            settings.hostname,
            ours,
            tls=(lambda: certificate.context) if tls else None,
            implicit_tls=implicit,
            mechanisms=app.mechanisms if login else (),
            plaintext_login=settings.auth.plaintext,
            bare_newline=settings.bare_newline,
            hold=int(settings.queue.hold) if login else 0,
            proxies=settings.proxy_networks,
            neighbours=settings.xclient_networks,
            clock=app.store.floor.now,
        )

    def client() -> SubmissionHooks:
        return SubmissionHooks(
            app.login, app.submission, app.sessions, hostname=settings.hostname, closed_reply=settings.closed_reply, refusals=app.refusals
        )

    def mx() -> InboundHooks:
        return InboundHooks(app.delivery, hostname=settings.hostname, closed_reply=settings.closed_reply, refusals=app.refusals)

    def lmtp() -> LmtpHooks:
        return LmtpHooks(app.delivery, hostname=settings.hostname, closed_reply=settings.closed_reply, refusals=app.refusals)

    starttls, implicit = terms("submission", login=True), terms("submissions", login=True, implicit=True)
    strangers = House(wheel, connections.door("mx"), intake)
    trusted = House(wheel, Neighbours(settings.lmtp_networks, connections.door("lmtp")), intake)
    doors: tuple[tuple[Sequence[ListenAddress], Listener], ...] = (
        (settings.listen.submission, Listener(HardenedSMTP, starttls, House(wheel, clients, intake), client)),
        (settings.listen.submissions, Listener(HardenedSMTP, implicit, House(wheel, clients, intake), client)),
        (settings.listen.mx, Listener(HardenedSMTP, terms("mx", login=False), strangers, mx)),
        (settings.listen.lmtp, Listener(HardenedLMTP, terms("lmtp", login=False, tls=False), trusted, lmtp)),
    )
    started: list[Listener] = []
    try:
        for addresses, listener in doors:
            bound[listener.name] = [*await listener.start(addresses if sockets is None else sockets[listener.name])]
            started.append(listener)
        yield
    finally:
        await asyncio.gather(*(listener.close(limits.stop_timeout) for listener in started))


@asynccontextmanager
async def _imap_doors(
    app: App, certificate: Certificate, bound: Bound, connections: ConnectionLimits, intake: Intake, sockets: Sockets | None
) -> AsyncIterator[None]:
    settings = app.settings
    limits = settings.limits
    wheel = Wheel(asyncio.get_running_loop())
    changes = Changes(app.store, wheel, wall_clock=app.store.floor.now, first=app.tallies.process << 40)
    listener = ImapListener(
        app.folders,
        app.login,
        app.sessions,
        changes,
        wheel,
        connections.door(IMAP),
        hostname=settings.hostname,
        tls=lambda: certificate.context,
        shared_prefix=settings.imap.shared_prefix,
        refusals=app.refusals,
        plaintext_login=settings.auth.plaintext,
        mechanisms=app.mechanisms,
        intake=intake,
        limits=ImapLimits(
            line=limits.imap_line,
            line_before_login=limits.imap_line_before_login,
            literal=limits.imap_literal,
            literal_before_login=limits.imap_literal_before_login,
            message_size=limits.message_size,
            messages=limits.imap_messages,
            watched=limits.imap_watched,
            bad_commands=limits.bad_commands,
            bad_commands_before_login=limits.bad_commands_before_login,
            failed_logins=limits.failed_logins,
            tls_timeout=limits.tls_timeout,
            login_timeout=limits.login_timeout,
            idle_timeout=limits.imap_timeout,
            data_timeout=limits.data_timeout,
            output_backlog=limits.output_backlog,
            output_timeout=limits.output_timeout,
        ),
    )
    try:
        for name, addresses, mode in (
            ("imap", settings.listen.imap, TlsMode.STARTTLS),
            ("imaps", settings.listen.imaps, TlsMode.IMPLICIT),
        ):
            bound[name] = []
            for inherited in () if sockets is None else sockets[name]:
                await listener.listen(inherited, mode)
            for address in addresses if sockets is None else ():
                if isinstance(address, TcpAddress):
                    host, port = await listener.start(address.host, address.port, mode)
                    bound[name].append(str(TcpAddress(host, port)))
        yield
    finally:
        await listener.close(limits.stop_timeout)
        changes.close()


@asynccontextmanager
async def _neighbour_door(app: App, bound: Bound, connections: ConnectionLimits, sockets: Sockets | None) -> AsyncIterator[None]:
    settings = app.settings
    logins = Logins(app.store, app.submission)
    access = Access(
        app.store,
        app.login,
        app.submission,
        app.delivery,
        trusted=settings.lmtp_networks,
        closed_reply=settings.closed_reply,
        refusals=app.refusals,
    )
    listener = NeighbourListener(
        Maps(app.store, app.delivery, logins).answer,
        access.action,
        Wheel(asyncio.get_running_loop()),
        Neighbours(settings.policy_networks, connections.door(POLICY)),
    )
    unwatch = app.store.watch(logins.told)
    try:
        bound[POLICY] = [*await listener.start(settings.listen.policy if sockets is None else sockets[POLICY])]
        yield
    finally:
        await listener.close(settings.limits.stop_timeout)
        unwatch()


@asynccontextmanager
async def _control_door(app: App) -> AsyncIterator[None]:
    """Last in, first out: no verb is begun any more while mail connections drain."""
    control = Control(app.settings.data, app.desk)
    await control.start()
    try:
        yield
    finally:
        await control.close()
