-- account
SELECT 1 FROM account WHERE id = :account;

-- object
SELECT 1 FROM object WHERE id = :id;

-- exists
SELECT 1 FROM app_password WHERE id = :id AND account = :account;

-- by_selector
SELECT id, account, name, doors, networks, principal, rights, sending, created, expires, last_used, verifier
FROM app_password WHERE selector = :selector;

-- by_id
SELECT id, account, name, doors, networks, principal, rights, sending, created, expires, last_used, verifier
FROM app_password WHERE id = :id;

-- of_account
SELECT id, account, name, doors, networks, principal, rights, sending, created, expires, last_used, verifier
FROM app_password WHERE account = :account ORDER BY id LIMIT :limit;

-- count
SELECT COUNT(*) FROM app_password WHERE account = :account;

-- named
SELECT id FROM app_password WHERE account = :account AND name = :name;

-- insert
INSERT INTO app_password (account, name, selector, verifier, doors, networks, principal, rights, sending, created, expires)
VALUES (:account, :name, :selector, :verifier, :doors, :networks, :principal, :rights, :sending, :now, :expires);

-- delete
DELETE FROM app_password WHERE account = :account AND name = :name;

-- delete_all
DELETE FROM app_password WHERE account = :account;

-- used
UPDATE app_password SET last_used = CASE WHEN last_used > :at THEN last_used ELSE :at END WHERE account = :account AND name = :name;
