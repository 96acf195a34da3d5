-- name: restock_order
INSERT INTO supply (product_id, quantity)
SELECT id, 100 FROM product WHERE stock < 10
ON CONFLICT DO NOTHING;

-- name: restock_clear
DELETE FROM supply WHERE created_at < now() - interval '90 days';
