/*
 * settings: every environment variable that Millrace reads, in one table.
 *
 * It drives parsing, ranges, defaults, the roles that need a setting, `millrace config` and the documentation.
 *
 *   type      rule                         value in struct mr_config
 *   INTEGER   "least..most"                int64_t
 *   BYTES     "least..most"                int64_t, bytes; KiB and MiB may follow the number
 *   DURATION  "least..most"                int64_t, milliseconds; ms, s, m, h, d may follow, s when none does
 *   BOOLEAN   ""                           bool
 *   CHOICE    "one|of|these"               const char *
 *   TEXT      "", "required", or the name    const char *, "" when unset
 *             of a check that a caller of
 *             mr_config_read brings along
 *   SECRET    as TEXT                      const char *; never printed
 *
 * Roles: A api, S scheduler, M migrate, H health; `all` is A and S together. A role ignores what is not for it.
 */
#ifndef MR_RUNTIME_SETTINGS_H
#define MR_RUNTIME_SETTINGS_H

/* clang-format off */
#define MR_SETTINGS(SET) \
    /*  member                   name                              alias          type      default               rule                              roles   about */ \
    SET(node_env,                "NODE_ENV",                       NULL,          CHOICE,   "development",        "development|test|production",    "ASMH", "production refuses weak secrets; `api` starts without a secret only when this is set to development; all but production read a .env file") \
    SET(app_folder,              "MILLRACE_APP",                   NULL,          TEXT,     "",                   "",                               "ASM",  "folder of the application to serve; unset: the one in the binary, tasks") \
    SET(app_port,                "APP_PORT",                       NULL,          INTEGER,  "3000",               "1..65535",                       "AH",   "port of the API") \
    SET(app_host,                "APP_HOST",                       NULL,          TEXT,     "::",                 "",                               "AH",   "address to listen on; :: is every IPv6 and IPv4 address") \
    SET(app_version,             "APP_VERSION",                    NULL,          TEXT,     "",                   "",                               "A",    "version that /v1/health reports if it is valid SemVer; otherwise it reports the build's") \
    SET(logging_level,           "LOGGING_LEVEL",                  NULL,          CHOICE,   "info",               "debug|info|warn|error",          "ASM",  "lowest level that is logged") \
    SET(logging_format,          "LOGGING_FORMAT",                 NULL,          CHOICE,   "json",               "json|pretty",                    "ASM",  "json for machines, pretty for people") \
    SET(log_slow_ms,             "LOG_SLOW_MS",                    NULL,          INTEGER,  "1000",               "0..3600000",                     "A",    "milliseconds after which a request is logged at `warn`, with where its time went; 0: never") \
    SET(cors_allowed_origin,     "CORS_ALLOWED_ORIGIN",            NULL,          TEXT,     "*",                  "",                               "A",    "* or a comma-separated list of origins that browsers may call from") \
    SET(api_docs,                "API_DOCS",                       NULL,          BOOLEAN,  "true",               "",                               "A",    "whether the API documents itself at /apidoc and /openapi.json") \
    SET(jwt_secret,              "JWT_SECRET",                     NULL,          SECRET,   "",                   "",                               "A",    "key that signs access tokens, 32 bytes or more; required, except that `all` makes its own outside production") \
    SET(jwt_secret_previous,     "JWT_SECRET_PREVIOUS",            NULL,          SECRET,   "",                   "",                               "A",    "the previous key: tokens signed with it are still accepted, none is signed with it") \
    SET(jwt_expires_in,          "JWT_EXPIRES_IN",                 NULL,          DURATION, "1h",                 "1s..30d",                        "A",    "lifetime of an access token") \
    SET(refresh_expires_in,      "JWT_REFRESH_EXPIRES_IN",         NULL,          DURATION, "30d",                "1s..365d",                       "A",    "lifetime of a refresh token") \
    SET(refresh_grace,           "JWT_REFRESH_GRACE",              NULL,          DURATION, "10s",                "0s..5m",                         "A",    "how long a spent refresh token still gets its successor again (two tabs, a lost answer); 0s: not at all") \
    SET(db_host,                 "DB_HOST",                        NULL,          TEXT,     "",                   "required",                       "ASM",  "PostgreSQL host, or the directory of its Unix socket; `all` without it runs an embedded server") \
    SET(db_port,                 "DB_PORT",                        NULL,          INTEGER,  "5432",               "1..65535",                       "ASM",  "PostgreSQL port") \
    SET(db_user,                 "DB_USER",                        "DB_USERNAME", TEXT,     "postgres",           "",                               "ASM",  "PostgreSQL user") \
    SET(db_pass,                 "DB_PASS",                        "DB_PASSWORD", SECRET,   "",                   "",                               "ASM",  "password of that user") \
    SET(db_database,             "DB_DATABASE",                    NULL,          TEXT,     "millrace",           "",                               "ASM",  "database") \
    SET(db_ssl,                  "DB_SSL",                         NULL,          CHOICE,   "false",              "false|true|require|verify-full", "ASM",  "TLS to PostgreSQL; true is require, verify-full checks the certificate and the name") \
    SET(db_ssl_root_cert,        "DB_SSL_ROOT_CERT",               NULL,          TEXT,     "",                   "",                               "ASM",  "file of the authorities that verify-full trusts; unset: the system's") \
    SET(db_host_read_only,       "DB_HOST_READ_ONLY",              NULL,          TEXT,     "",                   "",                               "A",    "host of a read replica, for the data-reader") \
    SET(db_read_your_writes,     "DB_READ_YOUR_WRITES",            NULL,          DURATION, "2s",                 "0s..1h",                         "A",    "how long a user's reads go to the primary after that user wrote, when there is a replica") \
    SET(db_replica_max_lag,      "DB_REPLICA_MAX_LAG",             NULL,          DURATION, "10s",                "0s..1h",                         "A",    "how far the replica may lag: beyond that, reads go to the primary; 0s: no limit") \
    SET(db_idle_release,         "DB_IDLE_RELEASE",                NULL,          DURATION, "0s",                 "0s..1d",                         "AS",   "time without work after which connections are closed, so that the database can sleep; 0s: never") \
    SET(db_connect_timeout,      "DB_CONNECT_TIMEOUT",             NULL,          DURATION, "2s",                 "100ms..30s",                     "ASM",  "longest wait for one connection attempt") \
    SET(db_tcp_timeout,          "DB_TCP_TIMEOUT",                 NULL,          DURATION, "5s",                 "1s..10m",                        "ASM",  "time after which a vanished database host is noticed: TCP keep-alive and user timeout") \
    SET(db_lock_timeout,         "DB_LOCK_TIMEOUT",                NULL,          DURATION, "3s",                 "10ms..60s",                      "ASM",  "longest wait of a statement for a lock") \
    SET(db_in_flight,            "DB_IN_FLIGHT",                   NULL,          INTEGER,  "16",                 "1..64",                          "A",    "batches that an actor has under way to a distant database (round trip of 3 ms or more); 1: one after the other") \
    SET(db_migrations_run,       "DB_MIGRATIONS_RUN",              NULL,          BOOLEAN,  "true",               "",                               "AS",   "whether to run the migrations at start") \
    SET(actor_auth_count,        "ACTOR_AUTH_COUNT",               NULL,          INTEGER,  "1",                  "1..64",                          "A",    "auth actors that hash: the number of passwords hashed at once, 19 MiB each") \
    SET(actor_reader_count,      "ACTOR_DATA_READER_COUNT",        NULL,          INTEGER,  "1",                  "1..64",                          "A",    "data-reader actors; one for every two cores works best") \
    SET(actor_writer_count,      "ACTOR_DATA_WRITER_COUNT",        NULL,          INTEGER,  "1",                  "1..64",                          "A",    "data-writer actors") \
    SET(actor_batch_max,         "ACTOR_BATCH_MAX",                NULL,          INTEGER,  "128",                "1..1024",                        "A",    "most messages that one statement answers") \
    SET(mailbox_max_messages,    "MAILBOX_MAX_MESSAGES",           NULL,          INTEGER,  "4096",               "1..1000000",                     "A",    "most requests under way at one actor; more are 503 at once") \
    SET(mailbox_max_bytes,       "MAILBOX_MAX_BYTES",              NULL,          BYTES,    "16MiB",              "1KiB..1024MiB",                  "A",    "most bytes of requests under way at one actor; more are 503 at once") \
    SET(gateway_max_conns,       "GATEWAY_MAX_CONNECTIONS",        NULL,          INTEGER,  "16384",              "1..1000000",                     "A",    "most client connections; more wait in the kernel's queue") \
    SET(header_timeout,          "GATEWAY_HEADER_TIMEOUT",         NULL,          DURATION, "10s",                "100ms..10m",                     "A",    "time a client has for the whole head of a request") \
    SET(body_timeout,            "GATEWAY_BODY_TIMEOUT",           NULL,          DURATION, "30s",                "100ms..10m",                     "A",    "time a client has for the whole body, unless it keeps up GATEWAY_BODY_MIN_RATE") \
    SET(body_min_rate,           "GATEWAY_BODY_MIN_RATE",          NULL,          BYTES,    "16KiB",              "1KiB..1024MiB",                  "A",    "bytes a second at which a body may take longer than GATEWAY_BODY_TIMEOUT") \
    SET(keepalive_timeout,       "GATEWAY_KEEPALIVE_TIMEOUT",      NULL,          DURATION, "65s",                "100ms..1h",                      "A",    "how long an idle connection stays open; keep it above the load balancer's") \
    SET(gateway_max_waiting,     "GATEWAY_MAX_WAITING",            NULL,          INTEGER,  "10000",              "0..1000000",                     "A",    "most requests that may wait for something to happen (`wait`), without a thread or a connection to the database; more are 503 at once") \
    SET(request_timeout,         "GATEWAY_REQUEST_TIMEOUT",        NULL,          DURATION, "10s",                "100ms..10m",                     "A",    "deadline of a request; then it is answered 504") \
    SET(shutdown_delay,          "SHUTDOWN_DELAY",                 NULL,          DURATION, "0s",                 "0s..10m",                        "A",    "time the port stays open after SIGTERM, for a balancer to notice; it counts towards SHUTDOWN_GRACE and takes at most three quarters of the time before the cancelling") \
    SET(shutdown_grace,          "SHUTDOWN_GRACE",                 NULL,          DURATION, "25s",                "1s..10m",                        "AS",   "longest time from SIGTERM to the exit; what still runs when a fifth of it is left (5 s at most) is cancelled") \
    SET(rate_auth,               "RATE_LIMIT_AUTH_PER_MINUTE",     NULL,          INTEGER,  "20",                 "0..1000000",                     "A",    "requests a minute that one client address may send to the auth routes; 0: no limit") \
    SET(rate_default,            "RATE_LIMIT_PER_MINUTE",          NULL,          INTEGER,  "0",                  "0..1000000",                     "A",    "requests a minute that one user, or one address that is not signed in, may send elsewhere; 0: no limit") \
    SET(trust_proxy_hops,        "TRUST_PROXY_HOPS",               NULL,          INTEGER,  "0",                  "0..16",                          "A",    "proxies in front: the client's address is the entry of X-Forwarded-For that many from the right; 0: the connection's address") \
    SET(cron_cleanup,            "SCHEDULE_TASK_CLEANUP_CRON",     NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `cleanup` runs, e.g. 0 2 * * *; unset: not scheduled") \
    SET(cron_maintenance,        "SCHEDULE_TASK_MAINTENANCE_CRON", NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `maintenance` runs") \
    SET(schedule_timezone,       "SCHEDULE_TIMEZONE",              NULL,          TEXT,     "UTC",                "timezone",                       "S",    "time zone of cron expressions and of reported weeks, by its IANA name") \
    SET(schedule_missed,         "SCHEDULE_MISSED",                NULL,          CHOICE,   "once",               "once|skip|all",                  "S",    "what happens to ticks while no scheduler runs, or while the job is paused: one run for all of them, none, or one each for those of the last 24 h") \
    SET(schedule_idle_poll,      "SCHEDULE_IDLE_POLL",             NULL,          DURATION, "0s",                 "0s..1d",                         "S",    "how often a scheduler looks for runs after it let the database sleep; 0s: at its next tick only") \
    SET(job_chunk_rows,          "JOB_CHUNK_ROWS",                 NULL,          INTEGER,  "5000",               "1..100000",                      "S",    "most rows that a job handles in one transaction") \
    SET(job_workers,             "JOB_WORKERS",                    NULL,          INTEGER,  "4",                  "1..64",                          "S",    "sql jobs that a process works on at once, each by a thread with a connection; when more have work, they take turns of a second") \
    SET(job_blocked_max,         "JOB_BLOCKED_MAX",                NULL,          DURATION, "1d",                 "1s..365d",                       "S",    "how long a run may wait for a lock, or for a database in trouble, before that counts as a failed attempt") \
    SET(job_run_retention,       "JOB_RUN_RETENTION",              NULL,          DURATION, "14d",                "1h..3650d",                      "S",    "how long the history of runs is kept") \
    SET(audit_retention,         "AUDIT_RETENTION",                NULL,          DURATION, "365d",               "1d..36500d",                     "S",    "how long the audit log (who changed API keys and roles) is kept") \
    SET(housekeeping,            "HOUSEKEEPING",                   NULL,          BOOLEAN,  "true",               "",                               "S",    "whether expired tokens, idempotency keys, old runs, old audit entries and broken uploads are deleted daily, even if nothing is scheduled") \
    SET(push_in_flight,          "PUSH_IN_FLIGHT",                 NULL,          INTEGER,  "1000",               "1..10000",                       "S",    "most calls of push jobs that a process has at once: under way, or with an outcome that is not stored yet") \
    SET(push_per_host,           "PUSH_PER_HOST",                  NULL,          INTEGER,  "100",                "1..10000",                       "S",    "most of these calls to one receiver (scheme, host and port); a receiver that leaves calls unanswered gets fewer for a while") \
    SET(push_allow_private,      "PUSH_ALLOW_PRIVATE",             NULL,          BOOLEAN,  "false",              "",                               "S",    "whether push jobs may call addresses outside the public internet: private, loopback, link-local and the like") \
    SET(push_certificate,        "PUSH_CERTIFICATE",               NULL,          TEXT,     "",                   "",                               "S",    "file of the authorities trusted for https receivers; unset: the system's") \
    SET(job_noop,                "JOB_NOOP",                       NULL,          BOOLEAN,  "false",              "",                               "S",    "whether there is a job `noop`, which does nothing, for measuring") \
    SET(health_socket,           "HEALTH_SOCKET",                  NULL,          TEXT,     "millrace-scheduler", "",                               "SH",   "name of the abstract Unix socket on which a scheduler answers `millrace health`") \
    SET(metrics_emf,             "METRICS_EMF",                    NULL,          BOOLEAN,  "false",              "",                               "AS",   "whether to write metrics once a minute as CloudWatch embedded-metric lines") \
    SET(metrics_environment,     "METRICS_ENVIRONMENT",            NULL,          TEXT,     "",                   "",                               "AS",   "the environment's name in these lines, a dimension beside Role; unset: none") \
    SET(admin_port,              "ADMIN_PORT",                     NULL,          INTEGER,  "0",                  "0..65535",                       "AS",   "port of /metrics (Prometheus), /livez and /readyz, for operators; 0: none") \
    SET(admin_host,              "ADMIN_HOST",                     NULL,          TEXT,     "127.0.0.1",          "",                               "AS",   "address of that port; it asks for no credentials, so keep it private") \
    SET(otel_endpoint,           "OTEL_EXPORTER_OTLP_ENDPOINT",   NULL,          TEXT,     "",                   "url",                            "AS",   "OpenTelemetry collector that gets the spans, at /v1/traces; unset: no traces") \
    SET(otel_traces_endpoint,    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",NULL,          TEXT,     "",                   "url",                            "AS",   "the same for spans only: the whole URL, used as it is") \
    SET(otel_protocol,           "OTEL_EXPORTER_OTLP_PROTOCOL",   NULL,          CHOICE,   "http/json",          "http/json",                      "AS",   "how spans are sent") \
    SET(otel_headers,            "OTEL_EXPORTER_OTLP_HEADERS",    NULL,          SECRET,   "",                   "headers",                        "AS",   "headers to send, name=value,name=value, values percent-encoded") \
    SET(otel_certificate,        "OTEL_EXPORTER_OTLP_CERTIFICATE",NULL,          TEXT,     "",                   "",                               "AS",   "file of the authorities trusted for an https collector; unset: the system's") \
    SET(otel_timeout,            "OTEL_EXPORTER_OTLP_TIMEOUT",    NULL,          INTEGER,  "10000",              "1..600000",                      "AS",   "milliseconds after which sending a batch times out") \
    SET(otel_schedule_delay,     "OTEL_BSP_SCHEDULE_DELAY",       NULL,          INTEGER,  "5000",               "1..600000",                      "AS",   "milliseconds after which a batch is sent even if it is not full") \
    SET(otel_service_name,       "OTEL_SERVICE_NAME",             NULL,          TEXT,     "",                   "",                               "AS",   "service.name of the spans; unset: that of OTEL_RESOURCE_ATTRIBUTES, else millrace") \
    SET(otel_resource_attributes,"OTEL_RESOURCE_ATTRIBUTES",      NULL,          TEXT,     "",                   "attributes",                     "AS",   "attributes of every span, name=value,name=value, values percent-encoded") \
    SET(otel_sampler,            "OTEL_TRACES_SAMPLER",           NULL,          CHOICE,   "parentbased_always_on","always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio","AS",   "which traces are recorded; parentbased follows the caller's traceparent, if there is one") \
    SET(otel_sampler_arg,        "OTEL_TRACES_SAMPLER_ARG",       NULL,          TEXT,     "1",                  "ratio",                          "AS",   "share of the traces that traceidratio records, 0 to 1") \
    SET(state_dir,               "MILLRACE_STATE_DIR",             NULL,          TEXT,     ".millrace",          "",                               "A",    "where `all` keeps its embedded PostgreSQL and its secret") \
    SET(pg_bin_dir,              "MILLRACE_PG_BIN",                NULL,          TEXT,     "",                   "",                               "AC",   "directory of initdb and postgres for the embedded server; unset: searched for")
/* clang-format on */

#endif
