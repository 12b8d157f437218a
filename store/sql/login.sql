-- failures
SELECT id, at, source, digest FROM login_failure WHERE account = :account ORDER BY at, id;

-- lockout
SELECT until FROM lockout WHERE account = :account;

-- known_sources
SELECT source FROM known_source WHERE account = :account AND seen >= :since;

-- facts
SELECT EXISTS (SELECT 1 FROM login_failure f WHERE f.account = a.id) OR EXISTS (SELECT 1 FROM lockout l WHERE l.account = a.id),
    (SELECT t.confirmed FROM totp t WHERE t.account = a.id), k.salt, k.iterations, k.stored_key, k.server_key
FROM account a LEFT JOIN scram_keys k ON k.account = a.id
WHERE a.id = :account;

-- seen
SELECT seen FROM known_source WHERE account = :account AND source = :source;

-- rules
SELECT a."values", c."values"
FROM object o
JOIN account a ON a.id = o.id
JOIN domain d ON d.id = o.domain
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE o.id = :account;

-- verifier
SELECT verifier FROM account WHERE id = :account;

-- scram_keys
SELECT salt, iterations, stored_key, server_key FROM scram_keys WHERE account = :account;

-- set_scram_keys
INSERT INTO scram_keys (account, salt, iterations, stored_key, server_key)
VALUES (:account, :salt, :iterations, :stored_key, :server_key)
ON CONFLICT (account) DO UPDATE SET
    salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key, server_key = excluded.server_key;

-- delete_scram_keys
DELETE FROM scram_keys WHERE account = :account;

-- pretend
INSERT INTO epoch (scope, value) VALUES (:scope, 1) ON CONFLICT (scope) DO UPDATE SET value = epoch.value + 1;

-- insert_failure
INSERT INTO login_failure (account, at, source, digest) VALUES (:account, :at, :source, :digest);

-- delete_failure
DELETE FROM login_failure WHERE account = :account AND id = :id;

-- delete_failures
DELETE FROM login_failure WHERE account = :account;

-- delete_failures_of_source
DELETE FROM login_failure WHERE account = :account AND source = :source;

-- set_lockout
INSERT INTO lockout (account, until) VALUES (:account, :until) ON CONFLICT (account) DO UPDATE SET until = excluded.until;

-- end_lockout
DELETE FROM lockout WHERE account = :account;

-- set_last_login
UPDATE account SET last_login = :now WHERE id = :account;

-- remember
INSERT INTO known_source (account, source, seen) VALUES (:account, :source, :now)
ON CONFLICT (account, source) DO UPDATE SET seen = excluded.seen;

-- forget_sources
DELETE FROM known_source WHERE account = :account AND seen < :before;
