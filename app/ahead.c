#include "app/ahead.h"

#include "runtime/migrate.h"
#include "runtime/thread.h"

static mr_db *db; /* the thread's until it is joined */
static mr_thread *thread;

static void attempt(mr_thread *self, void *nothing)
{
    (void)nothing;
    mr_thread_ready(self);
    (void)!mr_db_connect(db); /* whoever takes it tries again, and tells */
}

void mr_ahead_begin(const struct mr_config *config)
{
    if (!config->db_migrations_run || config->db_host[0] == '\0' || mr_migrate_db(&db, config, &mr_system_clock) != MR_OK)
        return;
    thread = mr_thread_begin("ahead", attempt, NULL);
    if (thread == NULL)
        mr_db_destroy(&db);
}

void mr_ahead_await(void)
{
    if (thread == NULL)
        return;
    mr_thread_await(thread);
    mr_thread_stop(&thread);
}

mr_db *mr_ahead_take(void)
{
    mr_db *taken = db;

    db = NULL;
    return taken;
}
