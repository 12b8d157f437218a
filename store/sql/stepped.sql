-- moments
UPDATE queue
SET parameters = replace(parameters, '"at": ' || CAST(due AS TEXT) || ',', '"at": ' || CAST(due + :by AS TEXT) || ',')
WHERE due <= :near AND state <> 'leased'

-- due
UPDATE queue SET due = due + :by WHERE due <= :near

-- ages
UPDATE queue SET created = created + :by, expires = expires + :by, last_attempt = last_attempt + :by WHERE created <= :before

-- ahead_moments
UPDATE queue
SET parameters = replace(parameters, '"at": ' || CAST(due AS TEXT) || ',', '"at": ' || CAST(due - created + :moment AS TEXT) || ','),
    due = due - created + :moment
WHERE created > :moment AND due > created AND due - created <= :near AND state <> 'leased'

-- ahead_due
UPDATE queue SET due = :moment
WHERE state = 'due' AND due > :moment AND substr(parameters, 1, 11) <> '{"release":' AND substr(parameters, 1, 8) <> '{"post":'

-- ahead_ages
UPDATE queue SET expires = expires - created + :moment, created = :moment WHERE created > :moment

-- failures
UPDATE login_failure SET at = at + :by WHERE at <= :before

-- lockouts
UPDATE lockout SET until = until + :by WHERE until > :before AND until < :far

-- deleted
UPDATE deleted_account SET until = until + :by WHERE until > 0

-- digests
UPDATE digest SET sent = :now WHERE sent > :now
