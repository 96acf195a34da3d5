/*
 * folder: the files of an application, read under bounds.
 *
 * A folder may be anything that somebody mounted. Only regular files are read, and opening never waits for a writer; links are
 * followed (a mounted configuration is made of them), and the kernel ends a loop of them. Files come in the order of their names.
 * One that is packed into the binary (cmake/pack.cmake) is read under the same bounds.
 */
#ifndef MR_APPLICATION_FOLDER_H
#define MR_APPLICATION_FOLDER_H

#include "application/arena.h"
#include "application/problems.h"

enum { MR_FOLDER_FILES = 2000, MR_FOLDER_BYTES = 32 * 1024 * 1024, MR_FOLDER_FILE_BYTES = 1024 * 1024 };

struct mr_packed_file {
    const char *name; /* "resources/product.yaml" */
    const char *text;
};

struct mr_packed {
    const char *name; /* of the application */
    const struct mr_packed_file *files;
    unsigned count;
};

/* The application in the binary, apps/tasks. */
extern const struct mr_packed mr_packed_application;

struct mr_folder {
    const char *path;
    const struct mr_packed *packed; /* in place of what is below `path`; NULL: none */
    struct mr_arena *arena;
    struct mr_problems *problems;
    unsigned files; /* read so far, in all folders below */
    size_t bytes;
};

struct mr_folder_files {
    const char **names; /* "resources/product.yaml" */
    unsigned count;
};

/*
 * Lists the files `below/NAME.extension`; none if there is no such folder. Any other file is a problem, unless it is hidden, an
 * editor's copy (NAME~) or a text for people (NAME.md).
 */
void mr_folder_list(struct mr_folder *self, const char *below, const char *extension, struct mr_folder_files *out);

/* Reads a file into the arena. False: a problem has been added, or the arena has failed. */
bool mr_folder_read(struct mr_folder *self, const char *name, struct mr_slice *out);

#endif
