-- $1 products; $2 first and $3 last day of the end.
SELECT count(*)
FROM license
WHERE product = ANY ($1::integer[]) AND ends BETWEEN $2 AND $3 AND (revoked_on IS NULL OR revoked_on > $2)
