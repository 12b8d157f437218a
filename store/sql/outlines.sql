-- count
INSERT INTO epoch (scope, value) VALUES (:scope, 1) ON CONFLICT (scope) DO UPDATE SET value = epoch.value + 1
