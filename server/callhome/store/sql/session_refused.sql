INSERT INTO audit (kind, actor, action, target)
SELECT 'account', '', 'session.refused', name FROM account WHERE name = $1
