-- Folders, messages, octets, the queue. Times are microseconds since 1970 UTC, sizes octets, booleans 0 and 1.
-- A message is known by `key` = folder * 4294967296 + uid: one integer, so that a folder's rows lie together in UID order.

-- The owner's counter from which every UIDVALIDITY is drawn, so that none is ever given twice.
-- Names that left before `forgotten` was set, and are not in `former` any more, had at most that UIDVALIDITY.
CREATE TABLE mailbox (
    owner INTEGER PRIMARY KEY REFERENCES account (id),
    uidvalidity INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);

-- `changes_from`: the change log is complete for everything above this modseq.
CREATE TABLE folder (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES account (id),
    path TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    recent_from INTEGER NOT NULL,
    special_use TEXT,
    no_inherit INTEGER NOT NULL,
    seen_private INTEGER NOT NULL,
    subscribe_auto INTEGER NOT NULL,
    noselect INTEGER NOT NULL,
    changes_from INTEGER NOT NULL,
    UNIQUE (owner, path)
);

CREATE UNIQUE INDEX folder_special_use ON folder (owner, special_use) WHERE special_use IS NOT NULL;

-- The largest UIDVALIDITY under which a name had messages before its folder was deleted or renamed away.
CREATE TABLE former (
    owner INTEGER NOT NULL,
    path TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    PRIMARY KEY (owner, path)
) WITHOUT ROWID;

-- `wanted` 0: the subscriber does not want what a grant would subscribe for them. By name: it may outlive the folder.
CREATE TABLE subscription (
    subscriber INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    path TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    PRIMARY KEY (subscriber, owner, path)
) WITHOUT ROWID;

CREATE INDEX subscription_owner ON subscription (owner);

-- Octets, once per owner and content. `place` names a file below the directory of octets where `octets` is NULL.
-- Owner 0: the queue's own.
CREATE TABLE blob (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    place TEXT,
    octets BLOB
);

CREATE UNIQUE INDEX blob_hash ON blob (owner, hash);
CREATE INDEX blob_place ON blob (place) WHERE place IS NOT NULL;

-- Octets that lost a user: the sweep looks whether it was the last one.
CREATE TABLE loose (
    blob INTEGER PRIMARY KEY
);

CREATE TABLE message (
    key INTEGER PRIMARY KEY,
    blob INTEGER NOT NULL,
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL
);

CREATE INDEX message_blob ON message (blob);

-- What FETCH writes, as IMAP octets made by renderer `rendering`.
CREATE TABLE wire (
    key INTEGER PRIMARY KEY,
    rendering INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    structure BLOB NOT NULL,
    body BLOB NOT NULL
);

-- What SEARCH and SORT read, lowered. `sent` in UTC; `sent_day`: days since 1970 as the Date field writes them.
CREATE TABLE head (
    key INTEGER PRIMARY KEY,
    sent INTEGER,
    sent_day INTEGER,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    copied TEXT NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT NOT NULL
);

CREATE TABLE keyword (
    folder INTEGER NOT NULL,
    bit INTEGER NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    PRIMARY KEY (folder, bit),
    UNIQUE (folder, folded)
) WITHOUT ROWID;

-- An actor's own \Seen where it differs in origin from the shared one (folder.seen_private).
CREATE TABLE seen (
    actor INTEGER NOT NULL,
    key INTEGER NOT NULL,
    is_seen INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) WITHOUT ROWID;

CREATE INDEX seen_key ON seen (key);

-- What happened to UIDs low..high at this modseq. kind 0: came or changed, somewhere within; 1: vanished, all of them.
CREATE TABLE change (
    folder INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    PRIMARY KEY (folder, modseq, kind, low)
) WITHOUT ROWID;

-- What was accepted under an idempotency key, and what was answered (JSON).
CREATE TABLE accepted (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    result TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX accepted_at ON accepted (at);

-- Copies that the server filed and that the client's own APPEND may still replace.
CREATE TABLE filed (
    key INTEGER PRIMARY KEY,
    actor INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    modseq INTEGER NOT NULL
);

CREATE INDEX filed_at ON filed (at);
CREATE INDEX filed_actor ON filed (actor);

-- One recipient of one message each. state 'due' (from `due` on), 'leased' (until `due`), 'held' (for `account`).
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    accepted TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('held', 'relay')),
    state TEXT NOT NULL CHECK (state IN ('due', 'leased', 'held')),
    due INTEGER NOT NULL,
    lease TEXT NOT NULL,
    recipient TEXT NOT NULL,
    account INTEGER,
    sender INTEGER,
    reverse_path TEXT NOT NULL,
    parameters TEXT NOT NULL,
    blob INTEGER NOT NULL,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_attempt INTEGER,
    last_reply TEXT NOT NULL
);

CREATE INDEX queue_due ON queue (due) WHERE state <> 'held';
CREATE INDEX queue_account ON queue (account, state) WHERE account IS NOT NULL;
CREATE INDEX queue_expires ON queue (expires) WHERE state = 'held';
CREATE INDEX queue_blob ON queue (blob);
