-- The directory, the grants, logins, the audit. Times are microseconds since 1970 UTC, sizes octets, booleans 0 and 1.

-- What policy reads about a scope (an account's or list's id, or 0 for the directory) changed this often.
CREATE TABLE epoch (
    scope INTEGER PRIMARY KEY,
    value INTEGER NOT NULL
);

CREATE TABLE cos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    note TEXT NOT NULL,
    "values" TEXT NOT NULL,  -- JSON: field of policy.cos.ServiceValues -> text
    created INTEGER NOT NULL
);

INSERT INTO cos (id, name, note, "values", created) VALUES (1, 'default', '', '{}', 0);

CREATE TABLE domain (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    alias_of INTEGER REFERENCES domain (id),
    status TEXT NOT NULL,
    cos INTEGER REFERENCES cos (id),
    delimiter TEXT NOT NULL,
    note TEXT NOT NULL,
    max_accounts INTEGER NOT NULL,
    created INTEGER NOT NULL
);

CREATE INDEX domain_alias_of ON domain (alias_of) WHERE alias_of IS NOT NULL;
CREATE INDEX domain_cos ON domain (cos) WHERE cos IS NOT NULL;

-- Accounts and lists share one number space: an id names one object, whatever its kind, and is never used again.
CREATE TABLE object (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('account', 'list')),
    domain INTEGER NOT NULL REFERENCES domain (id)
);

CREATE INDEX object_domain ON object (domain, kind);

-- Every address of an account or list, folded; unique across both.
CREATE TABLE address (
    domain INTEGER NOT NULL REFERENCES domain (id),
    local TEXT NOT NULL,
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    is_primary INTEGER NOT NULL,
    PRIMARY KEY (domain, local)
) WITHOUT ROWID;

CREATE INDEX address_object ON address (object, is_primary);
CREATE UNIQUE INDEX address_primary ON address (object) WHERE is_primary = 1;

CREATE TABLE account (
    id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,
    cos INTEGER REFERENCES cos (id),
    "values" TEXT NOT NULL,  -- JSON, as in cos
    verifier TEXT NOT NULL,
    must_change_password INTEGER NOT NULL,
    is_global_administrator INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_login INTEGER
);

CREATE INDEX account_cos ON account (cos) WHERE cos IS NOT NULL;

CREATE TABLE list (
    id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    display_name TEXT NOT NULL,
    note TEXT NOT NULL,
    attributes TEXT NOT NULL,  -- JSON
    created INTEGER NOT NULL
);

CREATE TABLE list_owner (
    list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    PRIMARY KEY (list, account)
) WITHOUT ROWID;

CREATE INDEX list_owner_account ON list_owner (account);

CREATE TABLE list_member (
    list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    member INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (list, member)
) WITHOUT ROWID;

CREATE INDEX list_member_member ON list_member (member, list);

-- Members that are no object of ours, or that carry a tag; they are resolved when mail is sent to the list.
CREATE TABLE list_external (
    list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (list, domain, local)
) WITHOUT ROWID;

-- `owner` repeats the folder's, which never changes: so that an actor's owners are found in the index alone.
CREATE TABLE folder_entry (
    folder INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
    grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('account', 'group', 'domain', 'cos', 'all')),
    grantee INTEGER NOT NULL,
    owner INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    rights INTEGER NOT NULL,
    not_before INTEGER,
    expires INTEGER,
    note TEXT NOT NULL,
    PRIMARY KEY (folder, grantee_kind, grantee)
) WITHOUT ROWID;

CREATE INDEX folder_entry_grantee ON folder_entry (grantee_kind, grantee, owner);
CREATE INDEX folder_entry_owner ON folder_entry (owner);

CREATE TABLE send_grant (
    target INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    "right" TEXT NOT NULL CHECK ("right" IN ('sendAs', 'sendOnBehalfOf', 'sendToDistList', 'loginAs')),
    grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('account', 'group', 'domain', 'cos', 'all')),
    grantee INTEGER NOT NULL,
    deny INTEGER NOT NULL,
    not_before INTEGER,
    expires INTEGER,
    note TEXT NOT NULL,
    PRIMARY KEY (target, "right", grantee_kind, grantee)
) WITHOUT ROWID;

CREATE INDEX send_grant_grantee ON send_grant (grantee_kind, grantee, "right");

CREATE TABLE login_failure (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    digest INTEGER
);

CREATE INDEX login_failure_account ON login_failure (account, at);

CREATE TABLE lockout (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    until INTEGER NOT NULL
);

CREATE TABLE known_source (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (account, source)
) WITHOUT ROWID;

-- No reference to accounts: the record outlives whom it is about. `hash` covers the row and the hash of the row before.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    decision TEXT NOT NULL,
    event TEXT NOT NULL,
    allowed INTEGER NOT NULL,
    actor INTEGER,
    actor_address TEXT NOT NULL,
    person INTEGER,
    person_address TEXT NOT NULL,
    principal INTEGER,
    principal_address TEXT NOT NULL,
    "right" TEXT NOT NULL,
    because TEXT NOT NULL,
    protocol TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
);

CREATE INDEX audit_principal ON audit (principal, number) WHERE principal IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, number) WHERE actor IS NOT NULL;
CREATE INDEX audit_decision ON audit (decision);
