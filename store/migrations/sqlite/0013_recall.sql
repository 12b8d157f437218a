-- Mail in another's name: how long it waits, who may not send so any more, how much was sent.

-- Seconds that mail sent by this grant waits; NULL: as the principal's class of service says.
ALTER TABLE send_grant ADD COLUMN undo_window INTEGER;

-- Nobody sends in the name of a frozen principal, nor a frozen actor in anybody's, until that is taken back.
CREATE TABLE freeze (
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('principal', 'actor')),
    at INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (object, side)
) WITHOUT ROWID;

-- Whose names stand behind what waits in the queue. No reference to `object`: what waits outlives it.
CREATE TABLE delegated (
    queue INTEGER NOT NULL REFERENCES queue (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('principal', 'actor')),
    object INTEGER NOT NULL,
    PRIMARY KEY (queue, side, object)
) WITHOUT ROWID;

CREATE INDEX delegated_object ON delegated (object, side);

-- Held because somebody behind it is frozen.
ALTER TABLE queue ADD COLUMN frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1));
CREATE INDEX queue_frozen ON queue (frozen) WHERE frozen = 1;
DROP INDEX queue_expires;
CREATE INDEX queue_expires ON queue (expires) WHERE state = 'held' AND stopped = 0 AND frozen = 0;

-- The filed copies (message.key) of what waits, and for a while of what has gone: that a move to Drafts may recall it, or say that
-- it is too late. `at`: when it may be forgotten.
CREATE TABLE waiting_copy (
    key INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (key, queue)
) WITHOUT ROWID;

CREATE INDEX waiting_copy_queue ON waiting_copy (queue);
CREATE INDEX waiting_copy_at ON waiting_copy (at);

-- What a limited sender sent (principal 0: in whoever's name): one row per message, numbered without gaps. `total`: recipients up to
-- and with it, `own`: its own. `at` never falls from one number to the next.
CREATE TABLE sent (
    actor INTEGER NOT NULL,
    principal INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    total INTEGER NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (actor, principal, number)
) WITHOUT ROWID;

CREATE INDEX sent_window ON sent (actor, principal, at);
CREATE INDEX sent_at ON sent (at);
