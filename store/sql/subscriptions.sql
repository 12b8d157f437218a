-- of_subscriber
SELECT owner, path, wanted FROM subscription WHERE subscriber = :subscriber ORDER BY owner, path

-- how_many
SELECT count(*) FROM subscription WHERE subscriber = :subscriber

-- set
INSERT INTO subscription (subscriber, owner, path, wanted) VALUES (:subscriber, :owner, :path, :wanted)
ON CONFLICT (subscriber, owner, path) DO UPDATE SET wanted = :wanted

-- delete
DELETE FROM subscription WHERE subscriber = :subscriber AND owner = :owner AND path = :path
