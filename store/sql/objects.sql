-- home
SELECT name FROM objects WHERE id = 1

-- settle
INSERT INTO objects (id, name) VALUES (1, :name)

-- moved_out
DELETE FROM objects WHERE id = 1
