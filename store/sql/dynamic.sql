-- filter
SELECT filter FROM dynamic_list WHERE list = :list;

-- filters
SELECT y.list, o.domain, y.filter FROM dynamic_list y JOIN object o ON o.id = y.list;

-- count
SELECT COUNT(*) FROM dynamic_list;

-- domain
SELECT domain FROM object WHERE id = :list;

-- insert
INSERT INTO dynamic_list (list, filter, of_cos) VALUES (:list, :filter, :of_cos);

-- update
UPDATE dynamic_list SET filter = :filter, of_cos = :of_cos WHERE list = :list;

-- members
SELECT member FROM list_member WHERE list = :list;

-- of_account
SELECT m.list FROM list_member m JOIN dynamic_list y ON y.list = m.list WHERE m.member = :account;

-- unjudged
SELECT DISTINCT account FROM unjudged;

-- all_judged
DELETE FROM unjudged;
