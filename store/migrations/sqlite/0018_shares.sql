-- What was shared as one thing: the grants it gave carry its number as long as nobody changes them by hand.
CREATE TABLE share (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    preset TEXT NOT NULL,
    made_mailbox INTEGER NOT NULL,
    not_before INTEGER,
    expires INTEGER,
    review INTEGER,
    note TEXT NOT NULL,
    created INTEGER NOT NULL
);

CREATE INDEX share_owner ON share (owner);

CREATE TABLE share_member (
    share INTEGER NOT NULL REFERENCES share (id) ON DELETE CASCADE,
    grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('account', 'group', 'domain', 'cos', 'all')),
    grantee INTEGER NOT NULL,
    PRIMARY KEY (share, grantee_kind, grantee)
) WITHOUT ROWID;

CREATE INDEX share_member_grantee ON share_member (grantee_kind, grantee);

-- review: when somebody is to look at it again; given: when it was written; used: when it last decided something, to the hour;
-- warned: when its end was announced.
ALTER TABLE folder_entry ADD COLUMN share INTEGER REFERENCES share (id) ON DELETE SET NULL;
ALTER TABLE folder_entry ADD COLUMN review INTEGER;
ALTER TABLE folder_entry ADD COLUMN given INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folder_entry ADD COLUMN used INTEGER;
ALTER TABLE folder_entry ADD COLUMN warned INTEGER;
ALTER TABLE send_grant ADD COLUMN share INTEGER REFERENCES share (id) ON DELETE SET NULL;
ALTER TABLE send_grant ADD COLUMN review INTEGER;
ALTER TABLE send_grant ADD COLUMN given INTEGER NOT NULL DEFAULT 0;
ALTER TABLE send_grant ADD COLUMN used INTEGER;
ALTER TABLE send_grant ADD COLUMN warned INTEGER;

-- Nobody knows when earlier ones were given: they count from now.
UPDATE folder_entry SET given = CAST(strftime('%s', 'now') AS INTEGER) * 1000000;
UPDATE send_grant SET given = CAST(strftime('%s', 'now') AS INTEGER) * 1000000;

CREATE INDEX folder_entry_share ON folder_entry (share) WHERE share IS NOT NULL;
CREATE INDEX send_grant_share ON send_grant (share) WHERE share IS NOT NULL;
CREATE INDEX folder_entry_expires ON folder_entry (expires) WHERE expires IS NOT NULL;
CREATE INDEX send_grant_expires ON send_grant (expires) WHERE expires IS NOT NULL;
CREATE INDEX folder_entry_review ON folder_entry (review) WHERE review IS NOT NULL;
CREATE INDEX send_grant_review ON send_grant (review) WHERE review IS NOT NULL;
