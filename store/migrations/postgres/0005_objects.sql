-- Under which name the installation keeps octets in an object store: one row at most. A restored installation takes a new name.
CREATE TABLE objects (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    name TEXT COLLATE "C" NOT NULL
);
