-- Documents that were applied (`procura policy apply`): `changes` is JSON, [[key, before, after], ...], by which each can be taken
-- back; `undone`: when that was. `decision`: under which it is on record.
CREATE TABLE applied (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    decision TEXT NOT NULL,
    changes TEXT NOT NULL,
    undone INTEGER
) STRICT;
