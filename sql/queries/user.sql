-- Statements of users. What is {{missing}} is 404 to its owner, and 401 when the owner is gone as well: asked only then,
-- so that it costs those nothing who find what they ask for.

-- part: user
u.id, u.id AS "sub", u.first_name AS "firstName", u.last_name AS "lastName", u.email, u.username,
       u.created_at AS "createdAt", u.updated_at AS "updatedAt"

-- part: missing
CASE WHEN EXISTS (SELECT FROM app_user WHERE app_user.id = k.user_id) THEN 404 ELSE 401 END

-- name: profile_get
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       {{user}}
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
  LEFT JOIN app_user u ON u.id = k.user_id;

-- name: profile_update
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
           WITH ORDINALITY AS k (user_id, first_name, last_name, email, n)
), locked AS (
    SELECT u.id FROM app_user u JOIN k ON u.id = k.user_id ORDER BY u.id FOR NO KEY UPDATE OF u
), changed AS (
    UPDATE app_user u
       SET first_name = coalesce(k.first_name, u.first_name),
           last_name  = coalesce(k.last_name, u.last_name),
           email      = coalesce(k.email, u.email),
           updated_at = now()
      FROM locked
      JOIN k ON k.user_id = locked.id
     WHERE u.id = locked.id
    RETURNING u.*
)
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       {{user}}
  FROM k
  LEFT JOIN changed u ON u.id = k.user_id;

-- name: profile_delete
-- Tasks, runs, sessions and tokens go with the user. What others lock is locked first, in their order: an import holds its
-- run and then the user whose tasks it makes; sessions come behind the users. What goes by itself goes in no order at all.
WITH k AS (
    SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
), runs AS (
    SELECT r.id FROM job_run r JOIN k ON r.owner = k.user_id ORDER BY r.id FOR UPDATE OF r
), locked AS (
    SELECT u.id
      FROM app_user u
      JOIN (SELECT DISTINCT user_id FROM k) d ON u.id = d.user_id
     WHERE (SELECT count(*) FROM runs) >= 0
     ORDER BY u.id
       FOR UPDATE OF u
), sessions AS (
    SELECT s.id FROM session s JOIN locked ON s.user_id = locked.id ORDER BY s.id FOR UPDATE OF s
), gone AS (
    DELETE FROM app_user u
     USING locked
     WHERE u.id = locked.id AND (SELECT count(*) FROM sessions) >= 0
    RETURNING u.id
)
SELECT k.n, CASE WHEN gone.id IS NULL THEN 401 END AS "$status"
  FROM k
  LEFT JOIN gone ON gone.id = k.user_id;
