-- Statements of the auth actor.

-- name: register
-- The sixth parameter, the password, arrives empty: the actor has replaced it by its hash, the seventh.
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
           WITH ORDINALITY AS k (id, first_name, last_name, email, username, password, password_hash, n)
), made AS (
    INSERT INTO app_user (id, first_name, last_name, email, username, password_hash)
    SELECT k.id, k.first_name, k.last_name, k.email, k.username, k.password_hash
      FROM k
        ON CONFLICT DO NOTHING
    RETURNING *
)
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 409 END AS "$status",
       CASE WHEN u.id IS NULL THEN 'username' END AS "$field",
       {{user}}
  FROM k
  -- A run after a lost connection finds the row of the first.
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = k.id
                     UNION ALL
                     SELECT * FROM app_user WHERE app_user.id = k.id) u ON true
 -- A name whose row is neither made here nor seen was taken this moment, perhaps by a first run of the same message:
 -- left unanswered, it is asked for once more.
 WHERE u.id IS NOT NULL OR EXISTS (SELECT FROM app_user WHERE lower(app_user.username) = lower(k.username));

-- name: sign_in__find
SELECT k.n, u.id, u.username, u.role, u.password_hash
  FROM unnest($1::text[]) WITH ORDINALITY AS k (username, n)
  JOIN app_user u ON lower(u.username) = lower(k.username);

-- name: sign_in__grant
-- The token's hash travels in hexadecimal.
INSERT INTO refresh_token (id, family_id, user_id, token_hash, expires_at)
SELECT k.id, k.id, k.user_id, decode(k.token_hash, 'hex'), k.expires_at
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS k (id, user_id, token_hash, expires_at)
  JOIN app_user u ON u.id = k.user_id;
