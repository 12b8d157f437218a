-- log
INSERT INTO change ([owner,] folder, modseq, kind, low, high) VALUES ([:owner,] :folder, :modseq, :kind, :low, :high)

-- folder
SELECT modseq, uidnext, messages, changes_from FROM folder WHERE [owner = :owner AND] id = :folder AND noselect = 0

-- since
SELECT kind, low, high FROM change WHERE [owner = :owner AND] folder = :folder AND modseq > :modseq

-- changed
SELECT key & 4294967295, flags, modseq FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND modseq > :modseq ORDER BY key

-- changed_for
SELECT message.key & 4294967295,
       CASE WHEN seen.is_seen IS NULL THEN message.flags ELSE (message.flags & ~1) | seen.is_seen END,
       CASE WHEN seen.modseq > message.modseq THEN seen.modseq ELSE message.modseq END
FROM message LEFT JOIN seen ON [seen.owner = message.owner AND] seen.actor = :actor AND seen.key = message.key
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high AND (message.modseq > :modseq OR seen.modseq > :modseq)
ORDER BY message.key

-- prune
DELETE FROM change WHERE [owner = :owner AND] folder = :folder AND modseq <= :modseq

-- set_from
UPDATE folder SET changes_from = :modseq WHERE [owner = :owner AND] id = :folder AND changes_from < :modseq

-- long
SELECT folder, count(*) FROM change GROUP BY [owner,] folder HAVING count(*) > :rows
