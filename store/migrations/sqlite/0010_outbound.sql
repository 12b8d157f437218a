-- Where mail goes next (the recipient's domain; '' is this house), so that one slow destination does not keep mail from another;
-- what an operator stopped waits until it is released; whether the sender was told that it is late.
ALTER TABLE queue ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1));
ALTER TABLE queue ADD COLUMN warned INTEGER NOT NULL DEFAULT 0 CHECK (warned IN (0, 1));

-- What stands behind the last @: a quoted local part may have others.
UPDATE queue SET destination = replace(recipient, rtrim(recipient, replace(recipient, '@', '')), '') WHERE kind = 'relay';

DROP INDEX queue_due;
DROP INDEX queue_expires;
CREATE INDEX queue_due ON queue (due) WHERE state = 'due';
CREATE INDEX queue_turn ON queue (destination, due) WHERE state = 'due';
CREATE INDEX queue_leased ON queue (due) WHERE state = 'leased';
CREATE INDEX queue_expires ON queue (expires) WHERE state = 'held' AND stopped = 0;
