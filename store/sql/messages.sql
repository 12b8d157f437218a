-- state
SELECT key & 4294967295, flags, modseq FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ORDER BY key

-- state_for
SELECT message.key & 4294967295,
       CASE WHEN seen.is_seen IS NULL THEN message.flags ELSE (message.flags & ~1) | seen.is_seen END,
       CASE WHEN seen.modseq > message.modseq THEN seen.modseq ELSE message.modseq END
FROM message LEFT JOIN seen ON [seen.owner = message.owner AND] seen.actor = :actor AND seen.key = message.key
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- modseq
SELECT modseq FROM folder WHERE [owner = :owner AND] id = :folder AND noselect = 0

-- sizes
SELECT key & 4294967295, size FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ORDER BY key

-- rows
SELECT key & 4294967295, blob, size, received, saved, flags, modseq FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ORDER BY key

-- rows_for
SELECT message.key & 4294967295, message.blob, message.size, message.received, message.saved,
       CASE WHEN seen.is_seen IS NULL THEN message.flags ELSE (message.flags & ~1) | seen.is_seen END,
       CASE WHEN seen.modseq > message.modseq THEN seen.modseq ELSE message.modseq END
FROM message LEFT JOIN seen ON [seen.owner = message.owner AND] seen.actor = :actor AND seen.key = message.key
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- envelopes
SELECT message.key & 4294967295, wire.envelope, wire.rendering FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- structures
SELECT message.key & 4294967295, wire.structure, wire.rendering FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- bodies
SELECT message.key & 4294967295, wire.body, wire.rendering FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- wires
SELECT message.key & 4294967295, wire.rendering, wire.envelope, wire.structure, wire.body FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- heads
SELECT message.key & 4294967295, head.sent, head.sent_day, head.sender, head.recipient, head.copied, head.subject, head.message_id
FROM message JOIN head ON [head.owner = message.owner AND] head.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- hashes
SELECT message.key & 4294967295, blob.hash FROM message JOIN blob ON [blob.owner = message.owner AND] blob.id = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- octets
SELECT blob.octets, blob.place FROM message JOIN blob ON [blob.owner = message.owner AND] blob.id = message.blob WHERE [message.owner = :owner AND] message.key = :key

-- octets_within
SELECT message.key & 4294967295, blob.octets, blob.place FROM message JOIN blob ON [blob.owner = message.owner AND] blob.id = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- beginnings
SELECT message.key & 4294967295, substr(blob.octets, 1, CAST(:count AS INTEGER)), blob.place FROM message JOIN blob ON [blob.owner = message.owner AND] blob.id = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- with_message_id
SELECT message.key & 4294967295, message.blob FROM message JOIN head ON [head.owner = message.owner AND] head.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high AND head.message_id = :message_id ORDER BY message.key

-- keywords
SELECT bit, name, folded FROM keyword WHERE [owner = :owner AND] folder = :folder ORDER BY bit

-- insert_keyword
INSERT INTO keyword ([owner,] folder, bit, name, folded) VALUES ([:owner,] :folder, :bit, :name, :folded)

-- insert
INSERT INTO message ([owner,] key, blob, size, received, saved, flags, modseq)
VALUES ([:owner,] :key, :blob, :size, :received, :saved, :flags, :modseq)

-- insert_wire
INSERT INTO wire ([owner,] blob, rendering, envelope, structure, body, preview, layout)
VALUES ([:owner,] :blob, :rendering, :envelope, :structure, :body, :preview, :layout)
ON CONFLICT ([owner,] blob) DO NOTHING

-- insert_head
INSERT INTO head ([owner,] blob, sent, sent_day, sender, recipient, copied, subject, message_id,
                  sort_version, sort_from, sort_to, sort_cc, sort_shown_from, sort_shown_to, sort_subject, is_reply, ancestors)
VALUES ([:owner,] :blob, :sent, :sent_day, :sender, :recipient, :copied, :subject, :message_id,
        :sort_version, :sort_from, :sort_to, :sort_cc, :sort_shown_from, :sort_shown_to, :sort_subject, :is_reply, :ancestors)
ON CONFLICT ([owner,] blob) DO NOTHING

-- insert_seen
INSERT INTO seen ([owner,] actor, key, is_seen, modseq) VALUES ([:owner,] :actor, :key, :is_seen, :modseq)

-- copy_wire
INSERT INTO wire ([owner,] blob, rendering, envelope, structure, body, preview, layout)
SELECT [:target_owner,] CAST(:target_blob AS BIGINT), rendering, envelope, structure, body, preview, layout FROM wire WHERE [owner = :owner AND] blob = :blob
ON CONFLICT ([owner,] blob) DO NOTHING

-- copy_head
INSERT INTO head ([owner,] blob, sent, sent_day, sender, recipient, copied, subject, message_id,
                  sort_version, sort_from, sort_to, sort_cc, sort_shown_from, sort_shown_to, sort_subject, is_reply, ancestors)
SELECT [:target_owner,] CAST(:target_blob AS BIGINT), sent, sent_day, sender, recipient, copied, subject, message_id,
       sort_version, sort_from, sort_to, sort_cc, sort_shown_from, sort_shown_to, sort_subject, is_reply, ancestors
FROM head WHERE [owner = :owner AND] blob = :blob
ON CONFLICT ([owner,] blob) DO NOTHING

-- grow
UPDATE folder SET uidnext = :uidnext, modseq = :modseq, messages = messages + :messages, unseen = unseen + :unseen,
                  deleted = deleted + :deleted, size = size + :size
WHERE [owner = :owner AND] id = :folder

-- count_changes
SELECT count(*), CAST(coalesce(sum(flags & 1), 0) AS BIGINT), CAST(coalesce(sum((flags >> 3) & 1), 0) AS BIGINT), min(key), max(key)
FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags <> ((flags & :keep) | :added)

-- change_flags
UPDATE message SET flags = (flags & :keep) | :added, modseq = :modseq
WHERE [owner = :owner AND] key BETWEEN :low AND :high AND flags <> ((flags & :keep) | :added)

-- flags_between
SELECT key & 4294967295, flags FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ORDER BY key

-- change_keys
UPDATE message SET flags = (flags & :keep) | :added, modseq = :modseq WHERE [owner = :owner AND] key IN (SELECT value FROM json_each(CAST(:keys AS TEXT)))

-- mark_own
INSERT INTO seen ([owner,] actor, key, is_seen, modseq)
SELECT [message.owner,] :actor, message.key, :value, :modseq
FROM message LEFT JOIN seen AS own ON [own.owner = message.owner AND] own.actor = :actor AND own.key = message.key
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high AND coalesce(own.is_seen, message.flags & 1) <> :value
ON CONFLICT ([owner,] actor, key) DO UPDATE SET is_seen = excluded.is_seen, modseq = excluded.modseq

-- newer
SELECT key & 4294967295 FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high AND modseq > :modseq ORDER BY key

-- newer_for
SELECT message.key & 4294967295 FROM message LEFT JOIN seen ON [seen.owner = message.owner AND] seen.actor = :actor AND seen.key = message.key
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high AND (message.modseq > :modseq OR seen.modseq > :modseq) ORDER BY message.key

-- count_flagged
UPDATE folder SET modseq = :modseq, unseen = unseen + :unseen, deleted = deleted + :deleted WHERE [owner = :owner AND] id = :folder

-- there
SELECT key & 4294967295, blob, size, flags FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ORDER BY key

-- shrink
UPDATE folder SET modseq = :modseq, messages = messages - :messages, unseen = unseen - :unseen,
                  deleted = deleted - :deleted, size = size - :size
WHERE [owner = :owner AND] id = :folder

-- delete
DELETE FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- delete_seen
DELETE FROM seen WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- any_filed
SELECT 1 FROM filed WHERE [owner = :owner AND] key BETWEEN :low AND :high LIMIT 1

-- delete_filed
DELETE FROM filed WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- filed
SELECT message.key & 4294967295, message.blob, message.size, message.flags, head.sender, head.subject, head.sent,
       filed.modseq = message.modseq AND NOT EXISTS (SELECT 1 FROM seen WHERE [seen.owner = message.owner AND] seen.key = message.key)
FROM filed JOIN message ON [message.owner = filed.owner AND] message.key = filed.key JOIN head ON [head.owner = message.owner AND] head.blob = message.blob
WHERE [filed.owner = :owner AND] filed.key BETWEEN :low AND :high AND filed.actor = :actor AND filed.message_id = :message_id AND filed.at > :since
ORDER BY filed.key

-- expected
SELECT message_id, max(at), -min(key) FROM filed WHERE [owner = :actor AND] actor = :actor AND key < 0 GROUP BY message_id

-- insert_brought
INSERT INTO filed ([owner,] key, actor, message_id, at, modseq) VALUES ([:owner,] :key, :actor, :message_id, :at, -1)

-- set_wire
UPDATE wire SET rendering = :rendering, envelope = :envelope, structure = :structure, body = :body WHERE [owner = :owner AND] blob = (SELECT blob FROM message WHERE [owner = :owner AND] key = :key)

-- sorting
SELECT message.key & 4294967295, message.received, message.size, coalesce(head.sent, message.received), head.sort_version,
       head.sort_from, head.sort_to, head.sort_cc, head.sort_shown_from, head.sort_shown_to, head.sort_subject, head.is_reply,
       head.message_id, head.ancestors
FROM message JOIN head ON [head.owner = message.owner AND] head.blob = message.blob WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- set_sorting
UPDATE head SET sort_version = :sort_version, sort_from = :sort_from, sort_to = :sort_to, sort_cc = :sort_cc,
                sort_shown_from = :sort_shown_from, sort_shown_to = :sort_shown_to, sort_subject = :sort_subject,
                is_reply = :is_reply, ancestors = :ancestors
WHERE [owner = :owner AND] blob = (SELECT blob FROM message WHERE [owner = :owner AND] key = :key)

-- previews
SELECT message.key & 4294967295, wire.preview FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- set_preview
UPDATE wire SET preview = :preview WHERE [owner = :owner AND] blob = (SELECT blob FROM message WHERE [owner = :owner AND] key = :key)

-- layouts
SELECT message.key & 4294967295, wire.layout FROM message JOIN wire ON [wire.owner = message.owner AND] wire.blob = message.blob
WHERE [message.owner = :owner AND] message.key BETWEEN :low AND :high ORDER BY message.key

-- set_layout
UPDATE wire SET layout = :layout WHERE [owner = :owner AND] blob = (SELECT blob FROM message WHERE [owner = :owner AND] key = :key)

-- any_waiting
SELECT 1 FROM waiting_copy WHERE [owner = :owner AND] key BETWEEN :low AND :high LIMIT 1

-- insert_waiting
INSERT INTO waiting_copy ([owner,] key, queue, at) VALUES ([:owner,] :key, :queue, :at)

-- carry_waiting
UPDATE waiting_copy SET [owner = :target_owner,] key = :new WHERE [owner = :owner AND] key = :old
