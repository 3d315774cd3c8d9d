-- W8a: search: a common term

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 16) AS d
WHERE ((strpos(coalesce(d.filename_search, d.filename_fold), %s) > 0 OR (SELECT strpos(c.words, %s) > 0
      FROM "docstore_content" AS c
      WHERE c.tenant = d.tenant AND c.number = d.number)) AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   'revenue'
--   ' revenue'

-- W8b: search: a rare term

SELECT {columns}
FROM (SELECT d.*
  FROM "docstore_document" AS d
  WHERE 1=1
  ORDER BY d.created_at DESC, d.number DESC
  LIMIT 16) AS d
WHERE ((strpos(coalesce(d.filename_search, d.filename_fold), %s) > 0 OR (SELECT strpos(c.words, %s) > 0
      FROM "docstore_content" AS c
      WHERE c.tenant = d.tenant AND c.number = d.number)) AND d.is_latest)
ORDER BY d.created_at DESC, d.number DESC
LIMIT 11;
--   'ticket04242'
--   ' ticket04242'

SELECT {columns}
FROM "docstore_document" AS d
WHERE d.number = ANY(ARRAY(SELECT d.number
    FROM (SELECT d.*
      FROM "docstore_document" AS d
      WHERE (d.number IN (SELECT c.number
          FROM "docstore_content" AS c
          WHERE "docstore_terms"(c.words) @@ %s::tsquery
          UNION ALL SELECT d.number
          FROM "docstore_document" AS d
          WHERE (d.filename_fold LIKE %s OR d.filename_search LIKE %s)) AND (strpos(coalesce(d.filename_search, d.filename_fold), %s) > 0 OR (SELECT strpos(c.words, %s) > 0
            FROM "docstore_content" AS c
            WHERE c.tenant = d.tenant AND c.number = d.number))) OFFSET 0) AS d
    WHERE d.is_latest
    ORDER BY d.created_at DESC, d.number DESC
    LIMIT %s))
ORDER BY d.created_at DESC, d.number DESC;
--   "'*' | 'ticket04242':*"
--   '%ticket04242%'
--   '%ticket04242%'
--   'ticket04242'
--   ' ticket04242'
--   11
