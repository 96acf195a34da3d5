-- Statements of users. Every statement of an operation that needs a token looks the caller up in app_user and answers 401 when
-- they are gone: what was theirs may still be there (the job `removal` deletes it in the background).

-- part: user
u.id, u.id AS "sub", u.first_name AS "firstName", u.last_name AS "lastName", u.email, u.username,
       u.created_at AS "createdAt", u.updated_at AS "updatedAt"

-- name: profile_get
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       {{user}}
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id;

-- name: profile_update
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
           WITH ORDINALITY AS k (user_id, first_name, last_name, email, n)
), locked AS (
    SELECT u.id FROM millrace.app_user u JOIN k ON u.id = k.user_id ORDER BY u.id FOR NO KEY UPDATE OF u
), changed AS (
    UPDATE millrace.app_user u
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
-- From here on the user is nobody. A trigger closes their account and queues the run that deletes what belongs to it.
WITH k AS (
    SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
), locked AS (
    SELECT u.id
      FROM millrace.app_user u
      JOIN (SELECT DISTINCT user_id FROM k) d ON u.id = d.user_id
     ORDER BY u.id
       FOR UPDATE OF u
), gone AS (
    DELETE FROM millrace.app_user u USING locked WHERE u.id = locked.id RETURNING u.id
)
SELECT k.n, CASE WHEN gone.id IS NULL THEN 401 END AS "$status"
  FROM k
  LEFT JOIN gone ON gone.id = k.user_id;
