CREATE TABLE shelf (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    code varchar(32) NOT NULL UNIQUE,
    label text NOT NULL,
    parent_code varchar(32) REFERENCES shelf (code),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- What only administrators see.
CREATE TABLE vault (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    code text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE book (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    isbn text NOT NULL UNIQUE,
    mark text UNIQUE,
    title text NOT NULL,
    copies integer NOT NULL CHECK (copies >= 0),
    note text,
    printed_at timestamptz,
    shelf_code varchar(32) NOT NULL REFERENCES shelf (code),
    vault_code text REFERENCES vault (code),
    is_out boolean GENERATED ALWAYS AS (copies = 0) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (title, copies)
);

CREATE FUNCTION book_tidied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.title := btrim(NEW.title);
    RETURN NEW;
END $$;

CREATE TRIGGER book_tidied BEFORE INSERT OR UPDATE ON book FOR EACH ROW EXECUTE FUNCTION book_tidied();

-- The owner's own: no two places of one user have the same name.
CREATE TABLE loan (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    book_id uuid NOT NULL REFERENCES book,
    place text NOT NULL,
    due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, place)
);

CREATE TABLE remark (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    loan_id uuid NOT NULL REFERENCES loan ON DELETE CASCADE,
    words text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX remark_loan ON remark (loan_id);
CREATE INDEX loan_book ON loan (book_id);

CREATE TABLE complaint (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    words text NOT NULL,
    verdict text DEFAULT 'open',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE seal (LIKE vault INCLUDING ALL);

-- What lists are in the order of.
CREATE INDEX ON shelf (created_at, id);
CREATE INDEX ON vault (created_at, id);
CREATE INDEX ON seal (created_at, id);
CREATE INDEX ON book (created_at, id);
CREATE INDEX ON complaint (created_at, id);
CREATE INDEX ON loan (user_id, created_at, id);
CREATE INDEX ON remark (user_id, created_at, id);
