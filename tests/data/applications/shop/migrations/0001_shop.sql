CREATE TABLE category (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    code text NOT NULL UNIQUE,
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON category (label, id);

CREATE TABLE product (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    price numeric(7, 2) NOT NULL CHECK (price >= 0),
    stock integer NOT NULL DEFAULT 0 CHECK (stock >= 0),
    tags text[] NOT NULL DEFAULT '{}',
    released date,
    details jsonb,
    category_code text NOT NULL REFERENCES category (code),
    sold_out boolean GENERATED ALWAYS AS (stock = 0) STORED,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON product (name, id);
CREATE INDEX ON product (price, id);
CREATE INDEX ON product (created_at, id);
CREATE INDEX ON product (category_code, id);
CREATE INDEX ON product (released, id);
CREATE INDEX ON product USING gin ((
    to_tsvector('simple', translate(coalesce(name, ''), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))
    || to_tsvector('simple', coalesce(details, '{}'))));

CREATE TABLE basket (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL REFERENCES millrace.app_user ON DELETE CASCADE,
    product_id uuid NOT NULL REFERENCES product,
    quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON basket (user_id, created_at, id);

CREATE TABLE purchase (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL REFERENCES millrace.app_user ON DELETE CASCADE,
    total numeric(12, 2) NOT NULL,
    note text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON purchase (user_id, created_at, id);

CREATE TABLE purchase_line (
    purchase_id uuid NOT NULL REFERENCES purchase ON DELETE CASCADE,
    product_id uuid NOT NULL REFERENCES product,
    quantity integer NOT NULL,
    price numeric(7, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (purchase_id, product_id)
);

CREATE INDEX ON purchase_line (product_id, created_at);

-- Turns a row of the basket into an order, or says what is in the way.
CREATE FUNCTION place_order(caller uuid, basket uuid, remark text)
RETURNS SETOF purchase
LANGUAGE plpgsql AS $$
DECLARE
    wanted basket%ROWTYPE;
    sold product%ROWTYPE;
    placed purchase%ROWTYPE;
BEGIN
    DELETE FROM basket b WHERE b.id = basket AND b.user_id = caller RETURNING * INTO wanted;
    IF NOT FOUND THEN
        RAISE SQLSTATE 'MR404' USING MESSAGE = 'there is no such basket', COLUMN = 'basketId';
    END IF;
    UPDATE product p SET stock = p.stock - wanted.quantity
     WHERE p.id = wanted.product_id AND p.stock >= wanted.quantity RETURNING * INTO sold;
    IF NOT FOUND THEN
        RAISE SQLSTATE 'MR409' USING MESSAGE = 'out of stock', COLUMN = 'basketId';
    END IF;
    INSERT INTO purchase (id, user_id, total, note)
    VALUES (gen_random_uuid(), caller, wanted.quantity * sold.price, remark) RETURNING * INTO placed;
    INSERT INTO purchase_line (purchase_id, product_id, quantity, price)
    VALUES (placed.id, wanted.product_id, wanted.quantity, sold.price);
    RETURN NEXT placed;
END
$$;

CREATE FUNCTION cancel_order(caller uuid, wanted uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE product p SET stock = p.stock + l.quantity
      FROM purchase_line l JOIN purchase o ON o.id = l.purchase_id
     WHERE o.id = wanted AND o.user_id = caller AND p.id = l.product_id;
    DELETE FROM purchase o WHERE o.id = wanted AND o.user_id = caller;
    IF NOT FOUND THEN
        RAISE SQLSTATE 'MR404' USING MESSAGE = 'there is no such order', COLUMN = 'orderId';
    END IF;
END
$$;
