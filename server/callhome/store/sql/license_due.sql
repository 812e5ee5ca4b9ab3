-- $1 today. The days since the last count are counted, too: nobody may have been there to count them. And
-- licenses that are new: a fold that was under way when one was registered may have seen its pings and not the license.
INSERT INTO license_touched (license, day)
SELECT s.license, s.counted_day
FROM license_state s
WHERE s.counted_day < $1
  AND (s.seats_used > 0 OR EXISTS (SELECT FROM finding f WHERE f.license = s.license AND f.state <> 'closed')
       OR EXISTS (SELECT FROM license l WHERE l.id = s.license AND l.updated_at > now() - interval '2 days'))
