-- Logins that went well and those that did not, alike ones of an hour in one row; bounded for each account (store/logins.py).
CREATE TABLE login_history (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    source TEXT NOT NULL,
    protocol TEXT NOT NULL,
    mechanism TEXT NOT NULL,
    admitted INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    app_password TEXT NOT NULL
);

CREATE INDEX login_history_account ON login_history (account, admitted, last);
