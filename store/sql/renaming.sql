-- objects
SELECT id FROM object WHERE domain = :domain;

-- account_values
SELECT id, "values" FROM account WHERE instr(lower("values"), :old) > 0;

-- set_account_values
UPDATE account SET "values" = :values WHERE id = :id;

-- cos_values
SELECT id, "values" FROM cos WHERE instr(lower("values"), :old) > 0;

-- set_cos_values
UPDATE cos SET "values" = :values WHERE id = :id;

-- set_filter
UPDATE dynamic_list SET filter = :filter WHERE list = :list;

-- judge_again
INSERT INTO unjudged (account)
SELECT DISTINCT p.object FROM address p
WHERE p.domain = :domain AND p.object IN (SELECT id FROM account) AND EXISTS (SELECT 1 FROM dynamic_list);

-- requests
UPDATE list_request SET domain = :new WHERE domain = :old;

-- deleted
UPDATE deleted_account SET address = substr(address, 1, length(address) - length(:old)) || :new
WHERE substr(address, -length(:old) - 1) = '@' || :old;

-- recipients
UPDATE queue SET recipient = substr(recipient, 1, length(recipient) - length(:old)) || :new,
    destination = CASE WHEN destination = :old THEN :new ELSE destination END
WHERE substr(recipient, -length(:old) - 1) = '@' || :old;

-- reverse_paths
UPDATE queue SET reverse_path = substr(reverse_path, 1, length(reverse_path) - length(:old)) || :new
WHERE substr(reverse_path, -length(:old) - 1) = '@' || :old;
