-- name: report__users
-- The week before the tick, from Monday 0:00 of the zone that the tick follows, too; a run that was started by hand reports the
-- present one so far. A report that is there already is made anew.
--
-- A chunk takes some users, and of each as many tasks as it may; or, of one user with more than that, the next so many. The cursor is
-- the last user who is done; or a user, the last task that was counted of theirs, and the sums so far.
WITH {{chunk}}, zoned AS (
    SELECT k.*, k.settings ->> 'SCHEDULE_TIMEZONE' AS zone FROM k
), period AS (
    SELECT k.most, k.skip, nullif(split_part(k.cursor, '/', 1), '')::uuid AS user_id, split_part(k.cursor, '/', 2) <> '' AS is_inside,
           nullif(split_part(k.cursor, '/', 2), '')::timestamptz AS at, nullif(split_part(k.cursor, '/', 3), '')::uuid AS id,
           nullif(split_part(k.cursor, '/', 4), '')::jsonb AS sums,
           (date_trunc('week', coalesce(k.scheduled_for, now()) AT TIME ZONE k.zone)
            - CASE WHEN k.scheduled_for IS NULL THEN interval '0' ELSE interval '7 days' END) AT TIME ZONE k.zone AS from_at,
           CASE WHEN k.scheduled_for IS NULL THEN now()
                ELSE date_trunc('week', k.scheduled_for AT TIME ZONE k.zone) AT TIME ZONE k.zone END AS to_at
      FROM zoned k
), users AS (
    SELECT u.id
      FROM period p
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u JOIN millrace.account a ON a.id = u.id
                          WHERE p.is_inside IS NOT TRUE AND u.id > coalesce(p.user_id, '00000000-0000-0000-0000-000000000000'::uuid)
                          ORDER BY u.id LIMIT greatest(p.most / 50, 1) FOR KEY SHARE OF a) u
), inside AS (
    SELECT u.id
      FROM period p
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u JOIN millrace.account a ON a.id = u.id WHERE p.is_inside AND u.id = p.user_id
                            FOR KEY SHARE OF a) u
), seen AS (
    SELECT t.*
      FROM period p
     CROSS JOIN users u
     CROSS JOIN LATERAL (SELECT t.user_id, t.priority_code AS code, (t.created_at >= p.from_at)::int AS created,
       coalesce(t.completed_at >= p.from_at AND t.completed_at < p.to_at, false)::int AS completed,
       (t.completed_at IS NULL OR t.completed_at >= p.to_at)::int AS open,
       coalesce((t.completed_at IS NULL OR t.completed_at >= p.to_at) AND t.due_at < p.to_at, false)::int AS overdue
                           FROM task t
                          WHERE NOT p.skip AND t.user_id = u.id AND t.created_at < p.to_at
                          ORDER BY t.created_at DESC, t.id DESC
                          LIMIT p.most + 1) t
), pieces AS (
    SELECT t.*
      FROM period p
     CROSS JOIN inside u
     CROSS JOIN LATERAL (SELECT t.user_id, t.priority_code AS code, (t.created_at >= p.from_at)::int AS created,
       coalesce(t.completed_at >= p.from_at AND t.completed_at < p.to_at, false)::int AS completed,
       (t.completed_at IS NULL OR t.completed_at >= p.to_at)::int AS open,
       coalesce((t.completed_at IS NULL OR t.completed_at >= p.to_at) AND t.due_at < p.to_at, false)::int AS overdue, t.created_at, t.id
                           FROM task t
                          WHERE NOT p.skip AND t.user_id = u.id AND (t.created_at, t.id) < (p.at, p.id)
                          ORDER BY t.created_at DESC, t.id DESC
                          LIMIT p.most) t
), large AS (
    SELECT s.user_id AS id FROM seen s CROSS JOIN period p GROUP BY s.user_id, p.most HAVING count(*) > p.most ORDER BY s.user_id LIMIT 1
), finished AS (
    SELECT u.id FROM users u WHERE NOT (SELECT k.skip FROM k) AND NOT EXISTS (SELECT FROM large WHERE u.id >= large.id)
     UNION ALL
    SELECT u.id FROM inside u CROSS JOIN period p WHERE NOT p.skip AND (SELECT count(*) FROM pieces) < p.most
), summed AS (
    SELECT x.user_id, x.code, sum(x.created) AS created, sum(x.completed) AS completed, sum(x.open) AS open, sum(x.overdue) AS overdue
      FROM (SELECT s.user_id, s.code, s.created, s.completed, s.open, s.overdue FROM seen s
             UNION ALL
            SELECT s.user_id, s.code, s.created, s.completed, s.open, s.overdue FROM pieces s
             UNION ALL
            SELECT u.id, b.key, (b.value ->> 0)::bigint, (b.value ->> 1)::bigint, (b.value ->> 2)::bigint, (b.value ->> 3)::bigint
              FROM inside u CROSS JOIN period p CROSS JOIN LATERAL jsonb_each(p.sums) b) x
     GROUP BY x.user_id, x.code
), counted AS (
    SELECT f.id AS user_id, c.code, coalesce(s.created, 0) AS created, coalesce(s.completed, 0) AS completed,
           coalesce(s.open, 0) AS open, coalesce(s.overdue, 0) AS overdue
      FROM finished f
     CROSS JOIN task_priority c
      LEFT JOIN summed s ON s.user_id = f.id AND s.code = c.code
     ORDER BY f.id, c.ordinal, c.code
), made AS (
    INSERT INTO report AS r (user_id, period_from, period_to, figures)
    SELECT c.user_id, p.from_at, p.to_at,
           jsonb_build_object('created', sum(c.created), 'completed', sum(c.completed), 'open', sum(c.open), 'overdue', sum(c.overdue),
                              'byPriority', jsonb_object_agg(c.code, jsonb_build_object(
                                  'created', c.created, 'completed', c.completed, 'open', c.open, 'overdue', c.overdue)))
      FROM counted c
     CROSS JOIN period p
     GROUP BY c.user_id, p.from_at, p.to_at
     ORDER BY c.user_id
        ON CONFLICT (user_id, period_from) DO UPDATE
       SET period_to = excluded.period_to, figures = excluded.figures, created_at = now()
     WHERE r.period_to <= excluded.period_to
    RETURNING r.id
)
SELECT (SELECT count(*) FROM finished) AS rows,
       CASE WHEN p.is_inside AND (SELECT count(*) FROM pieces) >= p.most
            THEN p.user_id || '/' || (SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '/' || id FROM pieces ORDER BY created_at, id LIMIT 1) || '/'
                 || (SELECT jsonb_object_agg(s.code, jsonb_build_array(s.created, s.completed, s.open, s.overdue)) FROM summed s)
            WHEN p.is_inside THEN p.user_id::text
            ELSE coalesce((SELECT large.id || '/' || to_char(p.to_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '/' || '00000000-0000-0000-0000-000000000000'::uuid || '/{}' FROM large),
                          (SELECT users.id::text FROM users ORDER BY users.id DESC LIMIT 1)) END AS cursor,
       p.is_inside IS TRUE OR EXISTS (SELECT FROM large) OR (SELECT count(*) FROM users) >= greatest(p.most / 50, 1) AS more,
       CASE WHEN p.skip AND p.is_inside THEN p.user_id::text WHEN p.skip THEN (SELECT users.id::text FROM users LIMIT 1) END AS unit
  FROM period p;
