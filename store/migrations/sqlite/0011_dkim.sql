-- Keys with which mail is signed. `domain`: what `d=` says, an A-label, whether it is a domain of ours or the name of this server;
-- `private`: PKCS #8 in DER; `public`: what the record's `p=` spells in base64. Of one domain one key of each algorithm signs.
CREATE TABLE dkim_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL CHECK (algorithm IN ('rsa', 'ed25519')),
    private BLOB NOT NULL,
    public BLOB NOT NULL,
    created INTEGER NOT NULL,
    activated INTEGER,
    retired INTEGER,
    UNIQUE (domain, selector)
) STRICT;

CREATE UNIQUE INDEX dkim_key_active ON dkim_key (domain, algorithm) WHERE activated IS NOT NULL AND retired IS NULL;
