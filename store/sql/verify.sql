-- tables
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name

-- damage
SELECT integrity_check FROM pragma_integrity_check(:of)

-- astray
SELECT "table", rowid, parent FROM pragma_foreign_key_check(:of) LIMIT 20

-- amounts
SELECT (SELECT count(*) FROM folder), (SELECT count(*) FROM message), (SELECT count(*) FROM blob)

-- folders
SELECT id, owner, path, noselect, uidnext, modseq, messages, unseen, deleted, size, recent_from, changes_from
FROM folder WHERE id > :after ORDER BY id LIMIT :limit

-- folder
SELECT id, owner, path, noselect, uidnext, modseq, messages, unseen, deleted, size, recent_from, changes_from
FROM folder WHERE [owner = :owner AND] id = :id

-- counted
SELECT count(*), count(CASE flags & 1 WHEN 0 THEN 1 END), CAST(coalesce(sum((flags >> 3) & 1), 0) AS BIGINT), CAST(coalesce(sum(size), 0) AS BIGINT),
       coalesce(max(key) & 4294967295, 0), coalesce(max(modseq), 0)
FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- own_modseq
SELECT coalesce(max(modseq), 0) FROM seen WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- used
SELECT account.id, account.used, CAST(coalesce((SELECT sum(folder.size) FROM folder WHERE folder.owner = account.id), 0) AS BIGINT)
FROM account WHERE account.id > :after ORDER BY account.id LIMIT :limit

-- messages
SELECT message.key, message.size, coalesce(folder.id, deleted_folder.id), coalesce(folder.owner, deleted_folder.owner), blob.id, blob.owner, blob.size, wire.blob IS NULL, head.blob IS NULL,
       coalesce([message.owner,] NULL, 0)
FROM message
LEFT JOIN folder ON [folder.owner = message.owner AND] folder.id = message.key >> 32
LEFT JOIN deleted_folder ON [deleted_folder.owner = message.owner AND] deleted_folder.id = message.key >> 32
LEFT JOIN blob ON blob.id = message.blob
LEFT JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
LEFT JOIN head ON [head.owner = message.owner AND] head.blob = message.blob
WHERE ([message.owner,] message.key) > ([:owner,] :after) ORDER BY [message.owner,] message.key LIMIT :limit

-- stray_wire
SELECT wire.blob FROM wire WHERE NOT EXISTS (SELECT 1 FROM blob WHERE [blob.owner = wire.owner AND] blob.id = wire.blob) LIMIT 20

-- stray_head
SELECT head.blob FROM head WHERE NOT EXISTS (SELECT 1 FROM blob WHERE [blob.owner = head.owner AND] blob.id = head.blob) LIMIT 20

-- stray_seen
SELECT seen.key FROM seen WHERE NOT EXISTS (SELECT 1 FROM message WHERE [message.owner = seen.owner AND] message.key = seen.key) LIMIT 20

-- stray_filed
SELECT filed.key FROM filed WHERE NOT EXISTS (SELECT 1 FROM message WHERE [message.owner = filed.owner AND] message.key = filed.key) LIMIT 20

-- blobs
SELECT id, owner, hash, size, place, octets FROM blob WHERE id > :after ORDER BY id LIMIT :limit

-- blob
SELECT 1 FROM blob WHERE id = :id AND place = :place

-- unused
SELECT id FROM blob
WHERE NOT EXISTS (SELECT 1 FROM message WHERE [message.owner = blob.owner AND] message.blob = blob.id) AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.blob = blob.id)
      AND NOT EXISTS (SELECT 1 FROM loose WHERE [loose.owner = blob.owner AND] loose.blob = blob.id)
LIMIT 20

-- queue
SELECT queue.id FROM queue LEFT JOIN blob ON blob.id = queue.blob
WHERE blob.id IS NULL OR blob.size <> queue.size
LIMIT 20

-- objects
SELECT object.id, object.kind FROM object
WHERE NOT EXISTS (SELECT 1 FROM address WHERE address.object = object.id AND address.is_primary = 1)
      OR (object.kind = 'account' AND NOT EXISTS (SELECT 1 FROM account WHERE account.id = object.id))
      OR (object.kind = 'list' AND NOT EXISTS (SELECT 1 FROM list WHERE list.id = object.id))
      OR (object.kind = 'account' AND NOT EXISTS (SELECT 1 FROM folder WHERE folder.owner = object.id AND folder.path = '/'))
LIMIT 20

-- orphan_entries
SELECT folder_entry.folder, folder_entry.grantee_kind, folder_entry.grantee FROM folder_entry
LEFT JOIN folder ON [folder.owner = folder_entry.owner AND] folder.id = folder_entry.folder
WHERE folder.owner IS NULL OR folder.owner <> folder_entry.owner
      OR (grantee_kind = 'account' AND NOT EXISTS (SELECT 1 FROM account WHERE account.id = grantee))
      OR (grantee_kind = 'group' AND NOT EXISTS (SELECT 1 FROM list WHERE list.id = grantee))
      OR (grantee_kind = 'domain' AND NOT EXISTS (SELECT 1 FROM domain WHERE domain.id = grantee))
      OR (grantee_kind = 'cos' AND NOT EXISTS (SELECT 1 FROM cos WHERE cos.id = grantee))
LIMIT 20

-- orphan_grants
SELECT target, "right", grantee_kind, grantee FROM send_grant
WHERE (grantee_kind = 'account' AND NOT EXISTS (SELECT 1 FROM account WHERE account.id = grantee))
      OR (grantee_kind = 'group' AND NOT EXISTS (SELECT 1 FROM list WHERE list.id = grantee))
      OR (grantee_kind = 'domain' AND NOT EXISTS (SELECT 1 FROM domain WHERE domain.id = grantee))
      OR (grantee_kind = 'cos' AND NOT EXISTS (SELECT 1 FROM cos WHERE cos.id = grantee))
LIMIT 20

-- numbers
SELECT 'object', max((SELECT coalesce(max(id), 0) FROM object), (SELECT coalesce(max(id), 0) FROM deleted_account)), (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'object')
UNION ALL SELECT 'folder', max((SELECT coalesce(max(id), 0) FROM folder), (SELECT coalesce(max(id), 0) FROM deleted_folder)),
       (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'folder')
UNION ALL SELECT 'blob', (SELECT coalesce(max(id), 0) FROM blob), (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'blob')
UNION ALL SELECT 'queue', (SELECT coalesce(max(id), 0) FROM queue), (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'queue')

-- set_counts
UPDATE folder SET messages = :messages, unseen = :unseen, deleted = :deleted, size = :size, uidnext = :uidnext, modseq = :modseq
WHERE [owner = :owner AND] id = :id

-- set_used
UPDATE account SET used = coalesce((SELECT sum(folder.size) FROM folder WHERE folder.owner = account.id), 0) WHERE id = :id
