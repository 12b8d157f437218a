"""Every setting: its type, its default, and the sentence that says what it means."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.addresses import (
    ListenAddress,
    MailExchangers,
    Network,
    RelayAddress,
    TcpAddress,
    read_listen_address,
    read_network,
    read_relay,
    read_resolver,
)
from config.amounts import read_duration, read_size, write_duration, write_size


def _read_list(value: object) -> object:
    """A list as TOML has it, or as a text: JSON, or items parted by commas or blanks."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [item for item in re.split(r"[,\s]+", value) if item]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('is no list: write ["first", "second"], or first,second') from None


def _read_text_or_none(value: object) -> object:
    return None if value == "" else value


Duration = Annotated[float, BeforeValidator(read_duration), PlainSerializer(write_duration)]
Size = Annotated[int, BeforeValidator(read_size), PlainSerializer(write_size)]
Count = Annotated[int, Field(ge=1)]
Listener = Annotated[ListenAddress, PlainValidator(read_listen_address), PlainSerializer(str)]
Listeners = Annotated[tuple[Listener, ...], BeforeValidator(_read_list)]
Source = Annotated[Network, PlainValidator(read_network), PlainSerializer(str)]
Networks = Annotated[tuple[Source, ...], BeforeValidator(_read_list)]
Durations = Annotated[tuple[Duration, ...], BeforeValidator(_read_list), Field(min_length=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_read_list)]
Algorithms = Annotated[tuple[Literal["RS256", "ES256", "EdDSA"], ...], BeforeValidator(_read_list), Field(min_length=1)]
Url = Annotated[str | None, BeforeValidator(_read_text_or_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_read_text_or_none)]
Relay = Annotated[
    RelayAddress | MailExchangers | None,
    PlainValidator(read_relay),
    PlainSerializer(lambda relay: None if relay is None else str(relay)),
]
Resolver = Annotated[TcpAddress, PlainValidator(read_resolver), PlainSerializer(str)]
Resolvers = Annotated[tuple[Resolver, ...], BeforeValidator(_read_list)]

LOOPBACK: Final = (read_network("127.0.0.0/8"), read_network("::1"))
NO_EXCHANGERS: Final = tuple(
    map(read_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"))
)
"""This host and this link (RFC 6890), multicast, reserved."""


def _listeners(*texts: str) -> tuple[ListenAddress, ...]:
    return tuple(map(read_listen_address, texts))


class Group(BaseModel):
    """Settings that share the first part of their name."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Listen(Group):
    """Where each protocol is spoken; an empty list switches it off."""

    submission: Listeners = Field(default=_listeners("127.0.0.1:1587"), description="SMTP submission with STARTTLS (RFC 6409).")
    submissions: Listeners = Field(
        default=_listeners("127.0.0.1:1465"),
        description="SMTP submission over implicit TLS (RFC 8314).",
    )
    lmtp: Listeners = Field(
        default=_listeners("127.0.0.1:1024"),
        description="LMTP in, from an MTA (RFC 2033); unix:/path is better, for only this machine can reach it.",
    )
    mx: Listeners = Field(default=(), description="SMTP in without authentication, for local recipients only (RFC 5321).")
    imap: Listeners = Field(default=_listeners("127.0.0.1:1143"), description="IMAP with STARTTLS (RFC 3501).")
    imaps: Listeners = Field(default=_listeners("127.0.0.1:1993"), description="IMAP over implicit TLS (RFC 8314).")
    policy: Listeners = Field(
        default=(),
        description="For a Postfix that asks us who may send from an address and who lives here (socketmap) and whether mail may come in "
        "(policy delegation); unix:/path is better, for only this machine can reach it.",
    )
    admin: Listeners = Field(
        default=(),
        description="HTTP for administrators; this version has no HTTP door, so nothing listens here yet.",
    )


class Tls(Group):
    """The certificate shown to clients."""

    certificate: OptionalPath = Field(
        default=None,
        description="PEM file with the certificate and its chain; without one a self-signed certificate is made in data. Read "
        "again on SIGHUP.",
    )
    key: OptionalPath = Field(
        default=None,
        description="PEM file with the private key of tls.certificate, not encrypted. Read again on SIGHUP.",
    )


class Auth(Group):
    """How people prove who they are."""

    plaintext: bool = Field(
        default=False,
        description="PLAIN and LOGIN without TLS; for tests and benchmarks on loopback listeners only.",
    )
    channel_binding: bool = Field(
        default=True,
        description="SCRAM-SHA-256-PLUS, bound to our certificate (tls-server-end-point, RFC 5929). Clients that cannot bind in this "
        "way, but take it wherever it is offered (neomutt with GNU SASL), fail: false where people use such.",
    )


class Oauth(Group):
    """Tokens of an issuer (OAuth 2.0, OpenID Connect) instead of passwords: OAUTHBEARER and XOAUTH2."""

    issuer: Url = Field(
        default=None,
        description="The issuer, spelled exactly as its tokens have it in iss; https, or http on this machine. None: no token is taken.",
    )
    jwks_url: Url = Field(
        default=None,
        description="Where its keys are (RFC 7517); none: as issuer/.well-known/openid-configuration says.",
    )
    audience: Texts = Field(
        default=(),
        description="What a token's aud has to name, one of these; tokens for other services are not for us.",
    )
    claim: str = Field(
        default="email",
        min_length=1,
        description="The claim that has the account's address or an alias of it; people must not be able to choose it themselves.",
    )
    scope: str = Field(default="", description="A scope that a token needs; none: any token for our audience will do.")
    algorithms: Algorithms = Field(
        default=("RS256", "ES256", "EdDSA"),
        description="Signatures that are taken (RFC 7518, RFC 8037); never none, and never a secret that the issuer shares.",
    )
    leeway: Duration = Field(
        default=30,
        le=600,
        description="Time by which the issuer's clock may differ from ours.",
    )
    end_sessions: bool = Field(
        default=True,
        description="A session ends when its token expires: what was withdrawn at the issuer shows in that alone.",
    )
    lifetime: Duration = Field(
        default=3_600,
        gt=0,
        description="Time after which the issuer's keys are asked for anew: a key it took back is good for so long.",
    )
    refresh: Duration = Field(
        default=60,
        gt=0,
        description="Least time between two questions to the issuer, so that tokens with made-up keys make no traffic.",
    )
    outage: Duration = Field(
        default=86_400,
        description="For how much longer keys are used that cannot be asked for anew; then logins are told to come back.",
    )


class Imap(Group):
    """How folders appear in IMAP."""

    shared_prefix: str = Field(
        default="Other Users/",
        description='Where other people\'s folders appear (RFC 2342); ends with "/".',
    )


class Mx(Group):
    """Delivery to the servers that each domain names in the DNS, with relay = "mx"."""

    tls: Literal["opportunistic", "required"] = Field(
        default="opportunistic",
        description="STARTTLS wherever it is offered, without asking whose certificate it is, as servers do among each other (RFC 7435), "
        "else in the clear; or never in the clear. Domains may ask for more by MTA-STS and DANE.",
    )
    sts: bool = Field(
        default=True,
        description="Domains that publish an MTA-STS policy (RFC 8461) get their mail as it says: only under TLS, with a certificate for "
        "the server's name, or it waits. Needs https to those domains; where that cannot be had, nothing changes for a domain until it "
        "once could. Only who asks for it is kept waiting, hence on.",
    )
    sts_port: int = Field(default=443, ge=1, le=65_535, description="Port of the servers with policies; 443 unless in tests.")
    dane: bool = Field(
        default=False,
        description="Servers with signed TLSA records (RFC 7672) get mail only under TLS with what those vouch for, or it waits; comes "
        "before MTA-STS. Needs mx.resolvers that validate DNSSEC and cannot be impersonated on the way (best on this machine): their word "
        "that an answer is signed is believed.",
    )
    authorities: OptionalPath = Field(
        default=None,
        description="PEM file with the authorities that may vouch for servers with an MTA-STS policy, and for those that have them; "
        "none: those of the system.",
    )
    resolvers: Resolvers = Field(
        default=(),
        description="Resolvers to ask, by IP address, :port where it is not 53; none: those of the system.",
    )
    refused_networks: Networks = Field(
        default=NO_EXCHANGERS,
        description="Where no mail exchanger is, whatever the DNS says: this machine and this link, so that no domain can have us talk "
        "to ourselves. Add your own networks where mail must not be sent to.",
    )
    port: int = Field(default=25, ge=1, le=65_535, description="Port of all of them; 25 unless in tests.")


class Objects(Group):
    """Large messages in an object store instead of the directory of data: for several nodes, and for more mail than one disk takes."""

    url: Url = Field(
        default=None,
        description="s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///path; none: they are files below data.",
    )
    above: Size = Field(
        default=64 * 1024,
        ge=64 * 1024,
        description="Messages larger than this go there; on SQLite those up to 128 KiB are in the database, any between the two in files "
        "of this machine.",
    )
    endpoint: Url = Field(
        default=None, description="Where an S3 that is not Amazon's is, http://host:port or https://host; none: as url says."
    )
    region: str = Field(default="", description="The region of an S3 bucket, where its service wants one.")
    credentials: OptionalPath = Field(
        default=None,
        description="File with one NAME=value in a line, names as the provider's own tools know them in the environment "
        "(AWS_ACCESS_KEY_ID, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_KEY ...); none: that environment, or the machine's identity.",
    )
    timeout: Duration = Field(
        default=30,
        gt=0,
        le=300,
        description="Time for one message to be written or read there, with all that is tried again; then the peer is asked to come "
        "back later.",
    )


class Dkim(Group):
    """Signatures on mail that leaves (RFC 6376); keys: procura dkim."""

    expires: Duration = Field(
        default=0,
        ge=0,
        le=400 * 86_400,
        description="Time for which a signature is good (x=), counted from when the message leaves; a week at least, for mail may wait on "
        "its way. 0: without an end.",
    )
    parents: bool = Field(
        default=False,
        description="Where From's own domain has no key, one of a domain above it signs: mail of host.acme.test with the key of acme.test.",
    )


class Arc(Group):
    """Seals (RFC 8617) on mail from outside that lists send on to other places, made with keys of procura dkim."""

    seal: bool = Field(
        default=True,
        description="Such mail is sealed where there is an RSA key for it; its sender then waits until the DNS has told the keys of the "
        "signatures that it came with, at most 10 seconds.",
    )
    domain: str = Field(
        default="",
        description="The domain that seals, as A-label; none: the list's own.",
    )
    trusted_authserv_ids: Texts = Field(
        default=(),
        description="Servers in front of this one whose Authentication-Results go into the seal, by the name they write into it; only from "
        "who hands mail in by LMTP. They have to remove such fields that strangers made up (RFC 8601 section 5); what comes to "
        "`listen.mx` or is submitted loses those in their names here.",
    )


class Queue(Group):
    """How mail for other places is handed on and tried again."""

    lifetime: Duration = Field(
        default=5 * 86_400,
        gt=0,
        description="Time until mail that cannot be handed on bounces; RFC 5321 section 4.5.4.1 asks for at least 4 to 5 days.",
    )
    retries: Durations = Field(
        default=(60, 300, 900, 1_800, 3_600, 7_200, 14_400),
        description="Waits between attempts, the last one repeats, each up to a tenth longer by chance; short at first because most "
        "faults are, then sparing a server that is down. A destination that cannot be reached is asked by one message at these waits.",
    )
    delay: Duration = Field(
        default=14_400,
        description="Time after which the sender is told once that mail is delayed; 4 hours is what people notice. 0: never.",
    )
    concurrency: Count = Field(
        default=50,
        le=1_000,
        description="Messages being handed on at the same time, to all destinations together; each may take its octets of memory.",
    )
    destination_concurrency: Count = Field(
        default=10,
        le=1_000,
        description="Connections to one destination (the relay, or with mx one domain) at the same time; what servers commonly allow one "
        "client.",
    )
    reply_timeout: Duration = Field(
        default=300,
        gt=0,
        description="Time for each answer of another server, twice that for its answer to a whole message; RFC 5321 section 4.5.3.2 asks "
        "for 5 and 10 minutes. Where there are several servers the first greeting of each has 30 s at most.",
    )
    hold: Duration = Field(
        default=30 * 86_400,
        ge=0,
        le=999_999_999,
        description="Time for which a client may ask that a message be held before it is sent (FUTURERELEASE, RFC 4865). 0: not offered.",
    )


class Lists(Group):
    """What mailing lists do by themselves."""

    confirmation: Duration = Field(
        default=3 * 86_400,
        gt=0,
        le=999_999_999,
        description="Time until which whoever asked by mail to join or leave a list has to confirm it.",
    )
    decision: Duration = Field(
        default=14 * 86_400,
        gt=0,
        le=999_999_999,
        description="Time until which an owner has to decide about a post or a request that waits; two weeks, for owners take holidays.",
    )
    answers: Count = Field(
        default=10,
        le=1_000,
        description="Mails that lists write by themselves to one address in a day, so that nobody can have them sent to another on and on.",
    )
    bounce_limit: Count = Field(
        default=5,
        le=1_000,
        description="Days with mail that came back after which nothing more is sent to a member elsewhere; a full mailbox or a broken "
        "server is mended sooner.",
    )
    bounce_forget: Duration = Field(
        default=14 * 86_400,
        gt=0,
        le=999_999_999,
        description="Time without mail that comes back after which what came back before counts no more.",
    )


class Password(Group):
    """What a stored password costs to check (argon2id, RFC 9106), and to guess from what SCRAM needs to know of it."""

    memory: Size = Field(
        default=19 << 20,
        ge=8 << 10,
        le=4 << 30,
        description="Memory of one check; 19 MiB with 2 passes is the usual recommendation for logins, about 15 to 30 ms.",
    )
    passes: Count = Field(default=2, le=100, description="Passes over that memory.")
    lanes: Count = Field(
        default=1,
        le=64,
        description="Lanes, computed in parallel; 1 because many logins run side by side already.",
    )
    threads: Count = Field(
        default=2,
        le=256,
        description="Checks at the same time, so that a flood of logins leaves processors to everybody else.",
    )
    waiting: Count = Field(
        default=200,
        le=100_000,
        description='Logins that may wait for a check; beyond it the answer is "try again later", within seconds rather than minutes.',
    )
    scram_iterations: int = Field(
        default=60_000,
        ge=0,
        le=10_000_000,
        description="Iterations of PBKDF2 for SCRAM-SHA-256, computed by the client at each login: RFC 7677 asks for at least 4096, "
        "Cyrus' clients take at most 65536. Accounts get it with their next password or PLAIN login. 0: no SCRAM, nothing kept for it.",
    )


class Limits(Group):
    """What one peer may use up; every number is enforced where octets enter."""

    exempt_networks: Networks = Field(
        default=LOOPBACK,
        description="Sources to which the limits per source do not apply (connections, failed logins); the lockout per account still does.",
    )
    connections: Count = Field(
        default=10_000,
        description="Connections altogether; more are told to come back (421, BYE). Enough for a few thousand people.",
    )
    connections_reserved: int = Field(
        default=200,
        ge=0,
        description="Of these, kept for each kind of door that listens (imap, submission, mx, lmtp, policy), at most a tenth: thousands of "
        "mail clients that idle must not keep mail out. A mail server next to us needs tens.",
    )
    connections_per_source: Count = Field(
        default=100,
        description="Connections from one IPv4 address or IPv6 /64; an office behind one address needs tens, Postfix allows 50.",
    )
    connections_per_account: Count = Field(
        default=100,
        description="Sessions logged in as one account; several clients with a handful each, and what a stolen password can hold.",
    )
    smtp_line: Size = Field(
        default=4_096,
        ge=512,
        description="One SMTP command with its CRLF; RFC 5321 asks for 512 and extensions for more, Dovecot takes 4 KiB.",
    )
    smtp_auth_line: Size = Field(
        default=12_288,
        ge=512,
        description="One line of an AUTH exchange; RFC 4954 section 4.1 asks for 12288.",
    )
    imap_line: Size = Field(
        default=65_536,
        ge=1_024,
        description="One IMAP command without its literals; clients send long sets of UIDs, Dovecot takes 64 KiB.",
    )
    imap_line_before_login: Size = Field(
        default=32_768,
        ge=1_024,
        description="The same before login; the longest that a stranger may need is ID with thirty values (RFC 2971).",
    )
    imap_literal: Size = Field(
        default=131_072,
        ge=256,
        description="All literals of one command other than APPEND; search texts and names are short, Cyrus takes 128 KiB.",
    )
    imap_literal_before_login: Size = Field(
        default=4_096,
        ge=256,
        description="The same before login: a user name and a password.",
    )
    imap_messages: int = Field(
        default=1_000_000,
        ge=1_000,
        description="Messages one IMAP command works on (MESSAGELIMIT, RFC 9738): beyond it the newest, or for COPY none. Clients that do "
        "not know the limit take what they get for the whole folder, so it stands above any folder that is in use.",
    )
    imap_watched: Count = Field(
        default=1_000,
        le=10_000,
        description="Folders whose messages one IMAP session follows with NOTIFY (RFC 5465), half a KiB each; people have tens.",
    )
    message_size: Size = Field(
        default=50 << 20,
        ge=1_024,
        description="One message, in SMTP, LMTP and APPEND; what large providers take, encoded attachments included.",
    )
    header_size: Size = Field(
        default=1 << 20,
        ge=1_024,
        description="The header of a message; long Received and DKIM chains stay under 100 KiB.",
    )
    header_fields: Count = Field(default=1_000, description="Fields in the header of a message; real ones have under 200.")
    arriving: Size = Field(
        default=512 << 20,
        ge=1 << 20,
        description="Messages that are arriving on all connections together, in memory; more are told to come back (452 4.3.1, NO "
        "[UNAVAILABLE]). Ten of the largest at a time, or thousands of the usual. Fewer where memory is short: a fifth of what the "
        "system leaves.",
    )
    queue: Count = Field(
        default=1_000_000,
        description="Recipients for whom mail waits: to be sent on, for accounts in maintenance, for a time or a list's owners. Beyond it "
        "such mail is told to come back (452 4.3.1); all else is taken. Two hours at a hundred a second, about 1 GiB of database.",
    )
    recipients: Count = Field(
        default=1_000,
        description="Recipients of one message, then 452 4.5.3; RFC 5321 section 4.5.3.1.8 asks for 100, Postfix takes 1000.",
    )
    hops: Count = Field(
        default=100,
        description="Received fields after which a message is taken for a loop (5.4.6); RFC 5321 section 6.3 asks for at least 100.",
    )
    bad_commands: Count = Field(
        default=20,
        description="Commands with errors until the connection ends; Dovecot and Postfix: 20.",
    )
    bad_commands_before_login: Count = Field(
        default=5,
        description="The same before login, where no mail client errs but scanners do.",
    )
    failed_logins: Count = Field(
        default=3,
        description="Failed logins on one connection until it ends; people mistype once or twice, Stalwart allows 3.",
    )
    failed_logins_per_source: Count = Field(
        default=50,
        description="Failed logins from one source, over all accounts, until it is refused before any password is looked at.",
    )
    failed_logins_window: Duration = Field(default=600, gt=0, description="Time in which limits.failed_logins_per_source counts.")
    tls_timeout: Duration = Field(default=30, gt=0, description="Time for the TLS handshake; seconds on the worst network.")
    login_timeout: Duration = Field(
        default=180,
        gt=0,
        description="Time from connecting to being logged in, whatever is sent; Dovecot: 3 minutes.",
    )
    imap_timeout: Duration = Field(
        default=1_800,
        gt=0,
        description="Time without a command after login, IDLE included; RFC 3501 section 5.4 asks for at least 30 minutes.",
    )
    smtp_timeout: Duration = Field(
        default=300,
        gt=0,
        description="Time to the next whole SMTP or LMTP command; RFC 5321 section 4.5.3.2.7 asks for 5 minutes.",
    )
    data_timeout: Duration = Field(
        default=1_800,
        gt=0,
        description="Time for one whole message, command or literal to arrive; 50 MiB at 30 KiB a second.",
    )
    session_timeout: Duration = Field(
        default=7_200,
        gt=0,
        description="Time an SMTP or LMTP connection may last; MTAs reuse one for minutes, not for hours.",
    )
    output_timeout: Duration = Field(
        default=60,
        gt=0,
        description="Time a peer may leave output unread before the connection is cut.",
    )
    output_backlog: Size = Field(
        default=1 << 20,
        ge=4_096,
        description="Output kept for a peer that reads slowly; above it no further command of it runs.",
    )
    stop_timeout: Duration = Field(
        default=20,
        gt=0,
        description="Time that running commands get to finish after SIGTERM; below the 30 s after which service managers kill.",
    )


class Log(Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important events that are written.",
    )
    format: Literal["text", "json"] = Field(default="text", description="One line per event: name=value pairs, or a JSON object.")


class Account(Group):
    """What happens to accounts, whatever their class of service."""

    keep_deleted: Duration = Field(
        default=30 * 86_400,
        ge=0,
        description="How long a deleted account is kept, seen by nobody, so that it can be restored; 0: not at all.",
    )


class Settings(BaseSettings):
    """All settings. Built from arguments alone; `config.sources.load` is what reads environment and files."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        env_prefix="PROCURA_",
        env_nested_delimiter="__",
        enable_decoding=False,
        case_sensitive=False,
    )

    data: Path = Field(
        default=Path("./var"),
        description="Directory of everything kept: database, messages, self-signed certificate, keys.",
    )
    store: str = Field(
        default="sqlite:///{data}/procura.db",
        description="Where the database is; {data} stands for the setting data. PostgreSQL: postgresql://user:password@host1,host2/database.",
    )
    policy_max_staleness: Duration = Field(
        default=10.0,
        description=(
            "With PostgreSQL: a server that has not heard of the database for so long defers whatever is to be sent or written; "
            "a change of rights waits so long at most for servers that do not answer."
        ),
    )
    secrets_dir: OptionalPath = Field(
        default=None,
        description="Directory with one file per secret setting, named like the setting with __ for the dot (for example relay).",
    )
    hostname: str = Field(
        default_factory=socket.gethostname,
        description="Name of this server in greetings, Received fields and message ids; by default the machine's.",
    )
    listen: Listen = Field(default_factory=Listen)
    lmtp_networks: Networks = Field(default=LOOPBACK, description="Who may hand mail in by LMTP over TCP.")
    policy_networks: Networks = Field(
        default=LOOPBACK,
        description="Who may ask at listen.policy over TCP: what is told there, nobody else should know.",
    )
    proxy_networks: Networks = Field(
        default=(),
        description="Proxies in front of the SMTP and LMTP listeners: connections from there begin with a PROXY header (version 1 or 2) or "
        "are cut off, and count as the client's whom it names.",
    )
    xclient_networks: Networks = Field(
        default=(),
        description="Neighbours that may say by XCLIENT for which client they speak, on submission and mx; nobody else may.",
    )
    tls: Tls = Field(default_factory=Tls)
    auth: Auth = Field(default_factory=Auth)
    oauth: Oauth = Field(default_factory=Oauth)
    relay: Relay = Field(
        default=None,
        description="Smarthost for mail that is not local, smtp://user:password@host:587 (STARTTLS) or smtps://...:465; of several hosts "
        "(host,host:587) the next is asked where one cannot be reached; mx: the servers "
        "that each domain names in the DNS; none: such recipients are refused with 550 5.7.1.",
    )
    relay_authorities: OptionalPath = Field(
        default=None,
        description="PEM file with the authorities that may vouch for the smarthost's certificate; none: those of the system. With "
        "it, TLS is asked of a smarthost on this machine too.",
    )
    relay_token: OptionalPath = Field(
        default=None,
        description="File with an OAuth access token for the smarthost (OAUTHBEARER, XOAUTH2), in place of a password in relay, which "
        "names the user; read at each login, so that it may be renewed at any time.",
    )
    workers: Count = Field(
        default=1,
        description="Processes that speak the protocols on the same sockets, one for each core; above 1, two more: one writes and keeps "
        "the queue, one watches over all. On PostgreSQL each of them but the last has up to 15 connections, and writes for itself.",
    )
    bare_newline: Literal["refuse", "fix"] = Field(
        default="refuse",
        description="A bare CR or LF in a message: refused with 550 5.6.0, or made CRLF; never a boundary either way.",
    )
    closed_reply: Literal["5.2.1", "5.1.1"] = Field(
        default="5.2.1",
        description="How a closed account refuses mail: as disabled (5.2.1), or like an address that does not exist (5.1.1).",
    )
    quota_full: Literal["defer", "reject"] = Field(
        default="defer",
        description="Mail for a full mailbox: 452 4.2.2, so that the sender tries again, or 552 5.2.2, so that it bounces at once.",
    )
    imap: Imap = Field(default_factory=Imap)
    mx: Mx = Field(default_factory=Mx)
    queue: Queue = Field(default_factory=Queue)
    lists: Lists = Field(default_factory=Lists)
    objects: Objects = Field(default_factory=Objects)
    dkim: Dkim = Field(default_factory=Dkim)
    arc: Arc = Field(default_factory=Arc)
    password: Password = Field(default_factory=Password)
    account: Account = Field(default_factory=Account)
    limits: Limits = Field(default_factory=Limits)
    log: Log = Field(default_factory=Log)

    @property
    def store_url(self) -> str:
        """`store` with `data` filled in."""
        return self.store.replace("{data}", str(self.data))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only, so that a test or a tool that builds settings gets what it wrote, whatever the environment."""
        return (init_settings,)


def names() -> dict[str, Any]:
    """Every setting by its dotted name, in the order of this file, with its pydantic field."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            found |= {f"{name}.{inner}": inner_field for inner, inner_field in field.annotation.model_fields.items()}
        else:
            found[name] = field
    return found
