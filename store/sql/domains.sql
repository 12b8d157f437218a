-- by_id
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created FROM domain WHERE id = :id;

-- by_name
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created FROM domain WHERE name = :name;

-- serving
SELECT d.id, d.name, d.alias_of, d.status, d.cos, d.delimiter, d.note, d.max_accounts, d.created
FROM domain n JOIN domain d ON d.id = COALESCE(n.alias_of, n.id)
WHERE n.name = :name;

-- all_of_them
SELECT id, name, alias_of, status, cos, delimiter, note, max_accounts, created FROM domain ORDER BY name;

-- aliases_of
SELECT name FROM domain WHERE alias_of = :id ORDER BY name;

-- count_accounts
SELECT COUNT(*) FROM object WHERE domain = :id AND kind = 'account';

-- insert
INSERT INTO domain (name, alias_of, status, cos, delimiter, note, max_accounts, created)
VALUES (:name, :alias_of, :status, :cos, :delimiter, :note, :max_accounts, :now);

-- update
UPDATE domain SET status = :status, delimiter = :delimiter, note = :note, max_accounts = :max_accounts WHERE id = :id;

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
