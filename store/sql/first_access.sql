-- of_account
SELECT verifier, expires FROM first_access WHERE account = :account;

-- put
INSERT INTO first_access (account, verifier, expires) VALUES (:account, :verifier, :expires)
ON CONFLICT (account) DO UPDATE SET verifier = excluded.verifier, expires = excluded.expires;

-- forget
DELETE FROM first_access WHERE account = :account;
