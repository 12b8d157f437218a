-- keep
INSERT INTO outcome (key, answer) VALUES (:key, :answer);

-- of
SELECT answer FROM outcome WHERE key = :key;

-- forget
DELETE FROM outcome WHERE key >= :first AND key < :end;
