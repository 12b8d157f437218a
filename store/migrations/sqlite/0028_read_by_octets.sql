-- What was read of octets belongs to the octets, and no longer to each message that has them: one row for each blob that has a message.
-- A blob's messages may have had rows of several renderings: whichever is first stays, and is made again when it is asked for.
-- In the order of the octets, so that the tables grow at their ends; each message is looked at once.

CREATE TABLE wire_anew (
    blob INTEGER PRIMARY KEY,
    rendering INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    structure BLOB NOT NULL,
    body BLOB NOT NULL,
    preview BLOB,
    layout BLOB
);

INSERT INTO wire_anew (blob, rendering, envelope, structure, body, preview, layout)
SELECT message.blob, wire.rendering, wire.envelope, wire.structure, wire.body, wire.preview, wire.layout
FROM message INDEXED BY message_blob CROSS JOIN wire ON wire.key = message.key
WHERE TRUE
ORDER BY message.blob
ON CONFLICT (blob) DO NOTHING;

DROP TABLE wire;
ALTER TABLE wire_anew RENAME TO wire;

CREATE TABLE head_anew (
    blob INTEGER PRIMARY KEY,
    sent INTEGER,
    sent_day INTEGER,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    copied TEXT NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sort_version INTEGER NOT NULL DEFAULT 0,
    sort_from TEXT NOT NULL DEFAULT '',
    sort_to TEXT NOT NULL DEFAULT '',
    sort_cc TEXT NOT NULL DEFAULT '',
    sort_shown_from TEXT NOT NULL DEFAULT '',
    sort_shown_to TEXT NOT NULL DEFAULT '',
    sort_subject TEXT NOT NULL DEFAULT '',
    is_reply INTEGER NOT NULL DEFAULT 0,
    ancestors TEXT NOT NULL DEFAULT ''
);

INSERT INTO head_anew (blob, sent, sent_day, sender, recipient, copied, subject, message_id,
                       sort_version, sort_from, sort_to, sort_cc, sort_shown_from, sort_shown_to, sort_subject, is_reply, ancestors)
SELECT message.blob, head.sent, head.sent_day, head.sender, head.recipient, head.copied, head.subject, head.message_id,
       head.sort_version, head.sort_from, head.sort_to, head.sort_cc, head.sort_shown_from, head.sort_shown_to, head.sort_subject,
       head.is_reply, head.ancestors
FROM message INDEXED BY message_blob CROSS JOIN head ON head.key = message.key
WHERE TRUE
ORDER BY message.blob
ON CONFLICT (blob) DO NOTHING;

DROP TABLE head;
ALTER TABLE head_anew RENAME TO head;
