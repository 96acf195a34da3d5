CREATE TABLE supply (
    product_id uuid PRIMARY KEY REFERENCES product,
    quantity integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
