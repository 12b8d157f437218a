-- entries
SELECT grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry WHERE [owner = :owner AND] folder = :folder
ORDER BY grantee_kind, grantee;

-- first_entries
SELECT grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry WHERE [owner = :owner AND] folder = :folder
ORDER BY grantee_kind, grantee LIMIT :limit;

-- entry
SELECT grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry
WHERE [owner = :owner AND] folder = :folder AND grantee_kind = :kind AND grantee = :grantee;

-- level
SELECT id, no_inherit FROM folder WHERE owner = :owner AND path = :path;

-- owner_of
SELECT owner FROM folder WHERE id = :folder;

-- entries_of_owner
SELECT folder, grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry WHERE owner = :owner
ORDER BY folder, grantee_kind, grantee;

-- first_entries_of_owner
SELECT folder, grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry WHERE owner = :owner
ORDER BY folder, grantee_kind, grantee LIMIT :limit;

-- entries_of_owner_to
SELECT folder, grantee_kind, grantee, rights, not_before, expires, note, review FROM folder_entry
WHERE grantee_kind = :kind AND grantee = :grantee AND owner = :owner;

-- folders_of_owner
SELECT id, path, no_inherit FROM folder WHERE owner = :owner;

-- owners_granting
SELECT DISTINCT owner FROM folder_entry WHERE grantee_kind = :kind AND grantee = :grantee;

-- targets_granting
SELECT DISTINCT target FROM send_grant WHERE grantee_kind = :kind AND grantee = :grantee;

-- lists_granting
SELECT DISTINCT g.target FROM send_grant g JOIN list l ON l.id = g.target
WHERE g.grantee_kind = :kind AND g.grantee = :grantee AND g."right" = 'sendToDistList';

-- keep_restricted
UPDATE list SET attributes = json_set(attributes, '$.' || :name, 'TRUE')
WHERE id = :list AND NOT EXISTS (SELECT 1 FROM send_grant WHERE target = :list AND "right" = 'sendToDistList');

-- shared_with
SELECT e.owner, e.folder, f.path, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.grantee_kind = :kind AND e.grantee = :grantee
ORDER BY e.owner, f.path;

-- other_entries
SELECT count(*) FROM folder_entry WHERE [owner = :owner AND] folder = :folder AND NOT (grantee_kind = :kind AND grantee = :grantee);

-- set_entry
INSERT INTO folder_entry (folder, grantee_kind, grantee, owner, rights, not_before, expires, note, review, share, given)
VALUES (:folder, :kind, :grantee, :owner, :rights, :not_before, :expires, :note, :review, :share, :now)
ON CONFLICT ([owner,] folder, grantee_kind, grantee) DO UPDATE
SET rights = excluded.rights, not_before = excluded.not_before, expires = excluded.expires, note = excluded.note, review = excluded.review,
share = excluded.share, given = excluded.given, used = NULL, warned = NULL;

-- remove_entry
DELETE FROM folder_entry WHERE [owner = :owner AND] folder = :folder AND grantee_kind = :kind AND grantee = :grantee;

-- forget_entries
DELETE FROM folder_entry WHERE grantee_kind = :kind AND grantee = :grantee;

-- send_grants_on
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant WHERE target = :target
ORDER BY "right", grantee_kind, grantee;

-- send_grants_of_right
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE target = :target AND "right" = :right
ORDER BY grantee_kind, grantee;

-- first_send_grants_of_right
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE target = :target AND "right" = :right
ORDER BY grantee_kind, grantee LIMIT :limit;

-- send_grant
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE target = :target AND "right" = :right AND grantee_kind = :kind AND grantee = :grantee;

-- any_send_grant
SELECT 1 FROM send_grant WHERE target = :target AND "right" = :right LIMIT 1;

-- send_grants_to
SELECT target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE grantee_kind = :kind AND grantee = :grantee
ORDER BY target, "right";

-- holds_any
SELECT 1 FROM send_grant
WHERE grantee_kind = :kind AND grantee = :grantee AND "right" IN ('sendAs', 'sendOnBehalfOf') AND deny = 0
AND (not_before IS NULL OR not_before <= :now) AND (expires IS NULL OR expires > :now)
LIMIT 1;

-- other_send_grants
SELECT count(*) FROM send_grant WHERE target = :target AND NOT ("right" = :right AND grantee_kind = :kind AND grantee = :grantee);

-- set_send_grant
INSERT INTO send_grant (target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review, share, given)
VALUES (:target, :right, :kind, :grantee, :deny, :not_before, :expires, :note, :undo_window, :review, :share, :now)
ON CONFLICT (target, "right", grantee_kind, grantee) DO UPDATE
SET deny = excluded.deny, not_before = excluded.not_before, expires = excluded.expires, note = excluded.note,
undo_window = excluded.undo_window, review = excluded.review, share = excluded.share, given = excluded.given, used = NULL, warned = NULL;

-- remove_send_grant
DELETE FROM send_grant
WHERE target = :target AND "right" = :right AND grantee_kind = :kind AND grantee = :grantee AND deny = :deny;

-- forget_send_grants
DELETE FROM send_grant WHERE grantee_kind = :kind AND grantee = :grantee;

-- forget_members
DELETE FROM share_member WHERE grantee_kind = :kind AND grantee = :grantee;

-- account_exists
SELECT 1 FROM account WHERE id = :id;

-- list_exists
SELECT 1 FROM list WHERE id = :id;

-- domain_exists
SELECT 1 FROM domain WHERE id = :id;

-- cos_exists
SELECT 1 FROM cos WHERE id = :id;

-- object_exists
SELECT 1 FROM object WHERE id = :id;

-- accounts_in_list
WITH RECURSIVE edge (list) AS (
    SELECT CAST(:id AS BIGINT)
    UNION
    SELECT m.member FROM edge JOIN list_member m ON m.list = edge.list JOIN list l ON l.id = m.member
)
SELECT DISTINCT a.id FROM edge JOIN list_member m ON m.list = edge.list JOIN account a ON a.id = m.member
LIMIT :limit;

-- accounts_in_domain
SELECT id FROM object WHERE domain = :id AND kind = 'account' LIMIT :limit;

-- accounts_in_cos
SELECT id FROM account WHERE cos = :id
UNION ALL
SELECT o.id
FROM domain d CROSS JOIN object o JOIN account a ON a.id = o.id
WHERE COALESCE(d.cos, 1) = :id AND o.domain = d.id AND o.kind = 'account' AND a.cos IS NULL
LIMIT :limit;

-- accounts
SELECT id FROM account WHERE CAST(:id AS BIGINT) = 0 LIMIT :limit;
