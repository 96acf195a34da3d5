/*
 * skip: a unit of a job's work that the database always refuses, because of a constraint, a trigger or a damaged index. Halving
 * finds it; it is left out, counted and named, so that it does not stop the others.
 *
 * An error that refuses every unit (a missing table or right) fails the run instead; so does a long series of refused units,
 * unless they come from outside. Locks, and a server that is away or short of something, are waited for (run.c).
 *
 * Thread: the actor's.
 */
#ifndef MR_ACTORS_SKIP_H
#define MR_ACTORS_SKIP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "runtime/db.h"

/* What a run knows of units that are refused. Zeroed: nothing. */
struct mr_skip {
    int64_t suspects;         /* the refused unit is among the next so many; 0: none is known */
    bool now;                 /* the next chunk is that unit alone, to be left out */
    int64_t in_a_row;         /* left out since a unit was done */
    int64_t count;            /* left out by the run, in all its attempts */
    struct mr_db_error error; /* why the present one is; its message is for the log */
    bool is_input;            /* units come from outside: however many of them break a rule of the data, the others are done */
};

/*
 * Decides what follows on a refused chunk of at most `*most` units. True: retry it with the new `*most`, or without the unit
 * (`now`). False: that would not help. `divides`: a chunk may have fewer units; otherwise it is a single unit.
 */
bool mr_skip_find(struct mr_skip *self, const struct mr_db_error *error, bool divides, int64_t *most);

/*
 * Notes that a chunk of at most `*most` units succeeded and changed `rows` of them. True: a unit is still being looked for, and
 * `*most` is set for the next chunk. False: none is.
 */
bool mr_skip_passed(struct mr_skip *self, int64_t rows, int64_t *most);

/* The class of an SQLSTATE in words that reveal nothing of statements or rows, e.g. "integrity constraint violation". Static. */
const char *mr_skip_reason(const char *sqlstate);

/* Appends the JSON object that names a skipped unit in the run's result. `of`: the kind of units, e.g. "tasks". */
void mr_skip_name(const struct mr_skip *self, struct mr_buf *out, const char *of, struct mr_slice unit);

#endif
