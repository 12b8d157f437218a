-- The latest moment that is known: a clock that is behind it was set back; and how often an operator said that the clock is right all the
-- same. One row at most. What was written last says how late it was before this table was there.
CREATE TABLE clock (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    seen BIGINT NOT NULL,
    accepted BIGINT NOT NULL
);

INSERT INTO clock (id, seen, accepted)
VALUES (
    1,
    greatest(
        coalesce((SELECT at FROM audit ORDER BY number DESC LIMIT 1), 0),
        coalesce((SELECT created FROM queue ORDER BY id DESC LIMIT 1), 0)
    ),
    0
);
