-- W12a: none of two frequent terms

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
--   '["metadata", "kind"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   11
--   b'sb'
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

-- W12b: matches at the far end of the order

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
--   '["metadata", "era"]'

SELECT chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key = ? AND chunk IN (SELECT value
  FROM json_each(?));
--   10
--   b'searly'
--   '[0]'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[123]'
--   11
--   0

ROLLBACK;

-- W12c: $ne

BEGIN;

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
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[55,60,79,92,118,131,194,202,223,260,275]'
--   11
--   0

ROLLBACK;

-- W12d: a narrow range over many values

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
--   '["metadata", "score"]'

SELECT key, chunk, bits
FROM "docstore_posting"
WHERE path = ? AND key BETWEEN ? AND ? AND chunk IN (SELECT value
  FROM json_each(?));
--   13
--   b'\x08'
--   b'\x08\xff'
--   '[0]'

SELECT key
FROM "docstore_posting"
WHERE path = ? AND chunk IN (SELECT value
  FROM json_each(?)) AND key >= ? AND key < ?
LIMIT ?;
--   13
--   '[0]'
--   b'n'
--   b'o'
--   1025

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;

-- W12e: a wide range over many values

BEGIN;

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
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[60,79,80,118,136,145,194,223,224,235,237,255]'
--   11
--   0

ROLLBACK;

-- W12f: $nin of 1,000

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
WHERE path = ? AND key IN (…, ?) AND chunk IN (SELECT value
  FROM json_each(?));
--   9
--   b'sauthor-00000'
--   b'sauthor-00002'
--   b'sauthor-00004'
--   b'sauthor-00006'
--   b'sauthor-00008'
-- … 2 times

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[55,57,60,92,118,190,194,202,223,260,275]'
--   11
--   0

ROLLBACK;

-- W12g: $or, twelve deep, rare

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
WHERE path = ? AND key IN (…, ?) AND chunk IN (SELECT value
  FROM json_each(?));
--   9
--   b'sauthor-00012'
--   b'sauthor-00011'
--   b'sauthor-00010'
--   b'sauthor-00009'
--   b'sauthor-00008'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;

-- W12h: $ne of nearly all, at the far end

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
--   10
--   b'slate'
--   '[0]'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[123]'
--   11
--   0

ROLLBACK;

-- W12i: an empty range over many values

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
--   11
--   b'sa'
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

-- W12j: frequent terms clustered at the far end

BEGIN;

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
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[123]'
--   11
--   0

ROLLBACK;
