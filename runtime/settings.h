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
    SET(node_env,                "NODE_ENV",                       NULL,          CHOICE,   "development",        "development|test|production",    "ASMH", "production refuses weak secrets; only development, said explicitly, does without one; all but production read a .env file") \
    SET(app_folder,              "MILLRACE_APP",                   NULL,          TEXT,     "",                   "",                               "ASM",  "folder of the application that is served; unset: the one in the binary, tasks") \
    SET(app_port,                "APP_PORT",                       NULL,          INTEGER,  "3000",               "1..65535",                       "AH",   "port of the API") \
    SET(app_host,                "APP_HOST",                       NULL,          TEXT,     "::",                 "",                               "AH",   "address to listen on; :: is every IPv6 and IPv4 address") \
    SET(app_version,             "APP_VERSION",                    NULL,          TEXT,     "",                   "",                               "A",    "version that health tells when it is a semantic version; else the build's") \
    SET(logging_level,           "LOGGING_LEVEL",                  NULL,          CHOICE,   "info",               "debug|info|warn|error",          "ASM",  "least level that is logged") \
    SET(logging_format,          "LOGGING_FORMAT",                 NULL,          CHOICE,   "json",               "json|pretty",                    "ASM",  "json for machines, pretty for people") \
    SET(log_slow_ms,             "LOG_SLOW_MS",                    NULL,          INTEGER,  "1000",               "0..3600000",                     "A",    "milliseconds past which a request is logged at `warn`, with where the time went; 0: never") \
    SET(cors_allowed_origin,     "CORS_ALLOWED_ORIGIN",            NULL,          TEXT,     "*",                  "",                               "A",    "* or a comma-separated list of origins that browsers may call from") \
    SET(api_docs,                "API_DOCS",                       NULL,          BOOLEAN,  "true",               "",                               "A",    "whether the API documents itself at /apidoc and /openapi.json") \
    SET(jwt_secret,              "JWT_SECRET",                     NULL,          SECRET,   "",                   "",                               "A",    "key of the access tokens, 32 bytes or more; needed, except that `all` makes one of its own outside of production") \
    SET(jwt_secret_previous,     "JWT_SECRET_PREVIOUS",            NULL,          SECRET,   "",                   "",                               "A",    "key before the present one: its tokens are still taken, none is signed with it") \
    SET(jwt_expires_in,          "JWT_EXPIRES_IN",                 NULL,          DURATION, "1h",                 "1s..30d",                        "A",    "life of an access token") \
    SET(refresh_expires_in,      "JWT_REFRESH_EXPIRES_IN",         NULL,          DURATION, "30d",                "1s..365d",                       "A",    "life of a refresh token") \
    SET(refresh_grace,           "JWT_REFRESH_GRACE",              NULL,          DURATION, "10s",                "0s..5m",                         "A",    "how long a spent refresh token still gets the one it was exchanged for: two tabs, a lost answer; 0s: not at all") \
    SET(db_host,                 "DB_HOST",                        NULL,          TEXT,     "",                   "required",                       "ASM",  "PostgreSQL host, or the directory of its Unix socket; `all` without it runs an embedded server") \
    SET(db_port,                 "DB_PORT",                        NULL,          INTEGER,  "5432",               "1..65535",                       "ASM",  "PostgreSQL port") \
    SET(db_user,                 "DB_USER",                        "DB_USERNAME", TEXT,     "postgres",           "",                               "ASM",  "PostgreSQL user") \
    SET(db_pass,                 "DB_PASS",                        "DB_PASSWORD", SECRET,   "",                   "",                               "ASM",  "password of that user") \
    SET(db_database,             "DB_DATABASE",                    NULL,          TEXT,     "millrace",           "",                               "ASM",  "database") \
    SET(db_ssl,                  "DB_SSL",                         NULL,          CHOICE,   "false",              "false|true|require|verify-full", "ASM",  "TLS to PostgreSQL; true is require, verify-full checks the certificate and the name") \
    SET(db_ssl_root_cert,        "DB_SSL_ROOT_CERT",               NULL,          TEXT,     "",                   "",                               "ASM",  "file of the authorities that verify-full trusts; unset: the system's") \
    SET(db_host_read_only,       "DB_HOST_READ_ONLY",              NULL,          TEXT,     "",                   "",                               "A",    "host of a read replica, for the data-reader") \
    SET(db_read_your_writes,     "DB_READ_YOUR_WRITES",            NULL,          DURATION, "2s",                 "0s..1h",                         "A",    "how long after a write of theirs a user's reads go to the primary, when there is a replica") \
    SET(db_replica_max_lag,      "DB_REPLICA_MAX_LAG",             NULL,          DURATION, "10s",                "0s..1h",                         "A",    "how far the replica may be behind: past that it is read from the primary; 0s: however far") \
    SET(db_idle_release,         "DB_IDLE_RELEASE",                NULL,          DURATION, "0s",                 "0s..1d",                         "AS",   "time without work after which the connections are closed, so that the database can sleep; 0s: never") \
    SET(db_connect_timeout,      "DB_CONNECT_TIMEOUT",             NULL,          DURATION, "2s",                 "100ms..30s",                     "ASM",  "longest wait for one connection attempt") \
    SET(db_tcp_timeout,          "DB_TCP_TIMEOUT",                 NULL,          DURATION, "5s",                 "1s..10m",                        "ASM",  "how soon a database host that is gone without a word is noticed: TCP keep-alive and user timeout") \
    SET(db_lock_timeout,         "DB_LOCK_TIMEOUT",                NULL,          DURATION, "3s",                 "10ms..60s",                      "ASM",  "longest wait of a statement for a lock") \
    SET(db_in_flight,            "DB_IN_FLIGHT",                   NULL,          INTEGER,  "16",                 "1..64",                          "A",    "batches of an actor that are under way to a database far off (3 ms and more); 1: one after the other") \
    SET(db_migrations_run,       "DB_MIGRATIONS_RUN",              NULL,          BOOLEAN,  "true",               "",                               "AS",   "whether to run the migrations at start") \
    SET(actor_auth_count,        "ACTOR_AUTH_COUNT",               NULL,          INTEGER,  "1",                  "1..64",                          "A",    "auth actors that hash: the number of passwords hashed at once, 19 MiB each") \
    SET(actor_reader_count,      "ACTOR_DATA_READER_COUNT",        NULL,          INTEGER,  "1",                  "1..64",                          "A",    "data-reader actors; one per two cores serves best") \
    SET(actor_writer_count,      "ACTOR_DATA_WRITER_COUNT",        NULL,          INTEGER,  "1",                  "1..64",                          "A",    "data-writer actors") \
    SET(actor_batch_max,         "ACTOR_BATCH_MAX",                NULL,          INTEGER,  "128",                "1..1024",                        "A",    "messages that one statement answers at most") \
    SET(mailbox_max_messages,    "MAILBOX_MAX_MESSAGES",           NULL,          INTEGER,  "4096",               "1..1000000",                     "A",    "requests under way at one actor; past that 503 at once") \
    SET(mailbox_max_bytes,       "MAILBOX_MAX_BYTES",              NULL,          BYTES,    "16MiB",              "1KiB..1024MiB",                  "A",    "bytes of requests under way at one actor; past that 503 at once") \
    SET(gateway_max_conns,       "GATEWAY_MAX_CONNECTIONS",        NULL,          INTEGER,  "16384",              "1..1000000",                     "A",    "client connections; more wait in the kernel's queue") \
    SET(header_timeout,          "GATEWAY_HEADER_TIMEOUT",         NULL,          DURATION, "10s",                "100ms..10m",                     "A",    "time a client has for the whole head of a request") \
    SET(body_timeout,            "GATEWAY_BODY_TIMEOUT",           NULL,          DURATION, "30s",                "100ms..10m",                     "A",    "time a client has for the whole body; longer as long as it comes fast enough") \
    SET(body_min_rate,           "GATEWAY_BODY_MIN_RATE",          NULL,          BYTES,    "16KiB",              "1KiB..1024MiB",                  "A",    "bytes a second that let a body take longer than GATEWAY_BODY_TIMEOUT") \
    SET(keepalive_timeout,       "GATEWAY_KEEPALIVE_TIMEOUT",      NULL,          DURATION, "65s",                "100ms..1h",                      "A",    "how long an idle connection stays; keep it over the load balancer's") \
    SET(gateway_max_waiting,     "GATEWAY_MAX_WAITING",            NULL,          INTEGER,  "10000",              "0..1000000",                     "A",    "requests that may wait for something to happen (`wait`), without a thread or a connection to the database; past that 503") \
    SET(request_timeout,         "GATEWAY_REQUEST_TIMEOUT",        NULL,          DURATION, "10s",                "100ms..10m",                     "A",    "deadline of a request; past it 504") \
    SET(shutdown_delay,          "SHUTDOWN_DELAY",                 NULL,          DURATION, "0s",                 "0s..10m",                        "A",    "time the port stays open after SIGTERM, for a balancer to notice; part of SHUTDOWN_GRACE: at most three quarters of the time that has before it cancels") \
    SET(shutdown_grace,          "SHUTDOWN_GRACE",                 NULL,          DURATION, "25s",                "1s..10m",                        "AS",   "from SIGTERM to the exit, whatever is at work; what still runs when a fifth of it is left (5 s at most) is cancelled") \
    SET(rate_auth,               "RATE_LIMIT_AUTH_PER_MINUTE",     NULL,          INTEGER,  "20",                 "0..1000000",                     "A",    "requests a minute that one client address may make of the auth routes; 0: no limit") \
    SET(rate_default,            "RATE_LIMIT_PER_MINUTE",          NULL,          INTEGER,  "0",                  "0..1000000",                     "A",    "requests a minute that one user, or one address that is not signed in, may make elsewhere; 0: no limit") \
    SET(trust_proxy_hops,        "TRUST_PROXY_HOPS",               NULL,          INTEGER,  "0",                  "0..16",                          "A",    "proxies in front; the client address is the entry of X-Forwarded-For that many from the right, with 0 that of the connection") \
    SET(cron_cleanup,            "SCHEDULE_TASK_CLEANUP_CRON",     NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `cleanup` runs, e.g. 0 2 * * *; unset: it is not scheduled") \
    SET(cron_aggregate,          "SCHEDULE_TASK_AGGREGATE_CRON",   NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `aggregate` runs") \
    SET(cron_report,             "SCHEDULE_TASK_REPORT_CRON",      NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `report` runs; each tick reports the week before it") \
    SET(cron_maintenance,        "SCHEDULE_TASK_MAINTENANCE_CRON", NULL,          TEXT,     "",                   "cron",                           "S",    "when the job `maintenance` runs") \
    SET(schedule_timezone,       "SCHEDULE_TIMEZONE",              NULL,          TEXT,     "UTC",                "timezone",                       "S",    "time zone of the cron expressions and of the weeks that are reported, by its IANA name") \
    SET(schedule_missed,         "SCHEDULE_MISSED",                NULL,          CHOICE,   "once",               "once|skip|all",                  "S",    "ticks that came while no scheduler ran: one run for all of them, none, or one each for those of the last 24 h") \
    SET(schedule_idle_poll,      "SCHEDULE_IDLE_POLL",             NULL,          DURATION, "0s",                 "0s..1d",                         "S",    "how often a scheduler that let the database sleep looks for runs; 0s: at its next tick only") \
    SET(job_chunk_rows,          "JOB_CHUNK_ROWS",                 NULL,          INTEGER,  "5000",               "1..100000",                      "S",    "rows that a job handles in one transaction at most") \
    SET(job_workers,             "JOB_WORKERS",                    NULL,          INTEGER,  "4",                  "1..64",                          "S",    "jobs that are worked on at once, each by a thread with a connection; when more have work they take turns of a second") \
    SET(job_blocked_max,         "JOB_BLOCKED_MAX",                NULL,          DURATION, "1d",                 "1s..365d",                       "S",    "how long a run waits for a lock, or for a database in trouble, before that counts as a failed attempt") \
    SET(job_run_retention,       "JOB_RUN_RETENTION",              NULL,          DURATION, "14d",                "1h..3650d",                      "S",    "how long the history of runs is kept") \
    SET(audit_retention,         "AUDIT_RETENTION",                NULL,          DURATION, "365d",               "1d..36500d",                     "S",    "how long it is kept who changed what (API keys, roles)") \
    SET(cleanup_completed_after, "CLEANUP_COMPLETED_AFTER",        NULL,          DURATION, "30d",                "0s..3650d",                      "S",    "age past which a completed task is deleted") \
    SET(cleanup_scope,           "CLEANUP_SCOPE",                  NULL,          CHOICE,   "completed",          "completed|all",                  "S",    "all deletes every task, for playgrounds") \
    SET(housekeeping,            "HOUSEKEEPING",                   NULL,          BOOLEAN,  "true",               "",                               "S",    "whether expired tokens, idempotency keys, old runs, old entries of the audit and broken uploads are deleted daily, whatever is scheduled") \
    SET(job_noop,                "JOB_NOOP",                       NULL,          BOOLEAN,  "false",              "",                               "S",    "a job `noop` that does nothing, for measuring") \
    SET(health_socket,           "HEALTH_SOCKET",                  NULL,          TEXT,     "millrace-scheduler", "",                               "SH",   "name, in the abstract name space, of the Unix socket on which a scheduler answers `millrace health`") \
    SET(metrics_emf,             "METRICS_EMF",                    NULL,          BOOLEAN,  "false",              "",                               "AS",   "whether to write metrics once a minute as CloudWatch embedded-metric lines") \
    SET(metrics_environment,     "METRICS_ENVIRONMENT",            NULL,          TEXT,     "",                   "",                               "AS",   "what these lines call the environment, a dimension beside Role; unset: it has none") \
    SET(admin_port,              "ADMIN_PORT",                     NULL,          INTEGER,  "0",                  "0..65535",                       "AS",   "port of /metrics (Prometheus), /livez and /readyz, for those who run the process; 0: none") \
    SET(admin_host,              "ADMIN_HOST",                     NULL,          TEXT,     "127.0.0.1",          "",                               "AS",   "address of that port; nobody is asked who they are there, so keep it from strangers") \
    SET(otel_endpoint,           "OTEL_EXPORTER_OTLP_ENDPOINT",   NULL,          TEXT,     "",                   "url",                            "AS",   "OpenTelemetry collector that spans are sent to, at /v1/traces; unset: there are no traces") \
    SET(otel_traces_endpoint,    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",NULL,          TEXT,     "",                   "url",                            "AS",   "the same for spans alone: the whole URL, to which nothing is added") \
    SET(otel_protocol,           "OTEL_EXPORTER_OTLP_PROTOCOL",   NULL,          CHOICE,   "http/json",          "http/json",                      "AS",   "how spans are sent") \
    SET(otel_headers,            "OTEL_EXPORTER_OTLP_HEADERS",    NULL,          SECRET,   "",                   "headers",                        "AS",   "headers to send along, name=value,name=value, values percent-encoded") \
    SET(otel_certificate,        "OTEL_EXPORTER_OTLP_CERTIFICATE",NULL,          TEXT,     "",                   "",                               "AS",   "file of the authorities that an https collector is trusted by; unset: the system's") \
    SET(otel_timeout,            "OTEL_EXPORTER_OTLP_TIMEOUT",    NULL,          INTEGER,  "10000",              "1..600000",                      "AS",   "milliseconds that the collector may take for a batch") \
    SET(otel_schedule_delay,     "OTEL_BSP_SCHEDULE_DELAY",       NULL,          INTEGER,  "5000",               "1..600000",                      "AS",   "milliseconds after which spans are sent that do not fill a batch") \
    SET(otel_service_name,       "OTEL_SERVICE_NAME",             NULL,          TEXT,     "",                   "",                               "AS",   "service.name of the spans; unset: that of OTEL_RESOURCE_ATTRIBUTES, else millrace") \
    SET(otel_resource_attributes,"OTEL_RESOURCE_ATTRIBUTES",      NULL,          TEXT,     "",                   "attributes",                     "AS",   "attributes of every span, name=value,name=value, values percent-encoded") \
    SET(otel_sampler,            "OTEL_TRACES_SAMPLER",           NULL,          CHOICE,   "parentbased_always_on","always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio","AS",   "which traces are recorded; parentbased does as the caller's traceparent says, if there is one") \
    SET(otel_sampler_arg,        "OTEL_TRACES_SAMPLER_ARG",       NULL,          TEXT,     "1",                  "ratio",                          "AS",   "share of the traces that traceidratio records, 0 to 1") \
    SET(state_dir,               "MILLRACE_STATE_DIR",             NULL,          TEXT,     ".millrace",          "",                               "A",    "where `all` keeps its embedded PostgreSQL and its secret") \
    SET(pg_bin_dir,              "MILLRACE_PG_BIN",                NULL,          TEXT,     "",                   "",                               "AC",   "directory of initdb and postgres for the embedded server; unset: searched for")
/* clang-format on */

#endif
