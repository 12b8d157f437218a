-- Statements on search.db.

-- standing
SELECT version, mark, hash FROM standing

-- begin
INSERT INTO standing (one, version, mark, hash) VALUES (1, :version, 0, x'')

-- advance
UPDATE standing SET mark = :mark, hash = :hash

-- keep
INSERT INTO text (id, text) VALUES (:id, :text)

-- leave
INSERT INTO undivided (id) VALUES (:id)

-- undivided
SELECT undivided.id, length(text.text) FROM undivided JOIN text ON text.id = undivided.id ORDER BY undivided.id LIMIT :most

-- divide
INSERT INTO gram (rowid, text)
SELECT text.id, CAST(text.text AS TEXT) FROM undivided JOIN text ON text.id = undivided.id WHERE undivided.id <= :last ORDER BY undivided.id

-- divided
DELETE FROM undivided WHERE id <= :last

-- undivide
INSERT INTO gram (gram, rowid, text)
SELECT 'delete', id, CAST(text AS TEXT) FROM text
WHERE id BETWEEN :low AND :high AND length(text) > 0 AND NOT EXISTS (SELECT 1 FROM undivided WHERE undivided.id = text.id)

-- unleave
DELETE FROM undivided WHERE id BETWEEN :low AND :high

-- forget
DELETE FROM text WHERE id BETWEEN :low AND :high

-- ids
SELECT id FROM text WHERE id > :after ORDER BY id LIMIT :most

-- candidates
SELECT DISTINCT (rowid >> 1) & 2199023255551 FROM gram
WHERE gram MATCH :grams AND rowid BETWEEN :low AND :high AND (:kind IS NULL OR rowid & 1 = :kind)
LIMIT :most

-- aside
SELECT (id >> 1) & 2199023255551 FROM text WHERE id BETWEEN :low AND :high AND text IS NULL
UNION
SELECT (id >> 1) & 2199023255551 FROM undivided WHERE id BETWEEN :low AND :high

-- texts
SELECT text.id, text.text FROM json_each(:ids) AS wanted CROSS JOIN text ON text.id = wanted.value
