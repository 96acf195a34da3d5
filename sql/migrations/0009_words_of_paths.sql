-- runs with: 7
-- The words of paths, addresses and other names are words. PostgreSQL's parser takes `docs/crash.log` for one token and
-- `a.b@example.org` for another, so that nobody finds `crash`. Punctuation becomes blanks before the text is parsed once
-- more, if any stands before something else than a blank: elsewhere it joins nothing. What release 7 looks for, its tokens,
-- stays in the index beside that.

CREATE FUNCTION task_plain(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT translate($1, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32))
$$;

CREATE OR REPLACE FUNCTION task_words(user_id uuid, summary text, description text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN summary || ' ' || coalesce(description, '') ~ '[!-/:-@\[-`{-~][^ \t\r\n]'
                THEN strip(to_tsvector('simple'::regconfig, summary || ' ' || coalesce(description, '')))
                     || strip(to_tsvector('simple'::regconfig, task_plain(summary || ' ' || coalesce(description, ''))))
                ELSE strip(to_tsvector('simple'::regconfig, summary || ' ' || coalesce(description, ''))) END
        || array_to_tsvector(ARRAY[user_id::text])
$$;

-- All these words, and the owner as one more. NULL, which matches nothing, when there is no word among them. What was
-- indexed before finds a whole path or address by its token.
CREATE FUNCTION task_query(user_id uuid, words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN numnode(plainto_tsquery('simple'::regconfig, task_plain(words))) > 0
                THEN (plainto_tsquery('simple'::regconfig, task_plain(words)) || plainto_tsquery('simple'::regconfig, words))
                     && ('' || user_id || '')::tsquery END
$$;

-- What is in the index was parsed by the function as it was. A table that is large is left to the job `maintenance`, which
-- rebuilds the index without locking anybody out; the comment says that it is done. A session keeps an index's expression
-- with the functions in it expanded, and forgets it only when the index changes: so that no open one goes on with the
-- function as it was, the index is another, or has a setting set to what it is.
DO $$ BEGIN
    IF pg_relation_size('task') < 16 * 1048576 THEN
        DROP INDEX task_words;
        CREATE INDEX task_words ON task USING gin (task_words(user_id, summary, description));
        COMMENT ON INDEX task_words IS 'words of paths';
    ELSE
        ALTER INDEX task_words ALTER COLUMN 1 SET STATISTICS 100;
    END IF;
END $$;
