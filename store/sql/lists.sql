-- by_id
SELECT o.id, p.local, d.name, l.display_name, o.domain, l.note, l.attributes, l.created
FROM object o
JOIN list l ON l.id = o.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
WHERE o.id = :id;

-- of_domain
SELECT o.id, p.local, d.name, l.display_name, o.domain, l.note, l.attributes, l.created
FROM object o
JOIN list l ON l.id = o.id
JOIN domain d ON d.id = o.domain
JOIN address p ON p.object = o.id AND p.is_primary = 1
WHERE o.id > :after AND (CAST(:domain AS BIGINT) = 0 OR o.domain = :domain)
ORDER BY o.id
LIMIT :limit;

-- exists
SELECT 1 FROM list WHERE id = :id;

-- stored
SELECT display_name, note, attributes FROM list WHERE id = :id;

-- owners
SELECT account FROM list_owner WHERE list = :list ORDER BY account;

-- drop_owners
DELETE FROM list_owner WHERE list = :list;

-- add_owner
INSERT INTO list_owner (list, account) VALUES (:list, :account);

-- members
SELECT m.member, o.kind, p.local, d.name
FROM list_member m
JOIN object o ON o.id = m.member
JOIN address p ON p.object = o.id AND p.is_primary = 1
JOIN domain d ON d.id = p.domain
WHERE m.list = :list
ORDER BY d.name, p.local;

-- externals
SELECT local, domain FROM list_external WHERE list = :list ORDER BY domain, local;

-- reached
SELECT e.id, e.local, e.domain
FROM list_external e LEFT JOIN list_bounce b ON b.member = e.id
WHERE e.list = :list AND b.suspended IS NULL
ORDER BY e.domain, e.local;

-- inner
SELECT m.member FROM list_member m JOIN list l ON l.id = m.member WHERE m.list = :list ORDER BY m.member;

-- edges_up
WITH RECURSIVE edge (member, list) AS (
    SELECT member, list FROM list_member WHERE member = :object
    UNION
    SELECT m.member, m.list FROM edge JOIN list_member m ON m.member = edge.list
)
SELECT member, list FROM edge;

-- standing
SELECT o.domain, COALESCE(a.cos, d.cos, 1)
FROM object o JOIN account a ON a.id = o.id JOIN domain d ON d.id = o.domain
WHERE o.id = :account;

-- insert_object
INSERT INTO object (kind, domain) VALUES ('list', :domain);

-- insert
INSERT INTO list (id, display_name, note, attributes, created) VALUES (:id, :display_name, :note, :attributes, :now);

-- update
UPDATE list SET display_name = :display_name, note = :note, attributes = :attributes WHERE id = :id;

-- delete_object
DELETE FROM object WHERE id = :id AND kind = 'list';
