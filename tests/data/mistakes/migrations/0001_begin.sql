CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]+$');

CREATE TABLE gadget (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON gadget (name, id);

CREATE VIEW overview AS SELECT * FROM gadget;

CREATE TABLE bare (name text);

CREATE TABLE odd (
    id bigint NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamptz
);

CREATE TABLE belonging (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL,
    holder_id uuid NOT NULL REFERENCES millrace.app_user,
    keeper text NOT NULL,
    title text NOT NULL,
    serial text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE product (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    sku varchar(16) NOT NULL,
    name text NOT NULL,
    stock integer NOT NULL DEFAULT 0,
    price numeric(7, 2) NOT NULL,
    rating real,
    labels text,
    feeling mood,
    code code,
    note text NOT NULL DEFAULT '',
    origin text NOT NULL,
    doubled integer GENERATED ALWAYS AS (stock * 2) STORED,
    gadget_name text,
    gadget_id uuid REFERENCES gadget,
    weight numeric NOT NULL,
    released date,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON product (name);
CREATE INDEX ON product (released) WHERE released > '2020-01-01';
CREATE UNIQUE INDEX ON product (sku) WHERE stock > 0;
