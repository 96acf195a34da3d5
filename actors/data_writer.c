#include "actors/data_writer.h"

#include "runtime/actor.h"

const struct mr_actor_spec mr_data_writer_spec = {
    .id = MR_ACTOR_DATA_WRITER,
    .channel = "millrace_refdata",
    .tells = MR_OP_cache_stale,
};
