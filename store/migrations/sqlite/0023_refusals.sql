-- What was refused at a door and was no delegated act, by the id that the peer was told; alike ones of an hour in one row, all of them
-- bounded (store/refusals.py). No part of the chained record: strangers make as many of these as they like.
CREATE TABLE refusal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    decision TEXT NOT NULL UNIQUE,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    source TEXT NOT NULL,
    actor INTEGER,
    actor_address TEXT NOT NULL,
    principal INTEGER,
    about TEXT NOT NULL,
    reason TEXT NOT NULL,
    later INTEGER NOT NULL,
    detail TEXT NOT NULL,
    because TEXT NOT NULL
) STRICT;
