-- Whether imports still need activity of before the retention: one has moved on within the last week. Another file of the
-- same history may follow within that time; and no import keeps the days of an install linked for longer.
SELECT EXISTS (SELECT FROM import_run WHERE advanced_at > now() - interval '7 days')
