-- marked
SELECT 1 FROM delegated_administrator WHERE account = :account;

-- mark
INSERT INTO delegated_administrator (account) VALUES (:account) ON CONFLICT (account) DO NOTHING;

-- unmark
DELETE FROM delegated_administrator WHERE account = :account;

-- initialised
SELECT since FROM delegated_domain WHERE domain = :domain;

-- initialise
INSERT INTO delegated_domain (domain, since) VALUES (:domain, :now) ON CONFLICT (domain) DO NOTHING;

-- uninitialise
DELETE FROM delegated_domain WHERE domain = :domain;

-- of_account
SELECT role, domain, not_before, expires, note FROM admin_role WHERE account = :account ORDER BY role;

-- administrators
SELECT o.id FROM object o JOIN account a ON a.id = o.id
WHERE o.id > :after AND (
    a.is_global_administrator = 1
    OR EXISTS (SELECT 1 FROM delegated_administrator m WHERE m.account = o.id)
    OR EXISTS (SELECT 1 FROM admin_role r WHERE r.account = o.id)
)
ORDER BY o.id LIMIT :limit;

-- globals
SELECT id FROM account WHERE is_global_administrator = 1 AND status = 'active' AND id <> :besides ORDER BY id LIMIT 1;

-- set
INSERT INTO admin_role (account, role, domain, not_before, expires, note)
VALUES (:account, :role, :domain, :not_before, :expires, :note)
ON CONFLICT (account, role) DO UPDATE
SET domain = excluded.domain, not_before = excluded.not_before, expires = excluded.expires, note = excluded.note;

-- remove
DELETE FROM admin_role WHERE account = :account AND role = :role;

-- reached
SELECT target FROM send_grant WHERE grantee_kind = :kind AND grantee = :grantee AND "right" = 'loginAs' AND deny = 0;
