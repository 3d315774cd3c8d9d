-- W4a: one owner's of one status: page 1

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM "docstore_document" AS d
    WHERE (d.owner = %s AND d.is_latest) AND d.status = ANY(%s::text[])
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT 11)) AND 1=1
ORDER BY d.created_at DESC, d.number DESC;
--   'owner-03'
--   ['completed']

-- W4b: … page at depth 10,000 by offset

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM "docstore_document" AS d
    WHERE (d.owner = %s AND d.is_latest) AND d.status = ANY(%s::text[])
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT 11 OFFSET %s)) AND 1=1
ORDER BY d.created_at DESC, d.number DESC;
--   'owner-03'
--   ['completed']
--   20

-- W4c: … page at depth 10,000 by cursor

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM "docstore_document" AS d
    WHERE (d.owner = %s AND d.is_latest) AND d.status = ANY(%s::text[])
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT 3)) AND 1=1
ORDER BY d.created_at DESC, d.number DESC;
--   'owner-03'
--   ['completed']

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM "docstore_document" AS d
    WHERE (d.owner = %s AND d.is_latest AND (d.created_at, d.number) < (%s::bigint, %s::bigint)) AND d.status = ANY(%s::text[])
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT 3)) AND 1=1
ORDER BY d.created_at DESC, d.number DESC;
--   'owner-03'
--   1690234282834585
--   218
--   ['completed']
