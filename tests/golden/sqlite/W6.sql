-- W6: count of half of all documents

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
--   14
--   '[0]'
--   b'n\xc0\x18\x00\x00\x00\x00\x00\x00\x80\x00'
--   b'o'
--   20001

ROLLBACK;
