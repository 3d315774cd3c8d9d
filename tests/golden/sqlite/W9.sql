-- W9a: filename: a common substring

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT w.number
FROM (SELECT d.number
  FROM "docstore_document" AS d
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT ?) AS w
CROSS JOIN "docstore_document" AS d ON d.number = w.number
WHERE (docstore_test(?, w.number) AND (instr(d.filename, ?) > 0 AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   'report'
--   11

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[260,255,271,77,212,15,49,282,39,8,177]'
--   -1
--   0

ROLLBACK;

-- W9b: filename: a rare substring

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT w.number
FROM (SELECT d.number
  FROM "docstore_document" AS d
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT ?) AS w
CROSS JOIN "docstore_document" AS d ON d.number = w.number
WHERE (docstore_test(?, w.number) AND (instr(d.filename, ?) > 0 AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   '-0004242.'
--   11

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nz0002d00 AND n000 AND n004 AND n042 AND n424 AND n242 AND n42z0002e)'
--   20001

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;

-- W9c: filename: the glob *.pdf

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT w.number
FROM (SELECT d.number
  FROM "docstore_document" AS d
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT ?) AS w
CROSS JOIN "docstore_document" AS d ON d.number = w.number
WHERE (docstore_test(?, w.number) AND (docstore_test(?, d.filename) AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   <filename is like "*.pdf">
--   11

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[202,60,57,92,223,275,260,38,80,237,266]'
--   -1
--   0

ROLLBACK;

-- W9d: filename: a rare glob

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT w.number
FROM (SELECT d.number
  FROM "docstore_document" AS d
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT ?) AS w
CROSS JOIN "docstore_document" AS d ON d.number = w.number
WHERE (docstore_test(?, w.number) AND (docstore_test(?, d.filename) AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   <filename is like "*-000424?.*">
--   11

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nz0002d00 AND n000 AND n004 AND n042 AND n424)'
--   20001

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;
