-- W6: count of half of all documents

BEGIN;

SELECT (SELECT value
  FROM "docstore_setting"
  WHERE name = ?), (SELECT max(seq)
  FROM "docstore_document_change"), (SELECT schema_version
  FROM pragma_schema_version), (SELECT max(number)
  FROM "docstore_document");
--   'index generation of documents'

ROLLBACK;
