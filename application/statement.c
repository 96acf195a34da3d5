#include "application/statement.h"

#include "application/parse.h"
#include "application/tree.h"

static const char rows_mark[] = "{{k}}";
static const char rows_stand_in[] = "SELECT"; /* what the parser sees in place of the mark */

enum { MARK = MR_ROWS_MARK, STAND_IN = sizeof rows_stand_in - 1 };

_Static_assert(sizeof rows_mark - 1 == MARK, "the mark is as long as it is said to be");

struct reading {
    struct mr_sql *out;
    struct mr_arena *arena;
    struct mr_problems *problems;
    const struct mr_app_statement *source;
    char *text; /* what scanner and parser see: the source with a stand-in for the mark, later with $1 for :name */
    bool has_mark;
    size_t mark;             /* of the source, and of `text` */
    struct mr_tokens tokens; /* of `text`, without comments */
    bool refused;
};

/* ---- Places ---- */

/* A byte of `text` as one of the source. */
static size_t source_of(const struct reading *self, size_t at)
{
    return self->has_mark && at > self->mark ? at - (STAND_IN - MARK) : at;
}

static struct mr_place place_of(const struct mr_app_statement *source, size_t at)
{
    struct mr_place place = source->begin;

    for (size_t i = 0; i < at && source->sql[i] != '\0'; i++) {
        if (source->sql[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)source->sql[i + 1] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* Adds a problem at a byte of `text`. */
#define refuse(self, at, ...)                                                                          \
    do {                                                                                               \
        (self)->refused = true;                                                                        \
        mr_problems_add((self)->problems, place_of((self)->source, source_of(self, at)), __VA_ARGS__); \
    } while (0)

/* ---- Tokens ---- */

static struct mr_slice token_text(const struct reading *self, size_t i)
{
    const struct mr_token *token = &self->tokens.items[i];

    return (struct mr_slice){self->text + token->begin, token->end - token->begin};
}

static bool token_is(const struct reading *self, size_t i, const char *text)
{
    return i < self->tokens.count && mr_slice_is(token_text(self, i), text);
}

/* A keyword, or an identifier that is folded to lower case. */
static bool is_word(const struct reading *self, size_t i, const char *word)
{
    const struct mr_token *token = &self->tokens.items[i];

    return i < self->tokens.count && token->kind == MR_TOKEN_NAME && token->end - token->begin == strlen(word) &&
           strncasecmp(self->text + token->begin, word, strlen(word)) == 0;
}

static void drop_comments(struct mr_tokens *self)
{
    size_t count = 0;

    for (size_t i = 0; i < self->count; i++)
        if (self->items[i].kind != MR_TOKEN_COMMENT)
            self->items[count++] = self->items[i];
    self->count = count;
}

/* What the parser says of a stand-in is said of the parameter. */
static bool complain(struct reading *self, const struct mr_parse_error *error)
{
    const struct mr_sql *out = self->out;

    if (self->arena->failed)
        return false;
    for (unsigned i = 0; i < out->parameter_count; i++)
        if (out->parameters[i].begin == error->at) {
            refuse(self, error->at, "syntax error at or near \":%s\", expected SQL as PostgreSQL 15 reads it",
                   out->parameters[i].name);
            return false;
        }
    refuse(self, error->at, "%s, expected SQL as PostgreSQL 15 reads it", error->text);
    return false;
}

static bool scan(struct reading *self)
{
    struct mr_parse_error error;

    if (!mr_scan(self->arena, self->text, &self->tokens, &error))
        return complain(self, &error);
    drop_comments(&self->tokens);
    return true;
}

/* ---- WITH k AS ({{k}}) ---- */

/* The text with a stand-in for the first mark; as it is when it has none. */
static bool take_text(struct reading *self)
{
    const char *source = self->source->sql;
    const char *mark = strstr(source, rows_mark);

    self->has_mark = mark != NULL;
    self->mark = mark != NULL ? (size_t)(mark - source) : 0;
    self->text = mr_arena_take(self->arena, strlen(source) + STAND_IN + 1);
    if (self->text == NULL)
        return false;
    if (mark == NULL) {
        memcpy(self->text, source, strlen(source));
        return true;
    }
    memcpy(self->text, source, self->mark);
    memcpy(self->text + self->mark, rows_stand_in, STAND_IN);
    memcpy(self->text + self->mark + STAND_IN, mark + MARK, strlen(mark + MARK));
    return true;
}

static size_t token_at(const struct reading *self, size_t byte)
{
    for (size_t i = 0; i < self->tokens.count; i++)
        if (self->tokens.items[i].begin == byte)
            return i;
    return self->tokens.count;
}

static bool is_quoted(const struct reading *self, size_t i, const char *name)
{
    return i < self->tokens.count && self->tokens.items[i].kind == MR_TOKEN_QUOTED && token_is(self, i, name);
}

/* Whether the statement begins with WITH k AS (, the stand-in and a closing bracket. */
static bool begins_with_rows(const struct reading *self)
{
    size_t at = 0;

    if (!is_word(self, at++, "with"))
        return false;
    at += is_word(self, at, "recursive");
    if (!is_word(self, at, "k") && !is_quoted(self, at, "\"k\""))
        return false;
    at++;
    if (!is_word(self, at++, "as"))
        return false;
    at += is_word(self, at, "not");
    at += is_word(self, at, "materialized");
    return token_is(self, at, "(") && token_at(self, self->mark) == at + 1 && token_is(self, at + 2, ")");
}

/* A mark in a string or a comment is none: the text is read as it stands. */
static bool find_rows(struct reading *self)
{
    size_t at;

    if (!self->has_mark)
        return true;
    at = token_at(self, self->mark);
    if (at == self->tokens.count || !token_is(self, at, rows_stand_in)) {
        self->has_mark = false;
        memcpy(self->text, self->source->sql, strlen(self->source->sql) + 1);
        return scan(self);
    }
    if (!begins_with_rows(self)) {
        refuse(self, self->mark, "{{k}} in the middle, expected a statement that begins with WITH k AS ({{k}})");
        return false;
    }
    self->out->kind = MR_SQL_SET_WISE;
    self->out->rows_at = self->mark;
    return true;
}

/* ---- Semicolons ---- */

static bool cut_end(struct reading *self)
{
    for (size_t i = 0; i < self->tokens.count; i++) {
        if (!token_is(self, i, ";"))
            continue;
        for (size_t j = i + 1; j < self->tokens.count; j++)
            if (!token_is(self, j, ";")) {
                refuse(self, self->tokens.items[j].begin, "a second statement, expected one");
                return false;
            }
        self->text[self->tokens.items[i].begin] = '\0';
        self->tokens.count = i;
    }
    if (self->tokens.count == 0)
        refuse(self, 0, "nothing but comments, expected a statement");
    return !self->refused;
}

/* ---- Names ---- */

/* What an answer may say beside its columns; "$n" is the ordinal of a set-wise statement. */
static bool is_answer_name(const struct reading *self, size_t i)
{
    return token_is(self, i, "\"$status\"") || token_is(self, i, "\"$field\"") || token_is(self, i, "\"$message\"") ||
           token_is(self, i, "\"$version\"") || (self->out->kind == MR_SQL_SET_WISE && token_is(self, i, "\"$n\""));
}

static void check_token(struct reading *self, size_t i)
{
    const struct mr_token *token = &self->tokens.items[i];

    if (token->kind == MR_TOKEN_NUMBERED)
        refuse(self, token->begin, "a numbered parameter, expected the name of a field behind a colon");
    else if (token->kind == MR_TOKEN_ESCAPED)
        refuse(self, token->begin, "an escaped name, expected it in plain UTF-8");
    else if (token->kind == MR_TOKEN_QUOTED && self->text[token->begin + 1] == '$' && !is_answer_name(self, i))
        refuse(self, token->begin, "names in quotation marks that begin with $ are the engine's, expected another");
}

/* ---- Parameters ---- */

static bool is_name(struct mr_slice text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

    for (size_t i = 0; i < text.len; i++)
        if (memchr(letters, text.data[i], sizeof letters - 1) == NULL)
            return false;
    return text.len > 0;
}

/* Whether a value ends with this token: what follows a colon behind it is the upper bound of a slice. */
static bool ends_value(const struct reading *self, size_t i)
{
    const struct mr_token *token = &self->tokens.items[i];

    if (token->kind == MR_TOKEN_SIGN)
        return token_is(self, i, ")") || token_is(self, i, "]");
    return !token->is_reserved;
}

/* A colon and, right behind it, a name. `brackets`: what it stands in is [ and ]. */
static bool is_parameter(const struct reading *self, size_t i, bool brackets)
{
    const struct mr_token *token = &self->tokens.items[i];

    if (!token_is(self, i, ":") || i + 1 == self->tokens.count)
        return false;
    return token[1].kind == MR_TOKEN_NAME && token[1].begin == token->end && is_name(token_text(self, i + 1)) &&
           !(brackets && i > 0 && ends_value(self, i - 1));
}

/* Else what stands in for the parameter would be read as a part of the word in front of it. */
static void check_gap(struct reading *self, size_t i)
{
    const struct mr_token *token = &self->tokens.items[i];

    if (i > 0 && token[-1].end == token->begin && token[-1].kind != MR_TOKEN_SIGN)
        refuse(self, token->begin, "a parameter right behind a word, expected a space between them");
}

static bool add_parameter(struct reading *self, size_t i)
{
    struct mr_sql *out = self->out;
    struct mr_sql_parameter *all = mr_arena_grow(self->arena, out->parameters, out->parameter_count, sizeof *all);
    size_t begin = self->tokens.items[i].begin;
    size_t end = self->tokens.items[i + 1].end;

    if (all == NULL)
        return false;
    out->parameters = all;
    all[out->parameter_count++] = (struct mr_sql_parameter){mr_arena_text(self->arena, token_text(self, i + 1)), begin, end,
                                                            place_of(self->source, source_of(self, begin))};
    check_gap(self, i);
    if (out->kind == MR_SQL_SET_WISE)
        refuse(self, begin, "a parameter in a set-wise statement, expected its field as a column of k");
    memset(self->text + begin, ' ', end - begin);
    memcpy(self->text + begin, "$1", 2);
    return true;
}

/* What stands around a token, the innermost last: '[' or '('. */
struct nesting {
    char *open;
    size_t depth;
};

static void nest(struct nesting *self, const struct reading *reading, size_t i)
{
    if (token_is(reading, i, "[") || token_is(reading, i, "("))
        self->open[self->depth++] = reading->text[reading->tokens.items[i].begin];
    else if ((token_is(reading, i, "]") || token_is(reading, i, ")")) && self->depth > 0)
        self->depth--;
}

/* Finds the parameters and gives the parser "$1" in their place, as long as they are. */
static bool take_parameters(struct reading *self)
{
    struct nesting nesting = {.open = mr_arena_take(self->arena, self->tokens.count + 1)};

    if (nesting.open == NULL)
        return false;
    for (size_t i = 0; i < self->tokens.count; i++) {
        nest(&nesting, self, i);
        check_token(self, i);
        if (is_parameter(self, i, nesting.depth > 0 && nesting.open[nesting.depth - 1] == '[') && !add_parameter(self, i++))
            return false;
    }
    return !self->refused;
}

/* ---- The statement ---- */

/* Whether the statement itself begins here, outside of brackets. Words that may be names follow the bracket of the list's end. */
static bool begins_main(const struct reading *self, size_t i)
{
    static const char *const words[] = {"insert", "update", "delete", "merge", "values"};

    if (is_word(self, i, "select") || is_word(self, i, "table"))
        return true;
    if (!token_is(self, i - 1, ")"))
        return false;
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
        if (is_word(self, i, words[w]))
            return true;
    return token_is(self, i, "("); /* WITH a AS (...) (SELECT ...) */
}

/* Where the statement begins behind its WITH list; 0: that cannot be told. */
static size_t find_main(const struct reading *self)
{
    size_t depth = 0;

    for (size_t i = 1; i < self->tokens.count; i++) {
        if (depth == 0 && begins_main(self, i))
            return self->tokens.items[i].begin;
        depth += token_is(self, i, "(");
        depth -= token_is(self, i, ")") && depth > 0;
    }
    return 0;
}

static bool check_kind(struct reading *self, const struct mr_tree *tree)
{
    if (tree->found == MR_TREE_INTO)
        refuse(self, 0, "SELECT INTO makes a table, expected a statement that answers or INSERT");
    else if (tree->found == MR_TREE_OTHER)
        refuse(self, 0, "a statement of the kind %s, expected SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE or CALL",
               tree->told);
    else if (self->out->kind == MR_SQL_SET_WISE)
        return true;
    else if (tree->found == MR_TREE_CALL)
        self->out->kind = MR_SQL_CALL;
    else
        self->out->kind = tree->found == MR_TREE_READ ? MR_SQL_READ : MR_SQL_CHANGE;
    return !self->refused;
}

static bool take_list(struct reading *self)
{
    struct mr_sql *out = self->out;
    size_t main_at;

    out->has_with = is_word(self, 0, "with");
    if (!out->has_with)
        return true;
    out->is_recursive = is_word(self, 1, "recursive");
    out->list_at = source_of(self, self->tokens.items[out->is_recursive ? 2 : 1].begin);
    main_at = find_main(self);
    if (main_at == 0) {
        refuse(self, 0, "a WITH list whose end is not found, expected SELECT, INSERT, UPDATE, DELETE or VALUES behind it");
        return false;
    }
    out->main_at = source_of(self, main_at);
    return true;
}

static bool take_tree(struct reading *self)
{
    struct mr_parse_error error;
    json_t *root = mr_parse(self->text, &error);
    struct mr_tree tree = {.arena = self->arena, .out = self->out};

    if (root == NULL)
        return complain(self, &error);
    mr_tree_walk(&tree, root);
    json_decref(root);
    self->out->changes = tree.found != MR_TREE_READ;
    return check_kind(self, &tree) && take_list(self);
}

/* The text of the source up to the semicolon; parameters' places become those of the source. */
static void finish(struct reading *self)
{
    size_t end = source_of(self, self->tokens.items[self->tokens.count - 1].end);

    self->out->text = mr_arena_text(self->arena, (struct mr_slice){self->source->sql, end});
    self->out->place = self->source->begin;
}

bool mr_sql_read(struct mr_sql *out, struct mr_arena *arena, const struct mr_app_statement *statement,
                 struct mr_problems *problems)
{
    struct mr_sql found = {.kind = MR_SQL_READ};
    struct reading self = {.out = &found, .arena = arena, .problems = problems, .source = statement};

    if (!take_text(&self) || !scan(&self) || !find_rows(&self) || !cut_end(&self) || !take_parameters(&self) ||
        !take_tree(&self))
        return false;
    finish(&self);
    if (arena->failed)
        return false;
    *out = found;
    return true;
}

static bool collect(struct mr_tree *tree, const char *text)
{
    struct mr_parse_error error;
    json_t *root = mr_parse(text, &error);

    if (root == NULL)
        return false;
    mr_tree_walk(tree, root);
    json_decref(root);
    return !tree->arena->failed;
}

bool mr_sql_collect(struct mr_sql *out, struct mr_arena *arena, const char *text)
{
    struct mr_tree tree = {.arena = arena, .out = out};

    return collect(&tree, text) && tree.found == MR_TREE_READ;
}

bool mr_sql_collect_names(struct mr_sql *out, struct mr_arena *arena, const char *text)
{
    return collect(&(struct mr_tree){.arena = arena, .out = out}, text);
}

bool mr_sql_has(const struct mr_sql_names *self, const char *name)
{
    for (unsigned i = 0; i < self->count; i++)
        if (strcmp(self->items[i].name, name) == 0)
            return true;
    return false;
}

void mr_sql_write(const struct mr_sql *self, size_t from, size_t to, struct mr_buf *out,
                  void (*write)(struct mr_buf *out, const char *name, void *argument), void *argument)
{
    size_t at = from;

    for (unsigned i = 0; i < self->parameter_count; i++) {
        const struct mr_sql_parameter *parameter = &self->parameters[i];

        if (parameter->begin < at || parameter->end > to)
            continue;
        mr_buf_append(out, self->text + at, parameter->begin - at);
        write(out, parameter->name, argument);
        at = parameter->end;
    }
    mr_buf_append(out, self->text + at, to - at);
}
