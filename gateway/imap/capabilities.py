"""Which capabilities are there, and what does each bring? One row ties name, syntax, answer and phases."""

from gateway.imap.grammar import acl as acl_syntax
from gateway.imap.grammar import append as append_syntax
from gateway.imap.grammar import connection as connection_syntax
from gateway.imap.grammar import contexts as contexts_syntax
from gateway.imap.grammar import copy as copy_syntax
from gateway.imap.grammar import esearch as esearch_syntax
from gateway.imap.grammar import fetch as fetch_syntax
from gateway.imap.grammar import folders as folders_syntax
from gateway.imap.grammar import listing as listing_syntax
from gateway.imap.grammar import login as login_syntax
from gateway.imap.grammar import metadata as metadata_syntax
from gateway.imap.grammar import notify as notify_syntax
from gateway.imap.grammar import quota as quota_syntax
from gateway.imap.grammar import replace as replace_syntax
from gateway.imap.grammar import search as search_syntax
from gateway.imap.grammar import select as select_syntax
from gateway.imap.grammar import sort as sort_syntax
from gateway.imap.grammar import status as status_syntax
from gateway.imap.grammar import store as store_syntax
from gateway.imap.grammar.cursor import again
from gateway.imap.handlers import (
    acl,
    append,
    connection,
    contexts,
    copy,
    esearch,
    expunge,
    fetch,
    folders,
    listing,
    login,
    metadata,
    notify,
    quota,
    replace,
    search,
    select,
    sort,
    status,
    store,
)
from gateway.imap.phases import (
    ANY,
    AUTHENTICATED,
    DESELECTS,
    ENDS,
    LOGS_IN,
    LOGS_OUT,
    NOT_AUTHENTICATED,
    SELECTED,
    SELECTS,
)
from gateway.imap.registry import (
    Capability,
    Registry,
    after_login,
    build,
    command,
    may_log_in,
    may_log_in_by,
    may_not_log_in,
    may_secure,
)

_OF_EXTENSIONS = frozenset(
    {
        b"MODSEQ",
        b"OLDER",
        b"YOUNGER",
        b"SAVEDATE",
        b"SAVEDBEFORE",
        b"SAVEDON",
        b"SAVEDSINCE",
        b"SAVEDATESUPPORTED",
        b"EMAILID",
        b"THREADID",
        b"PREVIEW",
        b"BINARY",
        b"BINARY.PEEK",
        b"BINARY.SIZE",
        b"UIDAFTER",
        b"UIDBEFORE",
    }
)
# RFC 3501, whole.
IMAP4REV1 = Capability(
    b"IMAP4rev1".upper(),
    commands=(
        command(b"CAPABILITY", connection_syntax.capability, connection.capability, ANY),
        command(b"NOOP", connection_syntax.noop, connection.noop, ANY),
        command(b"LOGOUT", connection_syntax.logout, connection.logout, ANY, leads=ENDS),
        command(b"LOGIN", login_syntax.login, login.login, NOT_AUTHENTICATED, leads=LOGS_IN),
        command(b"AUTHENTICATE", login_syntax.authenticate, login.authenticate, NOT_AUTHENTICATED, leads=LOGS_IN),
        command(b"SELECT", again(lambda c: select_syntax.select(c, read_only=False)), select.select, AUTHENTICATED, leads=SELECTS),
        command(b"EXAMINE", again(lambda c: select_syntax.select(c, read_only=True)), select.select, AUTHENTICATED, leads=SELECTS),
        command(b"CREATE", folders_syntax.create, folders.create, AUTHENTICATED),
        command(b"DELETE", folders_syntax.delete, folders.delete, AUTHENTICATED),
        command(b"RENAME", folders_syntax.rename, folders.rename, AUTHENTICATED),
        command(b"SUBSCRIBE", lambda c: folders_syntax.subscribe(c, subscribed=True), folders.subscribe, AUTHENTICATED),
        command(b"UNSUBSCRIBE", lambda c: folders_syntax.subscribe(c, subscribed=False), folders.subscribe, AUTHENTICATED),
        command(b"LIST", again(listing_syntax.list_command), listing.list_folders, AUTHENTICATED),
        command(b"LSUB", again(listing_syntax.lsub), listing.lsub, AUTHENTICATED),
        command(b"STATUS", again(status_syntax.status), status.status, AUTHENTICATED),
        command(b"APPEND", lambda c: append_syntax.append(c, several=True), append.append, AUTHENTICATED),
        command(b"CHECK", select_syntax.check, select.check, SELECTED),
        command(b"CLOSE", select_syntax.close, select.close, SELECTED, leads=DESELECTS),
        command(b"EXPUNGE", copy_syntax.expunge, expunge.expunge, SELECTED),
        command(
            b"SEARCH", again(lambda c: search_syntax.search(c, by_uid=False)), search.search, SELECTED, keeps_numbers=True, by_number=True
        ),
        command(b"UID SEARCH", again(lambda c: search_syntax.search(c, by_uid=True)), search.search, SELECTED),
        command(b"FETCH", lambda c: fetch_syntax.fetch(c, by_uid=False), fetch.fetch, SELECTED, keeps_numbers=True, by_number=True),
        command(b"UID FETCH", lambda c: fetch_syntax.fetch(c, by_uid=True), fetch.fetch, SELECTED),
        command(b"STORE", lambda c: store_syntax.store(c, by_uid=False), store.store, SELECTED, keeps_numbers=True, by_number=True),
        command(b"UID STORE", lambda c: store_syntax.store(c, by_uid=True), store.store, SELECTED),
        command(b"COPY", lambda c: copy_syntax.copy(c, by_uid=False), copy.copy, SELECTED, by_number=True),
        command(b"UID COPY", lambda c: copy_syntax.copy(c, by_uid=True), copy.copy, SELECTED),
    ),
    fetch_items=frozenset({*fetch_syntax.FETCH_ITEMS}) - _OF_EXTENSIONS,
    search_keys=frozenset({*search_syntax.SEARCH_KEYS}) - _OF_EXTENSIONS,
    status_items=status_syntax.RFC_3501_ITEMS,
)

# The order is that of the CAPABILITY response.
ROWS: tuple[Capability, ...] = (
    IMAP4REV1,
    # RFC 9051, with the FETCH items of RFC 3516 in it.
    Capability(b"IMAP4REV2", status_items=frozenset({b"DELETED"}), enabled_by_enable=True, needs=frozenset({b"BINARY"})),
    Capability(b"LITERAL+"),  # RFC 7888; never beside LITERAL-, which is less and part of IMAP4rev2
    Capability(b"SASL-IR", announced=may_log_in),  # RFC 4959
    Capability(b"ENABLE", (command(b"ENABLE", connection_syntax.enable, connection.enable, AUTHENTICATED),)),  # RFC 5161
    Capability(b"ID", (command(b"ID", connection_syntax.id_command, connection.identify, ANY),)),  # RFC 2971
    Capability(  # RFC 3501 6.2.1
        b"STARTTLS", (command(b"STARTTLS", connection_syntax.starttls, connection.starttls, NOT_AUTHENTICATED),), announced=may_secure
    ),
    Capability(b"LOGINDISABLED", announced=may_not_log_in),  # RFC 3501 6.2.3
    Capability(b"AUTH=SCRAM-SHA-256-PLUS", announced=may_log_in_by("SCRAM-SHA-256-PLUS")),  # RFC 7677
    Capability(b"AUTH=SCRAM-SHA-256", announced=may_log_in_by("SCRAM-SHA-256")),  # RFC 7677
    Capability(b"AUTH=PLAIN", announced=may_log_in_by("PLAIN")),  # RFC 4616
    Capability(b"AUTH=LOGIN", announced=may_log_in_by("LOGIN")),  # draft-murchison-sasl-login
    Capability(b"AUTH=OAUTHBEARER", announced=may_log_in_by("OAUTHBEARER")),  # RFC 7628
    Capability(b"AUTH=XOAUTH2", announced=may_log_in_by("XOAUTH2")),  # as large providers have it
    Capability(b"IDLE", (command(b"IDLE", connection_syntax.idle, connection.idle, AUTHENTICATED),), announced=after_login),  # RFC 2177
    Capability(  # RFC 2342
        b"NAMESPACE", (command(b"NAMESPACE", connection_syntax.namespace, listing.namespace, AUTHENTICATED),), announced=after_login
    ),
    Capability(b"CHILDREN", announced=after_login),  # RFC 3348
    Capability(  # RFC 3691
        b"UNSELECT", (command(b"UNSELECT", select_syntax.unselect, select.unselect, SELECTED, leads=DESELECTS),), announced=after_login
    ),
    Capability(  # RFC 4315
        b"UIDPLUS", (command(b"UID EXPUNGE", copy_syntax.uid_expunge, expunge.expunge, SELECTED),), announced=after_login
    ),
    Capability(  # RFC 6851
        b"MOVE",
        (
            command(b"MOVE", lambda c: copy_syntax.move(c, by_uid=False), copy.move, SELECTED, by_number=True),
            command(b"UID MOVE", lambda c: copy_syntax.move(c, by_uid=True), copy.move, SELECTED),
        ),
        announced=after_login,
    ),
    Capability(  # RFC 4314
        b"ACL",
        (
            command(b"SETACL", acl_syntax.setacl, acl.setacl, AUTHENTICATED),
            command(b"DELETEACL", acl_syntax.deleteacl, acl.deleteacl, AUTHENTICATED),
            command(b"GETACL", acl_syntax.getacl, acl.getacl, AUTHENTICATED),
            command(b"LISTRIGHTS", acl_syntax.listrights, acl.listrights, AUTHENTICATED),
            command(b"MYRIGHTS", acl_syntax.myrights, acl.myrights, AUTHENTICATED),
        ),
        announced=after_login,
    ),
    Capability(b"RIGHTS=KXTE", announced=after_login),  # RFC 4314 section 6: the new rights, without p, which nothing here grants
    Capability(b"SPECIAL-USE", announced=after_login, list_selections=frozenset({b"SPECIAL-USE"})),  # RFC 6154
    Capability(  # RFC 5258
        b"LIST-EXTENDED",
        announced=after_login,
        list_selections=frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH"}),
        list_returns=frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE"}),
    ),
    Capability(b"LIST-STATUS", announced=after_login, list_returns=frozenset({b"STATUS"})),  # RFC 5819
    Capability(b"ESEARCH", announced=after_login, search_options=frozenset({b"MIN", b"MAX", b"ALL", b"COUNT"})),  # RFC 4731
    Capability(b"SEARCHRES", announced=after_login, search_options=frozenset({b"SAVE"})),  # RFC 5182
    Capability(b"WITHIN", announced=after_login, search_keys=frozenset({b"OLDER", b"YOUNGER"})),  # RFC 5032
    Capability(b"LIST-MYRIGHTS", announced=after_login, list_returns=frozenset({b"MYRIGHTS"})),  # RFC 8440
    Capability(b"CREATE-SPECIAL-USE", announced=after_login),  # RFC 6154 section 5.3
    Capability(b"STATUS=SIZE", announced=after_login, status_items=frozenset({b"SIZE"})),  # RFC 8438
    Capability(b"APPENDLIMIT", announced=after_login, status_items=frozenset({b"APPENDLIMIT"})),  # RFC 7889
    Capability(  # RFC 8474
        b"OBJECTID",
        announced=after_login,
        fetch_items=frozenset({b"EMAILID", b"THREADID"}),
        search_keys=frozenset({b"EMAILID", b"THREADID"}),
        status_items=frozenset({b"MAILBOXID"}),
    ),
    Capability(  # RFC 8514
        b"SAVEDATE",
        announced=after_login,
        fetch_items=frozenset({b"SAVEDATE"}),
        search_keys=frozenset({b"SAVEDBEFORE", b"SAVEDON", b"SAVEDSINCE", b"SAVEDATESUPPORTED"}),
    ),
    Capability(  # RFC 8437
        b"UNAUTHENTICATE",
        (command(b"UNAUTHENTICATE", connection_syntax.unauthenticate, connection.unauthenticate, AUTHENTICATED, leads=LOGS_OUT),),
        announced=after_login,
    ),
    Capability(  # RFC 7162
        b"CONDSTORE",
        announced=after_login,
        fetch_items=frozenset({b"MODSEQ"}),
        search_keys=frozenset({b"MODSEQ"}),
        status_items=frozenset({b"HIGHESTMODSEQ"}),
        select_parameters=frozenset({b"CONDSTORE"}),
        fetch_modifiers=frozenset({b"CHANGEDSINCE"}),
        store_modifiers=frozenset({b"UNCHANGEDSINCE"}),
        enabled_by_enable=True,
    ),
    Capability(  # RFC 7162
        b"QRESYNC",
        announced=after_login,
        select_parameters=frozenset({b"QRESYNC"}),
        fetch_modifiers=frozenset({b"VANISHED"}),
        enabled_by_enable=True,
    ),
    Capability(b"MULTIAPPEND", announced=after_login),  # RFC 3502: APPEND's own row reads them
    Capability(  # RFC 9208
        b"QUOTA",
        (
            command(b"GETQUOTA", quota_syntax.getquota, quota.getquota, AUTHENTICATED),
            command(b"GETQUOTAROOT", quota_syntax.getquotaroot, quota.getquotaroot, AUTHENTICATED),
        ),
        announced=after_login,
    ),
    Capability(b"QUOTA=RES-STORAGE", announced=after_login, status_items=frozenset({b"DELETED-STORAGE"})),  # RFC 9208 section 5.1
    Capability(  # RFC 5256
        b"SORT",
        (
            command(b"SORT", lambda c: sort_syntax.sort(c, by_uid=False), sort.sort, SELECTED, keeps_numbers=True, by_number=True),
            command(b"UID SORT", lambda c: sort_syntax.sort(c, by_uid=True), sort.sort, SELECTED),
        ),
        announced=after_login,
    ),
    Capability(b"SORT=DISPLAY", announced=after_login),  # RFC 5957
    Capability(b"ESORT", announced=after_login),  # RFC 5267 section 3
    Capability(  # RFC 5256
        b"THREAD=ORDEREDSUBJECT",
        (
            command(b"THREAD", lambda c: sort_syntax.thread(c, by_uid=False), sort.thread, SELECTED, keeps_numbers=True, by_number=True),
            command(b"UID THREAD", lambda c: sort_syntax.thread(c, by_uid=True), sort.thread, SELECTED),
        ),
        announced=after_login,
    ),
    Capability(b"THREAD=REFERENCES", announced=after_login),  # RFC 5256
    Capability(  # RFC 5464
        b"METADATA",
        (
            command(b"GETMETADATA", metadata_syntax.getmetadata, metadata.getmetadata, AUTHENTICATED),
            command(b"SETMETADATA", metadata_syntax.setmetadata, metadata.setmetadata, AUTHENTICATED),
        ),
        announced=after_login,
        enabled_by_enable=True,
    ),
    Capability(b"LIST-METADATA", announced=after_login, list_returns=frozenset({b"METADATA"})),  # RFC 9590
    Capability(  # RFC 8508
        b"REPLACE",
        (
            command(b"REPLACE", lambda c: replace_syntax.replace(c, by_uid=False), replace.replace, SELECTED, by_number=True),
            command(b"UID REPLACE", lambda c: replace_syntax.replace(c, by_uid=True), replace.replace, SELECTED),
        ),
        announced=after_login,
    ),
    Capability(b"PREVIEW", announced=after_login, fetch_items=frozenset({b"PREVIEW"})),  # RFC 8970
    Capability(b"CATENATE", announced=after_login),  # RFC 4469: APPEND's and REPLACE's own rows read it
    Capability(  # RFC 4978
        b"COMPRESS=DEFLATE",
        (command(b"COMPRESS", connection_syntax.compress, connection.compress, AUTHENTICATED),),
        announced=after_login,
    ),
    Capability(  # RFC 5267 section 4
        b"CONTEXT=SEARCH",
        (command(b"CANCELUPDATE", contexts_syntax.cancelupdate, contexts.cancelupdate, SELECTED),),
        announced=after_login,
        search_options=frozenset({b"CONTEXT", b"UPDATE"}),
    ),
    Capability(b"CONTEXT=SORT", announced=after_login),  # RFC 5267 section 4
    Capability(  # RFC 9394
        b"PARTIAL", announced=after_login, search_options=frozenset({b"PARTIAL"}), fetch_modifiers=frozenset({b"PARTIAL"})
    ),
    Capability(  # RFC 7377
        b"MULTISEARCH", (command(b"ESEARCH", esearch_syntax.esearch, esearch.esearch, AUTHENTICATED),), announced=after_login
    ),
    # RFC 3516: APPEND's own row reads literal8.
    Capability(b"BINARY", announced=after_login, fetch_items=frozenset({b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"})),
    Capability(b"UTF8=ACCEPT", announced=after_login, enabled_by_enable=True),  # RFC 6855
    Capability(b"INPROGRESS", announced=after_login),  # RFC 9585
    Capability(b"NOTIFY", (command(b"NOTIFY", notify_syntax.notify, notify.notify, AUTHENTICATED),), announced=after_login),  # RFC 5465
    Capability(b"MESSAGELIMIT", announced=after_login, search_keys=frozenset({b"UIDAFTER", b"UIDBEFORE"})),  # RFC 9738
    Capability(b"UIDONLY", announced=after_login, enabled_by_enable=True),  # RFC 9586
)

REGISTRY: Registry = build(ROWS)
"""The whole table."""
