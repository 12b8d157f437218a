-- by_key
SELECT key, list, kind, stage, local, domain, subject, queue, created, expires FROM list_request WHERE key = :key;

-- asked
SELECT key, list, kind, stage, local, domain, subject, queue, created, expires FROM list_request
WHERE list = :list AND domain = :domain AND lower(local) = :local AND kind = :kind AND kind <> 'post';

-- by_queue
SELECT key, list, kind, stage, local, domain, subject, queue, created, expires FROM list_request WHERE queue = :queue;

-- page
SELECT key, list, kind, stage, local, domain, subject, queue, created, expires FROM list_request
WHERE (CAST(:list AS BIGINT) = 0 OR list = :list) AND key > :after
ORDER BY key
LIMIT :limit;

-- count
SELECT count(*) FROM list_request WHERE list = :list;

-- count_for_owners
SELECT count(*) FROM list_request WHERE list = :list AND stage <> 'confirm';

-- open
INSERT INTO list_request (key, list, kind, stage, local, domain, subject, queue, created, expires)
VALUES (:key, :list, :kind, :stage, :local, :domain, :subject, NULL, :now, :expires);

-- drop_asked
DELETE FROM list_request WHERE list = :list AND domain = :domain AND lower(local) = :local AND kind = :kind AND kind <> 'post';

-- link
UPDATE list_request SET queue = :queue WHERE key = :key;

-- advance
UPDATE list_request SET stage = :stage, expires = :expires WHERE key = :key AND stage = :before;

-- close
DELETE FROM list_request WHERE key = :key;

-- release
UPDATE queue SET due = :now WHERE id = :queue AND state <> 'leased';

-- expired
SELECT key FROM list_request WHERE expires <= :now AND queue IS NULL LIMIT :limit;

-- answer
INSERT INTO list_answer (local, domain, at) VALUES (:local, :domain, :now);

-- answers
SELECT count(*) FROM list_answer WHERE domain = :domain AND local = :local AND at > :since;

-- forget_answers
DELETE FROM list_answer WHERE at <= :before;
