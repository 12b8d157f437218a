-- What SCRAM-SHA-256 needs to know of an account's password (RFC 5802 section 3), beside the verifier and replaced with it.
CREATE TABLE scram_keys (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
);
