/*
 * folder: an application of a test's own, in a temporary directory.
 */
#ifndef MR_TESTS_SUPPORT_FOLDER_H
#define MR_TESTS_SUPPORT_FOLDER_H

#include "application/load.h"

struct folder {
    char path[64];
};

/* A folder with a millrace.yaml and an empty folder of each kind. */
void folder_make(struct folder *self);

/* An empty one. */
void folder_make_bare(struct folder *self);

/* With all that is in it; one that was never made is nothing to remove. */
void folder_remove(struct folder *self);

/* "resources": an empty folder in it. */
void folder_add(const struct folder *self, const char *name);

/* "resources/product.yaml"; what was there is replaced. */
void folder_write(const struct folder *self, const char *name, const char *text);

/* Loads a folder as `millrace check` does: beside the engine, and with what has a problem. */
struct mr_application *folder_load(const char *path, struct mr_problems *problems);

/* All of a file; the test fails when it cannot be read. mr_buf_fini frees it. */
void read_file(const char *path, struct mr_buf *out);

#endif
