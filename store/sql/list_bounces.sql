-- by_member
SELECT e.id, e.list, e.local, e.domain, b.score, b.counted, b.reason, b.suspended
FROM list_external e LEFT JOIN list_bounce b ON b.member = e.id
WHERE e.id = :member;

-- of_list
SELECT e.id, e.list, e.local, e.domain, b.score, b.counted, b.reason, b.suspended
FROM list_external e CROSS JOIN list_bounce b ON b.member = e.id
WHERE e.list = :list
ORDER BY e.domain, e.local;

-- untold
SELECT e.id, e.list, e.local, e.domain, b.score, b.counted, b.reason, b.suspended
FROM list_bounce b CROSS JOIN list_external e ON e.id = b.member
WHERE b.suspended IS NOT NULL AND b.told = 0
ORDER BY b.member
LIMIT :limit;

-- put
INSERT INTO list_bounce (member, score, counted, reason, suspended, told) VALUES (:member, :score, :counted, :reason, :suspended, 0)
ON CONFLICT (member) DO UPDATE
SET score = excluded.score, counted = excluded.counted, reason = excluded.reason, suspended = excluded.suspended;

-- told
UPDATE list_bounce SET told = 1 WHERE member = :member AND suspended IS NOT NULL AND told = 0;

-- clear
DELETE FROM list_bounce WHERE member = :member;
