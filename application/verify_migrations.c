/*
 * Migrations, one transaction each as they will run, and where one went wrong.
 */
#include <stdio.h>
#include <strings.h>

#include "application/parse.h"
#include "application/sqlfiles.h"
#include "application/verify_internal.h"

struct mr_place verify_place_at(struct mr_place begin, const char *text, const char *end, unsigned position)
{
    for (; *text != '\0' && (end != NULL ? text < end : position > 1); text++) {
        bool is_last = ((unsigned char)text[1] & 0xc0) != 0x80; /* byte of its character */

        position -= is_last && end == NULL;
        if (*text == '\n')
            begin = (struct mr_place){.file = begin.file, .line = begin.line + 1, .column = 1};
        else
            begin.column += is_last;
    }
    return begin;
}

/* ---- The statements of a text ---- */

/* A scan over tokens: where statements begin. */
struct cutting {
    const char *text;
    unsigned depth; /* of brackets, and of BEGIN ATOMIC and CASE inside of it */
    bool is_atomic;
    bool was_begin;
};

static bool is_word(const struct cutting *self, const struct mr_token *token, const char *word)
{
    size_t length = token->end - token->begin;

    return token->kind == MR_TOKEN_NAME && length == strlen(word) && strncasecmp(self->text + token->begin, word, length) == 0;
}

static bool is_sign(const struct cutting *self, const struct mr_token *token, char sign)
{
    return token->kind == MR_TOKEN_SIGN && self->text[token->begin] == sign;
}

/* Whether the token is a semicolon between two statements. */
static bool is_end(struct cutting *self, const struct mr_token *token)
{
    bool is_atomic = self->was_begin && is_word(self, token, "atomic");

    self->was_begin = is_word(self, token, "begin");
    self->is_atomic = self->is_atomic || is_atomic;
    if (is_sign(self, token, '(') || is_atomic || (self->is_atomic && is_word(self, token, "case")))
        self->depth++;
    if (self->depth > 0 && (is_sign(self, token, ')') || (self->is_atomic && is_word(self, token, "end"))))
        self->depth--;
    self->is_atomic = self->is_atomic && self->depth > 0;
    return is_sign(self, token, ';') && self->depth == 0;
}

/* The first character of the statement behind `count` others; NULL when there is none, or the text cannot be cut. */
static const char *statement_behind(struct mr_arena *arena, const char *text, unsigned count)
{
    struct cutting self = {.text = text};
    struct mr_parse_error error;
    struct mr_tokens tokens;
    bool is_inside = false;

    if (!mr_scan(arena, text, &tokens, &error))
        return NULL;
    for (size_t i = 0; i < tokens.count; i++) {
        const struct mr_token *token = &tokens.items[i];

        if (token->kind == MR_TOKEN_COMMENT)
            continue;
        if (is_end(&self, token)) {
            count -= is_inside; /* of nothing but a semicolon the server makes none */
            is_inside = false;
            continue;
        }
        if (!is_inside && count == 0)
            return text + token->begin;
        is_inside = true;
    }
    return NULL;
}

/* ---- Running them ---- */

/* The server's position; without one, as of what fails while it runs, the statement. What the COMMIT says is of the whole file. */
static struct mr_place place_of(const struct mr_app_migration *migration, const char *file, const struct mr_db_error *error,
                                bool is_of_commit)
{
    struct mr_place begin = {.file = file, .line = 1, .column = 1};
    struct mr_arena arena = {.blocks = NULL};
    const char *at;

    if (is_of_commit)
        return (struct mr_place){.file = file};
    if (error->position > 0)
        return verify_place_at(begin, migration->sql, NULL, error->position);
    at = statement_behind(&arena, migration->sql, error->statements);
    mr_arena_fini(&arena);
    return at != NULL ? verify_place_at(begin, migration->sql, at, 0) : (struct mr_place){.file = file};
}

static void tell(struct verifying *self, const struct mr_app_migration *migration, bool is_of_commit)
{
    const struct mr_db_error *error = mr_db_last_error(self->options->db);
    char file[128];

    snprintf(file, sizeof file, "migrations/%s.sql", migration->name);
    complain(self, place_of(migration, file, error, is_of_commit), "%s (SQLSTATE %s), expected SQL that runs", error->message,
             error->sqlstate);
}

/*
 * Whether the server has read the text and refused it. Otherwise it is in trouble itself, or gone; or somebody wants to stop. A
 * connection that was dropped on the way (0A000, see db_io.c) says nothing else: no further migration is to run.
 */
bool verify_is_refusal(const struct verifying *self)
{
    static const char *const trouble[] = {"08", "53", "57", "58", "XX"};
    const struct mr_db_error *error = mr_db_last_error(self->options->db);

    if (error->sqlstate[0] == '\0' || self->options->is_over(self->options->argument))
        return false;
    for (size_t i = 0; i < sizeof trouble / sizeof trouble[0]; i++)
        if (strncmp(error->sqlstate, trouble[i], 2) == 0)
            return false;
    return true;
}

/* What a constraint that is deferred has to say comes with the COMMIT. */
static mr_status apply(struct verifying *self, const struct mr_app_migration *migration)
{
    const struct mr_verify_options *options = self->options;
    mr_status status = mr_db_exec(options->db, "BEGIN", verify_deadline(), NULL);
    bool is_of_commit;

    if (status != MR_OK)
        return status;
    status = mr_db_exec_unless(options->db, migration->sql, options->is_over, options->argument);
    is_of_commit = status == MR_OK;
    if (is_of_commit)
        status = mr_db_exec_unless(options->db, "COMMIT", options->is_over, options->argument);
    if (status == MR_OK || !verify_is_refusal(self))
        return status;
    tell(self, migration, is_of_commit);
    if (mr_db_is_up(options->db))
        (void)!mr_db_exec(options->db, "ROLLBACK", verify_deadline(), NULL);
    return MR_INVALID;
}

/* Applied, it would stay as it is, and what is written a minute later would never run. */
static void check_written(struct verifying *self, const struct mr_app_migration *migration)
{
    char file[128];

    if (mr_app_has_sql(migration->sql))
        return;
    snprintf(file, sizeof file, "migrations/%s.sql", migration->name);
    complain(self, ((struct mr_place){.file = file}), "there are only comments in it, expected SQL");
}

mr_status verify_migrations(struct verifying *self)
{
    mr_status status = MR_OK;

    for (unsigned i = 0; i < self->application->migration_count && status == MR_OK; i++) {
        check_written(self, &self->application->migrations[i]);
        status = apply(self, &self->application->migrations[i]);
    }
    return status;
}
