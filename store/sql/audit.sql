-- head
SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1;

-- insert
INSERT INTO audit (
    number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
) VALUES (
    :number, :at, :decision, :event, :allowed, :actor, :actor_address, :person, :person_address, :principal, :principal_address, :right,
    :because, :protocol, :source, :message_id, :queue_id, :detail, :hash
);

-- page
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
FROM audit WHERE number > :after ORDER BY number LIMIT :limit;

-- of_owner
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
FROM audit WHERE principal = :owner AND number < :before ORDER BY number DESC LIMIT :limit;

-- of_actor
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
FROM audit WHERE actor = :actor AND number < :before ORDER BY number DESC LIMIT :limit;

-- by_decision
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
FROM audit WHERE decision = :decision ORDER BY number;

-- newest
SELECT number, at, decision, event, allowed, actor, actor_address, person, person_address, principal, principal_address, "right",
    because, protocol, source, message_id, queue_id, detail, hash
FROM audit WHERE number < :before ORDER BY number DESC LIMIT :limit;
