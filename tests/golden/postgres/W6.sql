-- W6: count of half of all documents

EXPLAIN (FORMAT JSON) SELECT 1
FROM "docstore_document" AS d
WHERE d.metadata_words @@ %s::tsquery;
--   'afc3at | afc3ac018:* | afc3ac019:* | afc3ac01a:* | afc3ac01b:* | afc3ac01c:* | afc3ac01d:* | a

SELECT count(*)
FROM "docstore_document" AS d
WHERE (d.metadata_json @@ %s::jsonpath AND d.is_latest);
--   '($."priority" >= 6)'
