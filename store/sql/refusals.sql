-- by_decision
SELECT decision, first, last, times, protocol, source, actor, actor_address, principal, about, reason, later, detail, because
FROM refusal WHERE decision = :decision;

-- record
INSERT INTO refusal (decision, first, last, times, protocol, source, actor, actor_address, principal, about, reason, later, detail, because)
VALUES (:decision, :first, :last, :times, :protocol, :source, :actor, :actor_address, :principal, :about, :reason, :later, :detail, :because)
ON CONFLICT (decision) DO UPDATE SET last = excluded.last, times = refusal.times + excluded.times, about = excluded.about,
    detail = excluded.detail, because = excluded.because, principal = excluded.principal;

-- trim
DELETE FROM refusal WHERE id <= (SELECT MAX(id) FROM refusal) - :keep;

-- forget
DELETE FROM refusal WHERE id IN (SELECT id FROM refusal WHERE last < :before ORDER BY id LIMIT 1000);
