-- The locks of a group, and in the same way to the server the epochs that its witnesses name: as they are when the locks are held, since each
-- statement of a function sees what was committed before it. Returns the time, then the epochs in the order of the scopes.
CREATE FUNCTION procura_begin(key UUID, alone BOOLEAN, accounts BIGINT[], folders BIGINT[], rows BIGINT[], scopes BIGINT[]) RETURNS BIGINT[]
LANGUAGE plpgsql
AS $$
DECLARE
    began BIGINT;
    epochs BIGINT[];
BEGIN
    began := procura_begin(key, alone, accounts, folders, rows);
    IF cardinality(scopes) > 0 THEN
        SELECT array_agg(coalesce(epoch.value, 0) ORDER BY found.place) INTO epochs
        FROM unnest(scopes) WITH ORDINALITY AS found (one, place) LEFT JOIN epoch ON epoch.scope = found.one;
    END IF;
    RETURN began || epochs;
END
$$;
