-- current
SELECT verifier FROM account WHERE id = :account;

-- set_at
SELECT at FROM password_set WHERE account = :account;

-- set
INSERT INTO password_set (account, at) VALUES (:account, :now) ON CONFLICT (account) DO UPDATE SET at = excluded.at;

-- unset
DELETE FROM password_set WHERE account = :account;

-- earlier
SELECT verifier FROM password_history WHERE account = :account ORDER BY id DESC LIMIT :limit;

-- keep
INSERT INTO password_history (account, verifier) VALUES (:account, :verifier);

-- trim
DELETE FROM password_history WHERE account = :account AND id IN (
    SELECT id FROM password_history WHERE account = :account ORDER BY id DESC LIMIT 9223372036854775807 OFFSET :keep
);
