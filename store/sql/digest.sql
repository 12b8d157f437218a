-- begin
INSERT INTO digest (account, sent, number)
SELECT id, :now, :number FROM account WHERE NOT EXISTS (SELECT 1 FROM digest WHERE digest.account = account.id);

-- due
SELECT account, sent, number FROM digest WHERE sent <= :due AND account > :after ORDER BY account LIMIT :limit;

-- mark
UPDATE digest SET sent = :now, number = :number WHERE account = :account AND sent = :before;
