-- entries_expiring
SELECT e.owner, e.folder, f.path, e.given, e.used, e.warned, e.share, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.expires > :now AND e.expires <= :until
ORDER BY e.expires, e.folder, e.grantee_kind, e.grantee
LIMIT :limit;

-- grants_expiring
SELECT given, used, warned, share, target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE expires > :now AND expires <= :until
ORDER BY expires, target, "right", grantee_kind, grantee
LIMIT :limit;

-- entries_overdue
SELECT e.owner, e.folder, f.path, e.given, e.used, e.warned, e.share, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.review <= :until AND (e.expires IS NULL OR e.expires > :now)
ORDER BY e.review, e.folder, e.grantee_kind, e.grantee
LIMIT :limit;

-- grants_overdue
SELECT given, used, warned, share, target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE review <= :until AND (expires IS NULL OR expires > :now)
ORDER BY review, target, "right", grantee_kind, grantee
LIMIT :limit;

-- entries_unused
SELECT e.owner, e.folder, f.path, e.given, e.used, e.warned, e.share, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.rights <> 0 AND e.given <= :until AND COALESCE(e.used, 0) <= :until AND COALESCE(e.not_before, 0) <= :until
AND (e.expires IS NULL OR e.expires > :now)
ORDER BY e.folder, e.grantee_kind, e.grantee
LIMIT :limit;

-- grants_unused
SELECT given, used, warned, share, target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE deny = 0 AND given <= :until AND COALESCE(used, 0) <= :until AND COALESCE(not_before, 0) <= :until
AND (expires IS NULL OR expires > :now)
ORDER BY target, "right", grantee_kind, grantee
LIMIT :limit;

-- entries_on
SELECT e.owner, e.folder, f.path, e.given, e.used, e.warned, e.share, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.owner = :owner
ORDER BY f.path, e.grantee_kind, e.grantee
LIMIT :limit;

-- grants_on
SELECT given, used, warned, share, target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE target = :target
ORDER BY "right", grantee_kind, grantee
LIMIT :limit;

-- entries_to
SELECT e.owner, e.folder, f.path, e.given, e.used, e.warned, e.share, e.grantee_kind, e.grantee, e.rights, e.not_before, e.expires, e.note, e.review
FROM folder_entry e JOIN folder f ON [f.owner = e.owner AND] f.id = e.folder
WHERE e.grantee_kind = :kind AND e.grantee = :grantee
ORDER BY e.owner, f.path
LIMIT :limit;

-- grants_to
SELECT given, used, warned, share, target, "right", grantee_kind, grantee, deny, not_before, expires, note, undo_window, review FROM send_grant
WHERE grantee_kind = :kind AND grantee = :grantee
ORDER BY target, "right"
LIMIT :limit;

-- use_entry
UPDATE folder_entry SET used = :now
WHERE [owner = :owner AND] folder = (SELECT id FROM folder WHERE owner = :owner AND path = :path) AND grantee_kind = :kind AND grantee = :grantee
AND (used IS NULL OR used <= :before);

-- use_grant
UPDATE send_grant SET used = :now
WHERE target = :target AND "right" = :right AND grantee_kind = :kind AND grantee = :grantee AND (used IS NULL OR used <= :before);

-- warn_entry
UPDATE folder_entry SET warned = :now
WHERE [owner = :owner AND] folder = :folder AND grantee_kind = :kind AND grantee = :grantee AND expires = :expires AND warned IS NULL;

-- warn_grant
UPDATE send_grant SET warned = :now
WHERE target = :target AND "right" = :right AND grantee_kind = :kind AND grantee = :grantee AND expires = :expires AND warned IS NULL;
