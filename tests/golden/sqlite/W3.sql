-- W3: the same with an exact total

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT key
FROM "docstore_posting"
WHERE path = ? AND chunk IN (SELECT value
  FROM json_each(?)) AND key >= ? AND key < ?
LIMIT ?;
--   5
--   '[0]'
--   b'n'
--   b'o'
--   1025

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
WHERE d.created_at >= ?
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[175,190]'
--   1650000000000000
--   11
--   0

ROLLBACK;
