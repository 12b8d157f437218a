-- is_member
SELECT 1 FROM list_member WHERE list = :list AND member = :member;

-- kept
SELECT local, domain FROM list_external WHERE list = :list AND domain = :domain AND lower(local) = :local LIMIT 1;

-- number_of
SELECT id FROM list_external WHERE list = :list AND domain = :domain AND lower(local) = :local LIMIT 1;

-- outer
SELECT list FROM list_member WHERE member = :list;

-- add_member
INSERT INTO list_member (list, member) VALUES (:list, :member) ON CONFLICT DO NOTHING;

-- remove_member
DELETE FROM list_member WHERE list = :list AND member = :member;

-- add_external
INSERT INTO list_external (list, local, domain) VALUES (:list, :local, :domain) ON CONFLICT DO NOTHING;

-- remove_external
DELETE FROM list_external WHERE list = :list AND local = :local AND domain = :domain;

-- how_many
SELECT (SELECT count(*) FROM list_member WHERE list = :list) + (SELECT count(*) FROM list_external WHERE list = :list);
