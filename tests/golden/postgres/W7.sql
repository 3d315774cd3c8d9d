-- W7: get by id

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.id = %s;
--   'document-7'
