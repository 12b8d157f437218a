-- What a deed of another process returned, kept in the deed's own transaction until that process is known to have it
-- (store/outcomes.py). Empty where one process serves, and after each start.
CREATE TABLE outcome (
    key INTEGER PRIMARY KEY,
    answer BLOB NOT NULL
);
