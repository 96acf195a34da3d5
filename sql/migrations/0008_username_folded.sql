-- runs with: 7
-- Names are compared by their NFKC case folding, which the process computes: lower() depends on the database's locale.
-- NULL: written by release 7, not looked at yet; or the name of somebody who registered earlier, in another spelling.
ALTER TABLE app_user ADD COLUMN username_folded text;

CREATE UNIQUE INDEX app_user_username_folded ON app_user (username_folded) WHERE username_folded IS NOT NULL;
