-- W9a: filename: a common substring

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (strpos(d.filename, %s) > 0 AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   'report'

-- W9b: filename: a rare substring

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (strpos(d.filename, %s) > 0 AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '-0004242.'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE (d.filename_fold LIKE %s AND strpos(d.filename, %s) > 0) OFFSET 0) AS d
    WHERE d.is_latest
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   '%-%004242%'
--   '-0004242.'
--   11

-- W9c: filename: the glob *.pdf

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.filename COLLATE "C" LIKE %s AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '%.pdf'

-- W9d: filename: a rare glob

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.filename COLLATE "C" LIKE %s AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '%-000424_.%'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE (d.filename_fold LIKE %s AND d.filename COLLATE "C" LIKE %s) OFFSET 0) AS d
    WHERE d.is_latest
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   '%-%0042%'
--   '%-000424_.%'
--   11
