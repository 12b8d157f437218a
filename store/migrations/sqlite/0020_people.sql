-- What is known of a person beside the account (policy/people.py), and lists whose members are found by a filter (policy/filters.py).

CREATE TABLE person (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- Its members are rows of list_member like any other list's; they follow what the filter says in the transaction that changes it.
-- `of_cos`: the filter asks for the class of service.
CREATE TABLE dynamic_list (
    list INTEGER PRIMARY KEY REFERENCES list (id) ON DELETE CASCADE,
    filter TEXT NOT NULL,
    of_cos INTEGER NOT NULL
);

-- Accounts of which something changed that filters ask for, some of them twice (the conflict clause of the statement that fires a trigger
-- goes before the trigger's own): judged again, and forgotten here, before the transaction ends.
CREATE TABLE unjudged (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE
);

CREATE INDEX unjudged_account ON unjudged (account);

-- By triggers, so that nobody who changes an account has to think of filters.
CREATE TRIGGER unjudged_account_made AFTER INSERT ON account WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) VALUES (NEW.id);
END;

CREATE TRIGGER unjudged_account_changed AFTER UPDATE OF display_name, status, cos, is_global_administrator, note ON account
WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) VALUES (NEW.id);
END;

CREATE TRIGGER unjudged_address_made AFTER INSERT ON address WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) SELECT id FROM account WHERE id = NEW.object;
END;

CREATE TRIGGER unjudged_address_gone AFTER DELETE ON address WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) SELECT id FROM account WHERE id = OLD.object;
END;

CREATE TRIGGER unjudged_person_made AFTER INSERT ON person WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) VALUES (NEW.account);
END;

CREATE TRIGGER unjudged_person_changed AFTER UPDATE ON person WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) VALUES (NEW.account);
END;

CREATE TRIGGER unjudged_person_gone AFTER DELETE ON person WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) SELECT id FROM account WHERE id = OLD.account;
END;

-- A list that moves has the accounts of another domain now.
CREATE TRIGGER unjudged_object_moved AFTER UPDATE OF domain ON object WHEN EXISTS (SELECT 1 FROM dynamic_list) BEGIN
    INSERT INTO unjudged (account) SELECT id FROM account WHERE id = NEW.id;
    INSERT INTO unjudged (account)
    SELECT o.id FROM object o
    WHERE o.kind = 'account' AND o.domain IN (OLD.domain, NEW.domain) AND EXISTS (SELECT 1 FROM dynamic_list WHERE list = NEW.id);
END;

CREATE TRIGGER unjudged_domain_cos AFTER UPDATE OF cos ON domain
WHEN OLD.cos IS NOT NEW.cos AND EXISTS (SELECT 1 FROM dynamic_list WHERE of_cos = 1) BEGIN
    INSERT INTO unjudged (account) SELECT id FROM object WHERE domain = NEW.id AND kind = 'account';
END;

CREATE TRIGGER unjudged_cos_renamed AFTER UPDATE OF name ON cos
WHEN OLD.name <> NEW.name AND EXISTS (SELECT 1 FROM dynamic_list WHERE of_cos = 1) BEGIN
    INSERT INTO unjudged (account)
    SELECT o.id FROM object o JOIN account a ON a.id = o.id JOIN domain d ON d.id = o.domain WHERE COALESCE(a.cos, d.cos, 1) = NEW.id;
END;
