-- A session is what a sign-in begins: the family of refresh tokens that descend from it, one live at a time. It ends
-- with its row, and every token goes with that; so whoever locks the row decides about all of them.

CREATE TABLE session (
    id               uuid        PRIMARY KEY,
    user_id          uuid        NOT NULL REFERENCES app_user ON DELETE CASCADE,
    password_version bigint      NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX session_of_user ON session (user_id);

-- Rises with every change of the password. A session of another version is over, also one that was being made while
-- the password changed.
ALTER TABLE app_user ADD COLUMN password_version bigint NOT NULL DEFAULT 1;

INSERT INTO session (id, user_id, password_version, created_at)
SELECT DISTINCT ON (family_id) family_id, user_id, 1, created_at FROM refresh_token ORDER BY family_id, created_at;

-- A spent token names the one it was exchanged for. The user is the session's: a token that knew them as well would
-- be locked in another order when they are removed.
ALTER TABLE refresh_token DROP COLUMN user_id;
ALTER TABLE refresh_token RENAME COLUMN family_id TO session_id;
ALTER TABLE refresh_token ADD COLUMN next_id uuid;
ALTER TABLE refresh_token ADD FOREIGN KEY (session_id) REFERENCES session ON DELETE CASCADE;
ALTER INDEX refresh_token_family RENAME TO refresh_token_session;
