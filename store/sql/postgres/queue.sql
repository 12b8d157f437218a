-- What another node is just claiming is passed over.

-- claimable
SELECT id FROM queue WHERE state = 'due' AND due <= :now ORDER BY due LIMIT :limit FOR UPDATE SKIP LOCKED

-- claimable_for
SELECT id FROM queue WHERE state = 'due' AND destination = :destination AND due <= :now ORDER BY due LIMIT :limit FOR UPDATE SKIP LOCKED

-- run_out
SELECT id FROM queue WHERE state = 'leased' AND due <= :now ORDER BY due LIMIT :limit FOR UPDATE SKIP LOCKED

-- expired
SELECT id FROM queue WHERE state = 'held' AND stopped = 0 AND frozen = 0 AND expires <= :now ORDER BY expires LIMIT :limit FOR UPDATE SKIP LOCKED

-- free_leases
UPDATE queue SET state = CASE stopped + frozen WHEN 0 THEN 'due' ELSE 'held' END, due = :now, lease = ''
WHERE state = 'leased' AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = queue.lease)
