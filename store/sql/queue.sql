-- accepted
SELECT result FROM accepted WHERE key = :key

-- insert_accepted
INSERT INTO accepted (key, at, result) VALUES (:key, :at, :result)

-- forget_accepted
DELETE FROM accepted WHERE at < :before

-- forget_filed
DELETE FROM filed WHERE at < :before

-- insert_filed
INSERT INTO filed ([owner,] key, actor, message_id, at, modseq) VALUES ([:owner,] :key, :actor, :message_id, :at, :modseq)

-- expected
SELECT actor, message_id FROM filed WHERE [owner = :owner AND] key = :key

-- forget_expected
DELETE FROM filed WHERE [owner = :owner AND] key = :key

-- brought
SELECT head.sender, head.subject, head.sent FROM filed
JOIN message ON [message.owner = filed.owner AND] message.key = filed.key
JOIN head ON [head.owner = message.owner AND] head.blob = message.blob
WHERE [filed.owner = :owner AND] filed.key BETWEEN :low AND :high AND filed.actor = :actor AND filed.message_id = :message_id AND filed.modseq = -1

-- forget_brought
DELETE FROM filed WHERE actor = :actor AND message_id = :message_id AND modseq = -1
       AND NOT EXISTS (SELECT 1 FROM filed WHERE [owner = :actor AND] actor = :actor AND message_id = :message_id AND key < 0)

-- insert
INSERT INTO queue (accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
                   created, expires, attempts, last_attempt, last_reply, destination, stopped, warned)
VALUES (:accepted, :kind, :state, :due, '', :recipient, :account, :sender, :reverse_path, :parameters, :blob, :size,
        :created, :expires, 0, NULL, '', :destination, 0, 0)

-- claimable
SELECT id FROM queue WHERE state = 'due' AND due <= :now ORDER BY due LIMIT :limit

-- claimable_for
SELECT id FROM queue WHERE state = 'due' AND destination = :destination AND due <= :now ORDER BY due LIMIT :limit

-- next_destination
SELECT destination FROM queue WHERE state = 'due' AND destination > :after ORDER BY destination LIMIT 1

-- run_out
SELECT id FROM queue WHERE state = 'leased' AND due <= :now ORDER BY due LIMIT :limit

-- expired
SELECT id FROM queue WHERE state = 'held' AND stopped = 0 AND frozen = 0 AND expires <= :now ORDER BY expires LIMIT :limit

-- claim
UPDATE queue SET state = 'leased', due = :until, lease = :lease, attempts = attempts + 1 WHERE id = :id

-- rows_up_to
SELECT count(*) FROM (SELECT 1 FROM queue LIMIT :most) AS found

-- by_id
SELECT id, accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
       created, expires, attempts, last_attempt, last_reply, destination, stopped, warned, frozen
FROM queue WHERE id = :id

-- page
SELECT id, accepted, kind, state, due, lease, recipient, account, sender, reverse_path, parameters, blob, size,
       created, expires, attempts, last_attempt, last_reply, destination, stopped, warned, frozen
FROM queue WHERE id > :after ORDER BY id LIMIT :limit

-- reschedule
UPDATE queue SET state = CASE stopped + frozen WHEN 0 THEN 'due' ELSE 'held' END, due = :due, lease = '', last_attempt = :now, last_reply = :reply
WHERE id = :id AND state = 'leased' AND lease = :lease

-- put_off
UPDATE queue SET state = CASE stopped + frozen WHEN 0 THEN 'due' ELSE 'held' END, due = :due, lease = '', attempts = attempts - 1, last_reply = :reply
WHERE id = :id AND state = 'leased' AND lease = :lease

-- give_back
UPDATE queue SET state = CASE stopped + frozen WHEN 0 THEN 'due' ELSE 'held' END, due = :due, lease = '', attempts = attempts - 1
WHERE id = :id AND state = 'leased' AND lease = :lease

-- warned
UPDATE queue SET warned = 1 WHERE id = :id AND warned = 0

-- hold
UPDATE queue SET state = 'held', kind = 'held', account = :account, destination = '', lease = '', last_attempt = :now, last_reply = :reply
WHERE id = :id AND state = 'leased' AND lease = :lease

-- leased_blob
SELECT blob, sender FROM queue WHERE id = :id AND state = 'leased' AND lease = :lease

-- blob
SELECT blob, sender FROM queue WHERE id = :id

-- delete
DELETE FROM queue WHERE id = :id

-- retry
UPDATE queue SET state = 'due', due = :now WHERE id = :id AND state <> 'leased' AND stopped = 0 AND frozen = 0

-- retry_all
UPDATE queue SET state = 'due', due = :now WHERE state <> 'leased' AND stopped = 0 AND frozen = 0

-- stop
UPDATE queue SET stopped = 1, state = CASE state WHEN 'leased' THEN 'leased' ELSE 'held' END WHERE id = :id AND stopped = 0

-- let_go
UPDATE queue SET stopped = 0, due = CASE state WHEN 'leased' THEN due ELSE :now END,
                 state = CASE WHEN state = 'leased' THEN 'leased' WHEN frozen = 1 THEN 'held' ELSE 'due' END
WHERE id = :id AND stopped = 1

-- outlived
UPDATE queue SET frozen = 0
WHERE id = :id AND frozen = 1
  AND NOT EXISTS (SELECT 1 FROM delegated JOIN "freeze" ON "freeze".object = delegated.object AND "freeze".side = delegated.side
                  WHERE delegated.queue = queue.id)

-- thaw_due
UPDATE queue SET state = 'due', due = :now WHERE id = :id AND state = 'held' AND stopped = 0 AND frozen = 0

-- any_frozen
SELECT 1 FROM queue WHERE frozen = 1 LIMIT 1

-- frozen
SELECT 1 FROM queue WHERE id = :id AND frozen = 1

-- insert_delegated
INSERT INTO delegated (queue, side, object) VALUES (:queue, :side, :object)

-- insert_waiting
INSERT INTO waiting_copy ([owner,] key, queue, at) VALUES ([:owner,] :key, :queue, :at)

-- forget_waiting
DELETE FROM waiting_copy WHERE at < :now AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.id = waiting_copy.queue)

-- forget_copies
DELETE FROM waiting_copy WHERE queue = :queue

-- release_held
UPDATE queue SET state = 'due', due = :now WHERE account = :account AND state = 'held' AND stopped = 0 AND frozen = 0

-- release_all
UPDATE queue SET state = 'due', due = :now WHERE state = 'held' AND stopped = 0 AND frozen = 0 AND expires > 0

-- earliest_due
SELECT min(due) FROM queue WHERE state = 'due'

-- earliest_leased
SELECT min(due) FROM queue WHERE state = 'leased'

-- earliest_expiry
SELECT min(expires) FROM queue WHERE state = 'held' AND stopped = 0 AND frozen = 0

-- totals
SELECT state, count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM queue GROUP BY state ORDER BY state

-- by_destination
SELECT destination, count(*), CAST(coalesce(sum(size), 0) AS BIGINT), count(CASE state WHEN 'held' THEN 1 END),
       count(CASE state WHEN 'leased' THEN 1 END), min(created),
       coalesce(min(CASE state WHEN 'due' THEN due END), 0)
FROM queue GROUP BY destination ORDER BY count(*) DESC, destination LIMIT :limit

-- held_accounts
SELECT DISTINCT account FROM queue WHERE state = 'held' AND stopped = 0 AND frozen = 0 AND account IS NOT NULL ORDER BY account

-- free_leases
UPDATE queue SET state = CASE stopped + frozen WHEN 0 THEN 'due' ELSE 'held' END, due = :now, lease = '' WHERE state = 'leased'
