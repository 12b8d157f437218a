-- Where an account's data lie, every key begins with the account, so that the same schema can be parted by it (store/README.md, "Where the
-- keys begin"). `owner` is whose folder a row is about; what belongs to no folder that is known gets 0, and `procura verify` says so.

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

CREATE TEMPORARY TABLE whose ON COMMIT DROP AS
SELECT id, owner FROM folder UNION ALL SELECT id, owner FROM deleted_folder;

-- Written anew rather than updated: no table is left half empty, and each index is built once.

CREATE TABLE message_anew (owner BIGINT NOT NULL, LIKE message INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO message_anew SELECT coalesce(w.owner, 0), t.* FROM message t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE message;
ALTER TABLE message_anew RENAME TO message;
ALTER TABLE message ADD PRIMARY KEY (owner, key);
CREATE INDEX message_blob ON message (owner, blob);

CREATE TABLE wire_anew (owner BIGINT NOT NULL, LIKE wire INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO wire_anew SELECT coalesce(w.owner, 0), t.* FROM wire t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE wire;
ALTER TABLE wire_anew RENAME TO wire;
ALTER TABLE wire ADD PRIMARY KEY (owner, key);

CREATE TABLE head_anew (owner BIGINT NOT NULL, LIKE head INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO head_anew SELECT coalesce(w.owner, 0), t.* FROM head t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE head;
ALTER TABLE head_anew RENAME TO head;
ALTER TABLE head ADD PRIMARY KEY (owner, key);

CREATE TABLE keyword_anew (owner BIGINT NOT NULL, LIKE keyword INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO keyword_anew SELECT coalesce(w.owner, 0), t.* FROM keyword t LEFT JOIN whose w ON w.id = t.folder;
DROP TABLE keyword;
ALTER TABLE keyword_anew RENAME TO keyword;
ALTER TABLE keyword ADD PRIMARY KEY (owner, folder, bit);
ALTER TABLE keyword ADD UNIQUE (owner, folder, folded);

-- Of the folder's owner too, not of who has seen: it is read with the messages.
CREATE TABLE seen_anew (owner BIGINT NOT NULL, LIKE seen INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO seen_anew SELECT coalesce(w.owner, 0), t.* FROM seen t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE seen;
ALTER TABLE seen_anew RENAME TO seen;
ALTER TABLE seen ADD PRIMARY KEY (owner, actor, key);
CREATE INDEX seen_key ON seen (owner, key);
CREATE INDEX seen_actor ON seen (actor);

CREATE TABLE change_anew (owner BIGINT NOT NULL, LIKE change INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO change_anew SELECT coalesce(w.owner, 0), t.* FROM change t LEFT JOIN whose w ON w.id = t.folder;
DROP TABLE change;
ALTER TABLE change_anew RENAME TO change;
ALTER TABLE change ADD PRIMARY KEY (owner, folder, modseq, kind, low);

-- Below 0 the key is that of a submission that waits, and it is its sender's.
CREATE TABLE filed_anew (owner BIGINT NOT NULL, LIKE filed INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO filed_anew
SELECT CASE WHEN t.key < 0 THEN t.actor ELSE coalesce(w.owner, 0) END, t.* FROM filed t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE filed;
ALTER TABLE filed_anew RENAME TO filed;
ALTER TABLE filed ADD PRIMARY KEY (owner, key);
CREATE INDEX filed_at ON filed (at);
CREATE INDEX filed_actor ON filed (actor);

CREATE TABLE waiting_copy_anew (owner BIGINT NOT NULL, LIKE waiting_copy INCLUDING DEFAULTS INCLUDING STORAGE);
INSERT INTO waiting_copy_anew SELECT coalesce(w.owner, 0), t.* FROM waiting_copy t LEFT JOIN whose w ON w.id = t.key >> 32;
DROP TABLE waiting_copy;
ALTER TABLE waiting_copy_anew RENAME TO waiting_copy;
ALTER TABLE waiting_copy ADD PRIMARY KEY (owner, key, queue);
CREATE INDEX waiting_copy_queue ON waiting_copy (queue);
CREATE INDEX waiting_copy_at ON waiting_copy (at);

CREATE TABLE loose_anew (owner BIGINT NOT NULL, LIKE loose);
INSERT INTO loose_anew SELECT coalesce(b.owner, 0), t.* FROM loose t LEFT JOIN blob b ON b.id = t.blob;
DROP TABLE loose;
ALTER TABLE loose_anew RENAME TO loose;
ALTER TABLE loose ADD PRIMARY KEY (owner, blob);

-- These have the account already: nothing of them is written anew. Numbers of folders and octets are still given once in the whole database,
-- and found by an index that is not unique.

ALTER TABLE blob DROP CONSTRAINT blob_pkey;
ALTER TABLE blob ADD PRIMARY KEY (owner, id);
CREATE INDEX blob_id ON blob (id);

ALTER TABLE folder_entry DROP CONSTRAINT folder_entry_folder_fkey;
ALTER TABLE folder DROP CONSTRAINT folder_pkey;
ALTER TABLE folder ADD PRIMARY KEY (owner, id);
CREATE INDEX folder_id ON folder (id);

ALTER TABLE folder_entry DROP CONSTRAINT folder_entry_pkey;
ALTER TABLE folder_entry ADD PRIMARY KEY (owner, folder, grantee_kind, grantee);
ALTER TABLE folder_entry ADD FOREIGN KEY (owner, folder) REFERENCES folder (owner, id) ON DELETE CASCADE;
DROP INDEX folder_entry_owner;

ALTER TABLE deleted_folder DROP CONSTRAINT deleted_folder_pkey;
ALTER TABLE deleted_folder ADD PRIMARY KEY (owner, id);
CREATE INDEX deleted_folder_id ON deleted_folder (id);
DROP INDEX deleted_folder_owner;

ALTER TABLE login_failure DROP CONSTRAINT login_failure_pkey;
ALTER TABLE login_failure ADD PRIMARY KEY (account, id);
ALTER TABLE login_history DROP CONSTRAINT login_history_pkey;
ALTER TABLE login_history ADD PRIMARY KEY (account, id);
ALTER TABLE password_history DROP CONSTRAINT password_history_pkey;
ALTER TABLE password_history ADD PRIMARY KEY (account, id);
DROP INDEX password_history_account;
ALTER TABLE app_password DROP CONSTRAINT app_password_pkey;
ALTER TABLE app_password ADD PRIMARY KEY (account, id);
CREATE INDEX app_password_id ON app_password (id);
ALTER TABLE break_glass DROP CONSTRAINT break_glass_pkey;
ALTER TABLE break_glass ADD PRIMARY KEY (account, id);
CREATE INDEX break_glass_id ON break_glass (id);

ANALYZE message, wire, head, keyword, seen, change, filed, waiting_copy, loose;

-- References may be of several columns now.
CREATE OR REPLACE FUNCTION astray(of TEXT) RETURNS TABLE (place TEXT, parent TEXT) LANGUAGE plpgsql AS $$
DECLARE
    one RECORD;
BEGIN
    FOR one IN
        SELECT c.confrelid AS parent,
               string_agg(format('t.%I IS NOT NULL', a.attname), ' AND ') AS refers,
               string_agg(format('p.%I = t.%I', r.attname, a.attname), ' AND ') AS same
        FROM pg_constraint c
        CROSS JOIN unnest(c.conkey, c.confkey) AS k (referring, referred)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.referring
        JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = k.referred
        WHERE c.contype = 'f' AND c.conrelid = CAST(quote_ident(of) AS REGCLASS)
        GROUP BY c.oid, c.confrelid
    LOOP
        RETURN QUERY EXECUTE format(
            'SELECT CAST(t.ctid AS TEXT), %L FROM %I t WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s) LIMIT 20',
            CAST(CAST(one.parent AS REGCLASS) AS TEXT), of, one.refers, CAST(one.parent AS REGCLASS), one.same
        );
    END LOOP;
END
$$;
