-- exists
SELECT 1 FROM account WHERE id = :account;

-- alike
SELECT id FROM login_history
WHERE account = :account AND admitted = :admitted AND last >= :since AND source = :source AND protocol = :protocol
    AND mechanism = :mechanism AND outcome = :outcome AND app_password = :app_password AND first >= :since
ORDER BY last DESC LIMIT 1;

-- again
UPDATE login_history SET last = CASE WHEN last > :last THEN last ELSE :last END, times = times + :times
WHERE account = :account AND id = :id;

-- insert
INSERT INTO login_history (account, first, last, times, source, protocol, mechanism, admitted, outcome, app_password)
VALUES (:account, :first, :last, :times, :source, :protocol, :mechanism, :admitted, :outcome, :app_password);

-- trim
DELETE FROM login_history WHERE account = :account AND id IN (
    SELECT id FROM login_history WHERE account = :account AND admitted = :admitted ORDER BY last DESC, id DESC LIMIT 9223372036854775807 OFFSET :keep
);

-- of_account
SELECT first, last, times, source, protocol, mechanism, admitted, outcome, app_password FROM login_history
WHERE account = :account AND admitted >= :least AND admitted <= :most
ORDER BY last DESC, id DESC LIMIT :limit;
