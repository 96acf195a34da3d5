/*
 * Statements that are prepared when they are first needed, by a round trip of its own, so that a failure is nothing but that.
 *
 * Those of an application, always: it may have thousands, of which a connection needs few. And the connection's own on its first
 * connection, if it is unhurried: a process is ready sooner, and what its actors do not need at once they prepare when they have
 * nothing to do. That the tables are there was seen by whoever has looked at the migrations just before; without such a look, and on
 * a connection that is made anew, all are prepared at connect, which keeps one from standing that lacks what its statements need.
 * A standby may be behind the migrations.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/db_internal.h"
#include "runtime/needs.h"

/* Its place among the application's; -1: it is none of them, or this connection does not know them. */
static int place_of(const mr_db *self, const char *statement)
{
    return self->prepared != NULL ? mr_statement_place(statement) : -1;
}

/* Its place among the connection's own, if it is owed; -1: it is prepared, or none of them. */
static int owed_place(const mr_db *self, const char *statement)
{
    for (int i = 0; self->owed > 0 && self->statements[i] != NULL; i++)
        if (!self->done[i] && strcmp(self->statements[i]->name, statement) == 0)
            return i;
    return -1;
}

unsigned db_statement_count(const mr_db *self)
{
    unsigned count = 0;

    while (self->statements != NULL && self->statements[count] != NULL)
        count++;
    return count;
}

bool db_may_owe(mr_db *self)
{
    bool may =
        self->options.unhurried && self->serial == 0 && !self->shared && !self->options.standby && mr_needs_are_migrated();

    self->owed = may ? db_statement_count(self) : 0;
    return may;
}

bool mr_db_owes(const mr_db *self)
{
    return self->conn != NULL && self->owed > 0;
}

bool mr_db_is_prepared(const mr_db *self, const char *statement)
{
    int place = place_of(self, statement);

    if (self->shared)
        return true;
    return place >= 0 ? self->prepared[place] == self->serial : owed_place(self, statement) < 0;
}

const char *db_prepared_name(const mr_db *self, const char *statement, char room[16])
{
    int place = place_of(self, statement);

    if (place < 0)
        return statement;
    snprintf(room, 16, "a%d", place);
    return room;
}

char *db_statement_text(const mr_db *self, const char *statement)
{
    const struct mr_statement *const *s = self->statements;
    int place = place_of(self, statement);
    unsigned count;

    if (place >= 0)
        return mr_statement_text(&mr_statements_installed(&count)[place]);
    while (strcmp((*s)->name, statement) != 0)
        s++;
    return mr_statement_text(*s);
}

static void note_prepared(mr_db *self, const char *statement)
{
    int place = place_of(self, statement);

    if (place >= 0) {
        self->prepared[place] = self->serial;
        return;
    }
    self->done[owed_place(self, statement)] = true;
    self->owed--;
}

mr_status db_prepare(mr_db *self, const char *statement, int64_t deadline_ms)
{
    char name[16];
    char *text;
    mr_status status;
    bool sent;

    assert(self->pipeline.count == 0);
    if (mr_db_is_prepared(self, statement))
        return MR_OK;
    text = db_statement_text(self, statement);
    if (text == NULL)
        return db_fail(self, MR_NO_MEMORY, true, "", "out of memory");
    sent = PQsendPrepare(self->conn, db_prepared_name(self, statement, name), text, 0, NULL) == 1;
    free(text);
    if (!sent)
        return db_fail_lost(self, PQerrorMessage(self->conn));
    status = db_take_results(self, deadline_ms + DB_LATE_MS, NULL);
    if (status == MR_OK)
        note_prepared(self, statement);
    return status;
}

mr_status mr_db_prepare(mr_db *self, const char *const *statements, int64_t deadline_ms)
{
    mr_status status = db_begin(self, deadline_ms);

    for (; *statements != NULL && status == MR_OK; statements++)
        status = db_prepare(self, *statements, deadline_ms);
    return status;
}

static mr_status fail_owed(mr_db *self, mr_status status)
{
    self->error.lost = true;
    self->error.trouble = db_trouble_of(self->error.sqlstate);
    db_drop(self);
    return status;
}

mr_status mr_db_prepare_next(mr_db *self, int64_t deadline_ms)
{
    mr_status status = db_begin(self, deadline_ms);

    for (unsigned i = 0; status == MR_OK && self->owed > 0 && self->statements[i] != NULL; i++)
        if (!self->done[i]) {
            status = db_prepare(self, self->statements[i]->name, deadline_ms);
            return status == MR_OK ? MR_OK : fail_owed(self, status);
        }
    return status;
}
