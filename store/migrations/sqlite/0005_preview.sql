-- The first words of a message, UTF-8. NULL: not made yet, as for every message stored before: it is made when first asked for.
ALTER TABLE wire ADD COLUMN preview BLOB;
