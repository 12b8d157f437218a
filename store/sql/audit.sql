-- head
SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1;

-- hash_of
SELECT hash FROM audit WHERE number = :number;

-- insert
INSERT INTO audit (
    number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
) VALUES (
    :number, :at, :decision, :event, :allowed, :actor, :actor_address, :person, :person_address, :principal, :principal_address, :right,
    :because, :protocol, :source, :message_id, :queue_id, :detail, :trace, :hash
);

-- octets
SELECT number, at, CAST(decision AS BLOB), CAST(event AS BLOB), allowed, actor, CAST(actor_address AS BLOB), person,
    CAST(person_address AS BLOB), principal, CAST(principal_address AS BLOB), CAST("right" AS BLOB), CAST(because AS BLOB),
    CAST(protocol AS BLOB), CAST(source AS BLOB), CAST(message_id AS BLOB), CAST(queue_id AS BLOB), CAST(detail AS BLOB),
    CAST(trace AS BLOB), hash
FROM audit WHERE number > :after ORDER BY number LIMIT :limit;

-- of_owner
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
FROM audit WHERE principal = :owner AND number > :after AND number < :before
    AND (CAST(:since AS BIGINT) IS NULL OR at >= :since) AND (CAST(:until AS BIGINT) IS NULL OR at < :until) AND (CAST(:right AS TEXT) IS NULL OR instr(lower("right"), :right) > 0)
    AND (CAST(:actor AS BIGINT) IS NULL OR actor = :actor) AND (CAST(:refused AS BIGINT) = 0 OR allowed = 0)
    AND (CAST(:event AS TEXT) IS NULL OR event = :event)
ORDER BY number DESC LIMIT :limit;

-- about
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
FROM audit WHERE (principal = :owner OR (actor = :owner AND person IS NOT NULL)) AND number > :after AND number < :before
    AND (CAST(:since AS BIGINT) IS NULL OR at >= :since) AND (CAST(:until AS BIGINT) IS NULL OR at < :until) AND (CAST(:right AS TEXT) IS NULL OR instr(lower("right"), :right) > 0)
    AND (CAST(:actor AS BIGINT) IS NULL OR actor = :actor) AND (CAST(:refused AS BIGINT) = 0 OR allowed = 0)
    AND (CAST(:event AS TEXT) IS NULL OR event = :event)
ORDER BY number DESC LIMIT :limit;

-- of_actor
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
FROM audit WHERE actor = :actor AND number > :after AND number < :before
    AND (CAST(:since AS BIGINT) IS NULL OR at >= :since) AND (CAST(:until AS BIGINT) IS NULL OR at < :until) AND (CAST(:right AS TEXT) IS NULL OR instr(lower("right"), :right) > 0)
    AND (CAST(:actor AS BIGINT) IS NULL OR actor = :actor) AND (CAST(:refused AS BIGINT) = 0 OR allowed = 0)
    AND (CAST(:event AS TEXT) IS NULL OR event = :event)
ORDER BY number DESC LIMIT :limit;

-- newest
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
FROM audit WHERE number > :after AND number < :before
    AND (CAST(:since AS BIGINT) IS NULL OR at >= :since) AND (CAST(:until AS BIGINT) IS NULL OR at < :until) AND (CAST(:right AS TEXT) IS NULL OR instr(lower("right"), :right) > 0)
    AND (CAST(:actor AS BIGINT) IS NULL OR actor = :actor) AND (CAST(:refused AS BIGINT) = 0 OR allowed = 0)
    AND (CAST(:event AS TEXT) IS NULL OR event = :event)
ORDER BY number DESC LIMIT :limit;

-- by_decision
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, trace, hash
FROM audit WHERE decision = :decision ORDER BY number LIMIT :limit;

-- heads
SELECT number, key, hash, at, signature FROM audit_head WHERE number > :after ORDER BY number, key LIMIT :limit;

-- last_head
SELECT number, key, hash, at, signature FROM audit_head ORDER BY number DESC, at DESC LIMIT 1;

-- keep_head
INSERT INTO audit_head (number, key, hash, at, signature) VALUES (:number, :key, :hash, :at, :signature)
ON CONFLICT (number, key) DO UPDATE SET hash = excluded.hash, at = excluded.at, signature = excluded.signature;

-- keys
SELECT id, public, created FROM audit_key ORDER BY created, id;

-- keep_key
INSERT INTO audit_key (id, public, created) VALUES (:id, :public, :created) ON CONFLICT (id) DO NOTHING;
