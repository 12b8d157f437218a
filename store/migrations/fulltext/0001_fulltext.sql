-- search.db: made of the messages' octets, and made again whenever it is not as it should be; it is never migrated.

-- Every blob up to `mark` has its rows in `text`. `hash` is that of blob `mark`; `version` says how the texts were made.
CREATE TABLE standing (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version TEXT NOT NULL,
    mark INTEGER NOT NULL,
    hash BLOB NOT NULL
);

-- id = owner * 4398046511104 + blob * 2, odd for the body: an owner's texts lie together, here and in `gram`.
-- NULL: too large to be kept; the octets decide.
CREATE TABLE text (
    id INTEGER PRIMARY KEY,
    text BLOB
);

CREATE INDEX unkept ON text (id) WHERE text IS NULL;

-- Texts whose trigrams are not in `gram` yet.
CREATE TABLE undivided (
    id INTEGER PRIMARY KEY
);

-- The texts are folded already. Which texts have a trigram is enough (detail = none): the texts themselves decide.
CREATE VIRTUAL TABLE gram USING fts5 (text, content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');
