#include "actors/data_reader.h"

#include "runtime/actor.h"

const struct mr_actor_spec mr_data_reader_spec = {.id = MR_ACTOR_DATA_READER};
