-- one
SELECT at, note FROM "freeze" WHERE object = :object AND side = :side

-- of_side
SELECT object, at, note FROM "freeze" WHERE side = :side ORDER BY at, object

-- behind
SELECT side, object FROM delegated WHERE queue = :queue ORDER BY side, object

-- object_exists
SELECT 1 FROM object WHERE id = :id

-- set
INSERT INTO "freeze" (object, side, at, note) VALUES (:object, :side, :at, :note)
ON CONFLICT (object, side) DO UPDATE SET note = excluded.note

-- delete
DELETE FROM "freeze" WHERE object = :object AND side = :side

-- stop
UPDATE queue SET frozen = 1, state = CASE state WHEN 'leased' THEN 'leased' ELSE 'held' END
WHERE frozen = 0 AND id IN (SELECT queue FROM delegated WHERE object = :object AND side = :side)

-- let_go
UPDATE queue SET frozen = 0, due = CASE WHEN state = 'leased' OR stopped = 1 THEN due ELSE CASE WHEN due > :now THEN due ELSE :now END END,
                 state = CASE WHEN state = 'leased' THEN 'leased' WHEN stopped = 1 THEN 'held' ELSE 'due' END
WHERE frozen = 1 AND id IN (SELECT queue FROM delegated WHERE object = :object AND side = :side)
  AND NOT EXISTS (SELECT 1 FROM delegated JOIN "freeze" ON "freeze".object = delegated.object AND "freeze".side = delegated.side
                  WHERE delegated.queue = queue.id)
