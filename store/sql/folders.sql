-- by_id
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE [owner = :owner AND] id = :id

-- by_ids
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE [owner = :owner AND] id IN (SELECT value FROM json_each(CAST(:ids AS TEXT)))

-- figures
SELECT id, uidvalidity, uidnext, modseq, messages, CASE WHEN seen_private = 1 THEN -1 ELSE unseen END, deleted, size, recent_from, born
FROM folder WHERE [owner = :owner AND] id IN (SELECT value FROM json_each(CAST(:ids AS TEXT)))

-- by_path
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE owner = :owner AND path = :path

-- by_special_use
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE owner = :owner AND special_use = :special_use

-- of_owner
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE owner = :owner ORDER BY path

-- below
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
       no_inherit, seen_private, subscribe_auto, noselect, born
FROM folder WHERE owner = :owner AND path >= :first AND path < :last ORDER BY path

-- one_below
SELECT 1 FROM folder WHERE owner = :owner AND path >= :first AND path < :last LIMIT 1

-- how_many
SELECT count(*) FROM folder WHERE owner = :owner

-- insert
INSERT INTO folder (owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
                    no_inherit, seen_private, subscribe_auto, noselect, changes_from)
VALUES (:owner, :path, :uidvalidity, 1, 1, 0, 0, 0, 0, 1, :special_use, 0, 0, 1, 0, 1)

-- insert_mailbox
INSERT INTO mailbox (owner, uidvalidity, forgotten) VALUES (:owner, 0, 0) ON CONFLICT (owner) DO NOTHING

-- draw
UPDATE mailbox SET uidvalidity = CASE WHEN uidvalidity < :seconds THEN :seconds ELSE uidvalidity + 1 END WHERE owner = :owner

-- drawn
SELECT uidvalidity FROM mailbox WHERE owner = :owner

-- remember_former
INSERT INTO former (owner, path, uidvalidity) VALUES (:owner, :path, :uidvalidity)
ON CONFLICT (owner, path) DO UPDATE SET uidvalidity = :uidvalidity WHERE former.uidvalidity < :uidvalidity

-- former
SELECT mailbox.forgotten, former.uidvalidity
FROM mailbox LEFT JOIN former ON former.owner = mailbox.owner AND former.path = :path
WHERE mailbox.owner = :owner

-- how_many_former
SELECT count(*) FROM former WHERE owner = :owner

-- forget_former
DELETE FROM former WHERE owner = :owner

-- set_forgotten
UPDATE mailbox SET forgotten = uidvalidity WHERE owner = :owner

-- revive
UPDATE folder SET noselect = 0, uidvalidity = :uidvalidity, born = :uidvalidity, uidnext = 1, recent_from = 1, special_use = :special_use,
                  modseq = modseq + 1, changes_from = modseq + 1
WHERE [owner = :owner AND] id = :id

-- rename
UPDATE folder SET path = :path, uidvalidity = :uidvalidity WHERE [owner = :owner AND] id = :id

-- hollow
UPDATE folder SET messages = 0, unseen = 0, deleted = 0, size = 0, recent_from = uidnext, modseq = modseq + 1 WHERE [owner = :owner AND] id = :id

-- make_noselect
UPDATE folder SET noselect = 1, special_use = NULL, changes_from = modseq WHERE [owner = :owner AND] id = :id

-- take_over
UPDATE folder SET uidnext = :uidnext, modseq = :modseq, changes_from = :modseq, messages = :messages, unseen = :unseen,
                  deleted = :deleted, size = :size, recent_from = :recent_from, seen_private = :seen_private
WHERE [owner = :owner AND] id = :id

-- shift_messages
UPDATE message SET key = key + :shift WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- shift_seen
UPDATE seen SET key = key + :shift WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- copy_keywords
INSERT INTO keyword ([owner,] folder, bit, name, folded)
SELECT [owner,] :target, bit, name, folded FROM keyword WHERE [owner = :owner AND] folder = :source

-- delete
DELETE FROM folder WHERE [owner = :owner AND] id = :id

-- loosen
INSERT INTO loose ([owner,] blob) SELECT [owner,] blob FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high ON CONFLICT ([owner,] blob) DO NOTHING

-- delete_messages
DELETE FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- delete_seen
DELETE FROM seen WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- delete_filed
DELETE FROM filed WHERE [owner = :owner AND] key BETWEEN :low AND :high

-- delete_keywords
DELETE FROM keyword WHERE [owner = :owner AND] folder = :folder

-- delete_changes
DELETE FROM change WHERE [owner = :owner AND] folder = :folder

-- set_no_inherit
UPDATE folder SET no_inherit = :value WHERE [owner = :owner AND] id = :id

-- set_seen_private
UPDATE folder SET seen_private = :value WHERE [owner = :owner AND] id = :id

-- set_subscribe_auto
UPDATE folder SET subscribe_auto = :value WHERE [owner = :owner AND] id = :id

-- set_special_use
UPDATE folder SET special_use = :special_use WHERE [owner = :owner AND] id = :id

-- restamp_seen
UPDATE message SET modseq = :modseq
WHERE [owner = :owner AND] key BETWEEN :low AND :high AND key IN (SELECT seen.key FROM seen WHERE [seen.owner = :owner AND] seen.key BETWEEN :low AND :high)

-- set_modseq
UPDATE folder SET modseq = :modseq WHERE [owner = :owner AND] id = :id

-- claim_recent
UPDATE folder SET recent_from = uidnext WHERE [owner = :owner AND] id = :id

-- unseen_by
SELECT folder.unseen
       + coalesce(sum(CASE WHEN seen.is_seen = 0 AND message.flags & 1 = 1 THEN 1
                           WHEN seen.is_seen = 1 AND message.flags & 1 = 0 THEN -1 ELSE 0 END), 0)
FROM folder
LEFT JOIN seen ON [seen.owner = folder.owner AND] seen.actor = :actor AND seen.key BETWEEN :low AND :high
LEFT JOIN message ON [message.owner = seen.owner AND] message.key = seen.key
WHERE [folder.owner = :owner AND] folder.id = :id
GROUP BY folder.id, folder.unseen

-- charge
UPDATE account SET used = used + :octets WHERE id = :owner

-- take_room
UPDATE account SET used = used + :octets
WHERE id = :owner AND (CAST(:quota AS BIGINT) = 0 OR CAST(:octets AS BIGINT) <= 0 OR used + :octets <= :quota)
AND (CAST(:octets AS BIGINT) <= 0 OR NOT EXISTS (
    SELECT 1 FROM object o JOIN domain d ON d.id = o.domain
    WHERE o.id = :owner AND d.aggregate_quota > 0 AND d.aggregate_policy = 'blocksendreceive'
    AND d.aggregate_used + :octets > d.aggregate_quota
))

-- used
SELECT used FROM account WHERE id = :owner

-- forget_subscriptions
DELETE FROM subscription WHERE subscriber = :account OR owner = :account

-- forget_seen
DELETE FROM seen WHERE actor = :account

-- forget_filed
DELETE FROM filed WHERE actor = :account

-- held_blobs
SELECT DISTINCT blob FROM queue WHERE account = :account

-- give_back_held
UPDATE queue SET account = NULL, blob = :kept, due = :now,
                 state = CASE WHEN state = 'leased' THEN 'leased' WHEN stopped + frozen > 0 THEN 'held' ELSE 'due' END
WHERE account = :account AND blob = :blob

-- forget_wire
DELETE FROM wire WHERE [owner = :account AND] blob IN (SELECT id FROM blob WHERE owner = :account)

-- forget_head
DELETE FROM head WHERE [owner = :account AND] blob IN (SELECT id FROM blob WHERE owner = :account)

-- forget_blobs
DELETE FROM blob WHERE owner = :account

-- forget_folders
DELETE FROM folder WHERE owner = :account

-- forget_mailbox
DELETE FROM mailbox WHERE owner = :account

-- delete_annotations
DELETE FROM annotation WHERE owner = :owner AND folder = :folder

-- copy_annotations
INSERT INTO annotation (owner, actor, folder, entry, value)
SELECT owner, actor, :target, entry, value FROM annotation WHERE owner = :owner AND folder = :source

-- forget_annotations
DELETE FROM annotation WHERE owner = :account OR actor = :account
