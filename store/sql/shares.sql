-- insert
INSERT INTO share (owner, preset, made_mailbox, not_before, expires, review, note, created)
VALUES (:owner, :preset, :made_mailbox, :not_before, :expires, :review, :note, :now);

-- put_back
INSERT INTO share (id, owner, preset, made_mailbox, not_before, expires, review, note, created)
VALUES (:id, :owner, :preset, :made_mailbox, :not_before, :expires, :review, :note, :created);

-- insert_member
INSERT INTO share_member (share, grantee_kind, grantee) VALUES (:share, :kind, :grantee)
ON CONFLICT (share, grantee_kind, grantee) DO NOTHING;

-- update
UPDATE share SET preset = :preset, not_before = :not_before, expires = :expires, review = :review, note = :note WHERE id = :id;

-- delete_member
DELETE FROM share_member WHERE share = :share AND grantee_kind = :kind AND grantee = :grantee;

-- by_id
SELECT id, owner, preset, made_mailbox, not_before, expires, review, note, created FROM share WHERE id = :id;

-- of_owner
SELECT id, owner, preset, made_mailbox, not_before, expires, review, note, created FROM share WHERE owner = :owner ORDER BY id;

-- page
SELECT id, owner, preset, made_mailbox, not_before, expires, review, note, created FROM share WHERE id > :after ORDER BY id LIMIT :limit;

-- members
SELECT grantee_kind, grantee FROM share_member WHERE share = :share ORDER BY grantee_kind, grantee;

-- with_member
SELECT share FROM share_member WHERE grantee_kind = :kind AND grantee = :grantee ORDER BY share;

-- entries
SELECT e.owner, e.folder, f.path, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.share = :share
ORDER BY f.path, e.grantee_kind, e.grantee;

-- send_grants
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant WHERE share = :share
ORDER BY "right", grantee_kind, grantee;

-- delete
DELETE FROM share WHERE id = :id;

-- parts
SELECT e.owner, e.grantee_kind, e.grantee, f.path, e.share
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder WHERE e.share IS NOT NULL
UNION ALL
SELECT target, grantee_kind, grantee, "right", share FROM send_grant WHERE share IS NOT NULL;
