#include "application/scaffold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application/draft.h"
#include "application/read.h"

/* ---- An application ---- */

/* The last part of the folder's path, as a title: "shop" of "./shop/", with a capital. */
static void title_of(char out[MR_WORD_ROOM], const char *folder)
{
    char path[MR_PATH_ROOM];
    size_t length;
    size_t begin;
    size_t kept = 0;

    /* "." and "shop/.." have a name, too. */
    if (realpath(folder, path) == NULL)
        snprintf(path, sizeof path, "%s", folder);
    length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    begin = length;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    for (size_t i = begin; i < length && kept + 1 < MR_WORD_ROOM; i++)
        if ((path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') || (path[i] >= '0' && path[i] <= '9'))
            out[kept++] = path[i];
        else if (kept > 0 && out[kept - 1] != ' ')
            out[kept++] = ' ';
    if (kept > 0 && out[0] >= 'a' && out[0] <= 'z')
        out[0] = (char)(out[0] - 'a' + 'A');
    out[kept] = '\0';
    if (kept == 0)
        snprintf(out, MR_WORD_ROOM, "Application");
}

mr_status mr_scaffold_application(struct mr_scaffold *self)
{
    struct mr_drafts drafts = {.count = 0};
    char title[MR_WORD_ROOM];
    mr_status status = mr_draft_make_folder(self, self->folder);

    if (status != MR_OK)
        return status;
    title_of(title, self->folder);
    mr_buf_printf(mr_draft_file(&drafts, "millrace", "", ".yaml"),
                  "title: '%s'\nversion: 0.1.0\nabout: A backend of tables and SQL\n", title);
    mr_buf_text(mr_draft_file(&drafts, ".gitignore", "", ""),
                "# The database that `millrace dev` keeps, and settings of one machine.\n.millrace/\n.env\n");
    status = mr_drafts_write(self, &drafts);
    if (status == MR_OK)
        mr_buf_printf(
            self->told,
            "next: cd %s, then a resource, such as `millrace new resource product sku:text:unique name:text price:decimal`; "
            "`millrace dev` serves it\n",
            self->folder);
    return status;
}

/* ---- Migrations and jobs ---- */

mr_status mr_scaffold_migration(struct mr_scaffold *self, const char *name)
{
    struct mr_drafts drafts = {.count = 0};
    struct mr_application *application = NULL;
    mr_status status = mr_draft_check_name(self, "migration", name);

    if (status == MR_OK)
        status = mr_drafts_load_first(self, &application);
    if (status != MR_OK)
        return status;
    mr_buf_printf(
        mr_draft_migration(&drafts, application, name),
        "-- %s. One transaction; what the release before uses has to stay: add here, and remove with the release after.\n",
        name);
    mr_application_destroy(&application);
    status = mr_drafts_write(self, &drafts);
    if (status == MR_OK)
        mr_buf_text(self->told, "next: write its SQL, then `millrace check`; once it has been applied it stays as it is\n");
    return status;
}

mr_status mr_scaffold_job(struct mr_scaffold *self, const char *name)
{
    struct mr_drafts drafts = {.count = 0};
    struct mr_application *application = NULL;
    mr_status status = mr_draft_check_name(self, "job", name);

    if (status == MR_OK)
        status = mr_drafts_load_first(self, &application);
    if (status != MR_OK)
        return status;
    mr_application_destroy(&application);
    mr_buf_printf(mr_draft_file(&drafts, "jobs/", name, ".yaml"),
                  "%s:\n"
                  "  work: sql\n"
                  "  statements: [%s]\n"
                  "  exclusive: true\n"
                  "  # cron: 0 3 * * *     when a run begins by itself; without it an administrator starts each\n",
                  name, name);
    mr_buf_printf(mr_draft_file(&drafts, "queries/", name, ".sql"),
                  "-- name: %s\n"
                  "-- One chunk: at most k.most rows, from k.cursor on. It is run again, with the cursor that it answers, "
                  "while there is more.\n"
                  "WITH {{chunk}}\n"
                  "SELECT 0 AS rows, NULL::text AS cursor, false AS more\n"
                  "  FROM k;\n",
                  name);
    status = mr_drafts_write(self, &drafts);
    if (status == MR_OK)
        mr_buf_printf(self->told, "next: write the statement in queries/%s.sql and say `cron`, then `millrace check`\n", name);
    return status;
}
