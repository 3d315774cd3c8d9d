-- W5: a rare nested path

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["metadata", "author", "name"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   9
--   b'sauthor-04242'
--   '[0]'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;
