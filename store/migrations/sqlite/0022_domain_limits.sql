-- How much room a domain gives. `max_quota`: to one account at most; `aggregate_quota`: to all of them together, who is told of it
-- (`aggregate_warn_recipient`, at so many percent) and what ends when it is used up. 0: no limit.
ALTER TABLE domain ADD COLUMN max_quota INTEGER NOT NULL DEFAULT 0;
ALTER TABLE domain ADD COLUMN aggregate_quota INTEGER NOT NULL DEFAULT 0;
ALTER TABLE domain ADD COLUMN aggregate_policy TEXT NOT NULL DEFAULT 'allowsendreceive';
ALTER TABLE domain ADD COLUMN aggregate_warn_percent INTEGER NOT NULL DEFAULT 80;
ALTER TABLE domain ADD COLUMN aggregate_warn_recipient TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN aggregate_warned INTEGER NOT NULL DEFAULT 0;

-- Octets that its accounts use, counted while there is an aggregate quota (by the triggers; from the start when it is set).
ALTER TABLE domain ADD COLUMN aggregate_used INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER domain_used_by_account AFTER UPDATE OF used ON account WHEN NEW.used <> OLD.used
BEGIN
    UPDATE domain SET aggregate_used = aggregate_used + NEW.used - OLD.used
    WHERE aggregate_quota > 0 AND id = (SELECT domain FROM object WHERE id = NEW.id);
END;

CREATE TRIGGER domain_used_by_moved AFTER UPDATE OF domain ON object WHEN NEW.kind = 'account' AND NEW.domain <> OLD.domain
BEGIN
    UPDATE domain SET aggregate_used = aggregate_used - COALESCE((SELECT used FROM account WHERE id = NEW.id), 0)
    WHERE aggregate_quota > 0 AND id = OLD.domain;
    UPDATE domain SET aggregate_used = aggregate_used + COALESCE((SELECT used FROM account WHERE id = NEW.id), 0)
    WHERE aggregate_quota > 0 AND id = NEW.domain;
END;

CREATE TRIGGER domain_used_by_deleted BEFORE DELETE ON object WHEN OLD.kind = 'account'
BEGIN
    UPDATE domain SET aggregate_used = aggregate_used - COALESCE((SELECT used FROM account WHERE id = OLD.id), 0)
    WHERE aggregate_quota > 0 AND id = OLD.domain;
END;

-- How many accounts of a domain may have a class of service; what has no row has no limit.
CREATE TABLE domain_cos_limit (
    domain INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    cos INTEGER NOT NULL REFERENCES cos (id) ON DELETE CASCADE,
    max_accounts INTEGER NOT NULL,
    PRIMARY KEY (domain, cos)
) WITHOUT ROWID;

CREATE INDEX domain_cos_limit_cos ON domain_cos_limit (cos);

-- A code with which somebody who has no password yet, or must set another, sets one: a keyed hash, good once, until `expires`.
CREATE TABLE first_access (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    verifier BLOB NOT NULL,
    expires INTEGER NOT NULL
);
