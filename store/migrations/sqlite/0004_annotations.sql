-- What RFC 5464 calls entries. `folder` 0: of the server; `actor` 0: shared, else private to that account.
CREATE TABLE annotation (
    owner INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    entry TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (owner, actor, folder, entry)
) WITHOUT ROWID;

CREATE INDEX annotation_actor ON annotation (actor);
CREATE INDEX annotation_folder ON annotation (folder);
