-- A cast to BYTEA would read backslashes.

-- octets
SELECT number, at, convert_to(decision, 'UTF8'), convert_to(event, 'UTF8'), allowed, actor, convert_to(actor_address, 'UTF8'), person,
    convert_to(person_address, 'UTF8'), principal, convert_to(principal_address, 'UTF8'), convert_to("right", 'UTF8'),
    convert_to(because, 'UTF8'), convert_to(protocol, 'UTF8'), convert_to(source, 'UTF8'), convert_to(message_id, 'UTF8'),
    convert_to(queue_id, 'UTF8'), convert_to(detail, 'UTF8'), convert_to(trace, 'UTF8'), hash
FROM audit WHERE number > :after ORDER BY number LIMIT :limit;
