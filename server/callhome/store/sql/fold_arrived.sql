-- $1 batches, $2 and $3 the smallest and the largest ping id of all. How many pings of each are there to be seen: the
-- coordinator's part of a commit is seen a moment before those of the workers, and where a worker died in between, long before.
SELECT batch, count(*) AS pings
FROM ping
WHERE batch = ANY ($1::uuid[]) AND (id >= $2 OR id = $2) AND (id <= $3 OR id = $3)
GROUP BY batch
