-- Statements of what the jobs `aggregate` and `report` have made.

-- name: task_stats
-- Every day of the span, also those on which nothing happened. What is overdue today is counted now; the job counts days
-- that are over.
SELECT k.n,
       CASE WHEN days.span < 0 OR days.span > 366 THEN 400 WHEN u.id IS NULL THEN 401 END AS "$status",
       CASE WHEN days.span < 0 OR days.span > 366 THEN 'from' END AS "$field",
       CASE WHEN days.span < 0 THEN 'must not be after `to`' WHEN days.span > 366 THEN 'must be at most 366 days before `to`' END AS "$message",
       to_char(d.day, 'YYYY-MM-DD') AS date,
       coalesce(s.created, 0) AS created,
       coalesce(s.completed, 0) AS completed,
       CASE WHEN d.day < utc_day(now()) THEN coalesce(s.due - s.in_time, 0)
            WHEN d.day = utc_day(now())
            THEN (SELECT count(*)
                    FROM task t
                   WHERE t.user_id = k.user_id
                     AND coalesce(t.due_at, 'infinity'::timestamptz) >= d.day AT TIME ZONE 'UTC'
                     AND coalesce(t.due_at, 'infinity'::timestamptz) < now()
                     AND coalesce(t.completed_at, 'infinity') > t.due_at)
            WHEN d.day IS NOT NULL THEN 0 END AS overdue
  FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS k (user_id, from_at, to_at, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
 CROSS JOIN LATERAL (SELECT utc_day(coalesce(k.from_at, coalesce(k.to_at, now()) - interval '29 days')) AS first,
                            utc_day(coalesce(k.to_at, now())) - utc_day(coalesce(k.from_at, coalesce(k.to_at, now()) - interval '29 days'))
                            AS span) days
  LEFT JOIN LATERAL (SELECT days.first + i AS day
                       -- Bounded before it is made: a condition would be asked of each of four million days.
                       FROM generate_series(0, CASE WHEN u.id IS NOT NULL AND days.span <= 366 THEN days.span ELSE -1 END) i) d ON true
  LEFT JOIN task_stat s ON s.user_id = k.user_id AND s.day = d.day
 ORDER BY k.n, d.day;

-- part: report
r.id, r.period_from AS "period.from", r.period_to AS "period.to", r.created_at AS "createdAt", r.figures

-- name: report_list
SELECT k.n, CASE WHEN u.id IS NULL THEN 401 END AS "$status", {{report}}
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (SELECT * FROM report WHERE report.user_id = u.id ORDER BY report.period_from DESC LIMIT 520) r ON true
 ORDER BY k.n, r.period_from DESC;

-- name: report_get
SELECT k.n, CASE WHEN u.id IS NULL THEN 401 WHEN r.id IS NULL THEN 404 END AS "$status", {{report}}
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (report_id, user_id, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN report r ON r.id = k.report_id AND r.user_id = u.id;
