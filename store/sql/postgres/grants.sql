-- keep_restricted
UPDATE list SET attributes = CAST(jsonb_set(CAST(attributes AS JSONB), ARRAY[CAST(:name AS TEXT)], '"TRUE"') AS TEXT)
WHERE id = :list AND NOT EXISTS (SELECT 1 FROM send_grant WHERE target = :list AND "right" = 'sendToDistList');
