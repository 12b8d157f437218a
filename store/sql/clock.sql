-- known
SELECT accepted, seen FROM clock WHERE id = 1

-- note
INSERT INTO clock (id, seen, accepted) VALUES (1, :seen, :accepted)
ON CONFLICT (id) DO UPDATE SET seen = excluded.seen WHERE clock.accepted = excluded.accepted AND clock.seen < excluded.seen

-- accept
INSERT INTO clock (id, seen, accepted) VALUES (1, 0, 1)
ON CONFLICT (id) DO UPDATE SET seen = 0, accepted = clock.accepted + 1
