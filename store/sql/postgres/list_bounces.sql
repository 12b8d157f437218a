-- of_list
SELECT e.id, e.list, e.local, e.domain, b.score, b.counted, b.reason, b.suspended
FROM list_external e JOIN list_bounce b ON b.member = e.id
WHERE e.list = :list
ORDER BY e.domain, e.local;

-- untold
SELECT e.id, e.list, e.local, e.domain, b.score, b.counted, b.reason, b.suspended
FROM list_bounce b JOIN list_external e ON e.id = b.member
WHERE b.suspended IS NOT NULL AND b.told = 0
ORDER BY b.member
LIMIT :limit;
