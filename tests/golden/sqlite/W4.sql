-- W4a: one owner's of one status: page 1

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.status = ? AND (d.owner = ? AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   'completed'
--   'owner-03'
--   11
--   0

-- W4b: … page at depth 10,000 by offset

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.status = ? AND (d.owner = ? AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   'completed'
--   'owner-03'
--   11
--   20

-- W4c: … page at depth 10,000 by cursor

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.status = ? AND (d.owner = ? AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   'completed'
--   'owner-03'
--   3
--   0

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.status = ? AND (d.owner = ? AND d.is_latest AND (d.created_at, d.number) < (?, ?))
ORDER BY d.created_at DESC, d.number DESC
LIMIT ? OFFSET ?;
--   'completed'
--   'owner-03'
--   1690234282834585
--   218
--   3
--   0
