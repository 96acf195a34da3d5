-- Statements of users.

-- part: user
u.id, u.id AS "sub", u.first_name AS "firstName", u.last_name AS "lastName", u.email, u.username,
       u.created_at AS "createdAt", u.updated_at AS "updatedAt"

-- name: profile_get
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 END AS "$status",
       {{user}}
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
  LEFT JOIN app_user u ON u.id = k.user_id;
