-- Statements on search.db.

-- standing
SELECT version, mark, hash FROM standing

-- begin
INSERT INTO standing (one, version, mark, hash) VALUES (1, :version, 0, x'')

-- advance
UPDATE standing SET mark = :mark, hash = :hash

-- keep
INSERT INTO text (id, text) VALUES (:id, :text)

-- divide
INSERT INTO gram (rowid, text) VALUES (:id, CAST(:text AS TEXT))

-- undivide
INSERT INTO gram (gram, rowid, text)
SELECT 'delete', id, CAST(text AS TEXT) FROM text WHERE id BETWEEN :low AND :high AND text IS NOT NULL

-- forget
DELETE FROM text WHERE id BETWEEN :low AND :high

-- ids
SELECT id FROM text WHERE id > :after ORDER BY id LIMIT :most

-- candidates
SELECT DISTINCT (rowid >> 1) & 2199023255551 FROM gram
WHERE gram MATCH :grams AND rowid BETWEEN :low AND :high AND (:kind IS NULL OR rowid & 1 = :kind)
LIMIT :most

-- unkept
SELECT DISTINCT (id >> 1) & 2199023255551 FROM text WHERE id BETWEEN :low AND :high AND text IS NULL

-- texts
SELECT text.id, text.text FROM json_each(:ids) AS wanted CROSS JOIN text ON text.id = wanted.value
