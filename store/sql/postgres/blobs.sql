-- newest
SELECT last_value FROM blob_id_seq WHERE is_called

-- drawn
SELECT coalesce(max(id), 0), CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT),
       CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)
FROM blob
