-- W9a: filename: a common substring

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nrep AND nort)'
--   513

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
WHERE (instr(d.filename, ?) > 0 AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[3,8,9,15,19,28,36,39,47,49,51,54,59,64,69,77,112,123,126,147,152,177,184,203,210,212,249,250,
--   'report'
--   11
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

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nz0002d00 AND n042 AND n42z0002e)'
--   513

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
WHERE (instr(d.filename, ?) > 0 AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[43]'
--   '-0004242.'
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

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nz0002epd AND npdf)'
--   513

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT w.number
FROM (SELECT d.number
  FROM "docstore_document" AS d
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT ?) AS w
CROSS JOIN "docstore_document" AS d ON d.number = w.number
WHERE (docstore_test(?, w.number) AND (docstore_test(?, d.filename) AND d.is_latest))
LIMIT ?;
--   512
--   <a set of numbers below 304>
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

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(nz0002d00 AND n042 AND n424)'
--   513

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[]'
--   11
--   0

ROLLBACK;
