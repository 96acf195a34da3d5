/*
 * ops: THE MAP. Every operation of Millrace is one row here.
 *
 * HTTP in -> message -> actor -> answer. The row names who may call it, the status of success and what
 * handles it: SQL, the statement of the message's name in sql/queries/; CODE, on_<message>() in the actor.
 * Its fields and everything else that varies stand in proto/messages/.
 *
 * The rows expand into the enum below, the gateway's routes, the actors' dispatch and the documentation.
 */
#ifndef MR_PROTO_OPS_H
#define MR_PROTO_OPS_H

/* clang-format off */
#define MR_OPS(OP)                                                                                          \
    /* verb    path                               message             actor        access    ok   handler */  \
    OP(POST,   "/v1/auth/register",               register,           AUTH,        PUBLIC,   200, CODE)     \
    OP(POST,   "/v1/auth/signin",                 sign_in,            AUTH,        PUBLIC,   200, CODE)     \
    OP(POST,   "/v1/auth/refresh",                refresh,            AUTH,        PUBLIC,   200, CODE)     \
    OP(POST,   "/v1/auth/signout",                sign_out,           AUTH,        OPTIONAL, 204, CODE)     \
    OP(GET,    "/v1/users/profile",               profile_get,        DATA_READER, USER,     200, SQL)      \
    OP(PATCH,  "/v1/users/profile",               profile_update,     DATA_WRITER, USER,     200, SQL)      \
    OP(DELETE, "/v1/users/profile",               profile_delete,     DATA_WRITER, USER,     204, SQL)      \
    OP(POST,   "/v1/users/password",              password_change,    AUTH,        USER,     204, CODE)     \
    OP(POST,   "/v1/api-keys",                    api_key_create,     AUTH,        ADMIN,    201, CODE)     \
    OP(GET,    "/v1/api-keys",                    api_key_list,       DATA_READER, ADMIN,    200, SQL)      \
    OP(GET,    "/v1/api-keys/:keyId",             api_key_get,        DATA_READER, ADMIN,    200, SQL)      \
    OP(DELETE, "/v1/api-keys/:keyId",             api_key_delete,     DATA_WRITER, ADMIN,    204, SQL)      \
    OP(GET,    "/v1/audit",                       audit_list,         DATA_READER, ADMIN,    200, SQL)      \
    OP(GET,    "/v1/jobs",                        job_list,           DATA_READER, ADMIN,    200, SQL)      \
    OP(GET,    "/v1/jobs/:job",                   job_get,            DATA_READER, ADMIN,    200, SQL)      \
    OP(PUT,    "/v1/jobs/:job",                   job_put,            DATA_WRITER, ADMIN,    200, SQL)      \
    OP(PATCH,  "/v1/jobs/:job",                   job_update,         DATA_WRITER, ADMIN,    200, SQL)      \
    OP(DELETE, "/v1/jobs/:job",                   job_delete,         DATA_WRITER, ADMIN,    204, SQL)      \
    OP(POST,   "/v1/jobs/:job/pause",             job_pause,          DATA_WRITER, ADMIN,    200, SQL)      \
    OP(POST,   "/v1/jobs/:job/resume",            job_resume,         DATA_WRITER, ADMIN,    200, SQL)      \
    OP(GET,    "/v1/jobs/:job/runs",              job_run_list,       DATA_READER, ADMIN,    200, SQL)      \
    OP(POST,   "/v1/jobs/:job/runs",              job_run_create,     DATA_WRITER, ADMIN,    202, SQL)      \
    OP(GET,    "/v1/job-runs",                    job_run_search,     DATA_READER, ADMIN,    200, SQL)      \
    OP(POST,   "/v1/job-runs/retry",              job_runs_retry,     DATA_WRITER, ADMIN,    202, SQL)      \
    OP(POST,   "/v1/job-runs/cancel",             job_runs_cancel,    DATA_WRITER, ADMIN,    202, SQL)      \
    OP(POST,   "/v1/job-runs/delete",             job_runs_delete,    DATA_WRITER, ADMIN,    202, SQL)      \
    OP(GET,    "/v1/job-runs/:runId",             job_run_get,        DATA_READER, USER,     200, SQL)      \
    OP(GET,    "/v1/job-runs/:runId/attempts",    job_run_attempts,   DATA_READER, ADMIN,    200, SQL)      \
    OP(POST,   "/v1/job-runs/:runId/retry",       job_run_retry,      DATA_WRITER, ADMIN,    202, SQL)      \
    OP(POST,   "/v1/job-runs/:runId/cancel",      job_run_cancel,     DATA_WRITER, USER,     202, SQL)      \
    OP(POST,   "/v1/jobs/:job/claims",            run_claim,          WORK,        ADMIN,    200, CODE)     \
    OP(POST,   "/v1/job-runs/outcomes",           run_outcomes,       WORK,        ADMIN,    200, CODE)     \
    OP(GET,    "/v1/health",                      health,             GATEWAY,     PUBLIC,   200, CODE)     \
    OP(GET,    "/livez",                          livez,              GATEWAY,     PUBLIC,   200, CODE)     \
    OP(GET,    "/readyz",                         readyz,             GATEWAY,     PUBLIC,   200, CODE)     \
    OP(GET,    "/openapi.json",                   openapi,            GATEWAY,     PUBLIC,   200, CODE)     \
    OP(GET,    "/apidoc",                         apidoc,             GATEWAY,     PUBLIC,   200, CODE)     \
    OP(GET,    "/apidoc/:file",                   apidoc_file,        GATEWAY,     PUBLIC,   200, CODE)     \
    OP(NONE,   NULL,                              db_ping,            AUTH,        INTERNAL, 200, SQL)      \
    OP(NONE,   NULL,                              key_verify,         AUTH,        INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              cache_stale,        GATEWAY,     INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              run_release,        WORK,        INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              run_watch,          WORK,        INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              work_ready,         GATEWAY,     INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              runs_ended,         GATEWAY,     INTERNAL, 200, CODE)     \
    OP(NONE,   NULL,                              import_part,        DATA_WRITER, INTERNAL, 200, SQL)      \
    OP(NONE,   NULL,                              import_drop,        DATA_WRITER, INTERNAL, 200, SQL)      \
    OP(NONE,   NULL,                              import_beat,        DATA_WRITER, INTERNAL, 200, SQL)      \
    OP(NONE,   NULL,                              run_due,            JOB,         INTERNAL, 200, CODE)

/* Another way to the same row, with a name of its own for the documentation. */
#define MR_ALIASES(ALIAS)                                                               \
    /*     verb   path                 message         name    */                       \
    ALIAS(GET,   "/health",            health,         health_short)                    \
    ALIAS(GET,   "/apidoc-json",       openapi,        openapi_alias)

/* What the documentation says of a group of operations: those whose paths go on behind /v1/ with its name, or not at all. */
#define MR_GROUPS(GROUP)                                                                \
    GROUP("auth",     "Registration, sign-in and sessions")                             \
    GROUP("users",    "The caller's own account")                                       \
    GROUP("api-keys", "Keys of programs, for administrators")                           \
    GROUP("audit",    "Who changed what, for administrators")                           \
    GROUP("jobs",     "Background jobs and their schedules, for administrators")        \
    GROUP("job-runs", "Runs of background jobs, imports among them")                    \
    GROUP("health",   "Whether the service works")                                      \
    GROUP("system",   "Probes, and this documentation")

/*         name         thread name,    database */
#define MR_ACTORS(ACTOR)                                                                \
    ACTOR(GATEWAY,     "gateway",      NONE)                                            \
    ACTOR(AUTH,        "auth",         PRIMARY)                                         \
    ACTOR(DATA_READER, "data-reader",  REPLICA)                                         \
    ACTOR(DATA_WRITER, "data-writer",  PRIMARY)                                         \
    ACTOR(WORK,        "work",         PRIMARY)                                         \
    ACTOR(SCHEDULER,   "scheduler",    PRIMARY)                                         \
    ACTOR(JOB,         "job",          PRIMARY) /* workers: JOB_WORKERS of them */

#define MR_VERBS(VERB) VERB(NONE) VERB(GET) VERB(POST) VERB(PUT) VERB(PATCH) VERB(DELETE)
/* clang-format on */

enum mr_op {
#define OP(verb, path, message, actor, access, ok, handler) MR_OP_##message,
    MR_OPS(OP)
#undef OP
        MR_OP_COUNT, /* those of an application that was installed follow: proto/message.h */
    MR_OP_NONE = 65535
};

enum mr_actor_id {
#define ACTOR(name, thread, database) MR_ACTOR_##name,
    MR_ACTORS(ACTOR)
#undef ACTOR
        MR_ACTOR_COUNT
};

enum mr_verb {
#define VERB(name) MR_VERB_##name,
    MR_VERBS(VERB)
#undef VERB
        MR_VERB_COUNT
};

/*
 * Who may call an operation: anyone; a signed-in user or whoever has the message's credential (struct mr_traits); a
 * signed-in user; an administrator; or only Millrace itself.
 */
enum mr_access { MR_ACCESS_PUBLIC, MR_ACCESS_OPTIONAL, MR_ACCESS_USER, MR_ACCESS_ADMIN, MR_ACCESS_INTERNAL };

/* What answers: a named statement, or a C function on the same batch. */
enum mr_handler { MR_BY_SQL, MR_BY_CODE };

/* Which server an actor's connection goes to: none, the primary, or DB_HOST_READ_ONLY when it is set. */
enum mr_database { MR_DATABASE_NONE, MR_DATABASE_PRIMARY, MR_DATABASE_REPLICA };

#endif
