-- Where a message's parts stand. NULL: not made yet, as for every message stored before: it is made when a part is first asked for.
ALTER TABLE wire ADD COLUMN layout BLOB;
