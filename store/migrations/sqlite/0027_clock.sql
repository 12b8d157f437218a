-- The latest moment that is known: a clock that is behind it was set back. One row at most.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seen INTEGER NOT NULL
);
