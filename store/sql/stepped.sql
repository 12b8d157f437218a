-- moments
UPDATE queue
SET parameters = replace(parameters, '"at": ' || CAST(due AS TEXT) || ',', '"at": ' || CAST(due + :by AS TEXT) || ',')
WHERE due <= :near AND state <> 'leased'

-- due
UPDATE queue SET due = due + :by WHERE due <= :near

-- ages
UPDATE queue SET created = created + :by, expires = expires + :by, last_attempt = last_attempt + :by WHERE created <= :before

-- failures
UPDATE login_failure SET at = at + :by WHERE at <= :before

-- lockouts
UPDATE lockout SET until = until + :by WHERE until > :before AND until < :far

-- deleted
UPDATE deleted_account SET until = until + :by WHERE until > 0

-- digests
UPDATE digest SET sent = :now WHERE sent > :now
