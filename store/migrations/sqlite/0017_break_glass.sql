-- Windows in which an administrator may log in as an account, with the reason given beforehand. Kept: they are part of who could do what.
CREATE TABLE break_glass (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    administrator INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    opened INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    closed INTEGER
) STRICT;

CREATE INDEX break_glass_account ON break_glass (account, administrator, expires);
CREATE INDEX break_glass_administrator ON break_glass (administrator);

-- When an owner was sent a digest last, and what was on record then, so that none is sent twice and nothing is left out.
CREATE TABLE digest (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    sent INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;
