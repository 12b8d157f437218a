-- A server may be several processes, each a node of its own: those that only speak with clients are no candidates for what is done once.
ALTER TABLE node ADD COLUMN candidate BIGINT NOT NULL DEFAULT 1;

CREATE FUNCTION procura_join(joins TEXT, called TEXT, lease BIGINT, lives_at TEXT, may_lead BOOLEAN) RETURNS BIGINT LANGUAGE plpgsql
AS $$
DECLARE
    found BIGINT := procura_join(joins, called, lease, lives_at);
BEGIN
    UPDATE node SET candidate = CAST(may_lead AS INTEGER) WHERE id = joins;
    RETURN found;
END
$$;
