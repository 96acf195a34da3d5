/*
 * sqlfiles: an application's SQL files, cut into statements and migrations. It does not look at the SQL itself.
 */
#ifndef MR_APPLICATION_SQLFILES_H
#define MR_APPLICATION_SQLFILES_H

#include "application/folder.h"
#include "application/model.h"

/*
 * Cuts a file of queries/ at its `-- name: NAME` lines and adds the statements. Such a line always begins a statement, even
 * inside a string. Only comments may stand before the first one.
 */
void mr_cut_statements(struct mr_application *self, const char *file, struct mr_slice text, struct mr_problems *problems);

/* Reads queries/ and sorts the statements by name. A name that occurs twice is a problem. */
void mr_read_statements(struct mr_application *self, struct mr_folder *folder);

/* Reads migrations/NNNN_name.sql: 0001, 0002, ... without a gap. */
void mr_read_migrations(struct mr_application *self, struct mr_folder *folder);

/* Whether a text has more than lines of comments. A migration without is one that `millrace new` has made, and nobody has written yet. */
bool mr_app_has_sql(const char *sql);

#endif
