-- Admin roles: who is marked, which domains are ready for it, who was given what.

CREATE TABLE delegated_administrator (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE
);

CREATE TABLE delegated_domain (
    domain INTEGER PRIMARY KEY REFERENCES domain (id) ON DELETE CASCADE,
    since INTEGER NOT NULL
);

-- A role counts in this domain, as long as the account is in it.
CREATE TABLE admin_role (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('domain', 'delegated-domain', 'user-management', 'group-management', 'help-desk')),
    domain INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    not_before INTEGER,
    expires INTEGER,
    note TEXT NOT NULL,
    PRIMARY KEY (account, role)
) WITHOUT ROWID;

CREATE INDEX admin_role_domain ON admin_role (domain);

CREATE INDEX account_global_administrator ON account (id) WHERE is_global_administrator = 1;
