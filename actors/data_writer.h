/*
 * data_writer: the only actor that changes rows for a client.
 *
 * Thread:  one per instance; owns its mailbox and its database connection. A key always goes to the same one.
 * Input:   every op in proto/ops.h whose actor column says DATA_WRITER.
 * Promise: one message, exactly one reply; a reply of success is a committed row.
 */
#ifndef MR_ACTORS_DATA_WRITER_H
#define MR_ACTORS_DATA_WRITER_H

struct mr_actor_spec;
extern const struct mr_actor_spec mr_data_writer_spec;

#endif
