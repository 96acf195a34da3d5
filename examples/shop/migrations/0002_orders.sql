-- An order that is not placed after all queues nothing. Parcels of one customer are packed one after the other: their key is the customer.
CREATE FUNCTION order_placed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM millrace.enqueue('order_receipt', jsonb_build_object('orderId', NEW.id)),
            millrace.enqueue('order_pack', jsonb_build_object('orderId', NEW.id), key => NEW.user_id::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER order_placed AFTER INSERT ON purchase FOR EACH ROW EXECUTE FUNCTION order_placed();
