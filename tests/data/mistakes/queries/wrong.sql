-- name: gadget_find

SELECT id, name, created_at, updated_at FROM gadget WHERE name = :name;

-- name: gadget_count
SELECT count(*) AS count, array_agg(name) AS nams, min(created_at)::date AS oldest FROM gadget;

-- name: gadget_names
WITH k AS ({{k}})
SELECT k."$n", g.name AS title, /* ü */ g.colour FROM k JOIN gadget g ON g.name = ANY (k."like");

-- name: gadget_broken
SELECT :age
  FRM gadget;

-- name: gadget_rename
UPDATE gadget SET name = name || :name, version = version + 1, changed_at = now() WHERE id = :id AND :name > 0;

-- name: sweep
DELETE FROM gadgets WHERE created_at < now() - interval '1 day';
