-- W10: the status of one document

BEGIN IMMEDIATE;

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.id = ?
ORDER BY d.number ASC
LIMIT ?;

INSERT INTO "docstore_document_change" (number, is_new, has_text, version, is_latest, tenant, owner, content_type, file_type, size, status, attempts, metadata, content_state, created_at, updated_at, first_created_at, processed_at, expires_at, revision) SELECT number, 0, 0, version, is_latest, tenant, owner, content_type, file_type, size, status, attempts, metadata, content_state, created_at, updated_at, first_created_at, processed_at, expires_at, revision
FROM "docstore_document" AS r
WHERE number = ?;

UPDATE "docstore_document" SET updated_at = ?, lease_token = ?, lease_worker = ?, lease_expires_at = ?, status = ?, error = ?, attempts = ?, revision = ?
WHERE number = ? AND tenant = ? AND owner IS ? AND is_latest = ? AND status = ?;

INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n)
VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)
ON CONFLICT (tenant, owner, is_latest, status) DO UPDATE SET n = n + excluded.n;

DELETE
FROM "docstore_tally"
WHERE tenant = ? AND owner = ? AND is_latest = ? AND status = ? AND n = 0;

COMMIT;
