-- of_domain
SELECT id, domain, selector, algorithm, private, public, created, activated, retired FROM dkim_key WHERE domain = :domain ORDER BY id;

-- active
SELECT id, domain, selector, algorithm, private, public, created, activated, retired FROM dkim_key
WHERE domain = :domain AND activated IS NOT NULL AND retired IS NULL ORDER BY algorithm DESC;

-- all_of_them
SELECT id, domain, selector, algorithm, private, public, created, activated, retired FROM dkim_key ORDER BY domain, id;

-- one
SELECT id, domain, selector, algorithm, private, public, created, activated, retired FROM dkim_key
WHERE domain = :domain AND selector = :selector;

-- insert
INSERT INTO dkim_key (domain, selector, algorithm, private, public, created)
VALUES (:domain, :selector, :algorithm, :private, :public, :now);

-- retire_others
UPDATE dkim_key SET retired = :now
WHERE domain = :domain AND algorithm = :algorithm AND id != :id AND activated IS NOT NULL AND retired IS NULL;

-- activate
UPDATE dkim_key SET activated = :now, retired = NULL WHERE id = :id;

-- retire
UPDATE dkim_key SET retired = :now WHERE id = :id;

-- delete
DELETE FROM dkim_key WHERE id = :id;
