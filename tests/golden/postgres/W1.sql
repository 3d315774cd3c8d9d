-- W1: one document and commit

WITH clock AS MATERIALIZED (SELECT greatest((extract(epoch
        FROM clock_timestamp()) * 1000000)::bigint, %s) AS now), made AS (INSERT INTO "docstore_document" ({columns}, filename_fold, filename_search, metadata_json, metadata_fold, metadata_words)
  VALUES (…, (SELECT now
      FROM clock), (SELECT now
      FROM clock), (SELECT now
      FROM clock), …, %s::tsvector)
  ON CONFLICT DO NOTHING
  RETURNING *), counted AS (INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n) SELECT tenant, coalesce(owner, ''), is_latest, status, 1
  FROM made) SELECT made.number, clock.now
FROM made, clock;

-- W1: documents in bulk

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

SELECT (extract(epoch
    FROM clock_timestamp()) * 1000000)::bigint;

SAVEPOINT docstore_statement;

SELECT nextval(pg_get_serial_sequence(%s, 'number')::regclass), row_security_active(%s::regclass)
FROM generate_series(1, %s);

COPY "docstore_document" ({columns}, filename_fold, filename_search, metadata_json, metadata_fold, metadata_words)
FROM STDIN;

RELEASE docstore_statement;

INSERT INTO "docstore_tally" (tenant, owner, is_latest, status, n)
VALUES (%s, %s, %s, %s, %s);

COMMIT;
