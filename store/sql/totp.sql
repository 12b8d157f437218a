-- account
SELECT 1 FROM account WHERE id = :account;

-- of_account
SELECT sealed, confirmed, last_step FROM totp WHERE account = :account;

-- put
INSERT INTO totp (account, sealed, confirmed, last_step) VALUES (:account, :sealed, 0, 0)
ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, confirmed = 0, last_step = 0;

-- used
UPDATE totp SET last_step = :step WHERE account = :account AND last_step < :step AND sealed = :sealed;

-- spent
SELECT result FROM accepted WHERE key = :key;

-- spend
INSERT INTO accepted (key, at, result) VALUES (:key, :at, :before);

-- ahead
SELECT account, sealed, last_step FROM totp WHERE last_step > :step;

-- set_last
UPDATE totp SET last_step = :step WHERE account = :account;

-- confirmed
UPDATE totp SET confirmed = 1 WHERE account = :account;

-- delete
DELETE FROM totp WHERE account = :account;

-- codes
SELECT COUNT(*) FROM one_time_code WHERE account = :account;

-- put_code
INSERT INTO one_time_code (account, verifier) VALUES (:account, :verifier);

-- use_code
DELETE FROM one_time_code WHERE account = :account AND verifier = :verifier;

-- delete_codes
DELETE FROM one_time_code WHERE account = :account;
