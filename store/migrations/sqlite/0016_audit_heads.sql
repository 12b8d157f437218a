-- `trace`: how a decision came about, step by step, as gateway/trace.py spells it; part of what `hash` covers where it is not empty.
ALTER TABLE audit ADD COLUMN trace TEXT NOT NULL DEFAULT '';

-- Ends of the chain under a signature. `key`: which of the public keys; the private one is a file beside the database, never in it.
CREATE TABLE audit_head (
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (number, key)
) WITHOUT ROWID, STRICT;

CREATE TABLE audit_key (
    id TEXT PRIMARY KEY,
    public BLOB NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
