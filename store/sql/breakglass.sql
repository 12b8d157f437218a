-- open
SELECT id, account, administrator, reason, opened, expires, closed FROM break_glass
WHERE account = :account AND administrator = :administrator AND expires > :now AND closed IS NULL;

-- by_id
SELECT id, account, administrator, reason, opened, expires, closed FROM break_glass WHERE id = :id;

-- newest
SELECT id, account, administrator, reason, opened, expires, closed FROM break_glass ORDER BY id DESC LIMIT :limit;

-- insert
INSERT INTO break_glass (account, administrator, reason, opened, expires) VALUES (:account, :administrator, :reason, :opened, :expires);

-- close
UPDATE break_glass SET closed = :now WHERE account = :account AND id = :id AND closed IS NULL AND expires > :now;
