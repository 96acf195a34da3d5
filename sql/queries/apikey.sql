-- Statements of API keys, and of the audit table, which the same statements write that change something.

-- name: api_key_create__store
-- By a user, who has to be there, or by the command line, which is whoever has the database's password.
-- The secret's hash travels in hexadecimal. A scope is known as it stands, or narrowed by one more word where the last parameter
-- has it with ":*" behind. A run after a lost connection finds the row of the first.
WITH k AS (
    SELECT k.*, u.id AS caller, u.id IS NOT NULL OR k.by = 'command' AS allowed, k.expires_at <= now() AS late,
           (SELECT string_agg(s.scope, ', ' ORDER BY s.scope)
              FROM unnest(k.scope_list::text[]) AS s (scope)
             WHERE s.scope !~ '^[a-z][a-z0-9_-]*(:[a-z][a-z0-9_-]*)+$'
                OR (s.scope <> ALL (k.known::text[]) AND regexp_replace(s.scope, '[^:]*$', '*') <> ALL (k.known::text[]))) AS unknown
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[])
           WITH ORDINALITY AS k (id, user_id, name, scope_list, expires_at, secret_hash, known, by, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), made AS (
    INSERT INTO millrace.api_key (id, name, secret_hash, scopes, created_by, expires_at)
    SELECT k.id, k.name, decode(k.secret_hash, 'hex'),
           ARRAY(SELECT DISTINCT s.scope FROM unnest(k.scope_list::text[]) AS s (scope) ORDER BY s.scope), k.caller, k.expires_at
      FROM k
     WHERE k.allowed AND k.unknown IS NULL AND k.late IS NOT TRUE
        ON CONFLICT (id) DO NOTHING
    RETURNING *
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject, detail)
    SELECT made.id, k.by, made.created_by, 'api_key_create', 'apiKey', made.id,
           jsonb_strip_nulls(jsonb_build_object('name', made.name, 'scopes', made.scopes, 'expiresAt', to_char(made.expires_at AT TIME ZONE 'UTC', {{instant}})))
      FROM made
      JOIN k ON k.id = made.id
)
SELECT k.n, (NOT k.allowed)::int AS nobody, k.unknown, k.late::int AS late,
       json_strip_nulls(json_build_object('id', a.id, 'name', a.name, 'scopes', a.scopes,
                                          'createdAt', to_char(a.created_at AT TIME ZONE 'UTC', {{instant}}),
                                          'expiresAt', to_char(a.expires_at AT TIME ZONE 'UTC', {{instant}})))::text AS told
  FROM k
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = k.id
                     UNION ALL
                     SELECT * FROM millrace.api_key WHERE api_key.id = k.id AND api_key.secret_hash = decode(k.secret_hash, 'hex')) a ON true;

-- name: key_verify__find
-- A use is noted at most once a minute, by whoever gets the key's row without waiting.
WITH k AS (
    SELECT * FROM unnest($1::bytea[]) WITH ORDINALITY AS k (hash, n)
), found AS (
    SELECT k.n, a.id, a.scopes, a.expires_at, a.last_used_at
      FROM k
      JOIN millrace.api_key a ON a.secret_hash = k.hash
     WHERE a.expires_at IS NULL OR a.expires_at > now()
), unnoted AS (
    SELECT a.id
      FROM millrace.api_key a
     WHERE a.id IN (SELECT f.id FROM found f WHERE coalesce(f.last_used_at, '-infinity') < now() - interval '1 minute')
     ORDER BY a.id
       FOR NO KEY UPDATE OF a SKIP LOCKED
), noted AS (
    UPDATE millrace.api_key a SET last_used_at = now() FROM unnoted WHERE a.id = unnoted.id
)
SELECT found.n, found.id, array_to_string(found.scopes, ' ') AS scopes,
       greatest(1, least(86400000, extract(epoch FROM found.expires_at - now()) * 1000))::bigint AS life
  FROM found;

-- part: api_key
a.id, a.name, a.scopes, a.created_at AS "createdAt", a.expires_at AS "expiresAt", a.created_by AS "createdBy",
       a.last_used_at AS "lastUsedAt"

-- name: api_key_list
-- One row more than asked for says that there is a rest.
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       CASE WHEN a.more THEN replace(a.id::text, '-', '') END AS "$next",
       {{api_key}}
  FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (user_id, max_rows, cursor, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (
      SELECT page.*, row_number() OVER (ORDER BY page.id DESC) AS place, lead(true) OVER (ORDER BY page.id DESC) AS more
        FROM (SELECT *
                FROM millrace.api_key
               WHERE u.id IS NOT NULL AND id < coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
               ORDER BY id DESC
               LIMIT k.max_rows + 1) page
  ) a ON a.place <= k.max_rows
 ORDER BY k.n, a.place;

-- name: api_key_get
SELECT k.n, CASE WHEN u.id IS NULL THEN 401 WHEN a.id IS NULL THEN 404 END AS "$status", {{api_key}}
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (user_id, key_id, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.api_key a ON a.id = k.key_id AND u.id IS NOT NULL;

-- name: api_key_delete
-- A trigger closes its account and queues the run that deletes what belongs to that.
WITH k AS (
    SELECT k.*, u.id AS caller
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS k (user_id, key_id, audit_id, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), locked AS (
    SELECT a.id FROM millrace.api_key a JOIN k ON a.id = k.key_id AND k.caller IS NOT NULL ORDER BY a.id FOR UPDATE OF a
), gone AS (
    DELETE FROM millrace.api_key a USING locked WHERE a.id = locked.id RETURNING a.id, a.name
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject, detail)
    SELECT k.audit_id, 'user', k.caller, 'api_key_delete', 'apiKey', gone.id, jsonb_build_object('name', gone.name)
      FROM gone
      JOIN k ON k.key_id = gone.id
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN gone.id IS NULL THEN 404 END AS "$status"
  FROM k
  LEFT JOIN gone ON gone.id = k.key_id;

-- name: audit_list
-- One row more than asked for says that there is a rest.
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       CASE WHEN a.more THEN replace(a.id::text, '-', '') END AS "$next",
       a.id, a.at, a.by, a.caller AS "callerId", coalesce(c.username, p.name) AS caller, a.operation,
       a.subject_type AS "subjectType", a.subject AS "subjectId", a.subject_name AS "subjectName", a.detail
  FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (user_id, max_rows, cursor, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (
      SELECT page.*, row_number() OVER (ORDER BY page.id DESC) AS place, lead(true) OVER (ORDER BY page.id DESC) AS more
        FROM (SELECT *
                FROM millrace.audit
               WHERE u.id IS NOT NULL AND id < coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
               ORDER BY id DESC
               LIMIT k.max_rows + 1) page
  ) a ON a.place <= k.max_rows
  LEFT JOIN millrace.app_user c ON c.id = a.caller AND a.by = 'user'
  LEFT JOIN millrace.api_key p ON p.id = a.caller AND a.by = 'key'
 ORDER BY k.n, a.place;
