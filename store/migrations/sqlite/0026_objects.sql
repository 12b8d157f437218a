-- Under which name the installation keeps octets in an object store: one row at most. A restored installation takes a new name.
CREATE TABLE objects (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
);
