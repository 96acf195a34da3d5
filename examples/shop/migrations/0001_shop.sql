CREATE TABLE category (
    id         uuid        PRIMARY KEY,
    version    bigint      NOT NULL DEFAULT 1,
    code       text        NOT NULL UNIQUE,
    label      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON category (label, id);

CREATE TABLE product (
    id            uuid          PRIMARY KEY,
    version       bigint        NOT NULL DEFAULT 1,
    sku           text          NOT NULL UNIQUE,
    name          text          NOT NULL,
    price         numeric(7, 2) NOT NULL CHECK (price >= 0),
    stock         integer       NOT NULL DEFAULT 0 CHECK (stock >= 0),
    tags          text[]        NOT NULL DEFAULT '{}',
    category_code text          NOT NULL REFERENCES category (code),
    sold_out      boolean       GENERATED ALWAYS AS (stock = 0) STORED,
    created_at    timestamptz   NOT NULL DEFAULT now(),
    updated_at    timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON product (name, id);
CREATE INDEX ON product (price, id);
CREATE INDEX ON product (created_at, id);
CREATE INDEX ON product (category_code, id);
-- What q searches, as `millrace check` asks for it.
CREATE INDEX ON product USING gin ((to_tsvector('simple', translate(coalesce("name", '') || ' ' || coalesce("sku", ''), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))));

CREATE TABLE basket_item (
    id         uuid        PRIMARY KEY,
    version    bigint      NOT NULL DEFAULT 1,
    user_id    uuid        NOT NULL REFERENCES millrace.account,
    product_id uuid        NOT NULL REFERENCES product,
    quantity   integer     NOT NULL DEFAULT 1 CHECK (quantity > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON basket_item (user_id, created_at, id);
CREATE INDEX ON basket_item (product_id);

-- "order" is a word of SQL.
CREATE TABLE purchase (
    id         uuid           PRIMARY KEY,
    version    bigint         NOT NULL DEFAULT 1,
    user_id    uuid           NOT NULL REFERENCES millrace.account,
    total      numeric(12, 2) NOT NULL,
    note       text,
    created_at timestamptz    NOT NULL DEFAULT now(),
    updated_at timestamptz    NOT NULL DEFAULT now()
);
CREATE INDEX ON purchase (user_id, created_at, id);

CREATE TABLE order_line (
    id          uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    version     bigint        NOT NULL DEFAULT 1,
    purchase_id uuid          NOT NULL REFERENCES purchase ON DELETE CASCADE,
    product_id  uuid          NOT NULL REFERENCES product,
    quantity    integer       NOT NULL,
    price       numeric(7, 2) NOT NULL,
    created_at  timestamptz   NOT NULL DEFAULT now(),
    updated_at  timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON order_line (purchase_id, id);
CREATE INDEX ON order_line (product_id, created_at);

CREATE TABLE wish (
    product_id uuid        PRIMARY KEY REFERENCES product ON DELETE CASCADE,
    quantity   integer     NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Makes an order of all that is in the caller's basket, or says what is in the way. Products are locked in the order of their ids,
-- so that two orders never wait for each other.
CREATE FUNCTION place_order(caller uuid, new_id uuid, remark text) RETURNS SETOF purchase LANGUAGE plpgsql AS $$
DECLARE
    item record;
    placed purchase%ROWTYPE;
BEGIN
    INSERT INTO purchase (id, user_id, total, note) VALUES (new_id, caller, 0, remark);
    FOR item IN
        SELECT b.id, b.quantity, p.id AS product_id, p.name, p.stock, p.price
          FROM basket_item b JOIN product p ON p.id = b.product_id
         WHERE b.user_id = caller
         ORDER BY p.id, b.id
           FOR UPDATE OF b, p
    LOOP
        UPDATE product SET stock = stock - item.quantity, version = version + 1, updated_at = now()
         WHERE id = item.product_id AND stock >= item.quantity;
        IF NOT FOUND THEN
            RAISE SQLSTATE 'MR409' USING MESSAGE = format('%s: only %s left', item.name, item.stock), COLUMN = 'quantity';
        END IF;
        DELETE FROM basket_item WHERE id = item.id;
        INSERT INTO order_line (purchase_id, product_id, quantity, price)
        VALUES (new_id, item.product_id, item.quantity, item.price);
    END LOOP;
    UPDATE purchase SET total = (SELECT sum(quantity * price) FROM order_line WHERE purchase_id = new_id)
     WHERE id = new_id AND EXISTS (SELECT FROM order_line WHERE purchase_id = new_id)
    RETURNING * INTO placed;
    IF NOT FOUND THEN
        RAISE SQLSTATE 'MR409' USING MESSAGE = 'the basket is empty';
    END IF;
    RETURN NEXT placed;
END
$$;
