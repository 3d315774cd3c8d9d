-- W7: get by id

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.id = ?
ORDER BY d.number ASC
LIMIT ?;
--   'document-7'
--   1
