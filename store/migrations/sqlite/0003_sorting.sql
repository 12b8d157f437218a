-- What SORT and THREAD compare. `sort_version` 0: not made yet, as for every message stored before: it is made when first asked for.
ALTER TABLE head ADD COLUMN sort_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN sort_from TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN sort_to TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN sort_cc TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN sort_shown_from TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN sort_shown_to TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN sort_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN is_reply INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN ancestors TEXT NOT NULL DEFAULT '';
