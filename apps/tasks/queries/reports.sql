-- name: report_list
SELECT r.id,
       jsonb_build_object('from', to_char(r.period_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                          'to', to_char(r.period_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS period,
       r.created_at AS "createdAt", r.figures
  FROM report r
 WHERE r.user_id = :caller
 ORDER BY r.period_from DESC
 LIMIT 520;

-- name: report_get
SELECT r.id,
       jsonb_build_object('from', to_char(r.period_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                          'to', to_char(r.period_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS period,
       r.created_at AS "createdAt", r.figures
  FROM report r
 WHERE r.id = :reportId AND r.user_id = :caller;
