#include "runtime/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"

enum type { INTEGER, BYTES, DURATION, BOOLEAN, CHOICE, TEXT, SECRET };

struct setting {
    const char *name;
    const char *alias;
    enum type type;
    const char *otherwise;
    const char *rule;
    const char *roles;
    const char *about;
    size_t offset; /* of the member in struct mr_config */
};

static const struct setting settings[] = {
#define SET(member, name, alias, type, otherwise, rule, roles, about) \
    {name, alias, type, otherwise, rule, roles, about, offsetof(struct mr_config, member)},
    MR_SETTINGS(SET)
#undef SET
};

enum { SETTING_COUNT = sizeof settings / sizeof settings[0] };

static const char *const type_names[] = {"integer", "bytes", "duration", "boolean", "choice", "text", "secret"};

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit byte_units[] = {{"", 1}, {"KiB", 1024}, {"MiB", INT64_C(1024) * 1024}, {NULL, 0}};
static const struct unit time_units[] = {{"", 1000},     {"ms", 1},       {"s", 1000}, {"m", 60000},
                                         {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static const struct unit *units_of(enum type type)
{
    return type == DURATION ? time_units : type == BYTES ? byte_units : no_units;
}

/* The settings a role reads; `all` is every role that serves. */
static bool is_for(const struct setting *setting, enum mr_role_of_process role)
{
    switch (role) {
    case MR_RUN_ALL: return strpbrk(setting->roles, "AS") != NULL;
    case MR_RUN_API: return strchr(setting->roles, 'A') != NULL;
    case MR_RUN_SCHEDULER: return strchr(setting->roles, 'S') != NULL;
    case MR_RUN_MIGRATE: return strchr(setting->roles, 'M') != NULL;
    case MR_RUN_CHECK: return strpbrk(setting->roles, "MC") != NULL;
    case MR_RUN_HEALTH: return strchr(setting->roles, 'H') != NULL;
    }
    return false;
}

/* An empty variable is as good as none: that is how shells and task definitions unset one. */
static const char *lookup(const struct setting *setting, mr_getenv *get)
{
    const char *value = get(setting->name);

    if ((value == NULL || *value == '\0') && setting->alias != NULL)
        value = get(setting->alias);
    return value != NULL && *value != '\0' ? value : NULL;
}

static bool parse_number(const char *text, size_t len, const struct unit *units, int64_t *out)
{
    int64_t value = 0;
    size_t i = 0;

    for (; i < len && isdigit((unsigned char)text[i]); i++) {
        if (i > 15)
            return false;
        value = value * 10 + (text[i] - '0');
    }
    for (; i > 0 && units->name != NULL; units++)
        if (strlen(units->name) == len - i && strncmp(text + i, units->name, len - i) == 0)
            return !__builtin_mul_overflow(value, units->factor, out);
    return false;
}

/* "least..most", both with the units of the type. The table is ours, so a rule always parses. */
static bool in_range(const struct setting *setting, int64_t value)
{
    const struct unit *units = units_of(setting->type);
    const char *dots = strstr(setting->rule, "..");
    int64_t least = 0;
    int64_t most = 0;

    return parse_number(setting->rule, (size_t)(dots - setting->rule), units, &least) &&
           parse_number(dots + 2, strlen(dots + 2), units, &most) && value >= least && value <= most;
}

static bool is_choice(const char *rule, const char *value)
{
    size_t len = strlen(value);

    if (strchr(value, '|') != NULL)
        return false;
    for (const char *at = rule; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    }
    return false;
}

static bool store(struct mr_config *config, const struct setting *setting, const char *value)
{
    void *member = (char *)config + setting->offset;
    int64_t number;

    switch (setting->type) {
    case INTEGER:
    case BYTES:
    case DURATION:
        if (!parse_number(value, strlen(value), units_of(setting->type), &number) || !in_range(setting, number))
            return false;
        memcpy(member, &number, sizeof number);
        return true;
    case BOOLEAN: *(bool *)member = strcmp(value, "true") == 0; return is_choice("true|false", value);
    case CHOICE: memcpy(member, &value, sizeof value); return is_choice(setting->rule, value);
    case TEXT:
    case SECRET: memcpy(member, &value, sizeof value); return true;
    }
    return false;
}

static void expectation(struct mr_buf *out, const struct setting *setting)
{
    switch (setting->type) {
    case INTEGER: mr_buf_printf(out, "an integer, %s", setting->rule); break;
    case BYTES: mr_buf_printf(out, "bytes such as 64KiB or 16MiB, %s", setting->rule); break;
    case DURATION: mr_buf_printf(out, "a duration such as 500ms, 30s, 15m, 1h or 7d, %s", setting->rule); break;
    case BOOLEAN: mr_buf_text(out, "true or false"); break;
    case CHOICE: mr_buf_printf(out, "one of %s", setting->rule); break;
    case TEXT:
    case SECRET: mr_buf_text(out, "a value"); break;
    }
}

/* "DB_PORT=abc: expected an integer, 1..65535" */
static void complain(struct mr_buf *problems, const struct setting *setting, const char *value)
{
    mr_buf_printf(problems, "%s=%s: expected ", setting->name, setting->type == SECRET ? "***" : value);
    expectation(problems, setting);
    mr_buf_char(problems, '\n');
}

static bool is_text(const struct setting *setting)
{
    return setting->type == TEXT || setting->type == SECRET;
}

/* A rule by name that somebody above knows; without one every text is good. */
static void check_text(struct mr_buf *problems, const struct setting *setting, const char *value,
                       const struct mr_config_check *checks)
{
    struct mr_buf reason = {0};

    for (; is_text(setting) && checks != NULL && checks->rule != NULL; checks++)
        if (strcmp(checks->rule, setting->rule) == 0 && !checks->is_good(value, &reason))
            mr_buf_printf(problems, "%s=%s: %.*s\n", setting->name, setting->type == SECRET ? "***" : value, (int)reason.len,
                          reason.len > 0 ? reason.data : "");
    mr_buf_fini(&reason);
}

/* How NODE_ENV was said; that it is development when nothing was said asks for nothing and allows nothing. */
enum stage { UNSAID, DEVELOPMENT, TEST, PRODUCTION };

static enum stage stage_of(mr_getenv *get)
{
    static const char *const names[] = {
        [UNSAID] = "", [DEVELOPMENT] = "development", [TEST] = "test", [PRODUCTION] = "production"};
    const char *said = get("NODE_ENV");
    enum stage stage = PRODUCTION;

    while (stage != UNSAID && (said == NULL || strcmp(said, names[stage]) != 0))
        stage--;
    return stage;
}

/* A secret that is set: the published one is for development only, and production wants a long one. */
static void check_secret(const char *name, const char *secret, enum stage stage, struct mr_buf *problems)
{
    if (strcmp(secret, MR_EXAMPLE_JWT_SECRET) == 0 && stage != DEVELOPMENT)
        mr_buf_printf(problems, "%s=***: expected a secret of your own, this one is the documented example\n", name);
    else if (strlen(secret) < MR_JWT_SECRET_LEAST && stage == PRODUCTION)
        mr_buf_printf(problems, "%s=***: expected at least %d bytes, has %zu\n", name, MR_JWT_SECRET_LEAST, strlen(secret));
}

/* `all` makes one of its own, unless production is said; only who says development gets the published one. */
static void check_secrets(struct mr_config *config, enum mr_role_of_process role, enum stage stage, struct mr_buf *problems)
{
    if (config->jwt_secret[0] != '\0')
        check_secret("JWT_SECRET", config->jwt_secret, stage, problems);
    else if (stage == PRODUCTION)
        mr_buf_printf(problems, "JWT_SECRET: expected a secret of at least %d bytes, found none\n", MR_JWT_SECRET_LEAST);
    else if (role == MR_RUN_API && stage != DEVELOPMENT)
        mr_buf_printf(problems,
                      "JWT_SECRET: expected a secret of at least %d bytes, found none; `api` starts without one only if"
                      " NODE_ENV=development is set explicitly\n",
                      MR_JWT_SECRET_LEAST);
    else if (role == MR_RUN_API)
        config->jwt_secret = MR_EXAMPLE_JWT_SECRET;
    if (config->jwt_secret_previous[0] != '\0')
        check_secret("JWT_SECRET_PREVIOUS", config->jwt_secret_previous, stage, problems);
}

/* Rules that look at more than one setting. */
static void check_whole(struct mr_config *config, enum mr_role_of_process role, enum stage stage, struct mr_buf *problems)
{
    if (role != MR_RUN_ALL && role != MR_RUN_CHECK && role != MR_RUN_HEALTH && config->db_host[0] == '\0')
        mr_buf_text(
            problems,
            "DB_HOST: expected a host name or a socket directory; only `millrace all`, `dev` and `check` start a"
            " PostgreSQL of their own; to that of one that runs, DB_HOST=$PWD/.millrace/postgres/run DB_USER=postgres\n");
    if (role == MR_RUN_ALL || role == MR_RUN_API)
        check_secrets(config, role, stage, problems);
}

mr_status mr_config_read(struct mr_config *out, enum mr_role_of_process role, mr_getenv *get,
                         const struct mr_config_check *checks, struct mr_buf *problems)
{
    struct mr_config config = {0};
    size_t before = problems->len;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *value = is_for(&settings[i], role) ? lookup(&settings[i], get) : NULL;

        if (value != NULL && !store(&config, &settings[i], value))
            complain(problems, &settings[i], value);
        if (value != NULL)
            check_text(problems, &settings[i], value, checks);
        if (value == NULL && !store(&config, &settings[i], settings[i].otherwise))
            complain(problems, &settings[i], settings[i].otherwise);
    }
    check_whole(&config, role, stage_of(get), problems);
    if (problems->len != before)
        return MR_INVALID;
    *out = config;
    return problems->failed ? MR_NO_MEMORY : MR_OK;
}

static const struct setting *find(const char *name)
{
    size_t i = 0;

    while (i < SETTING_COUNT && strcmp(settings[i].name, name) != 0)
        i++;
    assert(i < SETTING_COUNT);
    return &settings[i];
}

const char *mr_config_text(const struct mr_config *self, const char *name)
{
    const struct setting *setting = find(name);

    assert(setting->type == TEXT || setting->type == CHOICE);
    return *(const char *const *)(const void *)((const char *)self + setting->offset);
}

const char *mr_config_value(const char *name, mr_getenv *get)
{
    const struct setting *setting = find(name);
    const char *value = lookup(setting, get);

    return value != NULL ? value : setting->otherwise;
}

static void value_json(struct mr_buf *out, const struct setting *setting, const void *member)
{
    switch (setting->type) {
    case INTEGER:
    case BYTES:
    case DURATION: mr_buf_int(out, *(const int64_t *)member); break;
    case BOOLEAN: mr_buf_text(out, *(const bool *)member ? "true" : "false"); break;
    case CHOICE:
    case TEXT:
    case SECRET: mr_json_string(out, mr_slice_of(*(const char *const *)member)); break;
    }
}

void mr_config_values_json(struct mr_buf *out, const struct mr_config *self)
{
    char before = '{';

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!is_for(&settings[i], MR_RUN_SCHEDULER) || settings[i].type == SECRET)
            continue;
        mr_buf_char(out, before);
        mr_json_string(out, mr_slice_of(settings[i].name));
        mr_buf_char(out, ':');
        value_json(out, &settings[i], (const char *)self + settings[i].offset);
        before = ',';
    }
    mr_buf_char(out, '}');
}

/* ---- Printing ---- */

static struct setting setting_of(const struct mr_config_variable *variable)
{
    bool is_choice = strchr(variable->takes, '|') != NULL;

    return (struct setting){.name = variable->name,
                            .type = variable->is_secret ? SECRET
                                    : is_choice         ? CHOICE
                                                        : TEXT,
                            .otherwise = variable->otherwise,
                            .rule = strcmp(variable->takes, "text") != 0 ? variable->takes : "",
                            .roles = "ASM",
                            .about = variable->about};
}

/* Number `i` of all that are printed; false: there is none. */
static bool nth(size_t i, const struct mr_config_more *more, struct setting *out)
{
    if (i < SETTING_COUNT)
        *out = settings[i];
    else if (i - SETTING_COUNT < more->count)
        *out = setting_of(&more->items[i - SETTING_COUNT]);
    else
        return false;
    return true;
}

static bool is_engines(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strcmp(settings[i].name, name) == 0 || (settings[i].alias != NULL && strcmp(settings[i].alias, name) == 0))
            return true;
    return false;
}

/* The next that is printed, from `*at` on. */
static bool next(size_t *at, const struct mr_config_more *more, struct setting *out)
{
    while (nth(*at, more, out))
        if ((*at)++ < SETTING_COUNT || !is_engines(out->name))
            return true;
    return false;
}

static const char *shown(const struct setting *setting, mr_getenv *get)
{
    const char *value = lookup(setting, get);

    if (value == NULL)
        value = setting->otherwise;
    return setting->type == SECRET && *value != '\0' ? "***" : value;
}

void mr_config_print(struct mr_buf *out, mr_getenv *get, const struct mr_config_more *more)
{
    struct setting setting;

    for (size_t at = 0; next(&at, more, &setting);)
        mr_buf_printf(out, "%s=%s\n", setting.name, shown(&setting, get));
}

static void json_text(struct mr_buf *out, const char *name, const char *value)
{
    mr_json_string(out, mr_slice_of(name));
    mr_buf_char(out, ':');
    mr_json_string(out, mr_slice_of(value));
    mr_buf_char(out, ',');
}

static void roles_array(struct mr_buf *out, const struct setting *setting)
{
    mr_buf_text(out, "\"roles\":[");
    if (is_for(setting, MR_RUN_ALL))
        mr_buf_text(out, "\"all\",");
    if (is_for(setting, MR_RUN_API))
        mr_buf_text(out, "\"api\",");
    if (is_for(setting, MR_RUN_SCHEDULER))
        mr_buf_text(out, "\"scheduler\",");
    if (is_for(setting, MR_RUN_MIGRATE))
        mr_buf_text(out, "\"migrate\",");
    out->len--; /* every setting has a role, so there is a comma to take back */
    mr_buf_text(out, "],");
}

void mr_config_print_json(struct mr_buf *out, mr_getenv *get, const struct mr_config_more *more)
{
    struct setting printed;
    const struct setting *setting = &printed;

    for (size_t at = 0; next(&at, more, &printed);) {
        mr_buf_text(out, at == 1 ? "[\n  {" : ",\n  {");
        json_text(out, "name", setting->name);
        mr_buf_text(out, "\"aliases\":[");
        if (setting->alias != NULL)
            mr_json_string(out, mr_slice_of(setting->alias));
        mr_buf_text(out, "],");
        json_text(out, "type", type_names[setting->type]);
        json_text(out, "rule", setting->rule);
        json_text(out, "default", setting->otherwise);
        json_text(out, "value", shown(setting, get));
        roles_array(out, setting);
        mr_buf_printf(out, "\"secret\":%s,", setting->type == SECRET ? "true" : "false");
        mr_buf_text(out, "\"about\":");
        mr_json_string(out, mr_slice_of(setting->about));
        mr_buf_char(out, '}');
    }
    mr_buf_text(out, "\n]\n");
}

void mr_config_print_markdown(struct mr_buf *out, const struct mr_config_more *more)
{
    struct setting printed;
    const struct setting *setting = &printed;

    mr_buf_text(out, "| setting | default | what it takes | what it does |\n|---|---|---|---|\n");
    for (size_t at = 0; next(&at, more, &printed);) {
        mr_buf_printf(out, "| `%s`", setting->name);
        if (setting->alias != NULL)
            mr_buf_printf(out, " (`%s`)", setting->alias);
        mr_buf_printf(out, " | %s%s%s | ", *setting->otherwise ? "`" : "", setting->otherwise, *setting->otherwise ? "`" : "");
        if (setting->type == CHOICE)
            for (const char *c = setting->rule; *c != '\0'; c++)
                mr_buf_text(out, *c == '|' ? ", " : (char[]){*c, '\0'});
        else if (setting->type == TEXT && strcmp(setting->rule, "required") != 0 && *setting->rule != '\0')
            mr_buf_text(out, setting->rule);
        else if (setting->type == TEXT || setting->type == SECRET)
            mr_buf_text(out, type_names[setting->type]);
        else
            mr_buf_printf(out, "%s%s%s", type_names[setting->type], *setting->rule ? " " : "", setting->rule);
        mr_buf_printf(out, " | %s |\n", setting->about);
    }
}

static char *trim(char *text)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static void load_line(char *line)
{
    char *name = trim(line);
    char *equals = strchr(name, '=');
    char *value;
    size_t len;

    if (*name == '#' || equals == NULL)
        return;
    *equals = '\0';
    value = trim(equals + 1);
    len = strlen(value);
    if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
        value[len - 1] = '\0';
        value++;
    }
    setenv(trim(name), value, 0);
}

mr_status mr_config_load_dotenv(const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;

    if (file == NULL)
        return errno == ENOENT ? MR_OK : MR_UNAVAILABLE;
    while (getline(&line, &room, file) >= 0)
        load_line(line);
    free(line);
    fclose(file);
    return MR_OK;
}

bool mr_config_read_secret(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(out, 1, room, file) : 0;
    bool good = file != NULL && !ferror(file) && len > 0 && len < room && memchr(out, '\0', len) == NULL;

    if (file != NULL)
        fclose(file);
    if (!good)
        return false;
    len -= out[len - 1] == '\n';
    len -= len > 0 && out[len - 1] == '\r';
    out[len] = '\0';
    return len > 0;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

static void load_secret(const struct setting *setting, const char *name, struct mr_buf *problems)
{
    char file_name[64];
    char secret[4096];
    const char *path;

    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    path = getenv(file_name);
    if (path == NULL || *path == '\0')
        return;
    if (lookup(setting, environment) != NULL)
        mr_buf_printf(problems, "%s=%s: expected only one of the two, and %s is set as well\n", file_name, path, setting->name);
    else if (!mr_config_read_secret(path, secret, sizeof secret))
        mr_buf_printf(problems, "%s=%s: expected a readable file of text, 1..%zu bytes\n", file_name, path, sizeof secret - 1);
    else if (setenv(setting->name, secret, 1) != 0)
        problems->failed = true;
    explicit_bzero(secret, sizeof secret);
}

mr_status mr_config_load_secrets(enum mr_role_of_process role, struct mr_buf *problems)
{
    size_t before = problems->len;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].type != SECRET || !is_for(&settings[i], role))
            continue;
        load_secret(&settings[i], settings[i].name, problems);
        if (settings[i].alias != NULL)
            load_secret(&settings[i], settings[i].alias, problems);
    }
    if (problems->len != before)
        return MR_INVALID;
    return problems->failed ? MR_NO_MEMORY : MR_OK;
}
