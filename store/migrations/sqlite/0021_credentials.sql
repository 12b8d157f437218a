-- Logins that went well and those that did not, alike ones of an hour in one row; bounded for each account (store/logins.py).
CREATE TABLE login_history (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    source TEXT NOT NULL,
    protocol TEXT NOT NULL,
    mechanism TEXT NOT NULL,
    admitted INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    app_password TEXT NOT NULL
);

CREATE INDEX login_history_account ON login_history (account, admitted, last);

-- Further passwords of an account, each with its limits. `selector`: the part by which it is looked up; `verifier`: a keyed hash of
-- the whole, which is random; `principal`: the one account or list that it may be used for, which it does not outlive.
CREATE TABLE app_password (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    selector TEXT NOT NULL UNIQUE,
    verifier BLOB NOT NULL,
    doors TEXT NOT NULL,
    networks TEXT NOT NULL,
    principal INTEGER REFERENCES object (id) ON DELETE CASCADE,
    rights INTEGER NOT NULL,
    sending TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    last_used INTEGER,
    UNIQUE (account, name)
);

CREATE INDEX app_password_principal ON app_password (principal) WHERE principal IS NOT NULL;

-- When the password was set; of passwords that are older than this table, when it was made: their age is not known.
CREATE TABLE password_set (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    at INTEGER NOT NULL
);

INSERT INTO password_set (account, at) SELECT id, CAST(strftime('%s', 'now') AS INTEGER) * 1000000 FROM account WHERE verifier <> '';

-- Verifiers of earlier passwords, so many as the class of service wants unlike a new one.
CREATE TABLE password_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    verifier TEXT NOT NULL
);

CREATE INDEX password_history_account ON password_history (account, id);

-- The second factor of an account (RFC 6238). `sealed`: its secret, encrypted; `last_step`: of the last code that was taken, so that
-- none is taken twice; it counts once it is confirmed.
CREATE TABLE totp (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    last_step INTEGER NOT NULL
);

-- Codes that stand once for a second factor: keyed hashes.
CREATE TABLE one_time_code (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    verifier BLOB NOT NULL,
    PRIMARY KEY (account, verifier)
) WITHOUT ROWID;
