-- by_hash
SELECT id FROM blob WHERE owner = :owner AND hash = :hash

-- insert
INSERT INTO blob (owner, hash, size, place, octets) VALUES (:owner, :hash, :size, :place, :octets)
ON CONFLICT (owner, hash) DO NOTHING

-- duplicate
INSERT INTO blob (owner, hash, size, place, octets) SELECT :owner, hash, size, place, octets FROM blob WHERE [owner = :source AND] id = :id

-- hash
SELECT owner, hash FROM blob WHERE id = :id

-- hash_of
SELECT hash FROM blob WHERE [owner = :owner AND] id = :id

-- octets
SELECT octets, place FROM blob WHERE id = :id

-- loosen
INSERT INTO loose ([owner,] blob) VALUES ([:owner,] :blob) ON CONFLICT ([owner,] blob) DO NOTHING

-- loosen_queued
INSERT INTO loose ([owner,] blob) SELECT [owner,] id FROM blob WHERE id = :blob ON CONFLICT ([owner,] blob) DO NOTHING

-- loose
SELECT loose.blob, blob.place, coalesce(blob.size, 0),
       EXISTS (SELECT 1 FROM message WHERE [message.owner = loose.owner AND] message.blob = loose.blob)
       OR EXISTS (SELECT 1 FROM queue WHERE queue.blob = loose.blob),
       coalesce([loose.owner,] NULL, 0)
FROM loose LEFT JOIN blob ON [blob.owner = loose.owner AND] blob.id = loose.blob
ORDER BY [loose.owner,] loose.blob LIMIT :limit

-- tighten
DELETE FROM loose WHERE [owner = :owner AND] blob = :blob

-- delete_wire
DELETE FROM wire WHERE [owner = :owner AND] blob = :blob

-- delete_head
DELETE FROM head WHERE [owner = :owner AND] blob = :blob

-- delete
DELETE FROM blob WHERE [owner = :owner AND] id = :blob

-- place_named
SELECT 1 FROM blob WHERE place = :place LIMIT 1

-- after
SELECT id, owner, hash, size FROM blob WHERE id > :id AND id <= :last ORDER BY id LIMIT :most

-- drawn
SELECT coalesce(max(id), 0), 0, 0 FROM blob

-- newest
SELECT seq FROM sqlite_sequence WHERE name = 'blob'

-- gone
SELECT value FROM json_each(CAST(:blobs AS TEXT)) WHERE NOT EXISTS (SELECT 1 FROM blob WHERE blob.id = value)
