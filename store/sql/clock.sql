-- seen
SELECT seen FROM clock WHERE id = 1

-- note
INSERT INTO clock (id, seen) VALUES (1, :seen) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen
