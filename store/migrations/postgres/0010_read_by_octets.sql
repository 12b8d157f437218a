-- What was read of octets belongs to the octets, and no longer to each message that has them: one row for each blob that has a message.
-- A blob's messages may have had rows of several renderings: whichever is first stays, and is made again when it is asked for.

DO $$
DECLARE
    running TEXT;
BEGIN
    SELECT string_agg(name, ', ' ORDER BY name) INTO running FROM node WHERE lease_until > procura_clock();
    IF running IS NOT NULL THEN
        RAISE EXCEPTION 'nodes of an earlier version still run (%): stop them first', running;
    END IF;
END
$$;

CREATE TABLE wire_anew (LIKE wire INCLUDING DEFAULTS INCLUDING STORAGE);
ALTER TABLE wire_anew RENAME COLUMN key TO blob;
INSERT INTO wire_anew (owner, blob, rendering, envelope, structure, body, preview, layout)
SELECT w.owner, first.blob, w.rendering, w.envelope, w.structure, w.body, w.preview, w.layout
FROM (SELECT m.owner, m.blob, min(m.key) AS key FROM message m JOIN wire ON wire.owner = m.owner AND wire.key = m.key GROUP BY m.owner, m.blob) AS first
JOIN wire w ON w.owner = first.owner AND w.key = first.key;
DROP TABLE wire;
ALTER TABLE wire_anew RENAME TO wire;
ALTER TABLE wire ADD PRIMARY KEY (owner, blob);

CREATE TABLE head_anew (LIKE head INCLUDING DEFAULTS INCLUDING STORAGE);
ALTER TABLE head_anew RENAME COLUMN key TO blob;
INSERT INTO head_anew (owner, blob, sent, sent_day, sender, recipient, copied, subject, message_id,
                       sort_version, sort_from, sort_to, sort_cc, sort_shown_from, sort_shown_to, sort_subject, is_reply, ancestors)
SELECT h.owner, first.blob, h.sent, h.sent_day, h.sender, h.recipient, h.copied, h.subject, h.message_id,
       h.sort_version, h.sort_from, h.sort_to, h.sort_cc, h.sort_shown_from, h.sort_shown_to, h.sort_subject, h.is_reply, h.ancestors
FROM (SELECT m.owner, m.blob, min(m.key) AS key FROM message m JOIN head ON head.owner = m.owner AND head.key = m.key GROUP BY m.owner, m.blob) AS first
JOIN head h ON h.owner = first.owner AND h.key = first.key;
DROP TABLE head;
ALTER TABLE head_anew RENAME TO head;
ALTER TABLE head ADD PRIMARY KEY (owner, blob);

ANALYZE wire, head;
