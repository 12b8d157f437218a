-- serving_domain
SELECT d.id, d.name, d.delimiter
FROM domain n JOIN domain d ON d.id = COALESCE(n.alias_of, n.id)
WHERE n.name = :name;

-- own_domain
SELECT id, alias_of FROM domain WHERE name = :name;

-- at
SELECT a.object, o.kind, a.is_primary
FROM address a JOIN object o ON o.id = a.object
WHERE a.domain = :domain AND a.local = :local;

-- at_name
SELECT a.object, a.is_primary
FROM domain d JOIN address a ON a.domain = d.id
WHERE d.name = :name AND a.local = :local;

-- of
SELECT a.local, d.name, a.is_primary
FROM address a JOIN domain d ON d.id = a.domain
WHERE a.object = :object
ORDER BY a.is_primary DESC, d.name, a.local;

-- primary
SELECT o.kind, a.local, d.name
FROM object o JOIN address a ON a.object = o.id AND a.is_primary = 1 JOIN domain d ON d.id = a.domain
WHERE o.id = :object;

-- insert
INSERT INTO address (domain, local, object, is_primary) VALUES (:domain, :local, :object, :is_primary);

-- delete
DELETE FROM address WHERE domain = (SELECT id FROM domain WHERE name = :name) AND local = :local;
