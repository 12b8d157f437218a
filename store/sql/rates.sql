-- last
SELECT number, at, total FROM sent WHERE actor = :actor AND principal = :principal ORDER BY number DESC LIMIT 1

-- first_within
SELECT number, total, own FROM sent WHERE actor = :actor AND principal = :principal AND at > :since ORDER BY at, number LIMIT 1

-- numbered
SELECT at, total FROM sent WHERE actor = :actor AND principal = :principal AND number = :number

-- insert
INSERT INTO sent (actor, principal, number, at, total, own) VALUES (:actor, :principal, :number, :at, :total, :own)

-- date_back
UPDATE sent SET at = :now WHERE actor = :actor AND principal = :principal AND at > :now

-- date_all_back
UPDATE sent SET at = :now WHERE at > :now

-- forget_before
DELETE FROM sent WHERE actor = :actor AND principal = :principal AND at <= :before

-- forget_all_before
DELETE FROM sent WHERE at <= :before
