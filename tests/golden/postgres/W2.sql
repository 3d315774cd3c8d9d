-- W2: category, tag, $or and a range; newest 10

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE d.created_at >= %s
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   1650000000000000
--   '(($."category" == "finance")) && (($."tags" == "important")) && ((($."priority" >= 8)) || (($.

EXPLAIN (FORMAT JSON) SELECT 1
FROM "docstore_document" AS d
WHERE d.created_at >= %s;
--   1650000000000000

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE d.metadata_json @@ %s::jsonpath OFFSET 0) AS d
    WHERE (d.created_at >= %s AND d.is_latest AND d.metadata_json @@ %s::jsonpath)
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   '(($."category" == "finance")) && (($."tags" == "important"))'
--   1650000000000000
--   '(($."priority" >= 8)) || (($."author"."department" == "audit"))'
--   11
