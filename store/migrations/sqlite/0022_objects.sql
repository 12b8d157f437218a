-- Under which name the installation keeps octets in an object store: one row at most. A restored installation takes a new name.
CREATE TABLE objects (
    name TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
