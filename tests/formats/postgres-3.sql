


SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;


CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;



COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';



CREATE FUNCTION public.docstore_compare(a jsonb, b jsonb) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    keys_a text[];
    keys_b text[];
    kind text := jsonb_typeof(a);
    found int;
BEGIN
    CASE kind
    WHEN 'string' THEN
        RETURN CASE WHEN a = b THEN 0 WHEN (a #>> '{}') COLLATE "C" < (b #>> '{}') COLLATE "C" THEN -1
        ELSE 1 END;
    WHEN 'array' THEN
        FOR n IN 0 .. least(jsonb_array_length(a), jsonb_array_length(b)) - 1 LOOP
            found := CASE WHEN jsonb_typeof(a -> n) = jsonb_typeof(b -> n) THEN 0 ELSE array_position('{"null","number","string","object","array","boolean"}'::text[], jsonb_typeof(a -> n)) - array_position('{"null","number","string","object","array","boolean"}'::text[], jsonb_typeof(b -> n)) END;
            IF found = 0 THEN
                found := "docstore_compare"(a -> n, b -> n);
            END IF;
            IF found <> 0 THEN
                RETURN found;
            END IF;
        END LOOP;
        RETURN jsonb_array_length(a) - jsonb_array_length(b);
    WHEN 'object' THEN
        keys_a := ARRAY(SELECT k FROM jsonb_object_keys(a) AS j(k) ORDER BY k COLLATE "C");
        keys_b := ARRAY(SELECT k FROM jsonb_object_keys(b) AS j(k) ORDER BY k COLLATE "C");
        FOR n IN 1 .. least(cardinality(keys_a), cardinality(keys_b)) LOOP
            found := CASE WHEN jsonb_typeof(a -> keys_a[n]) = jsonb_typeof(b -> keys_b[n]) THEN 0 ELSE array_position('{"null","number","string","object","array","boolean"}'::text[], jsonb_typeof(a -> keys_a[n])) - array_position('{"null","number","string","object","array","boolean"}'::text[], jsonb_typeof(b -> keys_b[n])) END;
            IF found = 0 AND keys_a[n] <> keys_b[n] THEN
                found := CASE WHEN keys_a[n] COLLATE "C" < keys_b[n] COLLATE "C" THEN -1 ELSE 1 END;
            END IF;
            IF found = 0 THEN
                found := "docstore_compare"(a -> keys_a[n], b -> keys_b[n]);
            END IF;
            IF found <> 0 THEN
                RETURN found;
            END IF;
        END LOOP;
        RETURN cardinality(keys_a) - cardinality(keys_b);
    ELSE
        RETURN CASE WHEN a = b THEN 0 WHEN a < b THEN -1 ELSE 1 END;
    END CASE;
END$$;



CREATE FUNCTION public.docstore_grams(name text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT array_to_tsvector(array(SELECT substr(name, i, 3) FROM generate_series(1, char_length(name)) AS i))$$;



CREATE FUNCTION public.docstore_order(v jsonb) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    inner_bytes bytea;
BEGIN
    CASE jsonb_typeof(v)
    WHEN 'string' THEN
        RETURN '\x04'::bytea || convert_to(v #>> '{}', 'UTF8') || '\x0001'::bytea;
    WHEN 'number' THEN
        RETURN "docstore_order_number"((v #>> '{}')::numeric);
    WHEN 'boolean' THEN
        RETURN CASE WHEN v = 'true'::jsonb THEN '\x0702'::bytea ELSE '\x0701'::bytea END;
    WHEN 'array' THEN
        SELECT string_agg("docstore_order"(element), ''::bytea ORDER BY place) INTO inner_bytes
            FROM jsonb_array_elements(v) WITH ORDINALITY AS e(element, place);
        RETURN '\x06'::bytea || coalesce(inner_bytes, '') || '\x00'::bytea;
    WHEN 'object' THEN
        SELECT string_agg(substring(bytes FOR 1) || name || '\x0001'::bytea || substring(bytes FROM 2),
        ''::bytea ORDER BY name)
            INTO inner_bytes
            FROM (SELECT convert_to(key, 'UTF8'), "docstore_order"(value) FROM jsonb_each(v)) AS p(name, bytes);
        RETURN '\x05'::bytea || coalesce(inner_bytes, '') || '\x00'::bytea;
    ELSE
        RETURN '\x02'::bytea;
    END CASE;
END$$;



CREATE FUNCTION public.docstore_order_number(n numeric) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    near float8 := n::float8;
    bits bytea;
    rest int := 0;
BEGIN
    IF near > 0 AND near < 9007199254740992 THEN
        RETURN '\x03'::bytea || float8send(-near) || '\x8000'::bytea;
    ELSIF near = 0 THEN
        RETURN '\x0380000000000000008000'::bytea;
    END IF;
    IF abs(n) > 9007199254740992 AND abs(n) < 9223372036854775808 THEN
        rest := n - CASE WHEN abs(near) >= 9223372036854775808::float8 THEN sign(n) * 9223372036854775808 ELSE
        near::bigint::numeric END;
    END IF;
    IF near < 0 THEN
        bits := int8send(~(('x' || encode(float8send(near), 'hex'))::bit(64)::bigint));
    ELSE
        bits := float8send(-near);
    END IF;
    RETURN '\x03'::bytea || bits || substring(int4send(rest + 32768) FROM 3);
END$$;



CREATE FUNCTION public.docstore_sort(v jsonb, steps text[], largest boolean, at integer DEFAULT 1) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
DECLARE
    last int := cardinality(steps);
    place int := -1;
    element jsonb;
    found bytea;
    best bytea;
BEGIN
    WHILE at <= last AND jsonb_typeof(v) = 'object' LOOP
        v := v -> steps[at];
        at := at + 1;
    END LOOP;
    IF v IS NULL THEN
        RETURN '\x02'::bytea;
    ELSIF jsonb_typeof(v) <> 'array' THEN
        RETURN CASE WHEN at <= last THEN '\x02'::bytea ELSE "docstore_order"(v) END;
    ELSIF jsonb_array_length(v) = 0 THEN
        RETURN CASE WHEN at > last THEN '\x01'::bytea ELSE '\x02'::bytea END;
    ELSIF at <= last AND steps[at] ~ '^(0|[1-9][0-9]{0,8})$' THEN
        place := CASE WHEN steps[at]::int < jsonb_array_length(v) THEN steps[at]::int ELSE -1 END;
    END IF;
    IF place >= 0 THEN
        best := CASE WHEN at = last THEN "docstore_order"(v -> place) ELSE "docstore_sort"(v -> place, steps, largest, at + 1)
        END;
    END IF;
    FOR n IN 0 .. jsonb_array_length(v) - 1 LOOP
        element := v -> n;
        IF at > last THEN
            found := "docstore_order"(element);
        ELSIF jsonb_typeof(element) = 'object' AND element ? steps[at] THEN
            found := "docstore_sort"(element -> steps[at], steps, largest, at + 1);
        ELSE
            found := CASE WHEN place < 0 THEN '\x02'::bytea END;
        END IF;
        IF best IS NULL OR (CASE WHEN largest THEN found > best ELSE found < best END) THEN
            best := coalesce(found, best);
        END IF;
    END LOOP;
    RETURN best;
END$_$;



CREATE FUNCTION public.docstore_terms(words text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT array_to_tsvector(CASE WHEN octet_length(words) <= 400 THEN string_to_array(btrim(words, ' '), ' ') WHEN octet_length(words) <= 900000 THEN array(SELECT DISTINCT left(word, 400) FROM unnest(string_to_array(btrim(words, ' '), ' ')) AS word WHERE word <> '') ELSE ARRAY['*'] END)$$;


SET default_tablespace = '';

SET default_table_access_method = heap;


CREATE TABLE public.docstore_blob (
    tenant text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    sha256 text COLLATE pg_catalog."C",
    size bigint,
    state text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    place integer DEFAULT 0 NOT NULL
);



CREATE SEQUENCE public.docstore_clock
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;



CREATE SEQUENCE public.docstore_clock_wall
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;



CREATE TABLE public.docstore_content (
    tenant text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    content text NOT NULL COLLATE pg_catalog."C",
    words text NOT NULL COLLATE pg_catalog."C",
    symbols text NOT NULL COLLATE pg_catalog."C"
);



CREATE TABLE public.docstore_document (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    external_id text COLLATE pg_catalog."C",
    version bigint NOT NULL,
    is_latest boolean NOT NULL,
    tenant text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    filename text NOT NULL COLLATE pg_catalog."C",
    content_type text NOT NULL COLLATE pg_catalog."C",
    file_type text NOT NULL COLLATE pg_catalog."C",
    size bigint,
    sha256 text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    error text COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    metadata text NOT NULL COLLATE pg_catalog."C",
    preview text COLLATE pg_catalog."C",
    content_state text COLLATE pg_catalog."C",
    content_note text COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    first_created_at bigint NOT NULL,
    processed_at bigint,
    expires_at bigint,
    revision bigint NOT NULL,
    blob_key text COLLATE pg_catalog."C",
    fingerprint text COLLATE pg_catalog."C",
    lease_token text COLLATE pg_catalog."C",
    lease_worker text COLLATE pg_catalog."C",
    lease_expires_at bigint,
    filename_fold text NOT NULL COLLATE pg_catalog."C",
    filename_search text COLLATE pg_catalog."C",
    metadata_json jsonb NOT NULL,
    metadata_fold jsonb,
    metadata_words tsvector
);



ALTER TABLE public.docstore_document ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.docstore_document_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);



CREATE VIEW public.docstore_documents AS
 SELECT r.id,
    r.number,
    r.external_id,
    r.version,
    r.is_latest,
    NULLIF(r.tenant, ''::text) AS tenant,
    r.owner,
    r.filename,
    r.content_type,
    r.file_type,
    r.size,
    r.sha256,
    r.status,
    r.error,
    r.attempts,
    r.metadata_json AS metadata,
    r.preview,
    r.content_state,
    r.content_note,
    (to_timestamp(((r.created_at / 1000000))::double precision) + ((mod(r.created_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS created_at,
    (to_timestamp(((r.updated_at / 1000000))::double precision) + ((mod(r.updated_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS updated_at,
    (to_timestamp(((r.first_created_at / 1000000))::double precision) + ((mod(r.first_created_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS first_created_at,
    (to_timestamp(((r.processed_at / 1000000))::double precision) + ((mod(r.processed_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS processed_at,
    (to_timestamp(((r.expires_at / 1000000))::double precision) + ((mod(r.expires_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS expires_at,
    r.revision
   FROM (public.docstore_document r
     CROSS JOIN ( SELECT 1 AS "?column?") one);



CREATE TABLE public.docstore_extraction (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    document_id text NOT NULL COLLATE pg_catalog."C",
    filename text NOT NULL COLLATE pg_catalog."C",
    tenant text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    error text COLLATE pg_catalog."C",
    results text COLLATE pg_catalog."C",
    needs_review boolean NOT NULL,
    is_reviewed boolean NOT NULL,
    reviewed_at bigint,
    reviewed_by text COLLATE pg_catalog."C",
    reviewed_results text COLLATE pg_catalog."C",
    confidence_scores text COLLATE pg_catalog."C",
    review_flags text COLLATE pg_catalog."C",
    metadata text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    revision bigint NOT NULL,
    fingerprint text COLLATE pg_catalog."C",
    filename_fold text NOT NULL COLLATE pg_catalog."C",
    filename_search text COLLATE pg_catalog."C",
    results_json jsonb,
    results_fold jsonb,
    reviewed_results_json jsonb,
    reviewed_results_fold jsonb,
    confidence_scores_json jsonb,
    confidence_scores_fold jsonb,
    review_flags_json jsonb,
    review_flags_fold jsonb,
    metadata_json jsonb NOT NULL,
    metadata_fold jsonb,
    metadata_words tsvector
);



ALTER TABLE public.docstore_extraction ALTER COLUMN number ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.docstore_extraction_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);



CREATE VIEW public.docstore_extractions AS
 SELECT r.id,
    r.number,
    r.document_id,
    r.filename,
    NULLIF(r.tenant, ''::text) AS tenant,
    r.owner,
    r.status,
    r.error,
    r.results_json AS results,
    r.needs_review,
    r.is_reviewed,
    (to_timestamp(((r.reviewed_at / 1000000))::double precision) + ((mod(r.reviewed_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS reviewed_at,
    r.reviewed_by,
    r.reviewed_results_json AS reviewed_results,
    r.confidence_scores_json AS confidence_scores,
    r.review_flags_json AS review_flags,
    r.metadata_json AS metadata,
    (to_timestamp(((r.created_at / 1000000))::double precision) + ((mod(r.created_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS created_at,
    (to_timestamp(((r.updated_at / 1000000))::double precision) + ((mod(r.updated_at, (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS updated_at,
    r.revision
   FROM (public.docstore_extraction r
     CROSS JOIN ( SELECT 1 AS "?column?") one);



CREATE TABLE public.docstore_setting (
    name text NOT NULL,
    value text NOT NULL
);



CREATE TABLE public.docstore_tally (
    tenant text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    is_latest boolean NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    n bigint NOT NULL
);



CREATE TABLE public.docstore_usual (
    number bigint NOT NULL,
    tenant text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);



ALTER TABLE public.docstore_usual ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.docstore_usual_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);



INSERT INTO public.docstore_blob VALUES ('t', 'f5/ae/f5aed58eeb324fc2b9ac8a16f41a9499', 'o', 'b19f8edae2ee6c225b7278b289c2823ab9accfa225c5d67c4bef270b88ea55f0', 9, 'live', 1796095685272072, 0, 346161068);
INSERT INTO public.docstore_blob VALUES ('t', 'a5/9b/a59b20f9be404c2d9a5ddebe06b8968a', 'o', 'f4761aa023c3639dc371a2336ee3514ab6236bad28c5a0ebf2e52fb6e42030d1', 9, 'live', 1796095685272072, 0, 346161068);
INSERT INTO public.docstore_blob VALUES ('t', 'f6/58/f658474b68c844b0b56abd0399516a11', 'o', '791cad8c3a8ee2f0869c575e275eee347ad1a9bbfd6c6b00c7acaa0d52ed7e52', 9, 'live', 1796095685272072, 0, 346161068);
INSERT INTO public.docstore_blob VALUES ('', '5c/63/5c634cb25843415e868f6b9849205158', NULL, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 0, 'live', 1796095685272072, 0, 346161068);



INSERT INTO public.docstore_content VALUES ('t', 1, 'Grüße Nummer 1, 日本語', ' grusse nummer 1 日 本 語 ', ' a, ');
INSERT INTO public.docstore_content VALUES ('t', 2, 'Grüße Nummer 2, 日本語', ' grusse nummer 2 日 本 語 ', ' a, ');
INSERT INTO public.docstore_content VALUES ('t', 3, 'Grüße Nummer 3, 日本語', ' grusse nummer 3 日 本 語 ', ' a, ');



INSERT INTO public.docstore_document VALUES (1, 'chain-1', 'chain', 1, false, 't', 'o', 'Chain.TXT', 'text/plain', 'text', 9, 'b19f8edae2ee6c225b7278b289c2823ab9accfa225c5d67c4bef270b88ea55f0', 'completed', NULL, 0, '{"n":1,"tags":["a",{"b":[1,null,1.5]}],"a.b":{"":"é"}}', 'Grüße Nummer 1, 日本語', NULL, NULL, 1767268800000001, 1767268800000001, 1767268800000001, NULL, NULL, 1, 'f5/ae/f5aed58eeb324fc2b9ac8a16f41a9499', '5c8ccb7b15d700e019d6e35f7c2571ce', NULL, NULL, NULL, 'chain.txt', NULL, '{"n": 1, "a.b": {"": "é"}, "tags": ["a", {"b": [1, null, 1.5]}]}', NULL, '''05ab3bff000'' ''05ab3bff800'' ''05ab3s'' ''754d6bff000'' ''w0000''');
INSERT INTO public.docstore_document VALUES (2, 'chain-2', 'chain', 2, false, 't', 'o', 'Chain.TXT', 'text/plain', 'text', 9, 'f4761aa023c3639dc371a2336ee3514ab6236bad28c5a0ebf2e52fb6e42030d1', 'completed', NULL, 0, '{"n":2,"tags":["a",{"b":[2,null,1.5]}],"a.b":{"":"é"}}', 'Grüße Nummer 2, 日本語', NULL, NULL, 1767355200000002, 1767355200000002, 1767268800000001, NULL, NULL, 1, 'a5/9b/a59b20f9be404c2d9a5ddebe06b8968a', 'bf357e769a265251d9b20772ae73796a', NULL, NULL, NULL, 'chain.txt', NULL, '{"n": 2, "a.b": {"": "é"}, "tags": ["a", {"b": [2, null, 1.5]}]}', NULL, '''05ab3bff800'' ''05ab3c00000'' ''05ab3s'' ''754d6c00000'' ''w0000''');
INSERT INTO public.docstore_document VALUES (3, 'chain-3', 'chain', 3, true, 't', 'o', 'Chain.TXT', 'text/plain', 'text', 9, '791cad8c3a8ee2f0869c575e275eee347ad1a9bbfd6c6b00c7acaa0d52ed7e52', 'completed', NULL, 0, '{"n":3,"tags":["a",{"b":[3,null,1.5]}],"a.b":{"":"é"}}', 'Grüße Nummer 3, 日本語', NULL, NULL, 1767441600000003, 1767441600000003, 1767268800000001, NULL, NULL, 1, 'f6/58/f658474b68c844b0b56abd0399516a11', '4e31d19a11f7b26b59e0e6b21ffae90e', NULL, NULL, NULL, 'chain.txt', NULL, '{"n": 3, "a.b": {"": "é"}, "tags": ["a", {"b": [3, null, 1.5]}]}', NULL, '''05ab3bff800'' ''05ab3c00800'' ''05ab3s'' ''754d6c00800'' ''w0000''');
INSERT INTO public.docstore_document VALUES (4, 'empty', NULL, 1, true, '', NULL, 'empty', 'application/octet-stream', 'other', 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'pending', NULL, 0, '{"big":4611686018427387904,"float":1e+16}', NULL, NULL, NULL, 1796095683249748, 1796095683249748, 1796095683249748, NULL, NULL, 1, '5c/63/5c634cb25843415e868f6b9849205158', '64e33691d8274a96036946929f5d2dc0', NULL, NULL, NULL, 'empty', NULL, '{"big": 4611686018427387904, "float": 10000000000000000}', NULL, '''1ed5bc3d000'' ''e2d18c341c3'' ''w0000''');
INSERT INTO public.docstore_document VALUES (5, 'bare', NULL, 1, true, 'u', NULL, '../bare', 'application/octet-stream', 'other', 5, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'pending', NULL, 0, '{}', NULL, NULL, NULL, 1796095683257688, 1796095683257688, 1796095683257688, NULL, NULL, 1, NULL, '73b708a051c3dcb96b0f7cc6f50b9bed', NULL, NULL, NULL, '../bare', NULL, '{}', NULL, '''w0000''');
INSERT INTO public.docstore_document VALUES (6, 'failed', NULL, 1, true, '', NULL, 'failed.pdf', 'application/pdf', 'pdf', NULL, NULL, 'failed', 'no text', 0, '{}', NULL, NULL, NULL, 1796095683265752, 1796095683274047, 1796095683265752, NULL, NULL, 2, NULL, 'dac895157e19753db75dcd1cdde239bd', NULL, NULL, NULL, 'failed.pdf', NULL, '{}', NULL, '''w0000''');
INSERT INTO public.docstore_document VALUES (7, 'claimed', NULL, 1, true, '', NULL, 'claimed', 'application/octet-stream', 'other', NULL, NULL, 'processing', NULL, 1, '{}', NULL, NULL, NULL, 1796095683275160, 1796095683281814, 1796095683275160, NULL, NULL, 2, NULL, 'c4dc51449faa9771c3e87884a5f1f335', '1243a5267ced97f614eecbc3dbffa910', 'w', 1796095684281814, 'claimed', NULL, '{}', NULL, '''w0000''');



INSERT INTO public.docstore_extraction VALUES (1, 'e', 'chain-1', 'Chain.TXT', 't', 'o', 'completed', NULL, '{"total":1.0}', true, true, 1767960000000009, 'ann', '{"total":2}', '{"total":50.0}', '{"total":true}', '{}', 1796095683310378, 1796095683314068, 2, '2f8deb5033dd33075f37fd8cc3e43f4e', 'chain.txt', NULL, '{"total": 1.0}', NULL, '{"total": 2}', NULL, '{"total": 50.0}', NULL, '{"total": true}', NULL, '{}', NULL, '''w0000''');



INSERT INTO public.docstore_setting VALUES ('format', '3');
INSERT INTO public.docstore_setting VALUES ('store_id', '00f7ebc86e104fd4af4283f99473a3a5');
INSERT INTO public.docstore_setting VALUES ('search_marks', '0');
INSERT INTO public.docstore_setting VALUES ('place/346161068', '/work/wt/lead2/tests/formats/postgres-3-files');



INSERT INTO public.docstore_tally VALUES ('', '', true, 'failed', 1);
INSERT INTO public.docstore_tally VALUES ('', '', true, 'pending', 1);
INSERT INTO public.docstore_tally VALUES ('', '', true, 'processing', 1);
INSERT INTO public.docstore_tally VALUES ('t', 'o', false, 'completed', 2);
INSERT INTO public.docstore_tally VALUES ('t', 'o', true, 'completed', 1);
INSERT INTO public.docstore_tally VALUES ('u', '', true, 'pending', 1);






SELECT pg_catalog.setval('public.docstore_clock', 1, false);



SELECT pg_catalog.setval('public.docstore_clock_wall', 1, false);



SELECT pg_catalog.setval('public.docstore_document_number_seq', 7, true);



SELECT pg_catalog.setval('public.docstore_extraction_number_seq', 1, true);



SELECT pg_catalog.setval('public.docstore_usual_number_seq', 1, false);



ALTER TABLE ONLY public.docstore_blob
    ADD CONSTRAINT docstore_blob_pkey PRIMARY KEY (tenant, key);



ALTER TABLE ONLY public.docstore_content
    ADD CONSTRAINT docstore_content_pkey PRIMARY KEY (number, tenant);



ALTER TABLE ONLY public.docstore_document
    ADD CONSTRAINT docstore_document_id UNIQUE (id, tenant);



ALTER TABLE ONLY public.docstore_document
    ADD CONSTRAINT docstore_document_pkey PRIMARY KEY (number, tenant);



ALTER TABLE ONLY public.docstore_extraction
    ADD CONSTRAINT docstore_extraction_id UNIQUE (id, tenant);



ALTER TABLE ONLY public.docstore_extraction
    ADD CONSTRAINT docstore_extraction_pkey PRIMARY KEY (number, tenant);



ALTER TABLE ONLY public.docstore_setting
    ADD CONSTRAINT docstore_setting_pkey PRIMARY KEY (name);



ALTER TABLE ONLY public.docstore_usual
    ADD CONSTRAINT docstore_usual_pkey PRIMARY KEY (number, tenant);



CREATE INDEX docstore_blob_key ON public.docstore_blob USING btree (key);



CREATE INDEX docstore_blob_state ON public.docstore_blob USING btree (state, key) WHERE (state <> 'live'::text);



CREATE INDEX docstore_content_terms ON public.docstore_content USING gin (public.docstore_terms(words)) WITH (gin_pending_list_limit='512');



CREATE INDEX docstore_document_created ON public.docstore_document USING btree (created_at, number);



CREATE INDEX docstore_document_expires ON public.docstore_document USING btree (expires_at) WHERE (expires_at IS NOT NULL);



CREATE UNIQUE INDEX docstore_document_latest ON public.docstore_document USING btree (tenant, external_id, COALESCE(owner, ''::text)) WHERE ((external_id IS NOT NULL) AND is_latest);



CREATE INDEX docstore_document_lease ON public.docstore_document USING btree (lease_expires_at) WHERE (lease_expires_at IS NOT NULL);



CREATE INDEX docstore_document_metadata ON public.docstore_document USING gin (metadata_json jsonb_path_ops) WITH (gin_pending_list_limit='64');



CREATE INDEX docstore_document_names ON public.docstore_document USING gin (filename_fold public.gin_trgm_ops) WITH (gin_pending_list_limit='512');



CREATE INDEX docstore_document_of_tenant ON public.docstore_document USING btree (tenant, number) WHERE (tenant <> ''::text);



CREATE INDEX docstore_document_owner ON public.docstore_document USING btree (owner, created_at, number) INCLUDE (tenant, status, is_latest) WHERE (owner IS NOT NULL);



CREATE INDEX docstore_document_queue ON public.docstore_document USING btree (status, number) WHERE (status >= 'p'::text);



CREATE INDEX docstore_document_searched ON public.docstore_document USING gin (filename_search public.gin_trgm_ops) WITH (gin_pending_list_limit='512') WHERE (filename_search IS NOT NULL);



CREATE INDEX docstore_document_sha256 ON public.docstore_document USING btree (sha256) WHERE (sha256 IS NOT NULL);



CREATE INDEX docstore_document_tenant ON public.docstore_document USING btree (tenant, created_at, number) INCLUDE (owner, status, is_latest) WHERE (tenant <> ''::text);



CREATE INDEX docstore_document_tenant_queue ON public.docstore_document USING btree (tenant, status, number) WHERE ((status >= 'p'::text) AND (tenant <> ''::text));



CREATE UNIQUE INDEX docstore_document_version ON public.docstore_document USING btree (tenant, external_id, COALESCE(owner, ''::text), version) WHERE (external_id IS NOT NULL);



CREATE INDEX docstore_document_words ON public.docstore_document USING gin (metadata_words) WITH (gin_pending_list_limit='512');



CREATE INDEX docstore_extraction_created ON public.docstore_extraction USING btree (created_at, number);



CREATE INDEX docstore_extraction_of ON public.docstore_extraction USING btree (tenant, document_id);



CREATE INDEX docstore_extraction_of_tenant ON public.docstore_extraction USING btree (tenant, number) WHERE (tenant <> ''::text);



CREATE INDEX docstore_extraction_words ON public.docstore_extraction USING gin (metadata_words) WITH (gin_pending_list_limit='512');



CREATE INDEX docstore_tally_key ON public.docstore_tally USING btree (tenant, owner, is_latest, status);



ALTER TABLE ONLY public.docstore_content
    ADD CONSTRAINT docstore_content_document FOREIGN KEY (tenant, number) REFERENCES public.docstore_document(tenant, number) ON DELETE CASCADE;



ALTER TABLE ONLY public.docstore_extraction
    ADD CONSTRAINT docstore_extraction_document FOREIGN KEY (tenant, document_id) REFERENCES public.docstore_document(tenant, id) ON DELETE CASCADE;




