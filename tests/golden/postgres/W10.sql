-- W10: the status of one document

SELECT {columns}, (extract(epoch
    FROM clock_timestamp()) * 1000000)::bigint
FROM "docstore_document" AS d
WHERE d.id = %s;

WITH changed AS (UPDATE "docstore_document" SET updated_at = %s, lease_token = %s, lease_worker = %s, lease_expires_at = %s, status = %s, error = %s, attempts = %s, revision = %s
  WHERE tenant = %s AND number = %s AND revision = %s AND status = %s AND is_latest = %s
  RETURNING number), counted AS (INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n) SELECT %s, %s, %s, moved.status, moved.n
  FROM changed, (VALUES (%s, -1), (%s, 1)) AS moved (status, n)) SELECT number
FROM changed;
