-- home
SELECT name FROM objects

-- settle
INSERT INTO objects (name) VALUES (:name)

-- moved_out
DELETE FROM objects
