-- name: restock_wish
INSERT INTO wish (product_id, quantity)
SELECT id, 100 FROM product WHERE stock < 10
    ON CONFLICT (product_id) DO NOTHING;
