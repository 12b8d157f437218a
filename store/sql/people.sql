-- of
SELECT name, value FROM person WHERE account = :account ORDER BY name;

-- set
INSERT INTO person (account, name, value) VALUES (:account, :name, :value)
ON CONFLICT (account, name) DO UPDATE SET value = excluded.value WHERE person.value <> excluded.value;

-- clear
DELETE FROM person WHERE account = :account AND name = :name;

-- account
SELECT a.id, o.domain, d.name, a.display_name, a.status, c.name, a.is_global_administrator, a.note
FROM account a
JOIN object o ON o.id = a.id
JOIN domain d ON d.id = o.domain
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE a.id = :id;

-- accounts
SELECT a.id, o.domain, d.name, a.display_name, a.status, c.name, a.is_global_administrator, a.note
FROM account a
JOIN object o ON o.id = a.id
JOIN domain d ON d.id = o.domain
JOIN cos c ON c.id = COALESCE(a.cos, d.cos, 1)
WHERE a.id > :after AND (CAST(:domain AS BIGINT) = 0 OR o.domain = :domain)
ORDER BY a.id
LIMIT :limit;

-- addresses
SELECT p.object, p.local, d.name, p.is_primary
FROM address p
JOIN domain d ON d.id = p.domain
WHERE p.object BETWEEN :first AND :last;

-- values
SELECT account, name, value FROM person WHERE account BETWEEN :first AND :last;
