-- accepted
SELECT result FROM accepted WHERE key = :key

-- insert_accepted
INSERT INTO accepted (key, at, result) VALUES (:key, :at, :result)

-- forget_accepted
DELETE FROM accepted WHERE at < :before

-- forget_filed
DELETE FROM filed WHERE at < :before

-- insert_filed
INSERT INTO filed (key, actor, message_id, at, modseq) VALUES (:key, :actor, :message_id, :at, :modseq)

-- insert
INSERT INTO queue (accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
                   created, expires, attempts, last_attempt, last_reply)
VALUES (:accepted, :kind, :state, :due, '', :recipient, :account, :sender, :reverse_path, :parameters, :blob, :size,
        :created, :expires, 0, NULL, '')

-- claimable
SELECT id FROM queue WHERE state <> 'held' AND due <= :now ORDER BY due LIMIT :limit

-- expired
SELECT id FROM queue WHERE state = 'held' AND expires <= :now ORDER BY expires LIMIT :limit

-- claim
UPDATE queue SET state = 'leased', due = :until, lease = :lease, attempts = attempts + 1 WHERE id = :id

-- by_id
SELECT id, accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
       created, expires, attempts, last_attempt, last_reply
FROM queue WHERE id = :id

-- page
SELECT id, accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
       created, expires, attempts, last_attempt, last_reply
FROM queue WHERE id > :after ORDER BY id LIMIT :limit

-- reschedule
UPDATE queue SET state = 'due', due = :due, lease = '', last_attempt = :now, last_reply = :reply
WHERE id = :id AND state = 'leased' AND lease = :lease

-- hold
UPDATE queue SET state = 'held', kind = 'held', account = :account, lease = '', last_attempt = :now, last_reply = :reply
WHERE id = :id AND state = 'leased' AND lease = :lease

-- leased_blob
SELECT blob FROM queue WHERE id = :id AND state = 'leased' AND lease = :lease

-- blob
SELECT blob FROM queue WHERE id = :id

-- delete
DELETE FROM queue WHERE id = :id

-- retry
UPDATE queue SET state = 'due', due = :now WHERE id = :id AND state <> 'leased'

-- retry_all
UPDATE queue SET state = 'due', due = :now WHERE state <> 'leased'

-- release_held
UPDATE queue SET state = 'due', due = :now WHERE account = :account AND state = 'held'

-- release_all
UPDATE queue SET state = 'due', due = :now WHERE state = 'held' AND expires > 0

-- earliest_due
SELECT min(due) FROM queue WHERE state <> 'held'

-- earliest_expiry
SELECT min(expires) FROM queue WHERE state = 'held'

-- totals
SELECT state, count(*), coalesce(sum(size), 0) FROM queue GROUP BY state ORDER BY state

-- held_accounts
SELECT DISTINCT account FROM queue WHERE state = 'held' AND account IS NOT NULL ORDER BY account

-- free_leases
UPDATE queue SET state = 'due', due = :now, lease = '' WHERE state = 'leased'
