-- Under which name the installation keeps octets in an object store: one row at most. A restored installation takes a new name.
CREATE TABLE objects (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);
