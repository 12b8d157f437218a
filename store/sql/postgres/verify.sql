-- tables
SELECT CAST(relname AS TEXT) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = CAST(current_schema AS REGNAMESPACE) ORDER BY relname

-- damage
SELECT said FROM damage(:of)

-- astray
SELECT CAST(:of AS TEXT), place, parent FROM astray(:of) LIMIT 20

-- numbers
SELECT 'object', GREATEST((SELECT coalesce(max(id), 0) FROM object), (SELECT coalesce(max(id), 0) FROM deleted_account)),
       coalesce((SELECT last_value FROM object_id_seq WHERE is_called), 0)
UNION ALL SELECT 'folder', GREATEST((SELECT coalesce(max(id), 0) FROM folder), (SELECT coalesce(max(id), 0) FROM deleted_folder)),
       coalesce((SELECT last_value FROM folder_id_seq WHERE is_called), 0)
UNION ALL SELECT 'blob', (SELECT coalesce(max(id), 0) FROM blob), coalesce((SELECT last_value FROM blob_id_seq WHERE is_called), 0)
UNION ALL SELECT 'queue', (SELECT coalesce(max(id), 0) FROM queue), coalesce((SELECT last_value FROM queue_id_seq WHERE is_called), 0)
