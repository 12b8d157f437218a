-- epochs
SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT), COUNT(*) FROM epoch WHERE scope >= 0;

-- last
SELECT id, at, decision, changes FROM applied WHERE undone IS NULL ORDER BY id DESC LIMIT 1;

-- insert
INSERT INTO applied (at, decision, changes) VALUES (:now, :decision, :changes);

-- undo
UPDATE applied SET undone = :now WHERE id = :id AND undone IS NULL;
