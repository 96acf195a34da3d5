/*
 * data_reader: everything that only reads.
 *
 * Thread:  one per instance, and one for the slow lane; each owns its mailbox and its database connection,
 *          to DB_HOST_READ_ONLY when that is set.
 * Input:   every op in proto/ops.h whose actor column says DATA_READER.
 * Promise: one message, exactly one reply; changes nothing.
 */
#ifndef MR_ACTORS_DATA_READER_H
#define MR_ACTORS_DATA_READER_H

struct mr_actor_spec;
extern const struct mr_actor_spec mr_data_reader_spec;

#endif
