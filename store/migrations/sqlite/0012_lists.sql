-- Each member elsewhere has a number of its own, never used again: it stands in the envelope sender of what is sent there, so that a
-- bounce names the member for sure.
CREATE TABLE list_external_numbered (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    UNIQUE (list, domain, local)
);

INSERT INTO list_external_numbered (list, local, domain) SELECT list, local, domain FROM list_external ORDER BY list, domain, local;

DROP TABLE list_external;

ALTER TABLE list_external_numbered RENAME TO list_external;

-- What came back from a member. `suspended`: since when nothing is sent there; `told`: the owners know.
CREATE TABLE list_bounce (
    member INTEGER PRIMARY KEY REFERENCES list_external (id) ON DELETE CASCADE,
    score INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    reason TEXT NOT NULL,
    suspended INTEGER,
    told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1))
);

CREATE INDEX list_bounce_untold ON list_bounce (member) WHERE suspended IS NOT NULL AND told = 0;

-- What somebody asked of a list, and what waits for its owners. A post's octets lie in the queue, in the row `queue`.
CREATE TABLE list_request (
    key TEXT PRIMARY KEY,
    list INTEGER NOT NULL REFERENCES list (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('subscribe', 'unsubscribe', 'post')),
    stage TEXT NOT NULL CHECK (stage IN ('confirm', 'owners', 'approved')),
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    subject TEXT NOT NULL,
    queue INTEGER REFERENCES queue (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX list_request_list ON list_request (list, created);
CREATE INDEX list_request_queue ON list_request (queue) WHERE queue IS NOT NULL;
CREATE INDEX list_request_expires ON list_request (expires);
CREATE UNIQUE INDEX list_request_asked ON list_request (list, domain, lower(local), kind) WHERE kind <> 'post';

-- When a list answered somebody by itself: so that nobody can make it write to another without end.
CREATE TABLE list_answer (
    id INTEGER PRIMARY KEY,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    at INTEGER NOT NULL
);

CREATE INDEX list_answer_address ON list_answer (domain, local, at);
CREATE INDEX list_answer_at ON list_answer (at);
