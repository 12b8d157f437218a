-- within
SELECT waiting_copy.key & 4294967295, waiting_copy.queue, EXISTS (SELECT 1 FROM queue WHERE queue.id = waiting_copy.queue)
FROM waiting_copy JOIN message ON [message.owner = waiting_copy.owner AND] message.key = waiting_copy.key
WHERE [waiting_copy.owner = :owner AND] waiting_copy.key BETWEEN :low AND :high ORDER BY waiting_copy.key

-- copies
SELECT waiting_copy.key FROM waiting_copy JOIN message ON [message.owner = waiting_copy.owner AND] message.key = waiting_copy.key
JOIN folder ON [folder.owner = waiting_copy.owner AND] folder.id = waiting_copy.key >> 32
WHERE waiting_copy.queue = :queue ORDER BY waiting_copy.key

-- blob
SELECT blob, sender FROM queue WHERE id = :id

-- delete_copies
DELETE FROM waiting_copy WHERE queue = :queue

-- mark
UPDATE message SET flags = (flags & :keep) | :added, modseq = :modseq WHERE [owner = :owner AND] key BETWEEN :low AND :high
