-- by_id
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created, max_quota, aggregate_quota, aggregate_policy,
    aggregate_warn_percent, aggregate_warn_recipient, aggregate_used, aggregate_warned
FROM domain WHERE id = :id;

-- by_name
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created, max_quota, aggregate_quota, aggregate_policy,
    aggregate_warn_percent, aggregate_warn_recipient, aggregate_used, aggregate_warned
FROM domain WHERE name = :name;

-- serving
SELECT d.id, d.name, d.alias_of, d.status, d.cos, d.delimiter, d.note, d.max_accounts, d.created,
    d.max_quota, d.aggregate_quota, d.aggregate_policy, d.aggregate_warn_percent, d.aggregate_warn_recipient, d.aggregate_used,
    d.aggregate_warned
FROM domain n JOIN domain d ON d.id = COALESCE(n.alias_of, n.id)
WHERE n.name = :name;

-- all_of_them
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created, max_quota, aggregate_quota, aggregate_policy,
    aggregate_warn_percent, aggregate_warn_recipient, aggregate_used, aggregate_warned
FROM domain ORDER BY name;

-- aliases_of
SELECT name FROM domain WHERE alias_of = :id ORDER BY name;

-- count_accounts
SELECT COUNT(*) FROM object WHERE domain = :id AND kind = 'account';

-- insert
INSERT INTO domain (name, alias_of, status, cos, delimiter, note, max_accounts, created)
VALUES (:name, :alias_of, :status, :cos, :delimiter, :note, :max_accounts, :now);

-- update
UPDATE domain SET status = :status, delimiter = :delimiter, note = :note, max_accounts = :max_accounts WHERE id = :id;

-- set_limits
UPDATE domain
SET max_quota = :max_quota,
    aggregate_used = CASE
        WHEN CAST(:aggregate_quota AS BIGINT) = 0 THEN 0
        WHEN aggregate_quota > 0 THEN aggregate_used
        ELSE (SELECT COALESCE(SUM(a.used), 0) FROM object o JOIN account a ON a.id = o.id WHERE o.domain = :id)
    END,
    aggregate_quota = :aggregate_quota, aggregate_policy = :policy,
    aggregate_warn_percent = :warn_percent, aggregate_warn_recipient = :warn_recipients, aggregate_warned = 0
WHERE id = :id;

-- set_warned
UPDATE domain SET aggregate_warned = :now WHERE id = :id;

-- cos_limits
SELECT l.cos, c.name, l.max_accounts FROM domain_cos_limit l JOIN cos c ON c.id = l.cos WHERE l.domain = :id ORDER BY c.name;

-- clear_cos_limits
DELETE FROM domain_cos_limit WHERE domain = :id;

-- set_cos_limit
INSERT INTO domain_cos_limit (domain, cos, max_accounts) VALUES (:id, :cos, :max_accounts);

-- rename
UPDATE domain SET name = :name WHERE id = :id;

-- set_cos
UPDATE domain SET cos = :cos WHERE id = :id;

-- in_use
SELECT 1 FROM object WHERE domain = :id
UNION ALL SELECT 1 FROM address WHERE domain = :id
UNION ALL SELECT 1 FROM domain WHERE alias_of = :id
LIMIT 1;

-- delete
DELETE FROM domain WHERE id = :id;

-- accounts_waiting
SELECT DISTINCT q.account FROM queue q JOIN object o ON o.id = q.account WHERE q.state = 'held' AND o.domain = :id;
