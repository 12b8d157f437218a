-- by_id
SELECT o.id, p.local, d.name, a.display_name, o.domain, a.status, d.status, a.cos, c.id, a."values", c."values", a.verifier,
    a.must_change_password, a.is_global_administrator, a.used, a.note, a.created, a.last_login,
    d.max_quota, d.aggregate_quota, d.aggregate_used, d.aggregate_policy
FROM object o
JOIN account a ON a.id = o.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE o.id = :id;

-- named
SELECT o.id, p.local, d.name, a.display_name, o.domain, a.status, d.status, a.cos, c.id, a."values", c."values", a.verifier,
    a.must_change_password, a.is_global_administrator, a.used, a.note, a.created, a.last_login,
    d.max_quota, d.aggregate_quota, d.aggregate_used, d.aggregate_policy
FROM domain n
JOIN address x ON x.domain = COALESCE(n.alias_of, n.id) AND x.local = :local
JOIN object o ON o.id = x.object
JOIN account a ON a.id = o.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE n.name = :name;

-- of_list
SELECT o.id, p.local, d.name, a.display_name, o.domain, a.status, d.status, a.cos, c.id, a."values", c."values", a.verifier,
    a.must_change_password, a.is_global_administrator, a.used, a.note, a.created, a.last_login,
    d.max_quota, d.aggregate_quota, d.aggregate_used, d.aggregate_policy
FROM list_member m
JOIN account a ON a.id = m.member
JOIN object o ON o.id = a.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE m.list = :list
ORDER BY d.name, p.local;

-- of_domain
SELECT o.id, p.local, d.name, a.display_name, o.domain, a.status, d.status, a.cos, c.id, a."values", c."values", a.verifier,
    a.must_change_password, a.is_global_administrator, a.used, a.note, a.created, a.last_login,
    d.max_quota, d.aggregate_quota, d.aggregate_used, d.aggregate_policy
FROM object o
JOIN account a ON a.id = o.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE o.id > :after AND (CAST(:domain AS BIGINT) = 0 OR o.domain = :domain)
ORDER BY o.id
LIMIT :limit;

-- exists
SELECT 1 FROM account WHERE id = :id;

-- stored
SELECT display_name, note, "values" FROM account WHERE id = :id;

-- domain_of
SELECT domain FROM object WHERE id = :id;

-- room_in_domain
SELECT d.max_accounts, (SELECT COUNT(*) FROM object o WHERE o.domain = d.id AND o.kind = 'account')
FROM domain d
WHERE d.id = :domain AND d.max_accounts > 0;

-- room_in_cos
SELECT l.max_accounts, (
    SELECT COUNT(*) FROM object o JOIN account a ON a.id = o.id JOIN domain d ON d.id = o.domain
    WHERE o.domain = :domain AND COALESCE(a.cos, d.cos, 1) = l.cos AND o.id <> :besides
)
FROM domain_cos_limit l
WHERE l.domain = :domain AND l.cos = COALESCE(:cos, (SELECT cos FROM domain WHERE id = :domain), 1);

-- insert_object
INSERT INTO object (kind, domain) VALUES ('account', :domain);

-- insert
INSERT INTO account (
    id, display_name, status, cos, "values", verifier, must_change_password, is_global_administrator, note, created
) VALUES (
    :id, :display_name, :status, :cos, :values, :verifier, :must_change_password, :is_global_administrator, :note, :now
);

-- update
UPDATE account SET display_name = :display_name, note = :note, "values" = :values WHERE id = :id;

-- set_cos
UPDATE account SET cos = :cos WHERE id = :id;

-- set_status
UPDATE account SET status = :status WHERE id = :id;

-- set_verifier
UPDATE account SET verifier = :verifier, must_change_password = :must_change WHERE id = :id;

-- set_must_change
UPDATE account SET must_change_password = :must_change WHERE id = :id;

-- set_global_administrator
UPDATE account SET is_global_administrator = :value WHERE id = :id;

-- global_administrators
SELECT id FROM account WHERE is_global_administrator = 1 ORDER BY id LIMIT :limit;

-- drop_primary
DELETE FROM address WHERE object = :object AND is_primary = 1;

-- move_object
UPDATE object SET domain = :domain WHERE id = :id;

-- delete_object
DELETE FROM object WHERE id = :id AND kind = 'account';

-- quota_warned
SELECT warned FROM quota_warning WHERE account = :id;

-- set_quota_warned
INSERT INTO quota_warning (account, warned) VALUES (:id, :now) ON CONFLICT (account) DO UPDATE SET warned = excluded.warned;

-- with_mail
SELECT id FROM account WHERE id > :after AND used > 0 ORDER BY id LIMIT :limit;

-- allowed_from
SELECT id FROM account
WHERE (instr("values", '"allow_any_from"') > 0 OR instr("values", '"allow_from_addresses"') > 0)
AND (instr("values", '"allow_any_from"') > 0 OR instr(lower("values"), :text) > 0)
LIMIT :limit;

-- classes_allowing
SELECT id FROM cos WHERE instr(lower("values"), :text) > 0 OR instr("values", '"allow_any_from"') > 0;
