-- name: task_stats
-- Every day of the span, also those on which nothing happened. What is overdue today is counted now; the job counts days
-- that are over.
SELECT CASE WHEN days.span < 0 OR days.span > 366 THEN 400 END AS "$status",
       CASE WHEN days.span < 0 OR days.span > 366 THEN 'from' END AS "$field",
       CASE WHEN days.span < 0 THEN 'must not be after `to`' WHEN days.span > 366 THEN 'must be at most 366 days before `to`' END AS "$message",
       d.day AS date,
       coalesce(s.created, 0) AS created,
       coalesce(s.completed, 0) AS completed,
       CASE WHEN d.day < utc_day(now()) THEN coalesce(s.due - s.in_time, 0)
            WHEN d.day = utc_day(now())
            THEN (SELECT count(*)
                    FROM task t
                   WHERE t.user_id = :caller
                     AND t.due_at >= d.day AT TIME ZONE 'UTC'
                     AND t.due_at < now()
                     AND coalesce(t.completed_at, 'infinity') > t.due_at)
            WHEN d.day IS NOT NULL THEN 0 END AS overdue
  FROM (SELECT utc_day(coalesce(:from, coalesce(:to, now()) - interval '29 days')) AS first,
               utc_day(coalesce(:to, now())) - utc_day(coalesce(:from, coalesce(:to, now()) - interval '29 days')) AS span) days
  LEFT JOIN LATERAL (SELECT days.first + i AS day
                       -- Bounded before it is made: a condition would be asked of each of four million days.
                       FROM generate_series(0, CASE WHEN days.span <= 366 THEN days.span ELSE -1 END) i) d ON true
  LEFT JOIN task_stat s ON s.user_id = :caller AND s.day = d.day
 ORDER BY d.day;
