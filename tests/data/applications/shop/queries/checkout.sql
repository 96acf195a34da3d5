-- What is not standard in this shop.

-- name: order_place
SELECT * FROM place_order(:caller, :basketId, :note);

-- name: order_cancel
SELECT cancel_order(:caller, :orderId);

-- name: product_sales
SELECT coalesce(sum(l.quantity), 0) AS sold, coalesce(sum(l.quantity * l.price), 0) AS revenue
  FROM purchase_line l
 WHERE l.product_id = :productId AND (:since IS NULL OR l.created_at >= :since);
