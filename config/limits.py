"""Every bound on what somebody else may use up: how much, why so much, and where it is kept.

`SETTINGS` are the settings that bound something, their defaults and reasons being those of settings.py; `FIXED` is what nobody needs to
change. `python -m config.limits > config/LIMITS.md` writes the page; tests/limits/ has a test at and past each of them.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from config.amounts import write_duration, write_size
from config.settings import Settings, names


@dataclass(frozen=True, slots=True)
class Limit:
    """`where`: FILE:NAME of the constant or of what keeps it. `answer`: what is said past it."""

    name: str
    value: float
    unit: str
    why: str
    where: str
    answer: str


SETTINGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "limits.exempt_networks": ("gateway/smtp/listener.py:ConnectionLimits", "-"),
        "limits.connections": ("gateway/smtp/listener.py:ConnectionLimits", "421 4.3.2, BYE [UNAVAILABLE]"),
        "limits.connections_per_source": ("gateway/smtp/listener.py:ConnectionLimits", "421 4.7.0, BYE [UNAVAILABLE]"),
        "limits.connections_per_account": ("gateway/sessions.py:Sessions", "454 4.7.0, NO [LIMIT]"),
        "limits.smtp_line": ("gateway/smtp/wire.py:Wire", "500 5.5.2"),
        "limits.smtp_auth_line": ("gateway/smtp/wire.py:Wire", "500 5.5.6"),
        "limits.imap_line": ("gateway/imap/framing.py:read_frame", "NO [TOOBIG]"),
        "limits.imap_line_before_login": ("gateway/imap/framing.py:read_frame", "NO [TOOBIG]"),
        "limits.imap_literal": ("gateway/imap/framing.py:read_frame", "NO [TOOBIG]; BYE where it comes unasked"),
        "limits.imap_literal_before_login": ("gateway/imap/framing.py:read_frame", "NO [TOOBIG]; BYE where it comes unasked"),
        "limits.imap_messages": ("gateway/imap/view.py:View", "OK or NO [MESSAGELIMIT]"),
        "limits.imap_watched": ("gateway/imap/handlers/watching.py:Watching", "NO [NOTIFICATIONOVERFLOW]"),
        "limits.message_size": ("gateway/smtp/data.py:DataReader", "552 5.3.4, NO [TOOBIG]"),
        "limits.header_size": ("gateway/message/split.py:read_submitted_header", "550 5.6.0"),
        "limits.header_fields": ("gateway/message/split.py:read_submitted_header", "550 5.6.0"),
        "limits.arriving": ("gateway/intake.py:Intake", "452 4.3.1, NO [UNAVAILABLE]"),
        "limits.queue": ("gateway/queue_room.py:QueueRoom", "452 4.3.1"),
        "limits.recipients": ("gateway/smtp/engine.py:HardenedSMTP", "452 4.5.3"),
        "limits.hops": ("gateway/submission.py:Transaction", "554 5.4.6"),
        "limits.bad_commands": ("gateway/smtp/engine.py:HardenedSMTP", "421 4.7.0, BYE"),
        "limits.bad_commands_before_login": ("gateway/smtp/engine.py:HardenedSMTP", "421 4.7.0, BYE"),
        "limits.failed_logins": ("gateway/smtp/engine.py:HardenedSMTP", "421 4.7.0, BYE"),
        "limits.failed_logins_per_source": ("gateway/sources.py:FailingSources", "454 4.7.0, NO [AUTHENTICATIONFAILED]"),
        "limits.failed_logins_window": ("gateway/sources.py:FailingSources", "-"),
        "limits.tls_timeout": ("gateway/carrier.py:Carrier", "the connection is cut"),
        "limits.login_timeout": ("gateway/smtp/wire.py:Wire", "421 4.4.2, BYE"),
        "limits.imap_timeout": ("gateway/imap/listener.py:Connection", "BYE"),
        "limits.smtp_timeout": ("gateway/smtp/engine.py:HardenedSMTP", "421 4.4.2"),
        "limits.data_timeout": ("gateway/smtp/engine.py:HardenedSMTP", "421 4.4.2, BYE"),
        "limits.session_timeout": ("gateway/smtp/wire.py:Wire", "421 4.4.2"),
        "limits.output_timeout": ("gateway/carrier.py:Carrier", "the connection is cut"),
        "limits.output_backlog": ("gateway/carrier.py:Carrier", "no further command runs"),
        "limits.stop_timeout": ("gateway/imap/listener.py:ImapListener", "421 4.3.2, BYE [UNAVAILABLE]"),
        "password.threads": ("gateway/passwords.py:Passwords", "the others wait"),
        "password.waiting": ("gateway/passwords.py:Passwords", "454 4.7.0, NO [UNAVAILABLE]"),
        "queue.concurrency": ("gateway/queue.py:Queue", "the others wait"),
        "queue.destination_concurrency": ("gateway/queue.py:Queue", "the others wait"),
        "queue.lifetime": ("gateway/queue.py:Queue", "a delivery report"),
        "queue.reply_timeout": ("gateway/outgoing.py:Connection", "the next attempt"),
        "queue.hold": ("gateway/smtp/engine.py:HardenedSMTP", "501 5.5.4"),
    }
)
"""Setting -> where it is kept, and what is said past it. All of `limits.*`, and what bounds others' use elsewhere."""

_FOLDER: Final = "BAD"
_KEPT: Final = "NO [LIMIT]"

FIXED: Final[tuple[Limit, ...]] = (
    # SMTP and LMTP
    Limit("idle commands", 100, "commands between two messages", "NOOP, RSET, EHLO, VRFY: Postfix's smtpd_junk_command_limit", "gateway/smtp/terms.py:Limits.idle_commands", "421 4.7.0"),
    Limit("refused recipients", 50, "of a stranger on a connection", "against address harvesting; lists of mailing software err less", "gateway/smtp/terms.py:Limits.refused_recipients", "421 4.7.0"),
    Limit("PROXY header", 10, "seconds", "a proxy has nothing to wait for", "gateway/smtp/terms.py:Limits.proxy_timeout", "the connection is cut"),
    Limit("last words", 2, "seconds", "a close with octets unread would destroy them (RFC 1122)", "gateway/smtp/terms.py:Limits.linger", "the connection is cut"),
    Limit("pipelined commands", 65_536, "octets", "what may wait behind a command; the rest stays with the peer", "gateway/smtp/wire.py:BACKLOG", "it is read no further"),
    Limit("a line too long", 1 << 20, "octets skipped", "waited out in constant memory, then it is no slip", "gateway/smtp/wire.py:SKIPPED_OCTETS", "500 and the end"),
    Limit("a chunk too long", 4, "times the size of a message", "BDAT: more is not even waited out", "gateway/smtp/engine.py:SKIPPED_CHUNK", "552 5.3.4 and the end"),
    Limit("ENVID", 100, "characters", "RFC 3461 section 4.4", "gateway/dsn.py:MOST_ENVELOPE_ID", "501 5.5.4"),
    Limit("ORCPT", 500, "characters", "RFC 3461 section 4.2", "gateway/dsn.py:MOST_ORIGINAL", "501 5.5.4"),
    # IMAP
    Limit("IMAP pipelined commands", 65_536, "octets", "what may wait behind a command; the rest stays with the peer", "gateway/imap/listener.py:QUEUED", "it is read no further"),
    Limit("IMAP small commands", 65_536, "octets", "so much of every connection needs no room in limits.arriving", "gateway/imap/listener.py:UNCOUNTED", "-"),
    Limit("a line far too long", 16, "times the line", "waited out, then it is no slip", "gateway/imap/framing.py:_PATIENCE", "BYE"),
    Limit("identifiers", 512, "octets", "addresses have 320, groups more", "gateway/imap/grammar/acl.py:MAX_IDENTIFIER", _FOLDER),
    Limit("messages of an APPEND", 1_000, "messages", "MULTIAPPEND; as many as there are literals", "gateway/imap/grammar/append.py:MAX_MESSAGES", _FOLDER),
    Limit("parts of a CATENATE", 1_000, "parts", "drafts have tens", "gateway/imap/grammar/append.py:MAX_PARTS", _FOLDER),
    Limit("matches of a QRESYNC", 10_000, "messages", "RFC 7162 section 3.2.5.2: a hint, of a few hundred", "gateway/imap/grammar/condstore.py:_MOST_MATCHES", _FOLDER),
    Limit("names of an ENABLE", 64, "names", "there are ten", "gateway/imap/grammar/connection.py:MAX_ENABLE", _FOLDER),
    Limit("fields of an ID", 30, "fields", "RFC 2971 section 3.3", "gateway/imap/grammar/connection.py:MAX_ID_PAIRS", _FOLDER),
    Limit("a field of an ID", 30, "octets", "RFC 2971 section 3.3", "gateway/imap/grammar/connection.py:MAX_ID_FIELD", _FOLDER),
    Limit("a value of an ID", 1_024, "octets", "RFC 2971 section 3.3", "gateway/imap/grammar/connection.py:MAX_ID_VALUE", _FOLDER),
    Limit("tags of a CANCELUPDATE", 256, "tags", "ten searches are followed", "gateway/imap/grammar/contexts.py:MAX_TAGS", _FOLDER),
    Limit("items of a FETCH", 256, "items", "clients ask for tens", "gateway/imap/grammar/fetch.py:MAX_ITEMS", _FOLDER),
    Limit("numbers of a section", 100, "numbers", "as deep as MIME is read", "gateway/imap/grammar/fetch.py:MAX_PATH", _FOLDER),
    Limit("fields of a section", 512, "names", "clients ask for tens", "gateway/imap/grammar/fetch.py:MAX_FIELDS", _FOLDER),
    Limit("name of a field", 998, "octets", "RFC 5322 section 2.1.1", "gateway/imap/grammar/fetch.py:MAX_FIELD", _FOLDER),
    Limit("a keyword asked for", 128, "octets", "above what may be stored", "gateway/imap/grammar/flags.py:MAX_KEYWORD", _FOLDER),
    Limit("flags of a list", 256, "flags", "a folder has 63 at most", "gateway/imap/grammar/flags.py:MAX_FLAGS", _FOLDER),
    Limit("patterns of a LIST", 64, "patterns", "clients send one or two", "gateway/imap/grammar/listing.py:MAX_PATTERNS", _FOLDER),
    Limit("options of a LIST", 32, "options", "there are ten", "gateway/imap/grammar/listing.py:MAX_OPTIONS", _FOLDER),
    Limit("entries of a METADATA command", 100, "entries", "Dovecot's and more than clients use", "gateway/imap/grammar/metadata.py:MAX_ENTRIES", _FOLDER),
    Limit("name of an entry", 256, "octets", "/private/vendor/... of real clients has under 100", "gateway/imap/grammar/metadata.py:MAX_ENTRY", _FOLDER),
    Limit("value of an entry", 65_536, "octets", "a signature with a picture; more belongs into a message", "gateway/imap/handlers/metadata.py:MAX_VALUE", "NO [METADATA MAXSIZE]"),
    Limit("entries of a folder", 1_000, "entries", "clients keep tens", "store/annotations.py:MAX_ENTRIES", "NO [METADATA TOOMANY]"),
    Limit("entries of a folder together", 1 << 20, "octets", "read whole by GETMETADATA", "store/annotations.py:MAX_OCTETS", "NO [METADATA TOOMANY]"),
    Limit("groups of a NOTIFY", 64, "groups", "RFC 5465 clients send three", "gateway/imap/grammar/notify.py:MAX_GROUPS", _FOLDER),
    Limit("events of a group", 16, "events", "there are eleven", "gateway/imap/grammar/notify.py:MAX_EVENTS", _FOLDER),
    Limit("things fetched by NOTIFY", 64, "items", "clients ask for a handful", "gateway/imap/grammar/notify.py:MAX_ATTRIBUTES", _FOLDER),
    Limit("mailboxes of a command", 1_000, "names", "NOTIFY and ESEARCH; people have tens of folders", "gateway/imap/grammar/strings.py:MAX_MAILBOXES", _FOLDER),
    Limit("mailboxes searched", 1_000, "folders", "one ESEARCH reads as much as so many SEARCHes", "gateway/imap/handlers/esearch.py:MOST", _KEPT),
    Limit("members of a set", 16_384, "numbers and ranges", "what fits into a line twice over; merged, never expanded", "gateway/imap/grammar/numbers.py:MAX_MEMBERS", _FOLDER),
    Limit("parameters of a command", 32, "parameters", "RFC 4466", "gateway/imap/grammar/parameters.py:MAX_PARAMETERS", _FOLDER),
    Limit("parentheses of a parameter", 8, "levels", "RFC 4466; none of ours has more than 2", "gateway/imap/grammar/parameters.py:MAX_DEPTH", _FOLDER),
    Limit("values of a parameter", 1_000, "values", "RFC 4466", "gateway/imap/grammar/parameters.py:MAX_VALUES", _FOLDER),
    Limit("name of a quota root", 512, "octets", "ours have an address", "gateway/imap/grammar/quota.py:MAX_ROOT", _FOLDER),
    Limit("parentheses of a search", 50, "levels", "people write three; read without recursion", "gateway/imap/grammar/search.py:MAX_DEPTH", _FOLDER),
    Limit("keys of a search", 1_000, "keys", "saved searches of clients have tens", "gateway/imap/grammar/search.py:MAX_KEYS", _FOLDER),
    Limit("criteria of a sort", 32, "criteria", "there are nine, each also in reverse", "gateway/imap/grammar/sort.py:MAX_CRITERIA", _FOLDER),
    Limit("a URL", 8_192, "octets", "a name of 1000 octets, encoded", "gateway/imap/grammar/url.py:MAX_URL", _FOLDER),
    Limit("searches followed", 10, "searches of a session", "RFC 5267; each is looked at whenever the folder changes", "gateway/imap/handlers/contexts.py:MOST", "NO [NOUPDATE]"),
    # names, folders, what is stored
    Limit("an element of a name", 255, "octets", "a file name of an export", "gateway/imap/names.py:MAX_ELEMENT_OCTETS", "NO [CANNOT]"),
    Limit("a name", 1_000, "octets", "encoded it fits into a line of 8192 octets", "gateway/imap/names.py:MAX_NAME_OCTETS", "NO [CANNOT]"),
    Limit("levels of a name", 30, "levels", "people nest five", "gateway/imap/names.py:MAX_LEVELS", "NO [CANNOT]"),
    Limit("a pattern", 2_000, "characters", "longer than any name it can only match by its wildcards", "gateway/imap/names.py:MAX_PATTERN", "it matches nothing"),
    Limit("levels of a path", 64, "levels", "names of IMAP, below whatever is shared", "store/folders.py:MAX_DEPTH", _KEPT),
    Limit("a path", 2_048, "octets", "names of IMAP, below whatever is shared", "store/folders.py:MAX_PATH", _KEPT),
    Limit("folders", 10_000, "of an account", "LIST reads them all", "store/folders.py:MAX_FOLDERS", _KEPT),
    Limit("names of the past", 10_000, "of an account", "so that no name gets a UIDVALIDITY twice", "store/folders.py:MAX_FORMER", "the oldest are forgotten"),
    Limit("subscriptions", 10_000, "of an account", "as many as there are folders", "store/subscriptions.py:MAX_SUBSCRIPTIONS", _KEPT),
    Limit("a keyword", 100, "octets", "Dovecot: 50; labels of webmails are longer", "store/flags.py:MAX_KEYWORD", _KEPT),
    Limit("keywords of a folder", 58, "keywords", "a 64-bit mask with the system flags; they are never forgotten", "store/model.py:KEYWORDS_PER_FOLDER", _KEPT),
    Limit("grants on a folder", 20_000, "entries", "GETACL and SETACL read them all; a judgement reads its own", "store/grants.py:MOST_ENTRIES", _KEPT),
    Limit("send grants on a target", 20_000, "grants", "who lists or deletes reads them all; a judgement reads its own", "store/grants.py:MOST_GRANTS", "account.INVALID_REQUEST"),
    Limit("members of a list", 100_000, "addresses", "a post goes to all in one transaction", "store/members.py:MOST_MEMBERS", "account.INVALID_REQUEST"),
    Limit("lists within lists", 32, "levels", "real directories stay below five", "store/members.py:NESTING", "account.INVALID_REQUEST"),
    Limit("dynamic lists", 500, "lists", "each new account is compared with all of them", "store/dynamic.py:MOST", "account.INVALID_REQUEST"),
    Limit("a filter", 2_048, "octets", "of a dynamic list; typed by hand", "policy/filters.py:MOST_OCTETS", "account.INVALID_REQUEST"),
    Limit("terms of a filter", 64, "terms", "of a dynamic list", "policy/filters.py:MOST_TERMS", "account.INVALID_REQUEST"),
    Limit("parentheses of a filter", 8, "levels", "of a dynamic list", "policy/filters.py:DEEPEST", "account.INVALID_REQUEST"),
    Limit("app passwords", 50, "of an account", "one for each client", "store/app_passwords.py:MOST", "account.INVALID_REQUEST"),
    Limit("posts waiting for owners", 1_000, "of a list", "owners decide about tens; strangers could fill the disk", "gateway/list_robot.py:MOST_WAITING", "452 4.5.3"),
    Limit("writes waiting", 10_000, "deeds", "seconds of the writer; then it is overloaded", "store/writer.py:Bounds.waiting", "451 4.3.2, NO [UNAVAILABLE]"),
    Limit("writes waiting together", 256 << 20, "octets", "seconds of the disk", "store/writer.py:Bounds.waiting_octets", "451 4.3.2, NO [UNAVAILABLE]"),
    Limit("one write's share", 0.02, "seconds of a commit", "what others wait for it", "store/writer.py:Bounds.seconds", "the next commit"),
    # messages that are looked at
    Limit("MIME levels", 100, "levels", "Dovecot's; below it a part is a leaf", "gateway/message/structure.py:MAX_DEPTH", "a leaf"),
    Limit("MIME parts", 10_000, "parts", "Dovecot's; the last one has the rest", "gateway/message/structure.py:MAX_PARTS", "a leaf"),
    Limit("header of a stored message", 1 << 20, "octets", "what comes from outside is stored as it is, and read so far", "gateway/message/split.py:MAX_HEADER_OCTETS", "the rest is body"),
    Limit("fields of a stored message", 2_000, "fields", "twice what may be submitted", "gateway/message/split.py:MAX_HEADER_FIELDS", "the rest is not looked at"),
    Limit("addresses of a field", 10_000, "addresses", "ENVELOPE of a hostile To", "gateway/message/addresses.py:MAX_ADDRESSES", "the rest is left out"),
    Limit("parameters of a field", 128, "parameters", "Dovecot's, RFC 2231", "gateway/message/lexis.py:MAX_PARAMETERS", "the rest is left out"),
    Limit("comments of an author", 20, "levels", "robustness: two parsers must not disagree", "gateway/message/originators.py:MAX_COMMENT_DEPTH", "550 5.6.0"),
    Limit("authors", 100, "mailboxes of a From", "each is judged", "gateway/message/originators.py:MAX_MAILBOXES", "550 5.6.0"),
    Limit("text of a header", 64 << 10, "characters", "decoded, for searching", "gateway/message/text.py:MAX_HEADER_TEXT", "the rest is not found"),
    Limit("text of a part", 16 << 20, "octets", "decoded, for searching", "gateway/message/text.py:MAX_BODY_TEXT", "the rest is not found"),
    Limit("seals of a message", 50, "instances", "RFC 8617 section 5.1.1", "gateway/message/arc.py:MOST_INSTANCES", "the chain has failed"),
    Limit("signatures looked at", 10, "signatures", "each asks the DNS", "gateway/authenticating.py:MOST_SIGNATURES", "the rest is not looked at"),
    # other servers, and neighbours
    Limit("a reply's line", 8 << 10, "octets", "RFC 5321: 512; some are long-winded", "gateway/outgoing.py:LINE", "the next attempt"),
    Limit("a reply", 64 << 10, "octets", "an EHLO has a few hundred", "gateway/outgoing.py:REPLY", "the next attempt"),
    Limit("a question of a neighbour", 10_000, "octets", "socketmap: a map's name and an address", "gateway/neighbour/socketmap.py:QUESTION", "the connection is cut"),
    Limit("a request of a neighbour", 65_536, "octets", "policy delegation: some 30 attributes", "gateway/neighbour/attributes.py:REQUEST", "the connection is cut"),
    Limit("an administrator's line", 1 << 20, "octets", "the control socket in data; a prov line with a long note", "gateway/control.py:LINE", "the connection is cut"),
)  # fmt: skip


def _default(name: str) -> str:
    value = Settings
    group, _, last = name.rpartition(".")
    holder = Settings.model_fields[group].annotation if group else value
    field = holder.model_fields[last]  # type: ignore[union-attr]
    default = field.default
    kinds = repr(field.metadata)
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    if "write_duration" in kinds:
        return str(write_duration(default))
    if "write_size" in kinds:
        return str(write_size(default))
    return f"{default:,}".replace(",", " ")


def page() -> Iterator[str]:
    """config/LIMITS.md, line by line."""
    yield "# Limits"
    yield ""
    yield "Made by `python -m config.limits`. Every bound on what others may use up, what is said past it, and where it is kept;"
    yield "`tests/limits/covered.toml` names the tests of each, at the limit and one past it."
    yield ""
    yield "## Settings"
    yield ""
    yield "| setting | default | why | past it | where |"
    yield "|---|---|---|---|---|"
    meant = names()
    for name, (where, answer) in SETTINGS.items():
        yield f"| `{name}` | {_default(name)} | {meant[name].description} | {answer} | `{where}` |"
    yield ""
    yield "## Fixed"
    yield ""
    yield "| limit | value | why | past it | where |"
    yield "|---|---|---|---|---|"
    for one in FIXED:
        value = f"{one.value:,}".replace(",", " ")
        yield f"| {one.name} | {value} {one.unit} | {one.why} | {one.answer} | `{one.where}` |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
