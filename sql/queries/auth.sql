-- Statements of the auth actor.

-- name: register
-- The sixth parameter, the password, arrives empty: the actor has replaced it by its hash, the seventh. The last is what
-- the name is compared by. The index of release 7 on lower(username) may refuse a name as well.
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
           WITH ORDINALITY AS k (id, first_name, last_name, email, username, password, password_hash, username_folded, n)
), made AS (
    INSERT INTO millrace.app_user (id, first_name, last_name, email, username, password_hash, username_folded)
    SELECT k.id, k.first_name, k.last_name, k.email, k.username, k.password_hash, k.username_folded
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
                     SELECT * FROM millrace.app_user WHERE app_user.id = k.id) u ON true
 -- A name whose row is neither made here nor seen was taken this moment, perhaps by a first run of the same message:
 -- left unanswered, it is retried.
 WHERE u.id IS NOT NULL
    OR EXISTS (SELECT FROM millrace.app_user WHERE app_user.username_folded = k.username_folded)
    OR EXISTS (SELECT FROM millrace.app_user WHERE lower(app_user.username) = lower(k.username));

-- name: sign_in__find
-- The user of that very spelling, so that one whose name collides with an older one can sign in; else the one of that
-- folded name; else one that release 7 wrote, as release 7 would find them.
SELECT k.n, u.id, u.username, u.role, u.password_hash, u.password_version, (u.username_folded IS NULL)::int AS unfolded
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (username, username_folded, n)
 CROSS JOIN LATERAL (
    SELECT f.*
      FROM (SELECT * FROM millrace.app_user WHERE app_user.username_folded = k.username_folded
            UNION ALL
            SELECT * FROM millrace.app_user
             WHERE lower(app_user.username) = lower(k.username)
               AND (app_user.username = k.username OR app_user.username_folded IS NULL)) f
     ORDER BY (f.username = k.username) DESC, (f.username_folded IS NULL)
     LIMIT 1) u;

-- name: register__unfolded
-- The next users behind an id whose folded name is not stored.
SELECT u.id, u.username
  FROM millrace.app_user u
 WHERE u.id > ($1::uuid[])[1] AND u.username_folded IS NULL
 ORDER BY u.id
 LIMIT 500;

-- name: register__fold
-- Stores folded names where none is stored. Answers whose collide: with one that is stored, or with that of a user before
-- them here. A name without a folded form collides with none and is stored nowhere.
WITH k AS (
    SELECT * FROM unnest($1::uuid[], $2::text[]) AS k (id, username_folded)
), locked AS (
    SELECT u.id, u.username, k.username_folded
      FROM millrace.app_user u
      JOIN k ON k.id = u.id
     WHERE u.username_folded IS NULL AND k.username_folded IS NOT NULL
     ORDER BY u.id
       FOR NO KEY UPDATE OF u
), first AS (
    SELECT DISTINCT ON (username_folded) id, username_folded FROM locked ORDER BY username_folded, id
), stored AS (
    UPDATE millrace.app_user u
       SET username_folded = first.username_folded
      FROM first
     WHERE u.id = first.id
       AND NOT EXISTS (SELECT FROM millrace.app_user other WHERE other.username_folded = first.username_folded)
    RETURNING u.id
)
SELECT locked.id, locked.username FROM locked WHERE NOT EXISTS (SELECT FROM stored WHERE stored.id = locked.id);

-- name: sign_in__grant
-- The token's hash travels in hexadecimal. A user who is gone or has another password by now gets no row. The last
-- parameter is a better hash of the password that was checked, or NULL; it does not replace that of a new password.
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[])
           WITH ORDINALITY AS k (id, user_id, password_version, token_hash, expires_at, password_hash, n)
), outdated AS (
    SELECT u.id, u.password_version
      FROM millrace.app_user u
      JOIN (SELECT DISTINCT user_id FROM k WHERE password_hash IS NOT NULL) d ON u.id = d.user_id
     ORDER BY u.id
       FOR NO KEY UPDATE OF u
), rehashed AS (
    UPDATE millrace.app_user u
       SET password_hash = k.password_hash
      FROM outdated
      JOIN k ON k.user_id = outdated.id AND k.password_version = outdated.password_version
     WHERE u.id = outdated.id AND k.password_hash IS NOT NULL
), made AS (
    INSERT INTO millrace.session (id, user_id, password_version)
    SELECT k.id, u.id, u.password_version
      FROM k
      JOIN millrace.app_user u ON u.id = k.user_id AND u.password_version = k.password_version
     ORDER BY u.id
    RETURNING id
), kept AS (
    INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)
    SELECT k.id, made.id, decode(k.token_hash, 'hex'), k.expires_at
      FROM k
      JOIN made ON made.id = k.id
    RETURNING id
)
SELECT k.n FROM k JOIN kept ON kept.id = k.id;

-- name: refresh__rotate
-- The session is locked before any of its tokens is touched, sessions in the order of their ids. What a token is worth:
--   live   it is spent now, for the id of the message
--   own    it was spent for this very id, by a first run of the same message, which is answered as then
--   grace  it was spent for another id, not longer ago than the grace, and its heir is live: the heir is handed out again
--   over   it expired unspent, or the password has changed since
--   reuse  somebody has a copy of it: the session ends
-- Heirs are made when their token is spent, so their created_at says when that was. It may lie ahead of now(), which is
-- older than the snapshot; without a grace that is a reuse all the same.
--
-- A live token that another transaction, or another message of this batch, spends first gets a row without an heir: run
-- the statement again, and its new snapshot shows what the token is worth.
WITH k AS (
    SELECT k.*, decode(k.old_hash, 'hex') AS hash, row_number() OVER (PARTITION BY k.old_hash ORDER BY k.n) AS turn
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[])
           WITH ORDINALITY AS k (old_hash, id, new_hash, expires_at, grace_ms, n)
), named AS (
    SELECT k.n, k.turn, k.id, k.new_hash, k.expires_at, t.id AS token_id, t.session_id, heir.id AS heir_id,
           encode(heir.token_hash, 'hex') AS heir_hash,
           CASE WHEN t.next_id = k.id THEN 'own'
                WHEN t.next_id IS NULL AND (t.expires_at <= now() OR u.password_version <> s.password_version) THEN 'over'
                WHEN t.next_id IS NULL THEN 'live'
                WHEN heir.next_id IS NULL AND heir.expires_at > now() AND u.password_version = s.password_version
                     AND k.grace_ms > 0 AND heir.created_at > now() - k.grace_ms * interval '1 ms' THEN 'grace'
                ELSE 'reuse'
           END AS worth
      FROM k
      JOIN millrace.refresh_token t ON t.token_hash = k.hash
      JOIN millrace.session s ON s.id = t.session_id
      JOIN millrace.app_user u ON u.id = s.user_id
      LEFT JOIN millrace.refresh_token heir ON heir.id = t.next_id
), locked AS (
    SELECT s.id, s.user_id
      FROM millrace.session s
      JOIN (SELECT DISTINCT session_id FROM named) d ON s.id = d.session_id
     ORDER BY s.id
       FOR UPDATE OF s
), spent AS (
    UPDATE millrace.refresh_token t
       SET next_id = named.id
      FROM named
      JOIN locked ON locked.id = named.session_id
     WHERE t.id = named.token_id AND t.next_id IS NULL AND named.turn = 1 AND named.worth = 'live'
    RETURNING named.n, named.id, named.session_id, named.new_hash, named.expires_at
), reused AS (
    SELECT named.session_id, min(named.n) AS n
      FROM named
      JOIN locked ON locked.id = named.session_id
     WHERE named.worth = 'reuse'
     GROUP BY named.session_id
), ended AS (
    DELETE FROM millrace.session s USING reused WHERE s.id = reused.session_id
), made AS (
    INSERT INTO millrace.refresh_token (id, session_id, token_hash, expires_at)
    SELECT spent.id, spent.session_id, decode(spent.new_hash, 'hex'), spent.expires_at
      FROM spent
     WHERE NOT EXISTS (SELECT FROM reused WHERE reused.session_id = spent.session_id)
)
SELECT k.n, u.id, u.username, u.role, locked.id AS session_id,
       COALESCE(spent.id, named.heir_id) AS heir_id, COALESCE(spent.new_hash, named.heir_hash) AS heir_hash
  FROM k
  JOIN named ON named.n = k.n
  JOIN locked ON locked.id = named.session_id
  JOIN millrace.app_user u ON u.id = locked.user_id
  LEFT JOIN spent ON spent.n = k.n
 WHERE named.worth IN ('live', 'own', 'grace')
   -- In the order of arrival: what came behind the reuse finds the session ended.
   AND NOT EXISTS (SELECT FROM reused WHERE reused.session_id = locked.id AND reused.n < k.n);

-- name: password_change__find
SELECT k.n, u.password_hash, u.password_version
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
  JOIN millrace.app_user u ON u.id = k.user_id;

-- name: password_change__store
-- Only over the password that was checked, and of several messages of one user only by the first: the others have
-- checked one that is no more. Users are locked before sessions, each in the order of their ids.
WITH k AS (
    SELECT k.*, row_number() OVER (PARTITION BY k.user_id ORDER BY k.n) AS turn
      FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (user_id, password_version, password_hash, n)
), locked AS (
    SELECT u.id, u.password_version
      FROM millrace.app_user u
      JOIN (SELECT DISTINCT user_id FROM k) d ON u.id = d.user_id
     ORDER BY u.id
       FOR NO KEY UPDATE OF u
), changed AS (
    UPDATE millrace.app_user u
       SET password_hash = k.password_hash, password_version = u.password_version + 1, updated_at = now()
      FROM locked
      JOIN k ON k.user_id = locked.id AND k.turn = 1
     WHERE u.id = locked.id AND u.password_version = k.password_version
    RETURNING u.id, k.n
), sessions AS (
    SELECT s.id FROM millrace.session s JOIN changed ON s.user_id = changed.id ORDER BY s.id FOR UPDATE OF s
), ended AS (
    DELETE FROM millrace.session s USING sessions WHERE s.id = sessions.id
)
SELECT n FROM changed;

-- name: sign_out
-- The session that the access token names, if it is the caller's, and all of the caller's when it names none; and the
-- session of the refresh token, live or not. The third parameter is the hash of that: the actor has replaced the token by
-- it. Nobody learns whether it was known.
WITH k AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k (user_id, session_id, token_hash, n)
), meant AS (
    SELECT s.id FROM k JOIN millrace.session s ON s.id = k.session_id AND s.user_id = k.user_id
     UNION
    SELECT s.id FROM k JOIN millrace.session s ON s.user_id = k.user_id AND k.session_id IS NULL
     UNION
    SELECT t.session_id FROM k JOIN millrace.refresh_token t ON t.token_hash = decode(k.token_hash, 'hex')
), locked AS (
    SELECT s.id FROM millrace.session s JOIN meant ON meant.id = s.id ORDER BY s.id FOR UPDATE OF s
), ended AS (
    DELETE FROM millrace.session s USING locked WHERE s.id = locked.id
)
SELECT k.n, CASE WHEN u.id IS NULL AND k.token_hash IS NULL THEN 401 END AS "$status"
  FROM k
  LEFT JOIN millrace.app_user u ON u.id = k.user_id;
