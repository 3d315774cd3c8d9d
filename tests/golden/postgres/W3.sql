-- W3: the same with an exact total

BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT count(*)
FROM (SELECT 1
  FROM (SELECT d.*
    FROM "docstore_document" AS d
    WHERE d.metadata_json @@ %s::jsonpath OFFSET 0) AS d
  WHERE (d.created_at >= %s AND d.is_latest AND d.metadata_json @@ %s::jsonpath)) AS found;
--   '(($."category" == "finance")) && (($."tags" == "important"))'
--   1650000000000000
--   '(($."priority" >= 8)) || (($."author"."department" == "audit"))'

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

ROLLBACK;
