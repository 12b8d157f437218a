-- by_id
SELECT id, name, note, "values", created FROM cos WHERE id = :id;

-- by_name
SELECT id, name, note, "values", created FROM cos WHERE name = :name;

-- all_of_them
SELECT id, name, note, "values", created FROM cos ORDER BY name;

-- insert
INSERT INTO cos (name, note, "values", created) VALUES (:name, :note, :values, :now);

-- update
UPDATE cos SET name = :name, note = :note, "values" = :values WHERE id = :id;

-- in_use
SELECT 1 FROM account WHERE cos = :id UNION ALL SELECT 1 FROM domain WHERE cos = :id LIMIT 1;

-- accounts_of
SELECT id FROM account WHERE cos = :id;

-- release_accounts
UPDATE account SET cos = NULL WHERE cos = :id;

-- release_domains
UPDATE domain SET cos = NULL WHERE cos = :id;

-- delete
DELETE FROM cos WHERE id = :id;
