-- What is special about this shop; resources/ says the rest.

-- name: order_place
SELECT * FROM place_order(:caller, :newId, :note);

-- name: order_lines
SELECT l.*
  FROM order_line l
  JOIN purchase o ON o.id = l.purchase_id
 WHERE o.id = :orderId AND o.user_id = :caller
 ORDER BY l.id;

-- name: product_sales
SELECT coalesce(sum(l.quantity), 0)::bigint AS sold, coalesce(sum(l.quantity * l.price), 0) AS revenue
  FROM order_line l
 WHERE l.product_id = :productId AND (:since IS NULL OR l.created_at >= :since);
