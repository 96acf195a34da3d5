#include "application/parse.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>

/* ---- Errors ---- */

/* The byte at which character `character` (from 1) of a text in UTF-8 begins. */
static size_t byte_of(const char *text, int character)
{
    size_t at = 0;

    for (int i = 1; i < character && text[at] != '\0'; i++)
        for (at++; ((unsigned char)text[at] & 0xc0) == 0x80; at++)
            ;
    return at;
}

/* Without half a character at its end, where it was cut. */
static void trim_character(char *text)
{
    size_t end = strlen(text);
    size_t begin = end;

    while (begin > 0 && ((unsigned char)text[begin - 1] & 0xc0) == 0x80)
        begin--;
    if (begin > 0 && (unsigned char)text[begin - 1] >= 0xc0)
        text[begin - 1] = '\0';
}

/* On one line: it quotes what is in the text. */
static void told(struct mr_parse_error *error, const char *text, const PgQueryError *reason)
{
    const char *message = reason->message != NULL ? reason->message : "syntax error";
    int len = snprintf(error->text, sizeof error->text, "%s", message);

    error->at = byte_of(text, reason->cursorpos);
    if (len >= (int)sizeof error->text)
        trim_character(error->text);
    for (char *at = error->text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
}

static void refuse(struct mr_parse_error *error, const char *reason)
{
    *error = (struct mr_parse_error){.at = 0};
    snprintf(error->text, sizeof error->text, "%s", reason);
}

static bool fits(const char *text, struct mr_parse_error *error)
{
    if (strlen(text) <= MR_PARSE_BYTES)
        return true;
    refuse(error, "the statement is too long");
    return false;
}

/* ---- Tokens ---- */

static enum mr_token_kind kind_of(const PgQuery__ScanToken *token, const char *text)
{
    if (token->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD)
        return MR_TOKEN_NAME;
    switch (token->token) {
    case PG_QUERY__TOKEN__IDENT: return text[token->start] == '"' ? MR_TOKEN_QUOTED : MR_TOKEN_NAME;
    case PG_QUERY__TOKEN__UIDENT: return MR_TOKEN_ESCAPED;
    case PG_QUERY__TOKEN__ICONST:
    case PG_QUERY__TOKEN__FCONST:
    case PG_QUERY__TOKEN__SCONST:
    case PG_QUERY__TOKEN__USCONST:
    case PG_QUERY__TOKEN__BCONST:
    case PG_QUERY__TOKEN__XCONST: return MR_TOKEN_VALUE;
    case PG_QUERY__TOKEN__PARAM: return MR_TOKEN_NUMBERED;
    case PG_QUERY__TOKEN__SQL_COMMENT:
    case PG_QUERY__TOKEN__C_COMMENT: return MR_TOKEN_COMMENT;
    default: return MR_TOKEN_SIGN;
    }
}

/* Keywords that end no value, so that a colon behind one is no slice's. The others stand where a column could. */
static bool is_reserved(const PgQuery__ScanToken *token)
{
    switch (token->token) {
    case PG_QUERY__TOKEN__NULL_P:
    case PG_QUERY__TOKEN__TRUE_P:
    case PG_QUERY__TOKEN__FALSE_P:
    case PG_QUERY__TOKEN__END_P:
    case PG_QUERY__TOKEN__USER:
    case PG_QUERY__TOKEN__SESSION_USER:
    case PG_QUERY__TOKEN__CURRENT_USER:
    case PG_QUERY__TOKEN__CURRENT_ROLE:
    case PG_QUERY__TOKEN__CURRENT_DATE:
    case PG_QUERY__TOKEN__CURRENT_TIME:
    case PG_QUERY__TOKEN__CURRENT_TIMESTAMP:
    case PG_QUERY__TOKEN__LOCALTIME:
    case PG_QUERY__TOKEN__LOCALTIMESTAMP: return false;
    case PG_QUERY__TOKEN__BETWEEN: return true;
    default:
        return token->keyword_kind == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD ||
               token->keyword_kind == PG_QUERY__KEYWORD_KIND__TYPE_FUNC_NAME_KEYWORD;
    }
}

static bool take_tokens(struct mr_arena *arena, const char *text, const PgQuery__ScanResult *found, struct mr_tokens *out)
{
    struct mr_token *items = mr_arena_take(arena, (found->n_tokens + 1) * sizeof *items);

    if (items == NULL)
        return false;
    for (size_t i = 0; i < found->n_tokens; i++) {
        const PgQuery__ScanToken *token = found->tokens[i];

        items[i] = (struct mr_token){kind_of(token, text), is_reserved(token), (size_t)token->start, (size_t)token->end};
    }
    *out = (struct mr_tokens){items, found->n_tokens};
    return true;
}

bool mr_scan(struct mr_arena *arena, const char *text, struct mr_tokens *out, struct mr_parse_error *error)
{
    PgQueryScanResult result;
    PgQuery__ScanResult *found = NULL;
    bool done = false;

    if (!fits(text, error))
        return false;
    result = pg_query_scan(text);
    if (result.error != NULL) {
        told(error, text, result.error);
        goto out;
    }
    found = pg_query__scan_result__unpack(NULL, result.pbuf.len, (const uint8_t *)result.pbuf.data);
    done = found != NULL && take_tokens(arena, text, found, out);
    if (!done) {
        arena->failed = true;
        refuse(error, "out of memory");
    }

out:
    if (found != NULL)
        pg_query__scan_result__free_unpacked(found, NULL);
    pg_query_free_scan_result(result);
    return done;
}

/* ---- The tree ---- */

json_t *mr_parse(const char *text, struct mr_parse_error *error)
{
    PgQueryParseResult result;
    json_t *tree = NULL;

    if (!fits(text, error))
        return NULL;
    result = pg_query_parse(text);
    if (result.error != NULL) {
        told(error, text, result.error);
    } else {
        tree = json_loads(result.parse_tree, 0, NULL); /* it goes 2048 levels down */
        if (tree == NULL)
            refuse(error, "the statement is nested too deeply");
    }
    pg_query_free_parse_result(result);
    return tree;
}
