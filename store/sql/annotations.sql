-- under
SELECT entry, value FROM annotation
WHERE owner = :owner AND actor = :actor AND folder = :folder AND (entry = :entry OR (entry > :first AND entry < :last)) ORDER BY entry

-- one
SELECT value FROM annotation WHERE owner = :owner AND actor = :actor AND folder = :folder AND entry = :entry

-- totals
SELECT count(*), coalesce(sum(length(value)), 0) FROM annotation WHERE owner = :owner AND actor = :actor

-- set
INSERT INTO annotation (owner, actor, folder, entry, value) VALUES (:owner, :actor, :folder, :entry, :value)
ON CONFLICT (owner, actor, folder, entry) DO UPDATE SET value = :value

-- delete
DELETE FROM annotation WHERE owner = :owner AND actor = :actor AND folder = :folder AND entry = :entry
