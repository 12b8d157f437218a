-- When an owner was warned last that the mailbox is nearly full (microseconds since 1970): at most once in so long a time, whatever is restarted.
CREATE TABLE quota_warning (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    warned INTEGER NOT NULL
);
