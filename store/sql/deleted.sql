-- account
SELECT o.domain, a.display_name, a.status, a.cos, a."values", a.verifier, a.must_change_password, a.is_global_administrator, a.used, a.note,
    a.created, a.last_login
FROM account a JOIN object o ON o.id = a.id WHERE a.id = :id

-- mailbox
SELECT uidvalidity, forgotten FROM mailbox WHERE owner = :owner

-- lists_of
SELECT list FROM list_member WHERE member = :member AND list NOT IN (SELECT list FROM dynamic_list)

-- owned_lists
SELECT list FROM list_owner WHERE account = :account

-- frozen
SELECT side, at, note FROM "freeze" WHERE object = :object ORDER BY side

-- freeze
INSERT INTO "freeze" (object, side, at, note) VALUES (:object, :side, :at, :note) ON CONFLICT DO NOTHING

-- roles
SELECT role FROM admin_role WHERE account = :account ORDER BY role

-- subscriptions
SELECT subscriber, owner, path, wanted FROM subscription WHERE subscriber = :account OR owner = :account ORDER BY subscriber, owner, path

-- insert
INSERT INTO deleted_account (id, address, deleted, until, used, uidvalidity, forgotten, facts)
VALUES (:id, :address, :now, :until, :used, :uidvalidity, :forgotten, :facts)

-- put_folders_away
INSERT INTO deleted_folder (id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
                            no_inherit, seen_private, subscribe_auto, noselect, changes_from, born)
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
                            no_inherit, seen_private, subscribe_auto, noselect, changes_from, born
FROM folder WHERE owner = :account

-- put_folders_back
INSERT INTO folder (id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
                            no_inherit, seen_private, subscribe_auto, noselect, changes_from, born)
SELECT id, owner, path, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, recent_from, special_use,
                            no_inherit, seen_private, subscribe_auto, noselect, changes_from, born
FROM deleted_folder WHERE owner = :account

-- drop_folders
DELETE FROM deleted_folder WHERE owner = :account

-- drop
DELETE FROM deleted_account WHERE id = :account

-- by_id
SELECT id, address, deleted, until, used, purging, facts FROM deleted_account WHERE id = :id

-- by_address
SELECT id, address, deleted, until, used, purging, facts FROM deleted_account WHERE address = :address AND purging = 0
ORDER BY deleted DESC LIMIT 1

-- page
SELECT id, address, deleted, until, used, purging, facts FROM deleted_account WHERE id > :after ORDER BY id LIMIT :limit

-- overdue
SELECT id FROM deleted_account WHERE until <= :now ORDER BY until LIMIT :limit

-- condemn
UPDATE deleted_account SET purging = 1, until = 0 WHERE id = :account

-- insert_object
INSERT INTO object (id, kind, domain) VALUES (:id, 'account', :domain)

-- set_times
UPDATE account SET created = :created, last_login = :last_login, used = :used WHERE id = :id

-- insert_mailbox
INSERT INTO mailbox (owner, uidvalidity, forgotten) SELECT id, uidvalidity, forgotten FROM deleted_account WHERE id = :account

-- is_account
SELECT 1 FROM account WHERE id = :id

-- add_member
INSERT INTO list_member (list, member) SELECT id, :member FROM list
WHERE id = :list AND id NOT IN (SELECT list FROM dynamic_list) ON CONFLICT DO NOTHING

-- add_owner
INSERT INTO list_owner (list, account) SELECT id, :account FROM list WHERE id = :list ON CONFLICT DO NOTHING

-- one_folder
SELECT id FROM deleted_folder WHERE owner = :account LIMIT 1

-- nth_key
SELECT max(key) FROM (SELECT key FROM message WHERE [owner = :account AND] key BETWEEN :low AND :high ORDER BY key LIMIT :most) AS first_ones

-- drop_folder
DELETE FROM deleted_folder WHERE owner = :account AND id = :folder

-- drop_wire
DELETE FROM wire WHERE [owner = :account AND] blob IN (SELECT id FROM blob WHERE owner = :account ORDER BY hash LIMIT :most)

-- drop_head
DELETE FROM head WHERE [owner = :account AND] blob IN (SELECT id FROM blob WHERE owner = :account ORDER BY hash LIMIT :most)

-- drop_blobs
DELETE FROM blob WHERE owner = :account AND id IN (SELECT id FROM blob WHERE owner = :account ORDER BY hash LIMIT :most)

-- earlier_passwords
SELECT id, verifier FROM password_history WHERE account = :account ORDER BY id

-- keep_password
INSERT INTO password_history (id, account, verifier) VALUES (:id, :account, :verifier)

-- put_factor
INSERT INTO totp (account, sealed, confirmed, last_step) VALUES (:account, :sealed, :confirmed, :last_step)

-- one_time_codes
SELECT verifier FROM one_time_code WHERE account = :account ORDER BY verifier

-- app_passwords
SELECT id, name, selector, verifier, doors, networks, principal, rights, sending, created, expires, last_used
FROM app_password WHERE account = :account ORDER BY id

-- put_app_password
INSERT INTO app_password (id, account, name, selector, verifier, doors, networks, principal, rights, sending, created, expires, last_used)
VALUES (:id, :account, :name, :selector, :verifier, :doors, :networks, :principal, :rights, :sending, :created, :expires, :last_used)
