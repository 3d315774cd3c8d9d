-- W1: one document and commit

BEGIN IMMEDIATE;

INSERT INTO "docstore_document" ({columns}, filename_fold, filename_search)
VALUES (…, ?);

INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, owner, is_latest, status) DO UPDATE SET n = n + excluded.n;

INSERT INTO "docstore_document_change" (number, is_new, has_text)
VALUES (?, 1, 1);

COMMIT;

-- W1: documents in bulk

BEGIN IMMEDIATE;

SELECT seq
FROM sqlite_sequence
WHERE name = ?;

INSERT INTO "docstore_document" ({columns}, filename_fold, filename_search)
VALUES (…, NULL);

INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, owner, is_latest, status) DO UPDATE SET n = n + excluded.n;

INSERT INTO "docstore_document_change" (number, is_new, has_text) SELECT number, 1, 1
FROM "docstore_document"
WHERE number BETWEEN ? AND ?;

SELECT max(seq)
FROM "docstore_document_change";

SELECT coalesce(sum(coalesce(length(CAST(metadata AS BLOB)), 0)), 0)
FROM "docstore_document"
WHERE number IN (SELECT number
  FROM "docstore_document_change");

SELECT count(*)
FROM "docstore_document_change"
WHERE has_text = 1;

COMMIT;
