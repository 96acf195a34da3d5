-- name: db_ping
SELECT k.n FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, n);
