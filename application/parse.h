/*
 * parse: SQL as PostgreSQL's own scanner and parser see it. The only file that knows libpg_query.
 *
 * The parser is PostgreSQL 15's: newer syntax is a syntax error here. Texts are bounded, because the parser recurses as deep as
 * they nest, on its caller's stack.
 */
#ifndef MR_APPLICATION_PARSE_H
#define MR_APPLICATION_PARSE_H

#include <jansson.h>

#include "application/arena.h"

enum { MR_PARSE_BYTES = 64 * 1024 };

/* What a token is, as far as anybody here asks. */
enum mr_token_kind {
    MR_TOKEN_NAME,     /* an identifier or a keyword, not in quotation marks */
    MR_TOKEN_QUOTED,   /* an identifier in quotation marks */
    MR_TOKEN_ESCAPED,  /* U&"...": one whose text has to be decoded first */
    MR_TOKEN_VALUE,    /* a number or a string of any kind */
    MR_TOKEN_NUMBERED, /* $1 */
    MR_TOKEN_COMMENT,
    MR_TOKEN_SIGN /* everything else: operators, brackets, ":", "::", ":=" */
};

struct mr_token {
    enum mr_token_kind kind;
    bool is_reserved; /* a NAME that can be no column: AND, CASE, ... */
    size_t begin;     /* bytes of the text */
    size_t end;
};

struct mr_tokens {
    struct mr_token *items;
    size_t count;
};

/* Why a text cannot be read. */
struct mr_parse_error {
    size_t at; /* byte of the text */
    char text[160];
};

/*
 * Cuts a text into tokens, including comments, which live in the arena. False: `error` says why; if memory ran out, the arena
 * has failed.
 */
bool mr_scan(struct mr_arena *arena, const char *text, struct mr_tokens *out, struct mr_parse_error *error);

/*
 * Parses a text. Returns the tree that libpg_query writes as JSON, {"stmts": [{"stmt": {"SelectStmt": {...}}}, ...]}, which the
 * caller frees with json_decref. NULL: `error` says why.
 */
json_t *mr_parse(const char *text, struct mr_parse_error *error);

#endif
