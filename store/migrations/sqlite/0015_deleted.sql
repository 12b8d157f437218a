-- Accounts that were deleted and can be restored until `until`. Nothing else knows of them: their folders stand in a table of their own,
-- while what hangs on a folder's number (messages, keywords, the change log, metadata) and the octets stay where they are.
-- `id`: the one it had, and has again. `uidvalidity`, `forgotten`: as in mailbox. `purging` 1: it is being taken away for good.
-- `facts`: what it was and who shared what with whom, JSON (store/deleted.py).
CREATE TABLE deleted_account (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    until INTEGER NOT NULL,
    used INTEGER NOT NULL,
    uidvalidity INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    purging INTEGER NOT NULL DEFAULT 0,
    facts TEXT NOT NULL
);

CREATE INDEX deleted_account_until ON deleted_account (until);
CREATE INDEX deleted_account_address ON deleted_account (address, deleted);

-- As folder.
CREATE TABLE deleted_folder (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES deleted_account (id),
    path TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    recent_from INTEGER NOT NULL,
    special_use TEXT,
    no_inherit INTEGER NOT NULL,
    seen_private INTEGER NOT NULL,
    subscribe_auto INTEGER NOT NULL,
    noselect INTEGER NOT NULL,
    changes_from INTEGER NOT NULL,
    born INTEGER NOT NULL
);

CREATE INDEX deleted_folder_owner ON deleted_folder (owner);
