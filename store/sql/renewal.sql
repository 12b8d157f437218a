-- folders
SELECT id, owner FROM folder WHERE id > :after ORDER BY id LIMIT :limit

-- set_uidvalidity
UPDATE folder SET uidvalidity = :uidvalidity WHERE owner = :owner AND id = :id

-- skip_numbers
UPDATE sqlite_sequence SET seq = seq + CASE name WHEN 'object' THEN :objects ELSE :others END

-- stop_queue
UPDATE queue SET stopped = 1, state = 'held', lease = '' WHERE stopped = 0
