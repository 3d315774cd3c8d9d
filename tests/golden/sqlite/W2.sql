-- W2: category, tag, $or and a range; newest 10

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   16
--   b'sfinance'
--   '[0]'

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["metadata", "tags"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   15
--   b'simportant'
--   '[0]'

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["metadata", "priority"]'

SELECT key, chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key BETWEEN ? AND ? AND chunk IN (SELECT value
  FROM json_each(?));
--   14
--   b'\x08'
--   b'\x08\xff'
--   '[0]'

SELECT key
FROM "docstore_posting"
WHERE path = ? AND chunk IN (SELECT value
  FROM json_each(?)) AND key >= ? AND key < ?
LIMIT ?;
--   14
--   '[0]'
--   b'n'
--   b'o'
--   1025

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["metadata", "author", "department"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   8
--   b'saudit'
--   '[0]'

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["is_latest"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   23
--   b'\x03'
--   '[0]'

SELECT id
FROM "docstore_path"
WHERE collection = ? AND steps = ?;
--   'documents'
--   '["created_at"]'

SELECT key, chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key BETWEEN ? AND ? AND chunk IN (SELECT value
  FROM json_each(?));
--   5
--   b'\x08'
--   b'\x08\xff'
--   '[0]'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
WHERE d.created_at >= ?
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[146,175,190]'
--   1650000000000000
--   11
--   0

ROLLBACK;
