/*
 * The statements of an application. It may have thousands, of which a connection needs few: each is prepared when it is first
 * needed, by a round trip of its own, so that its failure is nothing but that.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/db_internal.h"

/* Its place among the application's; -1: it is none of them, or this connection does not know them. */
static int place_of(const mr_db *self, const char *statement)
{
    return self->prepared != NULL ? mr_statement_place(statement) : -1;
}

bool mr_db_is_prepared(const mr_db *self, const char *statement)
{
    int place = place_of(self, statement);

    return place < 0 || self->shared || self->prepared[place] == self->serial;
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

mr_status db_prepare(mr_db *self, const char *statement, int64_t deadline_ms)
{
    int place = place_of(self, statement);
    char name[16];
    char *text;
    mr_status status;
    bool sent;

    assert(self->pipeline.count == 0);
    if (place < 0 || self->shared || self->prepared[place] == self->serial)
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
        self->prepared[place] = self->serial;
    return status;
}
