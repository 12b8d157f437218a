-- summed
SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), CAST(coalesce(sum(flags & 1), 0) AS BIGINT),
       CAST(coalesce(sum((flags >> 3) & 1), 0) AS BIGINT), coalesce(max(flags), 0)
FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- marked
SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), CAST(coalesce(sum(flags & 1), 0) AS BIGINT),
       coalesce(min(key) & 4294967295, 0), coalesce(max(key) & 4294967295, 0)
FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags & 8 = 8

-- marked_ones
SELECT key & 4294967295, size, flags FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags & 8 = 8 ORDER BY key

-- copy
INSERT INTO message ([owner,] key, blob, size, received, saved, flags, modseq)
SELECT [:target_owner,] key + :shift, blob, size, received, CAST(:saved AS BIGINT), flags & :mask, CAST(:modseq AS BIGINT) FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- move
UPDATE message SET key = key + :shift, saved = :saved, flags = flags & :mask, modseq = :modseq WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- loosen
INSERT INTO loose ([owner,] blob) SELECT [owner,] blob FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ON CONFLICT ([owner,] blob) DO NOTHING

-- loosen_marked
INSERT INTO loose ([owner,] blob) SELECT [owner,] blob FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags & 8 = 8 ON CONFLICT ([owner,] blob) DO NOTHING

-- delete_marked
DELETE FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags & 8 = 8
