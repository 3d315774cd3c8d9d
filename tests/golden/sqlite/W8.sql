-- W8a: search: a common term

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
WHERE (docstore_test(?, w.number) AND ((instr(coalesce(d.filename_search, d.filename_fold), ?) > 0 OR coalesce(instr((SELECT c.words
            FROM "docstore_content" AS c
            WHERE c.number = d.number), ?), 0) > 0) AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   'revenue'
--   ' revenue'
--   11

SELECT {columns}
FROM json_each(?) AS j
CROSS JOIN "docstore_document" AS d ON d.number = j.value
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   '[202,60,57,223,79,158,190,275,194,131,224]'
--   -1
--   0

ROLLBACK;

-- W8b: search: a rare term

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
WHERE (docstore_test(?, w.number) AND ((instr(coalesce(d.filename_search, d.filename_fold), ?) > 0 OR coalesce(instr((SELECT c.words
            FROM "docstore_content" AS c
            WHERE c.number = d.number), ?), 0) > 0) AND d.is_latest))
LIMIT ?;
--   176
--   <a set of numbers below 65536>
--   'ticket04242'
--   ' ticket04242'
--   11

SELECT value
FROM "docstore_setting"
WHERE name = ?;
--   'index generation of texts'

SELECT rowid
FROM "docstore_text"
WHERE "docstore_text" MATCH ?
LIMIT ?;
--   '(ntic AND nket AND n042 AND n242) OR (wticket04242*)'
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
