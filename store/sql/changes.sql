-- log
INSERT INTO change (folder, modseq, kind, low, high) VALUES (:folder, :modseq, :kind, :low, :high)

-- folder
SELECT modseq, uidnext, messages, changes_from FROM folder WHERE id = :folder AND noselect = 0

-- since
SELECT kind, low, high FROM change WHERE folder = :folder AND modseq > :modseq

-- changed
SELECT key & 4294967295, flags, modseq FROM message WHERE key BETWEEN :low AND :high AND modseq > :modseq ORDER BY key

-- changed_for
SELECT message.key & 4294967295,
       CASE WHEN seen.is_seen IS NULL THEN message.flags ELSE (message.flags & ~1) | seen.is_seen END,
       CASE WHEN seen.modseq > message.modseq THEN seen.modseq ELSE message.modseq END
FROM message LEFT JOIN seen ON seen.actor = :actor AND seen.key = message.key
WHERE message.key BETWEEN :low AND :high AND (message.modseq > :modseq OR seen.modseq > :modseq)
ORDER BY message.key

-- prune
DELETE FROM change WHERE folder = :folder AND modseq <= :modseq

-- set_from
UPDATE folder SET changes_from = :modseq WHERE id = :folder AND changes_from < :modseq

-- long
SELECT folder, count(*) FROM change GROUP BY folder HAVING count(*) > :rows
