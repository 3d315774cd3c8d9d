-- W12a: none of two frequent terms

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '(($."category" == "finance")) && (($."kind" == "b"))'

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
--   '(($."category" == "finance")) && (($."kind" == "b"))'
--   11

-- W12b: matches at the far end of the order

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '($."era" == "early")'

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
--   '($."era" == "early")'
--   11

-- W12c: $ne

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (((d.metadata_json @@ %s::jsonpath) IS NOT TRUE) AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '($."category" == "finance")'

-- W12d: a narrow range over many values

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '(($."score" >= 0.5)) && (($."score" < 0.5002))'

EXPLAIN (FORMAT JSON) SELECT 1
FROM "docstore_document" AS d
WHERE d.metadata_words @@ %s::tsquery;
--   'c17d8s | c17d8bfe000 | c17d8bfe001 | u'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE d.metadata_words @@ %s::tsquery OFFSET 0) AS d
    WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   'c17d8s | c17d8bfe000 | c17d8bfe001 | u'
--   '(($."score" >= 0.5)) && (($."score" < 0.5002))'
--   11

-- W12e: a wide range over many values

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '($."score" >= 0.5)'

-- W12f: $nin of 1,000

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (((EXISTS (SELECT 1
        FROM jsonb_path_query(d.metadata_json, %s::jsonpath) AS s0(v)
        WHERE s0.v = ANY(%s::jsonb[]))) IS NOT TRUE) AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '$."author"."name" ? (@.type() != "array")'
--   '{"\\"author-00000\\"", "\\"author-00002\\"", "\\"author-00004\\"", "\\"author-00006\\"", "\\"a

-- W12g: $or, twelve deep, rare

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '(($."author"."name" == "author-00012") || ($."author"."name" == "author-00011") || ($."author"

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
--   '(($."author"."name" == "author-00012") || ($."author"."name" == "author-00011") || ($."author"
--   11

-- W12h: $ne of nearly all, at the far end

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (((d.metadata_json @@ %s::jsonpath) IS NOT TRUE) AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '($."era" == "late")'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE (((d.metadata_json @@ %s::jsonpath) IS NOT TRUE) AND d.is_latest) OFFSET 0) AS d
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   '($."era" == "late")'
--   11

-- W12i: an empty range over many values

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '(($."score" >= 0.5)) && (($."score" < 0.5)) && (($."kind" == "a"))'

EXPLAIN (FORMAT JSON) SELECT 1
FROM "docstore_document" AS d
WHERE d.metadata_words @@ %s::tsquery;
--   'c17d8s | c17d8bfe000 | u'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE d.metadata_words @@ %s::tsquery OFFSET 0) AS d
    WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   'c17d8s | c17d8bfe000 | u'
--   '(($."score" >= 0.5)) && (($."score" < 0.5)) && (($."kind" == "a"))'
--   11

-- W12j: frequent terms clustered at the far end

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 128) AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   '(($."era" == "early")) && (($."kind" == "a"))'

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
--   '(($."era" == "early")) && (($."kind" == "a"))'
--   11
