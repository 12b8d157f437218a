-- A folder's name that was deleted above other folders and is made again is another folder to clients (RFC 8474 section 4):
-- `born` is the UIDVALIDITY it began its latest life with, 0 for its first.
ALTER TABLE folder ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
