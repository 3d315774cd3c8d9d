-- W5: a rare nested path

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '($."author"."name" == "author-04242")'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE d.metadata_json @@ %s::jsonpath OFFSET 0) AS d
    WHERE d.is_latest
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   '($."author"."name" == "author-04242")'
--   11
